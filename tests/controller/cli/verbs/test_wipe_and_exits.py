"""`expunge wipe`, `attention` and the ways out, over the real socket."""

from __future__ import annotations

import hashlib
import json
import shlex
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from certificate.errors import Refused
from controller.errors import Code
from controller.states import State
from controller.store import deprovisions, stops

Expunge = Callable[..., Any]
#: What stands on the machine: the asset tag and the end of the DMI UUID.
WORDS = "host-1 a1a1"


@pytest.fixture
def said(served_program: Any, expunge: Expunge) -> Expunge:
    """Runs a verb against the served home, as alice (0) or bob (1), or with no key."""

    def run(verb: str, *arguments: object, by: int | None = None, as_json: bool = True) -> Any:
        more: list[object] = ["--home", served_program.home.path]
        if by is not None:
            more += ["--key", served_program.keys[by]]
        if as_json:
            more.append("--json")
        return expunge(verb, *arguments, *more)

    return run


@pytest.fixture
def left(served_program: Any) -> Any:
    served_program.world._beat("ended")
    return served_program.world


def code_of(told: Any) -> str:
    code: str = json.loads(told.err.splitlines()[-1])["refused"]["code"]
    return code


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def needs_operator(world: Any, state: State) -> None:
    world.end_subscription()
    world.run(until=lambda world: world.state is state)
    with world.program.store.transaction() as tx:
        now = world.now()
        row = deprovisions.claim(tx, world.key, owner="test", now=now, lease=timedelta(minutes=1))
        because = Refused(Code.PERSON_MUST_DECIDE, "no plan could be made within an hour")
        move = deprovisions.Move(new=State.NEEDS_OPERATOR, next_due_at=now, because=because)
        deprovisions.move(tx, row.id, old=state, fence=row.fence, move=move, now=now)
        deprovisions.release_lease(tx, row.id, fence=row.fence)


# --- wipe ---------------------------------------------------------------------------------------------------


def test_a_dry_run_asks_the_source_and_tells_the_same_as_text_and_as_json(said: Expunge, left: Any) -> None:
    told = said("wipe", "host-1")
    assert told.code == 0, told.err
    assert [each["answer"] for each in told.json["tenancies"]] == ["ended"]
    assert (told.json["refusals"], told.json["plan"], told.json["deprovision"]) == ([], None, None)
    shown = said("wipe", "host-1", as_json=False).out
    for value in ("host-1", "rented", "ended", "nothing refuses it now", "nothing is erased", "no plan yet"):
        assert value in shown, value
    assert left.deprovision is None


def test_a_dry_run_names_what_refuses_with_its_remedy(said: Expunge, served_program: Any) -> None:
    shown = said("wipe", "host-1", as_json=False)
    assert shown.code == 0
    assert "refuses: TENANCY_REMAINS" in shown.out
    assert Code.TENANCY_REMAINS.remedy in shown.out


def test_a_request_against_a_live_tenancy_is_refused_and_begins_nothing(
    said: Expunge, served_program: Any
) -> None:
    told = said("wipe", "host-1", "--request", "--reason", "r", "--confirm", WORDS, by=0)
    assert (told.code, told.out, code_of(told)) == (3, "", "TENANCY_REMAINS")
    assert served_program.world.deprovision is None


def test_a_request_without_a_reason_is_a_usage_error(said: Expunge, left: Any) -> None:
    assert said("wipe", "host-1", "--request", by=0).code == 2
    assert left.deprovision is None


def test_a_request_that_waits_in_vain_is_run_again_and_continues(said: Expunge, left: Any) -> None:
    request = ("wipe", "host-1", "--request", "--reason", "ticket 7", "--confirm", WORDS, "--wait", "PT0S")
    first = said(*request, by=0, as_json=False)
    assert (first.code, "it continues where it stopped" in first.out) == (4, True)
    key = left.key
    left.run(until=lambda world: world.state is State.PLANNED)
    second = said(*request, by=0)
    assert (second.code, left.key) == (4, key), second.err
    third = said(*request, by=0, as_json=False)
    assert (third.code, "expunge approve" in third.out) == (4, True)


