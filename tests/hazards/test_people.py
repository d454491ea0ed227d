"""Hazards of people: one stolen account, an approval used again, approvers who tire, a hold ignored."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from certificate.keys import PrivateKey
from controller.people import approving
from controller.people.roster import Standing, members
from controller.states import State
from controller.store import boots, deprovisions, plans, stops

HOLD = {"scope": "host=host-1", "matter": "case 7", "review": "P30D"}


def goes_on(crew: Any) -> bool:
    """Whether the wipe leaves *planned* in a few rounds."""
    for _ in range(6):
        crew.world.step(lambda world: world.state is not State.PLANNED)
        crew.pass_time(timedelta(seconds=6))
    return crew.world.state is not State.PLANNED


def is_done(crew: Any, kind: str, about: dict[str, str], thief: PrivateKey) -> bool:
    """Whether the thief gets it done, however often it signs."""
    return any(crew.people.decide(kind, about, by=thief).done is not None for _ in range(3))


def test_hazard_05_one_stolen_key_stops_things_and_lets_nothing_go_on(waiting: Any) -> None:
    thief = waiting.bob
    waiting.people.decide("freeze", {}, by=waiting.alice)
    waiting.people.decide("hold", HOLD, by=waiting.alice)
    with waiting.program.store.snapshot() as tx:
        freeze, hold = (str(stop.number) for stop in stops.all_standing(tx))
    newcomer = {"public_key": PrivateKey.generate().public.ssh_line}
    assert not is_done(waiting, "thaw", {"number": freeze}, thief)
    assert not is_done(waiting, "release_hold", {"number": hold}, thief)
    assert not is_done(waiting, "enrol", newcomer, thief)
    assert not is_done(waiting, "disposition", {"host": "host-1", "disposition": "unknown"}, thief)
    waiting.people.request(by=thief)
    assert waiting.refused(lambda: waiting.people.approve(by=thief)) == "SELF_APPROVAL"
    assert not goes_on(waiting)
    assert is_done(waiting, "freeze", {}, thief)
    assert is_done(waiting, "hold", HOLD, thief)


def test_hazard_05_a_thief_who_revokes_everybody_else_is_left_with_nothing_to_decide(waiting: Any) -> None:
    waiting.people.request(by=waiting.bob)
    waiting.people.decide("revoke", {"keyid": waiting.alice.public.keyid}, by=waiting.bob)
    with waiting.program.store.snapshot() as tx:
        found = members(tx, waiting.program.documents.trust, now=waiting.program.clock())
    assert [m.key.keyid for m in found if m.standing is Standing.ACTIVE] == [waiting.bob.public.keyid]
    assert not goes_on(waiting)
    assert waiting.world.drive_text_count() > 0


def test_hazard_05_a_stolen_key_is_worth_nothing_from_the_moment_it_is_revoked(waiting: Any) -> None:
    waiting.people.request(by=waiting.alice)
    waiting.people.approve(by=waiting.bob)
    waiting.people.decide("revoke", {"keyid": waiting.bob.public.keyid}, by=waiting.alice)
    assert not goes_on(waiting)


def test_hazard_19_an_approval_counts_for_one_attempt_and_one_plan(waiting: Any) -> None:
    waiting.people.request(by=waiting.alice)
    yes = waiting.people.approval("approve", waiting.bob)
    approving.take(waiting.program, yes)
    case = waiting.people.case
    waiting.pass_time(timedelta(seconds=2))
    with waiting.program.store.transaction() as tx:
        tx.execute(deprovisions.deprovision.update().values(attempt=2))
        # As if the machine had been booted again and came out the same.
        tx.execute(boots.boot.update().values(attempt=2))
        now = waiting.program.clock()
        plans.record(tx, case.id, attempt=2, text=case.plan.text, boot_id=case.plan.boot_id, now=now)
    assert waiting.refused(lambda: approving.take(waiting.program, yes)) == "APPROVAL_INVALID"
    assert not goes_on(waiting)


def test_hazard_19_a_swapped_plan_has_nobody_behind_it(waiting: Any) -> None:
    waiting.people.request(by=waiting.alice)
    waiting.people.approve(by=waiting.bob)
    case = waiting.people.case
    other = case.plan.text.replace(b'"floor":"purge"', b'"floor":"clear"')
    with waiting.program.store.transaction() as tx:
        now = waiting.program.clock()
        plans.record(tx, case.id, attempt=1, text=other, boot_id=case.plan.boot_id, now=now)
    assert not goes_on(waiting)


@pytest.mark.parametrize("words", ["host-1", "host-1 yes", "yes", "host-1 0000", "a1a1"])
def test_hazard_20_who_has_not_looked_at_the_machine_cannot_say_yes(waiting: Any, words: str) -> None:
    waiting.people.request(by=waiting.alice)
    act = lambda: waiting.people.approve(by=waiting.bob, words=words)  # noqa: E731
    assert waiting.refused(act) == "CONFIRMATION_WRONG"


def test_hazard_20_yesterdays_yes_is_asked_for_again(waiting: Any) -> None:
    waiting.people.request(by=waiting.alice)
    waiting.people.approve(by=waiting.bob)
    waiting.pass_time(timedelta(hours=24))
    assert waiting.people.request(by=waiting.alice).missing != ()


@pytest.mark.parametrize("scope", ["host=host-1", "site=s", "rack=r", "everything"])
def test_hazard_21_a_hold_stops_a_wipe_that_everybody_approved(waiting: Any, scope: str) -> None:
    waiting.people.decide("hold", {**HOLD, "scope": scope}, by=waiting.alice)
    waiting.people.request(by=waiting.alice)
    waiting.people.approve(by=waiting.bob)
    assert not goes_on(waiting)


def test_hazard_21_a_hold_between_order_and_dispatch_wins(waiting: Any) -> None:
    waiting.people.request(by=waiting.alice)
    waiting.people.approve(by=waiting.bob)
    waiting.world.run(until=lambda world: world.state is State.INTENDED)
    waiting.people.decide("hold", HOLD, by=waiting.alice)
    for _ in range(6):
        waiting.world.step(lambda world: world.state is State.ERASING)
        waiting.pass_time(timedelta(seconds=6))
    assert waiting.world.state is State.INTENDED
    assert waiting.world.drive_text_count() > 0
