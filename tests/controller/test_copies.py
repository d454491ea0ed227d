"""The home's copies: whoever starts or takes over writes what a killed process left out, and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controller import copies
from controller.dispatch import embedded
from controller.dispatch.embedded import Embedded
from controller.errors import LostRace
from controller.states import State
from controller.store import outcomes


class Killed(BaseException):
    """What a test ends the process with."""


@pytest.fixture
def lying(found_world: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """A drive that lies; the controller died between logging its failure and writing the file."""
    world = found_world(faults=["lies"])
    world.end_subscription()

    def dies(program: Any, issued: Any) -> None:
        if list(issued):
            raise Killed

    with monkeypatch.context() as killed:
        killed.setattr(copies, "write", dies)
        with pytest.raises(Killed):
            world.run()
    (stored,) = logged(world)
    assert stored.is_issued
    world.run()
    assert world.state is State.NEEDS_OPERATOR
    assert files(world.program.failures_folder) == {}, "nobody writes it once it is logged"
    return world


def logged(world: Any) -> tuple[Any, ...]:
    with world.program.store.snapshot() as tx:
        return tuple(outcomes.of_deprovision(tx, world.key))


def files(folder: Path) -> dict[str, bytes]:
    if not folder.exists():
        return {}
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def names(stored: Any) -> set[str]:
    return {f"{stored.id}{ending}" for ending in (".bundle.json", ".dsse.json", ".evidence.dsse.json")}


def test_a_record_of_a_failure_that_was_logged_and_not_written_is_written_at_the_next_start(
    lying: Any,
) -> None:
    (stored,) = logged(lying)
    assert set(copies.write_missing(lying.program)) == names(stored)
    assert set(files(lying.program.failures_folder)) == names(stored)
    assert files(lying.program.certificates_folder) == {}
    assert copies.write_missing(lying.program) == ()


def test_the_loop_of_a_controller_begins_with_it(lying: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "SLEEP_SECONDS", 0.01)
    stop = threading.Event()
    stop.set()
    Embedded(lying.program).run(stop)
    (stored,) = logged(lying)
    assert set(files(lying.program.failures_folder)) == names(stored)


@pytest.mark.parametrize("ending", [".bundle.json", ".dsse.json", ".evidence.dsse.json"])
def test_what_is_there_keeps_its_bytes_and_only_the_rest_is_written(lying: Any, ending: str) -> None:
    (stored,) = logged(lying)
    folder = lying.program.failures_folder
    folder.mkdir()
    (folder / f"{stored.id}{ending}").write_bytes(b"somebody's own")
    assert set(copies.write_missing(lying.program)) == names(stored) - {f"{stored.id}{ending}"}
    assert files(folder)[f"{stored.id}{ending}"] == b"somebody's own"


def test_a_certificate_that_is_gone_is_written_again(world: Any) -> None:
    world.end_subscription()
    world.run()
    folder = world.program.certificates_folder
    before = files(folder)
    for name in before:
        (folder / name).unlink()
    assert set(copies.write_missing(world.program)) == set(before)
    after = files(folder)
    assert {name: after[name] for name in after if "bundle" not in name} == {
        name: before[name] for name in before if "bundle" not in name
    }


def test_what_says_erased_is_no_certificate_before_its_host_is_summed_up(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Logged and accepted; the controller died before the summary."""
    from controller.effects import certify

    def dies(*given: Any) -> None:
        raise Killed

    world.end_subscription()
    with monkeypatch.context() as killed:
        killed.setattr(certify, "_summary", dies)
        with pytest.raises(Killed):
            world.run()
    (stored,) = logged(world)
    assert stored.is_issued
    assert copies.write_missing(world.program) == ()
    assert files(world.program.certificates_folder) == files(world.program.failures_folder) == {}


def test_a_certificate_that_does_not_verify_is_not_written(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from certificate.errors import Code, Refused

    def refuses(*given: Any) -> None:
        raise Refused(Code.EVIDENCE_MISMATCH, "no")

    world.end_subscription()
    world.run()
    for path in world.program.certificates_folder.iterdir():
        path.unlink()
    monkeypatch.setattr(copies.verification, "verify", refuses)
    assert copies.write_missing(world.program) == ()
    assert files(world.program.certificates_folder) == {}


def test_an_old_store_writes_nothing(lying: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Frozen:
        is_frozen = True

    monkeypatch.setattr(type(lying.program.keeper), "compare", lambda self, tx: Frozen())
    assert copies.write_missing(lying.program) == ()
    assert files(lying.program.failures_folder) == {}


def test_one_that_cannot_be_written_stops_no_start(lying: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*given: Any) -> None:
        raise LostRace("out", "there", 0)

    monkeypatch.setattr(copies, "_write_absent", refuses)
    assert copies.write_missing(lying.program) == ()
