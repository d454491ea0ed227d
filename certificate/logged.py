"""The documents of a bundle that a trusted key signed and the log took: opened, placed, and of one log.

Rules: only bytes that verified become a `Logged`; the log entry is made again from the document, because one
that came along would prove nothing; each anchor is of this log and from before its document. What is held of
the log is one view of it:
1. Two checkpoints that the log signed for one size have one root (SPLIT_VIEW).
2. At one place of the log stands one entry, whatever checkpoint its proof leads to (SPLIT_VIEW).
3. An anchor, which only its document's signer vouches for, has the root of every checkpoint and anchor of its
   size (CHECKPOINT_INVALID).
KNOWN GAP: without a consistency proof, views of different sizes are compared by rule 2 only.
Sources: FORMATS.md, "Names"; certificates.md, 2.2, 12 and 14 (split view).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic

from certificate import envelope as dsse
from certificate.bundle import Bundle, Document
from certificate.errors import Code, Refused, Untrusted
from certificate.log import merkle
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
    #: RFC 6962 leaf hash of its log entry.
    leaf_hash: bytes

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
        statement=statement,
        digest=digest,
        seq=proof.index,
        checkpoint=log_proof.check(entry, proof, root),
        leaf_hash=merkle.leaf_hash(entry),
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


@dataclass(frozen=True, kw_only=True)
class LogView:
    """What is held of the log: its checkpoints, the anchors of documents, and which leaf stands where."""

    checkpoints: tuple[Checkpoint, ...]
    anchors: tuple[Anchor, ...]
    #: Log position and leaf hash.
    places: tuple[tuple[int, bytes], ...]


def require_one_log(documents: Iterable[Logged[Any] | None], root: TrustRoot) -> LogView:
    """What these documents show of the log. Raises Untrusted: SPLIT_VIEW, CHECKPOINT_INVALID."""
    present = [logged for logged in documents if logged is not None]
    anchors: list[Anchor] = []
    for logged in present:
        anchor = getattr(logged.predicate, "anchor", None)
        if not isinstance(anchor, Anchor):
            continue  # an allocation may have none
        if anchor.origin != root.log.origin or anchor.size > logged.seq:
            raise Untrusted(
                Code.CHECKPOINT_INVALID,
                f"entry {logged.seq} is anchored in another log, or in its own future",
            )
        anchors.append(anchor)
    view = LogView(
        checkpoints=tuple(logged.checkpoint for logged in present),
        anchors=tuple(anchors),
        places=tuple((logged.seq, logged.leaf_hash) for logged in present),
    )
    require_one_view([view])
    return view


def require_one_view(views: Sequence[LogView]) -> None:
    """Rules 1 to 3, over all that is held. Raises Untrusted: SPLIT_VIEW, CHECKPOINT_INVALID."""
    roots: dict[int, bytes] = {}
    leaves: dict[int, bytes] = {}
    for view in views:
        for checkpoint in view.checkpoints:
            if roots.setdefault(checkpoint.size, checkpoint.root) != checkpoint.root:
                raise Untrusted(
                    Code.SPLIT_VIEW, f"the log signed two roots for its first {checkpoint.size} entries"
                )
        for seq, leaf in view.places:
            if leaves.setdefault(seq, leaf) != leaf:
                raise Untrusted(Code.SPLIT_VIEW, f"the log shows two different entries {seq}")
    for view in views:
        for anchor in view.anchors:
            found = bytes.fromhex(anchor.root)
            if roots.setdefault(anchor.size, found) != found:
                raise Untrusted(
                    Code.CHECKPOINT_INVALID, f"two roots are shown for the log of {anchor.size} entries"
                )


def signed_view(bundle: Bundle, root: TrustRoot) -> LogView:
    """The checkpoints of a bundle that the log signed, whatever becomes of its documents: a forged document
    does not take back what the log said beside it.
    """
    found: list[Checkpoint] = []
    for entry in bundle.proofs:
        try:
            found.append(root.open_checkpoint(log_proof.read(entry.proof.encode()).checkpoint_note))
        except Refused:
            continue
    return LogView(checkpoints=tuple(found), anchors=(), places=())
