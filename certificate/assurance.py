"""Assurance: from order and evidence to what may honestly be claimed of one medium. Pure, and never raises.

`judge` starts from the strongest claim the technique allows and collects every reason against it
(`reasons.Reason`); a reason only lowers. Nothing is believed that can be decoded again: commands and status
logs are read here from their raw words.

1.  The evidence answers this order: id, token, hello, configuration, purpose; it is of the boot and the key
    that the order names, and that boot held its secret. (Digests and signatures: `verify`, before this.)
2.  Every identifying fact the order names was seen to agree, at least three. One not observed counts as one
    that disagrees, or else not to look would pay.
3.  Every medium and place the order names has exactly one entry, and no other storage was found. A dead drive
    with its entry spoils no other; a missing entry spoils all, because nobody knows what else is missing.
4.  The medium was present, opened exclusively, the same before and after, as planned, writable and readable;
    its own word offers the technique; every namespace is covered, and namespaces and unallocated capacity
    together are the whole capacity, so that a namespace nobody listed shows.
5.  The commands are the plan's techniques from the first on, each after the refusal or failure of the one
    before; the last is judged. It was the Sanitize opcode with the technique's action, its start was
    acknowledged, its completion was success, it did not time out.
6.  The drive's status afterwards is a success (SSTAT 1 or 4) of exactly our CDW10, with Global Data Erased,
    and is not the status from before: an unchanged one proves nothing, unless markers were committed in
    every namespace and every one, seen on the medium before, changed.
7.  The markers open the commitment that the controller acknowledged, and are as many as were committed. A
    listed namespace with fewer than three, at different offsets, is at most device-reported: one that is not
    attached cannot be marked, one below three pages has no room. By reading, after a cryptographic erase:
        pseudorandom   evidence of a changed key, if about half of the bits changed
        zero, constant unmapping shows the same: at most device-reported
        unchanged      `not_erased`, whatever the drive says
        unreadable     at most inconclusive: no technique here has a capability word that predicts it
        not_applicable, not_observed   at most inconclusive
    A block erase is device-reported at most; `unchanged` is `not_erased` there too.
8.  boot_trust caps: `network` at most clear; `tenant_os` at most inconclusive; `installed` as tenant_os, but
    not for an agent beside the machine or on a host that never had a tenant. Media keys known to be escrowed:
    a cryptographic erase is at most inconclusive (SP 800-88r2, 3.2.2); not knowing is said in `limits`.
9.  A claim below the order's floor is inconclusive. A refused or failed command, or an unchanged marker, is
    `not_erased`. Recorded errors and a read-back that differs are at most inconclusive, but where the plan's
    next technique followed a failure, the codes of that failure are explained.
Sources: DESIGN.md, "What is claimed"; FORMATS.md, "boot_trust and what it caps"; erasure.md, 2.4 and 3.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from certificate import sanitize_words
from certificate.commitment import markers_digest
from certificate.errors import Code, Refused
from certificate.reasons import Effect, Reason
from certificate.sanitize_words import SanitizeAction, SanitizeState, SanitizeStatus, Submission, Unreadable
from certificate.selection import METHODS, SANICAP_BLOCK_ERASE, SANICAP_CRYPTO_ERASE
from certificate.statements.evidence import Command, Evidence, Marker, Markers, MediumEvidence
from certificate.statements.medium import MIN_HOST_FACTS
from certificate.statements.order import Order
from certificate.statements.outcome import Claim
from certificate.statements.plan import PlannedMedium
from certificate.statements.statement import NOT_OBSERVED, Seen
from certificate.statements.summary import MediumSummary
from certificate.statements.vocabulary import (
    BootTrust,
    DeviceClass,
    Grade,
    MarkerReading,
    Method,
    Observer,
    Result,
    Technique,
    WhatBecame,
)

__all__ = ["Effect", "Reason", "judge", "may_release", "strength", "what_became", "worst"]

#: One logical block. Shorter markers could agree with anything by chance.
MIN_MARKER_BYTES = 512
#: Room for the first block, the last and one between.
MIN_MARKERS_PER_NAMESPACE = 3
#: Half of the bits, give or take one sixteenth: 8 standard deviations for the shortest marker (4096 bits).
HALF_65536THS = 32_768
HALF_TOLERANCE_65536THS = 4_096

#: What no evidence of this release can show, so every claim says it.
CELLS_LIMIT: Final = "Markers show that the logical content changed, not that every cell of the medium did."
FIRMWARE_LIMIT: Final = "The drive's firmware is trusted to have done what its status reports."
START_LIMIT: Final = (
    "How the machine was started is as the provider declares it; the machine itself has not vouched for it."
)
REPORTED_LIMIT: Final = (
    "The drive's own report is the ground; no markers show a changed key in all of the medium."
)
KEY_LIMIT: Final = (
    "Strength, origin and module validation of the media key, and that nothing was stored before it existed, "
    "were not observed."
)
COPIES_LIMIT: Final = (
    "Copies outside this medium are not covered: backups, replicas, snapshots, and copies of keys or of"
    " encryption headers."
)
ESCROW_LIMIT: Final = "It is not known whether a copy of the media key exists outside the drive."
UNALLOCATED_LIMIT: Final = "Capacity in no namespace holds no marker: of it only the drive's word is known."
ATTACHED_LIMIT: Final = "The agent was restarted during the erase and observed its end only."

#: What an agent records of a technique that the drive refused or failed, before it sends the plan's next.
FALLBACK_ERRORS: Final = frozenset({"DEVICE_STATUS", "SANITIZE_FAILED"})

SANICAP: Final = "SANICAP"
_ACTIONS: Final = {
    Technique.NVME_SANITIZE_CRYPTO: SanitizeAction.CRYPTO_ERASE,
    Technique.NVME_SANITIZE_BLOCK: SanitizeAction.BLOCK_ERASE,
}
_CAPABILITY_BITS: Final = {
    Technique.NVME_SANITIZE_CRYPTO: SANICAP_CRYPTO_ERASE,
    Technique.NVME_SANITIZE_BLOCK: SANICAP_BLOCK_ERASE,
}
_CHANGED: Final = (MarkerReading.PSEUDORANDOM, MarkerReading.ZERO, MarkerReading.CONSTANT)


def judge(*, order: Order, evidence: Evidence, commitment: str) -> Claim:
    """What may be claimed of the medium `commitment`. Never raises: what is missing lowers the claim."""
    reasons = [*_of_this_order(order, evidence), *_of_this_host(order, evidence), *_boot_caps(order)]
    planned = [medium for medium in order.plan.media if medium.commitment == commitment]
    entries = [entry for entry in evidence.media if entry.medium.commitment == commitment]
    if not planned:
        reasons.append(Reason.MEDIUM_NOT_ORDERED)
    if not entries:
        reasons.append(Reason.MEDIUM_MISSING)
    if not planned or not entries:
        return _claim(reasons, technique=None, order=order, evidence=evidence, entry=None)
    entry = entries[0]
    technique = entry.commands[-1].technique if entry.commands else None
    reasons += _as_planned(planned[0], entry)
    reasons += _medium_facts(entry)
    reasons += _commands(planned[0], entry)
    reasons += _markers(entry)
    if technique is Technique.NVME_SANITIZE_CRYPTO and order.escrow == "known":
        reasons.append(Reason.ESCROW_KNOWN)
    if technique is Technique.NVME_SANITIZE_BLOCK:
        reasons.append(Reason.BLOCK_ERASE_SHOWS_NO_KEY)
    return _claim(reasons, technique=technique, order=order, evidence=evidence, entry=entry)


def strength(claim: Claim) -> int:
    """A total order of claims: 0 for what is not `erased`, then by method, then by grade."""
    if claim.result is not Result.ERASED:
        return 0
    return 1 + list(Method).index(claim.method) * len(Grade) + list(Grade).index(claim.grade)


def worst(claims: Iterable[Claim]) -> Claim:
    """The weakest of these claims, `not_erased` before `inconclusive`: what may be said of the host.

    Raises Refused(INCOMPLETE_SET) for none: over nothing, everything would be erased.
    """
    ranked = sorted(claims, key=lambda claim: (strength(claim), list(Result).index(claim.result)))
    if not ranked:
        raise Refused(Code.INCOMPLETE_SET, "no claims, so nothing may be said of the host")
    return ranked[0]


def what_became(claim: Claim) -> WhatBecame:
    """The summary's word for a medium with this claim."""
    if claim.result is Result.ERASED:
        return WhatBecame.DESTROYED if claim.method is Method.DESTROY else WhatBecame.ERASED
    return WhatBecame(claim.result.value)


