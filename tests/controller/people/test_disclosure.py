"""What strangers read names nobody that we know of."""

from __future__ import annotations

import pytest

from certificate.errors import Refused
from controller.errors import Code
from controller.people.disclosure import READ_BY_STRANGERS, PrivateText, names_nobody, require_names_nobody

SERIAL = "S64G-NE0R 500123"


def is_said(reason: str, *private: str) -> bool:
    return not names_nobody(reason, [PrivateText(what="a private text", text=text) for text in private])


@pytest.mark.parametrize(
    ("reason", "private"),
    [
        ("host-1 answers nothing", "host-1"),
        ("HOST 1 answers nothing", "host-1"),
        ("host1, as agreed", "host-1"),
        ("it was (host_1).", "host-1"),
        ("the drive s64gne0r500123 is dead", SERIAL),
        ("label SNS64G NE0R-500123X", SERIAL),
        ("MAC 3CECEF-000001", "3c:ec:ef:00:00:01"),
        ("uuid 4c4c4544 0052 3510 8053 c7c04f563332", "4c4c4544-0052-3510-8053-c7c04f563332"),
        ("reached at 10.0.0.5 only", "10.0.0.5"),
        ("\uff28\uff4f\uff53\uff54\uff0d\uff11 is dead", "host-1"),
        ("for stra\u00dfe & s\u00f6hne", "STRASSE & S\u00d6HNE"),
        ("\u5ba2\u6237\u5f20\u4e09\u79bb\u5f00\u4e86", "\u5f20\u4e09"),
        ("sub-1 is over", "sub-1"),
    ],
)
def test_a_private_text_is_found_in_any_spelling(reason: str, private: str) -> None:
    assert is_said(reason, "something else", private)


@pytest.mark.parametrize(
    ("reason", "private"),
    [
        ("host 12 answers nothing", "host-1"),
        ("the ghost 1 of it", "host-1"),
        ("reached at 10.0.0.51", "10.0.0.5"),
        ("a nodes list", "node"),
        ("S1 and S2 were swapped", "S1"),
        ("a b c", "abc"),
        ("nothing", ""),
        ("nothing", "- -"),
        ("", "host-1"),
    ],
)
def test_another_word_and_a_trivial_id_hinder_nobody(reason: str, private: str) -> None:
    assert not is_said(reason, private)


@pytest.mark.parametrize(
    "reason", ["ask ada@example.org", "ask ada @ example.org", "ada\uff20example.org", "a@b"]
)
def test_what_looks_like_a_mail_address_is_refused_whoever_it_is(reason: str) -> None:
    assert is_said(reason)


@pytest.mark.parametrize("reason", ["swapped @ 14:00", "4 @ 8", "as discussed on the phone"])
def test_a_time_or_a_count_is_no_mail_address(reason: str) -> None:
    assert not is_said(reason)


def test_a_refusal_names_the_kinds_and_never_the_texts() -> None:
    private = [
        PrivateText(what="the host's asset tag", text="host-1"),
        PrivateText(what="a customer's name", text="Ada Lovelace"),
    ]
    with pytest.raises(Refused) as refused:
        require_names_nobody("ada lovelace left host-1", private)
    assert refused.value.code is Code.REASON_NAMES_SOMEBODY
    assert refused.value.reason == "the reason says a customer's name, the host's asset tag"
    assert "Ada" not in repr(private)


def test_every_decision_that_an_outcome_a_summary_or_an_order_names_is_one_that_strangers_read() -> None:
    """What `bundles` and `people.travelling` put along: see there before another kind joins."""
    carried = {"enrol", "disposition", "validate", "remove", "destroy"}
    assert {kind.value for kind in READ_BY_STRANGERS} == carried | {"wipe"}
