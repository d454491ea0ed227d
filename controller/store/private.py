"""Text about people, kept so that it can be forgotten: sealed under a key of its subject.

Rules: each subject (a keyed pseudonym) has a data key of 32 random bytes, wrapped by a master key that lives
outside the database; a text is sealed by AES-256-GCM, bound to its subject and kind; shredding destroys the
wrapped key and the texts, leaves the pseudonym with the time, and is final. The ledger and every other table
name people by pseudonym only. A subscription's id stands under its `subscription_ref`, a host's customer
under `customer_ref`.

KNOWN GAP: a copy of the database file or its write-ahead log made before shredding still holds the wrapped
key; it opens only with the master key. Backups are the operator's to expire.
Sources: NIST SP 800-38D (GCM, 96-bit random nonces); engine-and-stack.md, section 6.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    LargeBinary,
    String,
    Table,
    delete,
    insert,
    select,
    update,
)

from certificate.errors import Refused
from controller.errors import Code, LostRace
from controller.store import ledger
from controller.store.columns import METADATA, UtcDateTime
from controller.store.events import SubjectShredded

#: The kind under which a subscription's plain id is kept.
SUBSCRIPTION_TEXT = "subscription"
#: The kind under which a customer's plain name is kept.
CUSTOMER_TEXT = "customer"
KEY_BYTES = 32
NONCE_BYTES = 12
#: Gives that many bytes nobody can guess: `secrets.token_bytes`, or a counter in a test.
RandomBytes = Callable[[int], bytes]

private_subject = Table(
    "private_subject",
    METADATA,
    Column("subject_ref", String(64), primary_key=True),
    Column("wrapped_key", LargeBinary, nullable=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("shredded_at", UtcDateTime, nullable=True),
)

private_text = Table(
    "private_text",
    METADATA,
    Column("subject_ref", String(64), ForeignKey(private_subject.c.subject_ref), primary_key=True),
    Column("kind", String(40), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("written_at", UtcDateTime, nullable=False),
)


def seal(key: bytes, text: bytes, *, about: bytes, random_bytes: RandomBytes) -> bytes:
    """Nonce and AES-256-GCM ciphertext of `text`, bound to `about`. `key`: 32 bytes."""
    nonce = random_bytes(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, text, about)


def unseal(key: bytes, sealed: bytes, *, about: bytes) -> bytes:
    """Raises Refused(PRIVATE_UNREADABLE) for another key, another subject or altered bytes."""
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], about)
    except (InvalidTag, ValueError):
        raise Refused(Code.PRIVATE_UNREADABLE, "a sealed text does not open under this key") from None


def write(
    tx: Connection,
    *,
    subject_ref: str,
    kind: str,
    text: str,
    master_key: bytes,
    random_bytes: RandomBytes,
    now: datetime,
) -> None:
    """Seals `text`, in the place of one of the same kind. Raises Refused(PRIVATE_SHREDDED)."""
    key = _data_key(tx, subject_ref, master_key)
    if key is None:
        key = random_bytes(KEY_BYTES)
        wrapped = seal(master_key, key, about=_about(subject_ref, ""), random_bytes=random_bytes)
        tx.execute(
            insert(private_subject).values(subject_ref=subject_ref, wrapped_key=wrapped, created_at=now)
        )
    sealed = seal(key, text.encode(), about=_about(subject_ref, kind), random_bytes=random_bytes)
    place = (private_text.c.subject_ref == subject_ref) & (private_text.c.kind == kind)
    if not tx.execute(update(private_text).where(place).values(sealed=sealed, written_at=now)).rowcount:
        tx.execute(
            insert(private_text).values(subject_ref=subject_ref, kind=kind, sealed=sealed, written_at=now)
        )


def read(tx: Connection, *, subject_ref: str, kind: str, master_key: bytes) -> str | None:
    """The text, or None where none was written. Raises Refused: PRIVATE_SHREDDED, PRIVATE_UNREADABLE."""
    key = _data_key(tx, subject_ref, master_key)
    place = (private_text.c.subject_ref == subject_ref) & (private_text.c.kind == kind)
    sealed = tx.scalar(select(private_text.c.sealed).where(place))
    if key is None or sealed is None:
        return None
    return unseal(key, sealed, about=_about(subject_ref, kind)).decode()


def shred(tx: Connection, *, subject_ref: str, now: datetime) -> None:
    """Destroys the subject's key and texts. Raises Refused(NOT_IN_STORE), or LostRace when it is done
    already.
    """
    row = tx.execute(
        select(private_subject).where(private_subject.c.subject_ref == subject_ref)
    ).one_or_none()
    if row is None:
        raise Refused(Code.NOT_IN_STORE, f"nothing private is stored under {subject_ref}")
    believed = (private_subject.c.subject_ref == subject_ref) & private_subject.c.shredded_at.is_(None)
    if (
        tx.execute(update(private_subject).where(believed).values(wrapped_key=None, shredded_at=now)).rowcount
        != 1
    ):
        raise LostRace(subject_ref, "kept", 0)
    tx.execute(delete(private_text).where(private_text.c.subject_ref == subject_ref))
    ledger.append(tx, SubjectShredded(subject_ref=subject_ref), now=now)


def _data_key(tx: Connection, subject_ref: str, master_key: bytes) -> bytes | None:
    row = tx.execute(
        select(private_subject).where(private_subject.c.subject_ref == subject_ref)
    ).one_or_none()
    if row is None:
        return None
    if row.shredded_at is not None:
        raise Refused(Code.PRIVATE_SHREDDED, f"the key of {subject_ref} was destroyed")
    return unseal(master_key, row.wrapped_key, about=_about(subject_ref, ""))


def _about(subject_ref: str, kind: str) -> bytes:
    return f"expunge-private/v1\n{subject_ref}\n{kind}".encode()
