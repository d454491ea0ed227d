"""Judgement: every rule is asked, and every reason is kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from certificate.assurance import claim, commands, layers, markers, medium, origin, read_back
from certificate.assurance.case import CRYPTOGRAPHIC, HOST_OVERWRITES, Case
from certificate.reasons import Effect, Reason
from certificate.statements.evidence import Evidence
from certificate.statements.order import Order
from certificate.statements.outcome import Claim
from certificate.statements.vocabulary import Escrow, Technique

#: What destroys a key and leaves the data, or may do so: a copy of that key opens it again. A drive may carry
#: out a user data erase as a cryptographic one where all that it holds is encrypted (Base 2.0, 5.14, SES 1).
DESTROYS_A_KEY: Final = CRYPTOGRAPHIC | {Technique.LUKS, Technique.NVME_FORMAT_USER_DATA}


def judge(*, order: Order, evidence: Evidence, commitment: str) -> Claim:
    """What may be claimed of the medium `commitment`. Never raises: what is missing lowers the claim."""
    reasons = list(origin.reasons(order, evidence))
    planned = [each for each in order.plan.media if each.commitment == commitment]
    entries = [entry for entry in evidence.media if entry.medium.commitment == commitment]
    if not planned:
        reasons.append(Reason.MEDIUM_NOT_ORDERED)
    if not entries:
        reasons.append(Reason.MEDIUM_MISSING)
    if not planned or not entries:
        return claim.make(reasons, order=order, evidence=evidence, case=None)
    case = Case(order=order, evidence=evidence, planned=planned[0], entry=entries[0])
    reasons += medium.reasons(case)
    reasons += commands.reasons(case)
    reasons += markers.reasons(case)
    reasons += read_back.reasons(case)
    reasons += layers.reasons(case)
    reasons += _of_technique(case.technique, order)
    reasons += _without_report(case.technique, reasons)
    return claim.make(reasons, order=order, evidence=evidence, case=case)


def without_evidence(*, order: Order, commitment: str) -> Claim:
    """What may be claimed of the medium `commitment` after an attempt of which no evidence came (rule 11).
    Never raises, and never more than inconclusive: no technique was seen.
    """
    reasons = [Reason.NO_EVIDENCE]
    if commitment not in {each.commitment for each in order.plan.media}:
        reasons.append(Reason.MEDIUM_NOT_ORDERED)
    return claim.make(reasons, order=order, evidence=None, case=None)


def _of_technique(technique: Technique | None, order: Order) -> Iterator[Reason]:
    if technique in DESTROYS_A_KEY and order.escrow is Escrow.KNOWN:
        yield Reason.ESCROW_KNOWN
    if technique is Technique.NVME_SANITIZE_BLOCK:
        yield Reason.BLOCK_ERASE_SHOWS_NO_KEY
    if technique is Technique.NVME_FORMAT_USER_DATA:
        yield Reason.USER_DATA_ERASE_SHOWS_NO_KEY


def _without_report(technique: Technique | None, reasons: list[Reason]) -> list[Reason]:
    """Rule 7: what caps a device's claim at its own report leaves a host's with nothing."""
    is_capped = any(reason.effect is Effect.AT_MOST_DEVICE_REPORTED for reason in reasons)
    return [Reason.HOST_HAS_NO_REPORT] if technique in HOST_OVERWRITES and is_capped else []
