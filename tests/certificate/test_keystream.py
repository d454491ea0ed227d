"""The keystream against a published vector, against XTS made by hand of AES blocks, and against itself."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as some

from certificate import keystream
from certificate.keystream import KEY_BYTES, UNIT_BYTES

KEY = hashlib.shake_256(b"a key for tests").digest(KEY_BYTES)
BLOCK_BYTES = 16

#: IEEE 1619-2007 / 2018, annex B, vector 10 (XTS-AES-256, data unit FFh, plaintext 00h to FFh twice): the
#: keys are digits of e and pi. Of the ciphertext the first 64 bytes and the last 16.
IEEE_KEY = bytes.fromhex(
    "2718281828459045235360287471352662497757247093699959574966967627"
    "3141592653589793238462643383279502884197169399375105820974944592"
)
IEEE_UNIT = 0xFF
IEEE_PLAINTEXT = bytes(range(256)) * 2
IEEE_CIPHERTEXT_HEAD = bytes.fromhex(
    "1c3b3a102f770386e4836c99e370cf9bea00803f5e482357a4ae12d414a3e63b"
    "5d31e276f8fe4a8d66b317f9ac683f44680a86ac35adfc3345befecb4bb188fd"
)
IEEE_CIPHERTEXT_TAIL = bytes.fromhex("c4f36ffda9fcea70b9c6e693e148c151")


def doubled(tweak: int) -> int:
    """Times alpha in GF(2^128), the 16 bytes being little-endian (IEEE 1619, 5.2)."""
    tweak <<= 1
    return tweak ^ (1 << 128 | 0x87) if tweak >> 128 else tweak


def xts_by_hand(key: bytes, unit: int, plaintext: bytes) -> bytes:
    """XTS-AES of single AES blocks, as the standard writes it down: C = E1(P xor T) xor T."""
    one, two = (Cipher(algorithms.AES(half), modes.ECB()).encryptor() for half in (key[:32], key[32:]))  # noqa: S305
    tweak = int.from_bytes(two.update(unit.to_bytes(16, "little")), "little")
    made = b""
    for start in range(0, len(plaintext), BLOCK_BYTES):
        mask = tweak.to_bytes(16, "little")
        block = plaintext[start : start + BLOCK_BYTES]
        inner = one.update(bytes(a ^ b for a, b in zip(block, mask, strict=True)))
        made += bytes(a ^ b for a, b in zip(inner, mask, strict=True))
        tweak = doubled(tweak)
    return made


def test_xts_by_hand_reproduces_the_published_vector() -> None:
    made = xts_by_hand(IEEE_KEY, IEEE_UNIT, IEEE_PLAINTEXT)
    assert made[:64] == IEEE_CIPHERTEXT_HEAD
    assert made[-16:] == IEEE_CIPHERTEXT_TAIL


def test_the_cipher_of_a_unit_reproduces_the_published_vector() -> None:
    made = keystream.unit_encryptor(IEEE_KEY, IEEE_UNIT).update(IEEE_PLAINTEXT)
    assert made[:64] == IEEE_CIPHERTEXT_HEAD
    assert made[-16:] == IEEE_CIPHERTEXT_TAIL


@given(index=some.integers(0, 1 << 40), blocks=some.integers(1, 40))
def test_a_unit_is_zeros_under_xts_with_its_number_as_tweak(index: int, blocks: int) -> None:
    length = blocks * BLOCK_BYTES
    assert keystream.unit(KEY, index, length) == xts_by_hand(KEY, index, bytes(length))


def test_a_whole_unit_is_one_data_unit() -> None:
    # One tweak for all its 65,536 blocks, and no new start in between.
    assert keystream.unit(KEY, 7, UNIT_BYTES)[-64:] == xts_by_hand(KEY, 7, bytes(UNIT_BYTES))[-64:]


def test_the_key_is_made_of_order_nonce_and_medium_and_of_nothing_else() -> None:
    order, medium, nonce = "0a" * 32, "0b" * 32, b"\x0c" * 32
    made = keystream.key(order_digest=order, nonce=nonce, commitment=medium)
    seed = b"expunge-overwrite/v1" + b"\x0a" * 32 + b"\x0c" * 32 + b"\x0b" * 32
    assert made == hashlib.shake_256(seed).digest(64)
    others = (
        keystream.key(order_digest="1a" * 32, nonce=nonce, commitment=medium),
        keystream.key(order_digest=order, nonce=b"\x1c" * 32, commitment=medium),
        keystream.key(order_digest=order, nonce=nonce, commitment="1b" * 32),
    )
    assert len({made, *others}) == 4


def test_the_stream_of_version_1_never_changes() -> None:
    # A certificate of today names bytes on a drive: whoever checks it in ten years must make the same ones.
    key = keystream.key(order_digest="01" * 32, nonce=b"\x02" * 32, commitment="03" * 32)
    capacity = 3 * UNIT_BYTES + 4096
    whole = keystream.read(key, capacity_bytes=capacity, offset_bytes=0, length_bytes=capacity)
    assert (
        hashlib.sha256(key).hexdigest() == "9e4904b0f60c2584b845ae8831aa6e6af1b003e9912823d3945572958908bdf0"
    )
    assert (
        hashlib.sha256(whole).hexdigest()
        == "d9ed8ca4b613525edac647fe4e1d15943879e9a3c7466c05a258c6087d201f98"
    )


CAPACITY = 2 * UNIT_BYTES + 5 * 512


@pytest.fixture(scope="module")
def whole_medium() -> bytes:
    lengths = (UNIT_BYTES, UNIT_BYTES, 5 * 512)
    return b"".join(keystream.unit(KEY, index, length) for index, length in enumerate(lengths))


@given(start=some.integers(0, CAPACITY - 1), length=some.integers(1, 70_000))
def test_whatever_piece_is_asked_for_stands_at_its_place(
    whole_medium: bytes, start: int, length: int
) -> None:
    length = min(length, CAPACITY - start)
    piece = keystream.read(KEY, capacity_bytes=CAPACITY, offset_bytes=start, length_bytes=length)
    assert piece == whole_medium[start : start + length]


def test_pieces_across_units_are_whole(whole_medium: bytes) -> None:
    for start in (UNIT_BYTES - 10, 2 * UNIT_BYTES - 10):
        piece = keystream.read(KEY, capacity_bytes=CAPACITY, offset_bytes=start, length_bytes=20)
        assert piece == whole_medium[start : start + 20]
    everything = keystream.read(KEY, capacity_bytes=CAPACITY, offset_bytes=0, length_bytes=CAPACITY)
    assert everything == whole_medium


@pytest.mark.parametrize(("start", "length"), [(-1, 2), (0, 0), (0, -1), (CAPACITY, 1), (CAPACITY - 1, 2)])
def test_nothing_stands_outside_a_medium(start: int, length: int) -> None:
    with pytest.raises(ValueError, match="do not lie in"):
        keystream.read(KEY, capacity_bytes=CAPACITY, offset_bytes=start, length_bytes=length)


@pytest.mark.parametrize("length", [0, 15, UNIT_BYTES + 1])
def test_a_unit_has_a_block_at_least_and_a_mebibyte_at_most(length: int) -> None:
    with pytest.raises(ValueError, match="a unit has"):
        keystream.unit(KEY, 0, length)


def test_no_two_units_of_a_pass_and_no_two_passes_are_alike() -> None:
    other = hashlib.shake_256(b"another key").digest(KEY_BYTES)
    units = {keystream.unit(key, index, 4096) for key in (KEY, other) for index in range(8)}
    assert len(units) == 16
