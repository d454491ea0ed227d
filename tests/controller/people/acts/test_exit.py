"""Ways out of `needs_operator`, from the signature to what becomes of the host, through the real store."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from certificate.errors import Refused
from certificate.identifiers import DeprovisionId, HostId
from certificate.statements.people import DecisionKind
from certificate.statements.vocabulary import Trigger
from controller import case as cases
from controller import knowledge, waiting
from controller.advance import advance
from controller.api import attention
from controller.attention import Group
from controller.errors import Code
from controller.facts import CommandFacts, Exit
from controller.people.roster import Operators
from controller.states import State
from controller.store import commands, deprovisions, hosts, journal, ledger, orders, stops

EXIT = DecisionKind.EXIT
RECORD = "ab" * 32


@pytest.fixture
def stuck_in(world_in: Callable[[State], Any]) -> Callable[[State], Any]:
    """A world whose deprovision needed a person when it was in this state."""

    def reach(state: State) -> Any:
        world = world_in(state)
        needs_operator(world, world.key)
        return world

    return reach


def needs_operator(world: Any, key: DeprovisionId, *, reason: str = "a deadline passed") -> None:
    with world.program.store.transaction() as tx:
        now = world.now()
        row = deprovisions.claim(tx, key, owner="test", now=now, lease=timedelta(minutes=1))
        because = Refused(Code.PERSON_MUST_DECIDE, reason)
        move = deprovisions.Move(new=State.NEEDS_OPERATOR, next_due_at=now, because=because)
        deprovisions.move(tx, key, old=row.state, fence=row.fence, move=move, now=now)
        deprovisions.release_lease(tx, key, fence=row.fence)


def refused(act: Callable[[], Any]) -> Code:
    with pytest.raises(Refused) as caught:
        act()
    assert isinstance(caught.value.code, Code)
    return caught.value.code


def moves(world: Any) -> list[str]:
    """Every state that the ledger says was entered, in order."""
    with world.program.store.snapshot() as tx:
        told = ledger.events(tx, deprovision=world.key)
        return [str(event.body["new"]) for event in told if event.kind == "state-moved"]


def holds(world: Any) -> list[stops.Stop]:
    with world.program.store.snapshot() as tx:
        return [each for each in stops.all_standing(tx) if each.kind is stops.StopKind.HOLD]


# --- one host -----------------------------------------------------------------------------------------------


def test_restore_gives_the_host_back_and_holds_it(stuck_in: Callable[[State], Any], people: Any) -> None:
    world = stuck_in(State.STAGED)
    alice = world.operators[0]
    taken = people.leave(world, alice, "restore")
    assert taken.done is not None
    (hold,) = holds(world)
    assert (hold.author, hold.matter) == (alice.public.keyid, people.REASON)
    assert timedelta(days=6) < hold.review_at - world.now() <= timedelta(days=7)
    world.run(until=lambda world: world.state is State.CANCELLED)
    assert (world.state, world.switch.is_cut) == (State.CANCELLED, False)


def test_the_same_end_does_not_take_a_restored_host_again(
    stuck_in: Callable[[State], Any], people: Any
) -> None:
    world = stuck_in(State.STAGED)
    first = world.key
    people.leave(world, world.operators[0], "restore")
    world.run(until=lambda world: world.state is State.CANCELLED)
    world.end_subscription()
    for _ in range(10):
        world.step(lambda world: False)
    assert (world.key != first, world.state) == (True, State.SCHEDULED)
    assert not world.switch.is_cut
    assert "HELD" in (world.deprovision.wait_reason or "")


@pytest.mark.parametrize("state", [State.SCHEDULED, State.QUARANTINED, State.PLANNED])
def test_restore_works_in_one_command_while_nothing_was_sent(
    world_in: Callable[[State], Any], people: Any, state: State
) -> None:
    world = world_in(state)
    people.leave(world, world.operators[1], "restore", host="host-1")
    world.run()
    assert (world.state, world.switch.is_cut) == (State.CANCELLED, False)
    assert world.drive_text_count() > 0


def test_retry_begins_a_new_attempt_with_a_token_of_its_own(
    stuck_in: Callable[[State], Any], people: Any
) -> None:
    world = stuck_in(State.STAGED)
    people.leave(world, world.operators[0], "retry")
    world.run()
    assert (world.state, world.deprovision.attempt) == (State.RELEASED, 2)
    assert world.drive_text_count() == 0


def test_close_ends_the_case_and_releases_nothing(stuck_in: Callable[[State], Any], people: Any) -> None:
    world = stuck_in(State.STAGED)
    people.leave(world, world.operators[0], "close")
    world.run()
    assert (world.state, world.switch.is_cut) == (State.CLOSED, True)


def test_destroy_needs_two_who_name_the_same_document(stuck_in: Callable[[State], Any], people: Any) -> None:
    world = stuck_in(State.STAGED)
    alice, bob = world.operators
    assert people.leave(world, alice, "destroy", document_digest=RECORD).done is None
    assert people.leave(world, bob, "destroy", document_digest="cd" * 32).done is None
    world.run()
    assert world.state is State.NEEDS_OPERATOR
    assert people.leave(world, bob, "destroy", document_digest=RECORD).done is not None
    world.run()
    assert world.state is State.DESTROYED


def test_one_person_twice_is_not_two(stuck_in: Callable[[State], Any], people: Any) -> None:
    world = stuck_in(State.STAGED)
    for _ in range(2):
        assert people.leave(world, world.operators[0], "destroy", document_digest=RECORD).done is None
    assert people.commands_of(world) == []


def test_reprobe_asks_about_what_was_sent_and_issues_nothing(
    stuck_in: Callable[[State], Any], people: Any
) -> None:
    world = stuck_in(State.ERASING)
    people.leave(world, world.operators[0], "reprobe")
    world.requests.clear()
    ends_at = world.now() + timedelta(seconds=30)
    world.run(until=lambda world: world.now() > ends_at)
    assert moves(world)[-1] != "released"
    assert moves(world).count("erasing") == 2
    with world.program.store.snapshot() as tx:
        (order,) = orders.of_deprovision(tx, world.key)
        assert journal.acknowledgements(tx, order.id) == ()
    assert {request.name for request in world.requests} <= {"status", "follow"}
    assert world.drive_text_count() > 0


# --- what is closed -----------------------------------------------------------------------------------------


def test_a_closed_way_is_refused_before_anybody_signs(stuck_in: Callable[[State], Any], people: Any) -> None:
    world = stuck_in(State.STAGED)
    alice = world.operators[0]
    for code, about in (
        (Code.EXIT_NOT_OPEN, {"exit": "reprobe"}),
        (Code.DOCUMENT_MISSING, {"exit": "destroy"}),
        (Code.DOCUMENT_MISSING, {"exit": "destroy", "document_digest": "no digest"}),
        (Code.DECISION_MISMATCH, {"exit": "close", "document_digest": RECORD}),
        (Code.DECISION_MISMATCH, {"exit": "release"}),
    ):
        act = lambda about=about: people.leave(world, alice, **about)  # noqa: E731
        assert refused(act) is code, about
    assert people.commands_of(world) == []


def test_after_a_dispatch_nothing_is_given_back(stuck_in: Callable[[State], Any], people: Any) -> None:
    world = stuck_in(State.ERASING)
    assert refused(lambda: people.leave(world, world.operators[0], "restore")) is Code.EXIT_NOT_OPEN
    assert holds(world) == []


@pytest.mark.parametrize("exit", [exit for exit in Exit if exit is not Exit.RESTORE])
def test_on_its_ordinary_way_only_restore_is_commanded(
    world_in: Callable[[State], Any], people: Any, exit: Exit
) -> None:
    world = world_in(State.SCHEDULED)
    document = {"document_digest": RECORD} if exit is Exit.DESTROY else {}
    act = lambda: people.leave(world, world.operators[0], exit.value, **document)  # noqa: E731
    assert refused(act) is Code.EXIT_NOT_OPEN


def test_a_host_without_a_live_deprovision_is_not_commanded(world: Any, people: Any) -> None:
    alice = world.operators[0]
    assert refused(lambda: people.decide(world, alice, EXIT, exit="close", host="host-1")) is (
        Code.NOT_IN_STORE
    )


def test_a_matter_names_exactly_one_of_host_deprovision_and_group(world: Any, people: Any) -> None:
    alice = world.operators[0]
    for about in ({}, {"host": "host-1", "group": "0" * 64}):
        act = lambda about=about: people.decide(world, alice, EXIT, exit="close", **about)  # noqa: E731
        assert refused(act) is Code.DECISION_MISMATCH


def test_what_changed_since_it_was_shown_is_not_decided(
    stuck_in: Callable[[State], Any], people: Any
) -> None:
    world = stuck_in(State.STAGED)
    about = {"exit": "close", "deprovisions": world.key}
    envelope = people.sign_decision(world, world.operators[0], EXIT, **about)
    people.leave(world, world.operators[1], "retry")
    world.run(until=lambda world: world.state is State.SCHEDULED)
    needs_operator(world, world.key, reason="something else")
    from controller.people import deciding

    assert refused(lambda: deciding.take(world.program, EXIT, about, envelope)) is Code.MATTER_CHANGED


# --- a crash between the decision and its carrying out ------------------------------------------------------


def test_a_command_is_carried_out_once_whenever_the_controller_dies(
    stuck_in: Callable[[State], Any], people: Any
) -> None:
    world = stuck_in(State.STAGED)
    people.leave(world, world.operators[0], "restore")
    died = 0
    for point in range(1, 60):
        if world.run_in_fork(die_at_commit=point) >= 0:
            break
        died += 1
    assert died > 0
    assert (world.state, world.switch.is_cut) == (State.CANCELLED, False)
    assert people.commands_of(world) == ["restore"]
    assert moves(world).count("cancelled") == 1


# --- a batch ------------------------------------------------------------------------------------------------


@pytest.fixture
def rack(world: Any) -> Any:
    """Three more hosts of one rack that lost power; nothing of theirs was sent."""
    with world.program.store.snapshot() as tx:
        model = hosts.by_asset_tag(tx, "host-1")
    assert model is not None
    for number in range(3):
        with world.program.store.transaction() as tx:
            host = replace(
                model, id=HostId.from_random(secrets.token_bytes(16)), asset_tag=f"dark-{number}", rack="dark"
            )
            hosts.register(tx, host, facts=(), now=world.now())
            key = DeprovisionId.from_random(secrets.token_bytes(16))
            deprovisions.schedule(
                tx,
                id=key,
                host_id=host.id,
                tenancy_id=None,
                trigger=Trigger.ENDED,
                data_class="default",
                policy_version=1,
                policy_digest=world.program.configuration.policy_digest,
                grace_until=world.now(),
                dwell_seconds=0,
                now=world.now(),
            )
        needs_operator(world, key, reason=f"the rack is dark, host {number}")
    return world


def groups(world: Any) -> tuple[Group, ...]:
    with world.program.store.snapshot() as tx:
        return waiting.groups(tx, world.program)


def states(world: Any) -> list[tuple[State, int]]:
    with world.program.store.snapshot() as tx:
        return [(row.state, row.attempt) for row in deprovisions.all_deprovisions(tx)]


def step_all(world: Any) -> None:
    with world.program.store.snapshot() as tx:
        keys = [row.id for row in deprovisions.live(tx)]
    for key in keys:
        advance(world.program, key, owner="test")


def test_a_rack_that_lost_power_is_one_matter_of_two_people(rack: Any, people: Any) -> None:
    (group,) = groups(rack)
    alice, bob = rack.operators
    first = people.decide(rack, alice, EXIT, exit="retry", group=group.digest)
    assert (first.done, first.people_needed) == (None, 2)
    step_all(rack)
    assert states(rack) == [(State.NEEDS_OPERATOR, 1)] * 3
    assert people.decide(rack, bob, EXIT, exit="retry", group=group.digest).done is not None
    step_all(rack)
    assert states(rack) == [(State.SCHEDULED, 2)] * 3


def test_one_member_that_recovered_meanwhile_makes_it_another_matter(rack: Any, people: Any) -> None:
    (group,) = groups(rack)
    alice, bob = rack.operators
    people.decide(rack, alice, EXIT, exit="retry", group=group.digest)
    recovered = group.members[1].deprovision
    people.decide(rack, bob, EXIT, exit="close", deprovisions=recovered)
    advance(rack.program, recovered, owner="test")
    act = lambda: people.decide(rack, bob, EXIT, exit="retry", group=group.digest)  # noqa: E731
    assert refused(act) is Code.MATTER_CHANGED
    (smaller,) = groups(rack)
    assert len(smaller.members) == 2
    assert people.decide(rack, bob, EXIT, exit="retry", group=smaller.digest).done is None
    step_all(rack)
    assert sorted(states(rack)) == sorted([(State.NEEDS_OPERATOR, 1)] * 2 + [(State.CLOSED, 1)])


def test_a_batch_lists_every_member_to_whoever_signs(rack: Any, people: Any) -> None:
    from controller.people import deciding

    (group,) = groups(rack)
    matter = deciding.show(rack.program, EXIT, {"exit": "retry", "group": group.digest}).matter
    told = matter.facts["deprovisions"]
    assert [each["host"] for each in told] == ["dark-0", "dark-1", "dark-2"]
    assert [each["reason"] for each in told] == [f"the rack is dark, host {number}" for number in range(3)]
    assert matter.words == "retry 3 hosts"


def test_a_batch_of_ids_is_reviewed_as_well(rack: Any, people: Any) -> None:
    (group,) = groups(rack)
    named = ",".join(each.deprovision for each in group.members[:2])
    assert people.decide(rack, rack.operators[0], EXIT, exit="close", deprovisions=named).done is None
    twice = f"{group.members[0].deprovision},{group.members[0].deprovision}"
    act = lambda: people.decide(  # noqa: E731
        rack, rack.operators[0], EXIT, exit="close", deprovisions=twice
    )
    assert refused(act) is Code.DECISION_MISMATCH


def test_attention_tells_the_group_its_digest_and_its_open_ways(rack: Any) -> None:
    (group,) = groups(rack)
    with rack.program.store.snapshot() as tx:
        told = attention.told(tx, rack.program)
    (line,) = told.groups
    assert (line.digest, line.rack, line.code) == (group.digest, "dark", "PERSON_MUST_DECIDE")
    assert len(line.members) == 3
    assert set(line.open_exits) == {"retry", "restore", "destroy", "close"}
    assert line.remedy == Code.PERSON_MUST_DECIDE.remedy


# --- who stands behind a command ----------------------------------------------------------------------------


def test_a_command_of_somebody_who_was_revoked_is_carried_out_by_nobody(
    stuck_in: Callable[[State], Any], people: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = stuck_in(State.STAGED)
    alice, bob = world.operators
    people.leave(world, alice, "close")

    def known(keys: tuple[Any, ...]) -> CommandFacts | None:
        left = Operators(purpose=world.documents.trust.purpose, keys=keys)
        monkeypatch.setattr(knowledge, "roster", lambda tx, trust, *, now: left)
        with world.program.store.snapshot() as tx:
            return knowledge.facts_of(tx, world.program, cases.load(tx, world.key), now=world.now()).command

    command = known((alice.public, bob.public))
    assert command is not None
    assert (command.exit, command.keyids) == (Exit.CLOSE, {alice.public.keyid})
    assert known((bob.public,)) is None


def test_a_command_of_an_earlier_attempt_is_no_command_of_this_one(
    stuck_in: Callable[[State], Any], people: Any
) -> None:
    world = stuck_in(State.STAGED)
    people.leave(world, world.operators[0], "retry")
    world.run(until=lambda world: world.state is State.SCHEDULED)
    with world.program.store.snapshot() as tx:
        assert commands.newest(tx, world.key, attempt=2) is None
        (first,) = commands.of_deprovision(tx, world.key)
    assert (first.attempt, first.exit) == (1, Exit.RETRY)
