"""A symmetric key at rest: 32 random bytes under a passphrase.

Ed25519 keys rest in OpenSSH's format, which has no place for a symmetric key. This file is JSON
{schema_version, purpose, kdf, n, r, p, salt, nonce, sealed}, where `sealed` is AES-256-GCM over the key under
scrypt(passphrase, salt), with the purpose authenticated beside it. A changed byte, another passphrase and a
file of another purpose are one and the same refusal.
Sources: RFC 7914 (scrypt), NIST SP 800-38D (GCM).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Final, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from pydantic import BaseModel, ConfigDict, StringConstraints

from certificate.errors import Code as CertificateCode
from certificate.errors import Malformed
from certificate.statements.statement import read_model

KEY_BYTES = 32
#: 64 MiB and about 0.2 s a guess on the bench (2 cores): dearer to guess in bulk than bcrypt's 100 rounds,
#: which need no memory, and still nothing at the start of a service.
SCRYPT_N: Final = 65536
SCRYPT_R: Final = 8
SCRYPT_P: Final = 1
SCRYPT_SALT_BYTES = 32
GCM_NONCE_BYTES = 12
MAX_FILE_BYTES = 4096

_Hex = StringConstraints(pattern=r"^([0-9a-f]{2})+$")


class SealedKey(BaseModel):
    """The file as it lies on the disk. The parameters are fixed: a file cannot ask for cheaper ones."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    schema_version: Literal[1]
    purpose: Annotated[str, StringConstraints(pattern=r"^[a-z-]{1,40}$")]
    kdf: Literal["scrypt"]
    n: Literal[65536]
    r: Literal[8]
    p: Literal[1]
    salt: Annotated[str, _Hex]
    nonce: Annotated[str, _Hex]
    sealed: Annotated[str, _Hex]

    def write(self) -> bytes:
        return json.dumps(self.model_dump(), indent=1).encode() + b"\n"


def seal(key: bytes, *, purpose: str, passphrase: bytes, randomness: Callable[[int], bytes]) -> SealedKey:
    """`key` (32 bytes) under `passphrase`. `purpose` is bound in, so that two files cannot be swapped."""
    if len(key) != KEY_BYTES:
        raise ValueError(f"a symmetric key has {KEY_BYTES} bytes, this one {len(key)}")
    salt, nonce = randomness(SCRYPT_SALT_BYTES), randomness(GCM_NONCE_BYTES)
    sealed = AESGCM(_wrapping_key(passphrase, salt)).encrypt(nonce, key, _frame(purpose))
    return SealedKey(
        schema_version=1,
        purpose=purpose,
        kdf="scrypt",
        n=SCRYPT_N,
        r=SCRYPT_R,
        p=SCRYPT_P,
        salt=salt.hex(),
        nonce=nonce.hex(),
        sealed=sealed.hex(),
    )


def unseal(data: bytes, *, purpose: str, passphrase: bytes) -> bytes:
    """The 32 bytes in a file of `seal`.

    Raises Malformed: KEY_UNREADABLE for a wrong passphrase, a changed file or another purpose; the codes of
    `read_model` for bytes that are no such file.
    """
    file = read_model(data, SealedKey, what=f"sealed key {purpose}", max_bytes=MAX_FILE_BYTES)
    wrapping = _wrapping_key(passphrase, bytes.fromhex(file.salt))
    try:
        return AESGCM(wrapping).decrypt(
            bytes.fromhex(file.nonce), bytes.fromhex(file.sealed), _frame(purpose)
        )
    except (InvalidTag, ValueError):
        raise Malformed(
            CertificateCode.KEY_UNREADABLE,
            f"the {purpose} key could not be read with this passphrase",
            remedy="Check the passphrase; if it is right, restore this file from its backup.",
        ) from None


def _wrapping_key(passphrase: bytes, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, n=SCRYPT_N, r=SCRYPT_R, p=SCRYPT_P).derive(passphrase)


def _frame(purpose: str) -> bytes:
    return b"expunge-sealed-key/v1\n" + purpose.encode()
