"""What every test may use, and what holds for each: an unlisted skip fails a run under EXPUNGE_SKIPS=strict.

Test modules cannot import each other, so what several need is loaded here: `story` (facts of one healthy
deprovision) and `provider` (a whole provider in one folder), with the worlds made of it.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from controller.states import State

_ALLOWED = Path(__file__).with_name("allowed-skips.txt")


def _allowed_prefixes() -> tuple[str, ...]:
    lines = (line.split("#")[0].strip() for line in _ALLOWED.read_text().splitlines())
    return tuple(line for line in lines if line)


class SkipLedger:
    """Collects skipped tests and turns those that nobody allowed into a failed session."""

    def __init__(self) -> None:
        self.unexpected: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if (
            report.skipped
            and not hasattr(report, "wasxfail")
            and not report.nodeid.startswith(_allowed_prefixes())
        ):
            self.unexpected.append(report.nodeid)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.unexpected and os.environ.get("EXPUNGE_SKIPS") == "strict":
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for nodeid in self.unexpected:
            terminalreporter.write_line(f"skipped, but not in {_ALLOWED.name}: {nodeid}")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(SkipLedger(), "skip-ledger")


@pytest.fixture(scope="session")
def loaded() -> Callable[[str, Path], ModuleType]:
    """Loads a module that no test can import by name, because tests are not packages. Of a folder that is
    world.py, which finds its neighbours under `name`.
    """

    def load(name: str, path: Path) -> ModuleType:
        if name not in sys.modules:
            is_folder = path.is_dir()
            spec = importlib.util.spec_from_file_location(
                name,
                path / "world.py" if is_folder else path,
                submodule_search_locations=[str(path)] if is_folder else None,
            )
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules[name] = module
            spec.loader.exec_module(module)
        return sys.modules[name]

    return load


@pytest.fixture(scope="session")
def story(loaded: Callable[[str, Path], ModuleType]) -> Any:
    """Facts around one instant at which everything that may be observed was observed (tests/story.py)."""
    return loaded("expunge_tests_story", Path(__file__).with_name("story.py")).Story()


@pytest.fixture(scope="session")
def lifecycle_world(loaded: Callable[[str, Path], ModuleType]) -> ModuleType:
    """The simulated world of the model of `decide` (tests/controller/lifecycle_world/)."""
    return loaded("expunge_lifecycle_world", Path(__file__).with_name("controller") / "lifecycle_world")


@pytest.fixture(scope="session")
def provider(loaded: Callable[[str, Path], ModuleType]) -> ModuleType:
    """A whole provider in one folder (tests/world.py)."""
    return loaded("expunge_tests_world", Path(__file__).with_name("world.py"))


@pytest.fixture(scope="session")
def people(loaded: Callable[[str, Path], ModuleType]) -> ModuleType:
    """Operators at work in a world (tests/people.py)."""
    return loaded("expunge_tests_people", Path(__file__).with_name("people.py"))


@pytest.fixture
def found_world(provider: ModuleType, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Makes worlds, and ends what runs in them. In memory where that is possible: a killed process loses
    nothing that it wrote there either, and a hundred worlds are quick.
    """
    made: list[Any] = []
    shared = Path("/dev/shm")
    place = Path(tempfile.mkdtemp(prefix="expunge-", dir=shared if os.access(shared, os.W_OK) else tmp_path))

    def make(name: str = "", **options: Any) -> Any:
        folder = place / (name or f"world-{len(made)}")
        folder.mkdir()
        made.append(provider.World.found(folder, **options))
        return made[-1]

    yield make
    for world in made:
        world.close()
    shutil.rmtree(place)


@pytest.fixture
def world(found_world: Callable[..., Any]) -> Any:
    """One provider with one host, let to one active subscription."""
    return found_world()


@pytest.fixture
def world_in(world: Any) -> Callable[[State], Any]:
    """The same, once its subscription ended and its deprovision came to this state."""

    def reach(state: State) -> Any:
        world.end_subscription()
        world.run(until=lambda world: world.state is state)
        assert world.state is state
        return world

    return reach


@pytest.fixture(scope="session")
def signing(loaded: Callable[[str, Path], ModuleType]) -> ModuleType:
    """Operators who sign over a running program (tests/signing.py)."""
    return loaded("expunge_tests_signing", Path(__file__).with_name("signing.py"))


@pytest.fixture(scope="session")
def people_of(signing: ModuleType) -> Callable[[Any], Any]:
    """Those who sign over a running program: `people_of(world.program)`."""
    return lambda program: signing.People(program=program)


@pytest.fixture
def crew(world: Any, signing: ModuleType) -> Any:
    """A provider and the two operators of its trust root."""
    alice, bob = world.operators
    return signing.Crew(world=world, people=signing.People(program=world.program), alice=alice, bob=bob)


@pytest.fixture
def waiting(crew: Any, signing: ModuleType) -> Any:
    """The same, with a wipe by hand in *planned*: nothing but people is missing."""
    signing.begin_by_hand(crew)
    return crew
