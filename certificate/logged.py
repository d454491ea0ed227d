"""The documents of a bundle that a trusted key signed and the log took: opened, placed, and of one log.

Rules: only bytes that verified become a `Logged`; the log entry is made again from the document, because one
that came along would prove nothing; no two checkpoints contradict each other, and each anchor is of this log
and from before its document. Without a consistency proof an anchor is compared with a checkpoint of the same
size only. Sources: FORMATS.md, "Names"; certificates.md, 2.2 and 12.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Generic

from certificate import envelope as dsse
from certificate.bundle import Bundle, Document
from certificate.errors import Code, Untrusted
from certificate.log import proof as log_proof
from certificate.log.checkpoint import Checkpoint
from certificate.log.entry import Entry, LogKind
from certificate.statements import Decision, Statement
from certificate.statements import statement as statements
from certificate.statements.order import Anchor
from certificate.statements.people import DecisionKind
from certificate.statements.statement import PredicateT
from certificate.trust import TrustRoot


@dataclass(frozen=True, kw_only=True)
class Logged(Generic[PredicateT]):
    """A document whose signature and place in the log were verified."""

    statement: Statement[PredicateT]
    digest: str
    seq: int
    checkpoint: Checkpoint

    @property
    def predicate(self) -> PredicateT:
        return self.statement.predicate


def open_logged(
    bundle: Bundle, document: Document, text: str, kind: type[PredicateT], root: TrustRoot
) -> Logged[PredicateT]:
    """The document, if it is signed for the place at which its proof shows it.

    Raises Malformed, or Untrusted: NOT_LOGGED, PROOF_INVALID, CHECKPOINT_INVALID and the codes of
    `TrustRoot.open_statement`.
    """
    data = text.encode()
    proof_text = bundle.proof(document)
    if proof_text is None:
        raise Untrusted(Code.NOT_LOGGED, f"no proof that the {document.value} stands in the log")
    proof = log_proof.read(proof_text)
    statement, digest = root.open_statement(data, kind, seq=proof.index)
    entry = log_entry(data, LogKind(document.value), keyid=_signer(statement), seq=proof.index)
    return Logged(
        statement=statement, digest=digest, seq=proof.index, checkpoint=log_proof.check(entry, proof, root)
    )


def _signer(statement: Statement[PredicateT]) -> str:
    """The fingerprint of the key that verified: `TrustRoot.open_statement` holds that it is the one named."""
    predicate = statement.predicate
    named = getattr(predicate, "issuer", None) or getattr(predicate, "signer", None)
    if not isinstance(named, str):
        raise Untrusted(Code.NOT_LOGGED, f"a {predicate.statement_name} names no signer")
    return named


def log_entry(data: bytes, kind: LogKind, *, keyid: str, seq: int) -> bytes:
    """The log entry of this document, made again from it."""
    envelope = dsse.read(data)
    return Entry(
        kind=kind,
        pae_sha256=hashlib.sha256(envelope.pae).hexdigest(),
        signature_sha256=hashlib.sha256(envelope.signature).hexdigest(),
        keyid=keyid,
        seq=seq,
    ).write()


def decisions_of(bundle: Bundle, kind: DecisionKind) -> tuple[bytes, ...]:
    """The decisions of this kind: sorted unverified, verified by whoever uses them."""
    found = [text.encode() for text in bundle.decisions]
    return tuple(
        data for data in found if statements.read(dsse.read(data).payload, Decision).predicate.kind is kind
    )


def require_one_log(documents: Iterable[Logged[Any] | None], root: TrustRoot) -> None:
    """Raises Untrusted(CHECKPOINT_INVALID) where two roots or an anchor contradict each other."""
    present = [logged for logged in documents if logged is not None]
    roots: dict[int, bytes] = {}
    for logged in present:
        _require_root(roots, logged.checkpoint.size, logged.checkpoint.root)
    for logged in present:
        anchor = getattr(logged.predicate, "anchor", None)
        if not isinstance(anchor, Anchor):
            continue  # an allocation has none
        if anchor.origin != root.log.origin or anchor.size > logged.seq:
            raise Untrusted(
                Code.CHECKPOINT_INVALID,
                f"entry {logged.seq} is anchored in another log, or in its own future",
            )
        _require_root(roots, anchor.size, bytes.fromhex(anchor.root))


def _require_root(roots: dict[int, bytes], size: int, found: bytes) -> None:
    if roots.setdefault(size, found) != found:
        raise Untrusted(Code.CHECKPOINT_INVALID, f"two roots are shown for the log of {size} entries")
