"""Caps on how much may be wiped in a window that ends now, counted in the transaction that would use them up.

Rules: what counts is a dispatch, whatever became of it, where and whose its host was then: a later change of
the record frees no place; the count and the change of state share one transaction, so two workers cannot both
take the last place; a dispatched order has its place and is not counted against itself again. What may still
run is concurrent, also while its case is with a person. Knowing less never allows more: hosts with no
customer on record count as one customer's. A host wiped again takes no further share of the fleet. Limits are
enforced by the controller only (FORMATS.md, "Order"); docs/threat-model.md says so. Beyond one, two people
must approve exactly this plan (`guards`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from controller.case import Case
from controller.configuration import Limits
from controller.store import hosts, orders
from controller.store.orders import Place

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Usage:
    """One cap: how many places others have taken, and how many there are."""

    name: str
    used: int
    limit: int

    @property
    def is_reached(self) -> bool:
        return self.used >= self.limit


def usage(tx: Connection, limits: Limits, case: Case, *, now: datetime) -> tuple[Usage, ...]:
    """Every cap that covers this host."""
    host, day = case.host, now - DAY
    by_site = Place(site=host.site)
    by_rack = Place(site=host.site, rack=host.rack)
    by_customer = Place(customer_ref=host.customer_ref)
    return (
        Usage(name="PER_HOUR", used=orders.dispatched_since(tx, now - HOUR), limit=limits.per_hour),
        Usage(name="PER_DAY", used=orders.dispatched_since(tx, day), limit=limits.per_day),
        Usage(
            name="CONCURRENT",
            used=orders.erasing_count(tx, besides=case.id),
            limit=limits.concurrent,
        ),
        Usage(
            name="PER_SITE_PER_DAY",
            used=orders.dispatched_since(tx, day, place=by_site),
            limit=limits.per_site_per_day,
        ),
        Usage(
            name="PER_RACK_PER_DAY",
            used=orders.dispatched_since(tx, day, place=by_rack),
            limit=limits.per_rack_per_day,
        ),
        Usage(
            name="PER_CUSTOMER_PER_DAY",
            used=orders.dispatched_since(tx, day, place=by_customer),
            limit=limits.per_customer_per_day,
        ),
        Usage(
            name="FLEET_PER_DAY",
            used=orders.hosts_dispatched_since(tx, day, besides=host.id),
            limit=_share(hosts.count(tx), limits.fleet_percent_per_day),
        ),
    )


def reached(tx: Connection, limits: Limits, case: Case, *, now: datetime) -> tuple[str, ...]:
    """Names of the caps that one more dispatch would exceed; none once this order took its place."""
    if case.order is not None and case.order.dispatched_at is not None:
        return ()
    return tuple(each.name for each in usage(tx, limits, case, now=now) if each.is_reached)


def _share(hosts_on_record: int, percent: int) -> int:
    return max(1, hosts_on_record * percent // 100)
