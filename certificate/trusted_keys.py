"""The keys that a trust root lists: what each is for, and between which log positions it counts.

Rules: a key is named by its own fingerprint; a role signs the statements of its role and no others; a key's
time is told in log positions, never in dates, because a thief can write any date but cannot slip below an
entry that was published. Which list they stand in, and that none serves twice, is held by `trust.TrustRoot`.
Sources: FORMATS.md, "Statements" and "Keys"; certificates.md, 2.4 and 9.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self

from cryptography.exceptions import InvalidSignature
from pydantic import Field, model_validator

from certificate.envelope import Envelope
from certificate.errors import Code, Malformed, Untrusted
from certificate.keys import PublicKey
from certificate.statements.statement import Count, KeyId, Model, NotApplicable, PublicKeyHex, RawHex, Word


class Role(StrEnum):
    """What a controller's key is for. The log's keys stand apart; an agent makes its own at each boot."""

    ORDER = "order"
    ISSUER = "issuer"
    BOOT = "boot"
    ROOT = "root"


StatementName = Literal["order", "withdrawal", "allocation", "outcome", "summary", "boot", "validation"]

#: FORMATS.md, "Statements": the widest list that a key of each role may have.
ROLE_STATEMENTS: dict[Role, tuple[StatementName, ...]] = {
    Role.ORDER: ("order", "withdrawal"),
    Role.ISSUER: ("allocation", "outcome", "summary"),
    Role.BOOT: ("boot",),
    Role.ROOT: ("validation",),
}


class NamedKey(Model):
    """An Ed25519 public key and its own fingerprint."""

    keyid: KeyId
    public_key: PublicKeyHex

    @model_validator(mode="after")
    def _names_itself(self) -> Self:
        try:
            found = self.public.keyid
        except Malformed as error:
            raise ValueError(error.reason) from None
        if found != self.keyid:
            raise ValueError("a keyid is the fingerprint of another key")
        return self

    @classmethod
    def of(cls, key: PublicKey) -> NamedKey:
        return NamedKey(keyid=key.keyid, public_key=key.raw.hex())

    @property
    def public(self) -> PublicKey:
        return PublicKey.from_hex(self.public_key)

    def has_signed(self, found: Envelope) -> bool:
        """Whether this key made the envelope's signature, whatever the envelope says of that."""
        try:
            self.public.verify(found.signature, found.pae)
        except InvalidSignature:
            return False
        return True


class TrustedKey(NamedKey):
    """A key of the controller, what it may sign, and between which log positions."""

    role: Role
    statements: Annotated[tuple[StatementName, ...], Field(min_length=1)]
    #: The first log position at which its signature counts.
    valid_from_seq: Count
    #: The first log position at which it counts no longer.
    valid_until_seq: Count | NotApplicable

    @model_validator(mode="after")
    def _keeps_to_its_role(self) -> Self:
        if not set(self.statements) <= set(ROLE_STATEMENTS[self.role]):
            raise ValueError(f"a key of role {self.role.value} may sign only its role's statements")
        return self

    @classmethod
    def first(cls, role: Role, key: PublicKey) -> TrustedKey:
        """A key that counts from the first entry on, for all that its role may sign."""
        return TrustedKey(
            keyid=key.keyid,
            public_key=key.raw.hex(),
            role=role,
            statements=ROLE_STATEMENTS[role],
            valid_from_seq=0,
            valid_until_seq="not_applicable",
        )

    def require_position(self, seq: int | None) -> None:
        """Refuses a signature outside the key's time, told by log position. Without a position only a key
        that was never withdrawn counts. Raises Untrusted(KEY_REVOKED_AT_INDEX).
        """
        until = self.valid_until_seq
        if isinstance(until, int) and (seq is None or seq >= until):
            place = "at an unknown position" if seq is None else f"at entry {seq}"
            raise Untrusted(
                Code.KEY_REVOKED_AT_INDEX, f"{self.keyid} counts until entry {until}, not {place}"
            )
        if seq is not None and seq < self.valid_from_seq:
            raise Untrusted(
                Code.KEY_REVOKED_AT_INDEX, f"{self.keyid} counts from entry {self.valid_from_seq}, not {seq}"
            )


class LogKey(Model):
    """A key under which the log signs checkpoints. A reader passes over types it does not know (ML-DSA-44 is
    0x06), as it passes over unknown lines in a note.
    """

    #: C2SP signed-note, "Signature types": 1 is Ed25519.
    signature_type: Annotated[int, Field(ge=1, le=255)]
    public_key: RawHex
    #: The first tree size at which its signature counts no longer.
    valid_until_size: Count | NotApplicable


class TrustedLog(Model):
    """The one log that is believed, by its origin and keys; the first key gave the origin its last part."""

    origin: Word
    keys: Annotated[tuple[LogKey, ...], Field(min_length=1, max_length=16)]


class Witness(Model):
    """One witness and its cosignature key."""

    name: Word
    signature_type: Annotated[int, Field(ge=1, le=255)]
    public_key: RawHex


class WitnessQuorum(Model):
    """How many of these witnesses must have cosigned a checkpoint."""

    quorum: Annotated[int, Field(ge=1)]
    witnesses: Annotated[tuple[Witness, ...], Field(min_length=1, max_length=64)]
