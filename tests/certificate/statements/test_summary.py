"""The summary: no place that may hold data is left out, and no host without media."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from certificate.statements.vocabulary import ResidueName

Make = Callable[..., Any]
RESIDUE = [{"name": name.value, "state": "cleared"} for name in ResidueName]


def test_a_summary_names_every_place(make_summary: Make) -> None:
    assert {entry.name for entry in make_summary(residue=RESIDUE).residue} == set(ResidueName)


@pytest.mark.parametrize("missing", list(ResidueName))
def test_a_summary_that_leaves_a_place_out_is_refused(missing: ResidueName, make_summary: Make) -> None:
    fewer = [entry for entry in RESIDUE if entry["name"] != missing.value]
    with pytest.raises(ValidationError, match="exactly once"):
        make_summary(residue=fewer)


def test_a_place_is_named_once(make_summary: Make) -> None:
    with pytest.raises(ValidationError, match="exactly once"):
        make_summary(residue=[*RESIDUE, RESIDUE[0]])
    with pytest.raises(ValidationError, match="exactly once"):
        make_summary(residue=[*RESIDUE[:-1], RESIDUE[0]])


def test_a_place_nobody_looked_at_is_said_to_be_not_covered(make_summary: Make) -> None:
    with pytest.raises(ValidationError):
        make_summary(residue=[{**entry, "state": "unknown"} for entry in RESIDUE])


def test_a_host_without_media_has_no_summary(make_summary: Make) -> None:
    with pytest.raises(ValidationError):
        make_summary(media=[])
