"""The world in which five sabotages are tried. It is loaded once, because test modules cannot import it."""

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


@pytest.fixture(scope="session")
def sabotage() -> ModuleType:
    name = "expunge_sabotage_world"
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent.parent / "world.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def found(sabotage: ModuleType, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Makes worlds, and ends what runs in them. In memory where that is possible: a killed process loses
    nothing that it wrote there either, and a hundred worlds are quick.
    """
    made: list[Any] = []
    shared = Path("/dev/shm")
    place = Path(tempfile.mkdtemp(prefix="expunge-", dir=shared if os.access(shared, os.W_OK) else tmp_path))

    def make(name: str = "world", **options: Any) -> Any:
        folder = place / name
        folder.mkdir()
        made.append(sabotage.World.found(folder, **options))
        return made[-1]

    yield make
    for world in made:
        world.close()
    shutil.rmtree(place)
