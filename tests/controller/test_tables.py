"""Versions of the validation table: what is kept, what is refused, and which one judges whom."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from certificate.errors import Code as CertificateCode
from certificate.errors import Refused
from certificate.keys import PrivateKey
from certificate.statements.validation import ValidationRow
from certificate.verify import verify
from controller import case as cases
from controller import tables
from controller.bundles import assemble
from controller.dispatch.working import take_step
from controller.effects import make_plan
from controller.errors import Code
from controller.policy import signing
from controller.policy.draft import Draft
from controller.serving import take_up_table
from controller.states import State
from controller.store import ledger, outcomes
from controller.store.events import ValidationTableTaken
from controller.wiring import read_documents

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture
def root_key(founded_once: Any) -> PrivateKey:
    return PrivateKey.from_openssh(
        (founded_once.home.keys / "root").read_bytes(), passphrase=founded_once.passphrase
    )


@pytest.fixture
def sign_next(founded: Any, root_key: PrivateKey) -> Callable[..., tables.KeptTable]:
    """Signs the present table again, as the next version."""

    def sign(**changes: Any) -> tables.KeptTable:
        present = read_documents(founded.home).present_table.table
        draft = Draft.of(present, version=present.version + 1)
        return signing.sign(
            founded.home,
            draft,
            **{"root_key": root_key, "now": NOW, "randomness": os.urandom} | changes,
        )

    return sign


def refused(act: Callable[[], object]) -> Any:
    with pytest.raises(Refused) as caught:
        act()
    return caught.value.code


# --- files --------------------------------------------------------------------------------------------------


def test_every_version_is_kept_and_found_by_its_digest(founded: Any, sign_next: Callable[..., Any]) -> None:
    first = read_documents(founded.home).present_table
    second, third = sign_next(), sign_next()
    documents = read_documents(founded.home)
    assert documents.present_table == third
    assert documents.earlier_tables == (second, first)
    assert [documents.table_named(each.digest).table.version for each in (first, second, third)] == [1, 2, 3]
    for each in (first, second, third):
        assert documents.signed_files.table_named(each.digest) == each.file


def test_a_digest_that_no_table_has_is_refused(founded: Any) -> None:
    documents = read_documents(founded.home)
    assert refused(lambda: documents.table_named("ab" * 32)) is Code.TABLE_NOT_KEPT
    assert refused(lambda: documents.signed_files.table_named("ab" * 32)) is Code.TABLE_NOT_KEPT


def test_stopped_between_keeping_and_replacing_the_home_is_whole(
    founded: Any, sign_next: Callable[..., Any]
) -> None:
    shutil.copy(founded.home.validation_table, tables.kept_path(founded.home.validation_table, 1))
    assert read_documents(founded.home).earlier_tables == ()
    sign_next()
    assert [each.table.version for each in read_documents(founded.home).earlier_tables] == [1]


@pytest.mark.parametrize("number", [2, 7])
def test_a_table_under_another_number_is_refused(
    founded: Any, sign_next: Callable[..., Any], number: int
) -> None:
    sign_next()
    present = founded.home.validation_table
    tables.kept_path(present, 1).rename(tables.kept_path(present, number))
    assert refused(lambda: read_documents(founded.home)) is Code.TABLE_INVALID


def test_a_kept_table_that_the_root_key_did_not_sign_is_refused(
    founded: Any, sign_next: Callable[..., Any]
) -> None:
    sign_next()
    kept = tables.kept_path(founded.home.validation_table, 1)
    envelope = json.loads(kept.read_bytes())
    envelope["signatures"][0]["sig"] = "A" * 86 + "=="
    kept.write_text(json.dumps(envelope))
    assert refused(lambda: read_documents(founded.home)) is CertificateCode.SIGNATURE_INVALID


def test_files_of_other_names_are_none_of_ours(founded: Any) -> None:
    for name in ("validation.01.dsse.json", "validation.x.dsse.json", "validation.1.dsse.json.bak", "notes"):
        founded.home.validation_table.with_name(name).write_text("anything")
    assert read_documents(founded.home).earlier_tables == ()


def test_a_table_of_endless_size_is_refused(founded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_TABLE_BYTES", 100)
    assert refused(lambda: read_documents(founded.home)) is Code.TABLE_INVALID


# --- signing ------------------------------------------------------------------------------------------------


def test_only_the_trust_roots_own_key_signs_a_table(founded: Any, sign_next: Callable[..., Any]) -> None:
    before = founded.home.validation_table.read_bytes()
    code = refused(lambda: sign_next(root_key=PrivateKey.generate()))
    assert code is CertificateCode.KEY_UNTRUSTED
    assert founded.home.validation_table.read_bytes() == before
    assert not tables.kept_path(founded.home.validation_table, 1).exists()


def test_an_operators_key_or_another_of_the_controllers_signs_none(
    founded: Any, founded_keyring: Any, sign_next: Callable[..., Any]
) -> None:
    for key in (founded.operators[0], founded_keyring.order, founded_keyring.issuer):
        assert refused(lambda key=key: sign_next(root_key=key)) is CertificateCode.KEY_UNTRUSTED


@pytest.mark.parametrize("version", [1, 3])
def test_a_draft_of_another_version_than_the_next_is_not_signed(
    founded: Any, root_key: PrivateKey, version: int
) -> None:
    draft = Draft.of(read_documents(founded.home).table, version=version)
    code = refused(
        lambda: signing.sign(founded.home, draft, root_key=root_key, now=NOW, randomness=os.urandom)
    )
    assert code is Code.TABLE_VERSION_WRONG


def test_a_clock_before_the_present_table_signs_nothing(sign_next: Callable[..., Any]) -> None:
    assert refused(lambda: sign_next(now=NOW - timedelta(days=700))) is Code.TABLE_INVALID


def test_one_process_signs_at_a_time(founded: Any, sign_next: Callable[..., Any]) -> None:
    with signing._alone(founded.home.validation_table.parent):
        assert refused(sign_next) is Code.HOME_IN_USE
    assert sign_next().table.version == 2


# --- the store remembers ------------------------------------------------------------------------------------


def taken(world: Any) -> list[int]:
    with world.program.store.snapshot() as tx:
        return [
            event.body["version"] for event in ledger.events(tx) if event.kind == ValidationTableTaken.kind
        ]


def test_the_store_remembers_each_table_once(world: Any) -> None:
    take_up_table(world.program)
    take_up_table(world.program)
    world.sign_table()
    take_up_table(world.program)
    assert taken(world) == [1, 2]


def test_an_older_table_is_refused_at_start(world: Any) -> None:
    first = world.documents
    take_up_table(world.program)
    world.sign_table()
    world.documents = first
    world.close()
    assert refused(lambda: take_up_table(world.program)) is Code.TABLE_ROLLED_BACK
    assert taken(world) == [1, 2]


def test_another_table_of_the_same_number_is_refused_at_start(world: Any) -> None:
    first = world.documents
    take_up_table(world.program)
    world.sign_table()
    world.documents = first
    world.close()
    with pytest.raises(Refused, match="another table of version 2"):
        world.sign_table(rows=())


def test_a_version_may_be_left_out(world: Any) -> None:
    take_up_table(world.program)
    world.sign_table(version=5)
    assert taken(world) == [1, 5]


# --- what is under way --------------------------------------------------------------------------------------


def reaches(world: Any, state: State) -> None:
    world.run(until=lambda world: world.state is state)
    assert world.state is state


def bundle_of(world: Any) -> Any:
    program = world.program
    with program.store.snapshot() as tx:
        (outcome,) = outcomes.of_deprovision(tx, world.key)
        return assemble(tx, outcome, program.documents.signed_files).bundle


def nothing_accepted(world: Any) -> dict[str, Any]:
    """A table that rejects what the first one accepts."""
    row = world.documents.table.rows[0].model_dump(mode="json") | {"decision": "reject"}
    return {"rows": (ValidationRow.model_validate_json(json.dumps(row)),)}


@pytest.mark.parametrize("state", [State.ERASING, State.VERIFIED, State.VALIDATED])
def test_what_was_dispatched_is_judged_and_certified_by_the_table_that_its_order_names(
    world_in: Callable[[State], Any], state: State
) -> None:
    world = world_in(state)
    first = world.documents.table_digest
    world.sign_table(**nothing_accepted(world))
    world.run()
    assert world.state is State.RELEASED
    bundle = bundle_of(world)
    found = verify(bundle, world.documents.trust, world.documents.policy)
    assert found.order.plan.validation_digest == first
    assert first != world.documents.table_digest


@pytest.mark.parametrize("state", [State.PLANNED, State.APPROVED, State.INTENDED])
def test_a_plan_that_was_not_dispatched_is_made_anew_under_the_new_table(
    world_in: Callable[[State], Any], state: State
) -> None:
    world = world_in(state)
    world.sign_table(**nothing_accepted(world))
    second = world.documents.table_digest
    reaches(world, State.NEEDS_OPERATOR)
    assert world.deprovision.operator_code == Code.VALIDATION_REJECTED.value
    with world.program.store.snapshot() as tx:
        plan = cases.load(tx, world.key).plan
    assert plan is not None
    assert json.loads(plan.text)["validation_digest"] == second


def test_approvals_of_a_plan_under_the_old_table_are_void(waiting: Any) -> None:
    waiting.people.request(by=waiting.alice)
    old = waiting.people.case.plan.digest
    waiting.world.sign_table()
    object.__setattr__(waiting.people, "program", waiting.world.program)

    def is_planned_anew(world: Any) -> bool:
        return world.state is State.PLANNED and waiting.people.case.plan.digest != old

    waiting.world.run(until=is_planned_anew)
    assert is_planned_anew(waiting.world)
    refused = waiting.refused(lambda: waiting.people.approve(by=waiting.bob, plan_digest=old))
    assert refused == "PLAN_NOT_PRESENT"
    for _ in range(12):
        waiting.world.step(lambda world: False)
    assert waiting.world.state is State.PLANNED
    assert waiting.world.drive_text_count() > 0


def test_without_the_table_that_its_order_names_nothing_is_judged(world_in: Callable[[State], Any]) -> None:
    world = world_in(State.ERASING)
    world.sign_table()
    world.documents = replace(world.documents, earlier_tables=())
    world.close()
    reaches(world, State.NEEDS_OPERATOR)
    assert world.deprovision.operator_code == Code.TABLE_NOT_KEPT.value
    with world.program.store.snapshot() as tx:
        assert outcomes.of_deprovision(tx, world.key) == ()


# --- two controllers on one store ---------------------------------------------------------------------------


@pytest.fixture
def beside(world_in: Callable[[State], Any]) -> Callable[[State], tuple[Any, Any, Any]]:
    """beside(state): a world, the program that it began under, and one on the same store that was started
    later, under the next table.
    """

    def start(state: State) -> tuple[Any, Any, Any]:
        world = world_in(state)
        older, first = world.program, world.documents
        take_up_table(older)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(world, "close", lambda: None)
            patched.setattr(world, "_program", None)
            world.sign_table()
            newer = replace(world.program, store=older.store)
            world.documents = first
        return world, older, newer

    return start


def steps(program: Any, key: Any) -> None:
    """As a worker takes them, until it rests."""
    for _ in range(20):
        if take_step(program, key, owner="test").is_rest:
            return


@pytest.mark.parametrize("state", [State.STAGED, State.PLANNED, State.APPROVED, State.INTENDED])
def test_a_controller_under_an_older_table_than_the_stores_newest_plans_orders_and_dispatches_nothing(
    beside: Callable[[State], tuple[Any, Any, Any]], state: State
) -> None:
    world, older, _ = beside(state)
    key = world.key
    with pytest.raises(Refused) as caught:
        steps(older, key)
    assert caught.value.code is Code.TABLE_SUPERSEDED
    assert "version 1" in caught.value.reason
    assert "version 2" in caught.value.reason
    assert world.state is state
    with older.store.snapshot() as tx:
        case = cases.load(tx, key)
    assert (case.plan is None) is (state is State.STAGED)
    assert (case.order is None) is (state is not State.INTENDED)
    assert case.order is None or case.order.dispatched_at is None
    assert world.drive_text_count() > 0


def test_no_plan_is_kept_that_was_made_while_a_newer_table_was_taken_up(
    beside: Callable[[State], tuple[Any, Any, Any]],
) -> None:
    """The table changed between the decision to plan and the plan."""
    world, older, _ = beside(State.STAGED)
    with older.store.snapshot() as tx:
        case = cases.load(tx, world.key)
    assert refused(lambda: make_plan.perform(older, case)) is Code.TABLE_SUPERSEDED
    with older.store.snapshot() as tx:
        assert cases.load(tx, world.key).plan is None


def test_the_controller_under_the_newest_table_goes_on_alone(
    beside: Callable[[State], tuple[Any, Any, Any]],
) -> None:
    world, older, newer = beside(State.PLANNED)
    with pytest.raises(Refused):
        steps(older, world.key)
    world.documents, world._program = newer.documents, newer
    world.run()
    assert world.state is State.RELEASED
    assert bundle_of(world).validation == newer.documents.table_file.decode()


def test_a_controller_under_an_older_table_still_gives_a_host_back(
    beside: Callable[[State], tuple[Any, Any, Any]],
) -> None:
    """Nobody else may be there, and a customer who came back waits for nobody's table."""
    world, _, _ = beside(State.APPROVED)
    world.renew()
    world.run()
    assert (world.state, world.switch.is_cut) == (State.CANCELLED, False)


def test_a_home_without_its_tables_is_refused(founded: Any) -> None:
    founded.home.validation_table.unlink()
    assert refused(lambda: read_documents(founded.home)) is CertificateCode.FILE_UNREADABLE
    assert not Path(founded.home.validation_table).exists()
