"""`validate`: one person accepts or rejects what the signed validation table leaves to a person.

Rules this module holds (NIST SP 800-88r2, 4.5.2):
- Only while the deprovision needs an operator, its evidence is in, and at least one medium is `erased` with
  the table's word `escalate`. What the table rejects, and what is not `erased`, nobody can accept; nor what
  the table in force rejects by now (`table_word`), whose word of each result is shown.
- One evidence may hold several media, and `on` is its digest: the decision is about every escalated medium of
  it, and the matter lists them all, with claim, reasons and limits; the others stand beside them.
- One person, who neither requested nor approved the plan of this attempt, nor began the wipe by hand, nor
  commanded the `retry` that began this attempt.
- A rejection is for good: this evidence is accepted by nobody afterwards. It leads nowhere by itself.

An acceptance is a fact that `decide` carries out (`verdicts`, decisions/0009).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from sqlalchemy import Connection

from certificate.errors import Malformed, Refused
from certificate.identifiers import DeprovisionId
from certificate.statements.people import DecisionKind
from certificate.statements.vocabulary import ValidationDecision
from controller import case as cases
from controller import owing, tables
from controller.case import Case
from controller.errors import Code
from controller.facts import Exit
from controller.people import acceptance, asking, private_texts, table_word
from controller.people.act import About, Matter, Signed
from controller.people.table_word import TableWord
from controller.program import Program
from controller.states import State
from controller.store import commands, deprovisions, evidence, ledger, outcomes, plans
from controller.store.events import OperatorCommanded
from controller.store.evidence import StoredEvidence, Verdict

FIELDS = ("host", "choice")
CONSEQUENCES: dict[ValidationDecision, tuple[str, ...]] = {
    ValidationDecision.ACCEPT: (
        "The result is accepted for every escalated medium below, and each gets its certificate.",
        "The certificate names your key and this decision; strangers can read both.",
        "If no other medium stands in the way, the host is released without another question.",
    ),
    ValidationDecision.REJECT: (
        "Nobody can accept this result afterwards; no certificate is issued for it.",
        "The deprovision goes on needing an operator: retry it, or take the media out.",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Awaited:
    """One result that waits for a person."""

    case: Case
    evidence: StoredEvidence
    #: As the table has them, of every medium.
    verdicts: tuple[Verdict, ...]
    #: Fingerprints of those who may not decide.
    involved: frozenset[str]

    @property
    def escalated(self) -> tuple[Verdict, ...]:
        """What is decided on."""
        return tuple(each for each in self.verdicts if acceptance.is_awaited(each.result, each.decision))


class Validate:
    """See the module. `about`: choice (accept, reject) and host (asset tag, or the id of its deprovision)."""

    kind: ClassVar[DecisionKind] = DecisionKind.VALIDATE

    def look(self, program: Program, about: About) -> None:
        """Asks nothing: the evidence is in."""

    def matter(self, tx: Connection, program: Program, about: About) -> Matter:
        """Raises Refused: DECISION_MISMATCH, NOT_IN_STORE, VALIDATION_NOT_DUE, VALIDATION_REJECTED,
        TABLE_SUPERSEDED, TABLE_REJECTS.
        """
        choice, asked = _choice(about), _asked(tx, program, about)
        in_force = program.documents.present_table
        tables.require_newest(tx, in_force)
        said = table_word.of_results(in_force.table, asked.case.plan, asked.escalated)
        if choice is ValidationDecision.ACCEPT:
            table_word.require_acceptable(said)
        row, host = asked.case.deprovision, asked.case.host
        return Matter(
            kind=self.kind,
            choice=choice.value,
            facts={
                "deprovision": str(row.id),
                "host": host.asset_tag,
                "attempt": row.attempt,
                "evidence": asked.evidence.payload_digest,
                "not_by": sorted(asked.involved),
                "table_in_force": f"version {in_force.table.version}, {in_force.digest}",
                "media": [_shown(asked.case, verdict, said) for verdict in asked.verdicts],
            },
            consequences=CONSEQUENCES[choice],
            people_needed=1,
            words=f"{choice.value} {host.asset_tag}",
            named_digest=asked.evidence.payload_digest,
            private=private_texts.of_host(tx, program, host),
        )

    def apply(
        self, tx: Connection, program: Program, about: About, matter: Matter, signed: tuple[Signed, ...]
    ) -> str:
        """Raises Refused(VALIDATOR_INVOLVED), and then nothing of the decision is kept. That a result waits
        was seen by `matter` in this transaction; by now this very decision stands.
        """
        choice, now = _choice(about), program.clock()
        named, _ = asking.fields(about, FIELDS)
        case = cases.load(tx, _key(tx, named))
        (person,) = signed
        if person.keyid in _involved(tx, case):
            raise Refused(Code.VALIDATOR_INVOLVED, f"{person.keyid} stands behind this very erasure")
        event = OperatorCommanded(
            deprovision=case.id,
            command=f"{self.kind.value}:{choice.value}",
            keyid=person.keyid,
            attempt=case.deprovision.attempt,
            decision_digest=person.payload_digest,
        )
        ledger.append(tx, event, now=now)
        deprovisions.wake(tx, case.id, now=now)
        said = "accepted" if choice is ValidationDecision.ACCEPT else "rejected"
        return f"the result on {case.host.asset_tag} is {said}; expunge show tells what becomes of it"


def awaited(tx: Connection, program: Program, key: DeprovisionId) -> Awaited:
    """What waits for a person of this deprovision. Raises Refused: NOT_IN_STORE, VALIDATION_NOT_DUE,
    VALIDATION_REJECTED.
    """
    case = cases.load(tx, key)
    row, tag = case.deprovision, case.host.asset_tag
    if row.state is not State.NEEDS_OPERATOR or case.order is None:
        raise Refused(Code.VALIDATION_NOT_DUE, f"{tag} is {row.state}, not with an operator over a result")
    seen, verdicts = evidence.of_order(tx, case.order.id), evidence.verdicts_of(tx, case.order.id)
    if seen is None or not any(acceptance.is_awaited(each.result, each.decision) for each in verdicts):
        raise Refused(
            Code.VALIDATION_NOT_DUE, f"no medium of {tag} is erased and escalated: {_words(verdicts)}"
        )
    if owing.is_written_off(outcomes.summary_of(tx, key)):
        raise Refused(Code.VALIDATION_NOT_DUE, f"the case of {tag} is recorded as it ended, for good")
    rejected = acceptance.rejection(tx, seen.payload_digest)
    if rejected is not None:
        raise Refused(Code.VALIDATION_REJECTED, f"{rejected.keyid} rejected it at {rejected.issued_at}")
    accepted = acceptance.standing(tx, program.documents.trust, seen.payload_digest, now=program.clock())
    if accepted is not None and accepted.accepted_at >= row.entered_at:
        raise Refused(Code.VALIDATION_NOT_DUE, f"{accepted.keyid} accepted it at {accepted.decided_at}")
    return Awaited(case=case, evidence=seen, verdicts=verdicts, involved=_involved(tx, case))


def _asked(tx: Connection, program: Program, about: About) -> Awaited:
    named, _ = asking.fields(about, FIELDS)
    return awaited(tx, program, _key(tx, named))


def _choice(about: About) -> ValidationDecision:
    _, choice = asking.fields(about, FIELDS)
    if choice not in (ValidationDecision.ACCEPT.value, ValidationDecision.REJECT.value):
        raise Refused(Code.DECISION_MISMATCH, f"{choice[:40]!r} is neither accept nor reject")
    return ValidationDecision(choice)


def _key(tx: Connection, named: str) -> DeprovisionId:
    try:
        return DeprovisionId.parse(named)
    except Malformed:
        host = asking.host(tx, named)
    live = deprovisions.live_of_host(tx, host.id)
    if live is None:
        raise Refused(Code.NOT_IN_STORE, f"{host.asset_tag} has no live deprovision")
    return live.id


def _involved(tx: Connection, case: Case) -> frozenset[str]:
    """Who requested or approved the plan of this attempt, whether it still counts or not, who began the wipe
    by hand, and who commanded that the attempt be made.
    """
    behind: set[str] = set()
    if case.plan is not None:
        stored = plans.approvals_of(
            tx, case.id, attempt=case.deprovision.attempt, plan_digest=case.plan.digest
        )
        behind |= {each.keyid for each in stored}
    for event in ledger.events(tx, deprovision=case.id):
        if event.kind == OperatorCommanded.kind and event.body["command"] == DecisionKind.WIPE.value:
            behind.add(event.body["keyid"])
    return frozenset(behind | _commanders(tx, case))


def _commanders(tx: Connection, case: Case) -> set[str]:
    """Everybody behind a `retry` given in the attempt before this one: each wanted this one to be made."""
    before = case.deprovision.attempt - 1
    given = commands.of_deprovision(tx, case.id)
    return {
        keyid
        for command in given
        if command.attempt == before and command.exit is Exit.RETRY
        for keyid in command.keyids
    }


def _words(verdicts: tuple[Verdict, ...]) -> str:
    said = [f"{each.medium[:8]} {each.result}, {each.decision}" for each in verdicts]
    return "; ".join(said) or "nothing is judged"


def _shown(case: Case, verdict: Verdict, in_force: Mapping[str, TableWord]) -> Mapping[str, Any]:
    claim = verdict.claim
    is_asked = acceptance.is_awaited(verdict.result, verdict.decision)
    return {
        "medium": verdict.medium,
        "is_decided_on": "yes" if is_asked else "no",
        "claim": f"{claim['result']}, {claim['method']}, {claim['grade']}",
        "table_row": acceptance.row_words(case.plan, verdict),
        "table_says": verdict.decision.value,
        "table_in_force_says": str(in_force.get(verdict.medium, "nothing is asked of it")),
        "reasons": list(claim["reasons"]),
        "limits": list(claim["limits"]),
    }