def test_a_request_that_must_wait_names_the_instants_and_the_command_to_run_again(
    said: Expunge, left: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lifecycle = left.program.configuration.lifecycle
    slow = lifecycle.model_copy(update={"grace": timedelta(hours=2), "dwell": timedelta(hours=4)})
    monkeypatch.setitem(left.program.configuration.__dict__, "lifecycle", slow)
    request = ("wipe", "host-1", "--request", "--reason", "ticket 7", "--confirm", WORDS, "--wait", "PT0S")
    first = said(*request, by=0)
    assert first.code == 4, first.err
    grace_until, dwell_until = (at(first.json[name]) for name in ("grace_until", "dwell_until"))
    assert dwell_until - grace_until == timedelta(hours=4)
    left._skip_to(grace_until + timedelta(seconds=1))
    left.run(until=lambda world: world.state is State.QUARANTINED)
    cut = said(*request, by=0)
    assert (cut.json["grace_until"], at(cut.json["dwell_until"]) >= dwell_until) == (None, True)
    shown = said(*request, by=0, as_json=False).out
    assert f"dwell until {cut.json['dwell_until']}" in shown
    words = shlex.split(shown.splitlines()[-1])
    assert words[:6] == ["expunge", "wipe", "host-1", "--request", "--reason", "ticket 7"]
    left._skip_to(at(cut.json["dwell_until"]) + timedelta(seconds=1))
    left.run(until=lambda world: world.state is State.PLANNED)
    again = said(*words[1:], "--confirm", WORDS)
    assert again.code == 4, again.err
    asked = said("wipe", "host-1").json
    assert (asked["grace_until"], asked["dwell_until"]) == (None, None)
    assert len(asked["plan"]["requested_by"]) == 1


def test_a_wipe_is_requested_by_one_and_approved_by_another(said: Expunge, left: Any) -> None:
    running = threading.Thread(target=lambda: left.run(until=lambda world: world.state is State.PLANNED))
    assert said("wipe", "host-1", "--request", "--reason", "r", "--wait", "PT0S", by=0).code == 4
    running.start()
    request = ("wipe", "host-1", "--request", "--reason", "r", "--confirm", WORDS, "--wait", "PT60S")
    assert said(*request, by=0).code == 4
    running.join()
    digest = said("wipe", "host-1").json["plan"]["digest"]
    own = said("approve", digest, "--reason", "r", "--confirm", WORDS, by=0)
    assert (own.code, code_of(own)) == (3, "SELF_APPROVAL")
    assert said("approve", digest, "--reason", "r", "--confirm", WORDS, by=1).code == 0
    left.run()
    assert left.state is State.RELEASED


# --- attention and the ways out -----------------------------------------------------------------------------


def test_attention_is_empty_where_nothing_waits(said: Expunge, served_program: Any) -> None:
    assert said("attention", as_json=False).out == "nothing waits for a person\n"


def test_attention_names_host_cause_ways_and_stops(said: Expunge, served_program: Any) -> None:
    needs_operator(served_program.world, State.STAGED)
    with served_program.world.program.store.transaction() as tx:
        now = served_program.world.now()
        stops.begin(tx, kind=stops.StopKind.FREEZE, author="anyone", matter="fire", review_at=now, now=now)
    told = said("attention").json
    (group,) = told["groups"]
    assert [member["host"] for member in group["members"]] == ["host-1"]
    assert set(group["open_exits"]) == {"retry", "restore", "destroy", "close"}
    assert [stop["matter"] for stop in told["stops"]] == ["fire"]
    shown = said("attention", as_json=False).out
    for value in ("PERSON_MUST_DECIDE", "no plan could be made", "not reprobe: EXIT_NOT_OPEN", "fire"):
        assert value in shown, value


def test_restore_is_one_command_of_one_person(said: Expunge, served_program: Any) -> None:
    needs_operator(served_program.world, State.STAGED)
    told = said("restore", "host-1", "--reason", "they called", by=0)
    assert (told.code, "restore is commanded for host-1" in told.json["done"]) == (0, True), told.err
    served_program.world.run()
    assert served_program.world.state is State.CANCELLED
    assert [stop["matter"] for stop in said("holds", "list").json["stops"]] == ["they called"]


def test_close_asks_for_the_hosts_name(said: Expunge, served_program: Any) -> None:
    needs_operator(served_program.world, State.STAGED)
    key = served_program.world.key
    wrong = said("close", key, "--reason", "r", "--confirm", "host-2", by=0)
    assert (wrong.code, code_of(wrong)) == (3, "CONFIRMATION_WRONG")
    assert said("close", key, "--reason", "r", "--confirm", "host-1", by=0).code == 0


def test_destroy_takes_two_and_the_same_file(said: Expunge, served_program: Any, tmp_path: Path) -> None:
    needs_operator(served_program.world, State.STAGED)
    record = tmp_path / "record.pdf"
    record.write_bytes(b"shredded on Monday")
    destroy = ("destroy", "host-1", "--document", record, "--reason", "r", "--confirm", "host-1")
    first = said(*destroy, by=0)
    assert (first.code, first.json["people_needed"]) == (4, 2), first.err
    assert hashlib.sha256(record.read_bytes()).hexdigest() in said(*destroy, by=0, as_json=False).err
    record.write_bytes(b"shredded on Tuesday")
    assert said(*destroy, by=1).code == 4
    record.write_bytes(b"shredded on Monday")
    assert said(*destroy, by=1).code == 0
    missing = said("destroy", "host-1", "--document", tmp_path / "none", "--reason", "r", by=0)
    assert (missing.code, code_of(missing)) == (3, "FILE_UNREADABLE")


def test_a_closed_way_is_refused_with_its_reason(said: Expunge, served_program: Any) -> None:
    needs_operator(served_program.world, State.STAGED)
    told = said("reprobe", "host-1", "--reason", "r", by=0)
    assert (told.code, told.out, code_of(told)) == (3, "", "EXIT_NOT_OPEN")


@pytest.mark.parametrize("named", [(), ("host-1", "--group", "0" * 64)], ids=["nothing", "both"])
def test_exactly_one_of_host_and_group_is_named(
    said: Expunge, served_program: Any, named: tuple[str, ...]
) -> None:
    assert said("retry", *named, "--reason", "r", by=0).code == 2


def test_a_group_that_is_not_there_any_more_is_another_matter(said: Expunge, served_program: Any) -> None:
    told = said("retry", "--group", "0" * 64, "--reason", "r", by=0)
    assert (told.code, code_of(told)) == (3, "MATTER_CHANGED")
