"""The trust root: who may sign what, from which log position on, and which log is believed.

Rules, for the root itself (`read`): one DSSE envelope signed by one of its own root keys; every key is
canonical, of large order, named by its own fingerprint and listed for one purpose only; a role signs only the
statements of its role; the log's origin follows from the domain and the log's first key; the first two
operators are two people. `witnesses` says "none" in so many words where there is none.

Rules, for what is opened with it (`TrustRoot.open_statement`): a key that may sign this statement verified
the exact bytes; the key was valid at the statement's log position; the statement names that key as its
signer; both are of one purpose, because demonstrations vouch for nothing else and nothing else for them.

A stranger compares `fingerprint` with the one printed on paper: a trust root vouches for itself to nobody.
Expiry bounds *issuing* only (`may_issue`); an archived document is judged by its log position, so that a
certificate stays valid after its keys have gone. Revocation is by position for the same reason: a thief can
write any date, but not below an entry already published.

KNOWN GAP: version 1 only. A later version must be signed by the threshold of its predecessor and of itself;
the fields are there, and `read` answers UNSUPPORTED to a version above 1, a threshold above 1 or a list of
witnesses, rather than check less than the document asks.
Sources: certificates.md, 2.4 and 7; FORMATS.md, "Keys"; the root rules of TUF 1.0, section 5.3.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from certificate import envelope as dsse
from certificate.envelope import TRUST_ROOT_PAYLOAD_TYPE, Envelope
from certificate.errors import Code, Malformed, Untrusted
from certificate.keys import PublicKey, Signer
from certificate.log import checkpoint as log_checkpoint
from certificate.log.checkpoint import Checkpoint
from certificate.log.note import ED25519, Ed25519NoteKey
from certificate.statements import Absence, Evidence, Purpose, Statement
from certificate.statements import statement as statements
from certificate.statements.statement import (
    Digest,
    Model,
    Nonce,
    NotApplicable,
    PredicateT,
    SchemaOne,
    UtcSeconds,
    Word,
)
from certificate.trusted_keys import LogKey, NamedKey, Role, TrustedKey, TrustedLog, WitnessQuorum

__all__ = ["Domain", "EraseImage", "TrustRoot", "fingerprint", "read", "sign"]

#: RFC 1123 name in lower case: it begins the log's origin, which holds neither space nor plus sign.
Domain = Annotated[
    str,
    StringConstraints(
        pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$", max_length=253
    ),
]


class EraseImage(Model):
    """An erase environment that this provider boots, by the digest of its image."""

    version: Word
    digest: Digest


def _first_log(domain: str, key: PublicKey) -> TrustedLog:
    """A log with one key, which also gave the origin its last part."""
    first = LogKey(signature_type=ED25519, public_key=key.raw.hex(), valid_until_size="not_applicable")
    return TrustedLog(origin=log_checkpoint.origin(domain, key), keys=(first,))


class TrustRoot(Model):
    """Whom a verifier or an agent believes. Made by `TrustRoot.new`, read by `read`, never altered."""

    schema_version: SchemaOne
    version: Annotated[int, Field(ge=1)]
    #: `fingerprint` of the version before; not_applicable in version 1.
    previous_fingerprint: Digest | NotApplicable
    purpose: Purpose
    nonce: Nonce
    domain: Domain
    created_at: UtcSeconds
    #: Nothing is issued under this root from here on; what was issued stays valid.
    expires_at: UtcSeconds
    root_keys: Annotated[tuple[NamedKey, ...], Field(min_length=1, max_length=16)]
    #: How many root keys must sign the next version, and this one.
    root_threshold: Annotated[int, Field(ge=1)]
    keys: Annotated[tuple[TrustedKey, ...], Field(min_length=1, max_length=64)]
    log: TrustedLog
    #: "none", in so many words: then the operator could show others another log, and verifiers say so.
    witnesses: Literal["none"] | WitnessQuorum
    #: The first two operators, active at once. Further ones: `certificate.operators`.
    operators: Annotated[tuple[NamedKey, ...], Field(min_length=2, max_length=2)]
    erase_images: Annotated[tuple[EraseImage, ...], Field(max_length=64)]

    @classmethod
    def new(
        cls,
        *,
        purpose: Purpose,
        domain: str,
        nonce: str,
        created_at: datetime,
        expires_at: datetime,
        root_key: PublicKey,
        order_key: PublicKey,
        issuer_key: PublicKey,
        boot_key: PublicKey,
        log_key: PublicKey,
        operators: tuple[PublicKey, PublicKey],
        erase_images: tuple[EraseImage, ...],
    ) -> TrustRoot:
        """Version 1, without witnesses: one key a role, each valid from the first entry on.

        Raises pydantic's ValidationError for values that no trust root can hold (one key used twice, ...).
        """
        roles = ((Role.ORDER, order_key), (Role.ISSUER, issuer_key), (Role.BOOT, boot_key))
        return cls(
            schema_version=1,
            version=1,
            previous_fingerprint="not_applicable",
            purpose=purpose,
            nonce=nonce,
            domain=domain,
            created_at=created_at,
            expires_at=expires_at,
            root_keys=(NamedKey.of(root_key),),
            root_threshold=1,
            keys=tuple(TrustedKey.first(role, key) for role, key in (*roles, (Role.ROOT, root_key))),
            log=_first_log(domain, log_key),
            witnesses="none",
            operators=(NamedKey.of(operators[0]), NamedKey.of(operators[1])),
            erase_images=erase_images,
        )

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.expires_at <= self.created_at:
            raise ValueError("a trust root expires after it was made")
        if (self.version == 1) != (self.previous_fingerprint == "not_applicable"):
            raise ValueError("version 1 has no predecessor, and each later one has")
        if self.root_threshold > len(self.root_keys):
            raise ValueError("fewer root keys than must sign")
        self._require_one_purpose_a_key()
        self._require_origin()
        return self

    def _require_one_purpose_a_key(self) -> None:
        roots = [key.public_key for key in self.root_keys]
        validating = [key.public_key for key in self.keys if key.role is Role.ROOT]
        if not set(validating) <= set(roots) or len(set(validating)) != len(validating):
            raise ValueError("only root keys, each once, sign validation tables")
        others = [key.public_key for key in self.keys if key.role is not Role.ROOT]
        logs = [key.public_key for key in self.log.keys]
        operators = [key.public_key for key in self.operators]
        listed = [*roots, *others, *logs, *operators]
        if len(set(listed)) != len(listed):
            raise ValueError("a key serves one purpose and is listed once")

    def _require_origin(self) -> None:
        first = self.log.keys[0]
        if first.signature_type != ED25519:
            raise ValueError("the log's first key is an Ed25519 key")
        try:
            expected = log_checkpoint.origin(self.domain, PublicKey.from_hex(first.public_key))
            self._log_keys()
        except Malformed as error:
            raise ValueError(error.reason) from None
        if self.log.origin != expected:
            raise ValueError("the log's origin is made of the domain and the log's first key")

    def _log_keys(self, size: int | None = None) -> tuple[Ed25519NoteKey, ...]:
        """The log keys of a known type; with `size`, those that count for a tree of that size."""
        return tuple(
            Ed25519NoteKey(name=self.log.origin, public=PublicKey.from_hex(key.public_key))
            for key in self.log.keys
            if key.signature_type == ED25519
            and (size is None or key.valid_until_size == "not_applicable" or size < key.valid_until_size)
        )

    def may_issue(self, now: datetime) -> bool:
        """Whether anything may still be signed under this root. Verification never asks."""
        return self.created_at <= now < self.expires_at

    def open_checkpoint(self, data: bytes) -> Checkpoint:
        """The checkpoint in `data`, of the trusted log, signed by a key that counts for its size.

        Raises Malformed or Untrusted, both with CHECKPOINT_INVALID.
        """
        checkpoint = log_checkpoint.open_checkpoint(data, origin=self.log.origin, keys=self._log_keys())
        # A withdrawn key must not vouch alone: the size, now authentic, decides which keys count.
        counting = self._log_keys(checkpoint.size)
        if counting == self._log_keys():
            return checkpoint
        return log_checkpoint.open_checkpoint(data, origin=self.log.origin, keys=counting)

    def open_statement(
        self, envelope_bytes: bytes, kind: type[PredicateT], *, seq: int | None = None
    ) -> tuple[Statement[PredicateT], str]:
        """The statement in an envelope and the SHA-256 of its payload in hexadecimal.

        `seq`: its log position, or for a statement that is not logged itself, that of the one which names it
        by digest; None only where neither exists yet.
        Raises Malformed (the codes of `envelope.read` and `statement.read`) or Untrusted: SIGNATURE_INVALID,
        KEY_UNTRUSTED, KEY_REVOKED_AT_INDEX, PURPOSE_MISMATCH.
        """
        found = dsse.read(envelope_bytes)
        key = self._signing_key(found, kind.statement_name)
        key.require_position(seq)
        statement = statements.read(found.payload, kind)
        for field in ("signer", "issuer"):
            named = getattr(statement.predicate, field, key.keyid)
            if named != key.keyid:
                raise Untrusted(Code.KEY_UNTRUSTED, f"signed by {key.keyid}, but it names {named}")
        self.require_purpose(statement.predicate.purpose, kind.statement_name)
        return statement, found.payload_digest

    def open_evidence(self, envelope_bytes: bytes, *, boot_id: str) -> tuple[Statement[Evidence], str]:
        """Evidence and its payload digest, signed by the key of exactly this boot of an agent.

        `boot_id`: as the order names it. Raises as `open_statement`.
        """
        found = dsse.read(envelope_bytes)
        statement = statements.read(found.payload, Evidence)
        key = _agent_key(found, statement.predicate, boot_id)
        if statement.predicate.agent_keyid != key.keyid:
            raise Untrusted(Code.KEY_UNTRUSTED, "the evidence names another key than the one that signed it")
        self.require_purpose(statement.predicate.purpose, "evidence")
        return statement, found.payload_digest

    def open_absence(self, envelope_bytes: bytes, *, boot_id: str) -> tuple[Statement[Absence], str]:
        """A final absence and its payload digest, signed by the key of exactly this boot of an agent.

        Raises as `open_statement`.
        """
        found = dsse.read(envelope_bytes)
        statement = statements.read(found.payload, Absence)
        _agent_key(found, statement.predicate, boot_id)
        self.require_purpose(statement.predicate.purpose, "absence")
        return statement, found.payload_digest

    def require_purpose(self, purpose: Purpose, what: str) -> None:
        """Refuses a document of another purpose than this root's. Raises Untrusted(PURPOSE_MISMATCH)."""
        if purpose is not self.purpose:
            raise Untrusted(
                Code.PURPOSE_MISMATCH, f"a {what} for {purpose.value} under a root for {self.purpose.value}"
            )

    def _signing_key(self, found: Envelope, name: str) -> TrustedKey:
        """The key that signed. The envelope's `keyid` chooses between two words for no, and nothing else."""
        # Those that may sign it first: the answer is the same, and nobody computes signatures in vain.
        for key in sorted(self.keys, key=lambda key: name not in key.statements):
            if not key.has_signed(found):
                continue
            if name not in key.statements:
                raise Untrusted(Code.KEY_UNTRUSTED, f"{key.keyid} ({key.role.value}) may not sign {name}")
            return key
        if any(key.keyid == found.keyid for key in self.keys if name in key.statements):
            raise Untrusted(Code.SIGNATURE_INVALID, f"the signature of this {name} is not by {found.keyid}")
        raise Untrusted(Code.KEY_UNTRUSTED, f"no key of this trust root signed this {name}")