def may_release(media: Iterable[MediumSummary]) -> bool:
    """Whether a host with these media may go back: each erased, or out of it by a recorded decision.

    False for no media. That the decision was two people's is the controller's to hold.
    """
    became = list(media)
    return bool(became) and all(
        medium.became is WhatBecame.ERASED
        or (
            medium.became in (WhatBecame.REMOVED, WhatBecame.DESTROYED, WhatBecame.OPEN_EXCEPTION)
            and medium.decision_digest != "not_applicable"
        )
        for medium in became
    )


# --- rules 1 to 3 and 8: the evidence as a whole ------------------------------------------------------------


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
    listed = Counter(entry.medium.commitment for entry in evidence.media)
    places = {residue.name for residue in evidence.residue}
    if {medium.commitment for medium in order.plan.media} - set(listed) or set(order.plan.residue) - places:
        yield Reason.EVIDENCE_INCOMPLETE
    if any(count > 1 for count in listed.values()):
        yield Reason.MEDIUM_REPEATED
    if evidence.unexpected_media_count != 0:
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


# --- rule 4: the medium -------------------------------------------------------------------------------------


def _as_planned(planned: PlannedMedium, entry: MediumEvidence) -> Iterator[Reason]:
    compared = (
        (planned.transport, entry.medium.transport),
        (planned.capacity_bytes, entry.medium.capacity_bytes),
        (planned.firmware, entry.medium.firmware),
    )
    if any(plan != NOT_OBSERVED and plan != found for plan, found in compared):
        yield Reason.MEDIUM_DIFFERS


