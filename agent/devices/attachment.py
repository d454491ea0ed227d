"""How a block device belongs to this machine, from what its place in sysfs and its names say. Pure.

Rules: what is attached over a network or a storage network is remote; what a person can unplug is removable;
what a management controller makes, and any optical drive, is virtual, because erasing it erases nothing of
this machine; only what shows none of these signs is internal. Where several hold, the one that is further
from this machine is told.

The signs are those of Linux's own drivers: names of the folders between a disk and its controller, from
memory of the drivers' sources (scsi_transport_fc, scsi_transport_iscsi, ib_srp, fcoe, usb-storage, mmc).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from certificate.statements.vocabulary import Attachment

#: Kernel names of block devices whose data are elsewhere: network block devices, RADOS, DRBD, ATA over
#: Ethernet, RDMA network block devices, MARS.
REMOTE_NAMES: Final = re.compile(r"^(nbd|rbd|drbd|etherd!|rnbd)")
#: A folder on the way to the disk: Fibre Channel, iSCSI, SRP, FCoE, RADOS.
REMOTE_PARTS: Final = re.compile(r"^(rport-|session[0-9]+$|srp-|ctlr_[0-9]+$|rbd$)")
VIRTUAL_NAMES: Final = re.compile(r"^sr[0-9]+$")
USB_PART: Final = re.compile(r"^usb[0-9]+$")
REMOVABLE_NAMES: Final = re.compile(r"^fd[0-9]+$")
#: SCSI peripheral device types 5 (CD, DVD) and 7 (optical memory), SPC-4 6.4.2, as sysfs writes them.
OPTICAL_TYPES: Final = frozenset({"5", "7"})
#: Words by which the USB disks of management controllers call themselves (iDRAC, iLO, AMI and ATEN firmware).
VIRTUAL_WORDS: Final = ("virtual", "idrac", "ilo")


def attachment(
    name: str,
    *,
    parts: Sequence[str],
    model: str,
    scsi_type: str,
    card_type: str,
    is_removable: bool,
) -> Attachment:
    """`parts`: the folders of the device's path; `scsi_type`, `card_type`: the device's `type`, for SCSI and
    for MMC; `is_removable`: sysfs calls the disk, or a device on the way to it, removable.
    """
    if REMOTE_NAMES.match(name) or any(REMOTE_PARTS.match(part) for part in parts):
        return Attachment.REMOTE
    is_usb = any(USB_PART.match(part) for part in parts)
    words = model.lower().split()
    is_of_controller = is_usb and any(word in words for word in VIRTUAL_WORDS)
    if VIRTUAL_NAMES.match(name) or scsi_type in OPTICAL_TYPES or is_of_controller:
        return Attachment.VIRTUAL
    if is_usb or is_removable or REMOVABLE_NAMES.match(name) or card_type == "SD":
        return Attachment.REMOVABLE
    return Attachment.INTERNAL