def sign(root: TrustRoot, signer: Signer) -> Envelope:
    """The trust root in its envelope. Raises Untrusted(KEY_UNTRUSTED) unless `signer` is one of its root
    keys.
    """
    if signer.public.keyid not in [key.keyid for key in root.root_keys]:
        raise Untrusted(Code.KEY_UNTRUSTED, f"{signer.public.keyid} is no root key of this trust root")
    return dsse.sign(root.canonical(), signer, payload_type=TRUST_ROOT_PAYLOAD_TYPE)


def read(data: bytes) -> TrustRoot:
    """The trust root in an envelope, signed by itself. Whether it is the right one, `fingerprint` tells.

    Raises Malformed (the codes of `envelope.read`; UNKNOWN_FIELD, UNSUPPORTED) or Untrusted:
    TRUST_ROOT_INVALID, SIGNATURE_INVALID.
    """
    found = dsse.read(data, payload_type=TRUST_ROOT_PAYLOAD_TYPE)
    try:
        root = statements.read_model(found.payload, TrustRoot, what="trust root")
    except Malformed as error:
        if error.code is not Code.MALFORMED:
            raise
        raise Untrusted(Code.TRUST_ROOT_INVALID, error.reason) from None
    if not any(key.has_signed(found) for key in root.root_keys):
        raise Untrusted(Code.SIGNATURE_INVALID, "no root key of this trust root signed it")
    if root.version > 1 or root.root_threshold > 1:
        raise Malformed(
            Code.UNSUPPORTED,
            f"trust root version {root.version}, threshold {root.root_threshold}: "
            "this release reads version 1 with one signature",
        )
    if root.witnesses != "none":
        raise Malformed(
            Code.UNSUPPORTED, "this trust root asks for witnesses, which this release cannot check"
        )
    return root


def fingerprint(data: bytes) -> str:
    """SHA-256 of a trust root's payload, 64 hexadecimal digits: what stands on paper and in an image.

    Raises Malformed (the codes of `envelope.read`); verifies nothing.
    """
    return dsse.read(data, payload_type=TRUST_ROOT_PAYLOAD_TYPE).payload_digest


def _agent_key(found: Envelope, predicate: Evidence | Absence, boot_id: str) -> PublicKey:
    """The agent's key, which is its own proof: an order names its hash, so it needs nobody's signature."""
    key = PublicKey.from_hex(predicate.agent_key)
    if not key.boot_id == predicate.boot_id == boot_id:
        raise Untrusted(Code.KEY_UNTRUSTED, "signed in another boot than the one the order names")
    found.opened(key)
    return key
