"""What may be said of a host is what its worst medium bears, and one that left unerased bears nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certificate.assurance import strength
from certificate.departures import (
    HOST_LIMIT,
    LEFT_UNERASED,
    claim_of_destroy,
    claim_of_host,
    claim_of_open_exception,
)
from certificate.errors import Code, Refused
from certificate.statements.outcome import Attested, Claim
from certificate.statements.vocabulary import (
    DestroyMethod,
    Grade,
    Method,
    Result,
    Technique,
    WhatBecame,
)


def attested(method: DestroyMethod = DestroyMethod.SHRED) -> Attested:
    return Attested(
        medium="a" * 64,
        method=method,
        destroyed_on="2026-11-21",
        document_digest="d" * 64,
        shown_digest="5" * 64,
    )


def claim(result: Result, method: Method, grade: Grade) -> Claim:
    technique: Any = Technique.NVME_SANITIZE_CRYPTO
    return Claim(result=result, method=method, technique=technique, grade=grade, reasons=(), limits=("x",))


PURGED = (WhatBecame.ERASED, claim(Result.ERASED, Method.PURGE, Grade.MARKER_PROVEN))
FAILED = (WhatBecame.NOT_ERASED, claim(Result.NOT_ERASED, Method.NONE, Grade.NONE))
DESTROYED = (WhatBecame.DESTROYED, claim_of_destroy(attested()))
OPEN = (WhatBecame.OPEN_EXCEPTION, claim_of_open_exception())
MEDIA = st.lists(st.sampled_from([PURGED, FAILED, DESTROYED, OPEN]), min_size=1, max_size=6)


@given(media=MEDIA)
def test_no_host_is_claimed_better_than_any_of_its_media(media: list[tuple[WhatBecame, Claim]]) -> None:
    found = claim_of_host(media)
    assert all(strength(found) <= strength(each) for _, each in media)
    is_erased = all(became in (WhatBecame.ERASED, WhatBecame.DESTROYED) for became, _ in media)
    assert (found.result is Result.ERASED) is is_erased


@given(media=MEDIA, more=st.sampled_from([FAILED, DESTROYED, OPEN]))
def test_one_more_medium_never_raises_the_hosts_claim(
    media: list[tuple[WhatBecame, Claim]], more: tuple[WhatBecame, Claim]
) -> None:
    assert strength(claim_of_host([*media, more])) <= strength(claim_of_host(media))


def test_over_no_media_nothing_is_claimed() -> None:
    with pytest.raises(Refused) as caught:
        claim_of_host([])
    assert caught.value.code is Code.INCOMPLETE_SET


def test_a_medium_that_left_unerased_says_why_its_host_is_not_erased() -> None:
    found = claim_of_host([PURGED, OPEN])
    assert (found.result, found.reasons) == (Result.INCONCLUSIVE, (LEFT_UNERASED,))


def test_peoples_word_about_one_medium_stands_beside_the_claim_of_the_others() -> None:
    assert HOST_LIMIT in claim_of_host([PURGED, DESTROYED]).limits
    assert HOST_LIMIT not in claim_of_host([PURGED]).limits
    only = claim_of_host([DESTROYED])
    assert (only.grade, HOST_LIMIT in only.limits) == (Grade.OPERATOR_ATTESTED, False)


def test_whatever_people_attest_is_bound_by_the_digest_they_sign() -> None:
    digests = {attested(method).canonical_digest() for method in DestroyMethod}
    assert len(digests) == len(DestroyMethod)
    for name, value in (
        ("medium", "b" * 64),
        ("destroyed_on", "2026-11-20"),
        ("document_digest", "e" * 64),
        ("shown_digest", "6" * 64),
    ):
        other = Attested.model_validate(attested().model_dump() | {name: value})
        assert other.canonical_digest() != attested().canonical_digest()


@pytest.mark.parametrize("day", ["2026-13-01", "2026-1-1", "yesterday", "2026-11-32", ""])
def test_a_day_is_a_day(day: str) -> None:
    with pytest.raises(ValueError, match="destroyed_on"):
        Attested.model_validate(attested().model_dump() | {"destroyed_on": day})