def _medium_facts(entry: MediumEvidence) -> Iterator[Reason]:
    needed = (
        (entry.was_present, Seen.YES, Reason.NOT_PRESENT),
        (entry.opened_exclusively, Seen.YES, Reason.NOT_EXCLUSIVE),
        (entry.same_identity_after, Seen.YES, Reason.IDENTITY_CHANGED),
        (entry.is_readable_after, Seen.YES, Reason.NOT_READABLE),
        (entry.is_write_protected, Seen.NO, Reason.WRITE_PROTECTED),
    )
    yield from (reason for fact, wanted, reason in needed if fact is not wanted)
    if any(namespace.is_covered is not Seen.YES for namespace in entry.namespaces):
        yield Reason.NAMESPACE_NOT_COVERED
    if not _is_whole_capacity(entry):
        yield Reason.CAPACITY_UNACCOUNTED
    if entry.read_back != "not_applicable":
        yield Reason.READ_BACK_DIFFERS
    explained = FALLBACK_ERRORS if len(entry.commands) > 1 else frozenset()
    if set(entry.errors) - explained:
        yield Reason.ERRORS_SEEN


def _is_whole_capacity(entry: MediumEvidence) -> bool:
    parts = [namespace.capacity_bytes for namespace in entry.namespaces]
    parts.append(entry.unallocated_capacity_bytes)
    counted = [part for part in parts if isinstance(part, int)]
    return len(counted) == len(parts) and sum(counted) == entry.medium.capacity_bytes


# --- rules 5 and 6: the command and the drive's own status --------------------------------------------------


def _commands(planned: PlannedMedium, entry: MediumEvidence) -> Iterator[Reason]:
    if not entry.commands:
        yield Reason.NO_COMMAND
        return
    sent = tuple(command.technique for command in entry.commands)
    earlier_failed = all(_has_failed(command) for command in entry.commands[:-1])
    if sent != planned.techniques[: len(sent)] or not earlier_failed:
        yield Reason.COMMAND_NOT_PLANNED
    command = entry.commands[-1]
    if not _is_offered(command.technique, entry):
        yield Reason.CAPABILITY_NOT_SHOWN
    if command.start_acknowledged is not Seen.YES:
        yield Reason.START_NOT_ACKNOWLEDGED
    if command.timed_out is not Seen.NO:
        yield Reason.TIMED_OUT
    yield from _completion(command)
    yield from _status(command, entry)


