"""The SQL views when they are stale, cut short, wrong, strange or gone: always unknown, never ended."""

import hashlib
import json
import sqlite3
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from certificate.errors import Refused
from controller.errors import Code
from controller.sources import SubscriptionState
from controller.sources.billing_database import BillingDatabase
from controller.sources.sql_view import SqlViewSource

UNKNOWN, ENDED = SubscriptionState.UNKNOWN, SubscriptionState.ENDED


def refuses(billing: Any, *, because: str) -> None:
    """sub-2 has ended by its row; the source must not say so, nor list anything."""
    source = billing.source()
    answer = source.subscription("sub-2")
    assert answer.state is UNKNOWN
    assert because in answer.doubt
    tenancies = source.tenancies("host-2")
    assert not tenancies.is_complete
    assert tenancies.entries == ()
    assert source.hints({"sub-2": SubscriptionState.ACTIVE}).hints == ()


def test_the_file_of_these_tests_says_ended_when_nothing_is_wrong(billing: Any) -> None:
    answer = billing.source().subscription("sub-2")
    assert answer.state is ENDED
    assert answer.changed_at == datetime(2026, 11, 20, 8, tzinfo=UTC)
    assert len(billing.source().tenancies("host-2").entries) == 1


# --- the heartbeat ------------------------------------------------------------------------------------------


def test_without_a_heartbeat_nothing_is_known(billing: Any) -> None:
    billing.sql("DELETE FROM expunge_heartbeat")
    refuses(billing, because="no row")


def test_two_heartbeats_are_none(billing: Any) -> None:
    billing.sql("INSERT INTO expunge_heartbeat SELECT * FROM expunge_heartbeat")
    refuses(billing, because="more than one row")


def test_a_heartbeat_counts_until_it_is_five_minutes_old_and_no_longer(billing: Any) -> None:
    billing.clock.passes(300)
    assert billing.source().subscription("sub-2").state is ENDED
    billing.clock.passes(1)
    refuses(billing, because="301 s old")


def test_a_heartbeat_of_the_future_is_another_clock(billing: Any) -> None:
    billing.clock.passes(-300)
    assert billing.source().subscription("sub-2").state is ENDED
    billing.clock.passes(-1)
    refuses(billing, because="in the future")


@pytest.mark.parametrize("count", [1, 3, -2, 0, None, "2", 2.0, "two"])
@pytest.mark.parametrize("of", ["subscriptions", "tenancies"])
def test_a_count_that_is_not_what_the_view_shows_is_a_view_cut_short(
    billing: Any, of: str, count: Any
) -> None:
    subscriptions, tenancies = (count, 2) if of == "subscriptions" else (2, count)
    billing.sql("UPDATE expunge_heartbeat SET subscriptions = ?, tenancies = ?", subscriptions, tenancies)
    refuses(billing, because="the heartbeat counts")


@pytest.mark.parametrize(
    "at",
    [
        "2026-11-22T12:00:00",
        "2026-11-22",
        "yesterday",
        "",
        1795000000,
        1.5,
        b"\xff",
        "9999-12-31T23:59:59-23:00",
    ],
)
def test_a_heartbeat_whose_time_has_no_meaning_is_none(billing: Any, at: Any) -> None:
    billing.beat(at=at)
    refuses(billing, because="heartbeat")


def test_an_empty_view_is_not_believed_though_the_heartbeat_agrees(empty_billing: Any) -> None:
    """123-reg, 16 April 2016: no records for live machines."""
    empty_billing.beat()
    source = empty_billing.source()
    assert source.subscription("sub-2").state is UNKNOWN
    assert not source.tenancies("host-2").is_complete
    empty_billing.subscribe("sub-2", "ended")
    empty_billing.beat()
    assert source.subscription("sub-2").state is UNKNOWN, "subscriptions without any tenancy"


