"""Fixtures around the laboratory (`tests.lab`): machines, and the worlds their executions run in."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agent.world import World
from tests.lab import FakeTime, Lab, quick_world


@pytest.fixture
def make_lab(tmp_path: Path) -> Iterator[Callable[..., Lab]]:
    """`make_lab("SERIAL", ..., faults=("lies",))`: a booted machine with these drives and faults."""
    labs: list[Lab] = []

    def build(*serials: str, faults: tuple[str, ...] = (), is_booted: bool = True, **settings: Any) -> Lab:
        folder = tmp_path / f"lab-{len(labs)}"
        folder.mkdir()
        lab = Lab(folder)
        labs.append(lab)
        for serial in serials or ("SN-1",):
            lab.add_drive(serial, *faults, **settings)
        if is_booted:
            lab.boot()
        return lab

    yield build
    for lab in labs:
        lab.close()


@pytest.fixture
def plain_lab(tmp_path: Path) -> Iterator[Lab]:
    """A booted machine without a drive yet, whose data class is content with an overwrite from the host."""
    folder = tmp_path / "plain"
    folder.mkdir()
    lab = Lab(folder, floor="clear")
    lab.boot()
    yield lab
    lab.close()


@pytest.fixture
def fake_time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def make_world() -> Callable[..., World]:
    """`make_world(fake_time)`: a world whose clock moves only by waiting; without one, quick and real."""

    def build(fake: FakeTime | None = None) -> World:
        if fake is None:
            return quick_world()
        return World(
            clock=fake.clock, now=lambda: datetime.now(UTC), pause=fake.pause, random_bytes=os.urandom
        )

    return build
