"""Declare a disposition: two operators say whether a host is let, in stock, or the provider's own.

Rules: `stock` and `internal` rest on the source's list of the host's tenancies: asked in this very act, fresh
(`facts.MAX_AGE`), complete and empty, and no tenancy of the host on record; every other answer refuses. Back
to `rented` or `unknown` needs no list, but two people all the same: what may be wiped without a tenancy is
never one person's word. The decision names the host by its commitment (`document_digest`), so that an agent
accepts it for this host only. It stands until the next one, until a signer is revoked, or until the host's
identifying facts on record change.
Sources: FORMATS.md, "The provider's side"; DESIGN.md, "One deprovision".
"""

from __future__ import annotations

from typing import ClassVar

from sqlalchemy import Connection

from certificate.errors import Refused
from certificate.statements.people import DecisionKind
from controller.case import known_host
from controller.errors import Code
from controller.facts import MAX_AGE, Disposition, Question
from controller.guards import TWO_PEOPLE
from controller.observe import source
from controller.people import asking, private_texts
from controller.people.act import About, Matter, Signed
from controller.program import Program
from controller.store import declarations, observations, tenancies
from controller.store.hosts import Host

NEVER_LET = frozenset({Disposition.STOCK, Disposition.INTERNAL})
CONSEQUENCES = {
    Disposition.RENTED: "It is wiped when its tenancy ends, and never as stock.",
    Disposition.UNKNOWN: "It is not wiped at all.",
    Disposition.STOCK: "A wipe by hand of this host needs no tenancy that ended.",
    Disposition.INTERNAL: "A wipe by hand of this host needs no tenancy that ended.",
}


class Declare:
    """`host`: asset tag; `disposition`: rented | stock | internal | unknown."""

    kind: ClassVar[DecisionKind] = DecisionKind.DISPOSITION

    def look(self, program: Program, about: About) -> None:
        with program.store.snapshot() as tx:
            host, disposition = _asked(tx, about)
        if disposition in NEVER_LET:
            source.tenancy_list(program, host)

    def matter(self, tx: Connection, program: Program, about: About) -> Matter:
        host, disposition = _asked(tx, about)
        if disposition in NEVER_LET:
            require_never_let(tx, program, host)
        return Matter(
            kind=self.kind,
            choice=disposition.value,
            facts={
                "host": host.asset_tag,
                "id": host.id,
                "site": host.site,
                "rack": host.rack,
                "disposition_now": host.disposition.value,
                "declared": disposition.value,
                "tenancies_on_record": len(tenancies.of_host(tx, host.id)),
                "source_lists": "nothing, completely" if disposition in NEVER_LET else "not asked",
            },
            consequences=(CONSEQUENCES[disposition],),
            people_needed=TWO_PEOPLE,
            words=f"{host.asset_tag} {disposition.value}",
            document_digest=known_host(tx, host, data_class=host.data_class).named().commitment,
            private=private_texts.of_host(tx, program, host),
        )

    def apply(
        self, tx: Connection, program: Program, about: About, matter: Matter, signed: tuple[Signed, ...]
    ) -> str:
        host, disposition = _asked(tx, about)
        declarations.record(
            tx, host.id, old=host.disposition, new=disposition, signed=signed, now=program.clock()
        )
        return f"{host.asset_tag} is {disposition.value}"


def require_never_let(tx: Connection, program: Program, host: Host) -> None:
    """Raises Refused: TENANCY_REMAINS where one is on record or listed, TENANCY_LIST_UNKNOWN for anything
    but a fresh, complete list.
    """
    on_record = tenancies.of_host(tx, host.id)
    if on_record:
        raise Refused(Code.TENANCY_REMAINS, f"{host.asset_tag} is or was let: {len(on_record)} tenancies")
    latest = observations.latest(tx, Question.TENANCIES, host.id)
    seen = None if latest is None else latest.asked
    now = program.clock()
    if seen is None or seen.answered_at is None or not seen.asked_at <= now < seen.asked_at + MAX_AGE:
        raise Refused(Code.TENANCY_LIST_UNKNOWN, f"no fresh list of tenancies of {host.asset_tag}")
    if seen.answer != source.COMPLETE:
        raise Refused(Code.TENANCY_LIST_UNKNOWN, "the source does not vouch that its list is complete")
    if (seen.detail or {}).get("names") != []:
        raise Refused(Code.TENANCY_REMAINS, f"the source names tenancies of {host.asset_tag}")


def _asked(tx: Connection, about: About) -> tuple[Host, Disposition]:
    asset_tag, word = asking.fields(about, ("host", "disposition"))
    if word not in {member.value for member in Disposition}:
        raise Refused(Code.DECISION_MISMATCH, f"{word[:40]!r} is no disposition")
    return asking.host(tx, asset_tag), Disposition(word)
