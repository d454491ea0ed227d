"""What a source says, and what is on record: hazards 1 to 4, 8 to 10 and 18 on the real code."""

from __future__ import annotations

import csv
import io
import itertools
import json
import secrets
import sqlite3
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certificate.errors import Malformed, Refused
from certificate.identifiers import (
    DeprovisionId,
    DriveId,
    HostId,
    Identifier,
    OrderId,
    OutcomeId,
    TenancyId,
)
from certificate.messages import Execute
from controller import intake
from controller.configuration import parse_configuration
from controller.errors import Code
from controller.records.host_file import REQUIRED_COLUMNS, read_hosts
from controller.spool import HintEvent
from controller.states import State
from controller.store import deprovisions, hints, hosts, tenancies
from controller.store.columns import IdentifierType

KINDS: tuple[type[Identifier], ...] = (DeprovisionId, DriveId, HostId, OrderId, OutcomeId, TenancyId)
LATER = (
    "INSERT INTO contract VALUES ('sub-2', 'active', '{now}')",
    "INSERT INTO placement VALUES ('host-1', 'sub-2', '{now}', NULL)",
)


def write(world: Any, *statements: str) -> None:
    now = world.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    with sqlite3.connect(world.billing.path, timeout=10) as database:
        for statement in statements:
            database.execute(statement.format(now=now))
    database.close()


def live_on(world: Any) -> None:
    ends_at = world.now() + timedelta(minutes=2)
    world.run(until=lambda world: world.now() >= ends_at)


def hint(world: Any, event: HintEvent, event_id: str = "") -> None:
    program = world.program
    with program.store.transaction() as tx:
        hints.receive(
            tx,
            source="test",
            event_id=event_id or secrets.token_hex(8),
            event=event,
            subscription_ref=program.pseudonyms.subscription("sub-1"),
            now=world.now(),
        )


def was_told_to_erase(world: Any) -> bool:
    return any(isinstance(request, Execute) for request in world.requests)


# --- 1 ------------------------------------------------------------------------------------------------------

NOTHING_TO_SEE = {
    "no rows at all": ("DELETE FROM placement", "DELETE FROM contract"),
    "no tenancies": ("DELETE FROM placement",),
    "no subscriptions": ("DELETE FROM contract",),
    "its record is gone": (
        "INSERT INTO contract VALUES ('sub-9', 'active', '{now}')",
        "UPDATE placement SET contract = 'sub-9'",
        "DELETE FROM contract WHERE number = 'sub-1'",
    ),
    "a list cut short": (
        "DROP VIEW expunge_tenancy",
        "CREATE VIEW expunge_tenancy AS SELECT 1 AS host LIMIT 0",
    ),
    "no view": ("DROP VIEW expunge_subscription",),
    "no sign of life": ("DELETE FROM pulse",),
}


@pytest.mark.parametrize("statements", NOTHING_TO_SEE.values(), ids=NOTHING_TO_SEE.keys())
def test_hazard_01_an_empty_answer_is_never_an_end(world: Any, statements: tuple[str, ...]) -> None:
    intake.learn(world.program)
    write(world, *statements)
    for _ in range(3):
        hint(world, HintEvent.ENDED)
        intake.take_hints(world.program)
        intake.poll(world.program)
    assert world.deprovision is None


# --- 2 ------------------------------------------------------------------------------------------------------


@given(data=st.data(), bits=st.binary(min_size=16, max_size=16))
def test_hazard_02_an_identifier_of_one_kind_is_refused_where_another_is_expected(
    data: st.DataObject, bits: bytes
) -> None:
    kind = data.draw(st.sampled_from(KINDS))
    expected = data.draw(st.sampled_from([each for each in KINDS if each is not kind]))
    identifier = kind.from_random(bits)
    with pytest.raises(Malformed):
        expected.parse(identifier)
    with pytest.raises(TypeError):
        IdentifierType(expected).process_bind_param(identifier, None)  # type: ignore[arg-type]


def test_hazard_02_the_store_answers_no_question_about_another_kind(world: Any) -> None:
    with world.program.store.snapshot() as tx:
        (host,) = hosts.all_hosts(tx)
        bare = host.id.removeprefix("hst_")
        for wrong in (DeprovisionId(f"dep_{bare}"), TenancyId(f"ten_{bare}")):
            with pytest.raises(Exception, match="expected a HostId"):
                hosts.load(tx, wrong)  # type: ignore[arg-type]


# --- 3 ------------------------------------------------------------------------------------------------------


def test_hazard_03_a_blank_end_in_the_billing_ends_nothing(world: Any) -> None:
    write(world, "UPDATE placement SET until = NULL", "UPDATE contract SET status = ''")
    intake.learn(world.program)
    hint(world, HintEvent.ENDED)
    intake.take_hints(world.program)
    assert world.deprovision is None


