"""Honest cases that a test spoils. `honest("nvme_format_crypto", layers=1)` makes any of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.techniques import Judged, Techniques


@pytest.fixture(scope="session")
def honest(techniques: Techniques) -> Callable[..., Judged]:
    return techniques.honest


@pytest.fixture(scope="session")
def case(honest: Callable[..., Judged]) -> Judged:
    """An honest cryptographic sanitize."""
    return honest("nvme_sanitize_crypto")


@pytest.fixture(scope="session")
def block(honest: Callable[..., Judged]) -> Judged:
    """An honest block erase, whose markers read zero."""
    return honest("nvme_sanitize_block")


@pytest.fixture(scope="session")
def format_crypto(honest: Callable[..., Judged]) -> Judged:
    return honest("nvme_format_crypto")


@pytest.fixture(scope="session")
def overwritten(honest: Callable[..., Judged]) -> Judged:
    """A virtio disk under a keystream, read back in full."""
    return honest("overwrite_keystream", is_plain=True)
