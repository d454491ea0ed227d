"""What in a validation table is probably not meant: sentences for whoever is about to sign it. Pure.

A doubt forbids nothing; the table is the provider's own decision (SP 800-88r2, 4.2). Looked for are classes
whose results the provider's own verification would refuse, classes for which nothing is accepted, and rows
that no result can ever meet, which look like a rule and are none.
"""

from __future__ import annotations

from collections.abc import Iterator

from certificate.assurance import DESTROYS_A_KEY
from certificate.policy import Policy
from certificate.selection import METHODS, OVERWRITES
from certificate.statements.validation import DataClassRule, ValidationRow
from certificate.statements.vocabulary import (
    Escrow,
    Grade,
    MediaKind,
    Method,
    Technique,
    ValidationDecision,
)
from controller.policy.draft import Draft, case_words

_MARKERS = frozenset({Grade.MARKER_PROVEN})
_REPORTED = frozenset({Grade.DEVICE_REPORTED})
#: What evidence of this release can show of each technique (`certificate.assurance`).
GRADES: dict[Technique, frozenset[Grade]] = {
    Technique.NVME_SANITIZE_CRYPTO: _MARKERS | _REPORTED,
    Technique.NVME_SANITIZE_BLOCK: _REPORTED,
    Technique.NVME_SANITIZE_OVERWRITE: _MARKERS | _REPORTED,
    Technique.NVME_FORMAT_CRYPTO: _MARKERS | _REPORTED,
    Technique.NVME_FORMAT_USER_DATA: _REPORTED,
    Technique.OVERWRITE_KEYSTREAM: _MARKERS,
    Technique.OVERWRITE_ZERO: _MARKERS,
    #: Destroying the keys of a layer never makes a medium `erased`.
    Technique.LUKS: frozenset(),
}


def doubts(draft: Draft, policy: Policy) -> tuple[str, ...]:
    """One sentence a doubt. `policy`: what the provider itself insists on before it releases a host."""
    return (*_of_rules(draft, policy), *_of_rows(draft, policy))


def _of_rules(draft: Draft, policy: Policy) -> Iterator[str]:
    accepted = {row.data_class for row in draft.rows if row.decision is ValidationDecision.ACCEPT}
    for rule in draft.rules:
        if _is_below(rule.floor, policy.minimum_method):
            yield (
                f"class {rule.data_class}: a result at its floor, {rule.floor.value}, fails your own "
                f"policy/verify.json, which asks {policy.minimum_method.value}; no such host is released"
            )
        if rule.data_class not in accepted:
            yield f"class {rule.data_class}: no row accepts anything, so a person validates every result"


def _of_rows(draft: Draft, policy: Policy) -> Iterator[str]:
    rules = {rule.data_class: rule for rule in draft.rules}
    grades = list(Grade)
    for row in draft.rows:
        rule = rules.get(row.data_class)
        why = f"class {row.data_class} has no rule" if rule is None else why_never(row, rule)
        if why is not None:
            yield f"{case_words(row)}: no result is ever of this case: {why}"
        elif row.decision is ValidationDecision.ACCEPT and grades.index(row.grade) < grades.index(
            policy.minimum_grade
        ):
            yield (
                f"{case_words(row)}: accepted here, but your own policy/verify.json asks "
                f"{policy.minimum_grade.value}; no such host is released"
            )


def why_never(row: ValidationRow, rule: DataClassRule) -> str | None:
    """Why no result can be of this row's case; None where one can."""
    technique = row.technique
    if technique is Technique.LUKS:
        return "destroying the keys of a layer never makes a medium erased"
    is_from_the_host = technique in OVERWRITES.values()
    if row.media is MediaKind.PLAIN and not is_from_the_host:
        return f"a plain medium has no {technique.value}"
    if technique is Technique.NVME_SANITIZE_CRYPTO and row.media is not MediaKind.SELF_ENCRYPTING_NVME:
        return "a drive with a cryptographic sanitize is self_encrypting_nvme"
    if technique in DESTROYS_A_KEY and rule.escrow is Escrow.KNOWN:
        return "the class says that copies of keys are kept, so that destroying a key is inconclusive"
    if _is_below(METHODS[technique], rule.floor):
        return f"it reaches {METHODS[technique].value}, and the class asks {rule.floor.value}"
    if is_from_the_host and OVERWRITES[rule.overwrite] is not technique:
        return f"the class overwrites with {rule.overwrite.value}"
    if row.grade not in GRADES[technique]:
        return f"its grade is never {row.grade.value} in this release"
    return None


def _is_below(method: Method, asked: Method) -> bool:
    order = list(Method)
    return order.index(method) < order.index(asked)
