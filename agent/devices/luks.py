"""LUKS headers as bytes: where key slots and data lie, as LUKS1 and LUKS2 write it down.

Rules: a header is believed only whole: known size, its own checksum (LUKS2), strict JSON, every number
bounded before it is used; anything else is Malformed. Nothing here allocates by a number it read: a header
has at most 4 MiB, the area of its key slots at most 128 MiB. Labels, UUID, salts and digests are not kept.

That a magic number stands somewhere is more than a readable header: `has_magic` and `has_secondary_magic` ask
for it alone, because what is damaged may be mended by whoever knows how.

Sources, from memory: LUKS2 On-Disk Format Specification 1.1.1, 2 and 3; LUKS1 On-Disk Format Specification
1.2.3, 3; and cryptsetup 2.6.1 for the limits they leave open.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Any, Final, Self

from agent.devices.fields import Field, big_endian, raw_bytes, read_fields, zero_terminated
from agent.errors import Code
from certificate import strict_json
from certificate.errors import Malformed

#: Of both versions, at the start of the device.
MAGIC: Final = b"LUKS\xba\xbe"
#: Of a LUKS2 header's second copy.
SECONDARY_MAGIC: Final = b"SKUL\xba\xbe"
#: Where a second copy may lie, from the start of the device; each is also the size of one header (2.3).
SECONDARY_PLACES: Final = tuple(0x4000 << power for power in range(9))
#: The binary part of a LUKS2 header; LUKS1's whole header is shorter.
BINARY_BYTES: Final = 4096
#: Both headers and all key slots of a LUKS2 device end here at the latest.
MAX_HEADERS_BYTES: Final = 2 * SECONDARY_PLACES[-1]
MAX_KEYSLOTS_BYTES: Final = 128 << 20
#: LUKS1 keys of 8192 bits, 4000 stripes; more would be an attack on whoever overwrites it.
MAX_LUKS1_SLOT_BYTES: Final = 4 << 20
#: cryptsetup keeps at most 32.
MAX_LUKS2_SLOTS: Final = 32
MAX_SEGMENTS: Final = 64
MAX_TOKENS: Final = 64

_LUKS1_SECTOR_BYTES = 512
_LUKS1_KEY_ENABLED = 0x00AC71F3
_LUKS1_KEY_DISABLED = 0x0000DEAD
LUKS1_BYTES = 592
_LUKS1_SLOT_BYTES = 48
_CHECKSUMS = {"sha256": hashlib.sha256, "sha384": hashlib.sha384, "sha512": hashlib.sha512}
#: No device has more bytes; a number beyond it only wants to overflow somebody.
_MAX_OFFSET = 2**63 - 1

LUKS1_HEADER = (
    Field(0, 6, "magic", raw_bytes, "magic"),
    Field(6, 2, "version", big_endian, "version"),
    Field(104, 4, "payload_offset_sectors", big_endian, "payload-offset"),
    Field(108, 4, "key_bytes", big_endian, "key-bytes"),
    Field(208, 8 * _LUKS1_SLOT_BYTES, "slots", raw_bytes, "key-slot-1 to key-slot-8"),
)
LUKS1_SLOT = (
    Field(0, 4, "active", big_endian, "active"),
    Field(40, 4, "material_offset_sectors", big_endian, "key-material-offset"),
    Field(44, 4, "stripes", big_endian, "stripes"),
)
LUKS2_BINARY_HEADER = (
    Field(0, 6, "magic", raw_bytes, "magic"),
    Field(6, 2, "version", big_endian, "version"),
    Field(8, 8, "header_bytes", big_endian, "hdr_size"),
    Field(16, 8, "sequence", big_endian, "seqid"),
    Field(72, 32, "checksum_algorithm", zero_terminated, "csum_alg"),
    Field(256, 8, "header_offset_bytes", big_endian, "hdr_offset"),
    Field(448, 64, "checksum", raw_bytes, "csum"),
)
_CHECKSUM_PLACE = slice(448, 512)


@dataclass(frozen=True, slots=True)
class Area:
    """Where the material of one key slot lies, from the start of the device that holds the header."""

    offset_bytes: int
    length_bytes: int

    @property
    def end_bytes(self) -> int:
        return self.offset_bytes + self.length_bytes


def has_magic(data: bytes) -> bool:
    """A first header begins here, readable or not."""
    return data.startswith(MAGIC)


def has_secondary_magic(data: bytes) -> bool:
    """A second copy of a LUKS2 header begins here, readable or not."""
    return data.startswith(SECONDARY_MAGIC)


def version(data: bytes) -> int:
    """The version that a header of either magic gives itself; 0 where it is cut off."""
    return big_endian(data[6:8])


@dataclass(frozen=True, kw_only=True)
class Luks1Header:
    """A LUKS1 header. `slots`: all eight areas, in use or not, because a disabled one may still hold what it
    held. Offsets count from the header; 0 as the data's means that they lie on another device.
    """

    slots: tuple[Area, ...]
    slot_count: int
    data_offset_bytes: int

    sequence = 0
    token_count = 0
    is_hw_opal = False

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """From the first 592 bytes. Raises Malformed. Source: LUKS1 1.2.3, 3.1, figures 1 and 2."""
        head = read_fields(LUKS1_HEADER, data, length_bytes=LUKS1_BYTES, what="LUKS1 header")
        if head["magic"] != MAGIC or head["version"] != 1:
            raise _invalid("this is no LUKS1 header")
        rows = [head["slots"][start : start + _LUKS1_SLOT_BYTES] for start in range(0, 384, 48)]
        slots = [
            read_fields(LUKS1_SLOT, row, length_bytes=_LUKS1_SLOT_BYTES, what="LUKS1 key slot")
            for row in rows
        ]
        if any(slot["active"] not in (_LUKS1_KEY_ENABLED, _LUKS1_KEY_DISABLED) for slot in slots):
            raise _invalid("a LUKS1 key slot is neither enabled nor disabled")
        return cls(
            slots=tuple(_luks1_area(slot, key_bytes=head["key_bytes"]) for slot in slots),
            slot_count=sum(slot["active"] == _LUKS1_KEY_ENABLED for slot in slots),
            data_offset_bytes=head["payload_offset_sectors"] * _LUKS1_SECTOR_BYTES,
        )

    @property
    def keys_end_bytes(self) -> int:
        """Behind the last key slot."""
        return max(slot.end_bytes for slot in self.slots)


@dataclass(frozen=True, kw_only=True)
class Luks2BinaryHeader:
    """The first 4096 bytes of a LUKS2 header, which say how long it is and where it lies."""

    magic: bytes
    version: int
    header_bytes: int
    sequence: int
    checksum_algorithm: str
    header_offset_bytes: int
    checksum: bytes

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """From exactly 4096 bytes; the checksum is not looked at. Raises Malformed.
        Source: LUKS2 1.1.1, 2.1.
        """
        header = cls(**read_fields(LUKS2_BINARY_HEADER, data, length_bytes=BINARY_BYTES, what="LUKS2 header"))
        if header.magic not in (MAGIC, SECONDARY_MAGIC) or header.version != 2:
            raise _invalid("this is no LUKS2 header")
        if header.header_bytes not in SECONDARY_PLACES:
            raise _invalid(f"no LUKS2 header has {header.header_bytes} bytes")
        expected = header.header_bytes if header.magic == SECONDARY_MAGIC else 0
        if header.header_offset_bytes != expected:
            raise _invalid(f"no such LUKS2 header lies at {header.header_offset_bytes}")
        return header


@dataclass(frozen=True, kw_only=True)
class Luks2Header:
    """One copy of a LUKS2 header whose checksum holds. `slots`: the areas in use; a removed slot's is named
    no more. `data_offset_bytes`: the least of its segments' above 0, or 0 where they lie on another device.
    """

    sequence: int
    header_bytes: int
    keyslots_bytes: int
    slots: tuple[Area, ...]
    data_offset_bytes: int
    token_count: int
    #: The drive itself (TCG Opal) keeps a data key, with or without dm-crypt above it.
    is_hw_opal: bool

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """From exactly as many bytes as the header says it has.

        Raises Malformed: wrong length, checksum or JSON, or an area outside the room for key slots.
        Source: LUKS2 1.1.1, 2.4 (checksum over both parts, its own field zero) and 3.
        """
        binary = Luks2BinaryHeader.parse(data[:BINARY_BYTES])
        if len(data) != binary.header_bytes:
            raise _invalid(f"a LUKS2 header of {binary.header_bytes} bytes has {len(data)}")
        _check_checksum(binary, data)
        text, _, rest = data[BINARY_BYTES:].partition(b"\x00")
        if rest.strip(b"\x00"):
            raise _invalid("something follows the JSON area of a LUKS2 header")
        document = strict_json.load_object(text, max_bytes=len(data), what="JSON area of a LUKS2 header")
        keyslots_bytes = _keyslots_bytes(document, header_bytes=binary.header_bytes)
        room = Area(2 * binary.header_bytes, keyslots_bytes)
        segments = _members(document, "segments", at_most=MAX_SEGMENTS)
        offsets = [_number(segment, "offset") for segment in segments]
        return cls(
            sequence=binary.sequence,
            header_bytes=binary.header_bytes,
            keyslots_bytes=keyslots_bytes,
            slots=tuple(
                _luks2_area(slot, room) for slot in _members(document, "keyslots", at_most=MAX_LUKS2_SLOTS)
            ),
            data_offset_bytes=min((offset for offset in offsets if offset > 0), default=0),
            token_count=len(_members(document, "tokens", at_most=MAX_TOKENS)),
            is_hw_opal=any(_text(segment, "type").startswith("hw-opal") for segment in segments),
        )

    @property
    def slot_count(self) -> int:
        return len(self.slots)

    @property
    def keys_end_bytes(self) -> int:
        """Behind the room for key slots, whether it is used or not."""
        return 2 * self.header_bytes + self.keyslots_bytes


def _luks1_area(slot: dict[str, int], *, key_bytes: int) -> Area:
    """One slot's anti-forensic stripes, rounded up to sectors (LUKS1 1.2.3, 2.4 and 4.1)."""
    length_bytes = -(-key_bytes * slot["stripes"] // _LUKS1_SECTOR_BYTES) * _LUKS1_SECTOR_BYTES
    if not 0 < length_bytes <= MAX_LUKS1_SLOT_BYTES:
        raise _invalid(f"no LUKS1 key slot has {length_bytes} bytes")
    return Area(slot["material_offset_sectors"] * _LUKS1_SECTOR_BYTES, length_bytes)


def _luks2_area(slot: dict[str, Any], room: Area) -> Area:
    area = slot.get("area")
    if not isinstance(area, dict):
        raise _invalid("a LUKS2 key slot has no area")
    found = Area(_number(area, "offset"), _number(area, "size"))
    if not room.offset_bytes <= found.offset_bytes < found.end_bytes <= room.end_bytes:
        raise _invalid("a LUKS2 key slot lies outside the room for key slots")
    return found


def _keyslots_bytes(document: dict[str, Any], *, header_bytes: int) -> int:
    config = document.get("config")
    if not isinstance(config, dict):
        raise _invalid("a LUKS2 header has no config")
    if _number(config, "json_size") != header_bytes - BINARY_BYTES:
        raise _invalid("the JSON area of a LUKS2 header gives itself another size")
    keyslots_bytes = _number(config, "keyslots_size")
    if keyslots_bytes > MAX_KEYSLOTS_BYTES:
        raise _invalid(f"no LUKS2 header keeps {keyslots_bytes} bytes of key slots")
    return keyslots_bytes


def _check_checksum(binary: Luks2BinaryHeader, data: bytes) -> None:
    algorithm = _CHECKSUMS.get(binary.checksum_algorithm)
    if algorithm is None:
        raise _invalid("a LUKS2 header has a checksum of no known kind")
    digest = algorithm(data[: _CHECKSUM_PLACE.start])
    digest.update(bytes(len(binary.checksum)))
    digest.update(data[_CHECKSUM_PLACE.stop :])
    if not hmac.compare_digest(digest.digest(), binary.checksum[: digest.digest_size]):
        raise _invalid("the checksum of a LUKS2 header does not hold")


def _members(document: dict[str, Any], name: str, *, at_most: int) -> list[dict[str, Any]]:
    """The objects under one of the JSON area's mandatory names (LUKS2 1.1.1, 3.1)."""
    members = document.get(name)
    if not isinstance(members, dict) or len(members) > at_most:
        raise _invalid(f"a LUKS2 header names no {name}, or too many")
    if not all(isinstance(member, dict) for member in members.values()):
        raise _invalid(f"one of the {name} of a LUKS2 header is no object")
    return list(members.values())


def _text(document: dict[str, Any], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str):
        raise _invalid(f"{name} of a LUKS2 header is no text")
    return value


def _number(document: dict[str, Any], name: str) -> int:
    """Sizes and offsets are decimal text, accepted only if they print back the same (LUKS2 1.1.1, 3)."""
    text = _text(document, name)
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(_MAX_OFFSET))):
        raise _invalid(f"{name} of a LUKS2 header is no number")
    number = int(text)
    if str(number) != text or number > _MAX_OFFSET:
        raise _invalid(f"{name} of a LUKS2 header is no offset or size")
    return number


def _invalid(reason: str) -> Malformed:
    return Malformed(Code.LAYER_HEADER_INVALID, reason)
