"""`expunge validate` and what `expunge attention` says of it, over the real socket."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from controller.states import State

Expunge = Callable[..., Any]
REASON = ("--reason", "the drive is of a series that we tested")


@pytest.fixture
def world(found_world: Callable[..., Any]) -> Any:
    """A drive that only unmaps, so that the table leaves its own word to a person."""
    world = found_world(faults=["deallocates_only"])
    world.end_subscription()
    world.run(until=lambda world: world.state is State.NEEDS_OPERATOR)
    assert world.state is State.NEEDS_OPERATOR
    return world


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


def code(told: Any) -> str:
    return str(json.loads(told.err.splitlines()[-1])["refused"]["code"])


def test_attention_lists_what_waits_and_the_command(said: Expunge) -> None:
    (waiting,) = said("attention").json["validations"]
    assert (waiting["host"], waiting["not_by"]) == ("host-1", [])
    text = said("attention", as_json=False).out
    for words in (
        "VALIDATION_AWAITED",
        "a result waits for a person's validation",
        "default, self_encrypting_nvme, nvme_sanitize_crypto, device-reported",
        "expunge validate host-1 --accept (or --reject)",
    ):
        assert words in text


def test_what_was_seen_is_shown_and_then_signed(said: Expunge, served_program: Any) -> None:
    told = said("validate", "host-1", "--accept", *REASON, "--confirm", "accept host-1", by=0, as_json=False)
    assert told.code == 0
    assert "is accepted" in told.out
    (waiting,) = (line for line in told.err.splitlines() if "evidence:" in line)
    assert len(waiting.split(":")[1].strip()) == 64
    for words in ("table_says: escalate", "claim: erased, purge, device-reported", "limits:", "reasons:"):
        assert words in told.err
    assert said("attention").json["validations"] == []
    served_program.world.run()
    assert served_program.world.state is State.RELEASED


def test_a_rejection_leaves_the_ways_out(said: Expunge, served_program: Any) -> None:
    told = said("validate", "host-1", "--reject", *REASON, "--confirm", "reject host-1", by=1)
    assert told.code == 0
    (group,) = said("attention").json["groups"]
    assert "retry" in group["open_exits"]
    again = said("validate", "host-1", "--accept", *REASON, "--confirm", "accept host-1", by=0)
    assert (again.code, code(again)) == (3, "VALIDATION_REJECTED")
    assert served_program.world.state is State.NEEDS_OPERATOR


def test_a_deprovision_may_be_named_by_its_id(said: Expunge, world: Any) -> None:
    told = said("validate", world.key, "--accept", *REASON, "--confirm", "accept host-1", by=0)
    assert told.code == 0


@pytest.mark.parametrize("choice", [(), ("--accept", "--reject")])
def test_exactly_one_choice_is_made(said: Expunge, choice: tuple[str, ...]) -> None:
    assert said("validate", "host-1", *choice, *REASON, by=0).code == 2


def test_a_reason_is_given(said: Expunge) -> None:
    assert said("validate", "host-1", "--accept", by=0).code == 2


@pytest.mark.parametrize("words", ["host-1", "reject host-1", "yes"])
def test_other_words_sign_nothing(said: Expunge, words: str, served_program: Any) -> None:
    told = said("validate", "host-1", "--accept", *REASON, "--confirm", words, by=0)
    assert (told.code, code(told)) == (3, "CONFIRMATION_WRONG")
    assert len(said("attention").json["validations"]) == 1


def test_a_host_that_nobody_knows_is_refused(said: Expunge) -> None:
    told = said("validate", "host-9", "--accept", *REASON, by=0)
    assert (told.code, code(told)) == (3, "NOT_IN_STORE")
