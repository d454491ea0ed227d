"""Which namespaces a command was seen to reach: each fact that is missing leaves nothing covered."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent import coverage
from certificate.messages import CapabilityReport, NamespaceReport
from certificate.statements import Seen
from certificate.statements.evidence import Command, Overwrite

SIZE = 1 << 20
NOTHING = {"FNA": "00"}


def namespace(nsid: int = 1, *, is_attached: bool = True) -> NamespaceReport:
    return NamespaceReport(nsid=nsid, capacity_bytes=SIZE, logical_block_bytes=512, is_attached=is_attached)


def command(technique: str, **changes: Any) -> Command:
    fields: dict[str, Any] = {
        "technique": technique,
        "submission": "not_applicable",
        "completion_status": "not_applicable",
        "was_accepted": "yes",
        "start_acknowledged": "yes",
        "status_log_before": "not_applicable",
        "status_log_after": "not_applicable",
        "seen_in_progress": "no",
        "started_at": "not_observed",
        "finished_at": "not_observed",
        "timed_out": "no",
        "overwrite": "not_applicable",
    }
    return Command.model_validate(
        {key: Seen(value) if value in ("yes", "no") else value for key, value in (fields | changes).items()},
        strict=False,
    )


def format_command(nsid: int, **changes: Any) -> Command:
    submission = bytes([0x80, 0, 0, 0]) + nsid.to_bytes(4, "little") + bytes(56)
    told = {"submission": submission.hex(), "completion_status": "0000"} | changes
    return command("nvme_format_crypto", **told)


def sanitize_command(**changes: Any) -> Command:
    submission = bytearray(64)
    submission[0], submission[40] = 0x84, 0x04
    log = bytearray(64)
    log[2], log[4] = 0x01, 0x04
    told = {"submission": submission.hex(), "completion_status": "0000", "status_log_after": log.hex()}
    return command("nvme_sanitize_crypto", **(told | changes))


def overwrite_command(written: int | str, failed: int | str = 0, **changes: Any) -> Command:
    done = {"pattern": "zero", "bytes_written": written, "bytes_failed": failed, "was_flushed": "yes"}
    return command("overwrite_zero", overwrite=Overwrite.model_validate(done, strict=False), **changes)


def covered(*commands: Command, nsid: int = 1, words: dict[str, str] = NOTHING, **where: Any) -> Seen:
    return coverage.is_covered(namespace(nsid, **where), commands, words, capacity_bytes=SIZE)


def test_without_a_command_nothing_is() -> None:
    assert covered() is Seen.NOT_OBSERVED


def test_a_sanitize_that_ended_well_reaches_every_namespace_attached_or_not() -> None:
    assert covered(sanitize_command(), nsid=7, is_attached=False) is Seen.YES


def test_a_format_reaches_the_namespace_it_names() -> None:
    both = (format_command(1), format_command(2))
    assert [covered(*both, nsid=nsid) for nsid in (1, 2, 3)] == [Seen.YES, Seen.YES, Seen.NOT_OBSERVED]


@pytest.mark.parametrize("words", [{"FNA": "02"}, {"FNA": "07"}])
def test_a_secure_erase_of_all_is_known_by_the_drives_own_word(words: dict[str, str]) -> None:
    assert covered(format_command(1), nsid=2, words=words) is Seen.YES


def test_a_format_of_all_namespaces_reaches_each_that_is_attached() -> None:
    everything = format_command(0xFFFFFFFF)
    assert covered(everything, nsid=2) is Seen.YES
    assert covered(everything, nsid=2, is_attached=False) is Seen.NOT_OBSERVED


@pytest.mark.parametrize(
    "changes",
    [
        {"was_accepted": "no"},
        {"was_accepted": "not_observed"},
        {"completion_status": "0006"},
        {"completion_status": "not_observed"},
        {"submission": "not_observed"},
        {"submission": "80" + "00" * 3 + "01" + "00" * 3},
        {"submission": "84" + "00" * 3 + "01" + "00" * 59},
        {"timed_out": "yes"},
        {"timed_out": "not_observed"},
    ],
)
def test_a_format_that_was_not_seen_to_end_well_reaches_nothing(changes: dict[str, str]) -> None:
    assert covered(format_command(1)) is Seen.YES
    assert covered(format_command(1, **changes)) is Seen.NOT_OBSERVED


@pytest.mark.parametrize("words", [{}, {"FNA": "not_observed"}])
def test_a_word_that_nobody_read_widens_no_format(words: dict[str, str]) -> None:
    assert covered(format_command(1), nsid=2, words=words) is Seen.NOT_OBSERVED


def test_a_pass_over_every_byte_reaches_what_is_attached() -> None:
    assert covered(overwrite_command(SIZE)) is Seen.YES
    assert covered(overwrite_command(SIZE), is_attached=False) is Seen.NOT_OBSERVED


@pytest.mark.parametrize(
    ("written", "failed"),
    [(SIZE - 512, 0), (SIZE - 512, 512), (SIZE, 512), ("not_observed", 0), (SIZE, "not_observed"), (0, 0)],
)
def test_a_pass_that_missed_a_byte_covers_nothing(written: int | str, failed: int | str) -> None:
    assert covered(overwrite_command(written, failed)) is Seen.NOT_OBSERVED


def test_a_pass_of_another_process_covers_nothing() -> None:
    assert covered(command("overwrite_zero")) is Seen.NOT_OBSERVED


def test_only_the_last_technique_counts() -> None:
    """The one before failed, or it would not have followed."""
    assert covered(sanitize_command(), format_command(2), nsid=1) is Seen.NOT_OBSERVED
    assert covered(format_command(1), overwrite_command(0), nsid=1) is Seen.NOT_OBSERVED


# --- what nothing reaches -----------------------------------------------------------------------------------


def unaddressed(report: Any, *commands: Command) -> tuple[str, ...]:
    return tuple(coverage.unaddressed(report, commands))


def nvme(make_lab: Any, **words: str) -> Any:
    report = make_lab("SN-1").inventory().drives[0]
    kept = tuple(word for word in report.capabilities if word.field not in words)
    told = tuple(CapabilityReport(field=field, raw=raw) for field, raw in words.items() if raw)
    return replace(report, capabilities=kept + told)


def test_replay_protected_memory_is_named_where_there_is_some_or_nobody_said(make_lab: Any) -> None:
    assert unaddressed(nvme(make_lab, RPMBS="00000000"), sanitize_command()) == ()
    assert unaddressed(nvme(make_lab, RPMBS="03000000")) == ("replay protected memory block",)
    assert unaddressed(nvme(make_lab, RPMBS="")) == ("replay protected memory block (not_observed)",)
    assert unaddressed(None) == ("replay protected memory block (not_observed)",)


def test_an_overwritten_nvme_drive_names_its_spare_blocks(make_lab: Any) -> None:
    report = nvme(make_lab, RPMBS="00000000")
    assert unaddressed(report, overwrite_command(SIZE)) == ("spare and retired blocks",)


def test_a_plain_medium_names_what_lies_beneath_it_even_when_nothing_was_written(plain_lab: Any) -> None:
    plain_lab.add_plain("PL-1")
    report = plain_lab.inventory().drives[0]
    named = ("spare and retired blocks", "storage beneath this medium, and its copies")
    assert unaddressed(report) == unaddressed(report, overwrite_command(SIZE)) == named
