"""Another tenancy touches the host, or may: real store, real agent, a billing database that changes its mind.

In each case the drive must keep what the tenant left on it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from certificate.messages import Execute
from controller.errors import Code
from controller.sources import TenancyListAnswer
from controller.sources.agreeing import AgreeingSource, NamedSource
from controller.sources.simulated import SimulatedBilling
from controller.states import State

#: The first and the last state in which nothing irreversible was begun.
BEFORE = (State.QUARANTINED, State.INTENDED)
#: Twice the age up to which an answer counts: whatever was asked before is worth nothing by then.
LONG_ENOUGH = timedelta(seconds=61)


def write(world: Any, *statements: str) -> None:
    """What the billing system does, each statement with {now} and {before} in the place of an instant."""
    now = world.now()
    instants = {"now": now, "before": now - timedelta(days=40)}
    texts = {name: at.strftime("%Y-%m-%dT%H:%M:%SZ") for name, at in instants.items()}
    with sqlite3.connect(world.billing.path, timeout=10) as database:
        for statement in statements:
            database.execute(statement.format(**texts))
    database.close()


def live_on(world: Any, time: timedelta = LONG_ENOUGH) -> None:
    """Time passes: everything that moves by itself moves."""
    ends_at = world.now() + time
    world.run(until=lambda world: world.now() >= ends_at)


def survives(world: Any, *, code: Code | None = None) -> None:
    """The tenant's text is there, nobody was told to destroy it, and the reason is what people see."""
    assert world.drive_text_count() == world.text_at_first > 0
    assert not any(isinstance(request, Execute) for request in world.requests)
    if code is not None:
        assert code.value in (world.deprovision.wait_reason or ""), world.deprovision


@pytest.fixture
def let(world: Any) -> Any:
    """A provider whose one customer is about to leave."""
    world.text_at_first = world.drive_text_count()
    return world


@pytest.fixture(params=BEFORE, ids=str)
def leaving(request: pytest.FixtureRequest, let: Any) -> Any:
    """The same, on the way out, in each state from which there is a way back."""
    let.end_subscription()
    let.run(until=lambda world: world.state is request.param)
    assert let.state is request.param
    return let


def test_nothing_stands_in_the_way_of_these_worlds_but_what_each_case_adds(let: Any) -> None:
    let.end_subscription()
    let.run()
    assert let.state is State.RELEASED
    assert let.drive_text_count() == 0


# --- an upgrade on the same host ----------------------------------------------------------------------------

UPGRADE = (
    "INSERT INTO contract VALUES ('sub-2', 'active', '{now}')",
    "INSERT INTO placement VALUES ('host-1', 'sub-2', '{now}', NULL)",
)


def test_an_upgrade_on_the_same_host_begins_nothing(let: Any) -> None:
    let.end_subscription()
    write(let, *UPGRADE)
    live_on(let)
    assert let.deprovision is None
    assert not let.switch.is_cut
    survives(let)


def test_an_upgrade_on_the_same_host_while_it_leaves_stops_it(leaving: Any) -> None:
    """A person is called at once: somebody rents a machine that is cut off, or about to be."""
    write(leaving, *UPGRADE)
    live_on(leaving)
    assert leaving.state is State.NEEDS_OPERATOR
    assert "let again" in (leaving.deprovision.operator_reason or "")
    survives(leaving)


@pytest.mark.parametrize("state", ["pending", "unclear"])
def test_an_order_for_later_on_the_same_host_stops_it_too(leaving: Any, state: str) -> None:
    write(leaving, *(statement.replace("active", state) for statement in UPGRADE))
    live_on(leaving)
    survives(leaving)
    assert leaving.state not in {State.ERASING, State.RELEASED}


def test_a_host_let_again_in_its_grace_is_a_persons_matter_at_once(let: Any) -> None:
    configuration = let.program.configuration
    lifecycle = configuration.lifecycle.model_copy(update={"grace": timedelta(days=7)})
    changed = configuration.model_copy(update={"lifecycle": lifecycle})
    let._program = replace(let.program, configuration=changed)
    let.end_subscription()
    live_on(let, timedelta(minutes=1))
    assert let.state is State.SCHEDULED
    write(let, *UPGRADE)
    live_on(let, timedelta(minutes=12))
    assert let.state is State.NEEDS_OPERATOR
    assert "let again" in (let.deprovision.operator_reason or "")
    assert not let.switch.is_cut
    survives(let)


# --- the owner changes --------------------------------------------------------------------------------------

#: The host goes on under another subscription from the day on which the first one ended.
HANDED_OVER = (
    "UPDATE placement SET until = '{now}' WHERE contract = 'sub-1'",
    *UPGRADE,
)
#: The source writes the new owner over the old one.
WRITTEN_OVER = (
    "INSERT INTO contract VALUES ('sub-2', 'active', '{now}')",
    "UPDATE placement SET contract = 'sub-2' WHERE contract = 'sub-1'",
)


@pytest.mark.parametrize("transfer", [HANDED_OVER, WRITTEN_OVER], ids=["handed-over", "written-over"])
def test_an_owner_transfer_begins_nothing(let: Any, transfer: tuple[str, ...]) -> None:
    let.end_subscription()
    write(let, *transfer)
    live_on(let)
    assert let.deprovision is None
    survives(let)


