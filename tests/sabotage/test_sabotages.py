"""Five sabotages: a changed certificate, a lying drive, a renewal, a crash anywhere, a replayed order."""

from __future__ import annotations

import json
import os
import shutil
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent import permit
from certificate import cli
from certificate.bundle import Bundle
from certificate.messages import Execute, Hello, HelloAnswer, HelloPurpose, JournalLine, Refusal
from certificate.statements.vocabulary import Result, ValidationDecision
from certificate.verify import verify
from controller import case as cases
from controller.bundles import assemble
from controller.dispatch.lease import LEASE, Lease, uptime_seconds
from controller.effects import boot, dispatch_order
from controller.facts import Effect
from controller.states import State
from controller.store import audit, deprovisions, effects_begun, evidence, journal, orders, outcomes

#: Every state in which a renewal still wins without any order being dispatched.
REVERSIBLE = [state for state in State if state.is_reversible]


def bundle_of(world: Any) -> Bundle:
    program = world.program
    with program.store.snapshot() as tx:
        (outcome,) = outcomes.of_deprovision(tx, world.key)
        return assemble(tx, outcome, program.documents.signed_files).bundle


def files(world: Any, folder: Path, bundle: Bundle) -> tuple[Path, Path, Path]:
    root, policy, file = folder / "root.json", folder / "policy.json", folder / "c.bundle.json"
    root.write_bytes(world.documents.trust_file)
    policy.write_bytes(world.documents.policy.write())
    file.write_bytes(bundle.write())
    return root, policy, file


def erased(found: Callable[..., Any], **options: Any) -> Any:
    world = found(**options)
    world.end_subscription()
    world.run()
    return world


def sanitizes_begun(world: Any) -> int:
    """Irreversible starts that the controller ever allowed."""
    with world.program.store.snapshot() as tx:
        return sum(
            ack.step.startswith("start:")
            for order in orders.of_deprovision(tx, world.key)
            for ack in journal.acknowledgements(tx, order.id)
        )


# --- one byte of the certificate ----------------------------------------------------------------------------


