"""A log entry: the fixed text by which the log commits to one document.

    expunge-log/v1
    kind order
    pae sha256:<64 hex>          SHA-256 of the document's PAE: type and payload
    sig sha256:<64 hex>          SHA-256 of the 64 raw signature bytes
    key SHA256:<43 characters>   the OpenSSH fingerprint of the key that signed
    seq 17                       its leaf index

Rules: six lines in this order, each ended by LF, one spelling each, so that an entry read is the entry
written. It commits to PAE and signature, not to the envelope's text: another spacing or an emptied `keyid`
keep the proof valid, another signature does not. It names no person, host, medium or tenant. Entry 0 is
`genesis`, and only entry 0; it commits to trust root version 1.
Sources: certificates.md, 2.2; FORMATS.md, "Names".
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum

from certificate.envelope import Envelope
from certificate.errors import Code, Malformed, Untrusted
from certificate.log import lines

HEADER = b"expunge-log/v1"
#: The longest kind and number give 263 bytes; stops a flood before the pattern is tried.
MAX_ENTRY_BYTES = 300


class LogKind(StrEnum):
    """What an entry commits to. Later kinds are added; none is renamed (FORMATS.md, "Names")."""

    GENESIS = "genesis"
    TRUST_ROOT = "trust-root"
    ALLOCATION = "allocation"
    ORDER = "order"
    WITHDRAWAL = "withdrawal"
    OUTCOME = "outcome"
    SUMMARY = "summary"
    ENROL_AGENT = "enrol-agent"
    REVOKE_KEY = "revoke-key"


_DIGEST = re.compile(r"[0-9a-f]{64}")
_KEYID = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
_ENTRY = re.compile(
    rb"expunge-log/v1\n"
    rb"kind ([a-z-]{1,20})\n"
    rb"pae sha256:([0-9a-f]{64})\n"
    rb"sig sha256:([0-9a-f]{64})\n"
    rb"key (SHA256:[A-Za-z0-9+/]{43})\n"
    rb"seq ([0-9]{1,19})\n"
)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry. Digests in lower-case hexadecimal; `seq` is the leaf index. Raises Malformed(ENTRY_INVALID)
    for values that the grammar cannot carry.
    """

    kind: LogKind
    pae_sha256: str
    signature_sha256: str
    keyid: str
    seq: int

    def __post_init__(self) -> None:
        if not (_DIGEST.fullmatch(self.pae_sha256) and _DIGEST.fullmatch(self.signature_sha256)):
            raise Malformed(Code.ENTRY_INVALID, "a digest in a log entry has 64 lower-case hex digits")
        if not _KEYID.fullmatch(self.keyid):
            raise Malformed(Code.ENTRY_INVALID, "a log entry names its key by OpenSSH SHA-256 fingerprint")
        if not 0 <= self.seq <= lines.MAX_NUMBER:
            raise Malformed(Code.ENTRY_INVALID, f"no entry stands at {self.seq}")
        if (self.kind is LogKind.GENESIS) != (self.seq == 0):
            raise Malformed(Code.ENTRY_INVALID, f"entry {self.seq} is {self.kind}; genesis is entry 0 alone")

    @classmethod
    def of(cls, envelope: Envelope, *, kind: LogKind, seq: int) -> Entry:
        """The entry for an envelope of our own making, whose `keyid` we wrote ourselves."""
        return cls(
            kind=kind,
            pae_sha256=hashlib.sha256(envelope.pae).hexdigest(),
            signature_sha256=hashlib.sha256(envelope.signature).hexdigest(),
            keyid=envelope.keyid,
            seq=seq,
        )

    def write(self) -> bytes:
        """The leaf's bytes."""
        return (
            f"expunge-log/v1\nkind {self.kind.value}\npae sha256:{self.pae_sha256}\n"
            f"sig sha256:{self.signature_sha256}\nkey {self.keyid}\nseq {self.seq}\n"
        ).encode("ascii")

    def require_commitment(self, envelope: Envelope, *, kind: LogKind, keyid: str) -> None:
        """Refuses unless this entry commits to exactly this document, as `kind`, signed by the key `keyid`.

        `keyid` is the fingerprint of the key that verified the signature, never the envelope's own hint.
        Raises Untrusted(NOT_LOGGED).
        """
        if self.kind is not kind:
            raise Untrusted(Code.NOT_LOGGED, f"entry {self.seq} is of kind {self.kind}, not {kind}")
        if self.pae_sha256 != hashlib.sha256(envelope.pae).hexdigest():
            raise Untrusted(Code.NOT_LOGGED, f"entry {self.seq} commits to another document")
        if self.signature_sha256 != hashlib.sha256(envelope.signature).hexdigest():
            raise Untrusted(Code.NOT_LOGGED, f"entry {self.seq} commits to another signature")
        if self.keyid != keyid:
            raise Untrusted(Code.NOT_LOGGED, f"entry {self.seq} names the key {self.keyid}, not {keyid}")


def read(data: bytes) -> Entry:
    """The entry in `data`. Raises Malformed(ENTRY_INVALID) for anything not written exactly so."""
    if len(data) > MAX_ENTRY_BYTES:
        raise Malformed(Code.ENTRY_INVALID, f"a log entry of {len(data)} bytes")
    found = _ENTRY.fullmatch(data)
    if found is None:
        raise Malformed(Code.ENTRY_INVALID, "these are not the six lines of a log entry")
    kind, pae_sha256, signature_sha256, keyid, seq_text = found.groups()
    seq = lines.read_decimal(seq_text)
    if seq is None:
        raise Malformed(Code.ENTRY_INVALID, f"the number {seq_text.decode()} would be written otherwise")
    try:
        known = LogKind(kind.decode())
    except ValueError:
        raise Malformed(Code.ENTRY_INVALID, f"no entry is of kind {kind.decode()!r}") from None
    return Entry(
        kind=known,
        pae_sha256=pae_sha256.decode(),
        signature_sha256=signature_sha256.decode(),
        keyid=keyid.decode(),
        seq=seq,
    )
