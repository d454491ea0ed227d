"""Proof files, and the check that leads from an entry to a trusted checkpoint."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from certificate.errors import Code, Malformed, Refused, Untrusted
from certificate.log import proof as log_proof
from certificate.log.proof import Proof
from certificate.trust import TrustRoot

NOTE = "origin\n1\nroot\n\n— origin AAAAAAAA\n".encode()


@given(
    index=st.integers(min_value=0, max_value=2**63 - 1),
    hashes=st.lists(st.binary(min_size=32, max_size=32), max_size=64),
    extra=st.none() | st.binary(max_size=300),
)
def test_a_proof_is_read_as_it_is_written(index: int, hashes: list[bytes], extra: bytes | None) -> None:
    proof = Proof(index=index, hashes=tuple(hashes), checkpoint_note=NOTE, extra=extra)
    assert log_proof.read(proof.write()) == proof


def test_a_proof_file_has_the_specifications_form() -> None:
    proof = Proof(index=3, hashes=(bytes(32), b"\x01" * 32), checkpoint_note=NOTE, extra=b"entry")
    assert proof.write() == (
        b"c2sp.org/tlog-proof@v1\nextra ZW50cnk=\nindex 3\n"
        + base64.b64encode(bytes(32))
        + b"\n"
        + base64.b64encode(b"\x01" * 32)
        + b"\n\n"
        + NOTE
    )


WRITTEN = Proof(index=3, hashes=(bytes(32),), checkpoint_note=NOTE).write()


@pytest.mark.parametrize(
    "altered",
    [
        b"",
        WRITTEN.split(b"\n\n")[0],
        WRITTEN.replace(b"@v1", b"@v2"),
        WRITTEN.replace(b"index 3\n", b""),
        WRITTEN.replace(b"index 3", b"3"),
        b"c2sp.org/tlog-proof@v1\n\n" + NOTE,
        WRITTEN.replace(b"index 3", b"index 03"),
        WRITTEN.replace(b"index 3", b"index 3 "),
        WRITTEN.replace(b"index 3", b"extra AA==\nextra AA==\nindex 3"),
        WRITTEN.replace(b"index 3", b"extra AA\nindex 3"),
        WRITTEN.replace(b"AAAA=\n", b"AAA=\n"),
        WRITTEN.replace(b"index 3\n", b"index 3\n" + (base64.b64encode(bytes(32)) + b"\n") * 64),
        WRITTEN + bytes(1_100_000),
    ],
)
def test_bytes_that_are_no_proof_are_refused(altered: bytes) -> None:
    with pytest.raises(Malformed) as refusal:
        log_proof.read(altered)
    assert refusal.value.code is Code.PROOF_INVALID


def test_every_entry_of_a_log_leads_to_its_checkpoint(log: Any, trust: TrustRoot) -> None:
    for entry in log.entries:
        checkpoint = log_proof.check(entry.write(), log.proof(entry.seq), trust)
        assert checkpoint.size == len(log.entries)
        assert checkpoint.origin == trust.log.origin


def test_an_entry_does_not_pass_with_the_proof_of_another(log: Any, trust: TrustRoot) -> None:
    with pytest.raises(Untrusted) as refusal:
        log_proof.check(log.entries[1].write(), log.proof(2), trust)
    assert refusal.value.code is Code.PROOF_INVALID
    assert "the proof speaks of leaf 2" in refusal.value.reason


def test_an_entry_that_was_never_appended_is_refused(log: Any, trust: TrustRoot) -> None:
    with pytest.raises(Untrusted) as refusal:
        log_proof.check(replace(log.entries[1], pae_sha256="00" * 32).write(), log.proof(1), trust)
    assert refusal.value.code is Code.PROOF_INVALID


def test_an_older_checkpoint_does_not_vouch_for_a_later_entry(log: Any, trust: TrustRoot) -> None:
    proof = log.proof(1)
    later = replace(log.entries[1], seq=3)
    with pytest.raises(Untrusted) as refusal:
        log_proof.check(later.write(), replace(proof, index=3), trust)
    assert refusal.value.code is Code.PROOF_INVALID


def test_a_checkpoint_of_another_key_proves_nothing(log: Any, trust: TrustRoot, keys: Any) -> None:
    proof = replace(log.proof(1), checkpoint_note=log.checkpoint(keys.stranger))
    with pytest.raises(Untrusted) as refusal:
        log_proof.check(log.entries[1].write(), proof, trust)
    assert refusal.value.code is Code.CHECKPOINT_INVALID


def test_what_the_file_carries_along_is_not_believed(log: Any, trust: TrustRoot) -> None:
    proof = replace(log.proof(1), extra=log.entries[1].write())
    forged = replace(log.entries[1], pae_sha256="00" * 32).write()
    with pytest.raises(Untrusted):
        log_proof.check(forged, proof, trust)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_flipped_byte_of_a_proof_file_refuses(
    data: st.DataObject, make_log: Callable[[TrustRoot], Any], trust: TrustRoot
) -> None:
    log = make_log(trust)
    written = log.proof(1).write()
    position = data.draw(st.integers(min_value=0, max_value=len(written) - 1))
    altered = bytearray(written)
    altered[position] ^= data.draw(st.integers(min_value=1, max_value=255))
    with pytest.raises(Refused) as refusal:
        log_proof.check(log.entries[1].write(), log_proof.read(bytes(altered)), trust)
    assert refusal.value.code in (Code.PROOF_INVALID, Code.CHECKPOINT_INVALID)