def test_one_changed_byte_of_a_certificate_fails_wherever_it_is(
    found: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = erased(found)
    root, policy, file = files(world, tmp_path, bundle_of(world))
    arguments = ["verify", str(file), "--trust", str(root), "--policy", str(policy)]
    assert cli.main(arguments) == 0
    document = json.loads(file.read_bytes())
    for part in ("outcome", "evidence", "order", "validation", "summary"):
        text = document[part]
        # The middle of the payload, and of the signature: both are base64, so a letter is another byte.
        for place in (len(text) // 3, text.index('"sig":"') + 20):
            other = "A" if text[place] != "A" else "B"
            file.write_text(json.dumps({**document, part: text[:place] + other + text[place + 1 :]}))
            assert cli.main(arguments) == 1, f"{part}, character {place}"
    for number, entry in enumerate(document["proofs"]):
        proof = entry["proof"]
        changed = [*document["proofs"]]
        changed[number] = {**entry, "proof": proof.replace("index ", "index 1", 1)}
        file.write_text(json.dumps({**document, "proofs": changed}))
        assert cli.main(arguments) == 1, entry["document"]
    capsys.readouterr()


# --- the drive lies -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["lies", "fails"])
def test_a_drive_that_does_not_erase_is_never_certified_nor_released(
    found: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    world = erased(found, faults=(fault,))
    assert world.state is State.NEEDS_OPERATOR
    assert world.switch.is_cut
    assert world.drive_text_count() > 0
    with world.program.store.snapshot() as tx:
        (outcome,) = outcomes.of_deprovision(tx, world.key)
        assert outcome.is_issued
        assert outcome.result is Result.NOT_ERASED
        assert outcomes.summary_of(tx, world.key) is None
        audit.check(tx)
    assert not (world.folder / "certificates").exists()
    assert len(list((world.folder / "failures").glob("*.bundle.json"))) == 1
    root, policy, file = files(world, tmp_path, bundle_of(world))
    assert cli.main(["verify", str(file), "--trust", str(root), "--policy", str(policy)]) == 1
    assert "NOT_ERASED" in capsys.readouterr().out


# --- a renewal ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("with_hint", [True, False], ids=["with-hint", "silently"])
@pytest.mark.parametrize("state", REVERSIBLE)
def test_a_renewal_wins_in_every_state_before_dispatch(
    found: Callable[..., Any], state: State, with_hint: bool
) -> None:
    world = found()
    world.end_subscription()
    world.run(until=lambda world: world.state is state)
    assert world.state is state
    (world.renew if with_hint else world.renew_silently)()
    world.run()
    assert world.state is State.CANCELLED
    assert world.drive_text_count() == 8
    assert not world.switch.is_cut
    with world.program.store.snapshot() as tx:
        assert all(order.dispatched_at is None for order in orders.of_deprovision(tx, world.key))


def test_a_renewal_after_dispatch_wins_until_the_first_acknowledgement(
    found: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The agent gives up waiting after 60 s of its own clock, which no test can skip.
    monkeypatch.setattr(permit, "ACK_LIFE_MS", 3000)
    world = found()

    def renew_before_the_first_acknowledgement(line: JournalLine) -> None:
        if line.needs_ack and not sanitizes_begun(world):
            world.renew_silently()

    world.on_journal_line = renew_before_the_first_acknowledgement
    world.end_subscription()
    world.run()
    assert world.drive_text_count() == 8, "no irreversible step was allowed"
    with world.program.store.snapshot() as tx:
        (order,) = orders.of_deprovision(tx, world.key)
        assert order.dispatched_at is not None
        assert not journal.acknowledgements(tx, order.id)
    assert world.state in {State.CANCELLED, State.NEEDS_OPERATOR}
    if world.state is State.CANCELLED:
        assert order.answer is orders.FinalAnswer.ABSENT
        assert not world.switch.is_cut


def test_a_renewal_before_the_order_is_handed_over_ends_in_a_final_absence(
    found: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dispatch is committed and nothing sent: the customer pays in between, the order never arrives."""
    world = found()

    def lose(program: Any, case: Any, *, lease: Lease) -> None:
        world.renew_silently()

    monkeypatch.setattr(dispatch_order, "perform", lose)
    world.end_subscription()
    world.run()
    assert world.state is State.CANCELLED
    assert world.drive_text_count() == 8
    with world.program.store.snapshot() as tx:
        (order,) = orders.of_deprovision(tx, world.key)
        assert order.answer is orders.FinalAnswer.ABSENT
        assert orders.absence_of(tx, order.id) is not None


def test_a_renewal_after_the_first_irreversible_step_interrupts_nothing(found: Callable[..., Any]) -> None:
    world = found()

    def renew_when_sent(line: JournalLine) -> None:
        if line.kind == "sent":
            world.renew_silently()

    world.on_journal_line = renew_when_sent
    world.end_subscription()
    world.run()
    assert world.state is State.RELEASED
    assert world.drive_text_count() == 0


# --- kill -9 ------------------------------------------------------------------------------------------------


def require_a_safe_end(world: Any, where: str) -> None:
    """Certified and released, or with a person who is told why; never two starts, never a false claim."""
    assert world.state in {State.RELEASED, State.NEEDS_OPERATOR}, where
    assert sanitizes_begun(world) <= 1, where
    with world.program.store.snapshot() as tx:
        audit.check(tx)
        stored = outcomes.of_deprovision(tx, world.key)
    if world.state is State.NEEDS_OPERATOR:
        assert world.deprovision.operator_reason, where
        assert world.switch.is_cut, where
        return
    assert world.drive_text_count() == 0, where
    assert len(stored) == 1, where
    verify(bundle_of(world), world.documents.trust, world.documents.policy)


def in_two_processes(points: list[int], attempt: Callable[[int], None], folder: Path) -> None:
    """Tries every point, half of them in each of two forks. Raises AssertionError with the first failure of
    each.
    """
    children = {}
    for half in (0, 1):
        complaint = folder / f"complaint-{half}"
        child = os.fork()
        if child == 0:
            try:
                for point in points[half::2]:
                    attempt(point)
            except BaseException:
                complaint.write_text(traceback.format_exc())
            os._exit(0)
        children[child] = complaint
    for child in children:
        _, status = os.waitpid(child, 0)
        assert status == 0, f"a fork that tried points ended with {status}"
    complaints = [complaint.read_text() for complaint in children.values() if complaint.exists()]
    assert not complaints, "\n".join(complaints)


def test_a_controller_killed_between_any_two_commits_carries_on(
    found: Callable[..., Any], tmp_path: Path
) -> None:
    dry = found("dry")
    dry.end_subscription()
    commits = dry.run_in_fork()
    assert commits > 40
    require_a_safe_end(dry, "dry run")

    def attempt(point: int) -> None:
        world = found(f"killed-{point}")
        world.end_subscription()
        was_killed = world.run_in_fork(die_at_commit=point) == -1
        # How often the agent must be asked differs a little from run to run, so the last points may not
        # exist.
        assert was_killed or point > commits - 15, f"commit {point}"
        world.run_in_fork()
        require_a_safe_end(world, f"commit {point} of {commits}")
        (tmp_path / f"end-{point}").write_text(world.state.value)
        world.close()
        shutil.rmtree(world.folder)

    in_two_processes(list(range(1, commits + 1)), attempt, tmp_path)
    ends = [path.read_text() for path in tmp_path.glob("end-*")]
    assert len(ends) == commits
    assert ends.count(State.RELEASED) > commits * 0.8, "a crash is ordinarily survived, not given up on"


def test_an_agent_killed_after_any_journal_record_never_begins_twice(
    found: Callable[..., Any], tmp_path: Path
) -> None:
    dry = found("dry")
    dry.end_subscription()
    dry.run()
    with dry.program.store.snapshot() as tx:
        (order,) = orders.of_deprovision(tx, dry.key)
        records = len(journal.lines(tx, order.id))
    assert records >= 8
    dry.close()

    def attempt(point: int) -> None:
        world = found(f"killed-{point}")
        world.executor_dies_after = point
        world.end_subscription()
        world.run()
        require_a_safe_end(world, f"journal record {point} of {records}")
        (tmp_path / f"end-{point}").touch()
        world.close()

    in_two_processes(list(range(1, records + 1)), attempt, tmp_path)
    assert len(list(tmp_path.glob("end-*"))) == records


# --- the order again ----------------------------------------------------------------------------------------


def replayed(world: Any) -> Execute:
    (line,) = [request for request in world.requests if isinstance(request, Execute)]
    return line


def test_an_order_replayed_in_the_same_boot_is_refused(found: Callable[..., Any]) -> None:
    world = erased(found)
    (answer,) = list(world._agent(replayed(world)))
    assert isinstance(answer, Refusal)
    assert answer.code == "TOKEN_SPENT"


def test_an_order_replayed_after_a_restart_of_the_agent_is_refused(found: Callable[..., Any]) -> None:
    world = erased(found)
    old = replayed(world)
    with world.program.store.transaction() as tx:
        row = deprovisions.claim(tx, world.key, owner="test", now=world.now(), lease=LEASE)
        case = cases.load(tx, world.key)
    lease = Lease(world.program, world.key, fence=row.fence, since_seconds=uptime_seconds())
    boot.perform(world.program, case, lease=lease)
    hello = Hello(controller_nonce="0" * 64, purpose=HelloPurpose.ORDER.value)
    assert isinstance(next(iter(world._agent(hello))), HelloAnswer)
    (answer,) = list(world._agent(old))
    assert isinstance(answer, Refusal)
    assert answer.code == "ORDER_FOR_ANOTHER_BOOT"


def test_every_irreversible_effect_was_on_record_before_it_began(found: Callable[..., Any]) -> None:
    world = erased(found)
    with world.program.store.snapshot() as tx:
        begun = effects_begun.begun(tx, world.key, attempt=1)
        (order,) = orders.of_deprovision(tx, world.key)
        first = journal.lines(tx, order.id)[0]
    assert order.dispatched_at is not None
    assert begun[Effect.DISPATCH] == order.dispatched_at <= first.received_at


def test_an_erasure_that_nobody_accepted_is_not_signed_as_one(found: Callable[..., Any]) -> None:
    """A drive that only unmaps reads as zeros: device-reported, which the table hands to a person."""
    world = erased(found, faults=("deallocates_only",))
    assert world.state is State.NEEDS_OPERATOR
    with world.program.store.snapshot() as tx:
        (order,) = orders.of_deprovision(tx, world.key)
        (verdict,) = evidence.verdicts_of(tx, order.id)
        stored = outcomes.of_deprovision(tx, world.key)
    assert verdict.decision is not ValidationDecision.ACCEPT
    assert not [outcome for outcome in stored if outcome.result is Result.ERASED]
    assert not (world.folder / "certificates").exists()