@pytest.mark.parametrize("transfer", [HANDED_OVER, WRITTEN_OVER], ids=["handed-over", "written-over"])
def test_an_owner_transfer_while_the_host_leaves_stops_it(leaving: Any, transfer: tuple[str, ...]) -> None:
    write(leaving, *transfer)
    live_on(leaving)
    survives(leaving)
    assert leaving.state not in {State.ERASING, State.RELEASED}


# --- the chassis is swapped ---------------------------------------------------------------------------------


def test_a_chassis_swap_that_moves_the_tenancy_to_another_host_stops_the_old_one(leaving: Any) -> None:
    write(leaving, "UPDATE placement SET server = 'host-9' WHERE contract = 'sub-1'")
    live_on(leaving)
    survives(leaving, code=Code.TENANCY_NONE_KNOWN)


def test_a_chassis_swap_under_the_same_name_is_another_machine(let: Any) -> None:
    other = {"chassis_serial": "CH9", "board_serial": "BD9", "dmi_uuid": "b9" * 16}
    (let.machine.folder / "facts.json").write_text(json.dumps(other))
    let.end_subscription()
    live_on(let)
    assert let.state is State.STAGED
    survives(let, code=Code.IDENTITY_UNPROVEN)


def test_one_fact_of_another_machine_is_enough_to_stop(let: Any) -> None:
    other = {"chassis_serial": "CH1", "board_serial": "BD1", "dmi_uuid": "a1" * 16, "tpm_ek": "t1"}
    (let.machine.folder / "facts.json").write_text(json.dumps(other | {"board_serial": "BD9"}))
    let.end_subscription()
    live_on(let)
    survives(let)
    assert let.state is State.STAGED


# --- the list -----------------------------------------------------------------------------------------------


def test_a_list_with_a_row_that_cannot_be_read_is_not_complete(leaving: Any) -> None:
    write(leaving, "INSERT INTO placement VALUES ('host-1', 'sub-1', '{now}', '{before}')")
    live_on(leaving)
    survives(leaving, code=Code.TENANCY_LIST_UNKNOWN)


def test_a_list_beside_a_tenancy_without_a_host_is_not_complete(leaving: Any) -> None:
    write(leaving, "INSERT INTO placement VALUES ('', 'sub-1', '{now}', NULL)")
    live_on(leaving)
    survives(leaving, code=Code.TENANCY_LIST_UNKNOWN)


class Slow:
    """A source whose list takes so long that it is old when it arrives."""

    def __init__(self, world: Any) -> None:
        self._world = world
        self._source = world.program.source

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def tenancies(self, host: str) -> TenancyListAnswer:
        said: TenancyListAnswer = self._source.tenancies(host)
        self._world._skip_to(self._world.now() + timedelta(seconds=31))
        self._world._beat()
        return said


def test_a_list_that_is_old_when_it_arrives_is_not_fresh(let: Any) -> None:
    let._program = replace(let.program, source=Slow(let))
    let.end_subscription()
    live_on(let)
    survives(let, code=Code.TENANCY_LIST_UNKNOWN)


# --- sources that disagree ----------------------------------------------------------------------------------


def confirmed_by(world: Any, second: SimulatedBilling) -> None:
    """From now on this source has to confirm what the billing database says."""
    both = (NamedSource(name="billing", source=world.program.source), NamedSource(name="crm", source=second))
    world._program = replace(world.program, source=AgreeingSource(sources=both, clock=world.now))


def crm(world: Any) -> SimulatedBilling:
    source = SimulatedBilling(clock=world.now)
    source.let("host-1", "sub-1", starts_at=datetime(2025, 11, 1, tzinfo=UTC))
    return source


def also_let(source: SimulatedBilling) -> None:
    source.end("sub-1")
    source.let("host-1", "sub-2", starts_at=datetime(2025, 12, 1, tzinfo=UTC))


DISAGREEMENTS: dict[str, Callable[[SimulatedBilling], None]] = {
    "active": lambda source: source.renew("sub-1"),
    "pending": lambda source: source.says("sub-1", "pending"),
    "a word that is no state": lambda source: source.says("sub-1", "terminated"),
    "nothing at all": lambda source: source.forget("sub-1"),
    "no answer": lambda source: source.breaks(),
    "another list": also_let,
}


@pytest.mark.parametrize("disagree", DISAGREEMENTS.values(), ids=DISAGREEMENTS.keys())
def test_sources_that_disagree_from_the_start_begin_nothing_that_ends(
    let: Any, disagree: Callable[[SimulatedBilling], None]
) -> None:
    second = crm(let)
    disagree(second)
    confirmed_by(let, second)
    let.end_subscription()
    live_on(let)
    assert let.state in {None, State.SCHEDULED}
    survives(let)


@pytest.mark.parametrize("disagree", DISAGREEMENTS.values(), ids=DISAGREEMENTS.keys())
def test_sources_that_begin_to_disagree_stop_what_was_begun(
    let: Any, disagree: Callable[[SimulatedBilling], None]
) -> None:
    second = crm(let)
    second.end("sub-1")
    confirmed_by(let, second)
    let.end_subscription()
    let.run(until=lambda world: world.state is State.INTENDED)
    assert let.state is State.INTENDED
    disagree(second)
    live_on(let)
    survives(let)
    assert let.state not in {State.ERASING, State.RELEASED}


def test_sources_that_agree_let_the_host_go(let: Any) -> None:
    second = crm(let)
    second.end("sub-1")
    confirmed_by(let, second)
    let.end_subscription()
    let.run()
    assert let.state is State.RELEASED
    assert let.drive_text_count() == 0
