"""The world in which five sabotages are tried. It is loaded once, because test modules cannot import it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="session")
def sabotage() -> ModuleType:
    name = "expunge_sabotage_world"
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("world.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def found(sabotage: ModuleType, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Makes worlds, and ends what runs in them."""
    made: list[Any] = []

    def make(name: str = "world", **options: Any) -> Any:
        folder = tmp_path / name
        folder.mkdir()
        made.append(sabotage.World.found(folder, **options))
        return made[-1]

    yield make
    for world in made:
        world.close()
