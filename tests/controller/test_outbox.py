"""The outbox over a real store: opened for whoever scheduled it, tried with pauses, recorded once."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from certificate.identifiers import DeprovisionId
from certificate.statements.vocabulary import Trigger
from controller import outbox
from controller.command_template import CommandTemplate
from controller.configuration import NoticeSettings
from controller.notices import are_settled
from controller.store import deprovisions, hosts, notices, private, tenancies
from controller.store.notices import NoticeKind, Settled

DAY = timedelta(days=1)


def scheduled(world: Any, *, grace: timedelta = timedelta(0), is_let: bool = True) -> DeprovisionId:
    """Scheduled by whoever it was: nothing was opened with it."""
    from controller import intake

    intake.learn(world.program)
    now = world.now()
    with world.program.store.transaction() as tx:
        (host,) = hosts.all_hosts(tx)
        (tenancy,) = tenancies.of_host(tx, host.id)
        return deprovisions.schedule(
            tx,
            id=DeprovisionId.from_random(secrets.token_bytes(16)),
            host_id=host.id,
            tenancy_id=tenancy.id if is_let else None,
            trigger=Trigger.ENDED if is_let else Trigger.MANUAL,
            data_class=host.data_class,
            policy_version=1,
            policy_digest="a" * 64,
            grace_until=now + grace,
            dwell_seconds=0,
            now=now,
        ).id


def telling(world: Any, *command: str) -> None:
    program = world.program
    told = program.configuration.model_copy(update={"notice": NoticeSettings(command=command)})
    template = CommandTemplate(arguments=command, timeout_seconds=10)
    world._program = replace(program, configuration=told, notice=template)


def opened(world: Any, key: DeprovisionId) -> dict[NoticeKind, notices.Notice]:
    with world.program.store.snapshot() as tx:
        return {each.kind: each for each in notices.of_deprovision(tx, key)}


def test_a_delivery_is_recorded_by_digest_and_its_text_is_private(world: Any) -> None:
    telling(world, "echo", "{kind} {to} {host} {deprovision}")
    key = scheduled(world)
    outbox.work(world.program)
    record = f"ending_announced customer host-1 {key}\n"
    first = opened(world, key)[NoticeKind.ENDING_ANNOUNCED]
    assert first.settled is Settled.DELIVERED
    assert first.record_digest == hashlib.sha256(record.encode()).hexdigest()
    with world.program.store.snapshot() as tx:
        (tenancy,) = tenancies.of_host(tx, world.deprovision.host)
        kept = private.read(
            tx,
            subject_ref=tenancy.tenancy_ref,
            kind=f"notice-{first.number}",
            master_key=world.keys.private_text_key,
        )
    assert kept == record


def test_the_second_notice_waits_for_its_own_time(world: Any) -> None:
    telling(world, "echo", "told")
    key = scheduled(world, grace=4 * DAY)
    outbox.work(world.program)
    assert not opened(world, key)[NoticeKind.ENDING_ANNOUNCED].is_open
    assert opened(world, key)[NoticeKind.WIPE_IMMINENT].attempts == 0
    world._skip_to(world.now() + 3 * DAY)
    outbox.work(world.program)
    assert are_settled(opened(world, key).values(), has_tenancy=True)


def test_a_failed_try_is_repeated_after_its_pause_and_not_before(world: Any, tmp_path: Path) -> None:
    mark = tmp_path / "works"
    telling(world, "test", "-e", str(mark))
    key = scheduled(world)
    for _ in range(3):
        outbox.work(world.program)
    failed = opened(world, key)[NoticeKind.ENDING_ANNOUNCED]
    assert (failed.attempts, failed.last_code, failed.is_open) == (1, "COMMAND_FAILED", True)
    mark.touch()
    outbox.work(world.program)
    assert opened(world, key)[NoticeKind.ENDING_ANNOUNCED].attempts == 1
    world._skip_to(world.now() + timedelta(seconds=31))
    outbox.work(world.program)
    assert opened(world, key)[NoticeKind.ENDING_ANNOUNCED].settled is Settled.DELIVERED


def test_a_crash_between_sending_and_recording_sends_again(
    world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At-least-once, and said so."""
    sent = tmp_path / "sent"
    telling(world, "sh", "-c", f"echo $0 >> {sent}", "{kind}")
    key = scheduled(world)

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(outbox, "_record", crash)
        with pytest.raises(KeyboardInterrupt):
            outbox.work(world.program)
    assert opened(world, key)[NoticeKind.ENDING_ANNOUNCED].is_open
    world._skip_to(world.now() + timedelta(seconds=31))
    outbox.work(world.program)
    assert sent.read_text().split().count("ending_announced") == 2
    assert are_settled(opened(world, key).values(), has_tenancy=True)


def test_a_waiver_by_policy_is_recorded_with_each_deprovision(world: Any) -> None:
    key = scheduled(world, grace=4 * DAY)
    outbox.work(world.program)
    found = opened(world, key)
    policy = world.program.configuration.policy_digest
    assert {each.settled for each in found.values()} == {Settled.WAIVED}
    assert {each.record_digest for each in found.values()} == {policy}


def test_a_host_that_was_never_let_has_nobody_to_tell_and_that_is_recorded(world: Any) -> None:
    telling(world, "false")
    key = scheduled(world, is_let=False)
    outbox.work(world.program)
    (only,) = opened(world, key).values()
    assert (only.settled, only.records, only.attempts) == (Settled.NOBODY, (), 0)
    assert are_settled((only,), has_tenancy=False)
    assert not are_settled((only,), has_tenancy=True)


def test_a_settled_notice_wakes_its_deprovision(world: Any) -> None:
    key = scheduled(world)
    with world.program.store.transaction() as tx:
        fence = deprovisions.claim(tx, key, owner="t", now=world.now(), lease=DAY).fence
        later = world.now() + DAY
        state = deprovisions.load(tx, key).state
        deprovisions.wait(tx, key, state=state, fence=fence, reason="x", next_due_at=later)
    outbox.work(world.program)
    with world.program.store.snapshot() as tx:
        due_at = deprovisions.load(tx, key).next_due_at
    assert due_at is not None
    assert due_at <= world.now()
