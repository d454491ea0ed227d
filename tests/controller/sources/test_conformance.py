"""What every Source promises, over the SQL views and simulated."""

from datetime import UTC, datetime
from typing import Any

import pytest

from controller.sources import Hint, HintKind, SubscriptionState

ACTIVE, ENDED, UNKNOWN = SubscriptionState.ACTIVE, SubscriptionState.ENDED, SubscriptionState.UNKNOWN


def test_a_running_subscription_is_active(world: Any) -> None:
    answer = world.source.subscription("sub-1")
    assert answer.state is ACTIVE
    assert answer.doubt == ""
    assert answer.source_time == world.clock.now


def test_an_ended_subscription_says_since_when(world: Any) -> None:
    world.end("sub-1")
    answer = world.source.subscription("sub-1")
    assert answer.state is ENDED
    assert answer.changed_at == world.clock.now


def test_a_renewal_is_seen_at_the_next_question(world: Any) -> None:
    world.end("sub-1")
    assert world.source.subscription("sub-1").state is ENDED
    world.clock.passes(60)
    world.renew("sub-1")
    answer = world.source.subscription("sub-1")
    assert answer.state is ACTIVE
    assert answer.changed_at == world.clock.now


@pytest.mark.parametrize("word", ["terminated", "ENDED", "ended ", "", "cancelled", "unknown"])
def test_a_word_that_is_no_state_is_unknown(world: Any, word: str) -> None:
    world.says("sub-1", word)
    answer = world.source.subscription("sub-1")
    assert answer.state is UNKNOWN
    assert answer.doubt
    assert answer.changed_at is None


def test_a_subscription_that_nobody_knows_is_unknown(world: Any) -> None:
    assert world.source.subscription("sub-3").state is UNKNOWN


def test_a_record_that_was_deleted_is_unknown_and_not_ended(world: Any) -> None:
    world.end("sub-1")
    world.forget("sub-1")
    assert world.source.subscription("sub-1").state is UNKNOWN


def test_a_stale_source_knows_nothing(world: Any) -> None:
    world.end("sub-1")
    world.goes_stale()
    assert world.source.subscription("sub-1").state is UNKNOWN
    assert not world.source.tenancies("host-1").is_complete
    assert not world.source.hints({"sub-1": ACTIVE}).is_complete


def test_a_broken_source_knows_nothing_and_raises_nothing(world: Any) -> None:
    world.end("sub-1")
    world.breaks()
    answer = world.source.subscription("sub-1")
    assert answer.state is UNKNOWN
    assert answer.source_time is None
    assert answer.doubt
    tenancies = world.source.tenancies("host-1")
    assert not tenancies.is_complete
    assert tenancies.entries == ()
    hints = world.source.hints({"sub-1": ACTIVE})
    assert (hints.is_complete, hints.hints) == (False, ())


def test_the_tenancies_of_a_host_are_listed(world: Any) -> None:
    answer = world.source.tenancies("host-1")
    assert answer.is_complete
    (entry,) = answer.entries
    assert entry.subscription == "sub-1"
    assert entry.starts_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert entry.ends_at is None


def test_a_host_without_tenancies_has_a_complete_and_empty_list(world: Any) -> None:
    answer = world.source.tenancies("host-9")
    assert answer.is_complete
    assert answer.entries == ()


def test_what_was_read_is_the_same_bytes_for_the_same_answer_and_others_for_another(world: Any) -> None:
    first = world.source.subscription("sub-1").raw
    assert world.source.subscription("sub-1").raw == first
    assert world.source.subscription("sub-2").raw != first
    world.end("sub-1")
    assert world.source.subscription("sub-1").raw != first


def test_a_poll_hints_at_what_differs_from_what_is_believed(world: Any) -> None:
    assert world.source.hints({"sub-1": ACTIVE, "sub-2": ACTIVE}).hints == ()
    world.end("sub-1")
    answer = world.source.hints({"sub-1": ACTIVE, "sub-2": ENDED, "sub-3": ACTIVE})
    assert answer.is_complete
    assert answer.hints == (
        Hint(kind=HintKind.ENDED, subscription="sub-1"),
        Hint(kind=HintKind.RENEWED, subscription="sub-2"),
    )


def test_a_poll_finds_an_end_that_was_never_seen_before(world: Any) -> None:
    world.end("sub-1")
    assert world.source.hints({"sub-1": UNKNOWN}).hints == (Hint(kind=HintKind.ENDED, subscription="sub-1"),)


def test_a_poll_says_renewed_only_of_what_was_believed_to_have_ended(world: Any) -> None:
    world.says("sub-2", "pending")
    believed = {"sub-1": UNKNOWN, "sub-2": ACTIVE}
    assert world.source.hints(believed).hints == ()
    assert world.source.hints({"sub-2": ENDED}).hints == (Hint(kind=HintKind.RENEWED, subscription="sub-2"),)


def test_a_poll_gives_no_hint_for_a_word_that_is_no_state(world: Any) -> None:
    world.says("sub-1", "terminated")
    assert world.source.hints({"sub-1": ACTIVE, "sub-3": ENDED}).hints == ()


def test_a_state_has_no_truth_of_its_own() -> None:
    with pytest.raises(TypeError):
        bool(UNKNOWN)


def test_a_census_counts_each_state_and_a_word_that_is_none_nowhere(world: Any) -> None:
    before = world.source.census()
    assert (before.is_complete, before.active_count, before.ended_count) == (True, 2, 0)
    assert before.source_time == world.clock.now
    world.end("sub-1")
    world.says("sub-2", "terminated")
    after = world.source.census()
    assert (after.is_complete, after.active_count, after.ended_count) == (True, 0, 1)
    assert after.raw != before.raw


def test_a_census_of_a_stale_or_broken_source_counts_nothing(world: Any) -> None:
    for trouble in (world.goes_stale, world.breaks):
        trouble()
        told = world.source.census()
        assert not told.is_complete
        assert (told.active_count, told.ended_count, told.pending_count) == (0, 0, 0)
        assert told.doubt
