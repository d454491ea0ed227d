"""A whole erase whose agent is reached through a real OpenSSH server: cut, restarted, replaced, rebooted.

The controller, its channel, sshd, the forced command, the boot and every execution are the real ones; drives
are simulated (`tests.openssh`). What counts is how often the drive itself began a sanitize.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from certificate.keys import PrivateKey
from certificate.messages import Ack, AskInventory, Execute, Hello, HelloPurpose, JournalLine
from certificate.statements.vocabulary import Grade, Method, Technique
from certificate.verify import Verified, verify
from controller.bundles import assemble
from controller.errors import AgentRefused, Code
from controller.states import State
from controller.store import alarms, audit, boots, outcomes
from controller.store.alarms import AlarmKind
from tests import people
from tests.openssh import SANITIZE_POLLS, OpenSshWorld

pytestmark = pytest.mark.system

#: How many connections a test lets come to nothing before it repairs what is wrong.
FAILURES = 3
PURGED, OVERWRITTEN = Technique.NVME_SANITIZE_CRYPTO, Technique.OVERWRITE_KEYSTREAM


@pytest.fixture
def world(tmp_path: Path) -> Iterator[OpenSshWorld]:
    shared = Path("/dev/shm")
    place = shared if os.access(shared, os.W_OK) else tmp_path
    folder = Path(tempfile.mkdtemp(prefix="expunge-openssh-", dir=place))
    world = OpenSshWorld.found(folder)
    yield world
    world.end()
    shutil.rmtree(folder)


def once_at(kind: str, act: Callable[[], None]) -> Callable[[JournalLine], None]:
    """Does it at the first journal line of that kind."""
    done: list[str] = []

    def hear(line: JournalLine) -> None:
        if line.kind == kind and not done:
            done.append(kind)
            act()

    return hear


def another_key(world: OpenSshWorld) -> Path:
    path = world.folder / "another_host_key"
    path.write_bytes(PrivateKey.generate().to_openssh(passphrase=None))
    path.chmod(0o600)
    return path


def certificates(world: OpenSshWorld) -> dict[Technique, Verified]:
    """What a stranger reads in the bundles, by technique."""
    program = world.program
    with program.store.snapshot() as tx:
        audit.check(tx)
        issued = outcomes.of_deprovision(tx, world.key)
        bundles = [assemble(tx, each, program.documents.signed_files).bundle for each in issued]
    verified = [verify(bundle, program.documents.trust, program.documents.policy) for bundle in bundles]
    return {each.claim.technique: each for each in verified}


def require_certified(world: OpenSshWorld, *, sanitizes: int = 1) -> None:
    assert world.state is State.RELEASED, world.deprovision
    assert world.text_count() == 0
    assert world.sanitizes_begun() == sanitizes
    found = certificates(world)
    assert found.keys() == {PURGED, OVERWRITTEN}
    assert {each.claim.grade for each in found.values()} == {Grade.MARKER_PROVEN}


def require_erased_once(world: OpenSshWorld) -> None:
    require_certified(world)
    assert world.orders_sent() == 1
    assert sorted(step.split(":")[2] for step in world.sent()) == sorted((PURGED, OVERWRITTEN))


def wait_reason(world: OpenSshWorld) -> str:
    row = world.deprovision
    assert row is not None
    return row.operator_reason or row.wait_reason or ""


def test_an_ended_subscription_leads_over_openssh_to_certificates_that_verify(world: OpenSshWorld) -> None:
    assert world.text_count() > 0
    world.end_subscription()
    world.run()
    require_erased_once(world)
    methods = {technique: each.claim.method for technique, each in certificates(world).items()}
    assert methods == {PURGED: Method.PURGE, OVERWRITTEN: Method.CLEAR}
    assert not world.failures


def test_connections_cut_amid_an_erase_change_nothing_of_it(world: OpenSshWorld) -> None:
    kinds = ["markers_committed", "marked", "sent", "progress"]

    def cut_off(line: JournalLine) -> None:
        if line.kind in kinds:
            kinds.remove(line.kind)
            world.host.sshd.cut()
            assert world.host.executions(), "the execution died with its connection"

    world.on_journal_line = cut_off
    world.end_subscription()
    world.run()
    assert not kinds
    require_erased_once(world)


def test_an_sshd_that_ends_amid_an_erase_is_waited_for_until_it_is_back(world: OpenSshWorld) -> None:
    sshd = world.host.sshd

    def come_back() -> None:
        if len(world.failures) == FAILURES:
            assert "HOST_UNREACHABLE" in wait_reason(world)
            sshd.start(world.host.run.ssh_host_key_file)

    world.on_journal_line = once_at("sent", sshd.stop)
    world.on_failure = come_back
    world.end_subscription()
    world.run()
    assert world.failures == [Code.HOST_UNREACHABLE] * FAILURES
    require_erased_once(world)


def test_another_host_key_amid_an_erase_is_told_nothing_and_the_right_one_is_told_the_rest(
    world: OpenSshWorld,
) -> None:
    sshd, told, allowed = world.host.sshd, [], set()

    def replace() -> None:
        sshd.stop()
        sshd.start(another_key(world))
        allowed.update(world.allowed())

    def put_back() -> None:
        told.append("userauth-request" in sshd.log())
        if len(world.failures) == FAILURES:
            assert "HOST_KEY_CHANGED" in wait_reason(world)
            assert world.allowed() == allowed
            sshd.stop()
            sshd.start(world.host.run.ssh_host_key_file)

    world.on_journal_line = once_at("sent", replace)
    world.on_failure = put_back
    world.end_subscription()
    world.run()
    assert world.failures == [Code.HOST_KEY_CHANGED] * FAILURES
    assert told == [False] * FAILURES, "who we are was told to another machine"
    require_erased_once(world)


def test_another_host_key_that_stays_calls_a_person_and_after_their_word_the_erase_is_only_looked_at(
    world: OpenSshWorld,
) -> None:
    sshd = world.host.sshd

    def replace() -> None:
        sshd.stop()
        sshd.start(another_key(world))

    world.on_journal_line = once_at("progress", replace)
    world.end_subscription()
    world.run(until=lambda _: len(world.failures) >= FAILURES)
    assert world.state is State.ERASING
    # The watch looks every quarter of a minute.
    world.let_pass(timedelta(seconds=20))
    world.step(lambda _: False)
    with world.program.store.snapshot() as tx:
        standing = {each.kind: each.sentence for each in alarms.standing(tx)}
    assert "HOST_KEY_CHANGED" in standing[AlarmKind.WAITING_LONG]
    world.let_pass(timedelta(hours=24))
    world.run()
    assert world.state is State.NEEDS_OPERATOR
    assert "HOST_KEY_CHANGED" in wait_reason(world)
    assert set(world.failures) == {Code.HOST_KEY_CHANGED}
    assert world.switch.is_cut
    sshd.stop()
    sshd.start(world.host.run.ssh_host_key_file)
    asked_before = len(world.requests)
    people.leave(world, world.operators[0], "reprobe")
    world.run()
    require_erased_once(world)
    assert not [line for line in world.requests[asked_before:] if isinstance(line, Ack | Execute)]


def test_a_controller_whose_key_the_host_does_not_admit_is_told_nothing(world: OpenSshWorld) -> None:
    world.client_key = PrivateKey.generate()
    world.end_subscription()
    world.run(until=lambda _: len(world.failures) >= FAILURES)
    assert world.state is State.QUARANTINED
    assert set(world.failures) == {Code.LOGIN_REFUSED}
    assert "Starting session" not in world.host.sshd.log()
    with world.program.store.snapshot() as tx:
        boot = boots.latest(tx, world.key, attempt=1)
    assert boot is not None
    assert not boot.is_proven
    assert not world.requests


@pytest.mark.parametrize("state", [State.APPROVED, State.INTENDED])
def test_a_controller_that_is_no_longer_admitted_sends_no_order(world: OpenSshWorld, state: State) -> None:
    world.end_subscription()
    world.run(until=lambda _: world.state is state)
    asked_before = len(world.requests)
    world.client_key = PrivateKey.generate()
    world.run(until=lambda _: len(world.failures) >= FAILURES)
    assert set(world.failures) == {Code.LOGIN_REFUSED}
    assert len(world.requests) == asked_before
    assert not list(world.host.run.tokens_folder.iterdir())
    assert world.sanitizes_begun() == 0
    assert "LOGIN_REFUSED" in wait_reason(world)


def test_a_machine_that_boots_again_amid_an_erase_refuses_the_old_order_and_gets_no_other_by_itself(
    world: OpenSshWorld,
) -> None:
    def reboot() -> None:
        world.host.lose_power()
        world.host.power_up()

    world.on_journal_line = once_at("progress", reboot)
    world.end_subscription()
    world.run(until=lambda _: len(world.failures) >= FAILURES)
    assert set(world.failures) == {Code.HOST_KEY_CHANGED}
    (old,) = [line for line in world.requests if isinstance(line, Execute)]
    new_boot = bytes.fromhex(world.host.run.boot().ssh_host_key_blob)
    with world.program.route(None).open(host_key_blob=new_boot) as channel:
        channel.ask(Hello(controller_nonce="0" * 64, purpose=HelloPurpose.ORDER.value))
        with pytest.raises(AgentRefused) as refused:
            channel.ask(old)
        # The drive goes on by itself; a simulated one needs to be looked at.
        for _ in range(SANITIZE_POLLS):
            channel.ask(AskInventory())
    assert refused.value.agent_code == "ORDER_FOR_ANOTHER_BOOT"
    sent_before = world.orders_sent()
    world.let_pass(timedelta(hours=24))
    world.run()
    assert world.state is State.NEEDS_OPERATOR
    assert world.orders_sent() == sent_before
    assert world.sanitizes_begun() == 1
    with world.program.store.snapshot() as tx:
        assert not outcomes.of_deprovision(tx, world.key)
    people.leave(world, world.operators[0], "retry")
    world.run()
    require_certified(world, sanitizes=2)