# --- the rows -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed_at",
    [
        None,
        "2026-11-20",
        "2026-11-20T08:00:00",
        "20.11.2026 08:00",
        "",
        0,
        1763625600,
        "2026-13-01T00:00:00Z",
    ],
)
def test_an_end_without_a_time_that_means_something_is_unknown(billing: Any, changed_at: Any) -> None:
    billing.sql("UPDATE expunge_subscription SET changed_at = ? WHERE id = 'sub-2'", changed_at)
    assert billing.source().subscription("sub-2").state is UNKNOWN


def test_an_end_in_the_future_has_not_happened(billing: Any) -> None:
    billing.sql("UPDATE expunge_subscription SET changed_at = '2026-11-22T12:05:01Z' WHERE id = 'sub-2'")
    answer = billing.source().subscription("sub-2")
    assert answer.state is UNKNOWN
    assert "future" in answer.doubt


def test_times_with_another_offset_are_the_same_instant(billing: Any) -> None:
    billing.sql("UPDATE expunge_subscription SET changed_at = '2026-11-20T09:30:00+01:30' WHERE id = 'sub-2'")
    assert billing.source().subscription("sub-2").changed_at == datetime(2026, 11, 20, 8, tzinfo=UTC)


@pytest.mark.parametrize("state", [None, 0, 1, b"ended", "Ended", "ended\n", "active,ended", "inactive"])
def test_a_state_that_is_not_one_of_three_words_is_unknown(billing: Any, state: Any) -> None:
    billing.sql("UPDATE expunge_subscription SET state = ? WHERE id = 'sub-2'", state)
    assert billing.source().subscription("sub-2").state is UNKNOWN


@pytest.mark.parametrize("twin", ["sub-2", "SUB-2", " sub-2", "sub-2\n", "sub-2\u00a0", "sub -2"])
def test_a_second_subscription_of_nearly_the_same_name_makes_both_unknown(billing: Any, twin: str) -> None:
    billing.subscribe(twin, "active")
    billing.beat()
    assert billing.source().subscription("sub-2").state is UNKNOWN


def test_an_id_that_is_only_nearly_right_is_unknown(billing: Any) -> None:
    for nearly in ("SUB-2", "sub-2 ", "sub-2\t", "sub-", "sub-%", "sub-_", "", "'; DROP TABLE x; --"):
        assert billing.source().subscription(nearly).state is UNKNOWN


def test_a_number_as_id_is_compared_as_text(billing: Any) -> None:
    billing.subscribe(1001, "ended")
    billing.beat()
    assert billing.source().subscription("1001").state is ENDED
    assert billing.source().subscription("01001").state is UNKNOWN


# --- tenancies ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["HOST-2", "host-2 ", "host-2\n", "host-2\t", "\u00a0host-2"])
def test_a_tenancy_of_a_host_of_nearly_the_same_name_spoils_the_list(billing: Any, host: str) -> None:
    billing.let(host, "sub-1")
    billing.beat()
    assert not billing.source().tenancies("host-2").is_complete
    assert not billing.source().tenancies(host).is_complete


@pytest.mark.parametrize("host", [None, "", "  ", "\n"])
def test_a_tenancy_that_names_no_host_could_be_any_hosts(billing: Any, host: Any) -> None:
    billing.let(host, "sub-1")
    billing.beat()
    refuses(billing, because="name no host")


@pytest.mark.parametrize(
    "row",
    [
        {"subscription": None},
        {"subscription": " "},
        {"starts_at": None},
        {"starts_at": "2026-01-01"},
        {"ends_at": "soon"},
        {"ends_at": "2025-12-31T23:59:59Z"},
    ],
    ids=str,
)
def test_one_unreadable_tenancy_makes_the_list_incomplete(billing: Any, row: dict[str, Any]) -> None:
    billing.let("host-2", row.pop("subscription", "sub-1"), **row)
    billing.beat()
    answer = billing.source().tenancies("host-2")
    assert not answer.is_complete
    assert answer.entries == ()
    assert answer.doubt


