"""Brackets: the times that were signed do not contradict the order in which the log took the documents.

Rules, in whole seconds, equal times allowed; a violation is TIME_BRACKET_VIOLATED:
1. A document that the log took later is not dated earlier: allocation, order, outcome, summary.
2. What an order rests on was asked and answered before the order was made.
3. Who accepted the result did so after the order was made, and before the outcome that says so.
4. A host's summary ends after the order of it was made, and not after the summary itself.
5. No command ended before it began, by the agent's own clock; between agent and controller nothing is
   compared, because an agent in RAM has no clock that anybody could trust.
6. A medium was not destroyed after the outcome that says so, nor after anybody signed that it was; a day has
   no time zone, so one day of grace.

Approvals and people's decisions are bracketed where they are opened (`delivery`, `departures`, `operators`).
KNOWN GAP: all these times are the provider's own. Only witnesses and timestamps bound them from outside.
Pure. Sources: certificates.md, 1.4, 7 and 14.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

from certificate.errors import Code, Untrusted
from certificate.logged import Logged
from certificate.statements import Evidence, Order, Outcome, Summary
from certificate.statements.outcome import Attested
from certificate.statements.statement import NOT_OBSERVED

#: A day as people write one may be tomorrow's elsewhere.
DAY_GRACE = timedelta(days=1)


def require_log_order(documents: Iterable[Logged[Any] | None]) -> None:
    """Rule 1. Raises Untrusted(TIME_BRACKET_VIOLATED)."""
    present = sorted((each for each in documents if each is not None), key=lambda each: each.seq)
    for former, latter in pairwise(present):
        _require(
            former.predicate.issued_at,
            latter.predicate.issued_at,
            f"the {latter.predicate.statement_name} stands after the {former.predicate.statement_name}"
            " in the log and is dated before it",
        )


def require_attempt(
    *, order: Order, outcome: Outcome, evidence: Evidence | None, summary: Summary | None
) -> None:
    """Rules 2 to 5; `evidence` is None where none came. Raises Untrusted(TIME_BRACKET_VIOLATED)."""
    basis = order.basis
    asked = [(basis.tenancies.asked_at, basis.tenancies.answered_at)]
    asked += [(each.asked_at, each.answered_at) for each in basis.answers]
    if basis.quarantine != "not_applicable":
        asked.append((basis.quarantine.asked_at, basis.quarantine.answered_at))
    for asked_at, answered_at in asked:
        _require(asked_at, answered_at, "a source answered before it was asked")
        _require(answered_at, order.issued_at, "the order rests on an answer that came after it")
    if outcome.validation != "not_applicable":
        decided_at = outcome.validation.decided_at
        _require(order.issued_at, decided_at, "the result was accepted before the order was made")
        _require(decided_at, outcome.issued_at, "the result was accepted after the outcome that says so")
    if summary is not None:
        _require(order.issued_at, summary.ended_at, "the host's end is dated before its order")
        _require(summary.ended_at, summary.issued_at, "the host's end is dated after its summary")
    media = () if evidence is None else evidence.media
    for command in (command for medium in media for command in medium.commands):
        if command.started_at != NOT_OBSERVED and command.finished_at != NOT_OBSERVED:
            _require(command.started_at, command.finished_at, "a command ended before it began")


def require_destroyed_by(attested: Attested, when: datetime) -> None:
    """Rule 6: `when` an outcome or a decision says so. Raises Untrusted(TIME_BRACKET_VIOLATED)."""
    try:
        day = date.fromisoformat(attested.destroyed_on)
    except ValueError:
        raise Untrusted(Code.TIME_BRACKET_VIOLATED, "the day of the destruction is in no calendar") from None
    if day > when.date() + DAY_GRACE:
        raise Untrusted(
            Code.TIME_BRACKET_VIOLATED, "the medium is said to be destroyed later than is said so"
        )


def _require(former: datetime, latter: datetime, otherwise: str) -> None:
    if latter < former:
        raise Untrusted(Code.TIME_BRACKET_VIOLATED, otherwise)
