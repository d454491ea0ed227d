"""What people signed, as it travels with an order to its agent and in a bundle to a stranger.

Rules: exactly the approvals and declarations that the order's own basis names, and the enrolments that lead
to their signers; no others that came for the same plan. A named one that is not in the store refuses: the
agent would refuse the order anyway.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection

from certificate import envelope as dsse
from certificate.errors import Refused
from certificate.statements import Order
from certificate.statements import statement as statements
from certificate.trust import TrustRoot
from controller.errors import Code
from controller.people.roster import enrolments_for
from controller.store import decisions, plans
from controller.store.orders import StoredOrder


@dataclass(frozen=True, kw_only=True)
class Travelling:
    """Envelopes, each list in an order of its own."""

    approvals: tuple[bytes, ...]
    enrolments: tuple[bytes, ...]
    #: That the host was never let; empty where a tenancy ended.
    declarations: tuple[bytes, ...]


def with_order(
    tx: Connection, trust: TrustRoot, order: StoredOrder, *, besides: Iterable[str] = ()
) -> Travelling:
    """`besides`: fingerprints of others whose decisions stand in a bundle. Raises Refused(NOT_IN_STORE) where
    a statement that the basis names is gone.
    """
    basis = statements.read(dsse.read(order.envelope).payload, Order).predicate.basis
    people = {reference.keyid for reference in (*basis.approvals, *basis.decisions)} | set(besides)
    return Travelling(
        approvals=tuple(_approval(tx, reference.digest) for reference in basis.approvals),
        enrolments=enrolments_for(tx, trust, people),
        declarations=tuple(decisions.load(tx, each.digest).envelope for each in basis.decisions),
    )


def _approval(tx: Connection, digest: str) -> bytes:
    found = plans.approval_by_digest(tx, digest)
    if found is None:
        raise Refused(Code.NOT_IN_STORE, f"no approval has the digest {digest}")
    return found.envelope
