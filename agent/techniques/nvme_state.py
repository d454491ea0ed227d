"""What every NVMe technique asks a drive before it may begin: the same refusals, in the same words.

Rules: nothing here sends anything but reading commands; a drive that is already sanitizing or has a
write-protected namespace is refused; counters help later and decide nothing.
"""

from __future__ import annotations

from agent.devices import nvme
from agent.devices.drive import Drive
from agent.devices.nvme import NvmeDrive, SanitizeLog
from agent.errors import Code, DeviceError
from certificate.errors import Code as DocumentCode
from certificate.errors import Malformed, Refused
from certificate.statements.statement import NOT_OBSERVED


def nvme_drive(drive: Drive) -> NvmeDrive:
    """The drive, if admin commands can be sent to it. Raises Refused(TECHNIQUE_UNAVAILABLE)."""
    if not isinstance(drive, NvmeDrive):
        raise unavailable(f"{drive.transport_name.value} takes no NVMe commands")
    return drive


def unavailable(reason: str) -> Refused:
    """The technique is not possible on this drive as it is now."""
    return Refused(DocumentCode.TECHNIQUE_UNAVAILABLE, reason)


def refuse_write_protected(drive: NvmeDrive, nsids: tuple[int, ...]) -> None:
    """Raises Refused(DRIVE_WRITE_PROTECTED): the drive would answer 20h to any erase."""
    for nsid in nsids:
        if drive.identify_namespace(nsid).is_write_protected:
            raise Refused(Code.DRIVE_WRITE_PROTECTED, f"namespace {nsid} is write-protected")


def refuse_running(log: SanitizeLog) -> None:
    """Raises Refused(SANITIZE_RUNNING): the drive would answer 1Dh."""
    if log.is_running:
        progress = f"at {log.progress_65536ths}/65536, dword 10 {log.dword10:08X}h"
        raise Refused(Code.SANITIZE_RUNNING, progress)


def counters(drive: NvmeDrive) -> dict[str, str]:
    """DUW, PWRC and UPL as sent: a boot that comes after a power loss is paired with this one by them. A
    drive that does not tell them is erased all the same.
    """
    try:
        return drive.health_log().counters
    except (DeviceError, Malformed):
        return dict.fromkeys(nvme.COUNTER_NAMES, NOT_OBSERVED)
