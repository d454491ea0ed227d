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
    NVME_SANITIZE_CRYPTO = "nvme_sanitize_crypto"
    NVME_SANITIZE_BLOCK = "nvme_sanitize_block"


class MediaKind(StrEnum):
    """What the validation table distinguishes; derived from capabilities by `selection.media_kind`."""

    SELF_ENCRYPTING_NVME = "self_encrypting_nvme"
    NVME = "nvme"


class DeviceClass(StrEnum):
    """Set by the driver that opened the medium, never by configuration."""

    PHYSICAL = "physical"
    EMULATED = "emulated"
    IMAGE_FILE = "image_file"


class Transport(StrEnum):
    NVME = "nvme"


class MarkerReading(StrEnum):
    """How a marker reads afterwards (DESIGN.md, "On the machine")."""

    PSEUDORANDOM = "pseudorandom"
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


class WhatBecame(StrEnum):
    """What became of a medium of a host (summary)."""

    ERASED = "erased"
    NOT_ERASED = "not_erased"
    INCONCLUSIVE = "inconclusive"
    REMOVED = "removed"
    DESTROYED = "destroyed"
    OPEN_EXCEPTION = "open_exception"
