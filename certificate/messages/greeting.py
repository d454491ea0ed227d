"""Who are you? The lines of a `hello`, and a refusal, which any request may get."""

from __future__ import annotations

from enum import StrEnum

from certificate.messages.line import BareLine


class HelloPurpose(StrEnum):
    """`order`: the answer's nonce is kept and named by the next order; the others replace no nonce."""

    PIN = "pin"
    ORDER = "order"


class Hello(BareLine):
    """Who are you? `controller_nonce`: 32 bytes, hexadecimal."""

    name = "hello"
    controller_nonce: str
    purpose: str


class HelloAnswer(BareLine):
    """Who I am: boot key, SSH host key, and the proof that I hold this boot's secret (FORMATS.md, "Keys").

    `proof`: HMAC-SHA256(secret, "expunge-boot/v1" LF || config_digest || host key blob || evidence key ||
    controller_nonce), all raw bytes. Times in milliseconds of CLOCK_BOOTTIME.
    """

    name = "hello_answer"
    boot_id: str
    evidence_key: str
    ssh_host_key_blob: str
    config_digest: str
    hello_nonce: str
    boottime_ms: int
    agent_version: str
    proof: str


class Refusal(BareLine):
    """A refusal as a value, with its three parts."""

    name = "refusal"
    code: str
    reason: str
    remedy: str
