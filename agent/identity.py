"""Who this agent is, proven: the answer to `hello`.

Rules: the proof is an HMAC under this boot's single-use secret over the configuration, both public keys and
the controller's nonce, as raw bytes (FORMATS.md, "Keys"); a hello for an order stores its nonce durably
before it is answered, and a hello for anything else leaves that nonce alone. Standard library only, because
`hello` must start fast.
"""

from __future__ import annotations

import hashlib
import hmac
import re

from agent import durable
from agent.errors import Code
from agent.run_directory import HelloRecord, RunDirectory
from certificate.errors import Code as CertificateCode
from certificate.errors import Malformed, Refused
from certificate.messages import Hello, HelloAnswer, HelloPurpose

AGENT_VERSION = "0.1.0"
PROOF_DOMAIN = b"expunge-boot/v1\n"
NONCE_BYTES = 16


def answer(run: RunDirectory, hello: Hello, *, random_nonce: bytes, now_ms: int) -> HelloAnswer:
    """The answer to `hello`. `random_nonce`: 16 fresh random bytes; `now_ms`: CLOCK_BOOTTIME.

    Raises Malformed(LINE_INVALID), Refused(NOT_BOOTED and the other codes of the run directory).
    """
    if not re.fullmatch(r"[0-9a-f]{64}", hello.controller_nonce):
        raise Malformed(CertificateCode.LINE_INVALID, "controller_nonce is 32 bytes in hexadecimal")
    if hello.purpose not in tuple(HelloPurpose):
        raise Malformed(CertificateCode.LINE_INVALID, f"no hello has the purpose {hello.purpose[:20]!r}")
    if len(random_nonce) != NONCE_BYTES:
        raise ValueError(f"a hello nonce has {NONCE_BYTES} bytes")
    record = run.boot()
    config_digest = hashlib.sha256(run.config_file.read_bytes())
    if config_digest.hexdigest() != record.config_digest:
        raise Refused(Code.RUN_DIRECTORY_BROKEN, "the configuration was changed after the boot")
    proof = boot_proof(
        secret=run.secret_file.read_bytes(),
        config_digest=config_digest.digest(),
        host_key_blob=bytes.fromhex(record.ssh_host_key_blob),
        evidence_key=bytes.fromhex(record.evidence_key),
        controller_nonce=bytes.fromhex(hello.controller_nonce),
    )
    if hello.purpose == HelloPurpose.ORDER:
        kept = HelloRecord(nonce=random_nonce.hex(), boottime_ms=now_ms)
        durable.write_whole(run.hello_file, kept.write())
    return HelloAnswer(
        boot_id=record.boot_id,
        evidence_key=record.evidence_key,
        ssh_host_key_blob=record.ssh_host_key_blob,
        config_digest=record.config_digest,
        hello_nonce=random_nonce.hex(),
        boottime_ms=now_ms,
        agent_version=AGENT_VERSION,
        proof=proof.hex(),
    )


def boot_proof(
    *, secret: bytes, config_digest: bytes, host_key_blob: bytes, evidence_key: bytes, controller_nonce: bytes
) -> bytes:
    """HMAC-SHA256 over what this boot says of itself; 32 bytes."""
    told = PROOF_DOMAIN + config_digest + host_key_blob + evidence_key + controller_nonce
    return hmac.new(secret, told, hashlib.sha256).digest()
