"""Which machine is this? Independent signs of its identity, read by one driver and judged elsewhere.

Rules: a driver has one method and reports only what it saw; a placeholder of a board maker, zeros, or a value
that cannot tell two machines apart is no fact and is left out, never reported weaker; one kind is reported at
most once. That at least three agree is enforced by admission and, on the other side, by the controller.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Protocol

from agent.errors import Code
from certificate import strict_json
from certificate.errors import Malformed
from certificate.messages import HostFactReport
from certificate.placeholders import is_placeholder
from certificate.statements.vocabulary import HostFactKind

#: Ten kinds of short text; stops reading something else whole.
MAX_FACTS_BYTES = 16_384
MAX_VALUE_CHARACTERS = 300

_MAC = re.compile(r"^([0-9a-f]{2}:){5}[0-9a-f]{2}$")
_UUID = re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
#: linux/if_arp.h.
ARPHRD_ETHER = "1"


class HostFacts(Protocol):
    """A driver of host identity."""

    def observe(self) -> tuple[HostFactReport, ...]:
        """What identifies this machine now, in order of kind. What cannot be seen is absent."""
        ...


class EmulatedHostFacts:
    """The identity of a machine that is only played, from its own file: one JSON object, kind to value.

    Used by demonstrations and tests, whose hosts share one real machine. A misspelt kind or a value that
    would not count on a real machine is an error here, not a fact left out.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def observe(self) -> tuple[HostFactReport, ...]:
        """Raises Malformed: HOST_FACTS_INVALID, or the codes of `strict_json`."""
        try:
            data = self._file.read_bytes()
        except OSError as error:
            raise Malformed(Code.HOST_FACTS_INVALID, f"{self._file.name}: {error.strerror}") from None
        raw = strict_json.load_object(data, max_bytes=MAX_FACTS_BYTES, what="host facts")
        known = {kind.value for kind in HostFactKind}
        for kind, value in raw.items():
            if kind not in known:
                raise Malformed(Code.HOST_FACTS_INVALID, f"no fact is called {kind[:40]!r}")
            if not isinstance(value, str) or not counts(value):
                raise Malformed(Code.HOST_FACTS_INVALID, f"{kind} has no value that tells machines apart")
        return _reports(raw)


class LinuxHostFacts:
    """The identity of this Linux machine: DMI and network cards, from sysfs below `root`.

    KNOWN GAP: bmc_mac, tpm_ek and switch_port are not read here, so a board without serial numbers may show
    fewer than three facts; admission then refuses it.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root

    def observe(self) -> tuple[HostFactReport, ...]:
        dmi = self._root / "sys/class/dmi/id"
        seen = {
            HostFactKind.CHASSIS_SERIAL.value: _text(dmi / "chassis_serial"),
            HostFactKind.BOARD_SERIAL.value: _text(dmi / "board_serial"),
            HostFactKind.DMI_UUID.value: _uuid(_text(dmi / "product_uuid")),
            HostFactKind.NIC_MACS.value: ",".join(self._macs()),
        }
        return _reports({kind: value for kind, value in seen.items() if counts(value)})

    def _macs(self) -> list[str]:
        """Burnt-in addresses of Ethernet cards that sit on a bus; virtual interfaces have no device."""
        found = set()
        for card in sorted((self._root / "sys/class/net").glob("*")):
            is_card = (card / "device").exists() and _text(card / "type") == ARPHRD_ETHER
            address = _text(card / "address").lower()
            if is_card and _MAC.match(address) and not _is_local(address) and counts(address):
                found.add(address)
        return sorted(found)


def counts(value: str) -> bool:
    """Whether this text can tell one machine from another: no placeholder, not one character repeated."""
    is_printable = value.isprintable() and len(value) <= MAX_VALUE_CHARACTERS
    return is_printable and not is_placeholder(value)


def _is_local(mac: str) -> bool:
    """Locally administered (IEEE 802, bit 1 of the first octet): given by software, not by a maker."""
    return bool(int(mac[:2], 16) & 0b10)


def _uuid(value: str) -> str:
    text = value.lower()
    return text if _UUID.match(text) else ""


def _text(path: Path) -> str:
    """The file's text, stripped; empty where it is absent, not ours to read, or no text."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _reports(facts: dict[str, str]) -> tuple[HostFactReport, ...]:
    return tuple(HostFactReport(kind=kind, value=facts[kind]) for kind in sorted(facts))
