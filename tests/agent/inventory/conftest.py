"""A drive's report with everything as on a drive of which nothing is known, for tests that need one word."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from certificate.messages import DriveReport


@pytest.fixture
def report_of() -> Callable[..., DriveReport]:
    nothing = DriveReport(
        transport="nvme",
        attachment="internal",
        device_class="emulated",
        manufacturer="not_observed",
        model="M",
        firmware="not_observed",
        serial="S",
        capacity_bytes=0,
        unallocated_capacity_bytes=0,
        is_write_protected=False,
        namespaces=(),
        capabilities=(),
        layers=(),
        stack=(),
        status_log="not_observed",
        refused=None,
    )

    def report_of(**given: object) -> DriveReport:
        return replace(nothing, **given)  # type: ignore[arg-type]

    return report_of
