"""Revoke: one operator takes a key off the roster, at once and for ever.

Rules: one person suffices, because it only takes power away, and who lost a key must not wait for a second
person (docs/decisions/0005-people.md); it says so in the ledger and, as `revoke-key`, in the public log;
whatever the key signed and was not yet carried out counts nothing from this transaction on. A key that is
still inert can be revoked, and one's own.
"""

from __future__ import annotations

from typing import ClassVar

from sqlalchemy import Connection

from certificate import envelope as dsse
from certificate.errors import Refused
from certificate.statements.people import DecisionKind
from controller.errors import Code
from controller.people import asking
from controller.people.act import About, Matter, Signed
from controller.people.roster import Standing, members
from controller.program import Program
from controller.store import deprovisions, revocations


class Revoke:
    """`keyid`: the fingerprint."""

    kind: ClassVar[DecisionKind] = DecisionKind.REVOKE

    def look(self, program: Program, about: About) -> None:
        return

    def matter(self, tx: Connection, program: Program, about: About) -> Matter:
        (keyid,) = asking.fields(about, ("keyid",))
        known = members(tx, program.documents.trust, now=program.clock())
        found = next((member for member in known if member.key.keyid == keyid), None)
        if found is None:
            raise Refused(Code.NOT_AN_OPERATOR, f"{keyid[:60]} was never enrolled")
        if found.standing is Standing.REVOKED:
            raise Refused(Code.OPERATOR_REVOKED, f"{keyid} is revoked already")
        left = [m.key.keyid for m in known if m.standing is Standing.ACTIVE and m.key.keyid != keyid]
        return Matter(
            kind=self.kind,
            choice="revoke",
            facts={"operator": keyid, "is": found.standing.value, "operators_left": sorted(left)},
            consequences=(
                "Whatever this key signed and was not carried out counts nothing, at once and for ever.",
                f"{len(left)} active operators remain"
                + ("; nothing that needs two people can be decided." if len(left) < 2 else "."),
            ),
            people_needed=1,
            words=keyid[-8:],
            key=found.key,
        )

    def apply(
        self, tx: Connection, program: Program, about: About, matter: Matter, signed: tuple[Signed, ...]
    ) -> str:
        if matter.key is None:
            raise ValueError("a revocation is about a key")
        now = program.clock()
        revocations.record(tx, matter.key.keyid, envelope=dsse.read(signed[0].envelope), now=now)
        for row in deprovisions.live(tx):
            deprovisions.wake(tx, row.id, now=now)
        return f"{matter.key.keyid} counts no more"
