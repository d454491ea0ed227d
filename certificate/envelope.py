"""DSSE envelopes: one payload, one Ed25519 signature, strict reading.

Rules: exactly one signature (several signers = several envelopes); the signature covers PAE, so payload and
type cannot be swapped; verification is over the exact payload bytes received, which are never written again;
`keyid` is a hint and decides nothing. Written base64 is standard and padded; URL-safe is also read, as the
specification asks.
Source: DSSE v1 (secure-systems-lab/dsse, protocol.md); certificates.md, 2.1.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature

from certificate import strict_json
from certificate.errors import Code, Malformed, Untrusted
from certificate.keys import PublicKey, Signer

STATEMENT_PAYLOAD_TYPE = "application/vnd.in-toto+json"
TRUST_ROOT_PAYLOAD_TYPE = "application/vnd.expunge.trust-root+json"
#: A payload of a megabyte in base64, and its frame; stops memory exhaustion.
MAX_ENVELOPE_BYTES = 1_500_000
SIGNATURE_BYTES = 64


def pae(payload_type: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: what is signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """A well-formed envelope, its signature not yet checked: `opened` returns the payload to whoever holds
    the key.
    """

    payload_type: str
    payload: bytes
    keyid: str
    signature: bytes

    @property
    def pae(self) -> bytes:
        return pae(self.payload_type, self.payload)

    @property
    def payload_digest(self) -> str:
        """SHA-256 of the exact payload bytes, hexadecimal: what "by digest" means everywhere."""
        return hashlib.sha256(self.payload).hexdigest()

    def opened(self, key: PublicKey) -> bytes:
        """The payload, if `key` signed it. Raises Untrusted(SIGNATURE_INVALID)."""
        try:
            key.verify(self.signature, self.pae)
        except InvalidSignature:
            raise Untrusted(Code.SIGNATURE_INVALID, f"the signature is not by {key.keyid}") from None
        return self.payload

    def write(self) -> bytes:
        """The envelope as a file: one line of JSON and a line feed."""
        document = {
            "payloadType": self.payload_type,
            "payload": base64.b64encode(self.payload).decode(),
            "signatures": [{"keyid": self.keyid, "sig": base64.b64encode(self.signature).decode()}],
        }
        return json.dumps(document, separators=(",", ":")).encode() + b"\n"


def sign(payload: bytes, signer: Signer, *, payload_type: str = STATEMENT_PAYLOAD_TYPE) -> Envelope:
    """`payload` in an envelope. Ed25519 is deterministic, so signing stored bytes again gives the same
    envelope.
    """
    return Envelope(
        payload_type=payload_type,
        payload=payload,
        keyid=signer.public.keyid,
        signature=signer.sign(pae(payload_type, payload)),
    )


def read(data: bytes, *, payload_type: str = STATEMENT_PAYLOAD_TYPE) -> Envelope:
    """The envelope in `data`, of this payload type.

    Raises Malformed: the codes of `strict_json`, UNKNOWN_FIELD, SIGNATURE_COUNT, BASE64_INVALID,
    TYPE_MISMATCH.
    """
    raw = strict_json.load_object(data, max_bytes=MAX_ENVELOPE_BYTES, what="envelope")
    _require_fields(raw, {"payloadType", "payload", "signatures"}, "envelope")
    signatures = raw["signatures"]
    if not isinstance(signatures, list) or len(signatures) != 1:
        raise Malformed(Code.SIGNATURE_COUNT, "an envelope carries exactly one signature")
    signature = signatures[0]
    if not isinstance(signature, dict):
        raise Malformed(Code.MALFORMED, "envelope: a signature is an object")
    if "keyid" not in signature:
        signature = {**signature, "keyid": ""}
    _require_fields(signature, {"keyid", "sig"}, "envelope signature")
    for name, value in (("payloadType", raw["payloadType"]), ("keyid", signature["keyid"])):
        if not isinstance(value, str):
            raise Malformed(Code.MALFORMED, f"envelope: {name} is not text")
    if raw["payloadType"] != payload_type:
        raise Malformed(Code.TYPE_MISMATCH, f"expected {payload_type}, found {raw['payloadType'][:80]!r}")
    signature_bytes = _base64(signature["sig"], "sig")
    if len(signature_bytes) != SIGNATURE_BYTES:
        raise Malformed(Code.MALFORMED, f"an Ed25519 signature has 64 bytes, this one {len(signature_bytes)}")
    return Envelope(
        payload_type=raw["payloadType"],
        payload=_base64(raw["payload"], "payload"),
        keyid=signature["keyid"],
        signature=signature_bytes,
    )


def _require_fields(raw: dict[str, object], names: set[str], what: str) -> None:
    if unknown := sorted(set(raw) - names):
        raise Malformed(Code.UNKNOWN_FIELD, f"{what} has a field {unknown[0][:60]!r}")
    if missing := sorted(names - set(raw)):
        raise Malformed(Code.MALFORMED, f"{what} lacks {missing[0]!r}")


def _base64(text: object, what: str) -> bytes:
    """Standard or URL-safe, padded, no bits left over: each value has exactly one text in each alphabet."""
    if not isinstance(text, str):
        raise Malformed(Code.BASE64_INVALID, f"{what} is not text")
    alphabet = b"-_" if "-" in text or "_" in text else None
    try:
        data = base64.b64decode(text, altchars=alphabet, validate=True)
    except (binascii.Error, ValueError):
        raise Malformed(Code.BASE64_INVALID, f"{what} is not base64") from None
    if base64.b64encode(data, altchars=alphabet).decode() != text:
        raise Malformed(Code.BASE64_INVALID, f"{what} is not canonical base64")
    return data
