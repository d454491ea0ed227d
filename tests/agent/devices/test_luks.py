"""LUKS headers as bytes: what the specification lays down is read back, everything else is Malformed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.devices.luks import (
    MAX_LUKS2_SLOTS,
    SECONDARY_PLACES,
    Area,
    Luks1Header,
    Luks2BinaryHeader,
    Luks2Header,
    has_magic,
    has_secondary_magic,
    version,
)
from certificate.errors import Malformed
from tests import luks_image


def parse_document(document: dict[str, Any] | bytes, **how: Any) -> Luks2Header:
    return Luks2Header.parse(luks_image.luks2_header(document, **how))


@pytest.mark.parametrize("header_bytes", SECONDARY_PLACES)
@pytest.mark.parametrize("is_secondary", [False, True])
def test_a_luks2_header_reads_as_the_specification_writes_it(header_bytes: int, is_secondary: bool) -> None:
    document = luks_image.luks2_json(header_bytes=header_bytes, slots=3, tokens=2)
    header = parse_document(document, header_bytes=header_bytes, is_secondary=is_secondary, sequence=7)
    assert header == Luks2Header(
        sequence=7,
        header_bytes=header_bytes,
        keyslots_bytes=16744448,
        slots=tuple(Area(2 * header_bytes + number * 258048, 258048) for number in range(3)),
        data_offset_bytes=16 << 20,
        token_count=2,
        is_hw_opal=False,
    )
    assert header.keys_end_bytes == 2 * header_bytes + 16744448


def test_a_luks1_header_reads_as_the_specification_writes_it() -> None:
    header = Luks1Header.parse(luks_image.luks1_header(enabled=(0, 6)))
    assert header.slot_count == 2
    assert header.slots == tuple(Area((8 + number * 504) * 512, 256000) for number in range(8))
    assert header.data_offset_bytes == 4096 * 512
    assert header.keys_end_bytes == (8 + 7 * 504) * 512 + 256000


def test_luks1_stripes_that_end_amid_a_sector_are_kept_to_the_end_of_it() -> None:
    header = Luks1Header.parse(luks_image.luks1_header(key_bytes=17, stripes=31))
    assert {slot.length_bytes for slot in header.slots} == {1024}


def test_magic_numbers_are_told_apart() -> None:
    assert has_magic(b"LUKS\xba\xbe\x00\x01")
    assert not has_magic(b"SKUL\xba\xbe")
    assert has_secondary_magic(b"SKUL\xba\xbe")
    assert not has_secondary_magic(b"LUKS\xba\xbe")
    assert version(b"LUKS\xba\xbe\x00\x02") == 2
    assert version(b"LUKS\xba\xbe") == 0


def test_one_changed_bit_anywhere_breaks_a_luks2_header() -> None:
    """Only behind the digest itself (480 to 511) nothing is looked at, as in cryptsetup."""
    header = luks_image.luks2_header(luks_image.luks2_json())
    for place in [*range(480), 512, 4095, 4096, 5000, len(header) - 1]:
        changed = bytearray(header)
        changed[place] ^= 1
        with pytest.raises(Malformed):
            Luks2Header.parse(bytes(changed))


def test_a_header_that_lies_elsewhere_than_it_says_is_not_believed() -> None:
    with pytest.raises(Malformed, match="lies at"):
        parse_document(luks_image.luks2_json(), is_secondary=True, lies_at=0x8000)
    with pytest.raises(Malformed, match="lies at"):
        parse_document(luks_image.luks2_json(), lies_at=0x4000)


@pytest.mark.parametrize("size", [0, 1, 4096, 0x3FFF, 0x6000, 0x800000, 2**63, 2**64 - 1])
def test_a_header_of_any_other_size_is_refused_before_it_is_read(size: int) -> None:
    header = bytearray(luks_image.luks2_header(luks_image.luks2_json())[:4096])
    header[8:16] = size.to_bytes(8, "big")
    with pytest.raises(Malformed, match="LUKS2 header has"):
        Luks2BinaryHeader.parse(bytes(header))


def test_a_checksum_of_an_unknown_kind_is_not_believed() -> None:
    for algorithm in ("", "md5", "sha1", "crc32", "sha256 "):
        with pytest.raises(Malformed, match="checksum"):
            parse_document(luks_image.luks2_json(), algorithm=algorithm)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("config",), None),
        (("config", "json_size"), "12289"),
        (("config", "keyslots_size"), "999999999999"),
        (("config", "keyslots_size"), -1),
        (("keyslots",), []),
        (("keyslots", "0"), "a slot"),
        (("keyslots", "0", "area"), None),
        (("keyslots", "0", "area", "offset"), 32768),
        (("keyslots", "0", "area", "offset"), "0"),
        (("keyslots", "0", "area", "offset"), "032768"),
        (("keyslots", "0", "area", "offset"), "+32768"),
        (("keyslots", "0", "area", "offset"), "٣٢٧٦٨"),
        (("keyslots", "0", "area", "offset"), "9" * 4000),
        (("keyslots", "0", "area", "size"), "0"),
        (("keyslots", "0", "area", "size"), "9223372036854775807"),
        (("keyslots", "0", "area", "size"), "9223372036854775808"),
        (("segments",), None),
        (("segments", "0", "offset"), "dynamic"),
        (("segments", "0", "type"), 3),
        (("tokens",), {str(number): {} for number in range(65)}),
    ],
)
def test_metadata_that_no_program_writes_is_malformed(path: tuple[str, ...], value: Any) -> None:
    document = luks_image.luks2_json()
    inner = document
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    with pytest.raises(Malformed):
        parse_document(document)


def test_more_key_slots_than_there_can_be_are_refused() -> None:
    room = 200 * luks_image.SLOT_BYTES
    most = luks_image.luks2_json(header_bytes=0x10000, slots=MAX_LUKS2_SLOTS, keyslots_bytes=room)
    assert parse_document(most, header_bytes=0x10000).slot_count == MAX_LUKS2_SLOTS
    more = luks_image.luks2_json(header_bytes=0x10000, slots=MAX_LUKS2_SLOTS + 1, keyslots_bytes=room)
    with pytest.raises(Malformed):
        parse_document(more, header_bytes=0x10000)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{",
        b'{"keyslots": {}, "keyslots": {}}',
        b"[" * 5000,
        b"\xff\xfe",
        json.dumps(luks_image.luks2_json()).encode() + b"\x00 and more",
        json.dumps(luks_image.luks2_json()).encode() + b" and more",
    ],
)
def test_a_json_area_that_is_not_strictly_one_object_is_malformed(text: bytes) -> None:
    with pytest.raises(Malformed):
        parse_document(text)


def test_segments_of_the_drive_itself_are_recognised() -> None:
    for kind, expected in (("crypt", False), ("hw-opal", True), ("hw-opal-crypt", True), ("linear", False)):
        assert parse_document(luks_image.luks2_json(segment_type=kind)).is_hw_opal is expected


def test_the_data_begin_with_the_first_segment_on_this_device() -> None:
    document = luks_image.luks2_json(data_offset=0)
    for number, offset in (("1", 32 << 20), ("2", 24 << 20)):
        document["segments"][number] = {**document["segments"]["0"], "offset": str(offset)}
    assert parse_document(document).data_offset_bytes == 24 << 20


def test_data_on_another_device_have_no_offset_here() -> None:
    assert parse_document(luks_image.luks2_json(data_offset=0)).data_offset_bytes == 0


@pytest.mark.parametrize(
    "header",
    [
        luks_image.luks1_header(stripes=0),
        luks_image.luks1_header(stripes=2**32 - 1),
        luks_image.luks1_header(key_bytes=2**32 - 1, stripes=2**32 - 1),
        luks_image.luks1_header().replace(b"\x00\xac\x71\xf3", b"\x00\xac\x71\xf4"),
        b"SKUL" + luks_image.luks1_header()[4:],
        luks_image.luks1_header()[:-1],
    ],
)
def test_a_luks1_header_that_no_program_writes_is_malformed(header: bytes) -> None:
    with pytest.raises(Malformed):
        Luks1Header.parse(header)


def resigned(header: bytearray) -> bytes:
    """With a checksum that holds again, as a tenant with a hex editor would."""
    header[448:512] = bytes(64)
    header[448:480] = hashlib.sha256(header).digest()
    return bytes(header)


@given(
    changes=st.lists(st.tuples(st.integers(0, 0x4000 - 1), st.binary(min_size=1, max_size=9)), max_size=6),
    is_resigned=st.booleans(),
)
def test_damage_is_malformed_or_harmless_and_never_costs_memory(
    changes: list[tuple[int, bytes]], is_resigned: bool
) -> None:
    header = bytearray(luks_image.luks2_header(luks_image.luks2_json(slots=2, tokens=1)))
    for place, new in changes:
        header[place : place + len(new)] = new[: len(header) - place]
    data = resigned(header) if is_resigned else bytes(header)
    tracemalloc.start()
    try:
        parsed = Luks2Header.parse(data)
    except Malformed:
        pass
    else:
        room_end = 2 * parsed.header_bytes + parsed.keyslots_bytes
        assert all(2 * parsed.header_bytes <= slot.offset_bytes < room_end for slot in parsed.slots)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 4 << 20


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)


@given(
    name=st.sampled_from(["keyslots", "segments", "tokens", "config", "digests"]),
    value=JSON
    | st.dictionaries(st.just("0"), st.fixed_dictionaries({"area": JSON, "offset": JSON, "type": JSON})),
)
def test_any_json_in_any_place_is_malformed_or_harmless(name: str, value: Any) -> None:
    document = luks_image.luks2_json()
    document[name] = value
    with contextlib.suppress(Malformed):
        parse_document(document)


@given(data=st.binary(max_size=600) | st.binary(min_size=586, max_size=586).map(b"LUKS\xba\xbe".__add__))
def test_any_bytes_are_a_luks1_header_or_malformed(data: bytes) -> None:
    try:
        header = Luks1Header.parse(data)
    except Malformed:
        return
    assert len(header.slots) == 8
    assert all(0 < slot.length_bytes <= 4 << 20 for slot in header.slots)