def test_hazard_03_a_date_that_passed_ends_nothing(world: Any) -> None:
    write(world, "UPDATE placement SET until = '2025-12-01T00:00:00Z'")
    intake.learn(world.program)
    hint(world, HintEvent.ENDED)
    intake.take_hints(world.program)
    assert world.deprovision is None


@pytest.mark.parametrize("name", ["grace", "dwell"])
@pytest.mark.parametrize("how", ["missing", "blank"])
def test_hazard_03_no_waiting_time_has_a_default(provider: Any, name: str, how: str) -> None:
    text = provider.CONFIGURATION.format(billing="/nowhere")
    line = f'{name} = "PT0S"\n'
    assert line in text
    with pytest.raises(Refused) as refused:
        parse_configuration(text.replace(line, "" if how == "missing" else f'{name} = ""\n').encode())
    assert refused.value.code is Code.CONFIGURATION_INVALID


@pytest.mark.parametrize("column", sorted(set(REQUIRED_COLUMNS) - {"customer", "drives"}))
def test_hazard_03_a_blank_cell_of_an_import_is_refused(column: str) -> None:
    row = dict.fromkeys(REQUIRED_COLUMNS, "x") | {"disposition": "rented", "address": "h:22", "drives": ""}
    file = io.StringIO()
    csv.writer(file).writerows([row.keys(), (row | {column: ""}).values()])
    with pytest.raises(Refused, match="is blank, and nothing stands for it"):
        read_hosts(file.getvalue())


# --- 4 ------------------------------------------------------------------------------------------------------

OWN_FACTS = {"chassis_serial": "CH1", "board_serial": "BD1", "dmi_uuid": "a1" * 16}


@pytest.mark.parametrize("count", [1, 2, 3])
def test_hazard_04_a_swapped_cable_reaches_a_machine_that_is_not_wiped(world: Any, count: int) -> None:
    """The boot reached another machine: some or all of its signs are another's."""
    other = {kind: f"other {kind}" for kind in list(OWN_FACTS)[:count]}
    (world.machine.folder / "facts.json").write_text(json.dumps(OWN_FACTS | other))
    text = world.drive_text_count()
    world.end_subscription()
    live_on(world)
    assert world.state is State.STAGED
    assert "IDENTITY_" in (world.deprovision.wait_reason or "")
    assert not was_told_to_erase(world)
    assert world.drive_text_count() == text > 0


# --- 8 ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_told", [True, False], ids=["with-a-hint", "silently"])
@pytest.mark.parametrize("state", [State.QUARANTINED, State.STAGED, State.INTENDED], ids=str)
def test_hazard_08_a_customer_who_pays_while_we_wait_keeps_machine_and_network(
    world_in: Any, state: State, is_told: bool
) -> None:
    world = world_in(state)
    text = world.drive_text_count()
    (world.renew if is_told else world.renew_silently)()
    world.run()
    assert world.state is State.CANCELLED
    assert not world.switch.is_cut
    assert not was_told_to_erase(world)
    assert world.drive_text_count() == text > 0


# --- 9 ------------------------------------------------------------------------------------------------------

SAYS = {
    "active": "UPDATE contract SET status = 'active', updated = '{now}'",
    "ended": "UPDATE contract SET status = 'ended', updated = '{now}'",
}
STORIES = list(itertools.permutations([HintEvent.ENDED, HintEvent.RENEWED, HintEvent.ENDED]))


@pytest.mark.parametrize("status", ["active", "ended"])
@pytest.mark.parametrize("heard", [*sorted(set(STORIES)), (), (HintEvent.ENDED,) * 4], ids=str)
def test_hazard_09_order_replay_and_loss_of_events_decide_nothing(
    world: Any, heard: tuple[HintEvent, ...], status: str
) -> None:
    """Whatever was heard, in whatever order, once or twice: only what the source answers counts."""
    intake.learn(world.program)
    write(world, SAYS[status])
    for number, event in enumerate(heard):
        for _ in range(2):
            hint(world, event, event_id=f"event-{number}")
        intake.take_hints(world.program)
    intake.poll(world.program)
    with world.program.store.snapshot() as tx:
        begun = deprovisions.all_deprovisions(tx)
    assert len(begun) == (1 if status == "ended" else 0)


# --- 10 -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [State.QUARANTINED, State.INTENDED], ids=str)
def test_hazard_10_a_host_that_was_let_again_is_not_wiped_under_the_old_job(
    world_in: Any, state: State
) -> None:
    world = world_in(state)
    text = world.drive_text_count()
    old = world.deprovision.tenancy
    write(world, *LATER)
    live_on(world)
    assert not was_told_to_erase(world)
    assert world.drive_text_count() == text > 0
    with world.program.store.snapshot() as tx:
        of_the_host = tenancies.of_host(tx, world.deprovision.host)
        assert [row.tenancy for row in deprovisions.all_deprovisions(tx)] == [old]
    assert len(of_the_host) == 2