def test_all_tenancies_of_a_host_are_listed_the_oldest_first(billing: Any) -> None:
    billing.let("host-2", "sub-1", starts_at="2024-01-01T00:00:00Z", ends_at="2025-01-01T00:00:00Z")
    billing.let("host-2", "sub-9", starts_at="2027-01-01T00:00:00Z")
    billing.beat()
    answer = billing.source().tenancies("host-2")
    assert [entry.subscription for entry in answer.entries] == ["sub-1", "sub-2", "sub-9"]


def test_a_host_with_more_tenancies_than_anyone_believes_is_a_broken_view(billing: Any) -> None:
    connection = sqlite3.connect(billing.path)
    rows = [("host-2", "sub-1", "2026-01-01T00:00:00Z", None)] * 1001
    with connection:
        connection.executemany("INSERT INTO expunge_tenancy VALUES (?, ?, ?, ?)", rows)
    connection.close()
    billing.beat()
    assert not billing.source().tenancies("host-2").is_complete


# --- the database -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["subscription", "tenancy", "heartbeat"])
def test_a_missing_view_is_unknown(billing: Any, name: str) -> None:
    billing.sql(f"DROP TABLE expunge_{name}")
    source = billing.source()
    assert source.subscription("sub-2").state is UNKNOWN
    assert not source.tenancies("host-2").is_complete


def test_a_missing_column_is_unknown(billing: Any) -> None:
    billing.sql("ALTER TABLE expunge_subscription RENAME COLUMN changed_at TO changed")
    assert billing.source().subscription("sub-2").state is UNKNOWN


def test_a_file_that_is_not_there_is_unknown_and_is_not_created(tmp_path: Path, billing: Any) -> None:
    path = tmp_path / "nowhere.sqlite"
    database = BillingDatabase(url=f"sqlite:///{path}", timeout_seconds=1)
    source = SqlViewSource(database=database, clock=billing.clock)
    assert source.subscription("sub-2").state is UNKNOWN
    assert not path.exists()


def test_a_file_that_is_no_database_is_unknown(tmp_path: Path, billing: Any) -> None:
    path = tmp_path / "page.sqlite"
    path.write_text("<html>Please log in</html>" * 100)
    database = BillingDatabase(url=f"sqlite:///{path}", timeout_seconds=1)
    assert SqlViewSource(database=database, clock=billing.clock).subscription("sub-2").state is UNKNOWN


