from __future__ import annotations

import pytest

from agent.devices.attachment import attachment
from certificate.statements.vocabulary import Attachment


def of(name: str, *parts: str, **given: object) -> Attachment:
    said: dict[str, object] = {"model": "", "scsi_type": "", "card_type": "", "is_removable": False, **given}
    return attachment(name, parts=("sys", "devices", *parts), **said)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["nbd0", "rbd1", "drbd0", "etherd!e0.1", "rnbd0"])
def test_network_block_devices_are_remote_by_name(name: str) -> None:
    assert of(name) is Attachment.REMOTE


@pytest.mark.parametrize("part", ["rport-0:0-1", "session3", "srp-mlx5_0-1", "ctlr_0", "rbd"])
def test_storage_networks_are_remote_by_their_place(part: str) -> None:
    assert of("sda", "pci0000:00", "host3", part, "target3:0:0") is Attachment.REMOTE


@pytest.mark.parametrize("part", ["ata1", "end_device-0:0", "host0", "virtio1", "sessions", "port-0:0"])
def test_disks_of_this_machine_are_internal(part: str) -> None:
    assert of("sda", "pci0000:00", part) is Attachment.INTERNAL


def test_usb_and_cards_and_whatever_can_be_pulled_are_removable() -> None:
    assert of("sda", "pci0000:00", "usb2", "2-1") is Attachment.REMOVABLE
    assert of("sda", is_removable=True) is Attachment.REMOVABLE
    assert of("mmcblk0", card_type="SD") is Attachment.REMOVABLE
    assert of("mmcblk0", card_type="MMC") is Attachment.INTERNAL
    assert of("fd0") is Attachment.REMOVABLE


@pytest.mark.parametrize("model", ["iDRAC Virtual CD", "AMI Virtual HDisk0", "HPE iLO Media"])
def test_disks_that_a_management_controller_makes_are_virtual(model: str) -> None:
    assert of("sdb", "usb1", model=model) is Attachment.VIRTUAL
    assert of("sdb", "ata1", model=model) is Attachment.INTERNAL, "only behind USB do they appear"


def test_a_word_within_a_word_makes_nothing_virtual() -> None:
    assert of("sdb", "usb1", model="Silo Pilot Stick") is Attachment.REMOVABLE


@pytest.mark.parametrize("given", [{"scsi_type": "5"}, {"scsi_type": "7"}])
def test_optical_drives_are_virtual(given: dict[str, object]) -> None:
    assert of("sr0", "ata1") is Attachment.VIRTUAL
    assert of("sdc", "ata1", **given) is Attachment.VIRTUAL
    assert of("sdc", "ata1", scsi_type="0") is Attachment.INTERNAL


def test_of_several_signs_the_farthest_is_told() -> None:
    assert of("sr0", "usb1", "rport-0:0-1", is_removable=True) is Attachment.REMOTE
    assert of("sr0", "usb1", is_removable=True) is Attachment.VIRTUAL
