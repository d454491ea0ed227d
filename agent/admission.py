"""May this order be obeyed here and now? Pure: what was seen comes in, an `Admission` or a refusal comes out.

Rules, after `certificate.delivery` has said that the order may be obeyed at all:
1. It names this boot (boot_id, configuration, boot_trust, deprovision, purpose) and an observer on the host.
2. At least three of its host facts agree with this machine, and none that this machine also reports differs.
   Placeholders count for neither side.
3. The drives are exactly those of the plan: one missing, one extra, or two alike refuse.
4. Each drive is as it was planned: transport, attachment, capacity, firmware, kind, exactly the encryption
   layers it was planned with, and not refused by the inventory. Storage that is not the machine's own is
   admitted like any other: by being named, as it is attached.
5. The techniques computed again from what each drive says now are those of the plan, at the order's floor.
6. No newer order was seen (fence), and one line of evidence can report all the drives.

Enforced elsewhere: token and one execution at a time (`acceptance`), expiry, signature, log and approvals
(`delivery`), and all that may change until a command is sent, once more, by `permit`.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection
from dataclasses import dataclass

from agent import host_facts
from agent.errors import Code
from agent.markers import MAX_MARKERS, RANDOM_POSITIONS
from agent.medium_evidence import MAX_RELEASED
from agent.run_directory import BootRecord, FenceRecord
from certificate import commitment, selection
from certificate.errors import Code as CertificateCode
from certificate.errors import Malformed, Refused
from certificate.messages import DriveReport, HostFactReport, SaltedMedium
from certificate.statements import Order, Seen
from certificate.statements.evidence import MAX_COMMANDS, HostFactSeen
from certificate.statements.medium import MIN_HOST_FACTS, HostFact
from certificate.statements.plan import PlannedMedium
from certificate.statements.vocabulary import HostFactKind, Observer, Technique

#: Evidence and annex of one execution travel in one session line (1 MiB): what would not fit is not begun,
#: because after the erase it would be too late. Measured, with room for longer names and codes.
EVIDENCE_BYTES = 1_000_000
DRIVE_BYTES, NAMESPACE_BYTES, MARKER_BYTES = 14_500, 500, 330
#: One command, one layer, and one thing that stands on a drive, of which evidence lists no more than a few.
COMMAND_BYTES, LAYER_BYTES, RELEASED_BYTES = 1_150, 600, 80
#: Techniques that may need a command for each namespace.
BY_NAMESPACE = (Technique.NVME_FORMAT_CRYPTO, Technique.NVME_FORMAT_USER_DATA)


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What was read of this machine just now, and the salts that open the order's commitments to it."""

    boot: BootRecord
    fence: FenceRecord
    host_facts: tuple[HostFactReport, ...]
    drives: tuple[DriveReport, ...]
    host_salt: str
    media_salts: tuple[SaltedMedium, ...]


@dataclass(frozen=True, kw_only=True)
class AdmittedMedium:
    """One medium of the plan and the drive it is. `drive`: position in `Machine.drives`."""

    planned: PlannedMedium
    drive: int
    salt: bytes


@dataclass(frozen=True, kw_only=True)
class Admission:
    """The order may be obeyed here: its media in the plan's order, and how the host was recognised."""

    media: tuple[AdmittedMedium, ...]
    host_facts: tuple[HostFactSeen, ...]


def admit(order: Order, machine: Machine) -> Admission:
    """Raises Refused with the first rule that is broken, in the order above."""
    _require_boot(order, machine.boot)
    facts = recognise(order, machine)
    media = match_drives(order, machine)
    if unexpected := unexpected_drives(media, machine):
        raise Refused(Code.DRIVE_UNEXPECTED, f"{len(unexpected)} drives of this machine stand in no order")
    for medium in media:
        _require_as_planned(order, medium, machine.drives[medium.drive])
    require_fence(order, machine.fence)
    return Admission(media=media, host_facts=facts)


def require_fence(order: Order, seen: FenceRecord) -> None:
    """Refuses an older order than the newest seen, and another one with the same fence: each has its own.

    Raises Refused(FENCE_STALE).
    """
    if order.fence < seen.highest or (order.fence == seen.highest and order.token != seen.token):
        raise Refused(Code.FENCE_STALE, f"fence {order.fence} after fence {seen.highest}")


