"""The words that several statements share: what is claimed, how it is known, what a medium is.

An enumeration in a signed format may grow; a value is never renamed or reused. The order of `Grade`, `Method`
and `BootTrust` members is their strength, weakest first, and `assurance` compares by it.
"""

from __future__ import annotations

from enum import StrEnum


class Result(StrEnum):
    NOT_ERASED = "not_erased"
    INCONCLUSIVE = "inconclusive"
    ERASED = "erased"


class Method(StrEnum):
    """NIST SP 800-88r2, section 3.1 / IEEE 2883. `none` where nothing is claimed."""

    NONE = "none"
    CLEAR = "clear"
    PURGE = "purge"
    DESTROY = "destroy"


class Grade(StrEnum):
    """How a claim is known, weakest first (DESIGN.md, "What is claimed")."""

    NONE = "none"
    OPERATOR_ATTESTED = "operator-attested"
    VENDOR_ASSERTED = "vendor-asserted"
    DEVICE_REPORTED = "device-reported"
    MARKER_PROVEN = "marker-proven"
    DEVICE_ATTESTED = "device-attested"


class Technique(StrEnum):
    """How a medium is erased. `luks` destroys the keys of a layer stacked on a medium and is its own layer:
    it comes before the medium's technique and never makes the medium `erased` alone (DESIGN.md).
    """

    NVME_SANITIZE_CRYPTO = "nvme_sanitize_crypto"
    NVME_SANITIZE_BLOCK = "nvme_sanitize_block"
    NVME_SANITIZE_OVERWRITE = "nvme_sanitize_overwrite"
    #: Format NVM with Secure Erase Settings 2 (cryptographic) and 1 (user data).
    NVME_FORMAT_CRYPTO = "nvme_format_crypto"
    NVME_FORMAT_USER_DATA = "nvme_format_user_data"
    #: One pass from the host over every addressable block (`certificate.keystream`), and one of zeros.
    OVERWRITE_KEYSTREAM = "overwrite_keystream"
    OVERWRITE_ZERO = "overwrite_zero"
    LUKS = "luks"


class OverwritePattern(StrEnum):
    ZERO = "zero"
    KEYSTREAM = "keystream"


class ReadBackMode(StrEnum):
    """How much of an overwritten medium is read back and compared, less first (`certificate.sampling`)."""

    SAMPLED = "sampled"
    FULL = "full"


class MediaKind(StrEnum):
    """What the validation table distinguishes; derived from capabilities by `selection.media_kind`."""

    SELF_ENCRYPTING_NVME = "self_encrypting_nvme"
    NVME = "nvme"
    #: Reads and writes blocks and has no erase command of its own that this release knows.
    PLAIN = "plain"


class Attachment(StrEnum):
    """How storage belongs to the machine. All but `internal` is refused unless the order names it."""

    INTERNAL = "internal"
    #: Over a network or a storage network: fabrics, iSCSI, Fibre Channel, RBD.
    REMOTE = "remote"
    REMOVABLE = "removable"
    #: Made by a management controller or a host of virtual machines: virtual media, optical drives.
    VIRTUAL = "virtual"


class LayerKind(StrEnum):
    """An encryption layer with keys of its own, found on a medium."""

    LUKS1 = "luks1"
    LUKS2 = "luks2"


class StackedKind(StrEnum):
    """What a system puts on a medium and holds it with."""

    PARTITION = "partition"
    CRYPT = "crypt"
    LVM = "lvm"
    MAPPER = "mapper"
    RAID = "raid"
    LOOP = "loop"
    MOUNT = "mount"
    SWAP = "swap"
    OTHER = "other"


class DeviceClass(StrEnum):
    """Set by the driver that opened the medium, never by configuration."""

    PHYSICAL = "physical"
    EMULATED = "emulated"
    IMAGE_FILE = "image_file"
    #: No driver of ours ever opened it: a drive that did not answer, or that left and was destroyed.
    NOT_OPENED = "not_opened"


class Transport(StrEnum):
    NVME = "nvme"
    VIRTIO = "virtio"
    #: A file in the folder of a demonstration or test.
    IMAGE = "image"


