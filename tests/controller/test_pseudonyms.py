"""Pseudonyms: linkable with the key, and by nothing else."""

from __future__ import annotations

from certificate.identifiers import TenancyId
from controller.pseudonyms import Pseudonyms

ONE, TWO = Pseudonyms(b"1" * 32), Pseudonyms(b"2" * 32)


def test_the_same_text_has_the_same_pseudonym_under_one_key_only() -> None:
    assert ONE.subscription("sub-1") == ONE.subscription("sub-1")
    assert ONE.subscription("sub-1") != ONE.subscription("sub-2")
    assert ONE.subscription("sub-1") != TWO.subscription("sub-1")


def test_a_subscription_and_a_customer_of_one_name_share_no_pseudonym() -> None:
    tenancy = TenancyId("ten_" + "0" * 32)
    assert len({ONE.subscription(tenancy), ONE.customer(tenancy), ONE.tenancy(tenancy)}) == 3


def test_a_printed_pseudonymiser_shows_no_key() -> None:
    assert repr(ONE) == "Pseudonyms()"
