"""The lines that controller and agent exchange over one channel: requests, answers, journal lines.

Rules: one JSON object a line, at most 1 MiB, read by `strict_json`; the first line of a channel is the
request and names its verb; closed (an unknown field is refused) and typed; a refusal travels as a value.
Nothing here is signed: what must be trusted later stands in an envelope inside a line.

A kind of line is imported when it is asked for, because making all of them takes longer than answering a
`hello` (21 of 50 ms), which is asked often and must start fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from certificate import strict_json
from certificate.errors import Code, Malformed
from certificate.messages.line import MAX_LINE_BYTES, BareLine, Line

if TYPE_CHECKING:
    from certificate.messages.execution import (
        Accepted,
        AskStatus,
        DeliveryLine,
        Execute,
        SaltedMedium,
        StatusAnswer,
        TokenState,
    )
    from certificate.messages.greeting import (
        Hello,
        HelloAnswer,
        HelloPurpose,
        Refusal,
    )
    from certificate.messages.inventory import (
        AskInventory,
        CapabilityReport,
        DriveReport,
        HostFactReport,
        InventoryAnswer,
        LayerReport,
        NamespaceReport,
        StackedReport,
    )
    from certificate.messages.journal import (
        Ack,
        AckAnswer,
        Follow,
        JournalEnd,
        JournalLine,
    )

#: Where each kind stands.
_MODULES: Final = {
    "greeting": ("HelloPurpose", "Hello", "HelloAnswer", "Refusal"),
    "inventory": (
        "AskInventory",
        "HostFactReport",
        "CapabilityReport",
        "NamespaceReport",
        "LayerReport",
        "StackedReport",
        "DriveReport",
        "InventoryAnswer",
    ),
    "execution": (
        "SaltedMedium",
        "DeliveryLine",
        "Execute",
        "Accepted",
        "AskStatus",
        "TokenState",
        "StatusAnswer",
    ),
    "journal": ("Follow", "JournalLine", "JournalEnd", "Ack", "AckAnswer"),
}
_HOMES: Final = {kind: module for module, kinds in _MODULES.items() for kind in kinds}
#: The value of a line's `line` field -> its kind; a test holds that each kind says the same of itself.
REQUESTS: Final = {
    "hello": "Hello",
    "inventory": "AskInventory",
    "execute": "Execute",
    "status": "AskStatus",
    "follow": "Follow",
    "ack": "Ack",
}
ANSWERS: Final = {
    "hello_answer": "HelloAnswer",
    "inventory_answer": "InventoryAnswer",
    "accepted": "Accepted",
    "status_answer": "StatusAnswer",
    "journal": "JournalLine",
    "journal_end": "JournalEnd",
    "ack_answer": "AckAnswer",
    "refusal": "Refusal",
}

__all__ = [
    "ANSWERS",
    "MAX_LINE_BYTES",
    "REQUESTS",
    "Accepted",
    "Ack",
    "AckAnswer",
    "AskInventory",
    "AskStatus",
    "BareLine",
    "CapabilityReport",
    "DeliveryLine",
    "DriveReport",
    "Execute",
    "Follow",
    "Hello",
    "HelloAnswer",
    "HelloPurpose",
    "HostFactReport",
    "InventoryAnswer",
    "JournalEnd",
    "JournalLine",
    "LayerReport",
    "Line",
    "NamespaceReport",
    "Refusal",
    "SaltedMedium",
    "StackedReport",
    "StatusAnswer",
    "TokenState",
    "read_answer",
    "read_request",
]


def __getattr__(name: str) -> Any:
    """A kind of line, imported now and kept."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    kind = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = kind
    return kind


def read_request(data: bytes) -> Line:
    """The request in a channel's first line. Raises Malformed."""
    return _read(data, REQUESTS)


def read_answer(data: bytes) -> Line:
    """An answer line of the agent. Raises Malformed."""
    return _read(data, ANSWERS)


def _read(data: bytes, kinds: dict[str, str]) -> Line:
    raw = strict_json.load_object(data, max_bytes=MAX_LINE_BYTES, what="session line")
    named = raw.pop("line", None)
    if not isinstance(named, str) or named not in kinds:
        raise Malformed(Code.LINE_INVALID, f"no line is called {str(named)[:40]!r} here")
    kind: type[Line] = __getattr__(kinds[named])
    return kind.from_fields(raw)