def recognise(order: Order, machine: Machine) -> tuple[HostFactSeen, ...]:
    """Each fact that the order names, and whether this machine agrees.

    Raises Refused: HOST_MISMATCH when one differs, HOST_UNIDENTIFIED when fewer than three agree.
    """
    salt = _salt(machine.host_salt, "host")
    named = order.host.facts
    pairs = [(fact.kind.value, fact.commitment) for fact in named]
    whole = commitment.host_commitment(pairs)
    if not whole == order.host.commitment == order.plan.host_commitment:
        raise Refused(
            CertificateCode.PLAN_MISMATCH, "the plan is for another host than the order's facts say"
        )
    ours: dict[str, set[str]] = {}
    for report in machine.host_facts:
        if host_facts.counts(report.value):
            hidden = commitment.host_fact_commitment(salt=salt, kind=report.kind, value=report.value)
            ours.setdefault(report.kind, set()).add(hidden)
    seen = tuple(_agreement(fact, ours) for fact in named)
    differing = [fact.kind.value for fact in seen if fact.agrees is Seen.NO]
    if differing:
        raise Refused(Code.HOST_MISMATCH, f"this machine has another {', '.join(differing)}")
    agreeing: set[HostFactKind] = {fact.kind for fact in seen if fact.agrees is Seen.YES}
    if len(agreeing) < MIN_HOST_FACTS:
        raise Refused(Code.HOST_UNIDENTIFIED, f"{len(agreeing)} kinds of fact agree, {MIN_HOST_FACTS} must")
    return seen


def match_drives(order: Order, machine: Machine) -> tuple[AdmittedMedium, ...]:
    """The drive of each planned medium, by salted commitment.

    Raises Refused: TOO_MANY_DRIVES, DRIVE_DUPLICATE, DRIVE_MISSING, PLAN_MISMATCH (salts that are not the
    plan's).
    """
    planned = order.plan.media
    techniques = {name for medium in planned for name in medium.techniques}
    if (size := sum(evidence_bytes(drive, techniques) for drive in machine.drives)) > EVIDENCE_BYTES:
        raise Refused(Code.TOO_MANY_DRIVES, f"evidence of about {size} bytes, at most {EVIDENCE_BYTES}")
    salts = salts_of(machine.media_salts)
    names = [medium.commitment for medium in planned]
    if len(set(names)) != len(names) or len({drive.serial for drive in machine.drives}) != len(
        machine.drives
    ):
        raise Refused(Code.DRIVE_DUPLICATE, "one identity stands for two drives")
    if len(salts) != len(machine.media_salts) or set(salts) != set(names):
        raise Refused(CertificateCode.PLAN_MISMATCH, "the salts are not those of the plan's media")
    found: list[AdmittedMedium] = []
    for medium in planned:
        salt = salts[medium.commitment]
        index = find_drive(medium, salt, machine.drives)
        if index is None:
            raise Refused(Code.DRIVE_MISSING, f"medium {medium.commitment[:12]} of the plan is not here")
        found.append(AdmittedMedium(planned=medium, drive=index, salt=salt))
    if len({medium.drive for medium in found}) != len(found):
        raise Refused(Code.DRIVE_DUPLICATE, "two media of the plan are one drive")
    return tuple(found)


def evidence_bytes(drive: DriveReport, techniques: Collection[Technique]) -> int:
    """How much of an evidence line this drive will take at most, if each of `techniques` is tried: one marker
    share a namespace (`markers`), a command for each namespace where a technique needs that.
    """
    namespaces = len(drive.namespaces)
    marker_count = min(MAX_MARKERS, (RANDOM_POSITIONS + 2) * namespaces)
    commands = sum(max(1, namespaces) if name in BY_NAMESPACE else 1 for name in techniques)
    return (
        DRIVE_BYTES
        + NAMESPACE_BYTES * namespaces
        + MARKER_BYTES * marker_count
        + COMMAND_BYTES * min(MAX_COMMANDS, commands)
        + LAYER_BYTES * len(drive.layers)
        + RELEASED_BYTES * MAX_RELEASED
    )