def _is_offered(technique: Technique, entry: MediumEvidence) -> bool:
    words = [word.raw for word in entry.capabilities if word.field == SANICAP]
    if len(words) != 1 or words[0] == NOT_OBSERVED or len(words[0]) != 8:
        return False
    return bool(int.from_bytes(bytes.fromhex(words[0]), "little") & _CAPABILITY_BITS[technique])


def _completion(command: Command) -> Iterator[Reason]:
    try:
        refused = sanitize_words.completion_status(command.completion_status) != 0
    except Unreadable:
        refused = False
        yield Reason.COMPLETION_NOT_SEEN
    if refused or command.was_accepted is Seen.NO:
        yield Reason.COMMAND_REFUSED
    if command.was_accepted is Seen.NOT_OBSERVED:
        yield Reason.COMPLETION_NOT_SEEN


def _status(command: Command, entry: MediumEvidence) -> Iterator[Reason]:
    try:
        submission = Submission.parse(command.submission)
    except Unreadable:
        submission = None
        yield Reason.SUBMISSION_NOT_SEEN
    try:
        after = SanitizeStatus.parse(command.status_log_after)
    except Unreadable:
        yield Reason.STATUS_NOT_SEEN
        return
    if after.state == SanitizeState.FAILED:
        yield Reason.SANITIZE_FAILED
    elif not after.has_succeeded:
        yield Reason.SANITIZE_NOT_ENDED
    if not after.is_global_data_erased:
        yield Reason.WRITTEN_AFTERWARDS
    if submission is not None:
        wanted = (sanitize_words.OPCODE_SANITIZE, _ACTIONS[command.technique])
        if (submission.opcode, submission.action) != wanted:
            yield Reason.SUBMISSION_DIFFERS
        if submission.dword10 != after.dword10:
            yield Reason.STATUS_OF_ANOTHER_COMMAND
    if not _has_changed(command) and not _markers_show_change(entry):
        yield Reason.STATUS_UNCHANGED


def _has_changed(command: Command) -> bool:
    """The status log differs from the readable one of right before the start."""
    try:
        SanitizeStatus.parse(command.status_log_before)
    except Unreadable:
        return False
    return command.status_log_before != command.status_log_after


def _has_failed(command: Command) -> bool:
    """The drive itself said that this command was refused or failed: only then may the next one follow."""
    if Reason.COMMAND_REFUSED in _completion(command):
        return True
    try:
        return SanitizeStatus.parse(command.status_log_after).state == SanitizeState.FAILED
    except Unreadable:
        return False


# --- rule 7: the markers ------------------------------------------------------------------------------------


def _markers(entry: MediumEvidence) -> Iterator[Reason]:
    committed = entry.markers
    if not _is_opened(committed) or committed.was_acknowledged is not Seen.YES:
        yield Reason.MARKERS_NOT_COMMITTED
    namespaces = {namespace.nsid for namespace in entry.namespaces}
    places = {(marker.nsid, marker.offset_bytes) for marker in committed.markers}
    is_counted = committed.committed_count == len(committed.markers) == len(places)
    if not is_counted or {nsid for nsid, _ in places} - namespaces:
        yield Reason.MARKERS_INCOMPLETE
    if not committed.markers:
        yield Reason.NO_MARKERS
    elif _is_sparse(entry, MIN_MARKERS_PER_NAMESPACE):
        yield Reason.MARKERS_TOO_FEW
    found = {reason for marker in committed.markers for reason in _marker(marker)}
    yield from (reason for reason in Reason if reason in found)


def _is_sparse(entry: MediumEvidence, wanted_count: int) -> bool:
    """A listed namespace holds fewer markers at different offsets, or is listed twice and hides another."""
    # One of no size holds nothing; counting it would make leaving it out pay.
    listed = [namespace.nsid for namespace in entry.namespaces if namespace.capacity_bytes != 0]
    places = {(marker.nsid, marker.offset_bytes) for marker in entry.markers.markers}
    held = Counter(nsid for nsid, _ in places)
    return len(set(listed)) < len(listed) or any(held[nsid] < wanted_count for nsid in listed)


