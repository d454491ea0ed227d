"""Which commands there are, in which order, and what every one of them needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from certificate.reasons import Reason
from tests.techniques import (
    FORMATS,
    HONEST,
    INCONCLUSIVE,
    NOT_ERASED,
    OVERWRITES,
    SANITIZES,
    TECHNIQUES,
    Judged,
    sanitize_dword10,
    status_log,
)

Honest = Callable[..., Judged]
DEVICES = [*SANITIZES, *FORMATS]
FAILED = status_log(sanitize_dword10(4), state=3)


@pytest.mark.parametrize("technique", TECHNIQUES)
@pytest.mark.parametrize(
    ("field", "value", "expected", "reason"),
    [
        ("was_accepted", "no", NOT_ERASED, Reason.COMMAND_REFUSED),
        ("was_accepted", "not_observed", INCONCLUSIVE, Reason.COMPLETION_NOT_SEEN),
        ("start_acknowledged", "no", INCONCLUSIVE, Reason.START_NOT_ACKNOWLEDGED),
        ("start_acknowledged", "not_observed", INCONCLUSIVE, Reason.START_NOT_ACKNOWLEDGED),
        ("timed_out", "yes", INCONCLUSIVE, Reason.TIMED_OUT),
        ("timed_out", "not_observed", INCONCLUSIVE, Reason.TIMED_OUT),
    ],
)
def test_every_command_was_acknowledged_accepted_and_in_time(
    honest: Honest, technique: str, field: str, value: str, expected: tuple[str, str, str], reason: Reason
) -> None:
    case = honest(technique, namespaces=2)
    for index in range(len(case.evidence.media[0].commands)):
        less = case.told(f"commands.{index}.{field}", value)
        assert less.said == expected
        assert reason.value in less.reasons


@pytest.mark.parametrize("technique", DEVICES)
@pytest.mark.parametrize(
    ("value", "expected", "reason"),
    [
        ("001d", NOT_ERASED, Reason.COMMAND_REFUSED),
        ("not_observed", INCONCLUSIVE, Reason.COMPLETION_NOT_SEEN),
        ("not_applicable", INCONCLUSIVE, Reason.COMPLETION_NOT_SEEN),
        ("00", INCONCLUSIVE, Reason.COMPLETION_NOT_SEEN),
        ("000000", INCONCLUSIVE, Reason.COMPLETION_NOT_SEEN),
    ],
)
def test_a_devices_completion_is_read_again(
    honest: Honest, technique: str, value: str, expected: tuple[str, str, str], reason: Reason
) -> None:
    less = honest(technique).told("commands.0.completion_status", value)
    assert less.said == expected
    assert reason.value in less.reasons


def test_no_command_on_record_is_inconclusive(case: Judged) -> None:
    bare = case.told("commands", [])
    assert (bare.said, bare.claim().technique) == (INCONCLUSIVE, "not_applicable")
    assert bare.reasons == ("NO_COMMAND",)


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_a_technique_outside_the_plan_is_inconclusive(honest: Honest, technique: str) -> None:
    other = "nvme_format_crypto" if technique == "nvme_sanitize_block" else "nvme_sanitize_block"
    less = honest(technique).planned("techniques", [other])
    assert (less.said, "COMMAND_NOT_PLANNED" in less.reasons) == (INCONCLUSIVE, True)


@pytest.mark.parametrize(
    ("refused", "technique"),
    [
        (("nvme_sanitize_crypto",), "nvme_sanitize_block"),
        (("nvme_sanitize_crypto", "nvme_sanitize_block"), "nvme_sanitize_overwrite"),
        (("nvme_sanitize_crypto",), "nvme_format_crypto"),
        (("nvme_format_crypto",), "nvme_format_user_data"),
        (("nvme_format_crypto", "nvme_format_user_data"), "overwrite_keystream"),
    ],
)
@pytest.mark.parametrize("namespaces", [1, 2])
def test_the_next_technique_counts_after_the_drive_refused_the_one_before(
    honest: Honest, refused: tuple[str, ...], technique: str, namespaces: int
) -> None:
    case = honest(technique, refused=refused, namespaces=namespaces)
    assert case.said == HONEST[technique]
    # Without the refusal on record, or with another answer than a refusal, nobody knows why it was tried.
    assert "COMMAND_NOT_PLANNED" in case.told("commands", lambda commands: commands[1:]).reasons or (
        namespaces == 2 and refused[0] in FORMATS
    )
    accepted = case.told("commands", lambda commands: [_accepted(each) for each in commands])
    assert "COMMAND_NOT_PLANNED" in accepted.reasons
    assert accepted.said == INCONCLUSIVE


def _accepted(command: dict[str, Any]) -> dict[str, Any]:
    if command["completion_status"] == "not_applicable":
        return command
    return command | {"completion_status": "0000", "was_accepted": "yes"}


def test_the_second_technique_counts_after_the_first_failed(honest: Honest) -> None:
    case = honest("nvme_sanitize_block", refused=("nvme_sanitize_crypto",))
    begun = case.told("commands.0.completion_status", "0000").told("commands.0.was_accepted", "yes")
    assert "COMMAND_NOT_PLANNED" in begun.reasons
    assert begun.told("commands.0.status_log_after", FAILED).said == HONEST["nvme_sanitize_block"]
    for log in ("not_observed", status_log(sanitize_dword10(4))):
        assert begun.told("commands.0.status_log_after", log).said == INCONCLUSIVE


def test_one_refused_format_of_several_is_a_refusal_of_all(honest: Honest) -> None:
    case = honest("nvme_format_user_data", refused=("nvme_format_crypto",), namespaces=2)
    one = case.told("commands.0.completion_status", "0000").told("commands.0.was_accepted", "yes")
    assert one.said == HONEST["nvme_format_user_data"]
    last = honest("nvme_format_crypto", namespaces=2).told("commands.0.completion_status", "0002")
    assert last.said == NOT_ERASED


@pytest.mark.parametrize(("field", "value"), [("timed_out", "yes"), ("completion_status", "not_observed")])
def test_nothing_follows_a_format_that_may_still_run(honest: Honest, field: str, value: str) -> None:
    """One namespace's Format was refused, another's never answered."""
    case = honest("nvme_format_user_data", refused=("nvme_format_crypto",), namespaces=2)
    begun = case.told("commands.0.completion_status", "0000").told("commands.0.was_accepted", "yes")
    less = begun.told(f"commands.0.{field}", value)
    assert (less.said, less.reasons[0]) == (INCONCLUSIVE, "COMMAND_NOT_PLANNED")


@pytest.mark.parametrize("technique", OVERWRITES)
def test_nothing_follows_a_hosts_overwrite(honest: Honest, technique: str) -> None:
    """No drive says that what the host wrote failed."""
    case = honest("nvme_sanitize_block", refused=(technique,))
    assert case.said == INCONCLUSIVE
    assert "COMMAND_NOT_PLANNED" in case.reasons


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_one_command_twice_is_one_too_many(honest: Honest, technique: str) -> None:
    less = honest(technique).told("commands", lambda commands: commands * 2)
    assert less.said == INCONCLUSIVE
    assert "COMMAND_REPEATED" in less.reasons


def test_a_layer_is_no_command(case: Judged) -> None:
    less = case.told("commands.0.technique", "luks").planned("techniques", ["luks"])
    assert less.said == INCONCLUSIVE
    assert {"COMMAND_NOT_PLANNED", "LAYER_ALONE"} <= set(less.reasons)
    after = case.told("commands", lambda commands: [commands[0] | {"technique": "luks"}, *commands])
    assert "COMMAND_NOT_PLANNED" in after.planned("techniques", ["luks", "nvme_sanitize_crypto"]).reasons


def test_the_codes_of_the_first_techniques_failure_do_not_spoil_the_second(honest: Honest) -> None:
    case = honest("nvme_sanitize_block", refused=("nvme_sanitize_crypto",))
    told = case.told("errors", ["DEVICE_STATUS"])
    assert told.said == HONEST["nvme_sanitize_block"]
    assert "ERRORS_SEEN" in case.told("errors", ["DEVICE_STATUS", "SANITIZE_FAILED"]).reasons
    both_failed = told.told("errors", ["DEVICE_STATUS", "SANITIZE_FAILED"])
    assert both_failed.told("commands.0.status_log_after", FAILED).said == HONEST["nvme_sanitize_block"]
    assert "ERRORS_SEEN" in told.told("errors", ["DEVICE_STATUS", "READ_FAILED"]).reasons
    assert "ERRORS_SEEN" in honest("nvme_sanitize_block").told("errors", ["DEVICE_STATUS"]).reasons
    both = honest("nvme_format_crypto", namespaces=2).told("errors", ["DEVICE_STATUS"])
    assert both.reasons == ("ERRORS_SEEN",)


def test_a_code_that_only_the_judged_attempt_can_have_left_is_not_explained(honest: Honest) -> None:
    """The first sanitize was accepted and failed: no completion of it says what DEVICE_STATUS would."""
    case = honest("nvme_sanitize_block", refused=("nvme_sanitize_crypto",))
    begun = case.told("commands.0.completion_status", "0000").told("commands.0.was_accepted", "yes")
    failed = begun.told("commands.0.status_log_after", FAILED)
    assert failed.told("errors", ["SANITIZE_FAILED"]).said == HONEST["nvme_sanitize_block"]
    for code in ("DEVICE_STATUS", "DEVICE_UNANSWERED", "COMMAND_TIMED_OUT"):
        less = failed.told("errors", ["SANITIZE_FAILED", code])
        assert (less.said, "ERRORS_SEEN" in less.reasons) == (INCONCLUSIVE, True)
    silent = case.told("commands.0.completion_status", "not_observed").told("errors", ["DEVICE_STATUS"])
    assert "ERRORS_SEEN" in silent.reasons


@pytest.mark.parametrize("technique", DEVICES)
def test_a_device_command_has_no_record_of_a_hosts_pass(honest: Honest, technique: str) -> None:
    done = {"pattern": "zero", "bytes_written": 1, "bytes_failed": 0, "was_flushed": "yes"}
    less = honest(technique).told("commands.0.overwrite", done)
    assert (less.said, "RECORD_DOES_NOT_FIT" in less.reasons) == (INCONCLUSIVE, True)
