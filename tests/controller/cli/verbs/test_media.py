"""`media out | destroy | list`: a drive leaves by two keys, is destroyed by two keys, and stays told."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

WORDS = ("--by", "Ada", "--why", "dead", "--seal", "4711", "--place", "safe 2")


@pytest.fixture
def home(served_program: Any) -> tuple[str, Any]:
    return ("--home", served_program.home.path)


@pytest.fixture
def out(served_program: Any, home: Any, expunge: Any) -> list[Any]:
    """The world's one drive left, by both keys."""
    arguments = ("out", "host-1", "SABOTAGE1", *WORDS, "--confirm", "host-1 AGE1", *home)
    return [expunge("media", *arguments, "--key", key) for key in served_program.keys]


def destroying(served_program: Any, tmp_path: Path, **changes: str) -> tuple[Any, ...]:
    record = tmp_path / "record.pdf"
    record.write_bytes(b"one drive, shredded")
    named = {
        "--method": "shred",
        "--by": "Shredders",
        "--witness": "Grace",
        "--place": "their yard",
        "--on": served_program.world.now().date().isoformat(),
        "--document": str(record),
        "--reason": "it left and is gone",
        "--confirm": "destroyed AGE1",
    }
    return tuple(part for pair in (named | changes).items() for part in pair)


def test_a_drive_goes_out_by_two_keys_and_its_age_is_told(out: list[Any], home: Any, expunge: Any) -> None:
    first, second = out
    assert (first.code, second.code) == (4, 0), second.err
    assert "SABOTAGE1" in first.err
    assert "it stands in the register of media" in first.err
    listed = expunge("media", "list", *home)
    assert "OPEN: SABOTAGE1" in listed.out, "the host is rented, and nobody knows to whom"
    assert ", 0 days ago" in listed.out
    assert "in its place" not in listed.out


def test_who_reads_the_reason_is_said_before_it_is_signed(out: list[Any]) -> None:
    for said in out:
        assert "your reason: dead" in said.err
        assert "strangers can read it in the certificate" in said.err
        assert "name no customer, person or serial number" in said.err


@pytest.mark.parametrize("why", ["SABOTAGE1 is dead", "host-1 lost it", "ask ada@example.org", "ada has it"])
def test_a_reason_that_names_somebody_is_refused_before_a_key_is_opened(
    served_program: Any, home: Any, expunge: Any, why: str
) -> None:
    words = ("--by", "Ada has it", "--why", why, "--seal", "4711", "--place", "safe 2", "--confirm", "x")
    said = expunge(
        "media",
        "out",
        "host-1",
        "SABOTAGE1",
        *words,
        *home,
        "--key",
        served_program.keys[0].with_suffix(".gone"),
    )
    assert (said.code, said.err.split(":")[0]) == (3, "REASON_NAMES_SOMEBODY"), said.err
    assert why not in said.err


def test_a_drive_that_is_not_on_record_does_not_go_out(served_program: Any, home: Any, expunge: Any) -> None:
    said = expunge(
        "media", "out", "host-1", "S9", *WORDS, "--confirm", "x", *home, "--key", served_program.keys[0]
    )
    assert (said.code, said.err.split(":")[0]) == (3, "DRIVE_NOT_IN_HOST")


def test_a_destruction_is_attested_by_two_keys_over_the_same_file(
    served_program: Any, out: list[Any], home: Any, expunge: Any, tmp_path: Path
) -> None:
    (line,) = expunge("media", "list", *home, "--json").json["media"]
    arguments = ("destroy", line["medium"][:12], *destroying(served_program, tmp_path), *home)
    alice, bob = served_program.keys
    first = expunge("media", *arguments, "--key", alice)
    assert first.code == 4, first.err
    assert "people say so" in first.err
    assert expunge("media", *arguments, "--key", alice).code == 4, "the same key is one person"
    other = destroying(served_program, tmp_path, **{"--witness": "Edsger"})
    assert expunge("media", "destroy", "SABOTAGE1", *other, *home, "--key", bob).code == 4, "other words"
    done = expunge("media", *arguments, "--key", bob)
    assert done.code == 0, done.err
    (line,) = expunge("media", "list", *home, "--json").json["media"]
    digest = hashlib.sha256((tmp_path / "record.pdf").read_bytes()).hexdigest()
    assert (line["standing"], line["destruction"]["document_digest"]) == ("destroyed", digest)
    told = expunge("media", "list", *home).out
    assert "DESTROYED: SABOTAGE1" in told
    assert "by Shredders at their yard, before Grace" in told
    assert ", logged" in told
    assert served_program.wakes


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"--method": "degauss"}, 2, ""),
        ({"--on": "yesterday"}, 3, "DECISION_MISMATCH"),
        ({"--document": "/nowhere/record.pdf"}, 3, "FILE_UNREADABLE"),
        ({"--confirm": "yes"}, 3, "CONFIRMATION_WRONG"),
    ],
    ids=str,
)
def test_what_cannot_be_attested_is_refused(
    served_program: Any,
    out: list[Any],
    home: Any,
    expunge: Any,
    tmp_path: Path,
    changes: dict[str, str],
    code: int,
    said: str,
) -> None:
    arguments = destroying(served_program, tmp_path, **changes)
    told = expunge("media", "destroy", "SABOTAGE1", *arguments, *home, "--key", served_program.keys[0])
    assert told.code == code, told.err
    assert said in told.err


def test_what_never_left_cannot_be_destroyed(
    served_program: Any, home: Any, expunge: Any, tmp_path: Path
) -> None:
    arguments = destroying(served_program, tmp_path)
    told = expunge("media", "destroy", "SABOTAGE1", *arguments, *home, "--key", served_program.keys[0])
    assert (told.code, told.err.split(":")[0]) == (3, "MEDIUM_NOT_IN_REGISTER")
