"""The lines that controller and agent exchange over one channel: requests, answers, journal lines.

Rules: one JSON object a line, at most 1 MiB, read by `strict_json`; the first line of a channel is the
request and names its verb; closed (an unknown field is refused) and typed; a refusal travels as a value.
Nothing here is signed: what must be trusted later stands in an envelope inside a line. Standard library only,
because `hello` must start fast.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Self

from certificate import strict_json
from certificate.errors import Code, Malformed

MAX_LINE_BYTES = 1_048_576


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line's common shape. `name` is the value of its `line` field."""

    name: ClassVar[str]

    def write(self) -> bytes:
        """One line with its line feed. Raises Malformed(LIMIT_EXCEEDED) instead of sending what nobody will
        read.
        """
        text = json.dumps({"line": self.name, **_plain(self)}, separators=(",", ":"), ensure_ascii=True)
        if len(text) + 1 > MAX_LINE_BYTES:
            raise Malformed(Code.LIMIT_EXCEEDED, f"a {self.name} line of {len(text)} bytes")
        return text.encode() + b"\n"

    @classmethod
    def from_fields(cls, raw: dict[str, Any]) -> Self:
        """Raises Malformed: UNKNOWN_FIELD, or LINE_INVALID for a missing field or a wrong type."""
        line: Self = _typed(cls, raw, cls.name)
        return line


# --- what the controller asks -------------------------------------------------------------------------------


class HelloPurpose(StrEnum):
    """`order`: the answer's nonce is kept and named by the next order; the others replace no nonce."""

    PIN = "pin"
    ORDER = "order"


@dataclass(frozen=True, kw_only=True)
class Hello(Line):
    """Who are you? `controller_nonce`: 32 bytes, hexadecimal."""

    name = "hello"
    controller_nonce: str
    purpose: str


@dataclass(frozen=True, kw_only=True)
class AskInventory(Line):
    """What stores data here, what can it do, and which machine is this?"""

    name = "inventory"


@dataclass(frozen=True, kw_only=True)
class SaltedMedium(Line):
    """The salt of a commitment that the order names. Both hexadecimal."""

    name = "salted_medium"
    commitment: str
    salt: str


@dataclass(frozen=True, kw_only=True)
class DeliveryLine(Line):
    """The files of a delivery as text (`certificate.delivery`). Proof hashes in hexadecimal, leaf to root."""

    name = "delivery"
    order: str
    log_entry: str
    proof: tuple[str, ...]
    checkpoint: str
    validation: str
    approvals: tuple[str, ...]
    enrolments: tuple[str, ...]
    decisions: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Execute(Line):
    """Obey this order. Salts travel beside it and are never logged."""

    name = "execute"
    delivery: DeliveryLine
    host_salt: str
    media_salts: tuple[SaltedMedium, ...]


@dataclass(frozen=True, kw_only=True)
class AskStatus(Line):
    """How far is this token? With `finalise`, an order that was not begun is refused for ever (signed
    absence).
    """

    name = "status"
    token: str
    finalise: bool


@dataclass(frozen=True, kw_only=True)
class Follow(Line):
    """The journal of this token from `from_seq` on, as it grows, until it ends."""

    name = "follow"
    token: str
    from_seq: int


@dataclass(frozen=True, kw_only=True)
class Ack(Line):
    """The controller has stored the journal line `seq`, and for an irreversible step: it may begin.

    Good for one token, step and boot; the agent counts 60 s of its monotonic clock from the line's own time.
    """

    name = "ack"
    token: str
    boot_id: str
    seq: int
    step: str


# --- what the agent answers ---------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class HelloAnswer(Line):
    """Who I am: boot key, SSH host key, and the proof that I hold this boot's secret (FORMATS.md, "Keys").

    `proof`: HMAC-SHA256(secret, "expunge-boot/v1" LF || config_digest || host key blob || evidence key ||
    controller_nonce), all raw bytes. Times in milliseconds of CLOCK_BOOTTIME.
    """

    name = "hello_answer"
    boot_id: str
    evidence_key: str
    ssh_host_key_blob: str
    config_digest: str
    hello_nonce: str
    boottime_ms: int
    agent_version: str
    proof: str


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


@dataclass(frozen=True, kw_only=True)
class Accepted(Line):
    """The order is obeyed; its journal begins."""

    name = "accepted"
    token: str


