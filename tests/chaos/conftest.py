"""The same world as the sabotages', for whatever chance does to it."""

from __future__ import annotations

from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def worlds(provider: ModuleType) -> ModuleType:
    return provider
