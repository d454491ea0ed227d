"""The configuration of one start of an erase environment: public, signed, good for one secret.

Rules: it adds no trust, it names trust (the fingerprint that the image must already hold); the secret is not
in it, only its SHA-256; both are made anew for each start. The bytes that are signed and handed over are kept
as they are: hello proves their SHA-256.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from certificate import envelope
from certificate.identifiers import DeprovisionId
from certificate.keys import PublicKey, Signer
from certificate.statements import Boot, Purpose, make, subject
from certificate.statements.vocabulary import BootTrust

SECRET_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class BootConfiguration:
    """What is handed to a host: the exact bytes of the envelope file, and their SHA-256 in hexadecimal."""

    data: bytes

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


def build(
    *,
    deprovision: DeprovisionId,
    boot_trust: BootTrust,
    trust_root_digest: str,
    controller_keys: tuple[PublicKey, ...],
    secret: bytes,
    nonce: str,
    purpose: Purpose,
    issued_at: datetime,
    expires_at: datetime,
    signer: Signer,
) -> BootConfiguration:
    """The signed configuration of one start.

    `secret`: 32 random bytes, handed in, for this start only; `nonce`: 32 hexadecimal digits; times aware,
    UTC, whole seconds; `controller_keys` may open a session. Raises ValueError for a caller's mistake.
    """
    if len(secret) != SECRET_BYTES:
        raise ValueError(f"a boot secret has {SECRET_BYTES} bytes")
    if expires_at <= issued_at:
        raise ValueError("a boot configuration expires after it is issued")
    secret_digest = hashlib.sha256(secret).hexdigest()
    predicate = Boot(
        schema_version=1,
        purpose=purpose,
        nonce=nonce,
        issued_at=issued_at,
        deprovision=deprovision,
        boot_trust=boot_trust,
        signer=signer.public.keyid,
        trust_root_digest=trust_root_digest,
        controller_ssh_keys=tuple(key.ssh_line for key in controller_keys),
        secret_digest=secret_digest,
        expires_at=expires_at,
    )
    statement = make(predicate, (subject("boot-secret", secret_digest),))
    return BootConfiguration(data=envelope.sign(statement.payload(), signer).write())
