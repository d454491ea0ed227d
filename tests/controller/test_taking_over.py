"""A frozen store works again: two operators, in time, above every fence, and with the anchor in its place."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from certificate import envelope as dsse
from certificate.errors import Refused
from certificate.keys import PrivateKey
from certificate.log.entry import LogKind
from certificate.statements.people import DecisionKind
from controller import checkpointing, taking_over
from controller.errors import Code
from controller.people import deciding
from controller.reconciling import ORDER_LIFE
from controller.states import State
from controller.store import anchor, identity, log_rows, orders, stops
from controller.store.anchor import AnchorKeeper, FrozenBecause, Standing
from controller.store.orders import OrderState

SECOND = timedelta(seconds=1)


@dataclass
class Provider:
    """A world whose database can be taken away and brought back, and its two operators."""

    world: Any
    people_of: Any
    kept: Path

    @property
    def anchor_file(self) -> Path:
        path: Path = self.world.folder / "anchor.json"
        return path

    def back_up(self) -> None:
        self.world.close()
        source, target = sqlite3.connect(self.world.folder / "expunge.db"), sqlite3.connect(self.kept)
        source.backup(target)
        source.close()
        target.close()

    def restore(self) -> None:
        self.world.close()
        for suffix in ("", "-wal", "-shm"):
            (self.world.folder / f"expunge.db{suffix}").unlink(missing_ok=True)
        (self.world.folder / "expunge.db").write_bytes(self.kept.read_bytes())

    def sign(self, who: int | PrivateKey) -> deciding.Taken:
        """What `expunge reconcile --decide` does, by one of the two operators or by this key."""
        key = self.world.operators[who] if isinstance(who, int) else who
        shown = taking_over.show(self.world.program)
        envelope = self.people_of(self.world.program).decision(shown, key)
        return taking_over.take(self.world.program, envelope)

    def refused(self, who: int | PrivateKey) -> Refused:
        with pytest.raises(Refused) as refusal:
            self.sign(who)
        return refusal.value

    def wait(self, time: timedelta) -> None:
        self.world._skip_to(self.world.now() + time)

    def reconcile(self) -> deciding.Taken:
        self.sign(0)
        self.wait(ORDER_LIFE)
        return self.sign(1)

    @property
    def comparison(self) -> anchor.Comparison:
        with self.world.program.store.snapshot() as tx:
            found: anchor.Comparison = self.world.program.keeper.compare(tx)
        return found

    @property
    def fence(self) -> int:
        with self.world.program.store.snapshot() as tx:
            return identity.load(tx).newest_fence


@pytest.fixture
def provider_at(world_in: Any, people_of: Any, tmp_path: Path) -> Callable[[State], Provider]:
    def make(state: State) -> Provider:
        return Provider(world=world_in(state), people_of=people_of, kept=tmp_path / "backup.db")

    return make


@pytest.fixture
def idle(world: Any, people_of: Any, tmp_path: Path) -> Provider:
    """A provider whose only subscription is active: no order was ever made, and its log is signed."""
    world.start()
    return Provider(world=world, people_of=people_of, kept=tmp_path / "backup.db")


def older(provider: Provider) -> Provider:
    """The store as a backup has it, from before somebody froze everything."""
    provider.back_up()
    people = provider.people_of(provider.world.program)
    people.decide("freeze", {}, by=provider.world.operators[0])
    provider.restore()
    return provider


def moved(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> Provider:
    """The same files, on another machine."""
    provider.world.close()
    keeper = AnchorKeeper(provider.anchor_file, machine_id="another machine")
    make = AnchorKeeper.__init__

    def elsewhere(self: AnchorKeeper, path: Path, *, machine_id: str) -> None:
        make(self, path, machine_id=keeper.machine_id)

    monkeypatch.setattr(AnchorKeeper, "__init__", elsewhere)
    return provider


# --- who ----------------------------------------------------------------------------------------------------


def test_two_operators_let_an_older_store_work_again(idle: Provider) -> None:
    older(idle)
    assert idle.comparison.because is FrozenBecause.STORE_BEHIND
    first = idle.sign(0)
    assert (first.done, len(first.signed)) == (None, 1)
    assert idle.comparison.is_frozen
    idle.wait(ORDER_LIFE)
    assert idle.sign(1).done is not None
    assert idle.comparison.standing is Standing.CURRENT


def test_one_operator_does_not_however_often(idle: Provider) -> None:
    older(idle)
    for _ in range(3):
        assert idle.sign(0).done is None
        idle.wait(ORDER_LIFE)
    assert idle.comparison.is_frozen


def test_nobody_who_is_no_operator_does(idle: Provider) -> None:
    older(idle)
    idle.sign(0)
    idle.wait(ORDER_LIFE)
    for key in (PrivateKey.generate(), idle.world.keys.order):
        assert idle.refused(key).code is Code.NOT_AN_OPERATOR
    assert idle.comparison.is_frozen


def test_a_signature_of_yesterday_is_asked_for_again(idle: Provider) -> None:
    older(idle)
    idle.sign(0)
    idle.wait(timedelta(hours=24))
    assert idle.sign(1).done is None


def test_the_decisions_of_one_reconciliation_do_not_carry_the_next(idle: Provider) -> None:
    older(idle).reconcile()
    idle.anchor_file.unlink()
    idle.wait(ORDER_LIFE)
    assert idle.sign(1).done is None


def test_serve_does_not_know_this_act(idle: Provider) -> None:
    """Work under way would go on with fences of the old epoch."""
    older(idle)
    for act in (deciding.show, lambda *given: deciding.take(*given, b"")):
        with pytest.raises(Refused) as refused:
            act(idle.world.program, DecisionKind.RECONCILE, {})
        assert refused.value.code is Code.ACT_UNKNOWN


def test_a_store_that_its_anchor_knows_is_not_reconciled(idle: Provider) -> None:
    assert idle.refused(0).code is Code.RECONCILE_NOT_NEEDED


# --- when ---------------------------------------------------------------------------------------------------


def test_a_second_signature_while_an_order_may_live_is_too_early_and_names_the_instant(
    provider_at: Any,
) -> None:
    provider = provider_at(State.INTENDED)
    older(provider)
    with provider.world.program.store.snapshot() as tx:
        (out,) = orders.of_unfinished(tx)
    provider.sign(0)
    opens_at = taking_over_at(provider)
    assert opens_at >= out.expires_at + timedelta(seconds=65)
    provider.wait(opens_at - provider.world.now() - 2 * SECOND)
    refusal = provider.refused(1)
    assert refusal.code is Code.RECONCILE_TOO_EARLY
    assert f"{opens_at:%H:%M:%SZ}" in refusal.reason
    assert provider.comparison.is_frozen
    provider.wait(3 * SECOND)
    assert provider.sign(1).done is not None


def taking_over_at(provider: Provider) -> Any:
    program = provider.world.program
    with program.store.snapshot() as tx:
        trust = program.documents.trust
        told = taking_over.standing(tx, program.keeper, trust, shown=None, now=program.clock())
    assert told.not_before is not None
    assert told.signed == (provider.world.operators[0].public.keyid,)
    return told.not_before


def test_orders_that_a_copy_never_heard_of_are_waited_for_too(idle: Provider) -> None:
    older(idle)
    idle.sign(0)
    idle.wait(ORDER_LIFE - 5 * SECOND)
    assert idle.refused(1).code is Code.RECONCILE_TOO_EARLY


# --- from which store ---------------------------------------------------------------------------------------


def test_a_copy_on_another_machine_works_there_after_two_signed(
    idle: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved(idle, monkeypatch)
    assert idle.comparison.because is FrozenBecause.ANOTHER_MACHINE
    idle.reconcile()
    assert idle.comparison.standing is Standing.CURRENT
    with idle.world.program.store.snapshot() as tx:
        assert identity.load(tx).machine_id == "another machine"
        assert stops.freezes(tx) == ()


@pytest.mark.parametrize(
    ("damage", "because"),
    [
        (lambda path: path.unlink(), FrozenBecause.ANCHOR_MISSING),
        (lambda path: path.write_bytes(path.read_bytes()[:50]), FrozenBecause.ANCHOR_DAMAGED),
    ],
)
def test_a_store_whose_anchor_is_lost_or_damaged_works_again(
    damage: Callable[[Path], None], because: FrozenBecause, idle: Provider
) -> None:
    idle.world.close()
    damage(idle.anchor_file)
    assert idle.comparison.because is because
    shown = taking_over.show(idle.world.program)
    assert any("that anybody holds" in said for said in shown.matter.consequences)
    idle.reconcile()
    assert idle.comparison.standing is Standing.CURRENT


def test_an_anchor_of_another_store_is_not_written_over(idle: Provider, found_world: Any) -> None:
    other = found_world("other")
    content = (other.folder / "anchor.json").read_bytes()
    idle.world.close()
    idle.anchor_file.write_bytes(content)
    assert idle.refused(0).code is Code.RECONCILE_ANOTHER_STORE
    assert idle.anchor_file.read_bytes() == content


def test_a_backup_from_before_the_last_order_was_logged_is_not_reconciled(provider_at: Any) -> None:
    """A stranger may hold the proof of an entry that this log has lost; signing another there is a fork."""
    provider = provider_at(State.APPROVED)
    provider.back_up()
    provider.world.run(until=lambda world: world.state is State.INTENDED)
    provider.restore()
    assert provider.comparison.because is FrozenBecause.STORE_BEHIND
    assert provider.refused(0).code is Code.RECONCILE_LOG_BEHIND


def test_a_frozen_store_signs_no_checkpoint_and_a_reconciled_one_does(idle: Provider) -> None:
    """What is logged meanwhile, as a revocation may be, waits: the lost time may have another entry there."""
    older(idle)
    program = idle.world.program
    envelope = dsse.sign(b"a revocation", idle.world.keys.issuer)
    with program.store.transaction() as tx:
        log_rows.append_entry(tx, envelope=envelope, kind=LogKind.REVOKE_KEY, now=program.clock())
    checkpointing.sign_due(program)
    assert signed_entries(program) == 1
    idle.reconcile()
    assert signed_entries(program) == 2


def signed_entries(program: Any) -> int:
    with program.store.snapshot() as tx:
        newest = log_rows.latest_checkpoint(tx)
    return 0 if newest is None else newest.size


def test_a_backup_older_than_a_certificate_of_this_home_is_not_reconciled_without_its_anchor(
    provider_at: Any,
) -> None:
    provider = provider_at(State.APPROVED)
    provider.back_up()
    provider.world.run()
    assert provider.world.state is State.RELEASED
    provider.restore()
    provider.anchor_file.unlink()
    assert provider.refused(0).code is Code.RECONCILE_LOG_BEHIND
    for file in (provider.world.folder / "certificates").rglob("*.bundle.json"):
        file.write_text("not a bundle any more")
    assert provider.sign(0).done is None


# --- afterwards ---------------------------------------------------------------------------------------------


def test_fences_rise_above_every_one_of_the_lost_time(provider_at: Any) -> None:
    provider = provider_at(State.SCHEDULED)
    provider.back_up()
    for _ in range(500):
        with provider.world.program.store.transaction() as tx:
            lost = identity.next_fence(tx)
    people = provider.people_of(provider.world.program)
    people.decide("freeze", {}, by=provider.world.operators[0])
    provider.restore()
    assert provider.fence < lost
    provider.reconcile()
    assert provider.fence > lost
    again = provider.fence
    provider.anchor_file.unlink()
    provider.wait(timedelta(minutes=1))
    provider.reconcile()
    assert provider.fence > again


def test_a_freeze_stands_where_events_were_lost(idle: Provider) -> None:
    older(idle)
    assert "freeze" in str(idle.reconcile().done)
    with idle.world.program.store.snapshot() as tx:
        (freeze,) = stops.freezes(tx)
    people = idle.people_of(idle.world.program)
    for operator in idle.world.operators:
        people.decide("thaw", {"number": str(freeze.number)}, by=operator)
    with idle.world.program.store.snapshot() as tx:
        assert stops.freezes(tx) == ()


def test_an_order_that_was_intended_is_withdrawn_and_never_sent(provider_at: Any) -> None:
    """The lost time had dispatched it; the restored store believes that it did not."""
    provider = provider_at(State.INTENDED)
    provider.back_up()
    provider.world.run(until=lambda world: world.state is State.ERASING)
    provider.restore()
    with provider.world.program.store.snapshot() as tx:
        (out,) = orders.of_unfinished(tx)
    assert out.state is OrderState.INTENDED
    provider.world.requests.clear()
    done = provider.reconcile().done
    number = str(done).rpartition("freeze ")[2].split()[0]
    people = provider.people_of(provider.world.program)
    for operator in provider.world.operators:
        people.decide("thaw", {"number": number}, by=operator)
    provider.world.run(until=lambda world: withdrawn(world, out.id))
    assert withdrawn(provider.world, out.id)
    sent = [request for request in provider.world.requests if request.name == "execute"]
    assert sent == []


def withdrawn(world: Any, key: Any) -> bool:
    with world.program.store.snapshot() as tx:
        return orders.load(tx, key).state is OrderState.WITHDRAWN


def test_killed_between_the_epoch_and_its_anchor_the_store_is_still_frozen(
    idle: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    older(idle)
    idle.sign(0)
    idle.wait(ORDER_LIFE)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(AnchorKeeper, "place", killed)
        with pytest.raises(KeyboardInterrupt):
            idle.sign(1)
    assert idle.comparison.is_frozen
    idle.wait(timedelta(minutes=1))
    idle.reconcile()
    assert idle.comparison.standing is Standing.CURRENT


def test_what_both_sign_holds_still_while_the_frozen_store_goes_on_observing(provider_at: Any) -> None:
    provider = older(provider_at(State.SCHEDULED))
    provider.sign(0)
    before = taking_over.show(provider.world.program).matter.on
    provider.world.start()
    for _ in range(5):
        provider.world.step(until=lambda world: False)
    assert taking_over.show(provider.world.program).matter.on == before
    provider.wait(ORDER_LIFE)
    assert provider.sign(1).done is not None


def test_an_operators_act_whose_anchor_cannot_be_written_is_not_answered(idle: Provider, mocker: Any) -> None:
    people = idle.people_of(idle.world.program)
    mocker.patch("controller.store.anchor.write_durably", side_effect=OSError("disk full"))
    with pytest.raises(OSError, match="disk full"):
        people.decide("freeze", {}, by=idle.world.operators[0])
    mocker.stopall()
    older(idle)
    idle.sign(0)
    idle.wait(ORDER_LIFE)
    mocker.patch("controller.store.anchor.write_durably", side_effect=OSError("disk full"))
    with pytest.raises(OSError, match="disk full"):
        idle.sign(1)
    mocker.stopall()
    assert idle.comparison.is_frozen
