"""Sources that disagree: nothing has ended, nothing is complete, and the doubt says who said what."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest

from controller.configuration import parse_configuration
from controller.sources import HintKind, SubscriptionState
from controller.sources.agreeing import AgreeingSource, NamedSource
from controller.sources.simulated import SimulatedBilling
from controller.sources.sql_view import SqlViewSource
from controller.wiring import source_of

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
WORDS = ("active", "ended", "pending", "terminated")
UNKNOWN = SubscriptionState.UNKNOWN


class Clock:
    """Each source's own."""

    def __init__(self, ahead_seconds: float = 0) -> None:
        self.now = NOW + timedelta(seconds=ahead_seconds)

    def __call__(self) -> datetime:
        return self.now


def billing(word: str = "active", *, ahead_seconds: float = 0, hosts: tuple[str, ...] = ("host-1",)) -> Any:
    source = SimulatedBilling(clock=Clock(ahead_seconds))
    for host in hosts:
        source.let(host, "sub-1", starts_at=NOW - timedelta(days=30))
    source.says("sub-1", word)
    return source


def agreeing(*sources: Any) -> AgreeingSource:
    named = (NamedSource(name=f"s{number}", source=source) for number, source in enumerate(sources))
    return AgreeingSource(sources=tuple(named), clock=Clock())


@pytest.mark.parametrize("words", list(product(WORDS, repeat=3)), ids="-".join)
def test_ended_is_said_only_where_every_source_says_ended(words: tuple[str, ...]) -> None:
    answer = agreeing(*map(billing, words)).subscription("sub-1")
    if "active" in words:
        assert answer.state is SubscriptionState.ACTIVE
    elif "pending" in words:
        assert answer.state is SubscriptionState.PENDING
    elif set(words) == {"ended"}:
        assert answer.state is SubscriptionState.ENDED
    else:
        assert answer.state is UNKNOWN
    assert (answer.state is UNKNOWN) == bool(answer.doubt)


def test_the_doubt_names_who_says_what() -> None:
    answer = agreeing(billing("ended"), billing("gone")).subscription("sub-1")
    assert answer.state is UNKNOWN
    assert answer.changed_at is None
    assert answer.doubt == "s0: ended; s1: 'gone' is no state"


def test_an_end_counts_since_the_latest_instant_and_from_nowhere_without_all_of_them() -> None:
    late, early = billing("ended", ahead_seconds=60), billing("ended", ahead_seconds=-60)
    assert agreeing(late, early).subscription("sub-1").changed_at == NOW + timedelta(seconds=60)


def test_a_source_that_broke_makes_an_end_unknown_and_a_list_incomplete() -> None:
    whole, broken = billing("ended"), billing("ended")
    broken.breaks()
    source = agreeing(whole, broken)
    assert source.subscription("sub-1").state is UNKNOWN
    assert not source.tenancies("host-1").is_complete
    assert source.tenancies("host-1").entries == ()
    assert not source.hints({"sub-1": UNKNOWN}).is_complete
    assert not source.census().is_complete


def test_lists_that_differ_are_not_complete() -> None:
    first, second = billing(), billing()
    second.let("host-1", "sub-2", starts_at=NOW)
    answer = agreeing(first, second).tenancies("host-1")
    assert not answer.is_complete
    assert answer.entries == ()
    assert "s0: 1 tenancies; s1: 2 tenancies" in answer.doubt


@pytest.mark.parametrize("ends_at", [None, NOW])
def test_lists_that_differ_in_one_date_are_not_complete(ends_at: datetime | None) -> None:
    sources = []
    for end in (NOW - timedelta(days=1), ends_at):
        source = SimulatedBilling(clock=Clock())
        source.let("host-1", "sub-1", starts_at=NOW - timedelta(days=30), ends_at=end)
        sources.append(source)
    assert not agreeing(*sources).tenancies("host-1").is_complete


def test_the_order_of_a_list_means_nothing() -> None:
    sources = []
    for order in (("sub-1", "sub-2"), ("sub-2", "sub-1")):
        source = SimulatedBilling(clock=Clock())
        for name in order:
            source.let("host-1", name, starts_at=NOW)
        sources.append(source)
    assert len(agreeing(*sources).tenancies("host-1").entries) == 2


def test_the_clock_farthest_from_ours_is_the_one_told() -> None:
    source = agreeing(billing(ahead_seconds=10), billing(ahead_seconds=-400), billing(ahead_seconds=399))
    assert source.tenancies("host-1").source_time == NOW - timedelta(seconds=400)
    assert source.subscription("sub-1").source_time == NOW - timedelta(seconds=400)


def test_no_time_is_told_where_one_source_tells_none() -> None:
    silent = billing()
    silent.breaks()
    assert agreeing(billing(), silent).subscription("sub-1").source_time is None


def test_the_raw_answer_holds_what_each_source_gave() -> None:
    first, second = billing("ended"), billing("active")
    kept = json.loads(agreeing(first, second).subscription("sub-1").raw)
    assert kept["s0"].encode() == first.subscription("sub-1").raw
    assert kept["s1"].encode() == second.subscription("sub-1").raw


def test_a_hint_of_any_source_is_a_reason_to_ask() -> None:
    answer = agreeing(billing("active"), billing("ended")).hints({"sub-1": SubscriptionState.ACTIVE})
    assert [hint.kind for hint in answer.hints] == [HintKind.ENDED]


def test_of_counts_the_worst_is_taken() -> None:
    fewer, more = billing("ended"), billing("active", hosts=("host-1", "host-2"))
    counted = agreeing(fewer, more).census()
    assert (counted.active_count, counted.ended_count) == (0, 1)


@pytest.mark.parametrize("names", [("a",), ("a", "a"), ()])
def test_one_source_agrees_with_nobody(names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="at least two"):
        AgreeingSource(
            sources=tuple(NamedSource(name=name, source=billing()) for name in names), clock=Clock()
        )


# --- configuration ------------------------------------------------------------------------------------------

CONFIGURATION = """
[provider]
domain = "demo.example"
[lifecycle]
grace = "P7D"
dwell = "PT4H"
[source]
kind = "sql_view"
url = "sqlite:///{folder}/billing.db"
[quarantine]
isolate = ["/bin/cut"]
read_back = ["/bin/look"]
restore = ["/bin/undo"]
[boot]
command = ["/bin/boot", "{{config}}", "{{secret}}"]
stop = ["/bin/off"]
trust = "virtual_media"
"""
CONFIRMING = '[[confirming_source]]\nkind = "sql_view"\nname = "{name}"\nurl = "sqlite:////crm.db"\n'


def configured(*names: str) -> Any:
    text = CONFIGURATION.format(folder="/nowhere") + "".join(CONFIRMING.format(name=name) for name in names)
    return parse_configuration(text.encode())


def test_a_configured_second_source_has_to_agree() -> None:
    source = source_of(configured("crm", "assets"), clock=Clock())
    assert isinstance(source, AgreeingSource)
    assert [each.name for each in source.sources] == ["billing", "crm", "assets"]
    assert source.subscription("sub-1").state is UNKNOWN


def test_one_configured_source_stands_alone() -> None:
    assert isinstance(source_of(configured(), clock=Clock()), SqlViewSource)


def test_two_sources_of_one_name_are_refused() -> None:
    from certificate.errors import Refused

    with pytest.raises(Refused, match="a name of its own"):
        configured("billing")
