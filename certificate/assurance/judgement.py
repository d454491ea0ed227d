"""Judgement: every rule is asked, and every reason is kept."""

from __future__ import annotations

from certificate.assurance import claim, markers, medium, origin, sanitize
from certificate.reasons import Reason
from certificate.statements.evidence import Evidence
from certificate.statements.order import Order
from certificate.statements.outcome import Claim
from certificate.statements.vocabulary import Technique


def judge(*, order: Order, evidence: Evidence, commitment: str) -> Claim:
    """What may be claimed of the medium `commitment`. Never raises: what is missing lowers the claim."""
    reasons = [
        *origin.of_this_order(order, evidence),
        *origin.of_this_host(order, evidence),
        *origin.boot_caps(order),
    ]
    planned = [each for each in order.plan.media if each.commitment == commitment]
    entries = [entry for entry in evidence.media if entry.medium.commitment == commitment]
    if not planned:
        reasons.append(Reason.MEDIUM_NOT_ORDERED)
    if not entries:
        reasons.append(Reason.MEDIUM_MISSING)
    if not planned or not entries:
        return claim.make(reasons, technique=None, order=order, evidence=evidence, entry=None)
    entry = entries[0]
    technique = entry.commands[-1].technique if entry.commands else None
    reasons += medium.as_planned(planned[0], entry)
    reasons += medium.facts(entry)
    reasons += sanitize.commands(planned[0], entry)
    reasons += markers.reasons(entry)
    if technique is Technique.NVME_SANITIZE_CRYPTO and order.escrow == "known":
        reasons.append(Reason.ESCROW_KNOWN)
    if technique is Technique.NVME_SANITIZE_BLOCK:
        reasons.append(Reason.BLOCK_ERASE_SHOWS_NO_KEY)
    return claim.make(reasons, technique=technique, order=order, evidence=evidence, entry=entry)
