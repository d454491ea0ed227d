"""Ed25519 keys: who signed, and how a key rests in a file.

Rules: a public key that is not a canonical encoding, or is of small order, is refused, because such keys
"verify" signatures that nobody made. A key is named by its OpenSSH SHA-256 fingerprint; `boot_id` is the
SHA-256 of its 32 raw bytes. At rest a private key is in OpenSSH format under bcrypt with at least 100 rounds,
readable by ssh-keygen. One key for one purpose.
Sources: RFC 8032, 5.1.3 and 5.1.7; FORMATS.md, "Keys"; certificates.md, 6 (small-order trap) and 9.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from certificate.errors import Code, Malformed

#: FORMATS.md: bcrypt rounds of a key at rest. ssh-keygen's default is 16.
KDF_ROUNDS = 100
PUBLIC_KEY_BYTES = 32
#: A trust root has about ten keys and one document asks for each several times; the arithmetic of a point
#: takes ten times as long as a signature. Bounded, because strangers send keys.
MAX_REMEMBERED_KEYS = 1024

_P = 2**255 - 19
_D = (-121665 * pow(121666, -1, _P)) % _P


@dataclass(frozen=True)
class PublicKey:
    """A canonical Ed25519 public key of large order. Raises Malformed(KEY_INVALID) when it is not."""

    raw: bytes
    _key: Ed25519PublicKey = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_key", _safe_key(self.raw))

    @classmethod
    def from_hex(cls, text: str) -> PublicKey:
        try:
            raw = bytes.fromhex(text)
        except ValueError:
            raise Malformed(Code.KEY_INVALID, "a public key is 64 hexadecimal digits") from None
        return cls(raw)

    @classmethod
    def from_ssh_line(cls, line: str) -> PublicKey:
        """`ssh-ed25519 AAAA... [comment]`. Raises Malformed(KEY_INVALID) for any other kind."""
        parts = line.split()
        try:
            blob = base64.b64decode(parts[1], validate=True)
        except (IndexError, ValueError):
            raise Malformed(Code.KEY_INVALID, "not an OpenSSH public key line") from None
        prefix = _ssh_blob(b"")[:-4] + (32).to_bytes(4, "big")
        if parts[0] != "ssh-ed25519" or blob[: len(prefix)] != prefix or len(blob) != len(prefix) + 32:
            raise Malformed(Code.KEY_INVALID, "not an ssh-ed25519 key")
        return cls(blob[len(prefix) :])

    @property
    def ssh_blob(self) -> bytes:
        """The key in SSH's wire format (RFC 8709, section 4)."""
        return _ssh_blob(self.raw)

    @property
    def ssh_line(self) -> str:
        return "ssh-ed25519 " + base64.b64encode(self.ssh_blob).decode()

    @property
    def keyid(self) -> str:
        """`SHA256:` and 43 characters, as `ssh-keygen -l` prints it."""
        digest = hashlib.sha256(self.ssh_blob).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")

    @property
    def boot_id(self) -> str:
        return hashlib.sha256(self.raw).hexdigest()

    @property
    def pem(self) -> bytes:
        """SubjectPublicKeyInfo in PEM, for openssl and cosign."""
        return self._key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def verify(self, signature: bytes, message: bytes) -> None:
        """Raises cryptography's InvalidSignature unless this key signed `message`."""
        self._key.verify(signature, message)


class Signer(Protocol):
    """Something that signs bytes with one Ed25519 key: a file's key, ssh-agent, later a token."""

    @property
    def public(self) -> PublicKey: ...

    def sign(self, message: bytes) -> bytes:
        """64 bytes. Deterministic: the same message gives the same signature (RFC 8032, 5.1.6)."""
        ...


class PrivateKey:
    """An Ed25519 private key in memory."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = PublicKey(
            key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        )

    @classmethod
    def generate(cls) -> PrivateKey:
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_seed(cls, seed_32_bytes: bytes) -> PrivateKey:
        return cls(Ed25519PrivateKey.from_private_bytes(seed_32_bytes))

    @classmethod
    def from_openssh(cls, data: bytes, *, passphrase: bytes | None) -> PrivateKey:
        """Raises Malformed(KEY_UNREADABLE) for a wrong passphrase, another kind of key or a damaged file."""
        try:
            key = serialization.load_ssh_private_key(data, password=passphrase)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise Malformed(
                Code.KEY_UNREADABLE, "the key file could not be read with this passphrase"
            ) from None
        if not isinstance(key, Ed25519PrivateKey):
            raise Malformed(Code.KEY_UNREADABLE, "the key file does not hold an Ed25519 key")
        return cls(key)

    def to_openssh(self, *, passphrase: bytes | None) -> bytes:
        """OpenSSH private-key file. Without a passphrase only for keys that live in memory-backed files."""
        encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if passphrase is not None:
            builder = serialization.PrivateFormat.OpenSSH.encryption_builder()
            encryption = builder.kdf_rounds(KDF_ROUNDS).build(passphrase)
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, encryption
        )

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


def _ssh_blob(raw: bytes) -> bytes:
    kind = b"ssh-ed25519"
    return len(kind).to_bytes(4, "big") + kind + len(raw).to_bytes(4, "big") + raw


@lru_cache(maxsize=MAX_REMEMBERED_KEYS)
def _safe_key(raw: bytes) -> Ed25519PublicKey:
    """The key, once it is known to be safe: the bytes decide it, so that nobody needs to compute it twice."""
    _refuse_unsafe(raw)
    return Ed25519PublicKey.from_public_bytes(raw)


def _refuse_unsafe(raw: bytes) -> None:
    """RFC 8032, 5.1.3: y < p, a point of the curve, no negative zero; and 8 times the point not neutral."""
    if len(raw) != PUBLIC_KEY_BYTES:
        raise Malformed(Code.KEY_INVALID, f"a public key has 32 bytes, this one {len(raw)}")
    encoded = int.from_bytes(raw, "little")
    sign, y = encoded >> 255, encoded & (2**255 - 1)
    if y >= _P:
        raise Malformed(Code.KEY_INVALID, "the encoding of this key is not canonical")
    numerator, denominator = (y * y - 1) % _P, (_D * y * y + 1) % _P
    x_squared = numerator * pow(denominator, -1, _P) % _P
    x = pow(x_squared, (_P + 3) // 8, _P)
    if (x * x - x_squared) % _P:
        x = x * pow(2, (_P - 1) // 4, _P) % _P
    if (x * x - x_squared) % _P or (x == 0 and sign):
        raise Malformed(Code.KEY_INVALID, "this key is not a point of the curve")
    if x % 2 != sign:
        x = _P - x
    point = (x, y)
    for _ in range(3):
        point = _double(point)
    if point == (0, 1):
        raise Malformed(
            Code.KEY_INVALID, "this key is of small order: it would verify signatures nobody made"
        )


def _double(point: tuple[int, int]) -> tuple[int, int]:
    x, y = point
    product = _D * x * x * y * y % _P
    return (
        2 * x * y * pow(1 + product, -1, _P) % _P,
        (y * y + x * x) * pow(1 - product, -1, _P) % _P,
    )