class MarkerReading(StrEnum):
    """How a marker reads afterwards (DESIGN.md, "On the machine")."""

    PSEUDORANDOM = "pseudorandom"
    #: Exactly what the overwrite of this medium wrote there.
    AS_OVERWRITTEN = "as_overwritten"
    ZERO = "zero"
    CONSTANT = "constant"
    UNCHANGED = "unchanged"
    UNREADABLE = "unreadable"
    NOT_APPLICABLE = "not_applicable"
    NOT_OBSERVED = "not_observed"


class BootTrust(StrEnum):
    """How the machine came up (FORMATS.md, "boot_trust and what it caps")."""

    TENANT_OS = "tenant_os"
    NETWORK = "network"
    INSTALLED = "installed"
    VIRTUAL_MEDIA = "virtual_media"


class Observer(StrEnum):
    ON_HOST = "on_host"
    BESIDE = "beside"


class Trigger(StrEnum):
    ENDED = "ended"
    MANUAL = "manual"


class Escrow(StrEnum):
    """Whether a copy of the key exists elsewhere."""

    NONE = "none"
    KNOWN = "known"
    UNKNOWN = "unknown"


class ValidationDecision(StrEnum):
    """SP 800-88r2, 4.5.2."""

    ACCEPT = "accept"
    REJECT = "reject"
    ESCALATE = "escalate"


class ResidueState(StrEnum):
    CLEARED = "cleared"
    CHECKED = "checked"
    NOT_COVERED = "not_covered"


class ResidueName(StrEnum):
    """Places besides drives that may hold data. A summary names every one of them (DESIGN.md)."""

    BMC_USERS = "bmc_users"
    BMC_MEDIA = "bmc_media"
    UEFI_VARIABLES = "uefi_variables"
    UEFI_BOOT_ENTRIES = "uefi_boot_entries"
    TPM = "tpm"
    NVDIMM = "nvdimm"
    RAID_CACHE = "raid_cache"
    SMARTNIC_STORAGE = "smartnic_storage"
    GPU_MEMORY = "gpu_memory"
    DRAM = "dram"
    SD_OR_BOSS_CARD = "sd_or_boss_card"
    PSTORE = "pstore"


class HostFactKind(StrEnum):
    """Independent signs of a host's identity; at least three must agree. For Macs the last three apply."""

    BMC_MAC = "bmc_mac"
    NIC_MACS = "nic_macs"
    CHASSIS_SERIAL = "chassis_serial"
    BOARD_SERIAL = "board_serial"
    DMI_UUID = "dmi_uuid"
    TPM_EK = "tpm_ek"
    SWITCH_PORT = "switch_port"
    MAC_SERIAL = "mac_serial"
    PROVISIONING_UDID = "provisioning_udid"
    ECID = "ecid"


class Destination(StrEnum):
    """SP 800-88r2, 4.6: where the medium goes afterwards. Undecided for a failure: `not_observed`."""

    #: It stays where it is, and the host goes back to provisioning.
    STAYS_IN_HOST = "stays_in_host"
    DESTROYED = "destroyed"


class DestroyMethod(StrEnum):
    """How a medium was physically destroyed (SP 800-88r2, 3.1.3). IEEE 2883 no longer counts shredding and
    pulverizing for modern media, so whoever reads decides whether the word suffices.
    """

    DISINTEGRATE = "disintegrate"
    INCINERATE = "incinerate"
    MELT = "melt"
    PULVERIZE = "pulverize"
    SHRED = "shred"


class Role(StrEnum):
    """SP 800-88r2, 4.6: the title of who verified or validated. People are keys here, never names."""

    #: Software in the erase environment, whose key signed the evidence.
    AGENT = "agent"
    #: The controller, applying the signed validation table.
    ISSUER = "issuer"
    OPERATOR = "operator"


class WhatBecame(StrEnum):
    """What became of a medium of a host (summary)."""

    ERASED = "erased"
    NOT_ERASED = "not_erased"
    INCONCLUSIVE = "inconclusive"
    REMOVED = "removed"
    DESTROYED = "destroyed"
    OPEN_EXCEPTION = "open_exception"
