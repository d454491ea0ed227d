"""Enrol: two operators let a newcomer's key in; it counts after `approver_inert`.

Rules: the two are different from each other and from the newcomer, and counted when they signed; a key of
small order, one already in, and a revoked one are refused; the waiting time is signed by both and checked
here, so that whoever stole two keys for an hour is still seen before a third one counts.
"""

from __future__ import annotations

from typing import ClassVar

from sqlalchemy import Connection

from certificate.errors import Refused
from certificate.keys import PublicKey
from certificate.operators import ENROLLED_BY, MAX_ENROLMENTS
from certificate.statements.people import DecisionKind
from controller.duration import duration_text
from controller.errors import Code
from controller.people import asking
from controller.people.act import About, Matter, Signed
from controller.people.roster import enrolments, members
from controller.program import Program
from controller.store import ledger
from controller.store.events import OperatorEnrolled


class Enrol:
    """`public_key`: an OpenSSH line."""

    kind: ClassVar[DecisionKind] = DecisionKind.ENROL

    def look(self, program: Program, about: About) -> None:
        return

    def matter(self, tx: Connection, program: Program, about: About) -> Matter:
        (line,) = asking.fields(about, ("public_key",))
        key = PublicKey.from_ssh_line(line)
        _require_new(tx, program, key)
        inert = program.configuration.people.approver_inert
        return Matter(
            kind=self.kind,
            choice="enrol",
            facts={"newcomer": key.keyid, "inert_for": duration_text(inert)},
            consequences=(
                f"From {duration_text(inert)} after signing, {key.keyid} requests, approves and decides "
                "like any operator.",
                "Until then anybody may revoke it; a revoked key never comes back.",
            ),
            people_needed=ENROLLED_BY,
            words=key.keyid[-8:],
            key=key,
            inert_for=inert,
            # It is about a key, and no host is in question.
            private=(),
        )

    def apply(
        self, tx: Connection, program: Program, about: About, matter: Matter, signed: tuple[Signed, ...]
    ) -> str:
        now = program.clock()
        found = [each for each in members(tx, program.documents.trust, now=now) if each.key == matter.key]
        if len(found) != 1:
            raise Refused(Code.NOT_AN_OPERATOR, "the chain of enrolments does not admit this key")
        since = found[0].since
        ledger.append(tx, OperatorEnrolled(keyid=found[0].key.keyid, since=since), now=now)
        return f"{found[0].key.keyid} is enrolled and counts from {since:%Y-%m-%dT%H:%M:%SZ} on"


def _require_new(tx: Connection, program: Program, key: PublicKey) -> None:
    for member in members(tx, program.documents.trust, now=program.clock()):
        if member.key != key:
            continue
        if member.revoked_at is not None:
            raise Refused(Code.OPERATOR_REVOKED, f"{key.keyid} was revoked")
        raise Refused(Code.OPERATOR_KNOWN, f"{key.keyid} is {member.standing.value}")
    trusted = program.documents.trust
    if key.raw.hex() in {each.public_key for each in (*trusted.keys, *trusted.root_keys)}:
        raise Refused(Code.OPERATOR_KNOWN, f"{key.keyid} is a key of the controller, for one purpose only")
    if len(enrolments(tx)) + ENROLLED_BY > MAX_ENROLMENTS:
        raise Refused(Code.ROSTER_FULL, f"{MAX_ENROLMENTS} enrolments are as many as a delivery carries")
