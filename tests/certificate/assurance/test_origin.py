"""Whose evidence it is, of which host and boot, and whether all of it is there."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from certificate.reasons import Reason
from tests.techniques import HONEST, INCONCLUSIVE, Judged, as_json

MARKER_PROVEN = HONEST["nvme_sanitize_crypto"]


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("order", "ord_" + "00" * 16, Reason.ANOTHER_ORDER),
        ("token", "00" * 16, Reason.ANOTHER_ORDER),
        ("hello_nonce", "00" * 16, Reason.ANOTHER_ORDER),
        ("boot_config_digest", "00" * 32, Reason.ANOTHER_ORDER),
        ("boot_id", "00" * 32, Reason.ANOTHER_BOOT),
        ("agent_key", "00" * 32, Reason.ANOTHER_BOOT),
        ("observer", "beside", Reason.ANOTHER_BOOT),
        ("purpose", "demonstration", Reason.ANOTHER_PURPOSE),
        ("boot_secret_held", "no", Reason.BOOT_SECRET_NOT_HELD),
        ("boot_secret_held", "not_observed", Reason.BOOT_SECRET_NOT_HELD),
        ("clock.accepted_at_ms", 61_000 + 600_000, Reason.ORDER_OUTLIVED),
        ("clock.accepted_at_ms", 60_999, Reason.ORDER_OUTLIVED),
        ("clock.finished_at_ms", 62_999, Reason.ORDER_OUTLIVED),
        ("unexpected_media_count", 1, Reason.UNEXPECTED_MEDIA),
        ("unexpected_media_count", "not_observed", Reason.UNEXPECTED_MEDIA),
        ("host_facts.0.agrees", "no", Reason.HOST_NOT_IDENTIFIED),
        ("host_facts.0.agrees", "not_observed", Reason.HOST_NOT_IDENTIFIED),
        ("host_facts.0.kind", "ecid", Reason.HOST_NOT_IDENTIFIED),
    ],
)
def test_evidence_of_something_else_is_inconclusive(
    case: Judged, path: str, value: Any, reason: Reason
) -> None:
    other = case.seen(path, value)
    assert other.said == INCONCLUSIVE
    assert reason.value in other.reasons


def test_an_order_accepted_a_millisecond_before_its_end_is_alive(case: Judged) -> None:
    late = case.seen("clock.finished_at_ms", 61_000 + 700_000)
    assert late.seen("clock.accepted_at_ms", 61_000 + 599_999).said == MARKER_PROVEN


def test_the_agents_key_is_hashed_and_not_believed(case: Judged) -> None:
    key = bytes(31) + b"\x01"
    other = case.seen("agent_key", key.hex())
    assert "ANOTHER_BOOT" in other.reasons
    assert "ANOTHER_BOOT" in other.seen("boot_id", hashlib.sha256(key).hexdigest()).reasons


def test_the_same_kind_of_host_fact_three_times_is_one_fact(case: Judged) -> None:
    facts = as_json(case.order)["host"]["facts"]
    repeated = case.ordered("host.facts", [facts[0]] * 3).seen(
        "host_facts", [{"kind": facts[0]["kind"], "agrees": "yes"}] * 3
    )
    assert "HOST_NOT_IDENTIFIED" in repeated.reasons


def test_a_medium_listed_twice_is_inconclusive(case: Judged) -> None:
    twice = case.seen("media", lambda media: media * 2)
    assert (twice.said, twice.reasons) == (INCONCLUSIVE, ("MEDIUM_REPEATED",))


def test_a_place_the_order_names_and_the_evidence_does_not_is_inconclusive(case: Judged) -> None:
    assert case.seen("residue", lambda residue: residue[1:]).reasons == ("EVIDENCE_INCOMPLETE",)


def test_an_entry_that_no_order_names_is_storage_that_no_order_names(case: Judged) -> None:
    extra = case.seen("media", case.with_second_drive().evidence.model_dump(mode="json")["media"])
    assert (extra.said, extra.reasons) == (INCONCLUSIVE, ("UNEXPECTED_MEDIA",))


def test_a_dead_drive_with_its_entry_spoils_no_other(case: Judged) -> None:
    assert case.with_second_drive().seen("media.1.was_present", "no").said == MARKER_PROVEN


def test_a_drive_without_its_entry_spoils_all(case: Judged) -> None:
    missing = case.with_second_drive().seen("media", lambda media: media[:1])
    assert (missing.said, missing.reasons) == (INCONCLUSIVE, ("EVIDENCE_INCOMPLETE",))


@pytest.mark.parametrize(
    ("boot_trust", "observer", "floor", "expected", "reasons"),
    [
        ("virtual_media", "on_host", "purge", MARKER_PROVEN, ()),
        ("network", "on_host", "clear", ("erased", "clear", "marker-proven"), ("BOOT_NETWORK",)),
        ("network", "on_host", "purge", INCONCLUSIVE, ("BOOT_NETWORK", "BELOW_FLOOR")),
        ("tenant_os", "on_host", "clear", INCONCLUSIVE, ("BOOT_TENANT_OS",)),
        ("tenant_os", "beside", "clear", INCONCLUSIVE, ("BOOT_TENANT_OS",)),
        ("installed", "on_host", "purge", INCONCLUSIVE, ("BOOT_TENANT_OS",)),
        ("installed", "beside", "purge", MARKER_PROVEN, ()),
    ],
)
def test_how_the_machine_came_up_caps_the_claim(
    case: Judged,
    boot_trust: str,
    observer: str,
    floor: str,
    expected: tuple[str, str, str],
    reasons: tuple[str, ...],
) -> None:
    booted = case.ordered("boot_trust", boot_trust).ordered("observer", observer)
    booted = booted.ordered("plan.floor", floor).seen("observer", observer)
    assert (booted.said, booted.reasons) == (expected, reasons)


def test_an_installed_system_counts_on_a_host_that_was_never_let(case: Judged) -> None:
    own = (
        case.ordered("boot_trust", "installed")
        .ordered("basis.disposition", "stock")
        .ordered("plan.tenancy_ref", "not_applicable")
        .ordered("basis.tenancies.count", 0)
    )
    assert own.said == MARKER_PROVEN
    for path, value in (
        ("basis.tenancies.count", 1),
        ("basis.tenancies.is_complete", "not_observed"),
        ("basis.disposition", "rented"),
        ("plan.tenancy_ref", "00" * 32),
    ):
        assert own.ordered(path, value).said == INCONCLUSIVE, path
