"""Where a medium was let, as documents say it: keyed pseudonyms; what is not on record is not observed."""

from __future__ import annotations

from sqlalchemy import Connection

from certificate.statements.outcome import Custody
from certificate.statements.statement import NOT_OBSERVED
from controller.program import Program
from controller.store import tenancies
from controller.store.hosts import Host
from controller.store.tenancies import Tenancy


def custody_of(
    tx: Connection, program: Program, host: Host, tenancy: Tenancy | None, *, data_class: str
) -> Custody:
    """Of a medium of this host that was let to `tenancy`; None for a host that was never let."""
    allocation = None if tenancy is None else tenancies.allocation_of(tx, tenancy.id)
    names = program.pseudonyms
    return Custody(
        site_ref=names.place(host.site),
        asset_ref=names.place(host.asset_tag),
        tenant_ref=host.customer_ref or "not_applicable",
        subscription_ref="not_applicable" if tenancy is None else tenancy.subscription_ref,
        tenancy_ref="not_applicable" if tenancy is None else tenancy.tenancy_ref,
        allocation_ref=NOT_OBSERVED if allocation is None else allocation.payload_digest,
        media_source=NOT_OBSERVED,
        data_class=data_class,
    )
