"""Which namespaces the commands of a medium were seen to reach, and which parts of it none of them reaches.

Rules: an accepted command has begun at most, so that one took place is shown by nothing less than the drive's
own log of a success of this very command (Sanitize), by its completion (Format, which blocks until it is
over), or by the host's own count of every byte; what was not seen was not observed; only the technique that
came last counts, because it followed on the failure of the one before.

Sources: NVM Express Base 2.0, 5.14 (Format NVM: NSID bytes 7:4 of the command, FFFFFFFFh for all; FNA bit 1:
a secure erase reaches all), 5.24 (Sanitize reaches each namespace of the subsystem, and not the replay
protected memory), figure "Identify Controller" (RPMBS, bits 2:0: number of units); from memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from certificate.messages import DriveReport, NamespaceReport
from certificate.sanitize_words import SanitizeStatus, Submission, Unreadable
from certificate.statements import Seen
from certificate.statements.evidence import Command, Overwrite
from certificate.statements.statement import NOT_OBSERVED
from certificate.statements.vocabulary import Technique, Transport

OPCODE_FORMAT: Final = 0x80
ALL_NAMESPACES: Final = 0xFFFFFFFF
#: FNA bit 1.
ERASES_EVERY_NAMESPACE: Final = 1 << 1
FORMATS: Final = (Technique.NVME_FORMAT_CRYPTO, Technique.NVME_FORMAT_USER_DATA)
OVERWRITES: Final = (Technique.OVERWRITE_KEYSTREAM, Technique.OVERWRITE_ZERO)
RPMB_AREA: Final = "replay protected memory block"
SPARE_AREA: Final = "spare and retired blocks"
#: A virtual disk or a file lies on storage of somebody else's.
BENEATH_AREA: Final = "storage beneath this medium, and its copies"


def is_covered(
    namespace: NamespaceReport, commands: Sequence[Command], words: Mapping[str, str], *, capacity_bytes: int
) -> Seen:
    """Whether the last technique was seen to reach `namespace`. `words`: capabilities as sent, by name;
    `capacity_bytes`: of all attached namespaces.
    """
    if not commands:
        return Seen.NOT_OBSERVED
    last = [command for command in commands if command.technique is commands[-1].technique]
    if commands[-1].technique in OVERWRITES:
        is_whole = namespace.is_attached and _wrote_all(last[-1].overwrite, capacity_bytes)
    elif commands[-1].technique in FORMATS:
        is_wide = _erases_every_namespace(words)
        is_whole = namespace.is_attached and any(_formatted(each, namespace.nsid, is_wide) for each in last)
    else:
        is_whole = _sanitized(last[-1])
    return Seen.YES if is_whole else Seen.NOT_OBSERVED


def unaddressed(report: DriveReport | None, commands: Sequence[Command]) -> Iterator[str]:
    """Parts that no command of this order reaches."""
    is_nvme = report is None or report.transport == Transport.NVME.value
    if is_nvme:
        words = {} if report is None else {word.field: word.raw for word in report.capabilities}
        raw = words.get("RPMBS", NOT_OBSERVED)
        if raw == NOT_OBSERVED:
            yield f"{RPMB_AREA} ({NOT_OBSERVED})"
        elif bytes.fromhex(raw)[0] & 0b111:
            yield RPMB_AREA
    if not is_nvme or (commands and commands[-1].technique in OVERWRITES):
        yield SPARE_AREA
    if not is_nvme:
        yield BENEATH_AREA


def _sanitized(command: Command) -> bool:
    try:
        sent, after = Submission.parse(command.submission), SanitizeStatus.parse(command.status_log_after)
    except Unreadable:
        return False
    has_ended_well = after.has_succeeded and after.dword10 == sent.dword10
    return command.was_accepted is Seen.YES and has_ended_well


def _formatted(command: Command, nsid: int, is_wide: bool) -> bool:
    try:
        raw = bytes.fromhex(command.submission)
    except ValueError:
        return False
    if len(raw) != 64 or raw[0] != OPCODE_FORMAT or command.completion_status != "0000":
        return False
    target = int.from_bytes(raw[4:8], "little")
    is_reached = is_wide or target in (nsid, ALL_NAMESPACES)
    return is_reached and command.was_accepted is Seen.YES and command.timed_out is Seen.NO


def _erases_every_namespace(words: Mapping[str, str]) -> bool:
    raw = words.get("FNA", NOT_OBSERVED)
    return raw != NOT_OBSERVED and bool(int(raw, 16) & ERASES_EVERY_NAMESPACE)


def _wrote_all(overwrite: Overwrite | str, capacity_bytes: int) -> bool:
    if isinstance(overwrite, str):
        return False
    return (overwrite.bytes_written, overwrite.bytes_failed) == (capacity_bytes, 0)
