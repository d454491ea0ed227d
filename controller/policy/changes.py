"""What a new validation table would decide otherwise than the one in force: rule by rule, row by row. Pure.

Rules: compared is what is *decided*, so a row that only repeats `otherwise` changes nothing; every change
says whether it asks less than before (`weaker`) or more (`stricter`). A new class is weaker, since nothing of
it could be wiped until now.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from certificate.statements.validation import DataClassRule, ValidationTable
from certificate.statements.vocabulary import (
    Escrow,
    Method,
    OverwritePattern,
    ReadBackMode,
    ValidationDecision,
)
from controller.policy.draft import Draft, case_words

#: From least to most asked.
_FLOORS = (Method.CLEAR, Method.PURGE)
_READ_BACKS = tuple(ReadBackMode)
#: From most to least claimed of a destroyed key: a known copy lets no cryptographic erase count.
_ESCROWS = (Escrow.NONE, Escrow.UNKNOWN, Escrow.KNOWN)
_DECISIONS = (ValidationDecision.ACCEPT, ValidationDecision.ESCALATE, ValidationDecision.REJECT)
NOTHING = "-"


class Tendency(StrEnum):
    WEAKER = "weaker"
    STRICTER = "stricter"


@dataclass(frozen=True, kw_only=True)
class Change:
    """One thing that would be decided otherwise. `before` and `after` are words of the table, or `-`."""

    tendency: Tendency
    where: str
    before: str
    after: str


def compare(present: ValidationTable, draft: Draft) -> tuple[Change, ...]:
    """Every change, the weakening ones first."""
    found = [*_rules(present, draft), *_rows(present, draft)]
    order = list(Tendency)
    return tuple(sorted(found, key=lambda change: (order.index(change.tendency), change.where)))


def _rules(present: ValidationTable, draft: Draft) -> Iterator[Change]:
    before = {rule.data_class: rule for rule in present.rules}
    after = {rule.data_class: rule for rule in draft.rules}
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old is None and new is not None:
            yield Change(tendency=Tendency.WEAKER, where=f"class {name}", before=NOTHING, after=_words(new))
        elif new is None and old is not None:
            yield Change(tendency=Tendency.STRICTER, where=f"class {name}", before=_words(old), after=NOTHING)
        elif old is not None and new is not None:
            yield from _fields(old, new)


def _words(rule: DataClassRule) -> str:
    return (
        f"floor {rule.floor.value}, {rule.approvals_required} approvals, overwrite {rule.overwrite.value}, "
        f"read back {rule.read_back.value}, escrow {rule.escrow.value}"
    )


def _fields(old: DataClassRule, new: DataClassRule) -> Iterator[Change]:
    name = f"class {old.data_class}"
    yield from _change(
        f"{name}, floor", old.floor.value, new.floor.value, _less(_FLOORS, old.floor, new.floor)
    )
    yield from _change(
        f"{name}, approvals",
        str(old.approvals_required),
        str(new.approvals_required),
        _less(range(3), old.approvals_required, new.approvals_required),
    )
    yield from _change(
        f"{name}, read back",
        old.read_back.value,
        new.read_back.value,
        _less(_READ_BACKS, old.read_back, new.read_back),
    )
    yield from _change(
        f"{name}, escrow",
        old.escrow.value,
        new.escrow.value,
        _less(_ESCROWS, old.escrow, new.escrow),
    )
    # A keystream cannot be foretold by a drive that only pretends to write; zeros can.
    patterns = (OverwritePattern.ZERO, OverwritePattern.KEYSTREAM)
    yield from _change(
        f"{name}, overwrite",
        old.overwrite.value,
        new.overwrite.value,
        _less(patterns, old.overwrite, new.overwrite),
    )


def _rows(present: ValidationTable, draft: Draft) -> Iterator[Change]:
    before = {case_words(row): row.decision for row in present.rows}
    after = {case_words(row): row.decision for row in draft.rows}
    for case in sorted({*before, *after}):
        old = before.get(case, present.otherwise)
        new = after.get(case, draft.otherwise)
        yield from _change(case, old.value, new.value, _less(_DECISIONS, old, new))


def _less(order: tuple[object, ...] | range, old: object, new: object) -> Tendency:
    places = list(order)
    return Tendency.WEAKER if places.index(new) < places.index(old) else Tendency.STRICTER


def _change(where: str, before: str, after: str, tendency: Tendency) -> Iterator[Change]:
    if before != after:
        yield Change(tendency=tendency, where=where, before=before, after=after)
