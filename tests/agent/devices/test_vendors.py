from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.devices.vendors import attachment_of, class_of, weaker
from certificate.statements.vocabulary import Attachment, DeviceClass

#: From the PCI ID database: what a hypervisor's controllers carry, and what may be one (Amazon's).
VIRTUAL = [0x1B36, 0x1AF4, 0x15AD, 0x80EE, 0x1414, 0x1AE0, 0x1D0F]
#: Samsung, Intel, Micron, Western Digital, none.
OTHER = [0x144D, 0x8086, 0x1344, 0x15B7, 0xFFFF, 0x0000]

VENDORS = st.sampled_from(VIRTUAL) | st.integers(0, 0xFFFF)


@pytest.mark.parametrize("pci_vendor", VIRTUAL)
def test_a_hypervisors_controller_is_emulated_whatever_the_driver_says(pci_vendor: int) -> None:
    assert class_of(DeviceClass.PHYSICAL, pci_vendor) is DeviceClass.EMULATED


@pytest.mark.parametrize("pci_vendor", OTHER)
def test_any_other_vendor_leaves_the_drivers_word(pci_vendor: int) -> None:
    assert [class_of(declared, pci_vendor) for declared in DeviceClass] == list(DeviceClass)


@pytest.mark.parametrize("declared", Attachment)
def test_a_networks_volume_is_remote_whatever_bus_it_shows_itself_on(declared: Attachment) -> None:
    assert attachment_of(declared, "Amazon Elastic Block Store") is Attachment.REMOTE
    assert attachment_of(declared, "Amazon EC2 NVMe Instance Storage") is declared


@given(declared=st.sampled_from(DeviceClass), pci_vendor=VENDORS)
def test_a_vendor_never_makes_a_device_more_physical(declared: DeviceClass, pci_vendor: int) -> None:
    order = [
        DeviceClass.PHYSICAL,
        DeviceClass.EMULATED,
        DeviceClass.IMAGE_FILE,
        DeviceClass.NOT_OPENED,
    ]
    assert order.index(class_of(declared, pci_vendor)) >= order.index(declared)


def test_of_two_words_the_weaker_stands() -> None:
    for one, other, expected in (
        (DeviceClass.PHYSICAL, DeviceClass.PHYSICAL, DeviceClass.PHYSICAL),
        (DeviceClass.PHYSICAL, DeviceClass.EMULATED, DeviceClass.EMULATED),
        (DeviceClass.IMAGE_FILE, DeviceClass.EMULATED, DeviceClass.IMAGE_FILE),
    ):
        assert weaker(one, other) is weaker(other, one) is expected
