"""What waits for a person is told as few matters as there are causes, and no more ways out than there are."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certificate.errors import Refused
from certificate.identifiers import DeprovisionId
from certificate.messages import TokenState
from controller.attention import ONE_CAUSE, Group, Stuck, WayOut, grouped, ways_out, why_closed
from controller.errors import Code
from controller.exits import require_exit
from controller.facts import CommandFacts, Exit
from controller.states import State

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SHUT = Refused(Code.EXIT_NOT_OPEN, "shut")


def stuck(number: int, **changes: Any) -> Stuck:
    one = Stuck(
        deprovision=DeprovisionId(f"dep_{number:032x}"),
        attempt=1,
        host=f"host-{number}",
        site="s1",
        rack="r1",
        code="PERSON_MUST_DECIDE",
        reason="the agent did not finish within a day",
        since=T0 + number * MINUTE,
        ways=tuple(WayOut(exit=exit, closed=None) for exit in Exit),
    )
    return replace(one, **changes)


def hosts(group: Group) -> list[str]:
    return [each.host for each in group.members]


def test_a_rack_that_lost_power_is_one_matter() -> None:
    (group,) = grouped(stuck(number) for number in (3, 1, 2))
    assert hosts(group) == ["host-1", "host-2", "host-3"]
    assert (group.site, group.rack, group.since) == ("s1", "r1", T0 + MINUTE)


@pytest.mark.parametrize("other", [{"code": "DRIVES_DIFFER"}, {"rack": "r2"}, {"site": "s2"}])
def test_another_code_rack_or_site_is_another_matter(other: dict[str, str]) -> None:
    assert [hosts(group) for group in grouped([stuck(1), stuck(2, **other)])] == [["host-1"], ["host-2"]]


def test_what_begins_an_hour_after_the_first_belongs_to_it_and_a_second_later_does_not() -> None:
    last = stuck(2, since=T0 + ONE_CAUSE)
    late = stuck(3, since=T0 + ONE_CAUSE + timedelta(seconds=1))
    assert [hosts(group) for group in grouped([stuck(1, since=T0), last, late])] == [
        ["host-1", "host-2"],
        ["host-3"],
    ]


def test_a_slow_drip_is_not_one_cause_however_short_its_pauses() -> None:
    """Counted from the first member, not from the newest."""
    drip = [stuck(number, since=T0 + number * 40 * MINUTE) for number in range(6)]
    assert [len(group.members) for group in grouped(drip)] == [2, 2, 2]


@given(st.lists(st.tuples(st.integers(0, 300), st.sampled_from(["r1", "r2"])), unique_by=lambda one: one[0]))
def test_everything_that_waits_stands_in_exactly_one_group(waiting: list[tuple[int, str]]) -> None:
    items = [stuck(number, rack=rack) for number, rack in waiting]
    groups = grouped(items)
    assert sorted(host for group in groups for host in hosts(group)) == sorted(each.host for each in items)
    assert all(group.members for group in groups)
    assert all(
        later.since - group.since <= ONE_CAUSE and later.rack == group.rack
        for group in groups
        for later in group.members
    )
    assert all(first.since <= second.since for first, second in pairwise(groups))


@pytest.mark.parametrize(
    "other", [{"attempt": 2}, {"since": T0}, {"deprovision": DeprovisionId("dep_" + "f" * 32)}]
)
def test_a_groups_digest_is_of_these_members_in_this_very_stay(other: dict[str, Any]) -> None:
    (group,) = grouped([stuck(1), stuck(2)])
    (changed,) = grouped([stuck(1, **other), stuck(2)])
    (without,) = grouped([stuck(1)])
    assert len({group.digest, changed.digest, without.digest}) == 3
    assert grouped([stuck(2), stuck(1)])[0].digest == group.digest


def test_a_way_out_is_open_for_a_group_only_where_it_is_open_for_all() -> None:
    no_restore = tuple(WayOut(exit=exit, closed=SHUT if exit is Exit.RESTORE else None) for exit in Exit)
    (group,) = grouped([stuck(1), stuck(2, ways=no_restore)])
    assert set(group.open_exits) == set(Exit) - {Exit.RESTORE}


# --- which ways are open ------------------------------------------------------------------------------------


def open_ways(story: Any, state: State, **changes: Any) -> set[Exit]:
    return {way.exit for way in ways_out(story.facts(state, **changes), story.T0) if way.is_open}


def test_every_way_is_judged_by_the_rule_that_later_carries_it_out(story: Any) -> None:
    """With enough people behind it: that is the only thing that changes until then."""
    for order in (None, story.order(), story.order(dispatched_at=story.T0), story.order(is_withdrawn=True)):
        facts = story.facts(State.NEEDS_OPERATOR, order=order)
        for exit in Exit:
            command = CommandFacts(exit=exit, keyids=frozenset("ab"), commanded_at=story.T0)
            refused = None
            try:
                require_exit(facts, story.T0, command)
            except Refused as refusal:
                refused = refusal.code
            closed = why_closed(facts, story.T0, exit)
            assert (None if closed is None else closed.code) is refused


def test_after_a_final_absent_every_way_is_open_but_asking_again(story: Any) -> None:
    answered = story.order(dispatched_at=story.T0, is_absent_final=True)
    assert open_ways(story, State.NEEDS_OPERATOR, order=answered) == set(Exit) - {Exit.REPROBE}


def test_after_a_dispatch_nothing_is_given_back(story: Any) -> None:
    assert Exit.RESTORE not in open_ways(story, State.NEEDS_OPERATOR)


def test_while_the_agent_may_still_begin_no_way_is_open(story: Any) -> None:
    waiting = {"last_acknowledged_at": story.T0 - 10 * story.SECOND, "agent": story.agent(TokenState.RUNNING)}
    assert open_ways(story, State.NEEDS_OPERATOR, **waiting) == set()
    closed = why_closed(story.facts(State.NEEDS_OPERATOR, **waiting), story.T0, Exit.RETRY)
    assert closed is not None
    assert closed.code is Code.EXIT_TOO_EARLY


@pytest.mark.parametrize("state", [state for state in State if state.is_reversible])
def test_a_host_can_be_called_back_from_every_reversible_state_and_nothing_else_commanded(
    story: Any, state: State
) -> None:
    assert open_ways(story, state) == {Exit.RESTORE}
    assert open_ways(story, state, has_open_earlier_order=True) == set()


def test_a_host_can_be_called_back_from_erasing_until_something_was_acknowledged(story: Any) -> None:
    sent = story.order(dispatched_at=story.T0)
    assert open_ways(story, State.ERASING, order=sent) == {Exit.RESTORE}
    assert open_ways(story, State.ERASING, order=replace(sent, is_acknowledged=True)) == set()
    assert open_ways(story, State.ERASING, order=sent, is_evidence_in=True) == set()


@pytest.mark.parametrize(
    "state", [State.VERIFIED, State.VALIDATED, State.CERTIFIED, State.RELEASED, State.CLOSED]
)
def test_what_was_erased_cannot_be_called_back(story: Any, state: State) -> None:
    assert open_ways(story, state) == set()
