"""What stores data here, and which machine is this? Everything in clear: it stays in private tables."""

from __future__ import annotations

from dataclasses import dataclass

from certificate.messages.line import Line


@dataclass(frozen=True, kw_only=True)
class AskInventory(Line):
    """What stores data here, what can it do, and which machine is this?"""

    name = "inventory"


@dataclass(frozen=True, kw_only=True)
class HostFactReport(Line):
    """One identifying fact in clear: it stays in the controller's private tables."""

    name = "host_fact"
    kind: str
    value: str


@dataclass(frozen=True, kw_only=True)
class CapabilityReport(Line):
    """A capability field as the device sent it."""

    name = "capability"
    field: str
    raw: str


@dataclass(frozen=True, kw_only=True)
class NamespaceReport(Line):
    name = "namespace"
    nsid: int
    capacity_bytes: int
    logical_block_bytes: int
    is_attached: bool


@dataclass(frozen=True, kw_only=True)
class LayerReport(Line):
    """An encryption layer found on a drive. Offsets and lengths in bytes from the start of its namespace.

    `kind`: luks1 | luks2; `area_bytes`: from the first header to the data; `is_detached`: its data lie
    elsewhere.
    """

    name = "layer"
    kind: str
    nsid: int
    offset_bytes: int
    area_bytes: int
    header_copies: int
    key_slots: int
    tokens: int
    is_detached: bool


@dataclass(frozen=True, kw_only=True)
class StackedReport(Line):
    """Something that a system built on a drive: a partition, a mapping, an array, a mount, swap.

    `kind`: `vocabulary.StackedKind`; `on`: what it stands on directly, by name. Names stay in private tables.
    """

    name = "stacked"
    kind: str
    node: str
    on: str


@dataclass(frozen=True, kw_only=True)
class DriveReport(Line):
    """One drive in clear, as it says of itself. `refused` is a code where it may not be erased as it is, else
    None. `attachment` (`vocabulary.Attachment`): all but `internal` is erased only where the order names it.
    """

    name = "drive"
    transport: str
    attachment: str
    device_class: str
    manufacturer: str
    model: str
    firmware: str
    serial: str
    capacity_bytes: int
    unallocated_capacity_bytes: int
    is_write_protected: bool
    namespaces: tuple[NamespaceReport, ...]
    capabilities: tuple[CapabilityReport, ...]
    #: Ascending by namespace and offset.
    layers: tuple[LayerReport, ...]
    #: Lowest first: each stands on the drive or on one before it.
    stack: tuple[StackedReport, ...]
    #: Raw status log (hexadecimal), so that what was there before is on record.
    status_log: str
    refused: str | None


@dataclass(frozen=True, kw_only=True)
class InventoryAnswer(Line):
    name = "inventory_answer"
    boot_id: str
    host_facts: tuple[HostFactReport, ...]
    drives: tuple[DriveReport, ...]
    #: name of a place besides drives -> cleared | checked | not_covered
    residue: tuple[HostFactReport, ...]