# --- 18 -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["one more", "another one", "none on record"])
def test_hazard_18_storage_that_nobody_expects_in_the_host_refuses_the_whole_wipe(
    world: Any, change: str
) -> None:
    """A disk of a neighbour's on a shared path shows up as one drive too many, or as another drive."""
    program = world.program
    with program.store.transaction() as tx:
        (host,) = hosts.all_hosts(tx)
        (drive,) = hosts.drives_of(tx, host.id)
        if change != "one more":
            hosts.drive_leaves(tx, drive.id, now=world.now())
        if change == "another one":
            _record(tx, host.id, "EXPECTED1", world)
    if change == "one more":
        _plant_another(world)
    text = world.drive_text_count()
    world.end_subscription()
    live_on(world)
    assert world.state is State.STAGED
    code = Code.DRIVES_UNKNOWN if change == "none on record" else Code.DRIVES_DIFFER
    assert code.value in (world.deprovision.wait_reason or "")
    assert not was_told_to_erase(world)
    assert world.drive_text_count() == text > 0


def rents_a_neighbour(world: Any, serial: str) -> HostId:
    """Another host, whose customer stays, and which has this serial on record as well."""
    write(
        world,
        "INSERT INTO contract VALUES ('sub-2', 'active', '{now}')",
        "INSERT INTO placement VALUES ('host-2', 'sub-2', '{now}', NULL)",
    )
    with world.program.store.transaction() as tx:
        (host,) = hosts.all_hosts(tx)
        other = replace(host, id=HostId.from_random(secrets.token_bytes(16)), asset_tag="host-2")
        hosts.register(tx, other, facts=(), now=world.now())
        _record(tx, other.id, serial, world)
    return other.id


def end_one_of_both(world: Any) -> None:
    """The source is of both hosts; only the first one's customer leaves."""
    write(world, "UPDATE contract SET status = 'ended', updated = '{now}' WHERE number = 'sub-1'")
    hint(world, HintEvent.ENDED)


def test_hazard_18_a_drive_that_a_rented_neighbour_has_on_record_is_not_wiped(world: Any) -> None:
    """Which of the two records is wrong, nobody knows: the drive may be the neighbour's."""
    other = rents_a_neighbour(world, "SABOTAGE1")
    text = world.drive_text_count()
    end_one_of_both(world)
    live_on(world)
    assert world.state is State.STAGED
    reason = world.deprovision.wait_reason or ""
    assert Code.DRIVE_ON_TWO_HOSTS.value in reason
    assert other in reason
    assert "SABOTAGE1" not in reason
    assert not was_told_to_erase(world)
    assert world.drive_text_count() == text > 0
    with world.program.store.transaction() as tx:
        (drive,) = hosts.drives_of(tx, other)
        hosts.drive_leaves(tx, drive.id, now=world.now())
    world.run(until=lambda world: world.state is State.RELEASED)
    assert world.state is State.RELEASED, "it was that record alone"


@pytest.mark.parametrize("step", ["dispatch", "acknowledgement"])
def test_hazard_18_a_neighbours_record_that_comes_up_late_still_holds_the_wipe_back(
    world: Any, step: str
) -> None:
    text = world.drive_text_count()

    def is_recorded(line: Any = None) -> None:
        if not recorded:
            recorded.append(rents_a_neighbour(world, "SABOTAGE1"))

    recorded: list[HostId] = []
    world.end_subscription()
    if step == "acknowledgement":
        world.on_journal_line = is_recorded
    else:
        world.run(until=lambda world: world.state is State.INTENDED)
        is_recorded()
    live_on(world)
    assert recorded
    assert world.drive_text_count() == text > 0


def _record(tx: Any, host: HostId, serial: str, world: Any) -> None:
    hosts.record_drive(
        tx,
        id=DriveId.from_random(secrets.token_bytes(16)),
        host_id=host,
        serial=serial,
        salt=secrets.token_bytes(32),
        basis=hosts.DriveBasis.DECLARED,
        model=None,
        capacity_bytes=None,
        now=world.now(),
    )


def _plant_another(world: Any) -> None:
    from agent.devices.simulated import SimulatedNvme

    SimulatedNvme.create(
        world.drive_folder.with_name("nvme1"),
        serial="NEIGHBOUR1",
        model="EXPUNGE TEST NVME",
        firmware="1.0",
        capacity_bytes=1024 * 1024,
        random=secrets.token_bytes,
        faults=(),
    )
