"""What holds for every test: where `EXPUNGE_SKIPS=strict` is set, an unlisted skip fails the run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

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
