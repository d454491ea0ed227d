"""What the mutants are made with: `rewrite` takes one rule out of the real code, by its own words.

A rewritten function is compiled from its present source with one text replaced, so that a mutant that no
longer fits the code fails loudly instead of removing nothing.
"""

from __future__ import annotations
import __future__

import importlib
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Loaded = Callable[[str, Path], ModuleType]
HERE = Path(__file__).parent


@pytest.fixture
def rewrite(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`rewrite(owner, "name", old, new)`: the function or method, with exactly this text replaced once."""

    def replace(owner: Any, name: str, old: str, new: str) -> None:
        function = inspect.unwrap(getattr(owner, name))
        source = textwrap.dedent(inspect.getsource(function))
        assert source.count(old) == 1, f"{old!r} stands {source.count(old)} times in {name}"
        flags = __future__.annotations.compiler_flag
        code = compile(source.replace(old, new), inspect.getfile(function), "exec", flags=flags)
        found: dict[str, Any] = {}
        exec(code, sys.modules[function.__module__].__dict__, found)  # noqa: S102 (our own source)
        monkeypatch.setattr(owner, name, found[function.__name__])

    return replace


@pytest.fixture(scope="session")
def lab_module(loaded: Loaded) -> ModuleType:
    return loaded("expunge_mutants_lab", HERE.parent / "agent" / "conftest.py")


@pytest.fixture
def laboratory(lab_module: ModuleType, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """`laboratory("SERIAL", ...)`: a machine with its agent and a controller's hands (tests/agent)."""
    made: list[Any] = []

    def make(*serials: str, **settings: Any) -> Any:
        folder = tmp_path / f"lab-{len(made)}"
        folder.mkdir()
        lab = lab_module.Lab(folder)
        made.append(lab)
        for serial in serials or ("SN-1",):
            lab.add_drive(serial, **settings)
        lab.boot()
        return lab

    yield make
    for lab in made:
        lab.close()


@pytest.fixture(scope="session")
def documents(loaded: Loaded) -> ModuleType:
    """The sample documents of one honest story (tests/certificate/conftest.py)."""
    return loaded("expunge_mutants_documents", HERE.parent / "certificate" / "conftest.py")


@pytest.fixture
def model(lifecycle_world: ModuleType) -> Any:
    """The simulated world of `decide`, with every promise checked: `model.ended()`."""
    check = importlib.import_module(f"{lifecycle_world.__name__}.promises").check
    acts = importlib.import_module(f"{lifecycle_world.__name__}.acts")

    class Model:
        module = lifecycle_world
        act = acts

        def ended(self, **changes: Any) -> Any:
            return lifecycle_world.ended_world(check, **changes)

        def until(self, world: Any, state: Any) -> Any:
            lifecycle_world.work_until(world, 0, state)
            assert world.stored.state is state, f"the story did not come to {state}: {world.moves}"
            return world

    return Model()
