"""A founded home, a desk over it, and what only the controller's tests load."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import structlog

from certificate.keys import PrivateKey
from certificate.statements import Purpose
from controller.api.desk import Desk
from controller.api.listener import Served, unix_socket
from controller.api.routers import routers
from controller.api.server import application
from controller.bundles import SignedFiles
from controller.founding import Founded, Founding, found
from controller.home import Home
from controller.keyring import Keyring
from controller.machine import machine_id
from controller.pseudonyms import Pseudonyms
from controller.serving import desk_of
from controller.store import AnchorKeeper, open_store

Loaded = Callable[[str, Path], ModuleType]


@dataclass(frozen=True, kw_only=True)
class FoundedHome:
    """A home that `init` made, and what opens it."""

    home: Home
    founded: Founded
    passphrase: bytes
    operators: tuple[PrivateKey, PrivateKey]


@pytest.fixture(scope="session")
def founded_once(tmp_path_factory: pytest.TempPathFactory) -> FoundedHome:
    """Made once, because bcrypt is slow. Tests that change anything take `founded`."""
    operators = (PrivateKey.from_seed(b"a" * 32), PrivateKey.from_seed(b"b" * 32))
    home = Home(tmp_path_factory.mktemp("founded") / "home")
    founding = Founding(
        domain="demo.example",
        purpose=Purpose.DEMONSTRATION,
        operators=(operators[0].public, operators[1].public),
    )
    passphrase = b"a long passphrase"
    now = datetime(2026, 11, 20, 12, 0, 0, 654321, tzinfo=UTC)
    founded = found(home, founding, passphrase=passphrase, now=now, randomness=os.urandom)
    return FoundedHome(home=home, founded=founded, passphrase=passphrase, operators=operators)


@pytest.fixture
def founded(founded_once: FoundedHome, tmp_path: Path) -> FoundedHome:
    """A copy of the founded home, for this test alone."""
    home = Home(Path(shutil.copytree(founded_once.home.path, tmp_path / "home")))
    return replace(founded_once, home=home, founded=replace(founded_once.founded, home=home))


@pytest.fixture(scope="session")
def founded_keyring(founded_once: FoundedHome) -> Keyring:
    """The keyring of the founded home and of every copy."""
    return Keyring.open(founded_once.home.keys, passphrase=founded_once.passphrase)


@dataclass(frozen=True, kw_only=True)
class OpenDesk:
    """A desk over a founded home of its own, and how often it woke the dispatcher."""

    home: Home
    desk: Desk
    wakes: list[None]


@pytest.fixture
def open_desk(founded: FoundedHome, founded_keyring: Keyring) -> Iterator[OpenDesk]:
    keeper = AnchorKeeper(founded.home.anchor, machine_id=machine_id())
    store = open_store(founded.home.database, anchoring=keeper)
    wakes: list[None] = []
    desk = Desk(
        store=store,
        anchor=keeper,
        pseudonyms=Pseudonyms(founded_keyring.pseudonym_key),
        private_text_key=founded_keyring.private_text_key,
        signed_files=SignedFiles(
            trust_root=founded.home.trust_root.read_bytes(),
            validation_table=founded.home.validation_table.read_bytes(),
        ),
        source="billing",
        policy={},
        release="0.0.test",
        clock=lambda: datetime.now(UTC),
        randomness=os.urandom,
        wake=lambda: wakes.append(None),
    )
    yield OpenDesk(home=founded.home, desk=desk, wakes=wakes)
    store.close()


@pytest.fixture
def served_desk(open_desk: OpenDesk) -> Iterator[OpenDesk]:
    """The same, answering on the home's Unix socket, whose lock is held as `serve` holds it."""
    # Its log would otherwise stand on the same standard output as a command's answer.
    with open_desk.home.locked(), structlog.testing.capture_logs():
        listener = unix_socket(open_desk.home.socket)
        served = Served(application(open_desk.desk), listener, name="test", ended=lambda: None)
        yield open_desk
        served.stop()


@dataclass(frozen=True, kw_only=True)
class ServedProgram:
    """A whole provider (tests/world.py), answering on the socket of a home as `serve` does, and the key files
    of its two operators.
    """

    home: Home
    world: Any
    keys: tuple[Path, Path]
    wakes: list[None]


@pytest.fixture
def served_program(world: Any, tmp_path: Path) -> Iterator[ServedProgram]:
    home = Home(tmp_path / "served-home")
    home.create_folders()
    home.trust_root.write_bytes(world.documents.trust_file)
    keys = []
    for name, operator in zip(("alice", "bob"), world.operators, strict=True):
        keys.append(tmp_path / name)
        keys[-1].write_bytes(operator.to_openssh(passphrase=None))
    wakes: list[None] = []

    def wake() -> None:
        wakes.append(None)

    app = application(desk_of(world.program, wake=wake), routers(world.program, wake=wake))
    with home.locked(), structlog.testing.capture_logs():
        served = Served(app, unix_socket(home.socket), name="test", ended=lambda: None)
        yield ServedProgram(home=home, world=world, keys=(keys[0], keys[1]), wakes=wakes)
        served.stop()


@pytest.fixture(scope="session")
def documents(loaded: Loaded) -> ModuleType:
    """The sample documents of one honest story, and their builders (tests/certificate/conftest.py)."""
    return loaded("expunge_controller_documents", Path(__file__).parents[1] / "certificate" / "conftest.py")
