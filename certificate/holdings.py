"""Holdings: what a stranger holds, several bundles judged together. Each was examined alone before.

Rules:
1. All show one view of the log (`logged`): else none of them can be relied on, whichever of them is true. A
   bundle that was refused for its documents still shows what the log signed.
2. An outcome that a later one of the same deprovision names in `supersedes` is SUPERSEDED, if the other is
   genuine: whether the other says `erased` or not, it is the newer word on that attempt.
3. One that an outcome of another deprovision, or the record of a destruction, names is true of its own
   tenancy still; that there is a later record is a caution.
4. An outcome supersedes one of its own medium, which the log took before (SUBJECT_MISMATCH, NOT_LOGGED).

That the set is whole nobody can tell from the set alone. Pure.
Sources: certificates.md, 12 (set commands) and 14 (split view); FORMATS.md, "Outcome".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from certificate.errors import Code, Refused, Untrusted
from certificate.logged import LogView, require_one_view
from certificate.verified import Examined


@dataclass(frozen=True, kw_only=True)
class Held:
    """One file: what it shows of the log, and what it proves (None where it was refused)."""

    view: LogView
    examined: Examined | None


def contradiction(held: Sequence[Held]) -> Refused | None:
    """Why none of these files can be relied on, or None (rule 1)."""
    try:
        require_one_view([each.view for each in held])
    except Untrusted as refusal:
        return refusal
    return None


def superseding(held: Sequence[Held]) -> Mapping[int, Refused]:
    """By place in `held`: why that outcome can no longer be relied on (rules 2 and 4)."""
    refused: dict[int, Refused] = {}
    for former, latter in _pairs(held):
        before, after = _examined(held, former), _examined(held, latter)
        if before.outcome.medium.commitment != after.outcome.medium.commitment:
            refused[latter] = Untrusted(Code.SUBJECT_MISMATCH, "it supersedes an outcome of another medium")
        elif after.outcome_seq <= before.outcome_seq:
            refused[latter] = Untrusted(
                Code.NOT_LOGGED, "it was logged before the outcome that it supersedes"
            )
        elif _is_of_one_deprovision(before, after):
            refused[former] = Untrusted(
                Code.SUPERSEDED, f"log entry {after.outcome_seq} is a later attempt's outcome on this medium"
            )
    return refused


def cautions(held: Sequence[Held], place: int) -> tuple[str, ...]:
    """What the other files add to the one at `place` (rule 3)."""
    return tuple(
        f"a later record of this medium is among these files: log entry {_examined(held, latter).outcome_seq}"
        for former, latter in _pairs(held)
        if former == place and not _is_of_one_deprovision(_examined(held, former), _examined(held, latter))
    )


def _pairs(held: Sequence[Held]) -> list[tuple[int, int]]:
    """Places of outcomes, and of those that name them in `supersedes`."""
    latter: dict[str, list[int]] = {}
    for place, each in enumerate(held):
        if each.examined is not None:
            latter.setdefault(each.examined.outcome.supersedes, []).append(place)
    return [
        (place, other)
        for place, each in enumerate(held)
        if each.examined is not None
        for other in latter.get(each.examined.outcome_digest, ())
    ]


def _examined(held: Sequence[Held], place: int) -> Examined:
    found = held[place].examined
    if found is None:
        raise ValueError("only outcomes that were examined are paired")
    return found


def _is_of_one_deprovision(former: Examined, latter: Examined) -> bool:
    return (
        latter.outcome.attempt != "not_applicable"
        and former.outcome.deprovision == latter.outcome.deprovision
    )
