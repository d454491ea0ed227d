"""The verbs of people over the real socket: shown, confirmed, signed with a key, answered with exit codes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from certificate.keys import PrivateKey
from controller.states import State

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


def keyid(served: Any, place: int) -> str:
    return str(served.world.operators[place].public.keyid)


def test_anybody_freezes_and_two_thaw(said: Expunge) -> None:
    frozen = said("freeze", "--reason", "something is wrong")
    assert frozen.code == 0
    number = frozen.json["number"]
    (stop,) = said("holds", "list").json["stops"]
    assert (stop["kind"], stop["author"], stop["matter"]) == ("freeze", "anyone", "something is wrong")
    thaw = ("thaw", number, "--reason", "looked at it", "--confirm", f"freeze {number}")
    first = said(*thaw, by=0)
    assert (first.code, first.json["done"], len(first.json["signed"])) == (4, None, 1)
    second = said(*thaw, by=1)
    assert (second.code, second.json["done"]) == (0, f"freeze {number} is lifted")
    assert said("holds", "list").json["stops"] == []


def test_the_matter_is_shown_beside_the_answer_and_the_answer_alone_on_standard_output(
    said: Expunge,
) -> None:
    said("freeze", "--reason", "x")
    thaw = said("thaw", 1, "--reason", "y", "--confirm", "freeze 1", by=0, as_json=False)
    assert thaw.out == "1 of 2: stored; another operator must sign the same\n"
    assert "author: anyone" in thaw.err
    assert "your reason: y" in thaw.err
    assert "strangers" not in thaw.err, "a thaw stays with the provider"
    assert "Every deprovision goes on by itself" in thaw.err


@pytest.mark.parametrize("words", ["freeze 2", "freeze", "", "yes"])
def test_other_words_sign_nothing(said: Expunge, words: str) -> None:
    said("freeze", "--reason", "x")
    told = said("thaw", 1, "--reason", "y", "--confirm", words, by=0)
    assert (told.code, json.loads(told.err.splitlines()[-1])["refused"]["code"]) == (3, "CONFIRMATION_WRONG")


def test_nobody_at_a_terminal_confirms_nothing(said: Expunge) -> None:
    said("freeze", "--reason", "x")
    told = said("thaw", 1, "--reason", "y", by=0)
    assert (told.code, "CONFIRMATION_MISSING" in told.err) == (3, True)


@pytest.mark.parametrize("option", ["--yes", "--as"])
def test_there_is_neither_yes_nor_acting_under_a_name(said: Expunge, option: str) -> None:
    assert said("thaw", 1, "--reason", "y", option, by=0).code == 2
    assert said("approve", "a" * 64, option, by=0).code == 2


def test_without_a_key_nothing_is_decided(
    said: Expunge, monkeypatch: pytest.MonkeyPatch, served_program: Any
) -> None:
    said("freeze", "--reason", "x")
    told = said("thaw", 1, "--reason", "y", "--confirm", "freeze 1")
    assert (told.code, "OPERATOR_KEY_MISSING" in told.err) == (3, True)
    monkeypatch.setenv("EXPUNGE_OPERATOR_KEY", str(served_program.keys[0]))
    assert said("thaw", 1, "--reason", "y", "--confirm", "freeze 1").code == 4


def test_a_key_file_with_a_passphrase_is_opened_by_descriptor(
    said: Expunge, served_program: Any, tmp_path: Path
) -> None:
    locked = tmp_path / "locked"
    locked.write_bytes(served_program.world.operators[0].to_openssh(passphrase=b"correct"))
    hold = ("holds", "set", "--scope", "everything", "--matter", "m", "--review", "P1D", "--key", locked)

    def with_passphrase(text: bytes) -> Any:
        read_end, write_end = os.pipe()
        os.write(write_end, text)
        os.close(write_end)
        try:
            return said(*hold, "--key-passphrase-fd", read_end)
        finally:
            os.close(read_end)

    assert "PASSPHRASE_MISSING" in said(*hold).err
    assert "KEY_UNREADABLE" in with_passphrase(b"wrong\n").err
    assert with_passphrase(b"correct\n").code == 0


def test_one_holds_and_two_release(said: Expunge, served_program: Any) -> None:
    held = said("holds", "set", "--scope", "host=host-1", "--matter", "case 7", "--review", "P30D", by=0)
    assert held.code == 0
    (stop,) = said("holds", "list").json["stops"]
    assert (stop["covers"], stop["hosts"], stop["is_overdue"]) == ("host=host-1", 1, False)
    assert stop["author"] == keyid(served_program, 0)
    release = ("holds", "release", 1, "--reason", "closed", "--confirm", "hold 1")
    assert said(*release, by=0).code == 4
    assert said(*release, by=0).code == 4
    assert said(*release, by=1).code == 0
    assert said("holds", "list", as_json=False).out == "nothing is held or frozen\n"


def test_two_enrol_a_third_and_one_revokes(said: Expunge, served_program: Any, tmp_path: Path) -> None:
    carol = PrivateKey.generate().public
    (tmp_path / "carol.pub").write_text(f"{carol.ssh_line} carol\n")
    enrol = ("operators", "enrol", "--public-key", tmp_path / "carol.pub", "--reason", "new colleague")
    words = ("--confirm", carol.keyid[-8:])
    assert said(*enrol, *words, by=0).code == 4
    assert said(*enrol, *words, by=1).code == 0
    listed = said("operators", "list").json
    found = {line["keyid"]: line for line in listed["operators"]}
    assert listed["active"] == 2
    assert found[carol.keyid]["standing"] == "inert"
    assert found[carol.keyid]["enrolled_by"] == sorted(keyid(served_program, each) for each in (0, 1))
    assert found[keyid(served_program, 0)]["enrolled_by"] == []
    revoked = said("operators", "revoke", carol.keyid, "--reason", "who is it", *words, by=1)
    assert revoked.code == 0
    listed = said("operators", "list").json
    assert {line["keyid"]: line["standing"] for line in listed["operators"]}[carol.keyid] == "revoked"
    assert "fewer than three" in said("operators", "list", as_json=False).out


def test_a_host_that_is_let_is_not_declared_stock(said: Expunge, served_program: Any) -> None:
    served_program.world._beat()
    told = said("hosts", "declare", "host-1", "stock", "--reason", "r", "--confirm", "host-1 stock", by=0)
    assert (told.code, "TENANCY_REMAINS" in told.err) == (3, True)


def test_a_plan_is_requested_and_approved_over_the_socket(
    said: Expunge, served_program: Any, signing: Any
) -> None:
    world = served_program.world
    alice, bob = world.operators
    crew = signing.Crew(world=world, people=signing.People(program=world.program), alice=alice, bob=bob)
    signing.begin_by_hand(crew)
    digest = crew.people.case.plan.digest
    crew.people.request(by=alice)
    mine = said("approve", digest, "--reason", "r", "--confirm", WORDS, by=0)
    assert (mine.code, "SELF_APPROVAL" in mine.err) == (3, True)
    other_machine = said("approve", digest, "--reason", "r", "--confirm", "host-1 4711", by=1)
    assert (other_machine.code, "CONFIRMATION_WRONG" in other_machine.err) == (3, True)
    named = said("approve", digest, "--reason", "for sub-1", "--confirm", WORDS, by=1)
    assert (named.code, "REASON_NAMES_SOMEBODY" in named.err) == (3, True)
    wiped = said("wipe", "host-1", "--request", "--reason", "HOST 1 again", by=1)
    assert (wiped.code, "REASON_NAMES_SOMEBODY" in wiped.err) == (3, True)
    shown = said("approve", digest, "--reason", "r", "--confirm", WORDS, by=1)
    assert "strangers can read it in the certificate" in shown.err
    assert (shown.code, shown.json["missing"]) == (0, [])
    for text in (digest, "host-1", "purge", "nvme_sanitize_crypto", alice.public.keyid, "dmi_uuid"):
        assert text in shown.err
    # Whoever confirms reads the machine: nothing here tells how its identifiers end.
    assert "a1a1" not in shown.err.replace(digest, "")
    world._beat()
    world.run()
    assert world.state is State.RELEASED


@pytest.mark.parametrize("digest", ["a" * 63, "A" * 64, "../../etc"])
def test_a_plan_is_named_by_its_whole_digest(said: Expunge, digest: str) -> None:
    assert said("approve", digest, by=0).code == 2


def test_a_plan_that_nobody_made_is_refused(said: Expunge) -> None:
    told = said("approve", "a" * 64, "--confirm", WORDS, by=0)
    assert (told.code, "PLAN_NOT_PRESENT" in told.err) == (3, True)
