"""Whether the verdicts on a host's media release it; if not, which medium stands in the way, and what next.

Rules this module holds; it is pure (NIST SP 800-88r2, 4.5.2):
- Each medium of the plan has exactly one verdict, `erased` and accepted: by the row of the signed table, or
  by a person for what the table escalates. Over no medium nothing is accepted.
- What the table rejects, and what is not `erased`, nobody can accept: another technique or destruction is
  left.
- A person's acceptance leads out of `needs_operator` in the stay in which it was given, as a command does.
  It counts for nothing where a medium is left that it cannot accept.
"""

from __future__ import annotations

from collections.abc import Iterator

from certificate.statements.vocabulary import Result, ValidationDecision
from controller.decision import Move
from controller.errors import Code
from controller.facts import Facts, VerdictFacts
from controller.states import State

#: Enough of a commitment to find the medium in `expunge show`.
SHOWN_DIGITS = 8


def objections(facts: Facts) -> tuple[str, ...]:
    """Why the verdicts do not release the host, a sentence a medium; empty where they do."""
    if facts.plan is None or not facts.plan.media:
        return ("no medium was planned",)
    said: list[str] = []
    for medium in facts.plan.media:
        verdicts = [verdict for verdict in facts.verdicts if verdict.medium == medium]
        if len(verdicts) != 1:
            said.append(f"medium {medium[:SHOWN_DIGITS]}: {len(verdicts)} verdicts")
        said += [objection for verdict in verdicts for objection in _objection(verdict)]
    strangers = {verdict.medium for verdict in facts.verdicts} - set(facts.plan.media)
    said.extend(f"medium {medium[:SHOWN_DIGITS]}: not in the plan" for medium in sorted(strangers))
    return tuple(said)


def is_escalated(verdict: VerdictFacts) -> bool:
    """Whether a person may accept it, and nobody has."""
    return verdict.result is Result.ERASED and verdict.decision is ValidationDecision.ESCALATE


def objection_code(facts: Facts) -> Code:
    """What a person is called for: a validation alone, or more."""
    bad = [v for v in facts.verdicts if v.decision is not ValidationDecision.ACCEPT]
    if bad and all(is_escalated(verdict) for verdict in bad):
        return Code.VALIDATION_AWAITED
    if any(v.result is Result.ERASED and v.decision is ValidationDecision.REJECT for v in bad):
        return Code.VALIDATION_REJECTED
    return Code.PERSON_MUST_DECIDE


def to_a_person(facts: Facts, said: tuple[str, ...]) -> Move:
    """The move that ends the ordinary way, with what `objections` said."""
    return Move(to=State.NEEDS_OPERATOR, reason="; ".join(said), code=objection_code(facts))


def accepted_by_a_person(facts: Facts) -> Move | None:
    """The way out of `needs_operator` that a person's acceptance opens; None where it opens none."""
    accepted = facts.acceptance
    if accepted is None or not facts.is_evidence_in or accepted.accepted_at < facts.entered_at:
        return None
    if objections(facts):
        return None
    return Move(
        to=State.VALIDATED,
        reason=f"{accepted.keyid} accepted what the validation table escalates",
        is_command=True,
    )


def _objection(verdict: VerdictFacts) -> Iterator[str]:
    medium = verdict.medium[:SHOWN_DIGITS]
    if verdict.result is not Result.ERASED:
        yield f"medium {medium}: {verdict.result}, which nobody can accept: retry, or take the drive out"
        return
    match verdict.decision:
        case ValidationDecision.ACCEPT:
            return
        case ValidationDecision.ESCALATE:
            yield (
                f"medium {medium}: the validation table escalates {verdict.row}; an operator who neither"
                " requested nor approved accepts or rejects it (expunge validate)"
            )
        case ValidationDecision.REJECT:
            yield (
                f"medium {medium}: the validation table rejects {verdict.row}; retry by another technique,"
                " or destroy the medium"
            )
