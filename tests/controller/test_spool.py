"""The spool: a hint survives, and nothing torn or foreign stands in the way of the others."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from certificate.errors import Refused
from controller.errors import Code
from controller.spool import MAX_HINT_BYTES, Hint, Spool, make_hint

NOW = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def hint(subscription: str, *, number: int = 1) -> Hint:
    return make_hint(
        event="ended", subscription=subscription, now=NOW, random_16_bytes=number.to_bytes(16, "big")
    )


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    folder = tmp_path / "spool"
    folder.mkdir(mode=0o700)
    return Spool(folder)


class Taker:
    """Takes hints and remembers them."""

    def __init__(self) -> None:
        self.taken: list[str] = []

    def __call__(self, told: Hint) -> None:
        self.taken.append(told.subscription)


def test_what_was_written_is_taken_once_and_oldest_first(spool: Spool) -> None:
    later, sooner = hint("sub-2", number=1), hint("sub-1", number=2)
    spool.write(later, now=NOW + SECOND)
    spool.write(sooner, now=NOW)
    taker = Taker()
    assert spool.drain(taker, now=NOW).taken_count == 2
    assert taker.taken == ["sub-1", "sub-2"]
    assert list(spool.folder.iterdir()) == []
    assert spool.drain(taker, now=NOW).taken_count == 0


def test_a_hint_comes_out_as_it_went_in(spool: Spool) -> None:
    told = hint("a subscription with spaces: 17/3")
    spool.write(told, now=NOW)
    taken: list[Hint] = []
    spool.drain(taken.append, now=NOW)
    assert taken == [told]


def test_a_hint_is_for_its_owner_only(spool: Spool) -> None:
    assert spool.write(hint("sub-1"), now=NOW).stat().st_mode & 0o777 == 0o600


def torn(folder: Path) -> Path:
    path = folder / f"20261120T115959000000Z-{'0' * 32}.hint.json"
    path.write_bytes(b'{"format_version":1,"event":"en')
    return path


def foreign(folder: Path) -> Path:
    path = folder / "README"
    path.write_bytes(b"somebody's notes")
    return path


def endless(folder: Path) -> Path:
    path = folder / f"20261120T115959000000Z-{'1' * 32}.hint.json"
    path.write_bytes(b" " * (MAX_HINT_BYTES + 1))
    return path


def dangling(folder: Path) -> Path:
    path = folder / f"20261120T115959000000Z-{'2' * 32}.hint.json"
    path.symlink_to(folder / "nowhere")
    return path


def nested(folder: Path) -> Path:
    path = folder / "a-folder"
    path.mkdir()
    return path


def from_another_release(folder: Path) -> Path:
    path = folder / f"20261120T115959000000Z-{'3' * 32}.hint.json"
    path.write_bytes(hint("sub-9").model_dump_json().replace("}", ',"format_version":2}').encode())
    return path


@pytest.mark.parametrize("make", [torn, foreign, endless, dangling, nested, from_another_release])
def test_what_cannot_be_read_is_set_aside_with_its_reason_and_stops_nobody(
    spool: Spool, make: Callable[[Path], Path]
) -> None:
    path = make(spool.folder)
    spool.write(hint("sub-1"), now=NOW)
    taker = Taker()
    drained = spool.drain(taker, now=NOW)
    assert taker.taken == ["sub-1"]
    assert drained.set_aside == (path.name,)
    aside = spool.set_aside_folder / path.name
    assert aside.is_symlink() or aside.exists()
    assert (spool.set_aside_folder / f"{path.name}.reason.txt").read_text().startswith("MALFORMED") or (
        spool.set_aside_folder / f"{path.name}.reason.txt"
    ).read_text().startswith("LIMIT_EXCEEDED")
    assert list(spool.folder.iterdir()) == [spool.set_aside_folder]


def test_two_foreign_files_of_one_name_are_both_kept(spool: Spool) -> None:
    foreign(spool.folder)
    spool.drain(Taker(), now=NOW)
    (spool.folder / "README").write_bytes(b"other notes")
    spool.drain(Taker(), now=NOW)
    kept = [path.read_bytes() for path in spool.set_aside_folder.glob("README*") if path.suffix != ".txt"]
    assert sorted(kept) == [b"other notes", b"somebody's notes"]


def test_a_hint_that_nobody_takes_today_is_kept_for_tomorrow(spool: Spool) -> None:
    spool.write(hint("sub-1"), now=NOW)

    def refuse(told: Hint) -> None:
        raise Refused(Code.STORE_NOT_CURRENT, "not now")

    with pytest.raises(Refused):
        spool.drain(refuse, now=NOW)
    taker = Taker()
    assert spool.drain(taker, now=NOW).taken_count == 1
    assert taker.taken == ["sub-1"]


def test_a_crash_of_the_taker_leaves_every_hint_that_was_not_taken(spool: Spool) -> None:
    for number in range(1, 4):
        spool.write(hint(f"sub-{number}", number=number), now=NOW + number * SECOND)
    taker = Taker()

    def crash_at_the_second(told: Hint) -> None:
        if told.subscription == "sub-2":
            raise RuntimeError("the database is gone")
        taker(told)

    with pytest.raises(RuntimeError, match="database"):
        spool.drain(crash_at_the_second, now=NOW)
    assert spool.drain(taker, now=NOW).taken_count == 2
    assert taker.taken == ["sub-1", "sub-2", "sub-3"]


def test_a_writer_at_work_is_left_alone_and_a_dead_ones_file_is_set_aside(spool: Spool) -> None:
    path = spool.folder / ".something.123.new"
    path.write_bytes(b"half")
    os.utime(path, (NOW.timestamp(), NOW.timestamp()))
    assert spool.drain(Taker(), now=NOW + timedelta(minutes=1)).set_aside == ()
    assert path.exists()
    assert spool.drain(Taker(), now=NOW + timedelta(hours=1)).set_aside == (path.name,)


@pytest.mark.parametrize(
    ("event", "subscription"),
    [
        ("ended", ""),
        ("ended", "a\nb"),
        ("ended", " a"),
        ("ended", "a" * 201),
        ("deleted", "sub-1"),
        ("", "a"),
    ],
)
def test_what_no_source_has_is_no_hint(event: str, subscription: str) -> None:
    with pytest.raises(Refused) as refused:
        make_hint(event=event, subscription=subscription, now=NOW, random_16_bytes=bytes(16))
    assert refused.value.code is Code.HINT_INVALID