def _is_opened(committed: Markers) -> bool:
    if committed.nonce == NOT_OBSERVED or committed.committed_digest == NOT_OBSERVED:
        return False
    opened = markers_digest(
        nonce=bytes.fromhex(committed.nonce),
        markers=(
            (marker.nsid, marker.offset_bytes, marker.length_bytes, marker.content_sha256)
            for marker in committed.markers
        ),
    )
    return opened == committed.committed_digest


def _marker(marker: Marker) -> Iterator[Reason]:
    if marker.read_back_before is not Seen.YES:
        yield Reason.MARKER_NOT_READ_BACK
    match marker.reading_after:
        case MarkerReading.UNCHANGED:
            yield Reason.MARKER_UNCHANGED
        case MarkerReading.PSEUDORANDOM | MarkerReading.ZERO | MarkerReading.CONSTANT:
            if not _is_plausible(marker):
                yield Reason.MARKER_IMPLAUSIBLE
            if marker.reading_after is not MarkerReading.PSEUDORANDOM:
                yield Reason.MARKER_READS_CONSTANT
        case _:
            yield Reason.MARKER_NOT_READ


def _is_plausible(marker: Marker) -> bool:
    """About half of the bits of a random marker differ from any content made without it."""
    changed = marker.changed_65536ths
    is_half = isinstance(changed, int) and abs(changed - HALF_65536THS) <= HALF_TOLERANCE_65536THS
    return is_half and marker.length_bytes >= MIN_MARKER_BYTES


def _markers_show_change(entry: MediumEvidence) -> bool:
    markers = entry.markers.markers
    have_all_changed = all(
        marker.read_back_before is Seen.YES and marker.reading_after in _CHANGED and _is_plausible(marker)
        for marker in markers
    )
    return bool(markers) and have_all_changed and not _is_sparse(entry, 1)


# --- rule 9 and the sum -------------------------------------------------------------------------------------


def _claim(
    reasons: list[Reason],
    *,
    technique: Technique | None,
    order: Order,
    evidence: Evidence,
    entry: MediumEvidence | None,
) -> Claim:
    effects = {reason.effect for reason in reasons}
    method, grade = Method.NONE, Grade.NONE
    if technique is not None:
        method = Method.CLEAR if Effect.AT_MOST_CLEAR in effects else METHODS[technique]
        is_capped = Effect.AT_MOST_DEVICE_REPORTED in effects
        grade = Grade.DEVICE_REPORTED if is_capped else Grade.MARKER_PROVEN
        if list(Method).index(method) < list(Method).index(order.plan.floor):
            reasons.append(Reason.BELOW_FLOOR)
            effects.add(Effect.DOUBTS)
    result = Result.ERASED
    if effects & {Effect.CONTRADICTS, Effect.DOUBTS}:
        result = Result.NOT_ERASED if Effect.CONTRADICTS in effects else Result.INCONCLUSIVE
        method, grade = Method.NONE, Grade.NONE
    return Claim(
        result=result,
        method=method,
        technique="not_applicable" if technique is None else technique,
        grade=grade,
        reasons=tuple(reason.value for reason in Reason if reason in reasons),
        limits=tuple(_limits(technique, grade, order, entry, evidence)),
    )


def _limits(
    technique: Technique | None, grade: Grade, order: Order, entry: MediumEvidence | None, evidence: Evidence
) -> Iterator[str]:
    yield CELLS_LIMIT
    yield FIRMWARE_LIMIT
    yield START_LIMIT
    yield COPIES_LIMIT
    if grade is Grade.DEVICE_REPORTED:
        yield REPORTED_LIMIT
    if technique is Technique.NVME_SANITIZE_CRYPTO:
        yield KEY_LIMIT
        if order.escrow != "none":
            yield ESCROW_LIMIT
    if evidence.was_attached is not Seen.NO:
        yield ATTACHED_LIMIT
    if entry is None:
        return
    if entry.medium.device_class is not DeviceClass.PHYSICAL:
        yield f"The medium is of class {entry.medium.device_class.value}: nothing is shown of a real drive."
    if entry.unallocated_capacity_bytes != 0:
        yield UNALLOCATED_LIMIT
    for area in entry.unaddressed_areas:
        yield f"No command of this order reaches: {area}."
