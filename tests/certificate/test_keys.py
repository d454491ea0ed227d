"""Keys: fingerprints as ssh-keygen prints them, files it can read, and points that are refused."""

from __future__ import annotations

import base64
import hashlib
import subprocess
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from certificate.errors import Code, Malformed
from certificate.keys import PrivateKey, PublicKey

P = 2**255 - 19
#: RFC 8032, 7.1, TEST 2.
SEED = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
PUBLIC = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
SIGNATURE = bytes.fromhex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)

#: The eight points of small order, in canonical encoding (RFC 7748, 7; every published list agrees).
SMALL_ORDER = [
    (1).to_bytes(32, "little"),
    (P - 1).to_bytes(32, "little"),
    (0).to_bytes(32, "little"),
    (1 << 255).to_bytes(32, "little"),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"),
]


def refusal_of(raw: bytes) -> Malformed:
    with pytest.raises(Malformed) as refusal:
        PublicKey(raw)
    assert refusal.value.code is Code.KEY_INVALID
    return refusal.value


def test_the_published_vector_signs_and_verifies() -> None:
    key = PrivateKey.from_seed(SEED)
    assert key.public.raw == PUBLIC
    assert key.sign(b"\x72") == SIGNATURE
    key.public.verify(SIGNATURE, b"\x72")
    with pytest.raises(InvalidSignature):
        key.public.verify(SIGNATURE, b"\x73")


@pytest.mark.parametrize("raw", SMALL_ORDER, ids=lambda raw: raw.hex()[:8])
def test_a_point_of_small_order_is_refused(raw: bytes) -> None:
    assert "small order" in refusal_of(raw).reason


def test_an_unsafe_key_is_refused_each_time() -> None:
    reasons = {refusal_of(SMALL_ORDER[2]).reason for _ in range(3)}
    assert len(reasons) == 1


def test_the_identity_would_have_verified_what_nobody_signed() -> None:
    # Why small-order keys are refused: the library itself accepts this signature of nothing, by nobody.
    identity = (1).to_bytes(32, "little")
    Ed25519PublicKey.from_public_bytes(identity).verify(identity + bytes(32), b"any message")
    refusal_of(identity)


@pytest.mark.parametrize("y", [P, P + 1, 2**255 - 1, P + 3])
@pytest.mark.parametrize("sign", [0, 1])
def test_an_encoding_that_is_not_canonical_is_refused(y: int, sign: int) -> None:
    assert "canonical" in refusal_of((y | sign << 255).to_bytes(32, "little")).reason


def test_negative_zero_is_refused() -> None:
    for y in (1, P - 1):
        refusal_of((y | 1 << 255).to_bytes(32, "little"))


@pytest.mark.parametrize("y", [2, 7])
def test_a_number_off_the_curve_is_refused(y: int) -> None:
    assert "curve" in refusal_of(y.to_bytes(32, "little")).reason


@pytest.mark.parametrize("raw", [b"", PUBLIC[:31], PUBLIC + b"\x00"])
def test_a_key_of_another_length_is_refused(raw: bytes) -> None:
    refusal_of(raw)


@given(st.binary(min_size=32, max_size=32))
def test_every_generated_key_is_accepted(seed: bytes) -> None:
    key = PrivateKey.from_seed(seed)
    assert PublicKey.from_hex(key.public.raw.hex()) == key.public


@pytest.mark.parametrize("text", ["", "zz" * 32, "00"])
def test_text_that_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        PublicKey.from_hex(text)


def test_the_boot_id_is_the_digest_of_the_raw_key() -> None:
    assert PublicKey(PUBLIC).boot_id == hashlib.sha256(PUBLIC).hexdigest()


def test_an_ssh_line_is_read_as_it_is_written() -> None:
    key = PublicKey(PUBLIC)
    assert PublicKey.from_ssh_line(key.ssh_line) == key
    assert PublicKey.from_ssh_line(key.ssh_line + " somebody's comment") == key


@pytest.mark.parametrize(
    "line",
    [
        "",
        "ssh-ed25519",
        "ssh-ed25519 ????",
        "ssh-rsa " + PublicKey(PUBLIC).ssh_line.split()[1],
        PublicKey(PUBLIC).ssh_line[:-4],
        "ssh-ed25519 " + base64.b64encode(PublicKey(PUBLIC).ssh_blob + b"\x00").decode(),
        "ssh-ed25519 " + base64.b64encode(PublicKey(PUBLIC).ssh_blob[:-32] + SMALL_ORDER[0]).decode(),
    ],
)
def test_a_line_of_another_kind_is_refused(line: str) -> None:
    with pytest.raises(Malformed) as refusal:
        PublicKey.from_ssh_line(line)
    assert refusal.value.code is Code.KEY_INVALID


def test_a_key_file_opens_with_its_passphrase_only() -> None:
    key = PrivateKey.from_seed(SEED)
    data = key.to_openssh(passphrase=b"correct horse")
    assert PrivateKey.from_openssh(data, passphrase=b"correct horse").public == key.public
    for passphrase in (b"wrong", None):
        with pytest.raises(Malformed) as refusal:
            PrivateKey.from_openssh(data, passphrase=passphrase)
        assert refusal.value.code is Code.KEY_UNREADABLE
        assert "wrong" not in str(refusal.value)


def test_a_key_file_costs_a_guesser_at_least_a_hundred_rounds() -> None:
    data = PrivateKey.from_seed(SEED).to_openssh(passphrase=b"correct horse")
    blob = base64.b64decode(b"".join(data.split(b"\n")[1:-2]))
    # PROTOCOL.key: magic, cipher name, "bcrypt", then the options: salt and rounds.
    assert blob.startswith(b"openssh-key-v1\x00")
    options = blob[blob.index(b"bcrypt") + 6 :]
    salt_bytes = int.from_bytes(options[4:8], "big")
    assert int.from_bytes(options[8 + salt_bytes : 12 + salt_bytes], "big") >= 100


@pytest.mark.parametrize("data", [b"", b"nonsense", b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"])
def test_a_damaged_key_file_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed) as refusal:
        PrivateKey.from_openssh(data, passphrase=None)
    assert refusal.value.code is Code.KEY_UNREADABLE


def test_a_key_of_another_algorithm_is_refused() -> None:
    data = generate_private_key(SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    with pytest.raises(Malformed) as refusal:
        PrivateKey.from_openssh(data, passphrase=None)
    assert refusal.value.code is Code.KEY_UNREADABLE


def test_two_generated_keys_differ() -> None:
    assert PrivateKey.generate().public != PrivateKey.generate().public


def test_a_private_key_does_not_print_itself() -> None:
    assert SEED.hex() not in repr(PrivateKey.from_seed(SEED)) + str(PrivateKey.from_seed(SEED))


@pytest.mark.system
def test_ssh_keygen_reads_the_file_and_prints_the_same_fingerprint(tmp_path: Path) -> None:
    key = PrivateKey.from_seed(SEED)
    path = tmp_path / "key"
    path.write_bytes(key.to_openssh(passphrase=b"correct horse"))
    path.chmod(0o600)
    read = subprocess.run(
        ["ssh-keygen", "-y", "-P", "correct horse", "-f", path], capture_output=True, text=True, check=True
    )
    assert read.stdout.strip() == key.public.ssh_line
    path.with_suffix(".pub").write_text(key.public.ssh_line + "\n")
    shown = subprocess.run(
        ["ssh-keygen", "-l", "-f", path.with_suffix(".pub")], capture_output=True, text=True, check=True
    )
    assert shown.stdout.split()[1] == key.public.keyid
