"""Signed times fit the order of the log, or the bundle is refused; an agent's clock is not compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from certificate.brackets import require_destroyed_by
from certificate.errors import Code, Refused
from certificate.policy import Policy
from certificate.statements.outcome import Attested
from certificate.statements.vocabulary import DestroyMethod
from certificate.verify import verify

Story = Any
#: The story's order is of 10:00:00, its acceptance of :40, its outcome of :45, its summary of :50.
BEFORE_THE_ORDER = "2026-11-22T09:59:59Z"
AT_THE_ORDER = "2026-11-22T10:00:00Z"
BEFORE_THE_OUTCOME = "2026-11-22T10:00:44Z"
AT_THE_OUTCOME = "2026-11-22T10:00:45Z"
AFTER_THE_OUTCOME = "2026-11-22T10:00:46Z"
AFTER_THE_SUMMARY = "2026-11-22T10:00:51Z"


def code_of(story: Story) -> str | None:
    try:
        verify(story.build(), story.root, Policy.production())
    except Refused as refusal:
        return refusal.code.value
    return None


@pytest.mark.parametrize(
    ("tell", "changes"),
    [
        ("said", {"issued_at": BEFORE_THE_ORDER, "validation.decided_at": BEFORE_THE_ORDER}),
        ("said", {"validation.decided_at": BEFORE_THE_ORDER}),
        ("said", {"validation.decided_at": AFTER_THE_OUTCOME}),
        ("summed", {"issued_at": BEFORE_THE_OUTCOME, "ended_at": BEFORE_THE_OUTCOME}),
        ("summed", {"ended_at": AFTER_THE_SUMMARY}),
        ("summed", {"ended_at": BEFORE_THE_ORDER}),
        ("ordered", {"basis.answers.0.answered_at": "2026-11-22T10:00:01Z"}),
        ("ordered", {"basis.tenancies.asked_at": "2026-11-22T09:59:42Z"}),
        ("ordered", {"basis.quarantine.answered_at": "2026-11-22T10:00:01Z"}),
        ("seen", {"media.0.commands.0.finished_at": "2026-11-22T10:00:19Z"}),
    ],
    ids=str,
)
def test_a_time_that_contradicts_the_log_is_refused(story: Story, tell: str, changes: dict[str, str]) -> None:
    for path, value in changes.items():
        getattr(story, tell)(path, value)
    assert code_of(story) == "TIME_BRACKET_VIOLATED"


@pytest.mark.parametrize(
    ("tell", "changes"),
    [
        ("said", {"issued_at": AT_THE_ORDER, "validation.decided_at": AT_THE_ORDER}),
        ("summed", {"issued_at": AT_THE_OUTCOME, "ended_at": AT_THE_OUTCOME}),
        ("ordered", {"basis.answers.0.answered_at": AT_THE_ORDER}),
        ("ordered", {"basis.quarantine": "not_applicable"}),
        ("seen", {"media.0.commands.0.finished_at": "2026-11-22T10:00:20Z"}),
    ],
    ids=str,
)
def test_equal_seconds_are_no_contradiction(story: Story, tell: str, changes: dict[str, str]) -> None:
    for path, value in changes.items():
        getattr(story, tell)(path, value)
    assert code_of(story) is None


def test_an_agents_clock_that_is_years_off_is_no_contradiction(story: Story) -> None:
    story.seen("issued_at", "1970-01-01T00:10:00Z")
    story.seen("media.0.commands.0.started_at", "1970-01-01T00:00:00Z")
    story.seen("media.0.commands.0.finished_at", "1970-01-01T00:00:09Z")
    assert code_of(story) is None


def test_a_receipt_that_was_logged_before_and_dated_after_is_refused(
    story: Story, tools: dict[str, Any]
) -> None:
    late = tools["make_allocation"](issued_at="2026-11-22T10:00:01Z")
    story.allocation = late
    story.said("custody.allocation_ref", tools["signed"](late, tools["keys"].issuer).payload_digest)
    assert code_of(story) == "TIME_BRACKET_VIOLATED"


@pytest.mark.parametrize(
    ("day", "is_refused"), [("2026-11-22", False), ("2026-11-23", False), ("2026-11-24", True)]
)
def test_a_medium_is_not_destroyed_after_the_outcome_that_says_so(
    make_outcome: Callable[..., Any], day: str, is_refused: bool
) -> None:
    attested = attested_on(day)
    if not is_refused:
        require_destroyed_by(attested, make_outcome().issued_at)
        return
    with pytest.raises(Refused) as caught:
        require_destroyed_by(attested, make_outcome().issued_at)
    assert caught.value.code is Code.TIME_BRACKET_VIOLATED


def test_a_day_in_no_calendar_is_no_day(make_outcome: Callable[..., Any]) -> None:
    with pytest.raises(Refused) as caught:
        require_destroyed_by(attested_on("2026-02-31"), make_outcome().issued_at)
    assert caught.value.code is Code.TIME_BRACKET_VIOLATED


def attested_on(day: str) -> Attested:
    return Attested(
        medium="ab" * 32,
        method=DestroyMethod.SHRED,
        destroyed_on=day,
        document_digest="cd" * 32,
        shown_digest="ef" * 32,
    )
