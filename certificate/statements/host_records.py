"""Allocation, boot, withdrawal and absence: the smaller records of a host's way through a deprovision."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from certificate.identifiers import DeprovisionId, OrderId
from certificate.statements.medium import Medium
from certificate.statements.order import Anchor
from certificate.statements.statement import (
    CodeWord,
    Count,
    Digest,
    KeyId,
    Nonce,
    NotApplicable,
    Predicate,
    PublicKeyHex,
    UtcSeconds,
)
from certificate.statements.vocabulary import BootTrust


class Allocation(Predicate):
    """The drives of a host as they were handed to a tenancy; the tenant's means to notice a missing
    certificate.
    """

    statement_name: ClassVar[str] = "allocation"

    issuer: KeyId
    host_commitment: Digest
    tenancy_ref: Digest
    subscription_ref: Digest
    media: Annotated[tuple[Medium, ...], Field(min_length=1, max_length=200)]
    starts_at: UtcSeconds
    anchor: Anchor | NotApplicable


class Boot(Predicate):
    """The public, signed configuration of one start of an erase environment. It adds no trust: it names
    trust.
    """

    statement_name: ClassVar[str] = "boot"

    deprovision: DeprovisionId
    boot_trust: BootTrust
    signer: KeyId
    #: Fingerprint of trust root version 1, which the image must already hold.
    trust_root_digest: Digest
    #: OpenSSH public key lines that may open a session.
    controller_ssh_keys: Annotated[
        tuple[Annotated[str, StringConstraints(pattern=r"^ssh-ed25519 [A-Za-z0-9+/=]{68}$")], ...],
        Field(min_length=1, max_length=8),
    ]
    #: SHA-256 of the single-use secret that travels by virtual media.
    secret_digest: Digest
    expires_at: UtcSeconds


class Withdrawal(Predicate):
    """An order that will not be dispatched. Subject: the order's digest."""

    statement_name: ClassVar[str] = "withdrawal"

    signer: KeyId
    order: OrderId
    order_digest: Digest
    #: Where the order stands in the log.
    order_seq: Count
    token: Nonce
    reason: CodeWord


class Absence(Predicate):
    """The agent's final answer that an order was not begun and, its token being poisoned, never will be.

    Signed by the key whose hash is `boot_id`. Subject: the order's token, hashed.
    """

    statement_name: ClassVar[str] = "absence"

    #: not_applicable where the agent never received the order.
    order: OrderId | NotApplicable
    token: Nonce
    boot_id: Digest
    agent_key: PublicKeyHex
    is_final: Literal[True]
    reason: CodeWord
