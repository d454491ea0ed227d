"""Commitments: the digests that FORMATS.md writes down, and what changes them."""

from __future__ import annotations

import hashlib
import hmac
from itertools import permutations

import pytest

from certificate.commitment import (
    host_commitment,
    host_fact_commitment,
    markers_digest,
    medium_commitment,
    pseudonym,
)

SALT = bytes(range(32))
MARKERS = [(1, 4096, 512, "aa" * 32), (1, 8192, 512, "bb" * 32), (2, 4096, 512, "aa" * 32)]


def test_a_medium_is_the_digest_of_domain_salt_and_serial() -> None:
    assert (
        medium_commitment(salt=SALT, serial="S64G")
        == hashlib.sha256(b"media/v1" + SALT + b"S64G").hexdigest()
    )


def test_a_host_fact_is_the_digest_of_domain_salt_kind_and_value() -> None:
    expected = hashlib.sha256(b"host/v1" + SALT + b"dmi_uuid\x00abc").hexdigest()
    assert host_fact_commitment(salt=SALT, kind="dmi_uuid", value="abc") == expected


def test_kind_and_value_do_not_run_together() -> None:
    assert host_fact_commitment(salt=SALT, kind="a", value="bc") != host_fact_commitment(
        salt=SALT, kind="ab", value="c"
    )


@pytest.mark.parametrize("salt", [b"", bytes(31), bytes(33)])
def test_a_salt_has_32_bytes(salt: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        medium_commitment(salt=salt, serial="S64G")


def test_a_host_is_the_same_in_whatever_order_its_facts_come() -> None:
    facts = [("dmi_uuid", "aa" * 32), ("nic_macs", "bb" * 32), ("board_serial", "cc" * 32)]
    assert len({host_commitment(arranged) for arranged in permutations(facts)}) == 1
    text = b"host-set/v1" + b"".join(f"\n{kind} {value}".encode() for kind, value in sorted(facts))
    assert host_commitment(facts) == hashlib.sha256(text).hexdigest()


def test_dropping_or_exchanging_a_fact_makes_another_host() -> None:
    facts = [("dmi_uuid", "aa" * 32), ("nic_macs", "bb" * 32)]
    others = [facts[:1], [("dmi_uuid", "bb" * 32), ("nic_macs", "aa" * 32)], []]
    assert host_commitment(facts) not in {host_commitment(other) for other in others}


def test_markers_commit_to_every_number_and_to_the_nonce() -> None:
    committed = markers_digest(nonce=SALT, markers=MARKERS)
    assert committed == markers_digest(nonce=SALT, markers=reversed(MARKERS))
    altered = [
        [(2, *MARKERS[0][1:]), *MARKERS[1:]],
        [(1, 4097, *MARKERS[0][2:]), *MARKERS[1:]],
        [(1, 4096, 1024, MARKERS[0][3]), *MARKERS[1:]],
        [(*MARKERS[0][:3], "cc" * 32), *MARKERS[1:]],
        MARKERS[1:],
        [*MARKERS, MARKERS[0]],
    ]
    assert committed not in {markers_digest(nonce=SALT, markers=markers) for markers in altered}
    assert committed != markers_digest(nonce=bytes(32), markers=MARKERS)


def test_a_pseudonym_needs_its_key_and_its_domain() -> None:
    expected = hmac.new(b"key", b"tenant\x00a", hashlib.sha256).hexdigest()
    assert pseudonym(key=b"key", domain="tenant", value="a") == expected
    assert pseudonym(key=b"other", domain="tenant", value="a") != expected
    assert pseudonym(key=b"key", domain="host", value="a") != expected
