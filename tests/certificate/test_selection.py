"""What a drive says of itself decides what may be done to it; what it does not say decides nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certificate.errors import Code, Malformed, Refused
from certificate.messages import CapabilityReport, DriveReport
from certificate.selection import capabilities, media_kind, reaches, select
from certificate.statements.vocabulary import MediaKind, Method, OverwritePattern, Technique

CRYPTO_AND_BLOCK = {"SANICAP": "03000000", "OACS": "0200", "FNA": "04"}


def drive(
    words: Mapping[str, str],
    *,
    is_write_protected: bool = False,
    refused: str | None = None,
    transport: str = "nvme",
) -> DriveReport:
    return DriveReport(
        transport=transport,
        attachment="internal",
        device_class="emulated",
        manufacturer="Acme",
        model="Model 1",
        firmware="1.0",
        serial="S1",
        capacity_bytes=1 << 20,
        unallocated_capacity_bytes=0,
        is_write_protected=is_write_protected,
        namespaces=(),
        capabilities=tuple(CapabilityReport(field=name, raw=raw) for name, raw in words.items()),
        layers=(),
        stack=(),
        status_log="00" * 64,
        refused=refused,
    )


def refusal_of(report: DriveReport, floor: Method = Method.PURGE) -> Refused:
    with pytest.raises(Refused) as caught:
        select(capabilities(report), floor, overwrite=OverwritePattern.KEYSTREAM)
    assert caught.value.code is Code.TECHNIQUE_UNAVAILABLE
    return caught.value


def test_cryptographic_erase_comes_before_block_erase() -> None:
    chosen = select(capabilities(drive(CRYPTO_AND_BLOCK)), Method.PURGE, overwrite=OverwritePattern.KEYSTREAM)
    assert chosen == (Technique.NVME_SANITIZE_CRYPTO, Technique.NVME_SANITIZE_BLOCK)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("01000000", (Technique.NVME_SANITIZE_CRYPTO,)),
        ("02000000", (Technique.NVME_SANITIZE_BLOCK,)),
        ("070000a0", (Technique.NVME_SANITIZE_CRYPTO, Technique.NVME_SANITIZE_BLOCK)),
    ],
)
def test_the_sanitize_word_is_read_little_endian(word: str, expected: tuple[Technique, ...]) -> None:
    assert (
        select(
            capabilities(drive({**CRYPTO_AND_BLOCK, "SANICAP": word})),
            Method.CLEAR,
            overwrite=OverwritePattern.KEYSTREAM,
        )
        == expected
    )


def test_a_word_read_big_endian_would_promise_what_the_drive_did_not() -> None:
    assert "reaches purge" in refusal_of(drive({**CRYPTO_AND_BLOCK, "SANICAP": "00000003"})).reason


def test_a_drive_that_can_only_overwrite_gets_no_technique() -> None:
    assert "reaches purge" in refusal_of(drive({**CRYPTO_AND_BLOCK, "SANICAP": "04000000"})).reason


@pytest.mark.parametrize("name", ["SANICAP", "OACS", "FNA"])
def test_a_missing_word_is_a_refusal_and_not_a_guess(name: str) -> None:
    words = {key: raw for key, raw in CRYPTO_AND_BLOCK.items() if key != name}
    assert name in refusal_of(drive(words)).reason
    assert name in refusal_of(drive({**words, name: "not_observed"})).reason
    with pytest.raises(Refused):
        media_kind(capabilities(drive(words)))


@pytest.mark.parametrize("raw", ["", "03", "0300000", "0300000000", "0x030000", "zz000000", "0300000A"])
def test_a_word_of_another_length_or_no_hexadecimal_is_malformed(raw: str) -> None:
    with pytest.raises(Malformed) as caught:
        capabilities(drive({**CRYPTO_AND_BLOCK, "SANICAP": raw}))
    assert caught.value.code is Code.LINE_INVALID


def test_a_word_named_twice_is_malformed() -> None:
    once = drive(CRYPTO_AND_BLOCK)
    again = CapabilityReport(field="SANICAP", raw="00000000")
    twice = dataclasses.replace(once, capabilities=(*once.capabilities, again))
    with pytest.raises(Malformed):
        capabilities(twice)


def test_a_write_protected_drive_gets_no_technique() -> None:
    assert "write-protected" in refusal_of(drive(CRYPTO_AND_BLOCK, is_write_protected=True)).reason


def test_a_drive_the_inventory_refused_gets_no_technique_and_keeps_its_code() -> None:
    assert "DRIVE_IN_USE" in refusal_of(drive({}, refused="DRIVE_IN_USE")).reason


def test_another_transport_gets_no_technique() -> None:
    assert "sata" in refusal_of(drive(CRYPTO_AND_BLOCK, transport="sata")).reason
    with pytest.raises(Refused):
        media_kind(capabilities(drive(CRYPTO_AND_BLOCK, transport="sata")))


def test_no_technique_reaches_destruction() -> None:
    assert "destroy" in refusal_of(drive(CRYPTO_AND_BLOCK), Method.DESTROY).reason
    assert not any(reaches(technique, Method.DESTROY) for technique in Technique)


def test_a_drive_is_self_encrypting_exactly_when_it_has_a_cryptographic_sanitize() -> None:
    assert media_kind(capabilities(drive(CRYPTO_AND_BLOCK))) is MediaKind.SELF_ENCRYPTING_NVME
    block_only = drive({**CRYPTO_AND_BLOCK, "SANICAP": "02000000"})
    assert media_kind(capabilities(block_only)) is MediaKind.NVME


def test_the_smaller_words_are_decoded_where_the_standard_puts_them() -> None:
    able = capabilities(drive({"SANICAP": "000000a0", "OACS": "0200", "FNA": "04"}))
    assert (able.has_format_crypto, able.is_no_deallocate_inhibited) == (True, True)
    assert not capabilities(drive({"SANICAP": "00000080", "OACS": "0002", "FNA": "04"})).has_format_crypto
    assert not capabilities(drive({"SANICAP": "00000080", "OACS": "0200", "FNA": "03"})).has_format_crypto


@given(word=st.integers(min_value=0, max_value=2**32 - 1))
def test_only_what_the_word_offers_is_ever_selected(word: int) -> None:
    able = capabilities(drive({**CRYPTO_AND_BLOCK, "SANICAP": word.to_bytes(4, "little").hex()}))
    offered = {
        technique
        for technique, bit in ((Technique.NVME_SANITIZE_CRYPTO, 1), (Technique.NVME_SANITIZE_BLOCK, 2))
        if word & bit
    }
    if not offered:
        with pytest.raises(Refused):
            select(able, Method.PURGE, overwrite=OverwritePattern.KEYSTREAM)
        return
    assert set(select(able, Method.PURGE, overwrite=OverwritePattern.KEYSTREAM)) == offered
