"""Is what answers `hello` the agent that we started?

Rules, in this order, each with its own code: the fields are what their formats say; `boot_id` is the SHA-256
of the evidence key; the SSH host key that it claims is the one this very connection was made to (else
somebody relays); the configuration is the one we signed for this start; and the proof holds the secret that
only our boot medium carried: HMAC-SHA256(secret, "expunge-boot/v1" LF || SHA-256 of the configuration || host
key blob || evidence key || our nonce), all raw bytes (FORMATS.md, "Keys"). All must hold; nothing is learned
from an answer that fails one.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass

from certificate.errors import Malformed, Refused
from certificate.keys import PublicKey
from certificate.messages import HelloAnswer
from controller.boot.configuration import SECRET_BYTES, BootConfiguration
from controller.errors import Code

DOMAIN = b"expunge-boot/v1\n"
NONCE_BYTES = 32
#: 128 bits, as an order's field `hello_nonce` holds it.
HELLO_NONCE_BYTES = 16
#: RFC 8709: 4 + 11 + 4 + 32 bytes.
HOST_KEY_BLOB_BYTES = 51


@dataclass(frozen=True, kw_only=True)
class ProvenBoot:
    """An agent that proved this boot's secret: whose evidence counts, and which host key is pinned for it."""

    boot_id: str
    evidence_key: PublicKey
    host_key_blob: bytes
    #: 32 hexadecimal digits; the next order names it if the hello was made for an order.
    hello_nonce: str
    #: CLOCK_BOOTTIME of the agent when it answered.
    boottime_ms: int
    agent_version: str


def verify_hello(
    answer: HelloAnswer,
    *,
    secret: bytes,
    configuration: BootConfiguration,
    host_key_blob: bytes,
    controller_nonce: bytes,
) -> ProvenBoot:
    """`answer` as a proven boot. `host_key_blob` is the key that the connection presented.

    Raises Refused: BOOT_ANSWER_MALFORMED, BOOT_ID_MISMATCH, BOOT_HOST_KEY_MISMATCH,
    BOOT_CONFIGURATION_MISMATCH, BOOT_PROOF_INVALID.
    """
    if len(secret) != SECRET_BYTES or len(controller_nonce) != NONCE_BYTES:
        raise ValueError("a boot secret and a controller's nonce have 32 bytes each")
    # 1. The fields are what their formats say.
    try:
        evidence_key = PublicKey(_raw(answer.evidence_key, "evidence_key", 32))
    except Malformed as error:
        raise Refused(Code.BOOT_ANSWER_MALFORMED, f"evidence_key: {error.reason}") from None
    boot_id = _raw(answer.boot_id, "boot_id", 32)
    claimed_blob = _raw(answer.ssh_host_key_blob, "ssh_host_key_blob", HOST_KEY_BLOB_BYTES)
    config_digest = _raw(answer.config_digest, "config_digest", 32)
    proof = _raw(answer.proof, "proof", 32)
    _raw(answer.hello_nonce, "hello_nonce", HELLO_NONCE_BYTES)
    if answer.boottime_ms < 0:
        raise Refused(Code.BOOT_ANSWER_MALFORMED, "boottime_ms is negative")
    # 2. The boot's name is its key's hash.
    if boot_id.hex() != evidence_key.boot_id:
        raise Refused(Code.BOOT_ID_MISMATCH, f"boot {answer.boot_id[:16]}… is not the hash of its key")
    # 3. Nobody stands between.
    if claimed_blob != host_key_blob:
        raise Refused(Code.BOOT_HOST_KEY_MISMATCH, "the agent names another host key than answered us")
    # 4. Our configuration of this start.
    if config_digest.hex() != configuration.digest:
        raise Refused(
            Code.BOOT_CONFIGURATION_MISMATCH, f"configuration {answer.config_digest[:16]}… is not ours"
        )
    # 5. The secret.
    message = DOMAIN + config_digest + host_key_blob + evidence_key.raw + controller_nonce
    if not hmac.compare_digest(proof, hmac.digest(secret, message, hashlib.sha256)):
        raise Refused(Code.BOOT_PROOF_INVALID, f"boot {answer.boot_id[:16]}… does not prove its secret")
    return ProvenBoot(
        boot_id=answer.boot_id,
        evidence_key=evidence_key,
        host_key_blob=host_key_blob,
        hello_nonce=answer.hello_nonce,
        boottime_ms=answer.boottime_ms,
        agent_version=answer.agent_version[:60],
    )


def _raw(text: str, field: str, count: int) -> bytes:
    """`count` bytes in lower-case hexadecimal: one value, one text."""
    if not re.fullmatch(rf"[0-9a-f]{{{2 * count}}}", text):
        raise Refused(Code.BOOT_ANSWER_MALFORMED, f"{field} is not {count} bytes in hexadecimal")
    return bytes.fromhex(text)