def test_a_locked_database_is_waited_for_briefly_and_then_unknown(billing: Any) -> None:
    connection = sqlite3.connect(billing.path, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    try:
        database = BillingDatabase(url=f"sqlite:///{billing.path}", timeout_seconds=0.3)
        answer = SqlViewSource(database=database, clock=billing.clock).subscription("sub-2")
    finally:
        connection.close()
    assert answer.state is UNKNOWN
    assert "OperationalError" in answer.doubt


def test_a_view_that_never_ends_is_given_up(billing: Any) -> None:
    billing.sql("DROP TABLE expunge_heartbeat")
    billing.sql(
        "CREATE VIEW expunge_heartbeat AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
        " SELECT '2026-11-22T12:00:00Z' AS at, max(i) AS subscriptions, 2 AS tenancies FROM n"
    )
    database = BillingDatabase(url=f"sqlite:///{billing.path}", timeout_seconds=0.3)
    answer = SqlViewSource(database=database, clock=billing.clock).subscription("sub-2")
    assert answer.state is UNKNOWN


def test_nothing_can_be_written_through_the_source(billing: Any) -> None:
    database = BillingDatabase(url=f"sqlite:///{billing.path}", timeout_seconds=1)
    with pytest.raises(Exception, match="readonly"), database.snapshot() as snapshot:
        snapshot._connection.exec_driver_sql("DELETE FROM expunge_subscription")
    assert len(billing.sql("SELECT * FROM expunge_subscription")) == 2


def test_what_one_question_reads_belongs_to_one_instant(billing: Any) -> None:
    """A customer comes between our reading of counts and rows: the question sees all or nothing."""
    billing.sql("PRAGMA journal_mode = WAL")
    database = BillingDatabase(url=f"sqlite:///{billing.path}", timeout_seconds=2)
    with database.snapshot() as snapshot:
        before = snapshot.counts()
        writer = threading.Thread(target=billing.subscribe, args=("sub-3",))
        writer.start()
        writer.join()
        assert snapshot.counts() == before
        assert snapshot.subscriptions_like("sub-3") == []
    with database.snapshot() as snapshot:
        assert snapshot.counts().subscriptions == before.subscriptions + 1


@pytest.mark.parametrize(
    "url", ["", "no url", "sqlite://", "sqlite:///:memory:", "sqlite:///x?mode=rw", "nodb://h/d"]
)
def test_a_url_that_cannot_be_used_is_refused_at_once(url: str) -> None:
    with pytest.raises(Refused) as refused:
        BillingDatabase(url=url, timeout_seconds=1)
    assert refused.value.code is Code.CONFIGURATION_INVALID


def test_a_password_in_the_url_is_not_repeated() -> None:
    with pytest.raises(Refused) as refused:
        BillingDatabase(url="nodb://user:hunter2@host/billing", timeout_seconds=1)
    assert "hunter2" not in str(refused.value)


# --- what stands in an order --------------------------------------------------------------------------------


def test_what_was_read_is_kept_as_canonical_json(billing: Any) -> None:
    raw = billing.source().subscription("sub-2").raw
    read = json.loads(raw)
    assert read["subscriptions"] == [["sub-2", "ended", "2026-11-20T08:00:00Z"]]
    assert read["heartbeats"] == [["2026-11-22T12:00:00Z", 2, 2]]
    assert json.dumps(read, sort_keys=True, separators=(",", ":")).encode() == raw
    assert len(hashlib.sha256(raw).digest()) == 32


def test_an_unknown_answer_keeps_what_was_read_until_then(billing: Any) -> None:
    billing.clock.passes(3600)
    assert json.loads(billing.source().subscription("sub-2").raw)["heartbeats"]
    billing.path.unlink()
    assert json.loads(billing.source().subscription("sub-2").raw)["error"] == "OperationalError"


NOON, MORNING = "2026-11-22T12:00:00Z", "2026-11-20T08:00:00Z"
STRANGE = st.one_of(st.none(), st.integers(-(2**40), 2**40), st.text(max_size=12), st.binary(max_size=6))


def or_strange(*usual: Any) -> st.SearchStrategy[Any]:
    """Mostly what a row should hold, so that several fields are right at once."""
    return st.one_of(st.sampled_from(usual), st.sampled_from(usual), STRANGE)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    row=st.just(("sub-2", "ended", NOON))
    | st.tuples(or_strange("sub-2"), or_strange("ended", "active"), or_strange(NOON, MORNING)),
    beat=st.just((NOON, 2, 2)) | st.tuples(or_strange(NOON), or_strange(2), or_strange(2)),
)
def test_ended_is_said_only_of_a_row_that_says_exactly_so(
    billing: Any, row: tuple[Any, Any, Any], beat: tuple[Any, Any, Any]
) -> None:
    billing.sql("DELETE FROM expunge_subscription WHERE rowid = 2")
    billing.sql("INSERT INTO expunge_subscription (rowid, id, state, changed_at) VALUES (2, ?, ?, ?)", *row)
    billing.sql("UPDATE expunge_heartbeat SET at = ?, subscriptions = ?, tenancies = ?", *beat)
    answer = billing.source().subscription("sub-2")
    is_alive = beat == (NOON, 2, 2)
    is_plain = row[:2] == ("sub-2", "ended") and row[2] in (NOON, MORNING)
    event(f"ended: {is_alive and is_plain}")
    assert (answer.state is ENDED) == (is_alive and is_plain)
    assert (answer.state is UNKNOWN) == bool(answer.doubt)
