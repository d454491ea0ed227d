"""What kind of device a PCI vendor's id and a model stand for. Pure; it only lowers what the driver said.

Rules: an id that a hypervisor gives to its emulated controllers makes a drive `emulated`, however it is
driven; any other id, and none, leaves the driver's word as it is. A model that is a volume of a network makes
a drive `remote`, whatever bus it shows itself on. Ids are the PCI-SIG's, as in the PCI ID database.

Amazon's id (1D0Fh) stands on network volumes and on instance storage, and for both a card of Amazon's, or a
hypervisor, answers the commands in the drive's place: what they reach behind it nobody can tell from here, so
no drive with it is `physical`, also where the machine is bare metal.
"""

from __future__ import annotations

from typing import Final

from certificate.statements.vocabulary import Attachment, DeviceClass

#: Vendor id -> who emulates controllers under it.
VIRTUAL_VENDORS: Final = {
    0x1414: "Microsoft Hyper-V",
    0x15AD: "VMware",
    0x1AE0: "Google",
    0x1AF4: "Red Hat (virtio)",
    0x1B36: "Red Hat (QEMU)",
    0x1D0F: "Amazon",
    0x80EE: "VirtualBox",
}
#: Model numbers of volumes that reach this machine over a network and look like a drive of its own.
NETWORK_MODELS: Final = frozenset({"Amazon Elastic Block Store"})


def attachment_of(declared: Attachment, model: str) -> Attachment:
    """How a device that calls itself `model` is attached, its driver having `declared` it so."""
    return Attachment.REMOTE if model.strip() in NETWORK_MODELS else declared


def class_of(declared: DeviceClass, pci_vendor: int) -> DeviceClass:
    """The class of a device that its driver `declared` and that names `pci_vendor` as its own (VID)."""
    return weaker(declared, DeviceClass.EMULATED) if pci_vendor in VIRTUAL_VENDORS else declared


def weaker(one: DeviceClass, other: DeviceClass) -> DeviceClass:
    """Which of the two is further from a physical device: their vocabulary lists them from there."""
    return max(one, other, key=list(DeviceClass).index)
