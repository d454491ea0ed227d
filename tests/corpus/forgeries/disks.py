"""What lies on disks: simulated drives, images, LUKS headers, partition tables."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from agent.devices.simulated.plain import SimulatedPlain
from tests import luks_image
from tests.corpus.case import Case
from tests.corpus.papers import put


def cases() -> Iterator[Case]:
    yield from _drives()
    yield from _luks()
    yield from _tables()


def _case(
    kind: str, name: str, code: str | None, sentence: str, data: Any, suffix: str = "json", **fields: Any
) -> Case:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    file = f"forged/{kind}/{name}.{suffix}"
    return Case(file=file, kind=kind, code=code, sentence=sentence, data=raw, **fields)


def _valid(kind: str, name: str, sentence: str, data: bytes, suffix: str = "json", **fields: Any) -> Case:
    file = f"valid/{name}.{suffix}"
    return Case(file=file, kind=kind, code=None, sentence=sentence, data=data, **fields)


def _drives() -> Iterator[Case]:
    with TemporaryDirectory(prefix="expunge-corpus-") as folder:
        drive = SimulatedPlain.create(
            Path(folder) / "drive",
            serial="SIM-1",
            model="A MODEL",
            firmware="1.0",
            capacity_bytes=1 << 20,
            random=lambda count: bytes(count),
        )
        state = drive.describe().write()
    fields = json.loads(state)
    invalid = "IMAGE_INVALID"
    yield _valid("simulated_state", "simulated_state", "What a simulated drive remembers.", state)
    for name, sentence, value in (
        ("other_format", "Of an earlier format.", fields | {"format": "expunge-simulated-drive/1"}),
        ("unknown_fault", "A misspelt fault, which would make a test hollow.", fields | {"faults": ["lyes"]}),
        ("fault_is_an_object", "A fault that is an object.", fields | {"faults": [{}]}),
        (
            "field_missing",
            "The serial is missing.",
            {key: value for key, value in fields.items() if key != "serial"},
        ),
        ("unknown_field", "A field that no drive has.", fields | {"is_honest": True}),
        ("unknown_kind", "A kind of drive that nobody built.", fields | {"kind": "floppy"}),
        ("namespaces_no_list", "Namespaces that are a number.", fields | {"namespaces": 1}),
        ("namespace_is_text", "A namespace that is a text.", fields | {"namespaces": ["1"]}),
        ("sanitize_null", "No sanitize state.", fields | {"sanitize": None}),
        ("serial_number", "A serial that is a number.", fields | {"serial": 7}),
        ("block_size_text", "A block size that is a text.", fields | {"block_bytes": "512"}),
        ("blocks_negative", "Fewer blocks than none.", put(json.loads(state), "namespaces.0.blocks", -1)),
    ):
        yield _case("simulated_state", name, invalid, sentence, value)
    yield _case(
        "simulated_state",
        "float",
        "NOT_A_NUMBER",
        "Half a block.",
        put(json.loads(state), "namespaces.0.blocks", 0.5),
    )
    names = {"serial": "IMG-1", "model": "A MODEL"}
    yield _valid(
        "image_names", "image_names", "Serial and model of an image drive.", json.dumps(names).encode()
    )
    for name, sentence, value in (
        (
            "device_class",
            "It says what class it is of, as if it might.",
            names | {"device_class": "physical"},
        ),
        ("serial_missing", "No serial.", {"model": "A MODEL"}),
        ("serial_empty", "An empty serial.", names | {"serial": ""}),
        ("serial_spaces", "Spaces around a serial.", names | {"serial": " IMG-1"}),
        ("serial_long", "A serial of a thousand characters.", names | {"serial": "X" * 1000}),
        ("serial_control", "A serial with an escape.", names | {"serial": "\u001b[2J"}),
        ("a_list", "A list.", [names]),
    ):
        yield _case("image_names", name, invalid, sentence, value)


# --- LUKS ---------------------------------------------------------------------------------------------------


def _luks() -> Iterator[Case]:
    invalid = "LAYER_HEADER_INVALID"
    one, two = luks_image.luks1_header(), luks_image.luks2_header(luks_image.luks2_json())
    yield _valid("luks1_header", "luks1_header", "A LUKS1 header as cryptsetup writes it.", one, "bin.gz")
    yield _valid("luks2_header", "luks2_header", "A LUKS2 header as cryptsetup writes it.", two, "bin.gz")
    for name, code, sentence, data in (
        ("short", "DEVICE_ANSWER_MALFORMED", "A header of 591 bytes.", one[:-1]),
        ("other_magic", invalid, "Another magic number.", b"LUXS" + one[4:]),
        ("version_two", invalid, "LUKS1's place, LUKS2's version.", one[:6] + b"\x00\x02" + one[8:]),
        (
            "slot_neither",
            invalid,
            "A key slot that is neither enabled nor disabled.",
            one[:208] + b"\xff\xff\xff\xff" + one[212:],
        ),
        ("endless_stripes", invalid, "Key slots of gigabytes.", luks_image.luks1_header(stripes=0xFFFFFFFF)),
        ("no_stripes", invalid, "Key slots of no bytes.", luks_image.luks1_header(stripes=0)),
    ):
        yield _case("luks1_header", name, code, sentence, data, "bin.gz")
    yield from _luks2(two)


def _luks2(honest: bytes) -> Iterator[Case]:
    invalid = "LAYER_HEADER_INVALID"

    def of(path: str, value: Any) -> bytes:
        return luks_image.luks2_header(put(luks_image.luks2_json(), path, value))

    slot = luks_image.luks2_json()["keyslots"]["0"]
    rows: tuple[tuple[str, str, str, bytes], ...] = (
        ("checksum", invalid, "One byte of the JSON is another.", honest[:4200] + b"X" + honest[4201:]),
        ("short", invalid, "A header that is cut off.", honest[:-512]),
        ("tiny", "DEVICE_ANSWER_MALFORMED", "Less than its binary part.", honest[:4095]),
        (
            "huge",
            invalid,
            "A header that claims four gigabytes.",
            honest[:8] + struct.pack(">Q", 1 << 32) + honest[16:],
        ),
        (
            "lies_elsewhere",
            invalid,
            "A copy that says it lies elsewhere.",
            luks_image.luks2_header(luks_image.luks2_json(), lies_at=0x8000),
        ),
        (
            "checksum_kind",
            invalid,
            "A checksum of a kind nobody knows.",
            luks_image.luks2_header(luks_image.luks2_json(), algorithm="md5"),
        ),
        ("no_json", "MALFORMED", "No JSON.", luks_image.luks2_header(b"")),
        (
            "json_twice",
            "DUPLICATE_KEY",
            "A key twice.",
            luks_image.luks2_header(b'{"config":{},"config":{}}'),
        ),
        (
            "behind_json",
            invalid,
            "Something behind the JSON's end.",
            luks_image.luks2_header(b'{"config":{}}\x00hidden'),
        ),
        ("no_config", invalid, "No config.", of("config", None)),
        ("slots_endless", invalid, "Room for key slots without end.", of("config.keyslots_size", str(2**40))),
        ("json_size", invalid, "A JSON area of another size.", of("config.json_size", "0")),
        ("slot_outside", invalid, "A key slot among the data.", of("keyslots.0.area.offset", str(1 << 40))),
        ("slot_before", invalid, "A key slot over the header.", of("keyslots.0.area.offset", "0")),
        (
            "slot_overflows",
            invalid,
            "A key slot whose end overflows.",
            of("keyslots.0.area.size", str(2**63 - 1)),
        ),
        ("slot_negative", invalid, "A key slot of a negative size.", of("keyslots.0.area.size", "-1")),
        ("slot_padded", invalid, "An offset with a leading zero.", of("keyslots.0.area.offset", "032768")),
        ("slot_number", invalid, "An offset that is a number.", of("keyslots.0.area.offset", 32768)),
        ("slot_without_area", invalid, "A key slot without a place.", of("keyslots.0.area", None)),
        (
            "slots_many",
            invalid,
            "Thousands of key slots.",
            luks_image.luks2_header(
                put(
                    luks_image.luks2_json(header_bytes=0x400000),
                    "keyslots",
                    {str(n): slot for n in range(33)},
                ),
                header_bytes=0x10000,
            ),
        ),
        ("slots_a_list", invalid, "Key slots in a list.", of("keyslots", [])),
        ("slot_is_text", invalid, "A key slot that is a text.", of("keyslots.0", "x")),
        (
            "segment_offset_text",
            invalid,
            "A segment that begins nowhere.",
            of("segments.0.offset", "somewhere"),
        ),
        ("segment_type_missing", invalid, "A segment of no kind.", of("segments.0.type", None)),
    )
    for name, code, sentence, data in rows:
        yield _case("luks2_header", name, code, sentence, data, "bin.gz")


# --- partition tables: what does not hold is no table, so that nothing is found there -----------------------

BLOCKS = 96
BLOCK = 512


def _gpt(*parts: tuple[int, int], **changes: int) -> bytearray:
    """A small disk with one copy of a table of four entries."""
    entry_bytes, count = changes.get("entry_bytes", 128), changes.get("count", 4)
    table = bytearray(min(max(entry_bytes, 128) * count, 16 * BLOCK))
    for index, (first, last) in enumerate(parts):
        struct.pack_into("<16s16sQQ", table, index * 128, b"\xaf" * 16, b"\x01" * 16, first, last)
    header = bytearray(92)
    own = changes.get("own_lba", 1)
    struct.pack_into("<8sII", header, 0, b"EFI PART", 0x10000, changes.get("header_bytes", 92))
    struct.pack_into("<QQQQ", header, 24, own, 0, 34, BLOCKS - 34)
    struct.pack_into(
        "<QIII", header, 72, changes.get("entries_lba", 2), count, entry_bytes, zlib.crc32(table)
    )
    struct.pack_into("<I", header, 16, zlib.crc32(header))
    disk = bytearray(BLOCK * BLOCKS)
    disk[BLOCK : BLOCK + 92] = header
    at = BLOCK * min(changes.get("entries_lba", 2), 40)
    disk[at : at + len(table)] = table
    return disk


def _mbr(*entries: tuple[int, int, int], at: int = 0, disk: bytearray | None = None) -> bytearray:
    found = bytearray(BLOCK * BLOCKS) if disk is None else disk
    for index, (kind, first, length) in enumerate(entries):
        struct.pack_into("<B3xB3xII", found, at * BLOCK + 446 + 16 * index, 0, kind, first, length)
    found[at * BLOCK + 510 : at * BLOCK + 512] = b"\x55\xaa"
    return found


def _tables() -> Iterator[Case]:
    kind = "partition_table"
    two = _gpt((40, 50), (60, 70))
    yield _valid(
        kind, "gpt", "Two partitions of a GPT.", bytes(two), "bin.gz", finds=(40 * BLOCK, 60 * BLOCK)
    )
    edited = bytearray(two)
    edited[2 * BLOCK + 32] ^= 1
    looping = _mbr((0x05, 4, 60))
    _mbr((0x83, 1, 2), (0x05, 0, 2), at=4, disk=looping)
    rows: tuple[tuple[str, str, bytearray, tuple[int, ...]], ...] = (
        ("entry_edited", "One bit of an entry is another: the checksum does not hold.", edited, ()),
        ("header_edited", "The header says another size than was summed up.", _edited(two, BLOCK + 40), ()),
        ("own_place", "A header that says it lies elsewhere.", _gpt((40, 50), own_lba=7), ()),
        ("header_too_long", "A header longer than a block.", _gpt((40, 50), header_bytes=4096), ()),
        ("entries_outside", "A table behind the end of the disk.", _gpt((40, 50), entries_lba=1 << 40), ()),
        ("entries_endless", "Four thousand million entries.", _gpt((40, 50), count=0xFFFFFFFF), ()),
        ("entries_tiny", "Entries of one byte.", _gpt((40, 50), entry_bytes=1), ()),
        ("no_entries", "A table of no entries.", _gpt(count=0), ()),
        ("partition_outside", "A partition behind the end of the disk.", _gpt((1 << 50, (1 << 50) + 1)), ()),
        ("partition_backwards", "A partition that ends before it begins.", _gpt((50, 40)), ()),
        ("mbr_outside", "An MBR partition behind the end.", _mbr((0x83, 0xFFFFFFFF, 1)), ()),
        (
            "mbr_chain_loops",
            "A chain of logical partitions that turns back on itself.",
            looping,
            (4 * BLOCK, 5 * BLOCK, 4 * 4096),
        ),
        ("mbr_unsigned", "An MBR without its last two bytes.", _edited(_mbr((0x83, 40, 2)), 510), ()),
    )
    for name, sentence, disk, finds in rows:
        yield _case(kind, name, None, sentence, bytes(disk), "bin.gz", finds=finds)


def _edited(disk: bytearray, at: int) -> bytearray:
    found = bytearray(disk)
    found[at] ^= 0xFF
    return found
