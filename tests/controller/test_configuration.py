"""expunge.toml: what is wrong is named with its place, and nothing unknown is passed over."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from certificate.errors import Code as CertificateCode
from certificate.errors import Refused
from certificate.statements.vocabulary import BootTrust
from controller.configuration import (
    MAX_CONFIGURATION_BYTES,
    configuration_at,
    parse_configuration,
    read_configuration,
)
from controller.configuration_template import configuration_template
from controller.errors import Code
from controller.home import Home

SMALLEST = b"""
[provider]
domain = "demo.example"
[lifecycle]
grace_floor = "PT1S"
dwell_floor = "PT1S"
grace = "PT6S"
dwell = "PT1S"
[source]
kind = "sql_view"
url = "sqlite:////billing.db"
[quarantine]
isolate = ["/bin/cut", "{host}"]
read_back = ["/bin/look", "{host}"]
restore = ["/bin/undo", "{host}"]
[boot]
command = ["/bin/boot", "{config}", "{secret}"]
stop = ["/bin/off"]
trust = "virtual_media"
"""


def reason_of(content: bytes) -> str:
    with pytest.raises(Refused) as refused:
        parse_configuration(content)
    assert refused.value.code is Code.CONFIGURATION_INVALID
    return refused.value.reason


def test_the_template_of_init_is_a_configuration() -> None:
    configuration = parse_configuration(configuration_template(domain="example.net"))
    assert configuration.provider.domain == "example.net"
    assert configuration.lifecycle.grace == timedelta(days=7)


def test_the_smallest_file_has_the_templates_limits() -> None:
    smallest = parse_configuration(SMALLEST)
    assert smallest.lifecycle.dwell == timedelta(seconds=1)
    assert smallest.boot.trust is BootTrust.VIRTUAL_MEDIA
    assert smallest.limits == parse_configuration(configuration_template(domain="example.net")).limits


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        (b'"PT6S"', b'"6 seconds"', "lifecycle.grace: '6 seconds' is not a duration"),
        (b'"PT6S"', b"6", "lifecycle.grace: a duration is text"),
        (b"grace =", b"grase =", "lifecycle.grase is not a name of this format"),
        (b"grace =", b"grase =", "lifecycle.grace is missing"),
        (b"demo.example", b"Demo Example", "provider.domain"),
        (b"virtual_media", b"hope", "boot.trust"),
        (b'["/bin/off"]', b"[]", "boot.stop"),
        (b'["/bin/off"]', b'"/bin/off"', "boot.stop"),
        (b'["/bin/off"]', b'["/bin/off", 1]', "boot.stop.1"),
        (b"sql_view", b"csv", "source.kind"),
        (b"[boot]", b"[boots]", "boots is not a name of this format"),
        (b"[provider]", b"schema = 2\n[provider]", "schema"),
        (b'"PT1S"', b"1979-05-27", "1979-05-27 is a date"),
        (b"[provider]", b"[provider", "at line 2"),
        (b"[provider]", b"\xff", "not UTF-8 at byte"),
        (b"[boot]", b"[limits]\nper_hour = 0\n[boot]", "limits.per_hour"),
        (b"[boot]", b"[limits]\nper_hour = true\n[boot]", "limits.per_hour"),
        (b"[boot]", b"[limits]\nfleet_percent_per_day = 101\n[boot]", "limits.fleet_percent_per_day"),
        (b"[boot]", b"[breaker]\nendings_factor = 1\n[boot]", "breaker.endings_factor"),
        (b"[boot]", b'[breaker]\nheartbeat_missing_for = "PT1S"\n[boot]', "breaker.heartbeat_missing_for"),
        (b'grace = "PT6S"', b'grace = "PT0S"', "lifecycle.grace: 0:00:00 is below lifecycle.grace_floor"),
        (b'dwell = "PT1S"', b'dwell = "PT0S"', "lifecycle.dwell: 0:00:00 is below lifecycle.dwell_floor"),
        (b'grace_floor = "PT1S"\n', b"", "lifecycle.grace: 0:00:06 is below lifecycle.grace_floor, 1 day"),
        (b'dwell_floor = "PT1S"\n', b"", "lifecycle.dwell: 0:00:01 is below lifecycle.dwell_floor, 4:00:00"),
        (b"[boot]", b"[notice]\n[boot]", "notice: name a command, or the reason of a waiver"),
        (b"[boot]", b'[notice]\ncommand = ["a"]\nwaiver = "b"\n[boot]', "and not both"),
        (b"[boot]", b'[notice]\nwaiver = ""\n[boot]', "notice.waiver"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(old: bytes, new: bytes, place: str) -> None:
    assert old in SMALLEST
    assert place in reason_of(SMALLEST.replace(old, new, 1))


def test_every_wrong_place_is_named_at_once() -> None:
    reason = reason_of(SMALLEST.replace(b'"PT6S"', b'"soon"').replace(b"virtual_media", b"hope"))
    assert "lifecycle.grace" in reason
    assert "boot.trust" in reason


def test_the_policy_digest_changes_with_the_policy_and_with_nothing_else() -> None:
    before = parse_configuration(SMALLEST).policy_digest
    other_grace = parse_configuration(SMALLEST.replace(b"PT6S", b"PT7S"))
    other_limit = parse_configuration(SMALLEST + b"[limits]\nper_hour = 5\n")
    other_floor = parse_configuration(SMALLEST.replace(b'floor = "PT1S"', b'floor = "PT0S"', 1))
    other_breaker = parse_configuration(SMALLEST + b"[breaker]\nusual_at_least = 6\n")
    waived = parse_configuration(SMALLEST + b'[notice]\nwaiver = "nobody to tell"\n')
    told = parse_configuration(SMALLEST + b'[notice]\ncommand = ["/bin/tell"]\n')
    other_port = parse_configuration(SMALLEST.replace(b"/bin/off", b"/bin/poweroff"))
    others = (other_grace, other_limit, other_floor, other_breaker, waived)
    assert len({before, *(other.policy_digest for other in others)}) == 1 + len(others)
    assert other_port.policy_digest == told.policy_digest == before


def test_the_same_policy_in_other_words_has_the_same_digest() -> None:
    spelled = SMALLEST.replace(b'"PT6S"', b'"PT0M6S"') + b"[limits]\nper_hour = 4\n"
    assert parse_configuration(spelled).policy_digest == parse_configuration(SMALLEST).policy_digest


def test_paths_are_relative_to_the_home(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert parse_configuration(SMALLEST).anchor_path(home) == home.anchor
    elsewhere = SMALLEST + b'[anchor]\npath = "/mnt/other/anchor.json"\n'
    assert parse_configuration(elsewhere).anchor_path(home) == Path("/mnt/other/anchor.json")
    webhook = SMALLEST + b'[webhook]\nlisten = "127.0.0.1:8443"\nsecret_file = "hook.secret"\n'
    assert parse_configuration(webhook).webhook_secret_path(home) == tmp_path / "hook.secret"
    assert parse_configuration(SMALLEST).webhook_secret_path(home) is None


def test_a_missing_file_and_an_endless_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        configuration_at(Home(tmp_path))
    assert refused.value.code is CertificateCode.FILE_UNREADABLE
    path = tmp_path / "expunge.toml"
    path.write_bytes(b"#" * (MAX_CONFIGURATION_BYTES + 1))
    with pytest.raises(Refused) as refused:
        read_configuration(path)
    assert refused.value.code is Code.CONFIGURATION_INVALID


def test_how_long_a_newcomer_waits_is_policy() -> None:
    """72 hours unless the provider says otherwise; a changed wait voids approvals like any other policy."""
    usual = parse_configuration(SMALLEST)
    shorter = parse_configuration(SMALLEST + b'[people]\napprover_inert = "PT1H"\n')
    assert usual.people.approver_inert == timedelta(hours=72)
    assert shorter.people.approver_inert == timedelta(hours=1)
    assert usual.policy_digest != shorter.policy_digest