def salts_of(entries: tuple[SaltedMedium, ...]) -> dict[str, bytes]:
    """The salts by commitment. Raises Malformed(LINE_INVALID)."""
    return {entry.commitment: _salt(entry.salt, "medium") for entry in entries}


def find_drive(planned: PlannedMedium, salt: bytes, drives: tuple[DriveReport, ...]) -> int | None:
    """The position of the drive that this medium is, None when no serial opens its commitment."""
    for index, drive in enumerate(drives):
        if not drive.serial.strip():
            continue
        hidden = commitment.medium_commitment(salt=salt, serial=drive.serial)
        if hmac.compare_digest(hidden, planned.commitment):
            return index
    return None


def unexpected_drives(media: tuple[AdmittedMedium, ...], machine: Machine) -> tuple[int, ...]:
    """Positions of the drives that no medium of the plan is."""
    named = {medium.drive for medium in media}
    return tuple(index for index in range(len(machine.drives)) if index not in named)


def _require_boot(order: Order, boot: BootRecord) -> None:
    if order.boot_id != boot.boot_id or order.plan.boot_id != boot.boot_id:
        raise Refused(CertificateCode.ORDER_FOR_ANOTHER_BOOT, "the order names another start of the agent")
    told = (order.boot_config_digest, order.boot_trust.value, order.deprovision, order.purpose.value)
    ours = (boot.config_digest, boot.boot_trust, boot.deprovision, boot.purpose)
    names = ("boot configuration", "boot_trust", "deprovision", "purpose")
    for name, wanted, is_ours in zip(names, told, ours, strict=True):
        if wanted != is_ours:
            raise Refused(Code.BOOT_MISMATCH, f"the order has another {name} than this boot")
    if order.observer is not Observer.ON_HOST:
        raise Refused(Code.BOOT_MISMATCH, f"this agent observes on the host, not {order.observer.value}")


def _agreement(fact: HostFact, ours: dict[str, set[str]]) -> HostFactSeen:
    of_kind = ours.get(fact.kind.value)
    agrees = Seen.NOT_OBSERVED if of_kind is None else Seen.that(fact.commitment in of_kind)
    return HostFactSeen(kind=fact.kind, agrees=agrees)


def _require_as_planned(order: Order, medium: AdmittedMedium, drive: DriveReport) -> None:
    planned, name = medium.planned, f"medium {medium.planned.commitment[:12]}"
    if drive.refused is not None:
        raise Refused(Code.DRIVE_REFUSED, f"{name}: {drive.refused}")
    is_as_planned = {
        "transport": planned.transport.value == drive.transport,
        "attachment": planned.attachment.value == drive.attachment,
        "capacity": planned.capacity_bytes == drive.capacity_bytes,
        "firmware": planned.firmware == drive.firmware,
        "encryption layers": _layers_planned(planned) == _layers_found(drive),
    }
    if changed := [what for what, holds in is_as_planned.items() if not holds]:
        raise Refused(Code.DRIVE_CHANGED, f"{name}: {', '.join(changed)} not as planned")
    capabilities = selection.capabilities(drive)
    techniques = selection.select(
        capabilities, order.plan.floor, overwrite=order.plan.overwrite, escrow=order.escrow
    )
    if techniques != planned.techniques or selection.media_kind(capabilities) is not planned.kind:
        chosen = ", ".join(technique.value for technique in techniques)
        raise Refused(CertificateCode.SELECTION_DIFFERS, f"{name}: this drive now gives {chosen}")


def _layers_planned(planned: PlannedMedium) -> list[tuple[str, int, int]]:
    return [(layer.kind.value, layer.nsid, layer.offset_bytes) for layer in planned.layers]


def _layers_found(drive: DriveReport) -> list[tuple[str, int, int]]:
    return [(layer.kind, layer.nsid, layer.offset_bytes) for layer in drive.layers]


def _salt(text: str, what: str) -> bytes:
    try:
        salt = bytes.fromhex(text)
    except ValueError:
        salt = b""
    if len(salt) != commitment.SALT_BYTES:
        raise Malformed(CertificateCode.LINE_INVALID, f"the {what} salt is not 32 bytes in hexadecimal")
    return salt
