"""`expunge notices`: people and programs are told the same, and no more than the store has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

from certificate.identifiers import DeprovisionId, HostId
from certificate.statements.vocabulary import Trigger
from controller.api import notices as room
from controller.api.listener import Served, unix_socket
from controller.api.notices_documents import NoticeList
from controller.api.server import application
from controller.errors import Code
from controller.facts import Disposition
from controller.store import deprovisions, hosts, notices
from controller.store.notices import NoticeKind

KEY = DeprovisionId("dep_" + "1" * 32)


@dataclass(frozen=True, kw_only=True)
class Told:
    home: Any
    store: Any
    now: Any


@pytest.fixture
def told(open_desk: Any) -> Iterator[Told]:
    """One deprovision with a delivered notice and one that fails."""
    desk, now = open_desk.desk, open_desk.desk.clock()
    with desk.store.transaction() as tx:
        host = hosts.Host(
            id=HostId("hst_" + "2" * 32),
            asset_tag="host-1",
            site="s",
            rack="r",
            data_class="default",
            disposition=Disposition.RENTED,
            customer_ref=None,
            salt=b"s" * 32,
            address="127.0.0.1",
            port=1,
            boot_parameters={},
            quarantine_parameters={},
            registered_at=now,
        )
        hosts.register(tx, host, facts=(), now=now)
        deprovisions.schedule(
            tx,
            id=KEY,
            host_id=host.id,
            tenancy_id=None,
            trigger=Trigger.MANUAL,
            data_class="default",
            policy_version=1,
            policy_digest="a" * 64,
            grace_until=now,
            dwell_seconds=0,
            now=now,
        )
        for kind in (NoticeKind.ENDING_ANNOUNCED, NoticeKind.WIPE_IMMINENT):
            notices.open_notice(tx, KEY, kind=kind, due_at=now, now=now)
        first, second = notices.of_deprovision(tx, KEY)
        notices.deliver(tx, first.number, record_digest="b" * 64, now=now)
        notices.begin_try(tx, second, next_try_at=now + timedelta(seconds=30))
        notices.failed(tx, second.number, code=Code.COMMAND_FAILED)
    with open_desk.home.locked(), structlog.testing.capture_logs():
        router = room.router(SimpleNamespace(store=desk.store), wake=lambda: None)  # type: ignore[arg-type]
        served = Served(
            application(desk, [router]), unix_socket(open_desk.home.socket), name="t", ended=lambda: None
        )
        yield Told(home=open_desk.home, store=desk.store, now=now)
        served.stop()


def test_notices_are_told_the_same_as_text_and_as_json(told: Told, expunge: Any) -> None:
    home = ("--home", told.home.path)
    listed = NoticeList.model_validate_json(expunge("notices", "list", *home, "--json").out)
    first, second = listed.notices
    assert (first.settled, first.records, first.next_try_at) == ("delivered", ("b" * 64,), None)
    assert (second.settled, second.attempts, second.last_code) == (None, 1, "COMMAND_FAILED")
    shown = expunge("notices", "list", *home).out
    for value in ("host-1", KEY, "ending_announced", "wipe_imminent", "delivered bbbb", "COMMAND_FAILED"):
        assert value in shown


def test_open_shows_only_what_is_not_settled(told: Told, expunge: Any) -> None:
    said = expunge("notices", "list", "--open", "--home", told.home.path, "--json")
    assert [line.kind for line in NoticeList.model_validate_json(said.out).notices] == ["wipe_imminent"]


def test_a_waiver_of_what_is_no_deprovision_is_a_usage_error(founded: Any, expunge: Any) -> None:
    said = expunge("notices", "waive", "host-1", "--reason", "x", "--home", founded.home.path)
    assert said.code == 2