class TokenState(StrEnum):
    DONE = "done"
    RUNNING = "running"
    ABSENT = "absent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class StatusAnswer(Line):
    """`absence` is a signed envelope where the answer is a final `absent`, else None."""

    name = "status_answer"
    token: str
    boot_id: str
    state: str
    journal_lines: int
    absence: str | None


@dataclass(frozen=True, kw_only=True)
class JournalLine(Line):
    """One line of the journal: durable on the agent before it is sent.

    `previous` is the SHA-256 of the line before (64 zeros at first); `step` names what an acknowledgement
    allows; `at_ms` is CLOCK_BOOTTIME; `body` is the kind's own flat text-to-text table.
    """

    name = "journal"
    token: str
    seq: int
    kind: str
    step: str
    needs_ack: bool
    at_ms: int
    previous: str
    body: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class JournalEnd(Line):
    """Nothing follows: the execution ended after `lines` lines, or its process is gone (`is_complete` no)."""

    name = "journal_end"
    token: str
    lines: int
    is_complete: bool


@dataclass(frozen=True, kw_only=True)
class AckAnswer(Line):
    name = "ack_answer"
    token: str
    seq: int


@dataclass(frozen=True, kw_only=True)
class Refusal(Line):
    """A refusal as a value, with its three parts."""

    name = "refusal"
    code: str
    reason: str
    remedy: str


REQUESTS: tuple[type[Line], ...] = (Hello, AskInventory, Execute, AskStatus, Follow, Ack)
ANSWERS: tuple[type[Line], ...] = (
    HelloAnswer,
    InventoryAnswer,
    Accepted,
    StatusAnswer,
    JournalLine,
    JournalEnd,
    AckAnswer,
    Refusal,
)


def read_request(data: bytes) -> Line:
    """The request in a channel's first line. Raises Malformed."""
    return _read(data, REQUESTS)


def read_answer(data: bytes) -> Line:
    """An answer line of the agent. Raises Malformed."""
    return _read(data, ANSWERS)


def _read(data: bytes, kinds: tuple[type[Line], ...]) -> Line:
    raw = strict_json.load_object(data, max_bytes=MAX_LINE_BYTES, what="session line")
    named = raw.pop("line", None)
    for kind in kinds:
        if kind.name == named:
            return kind.from_fields(raw)
    raise Malformed(Code.LINE_INVALID, f"no line is called {str(named)[:40]!r} here")


def _plain(value: Any) -> Any:
    if isinstance(value, Line):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [_plain(member) for member in value]
    return value


#: The fields of each kind of line and their types; working them out costs more than reading a line.
_HINTS: dict[Any, dict[str, Any]] = {}


def _hints(kind: Any) -> dict[str, Any]:
    if kind not in _HINTS:
        _HINTS[kind] = {name: hint for name, hint in typing.get_type_hints(kind).items() if name != "name"}
    return _HINTS[kind]


def _typed(kind: Any, raw: Any, where: str) -> Any:
    """`raw` as `kind`: a Line, tuple[T, ...], dict[str, str], str, int, bool or T | None."""
    if isinstance(kind, type) and issubclass(kind, Line):
        if not isinstance(raw, dict):
            raise Malformed(Code.LINE_INVALID, f"{where} is not an object")
        hints = _hints(kind)
        if unknown := sorted(set(raw) - set(hints)):
            raise Malformed(Code.UNKNOWN_FIELD, f"{where} has a field {unknown[0][:60]!r}")
        if missing := sorted(set(hints) - set(raw)):
            raise Malformed(Code.LINE_INVALID, f"{where} lacks {missing[0]!r}")
        return kind(**{name: _typed(hint, raw[name], f"{where}.{name}") for name, hint in hints.items()})
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple and isinstance(raw, list):
        return tuple(_typed(arguments[0], member, f"{where}[{index}]") for index, member in enumerate(raw))
    if origin is dict and isinstance(raw, dict) and all(isinstance(member, str) for member in raw.values()):
        return raw
    if origin in (types.UnionType, typing.Union) and type(None) in arguments:
        return None if raw is None else _typed(arguments[0], raw, where)
    if isinstance(kind, type) and type(raw) is kind:
        return raw
    raise Malformed(Code.LINE_INVALID, f"{where} has the wrong type")
