"""What kind of device a PCI vendor's id stands for. Pure; it only ever lowers what the driver said.

Rules: an id that a hypervisor gives to its emulated controllers makes a drive `emulated`, however it is
driven; any other id, and none, leaves the driver's word as it is. Ids are the PCI-SIG's, as in the PCI ID
database. Amazon's (1D0Fh) is left out: its instances and its hardware carry the same one.
"""

from __future__ import annotations

from typing import Final

from certificate.statements.vocabulary import DeviceClass

#: Vendor id -> who emulates controllers under it.
VIRTUAL_VENDORS: Final = {
    0x1414: "Microsoft Hyper-V",
    0x15AD: "VMware",
    0x1AE0: "Google",
    0x1AF4: "Red Hat (virtio)",
    0x1B36: "Red Hat (QEMU)",
    0x80EE: "VirtualBox",
}


def class_of(declared: DeviceClass, pci_vendor: int) -> DeviceClass:
    """The class of a device that its driver `declared` and that names `pci_vendor` as its own (VID)."""
    return weaker(declared, DeviceClass.EMULATED) if pci_vendor in VIRTUAL_VENDORS else declared


def weaker(one: DeviceClass, other: DeviceClass) -> DeviceClass:
    """Which of the two is further from a physical device: their vocabulary lists them from there."""
    return max(one, other, key=list(DeviceClass).index)
