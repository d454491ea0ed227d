"""LUKS headers as cryptsetup writes them, made from the specification: the other side of the reader.

    image = bytearray(64 << 20)
    luks_image.write_luks2(image, at=1 << 20, slots=2, tokens=1)
    luks_image.write_luks1(image, at=0)

Shares no code with `agent.devices.luks`. Contents are random from a seed, so a run can be repeated. Sources:
LUKS2 On-Disk Format 1.1.1 and LUKS1 1.2.3, from memory; compared with what cryptsetup 2.6.1 wrote.
"""

from __future__ import annotations

import hashlib
import json
import random
import struct
from typing import Any

SLOT_BYTES = 258048
DATA_OFFSET = 16 << 20
KEYSLOTS_BYTES = 16744448
LUKS1_DATA_SECTORS = 4096


def luks2_json(
    *,
    header_bytes: int = 0x4000,
    slots: int = 1,
    tokens: int = 0,
    data_offset: int = DATA_OFFSET,
    keyslots_bytes: int = KEYSLOTS_BYTES,
    segment_type: str = "crypt",
) -> dict[str, Any]:
    """The metadata as an object, to be damaged or written as it is."""
    return {
        "keyslots": {
            str(number): {
                "type": "luks2",
                "key_size": 64,
                "af": {"type": "luks1", "stripes": 4000, "hash": "sha256"},
                "area": {
                    "type": "raw",
                    "offset": str(2 * header_bytes + number * SLOT_BYTES),
                    "size": str(SLOT_BYTES),
                    "encryption": "aes-xts-plain64",
                    "key_size": 64,
                },
                "kdf": {"type": "pbkdf2", "hash": "sha256", "iterations": 1000, "salt": "AAAA"},
            }
            for number in range(slots)
        },
        "tokens": {str(number): {"type": "test", "keyslots": ["0"]} for number in range(tokens)},
        "segments": {
            "0": {
                "type": segment_type,
                "offset": str(data_offset),
                "size": "dynamic",
                "iv_tweak": "0",
                "encryption": "aes-xts-plain64",
                "sector_size": 512,
            }
        },
        "digests": {},
        "config": {"json_size": str(header_bytes - 4096), "keyslots_size": str(keyslots_bytes)},
    }


def luks2_header(
    metadata: dict[str, Any] | bytes,
    *,
    header_bytes: int = 0x4000,
    is_secondary: bool = False,
    sequence: int = 3,
    algorithm: str = "sha256",
    lies_at: int | None = None,
) -> bytes:
    """One copy, its checksum right whatever the rest is."""
    text = metadata if isinstance(metadata, bytes) else json.dumps(metadata).encode()
    place = (header_bytes if is_secondary else 0) if lies_at is None else lies_at
    header = bytearray(header_bytes)
    struct.pack_into(
        ">6sHQQ48s32s64s40s48sQ",
        header,
        0,
        b"SKUL\xba\xbe" if is_secondary else b"LUKS\xba\xbe",
        2,
        header_bytes,
        sequence,
        b"a label",
        algorithm.encode(),
        b"s" * 64,
        b"0f3a2c52-0000-4000-8000-000000000001",
        b"",
        place,
    )
    header[4096 : 4096 + len(text)] = text
    header[448 : 448 + 32] = hashlib.sha256(header).digest()
    return bytes(header)


def write_luks2(
    image: bytearray,
    *,
    at: int = 0,
    header_bytes: int = 0x4000,
    slots: int = 1,
    tokens: int = 0,
    data_offset: int = DATA_OFFSET,
    keyslots_bytes: int = KEYSLOTS_BYTES,
    segment_type: str = "crypt",
    sequences: tuple[int, int] = (3, 3),
) -> None:
    """Both copies and key slots full of something."""
    metadata = luks2_json(
        header_bytes=header_bytes,
        slots=slots,
        tokens=tokens,
        data_offset=data_offset,
        keyslots_bytes=keyslots_bytes,
        segment_type=segment_type,
    )
    first = luks2_header(metadata, header_bytes=header_bytes, sequence=sequences[0])
    second = luks2_header(metadata, header_bytes=header_bytes, sequence=sequences[1], is_secondary=True)
    image[at : at + header_bytes] = first
    image[at + header_bytes : at + 2 * header_bytes] = second
    for number in range(slots):
        start = at + 2 * header_bytes + number * SLOT_BYTES
        image[start : start + SLOT_BYTES] = random.Random(number).randbytes(SLOT_BYTES)


def luks1_header(
    *,
    enabled: tuple[int, ...] = (0,),
    key_bytes: int = 64,
    stripes: int = 4000,
    payload_sectors: int = LUKS1_DATA_SECTORS,
    material_sectors: tuple[int, ...] = tuple(8 + number * 504 for number in range(8)),
) -> bytes:
    """The 592 bytes."""
    head = struct.pack(
        ">6sH32s32s32sII20s32sI40s",
        b"LUKS\xba\xbe",
        1,
        b"aes",
        b"xts-plain64",
        b"sha256",
        payload_sectors,
        key_bytes,
        b"d" * 20,
        b"s" * 32,
        1000,
        b"0f3a2c52-0000-4000-8000-000000000002",
    )
    for number, place in enumerate(material_sectors):
        active = 0x00AC71F3 if number in enabled else 0x0000DEAD
        head += struct.pack(">II32sII", active, 1000, b"s" * 32, place, stripes)
    return head


def write_luks1(image: bytearray, *, at: int = 0, enabled: tuple[int, ...] = (0,)) -> None:
    """The header and all eight slots full of something, used or not."""
    header = luks1_header(enabled=enabled)
    image[at : at + len(header)] = header
    for number in range(8):
        start = at + (8 + number * 504) * 512
        image[start : start + 64 * 4000] = random.Random(number).randbytes(64 * 4000)
