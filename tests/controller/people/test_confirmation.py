"""The words of a machine: its asset tag and the end of an identifier that is its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certificate.identifiers import DeprovisionId
from controller.people.confirmation import confirmation_digest, is_confirmed, strong_kinds

DEPROVISION = DeprovisionId("dep_" + "1" * 32)
FACTS = (
    ("chassis_serial", "CZ-2047-4711"),
    ("bmc_mac", "AA:BB:CC:DD:EE:F0"),
    ("board_serial", "B1"),
    ("switch_port", "sw1/0042"),
    ("nic_macs", "aa:bb:cc:dd:12:34"),
)


def confirms(words: str, deprovision: DeprovisionId = DEPROVISION) -> bool:
    digest = confirmation_digest(deprovision, words)
    return is_confirmed(digest, deprovision=DEPROVISION, asset_tag="Host-1", facts=FACTS)


@pytest.mark.parametrize("words", ["host-1 4711", "HOST-1  4711 ", "host-1 eef0", "Host-1 EEF0"])
def test_the_tag_and_the_end_of_a_strong_identifier_confirm(words: str) -> None:
    assert confirms(words)


@pytest.mark.parametrize(
    "words",
    [
        "host-1",
        "4711",
        "4711 host-1",
        "host-14711",
        "host-2 4711",
        "host-1 711",
        "host-1 24711",
        "host-1 b1",
        "host-1 0042",
        "host-1 1234",
        "host-1 :f0",
        "host-1 4711 more",
        "",
    ],
)
def test_anything_else_does_not(words: str) -> None:
    assert not confirms(words)


def test_what_was_typed_for_one_deprovision_confirms_no_other() -> None:
    assert not confirms("host-1 4711", DeprovisionId("dep_" + "2" * 32))


def test_only_kinds_that_stand_on_the_machine_and_are_long_enough_are_named() -> None:
    assert strong_kinds(FACTS) == ("bmc_mac", "chassis_serial")


def test_a_host_without_a_strong_identifier_cannot_be_confirmed() -> None:
    digest = confirmation_digest(DEPROVISION, "host-1 ")
    assert not is_confirmed(digest, deprovision=DEPROVISION, asset_tag="host-1", facts=())
    assert not is_confirmed(digest, deprovision=DEPROVISION, asset_tag="host-1", facts=FACTS[2:])


@given(words=st.text(max_size=40))
def test_no_other_words_confirm(words: str) -> None:
    accepted = {"host-1 4711", "host-1 eef0"}
    assert confirms(words) == (" ".join(words.casefold().split()) in accepted)
