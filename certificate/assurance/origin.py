"""Rules 1 to 3 and 8: the evidence as a whole. Whose, of which host and boot, and all of it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator

from certificate.reasons import Reason
from certificate.statements.evidence import Evidence
from certificate.statements.medium import MIN_HOST_FACTS
from certificate.statements.order import Order
from certificate.statements.statement import Seen
from certificate.statements.vocabulary import BootTrust, Observer


def reasons(order: Order, evidence: Evidence) -> Iterator[Reason]:
    """What lowers the claims of every medium of this evidence."""
    yield from _of_this_order(order, evidence)
    yield from _of_this_host(order, evidence)
    yield from _boot_caps(order)


def _of_this_order(order: Order, evidence: Evidence) -> Iterator[Reason]:
    answers = (evidence.order, evidence.token, evidence.hello_nonce, evidence.boot_config_digest)
    if answers != (order.order, order.token, order.hello_nonce, order.boot_config_digest):
        yield Reason.ANOTHER_ORDER
    key_digest = hashlib.sha256(bytes.fromhex(evidence.agent_key)).hexdigest()
    is_same_boot = evidence.boot_id == order.boot_id == key_digest
    if not is_same_boot or evidence.observer is not order.observer:
        yield Reason.ANOTHER_BOOT
    if evidence.purpose is not order.purpose:
        yield Reason.ANOTHER_PURPOSE
    clock = evidence.clock
    lived_ms = clock.accepted_at_ms - clock.hello_at_ms
    if not 0 <= lived_ms < order.valid_for_s * 1000 or clock.finished_at_ms < clock.accepted_at_ms:
        yield Reason.ORDER_OUTLIVED
    if evidence.boot_secret_held is not Seen.YES:
        yield Reason.BOOT_SECRET_NOT_HELD


def _of_this_host(order: Order, evidence: Evidence) -> Iterator[Reason]:
    named = Counter(fact.kind for fact in order.host.facts)
    seen = Counter(fact.kind for fact in evidence.host_facts)
    all_agree = all(fact.agrees is Seen.YES for fact in evidence.host_facts)
    if seen != named or len(named) < MIN_HOST_FACTS or not all_agree:
        yield Reason.HOST_NOT_IDENTIFIED
    ordered = {medium.commitment for medium in order.plan.media}
    listed = Counter(entry.medium.commitment for entry in evidence.media)
    places = {residue.name for residue in evidence.residue}
    if ordered - set(listed) or set(order.plan.residue) - places:
        yield Reason.EVIDENCE_INCOMPLETE
    if any(count > 1 for count in listed.values()):
        yield Reason.MEDIUM_REPEATED
    if evidence.unexpected_media_count != 0 or set(listed) - ordered:
        yield Reason.UNEXPECTED_MEDIA


def _boot_caps(order: Order) -> Iterator[Reason]:
    match order.boot_trust:
        case BootTrust.VIRTUAL_MEDIA:
            return
        case BootTrust.NETWORK:
            yield Reason.BOOT_NETWORK
        case BootTrust.INSTALLED if order.observer is Observer.BESIDE or _was_never_let(order):
            return
        case _:
            yield Reason.BOOT_TENANT_OS


def _was_never_let(order: Order) -> bool:
    """The host is the provider's own, and a complete list of its tenancies was seen to be empty."""
    tenancies = order.basis.tenancies
    return (
        order.basis.disposition in ("stock", "internal")
        and order.plan.tenancy_ref == "not_applicable"
        and tenancies.is_complete is Seen.YES
        and tenancies.count == 0
    )
