"""The names under which the sabotages know the world (tests/world.py)."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="session")
def sabotage(provider: ModuleType) -> ModuleType:
    return provider


@pytest.fixture
def found(found_world: Callable[..., Any]) -> Callable[..., Any]:
    return found_world
