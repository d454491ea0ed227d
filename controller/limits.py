"""Caps on how much may be wiped in a window that ends now, counted in the transaction that would use them up.

Rules: what counts is a dispatch, whatever became of it; the count and the change of state share one
transaction, so two workers cannot both take the last place; a dispatched order has its place and is not
counted against itself again. Limits are enforced by the controller only (FORMATS.md, "Order");
docs/threat-model.md says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from controller.case import Case
from controller.configuration import Limits
from controller.store import orders

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Usage:
    """One cap: how many were dispatched in its window, and how many may be."""

    name: str
    used: int
    limit: int

    @property
    def is_reached(self) -> bool:
        return self.used >= self.limit


def usage(tx: Connection, limits: Limits, case: Case, *, now: datetime) -> tuple[Usage, ...]:
    """Every cap that covers this host."""
    rack = (case.host.site, case.host.rack)
    return (
        Usage(name="PER_HOUR", used=orders.dispatched_since(tx, now - HOUR), limit=limits.per_hour),
        Usage(name="PER_DAY", used=orders.dispatched_since(tx, now - DAY), limit=limits.per_day),
        Usage(
            name="PER_RACK_PER_DAY",
            used=orders.dispatched_since(tx, now - DAY, rack=rack),
            limit=limits.per_rack_per_day,
        ),
    )


def reached(tx: Connection, limits: Limits, case: Case, *, now: datetime) -> tuple[str, ...]:
    """Names of the caps that one more dispatch would exceed; none once this order took its place."""
    if case.order is not None and case.order.dispatched_at is not None:
        return ()
    return tuple(each.name for each in usage(tx, limits, case, now=now) if each.is_reached)
