"""Table word: what the validation table in force says of a result that waits for a person. Pure.

Rules: the result is judged by the table that its order names; whether a person may still accept it, the table
in force says as well. What that one rejects, and what misses the floor that it asks for this class of data,
nobody accepts; nor, where it says by now that copies of keys are kept elsewhere, what may have destroyed no
more than a key. Shown is always which rule says so.
Source: NIST SP 800-88r2, 3.2.2 and 4.5.2; decisions/0009 and 0013.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from certificate.assurance import DESTROYS_A_KEY
from certificate.errors import Refused
from certificate.selection import METHODS
from certificate.statements import Plan
from certificate.statements.statement import read_model
from certificate.statements.validation import ValidationTable
from certificate.statements.vocabulary import (
    Escrow,
    Grade,
    MediaKind,
    Method,
    Technique,
    ValidationDecision,
)
from controller.errors import Code
from controller.store.evidence import Verdict
from controller.store.plans import StoredPlan


@dataclass(frozen=True, kw_only=True)
class TableWord:
    """A decision, and the rule of the table that makes it."""

    decision: ValidationDecision
    because: str

    def __str__(self) -> str:
        return f"{self.decision.value}: {self.because}"


def of_results(
    table: ValidationTable, plan: StoredPlan | None, verdicts: Iterable[Verdict]
) -> dict[str, TableWord]:
    """By medium; `verdicts` say `erased`, by a technique. Raises Refused(PLAN_MISSING)."""
    if plan is None:
        raise Refused(Code.PLAN_MISSING, "the plan of this attempt is not kept")
    planned = read_model(plan.text, Plan, what="plan")
    kinds = {each.commitment: each.kind for each in planned.media}
    return {
        each.medium: _word(
            table,
            data_class=planned.data_class,
            media=kinds[each.medium],
            technique=Technique(each.claim["technique"]),
            grade=Grade(each.claim["grade"]),
        )
        for each in verdicts
    }


def require_acceptable(words: dict[str, TableWord]) -> None:
    """Raises Refused(TABLE_REJECTS), naming every medium that the table in force rejects."""
    rejected = [
        f"medium {medium[:8]}: {word.because}"
        for medium, word in words.items()
        if word.decision is ValidationDecision.REJECT
    ]
    if rejected:
        raise Refused(Code.TABLE_REJECTS, "; ".join(rejected))


def _word(
    table: ValidationTable, *, data_class: str, media: MediaKind, technique: Technique, grade: Grade
) -> TableWord:
    case = f"{data_class}, {media.value}, {technique.value}, {grade.value}"
    rule = table.rule(data_class)
    if rule is not None and _is_below(METHODS[technique], rule.floor):
        because = f"it asks {rule.floor.value} of the class {data_class}; {technique.value} misses that"
        return TableWord(decision=ValidationDecision.REJECT, because=because)
    if rule is not None and rule.escrow is Escrow.KNOWN and technique in DESTROYS_A_KEY:
        because = (
            f"copies of keys of the class {data_class} are known, and {technique.value} may leave the data"
        )
        return TableWord(decision=ValidationDecision.REJECT, because=because)
    row = table.row(data_class=data_class, media=media, technique=technique, grade=grade)
    if row is None:
        return TableWord(decision=table.otherwise, because=f"no row names {case}")
    return TableWord(decision=row.decision, because=f"the row {case}")


def _is_below(method: Method, asked: Method) -> bool:
    order = list(Method)
    return order.index(method) < order.index(asked)
