"""`wipe`: one operator begins a wipe by hand. It erases nothing.

Rules this module holds:
- The source is asked at once about every tenancy of the host, and again when the decision is taken; where one
  is live, pending or unknown, or the disposition forbids it, nothing is begun, whoever signed.
- What is begun is a deprovision like any other, with the trigger `manual`: its plan is requested by one
  person and approved by another, and every guard stands before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from sqlalchemy import Connection

from certificate.statements.people import DecisionKind
from controller import manual
from controller.manual import Prospect
from controller.observe import source
from controller.people import asking, private_texts
from controller.people.act import About, Matter, Signed
from controller.program import Program
from controller.store import hosts, ledger
from controller.store.events import OperatorCommanded
from controller.store.hosts import Host

#: The one choice of this kind.
BEGIN = "begin"
CONSEQUENCES = (
    "The host is taken out of its network and booted into the erase environment; nothing is erased.",
    "Its drives are read and planned for; the plan is requested by one person and approved by another.",
    "Until then expunge restore gives the host back.",
)


class Wipe:
    """See the module. `about`: host, an asset tag."""

    kind: ClassVar[DecisionKind] = DecisionKind.WIPE

    def look(self, program: Program, about: About) -> None:
        """Asks the source what the wipe rests on. Raises Refused: DECISION_MISMATCH, NOT_IN_STORE."""
        with program.store.snapshot() as tx:
            host = _host(tx, about)
        manual.ask(program, host)

    def matter(self, tx: Connection, program: Program, about: About) -> Matter:
        """Raises Refused: DECISION_MISMATCH, NOT_IN_STORE, DEPROVISION_IS_LIVE, or what a guard refuses."""
        seen = _seen(tx, program, about)
        return Matter(
            kind=self.kind,
            choice=BEGIN,
            facts=_facts(tx, program, seen),
            consequences=CONSEQUENCES,
            people_needed=1,
            # The plan asks for words off the machine; here nothing is erased yet, and the host was named.
            words="",
            private=private_texts.of_host(tx, program, seen.host),
        )

    def apply(
        self, tx: Connection, program: Program, about: About, matter: Matter, signed: tuple[Signed, ...]
    ) -> str:
        begun = manual.begin(tx, program, _seen(tx, program, about))
        event = OperatorCommanded(
            deprovision=begun.id,
            command=DecisionKind.WIPE.value,
            keyid=signed[0].keyid,
            attempt=begun.attempt,
            decision_digest=signed[0].payload_digest,
        )
        ledger.append(tx, event, now=program.clock())
        return f"{begun.id} is begun by hand for {about['host']}"


def _host(tx: Connection, about: About) -> Host:
    (asset_tag,) = asking.fields(about, ("host",))
    return asking.host(tx, asset_tag)


def _seen(tx: Connection, program: Program, about: About) -> Prospect:
    seen = manual.prospect(tx, program, _host(tx, about))
    if seen.refusals:
        raise seen.refusals[0]
    return seen


def _facts(tx: Connection, program: Program, seen: Prospect) -> Mapping[str, Any]:
    """What is so; the instants of questions are left out, since they change by themselves."""
    declared, now = seen.facts.declaration, program.clock()
    return {
        "host": seen.host.asset_tag,
        "site": seen.host.site,
        "rack": seen.host.rack,
        "disposition": seen.host.disposition.value,
        "declared_by": [] if declared is None else sorted(declared.keyids),
        "tenancies": [
            {
                "tenancy": str(each.tenancy),
                "since": "unknown" if each.starts_at is None else each.starts_at.isoformat(),
                "source_says": seen.facts.answer(each, now).value,
            }
            for each in seen.facts.tenancies
        ],
        "drives_on_record": [
            {
                "medium": drive.commitment,
                "serial_ends_in": drive.serial[-4:],
                "model": drive.model or "unknown",
                "basis": drive.basis.value,
            }
            for drive in hosts.drives_of(tx, seen.host.id)
        ],
        "grace": _grace(tx, program, seen),
    }


def _grace(tx: Connection, program: Program, seen: Prospect) -> str:
    if seen.tenancy is None:
        return "none: the host was never let"
    if source.ended_at(tx, seen.tenancy) is None:
        return f"{program.configuration.lifecycle.grace} from its beginning"
    return f"until {seen.grace_until.isoformat()}"
