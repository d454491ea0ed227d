"""Identifiers: one kind is never taken for another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from certificate.errors import Code, Malformed
from certificate.identifiers import (
    DeprovisionId,
    DriveId,
    HostId,
    Identifier,
    OrderId,
    OutcomeId,
    TenancyId,
)

KINDS = [HostId, TenancyId, DeprovisionId, OrderId, OutcomeId, DriveId]


class NamesHost(BaseModel):
    host: HostId


def test_every_kind_has_a_prefix_of_its_own() -> None:
    assert len({kind.prefix for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize("kind", KINDS)
@given(random=st.binary(min_size=16, max_size=16))
def test_an_identifier_is_read_as_it_is_written(kind: type[Identifier], random: bytes) -> None:
    made = kind.from_random(random)
    assert kind.parse(str(made)) == made
    assert made == f"{kind.prefix}_{random.hex()}"


@pytest.mark.parametrize("kind", KINDS)
def test_one_kind_is_never_taken_for_another(kind: type[Identifier]) -> None:
    for other in KINDS:
        if other is kind:
            continue
        with pytest.raises(Malformed) as refusal:
            kind.parse(str(other.from_random(bytes(16))))
        assert refusal.value.code is Code.MALFORMED


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hst_",
        "hst_" + "0" * 31,
        "hst_" + "0" * 33,
        "hst_" + "A" * 32,
        "HST_" + "0" * 32,
        "hst-" + "0" * 32,
        "hst_" + "0" * 32 + "\n",
        " hst_" + "0" * 32,
        "hst_" + "٠" * 32,
    ],
)
def test_anything_but_the_one_spelling_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        HostId.parse(text)
    with pytest.raises(ValidationError):
        NamesHost.model_validate({"host": text})


def test_a_model_reads_its_own_kind_only() -> None:
    found = NamesHost.model_validate({"host": "hst_" + "0" * 32}).host
    assert type(found) is HostId
    for wrong in ("ten_" + "0" * 32, 1, None):
        with pytest.raises(ValidationError):
            NamesHost.model_validate({"host": wrong})


@pytest.mark.parametrize("random", [b"", bytes(15), bytes(17)])
def test_an_identifier_is_made_of_sixteen_bytes(random: bytes) -> None:
    with pytest.raises(ValueError, match="16"):
        HostId.from_random(random)
