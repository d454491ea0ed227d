"""What blocks a host from being deprovisioned is found before anybody ends anything."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import update

from certificate.identifiers import DriveId
from certificate.statements.vocabulary import HostFactKind
from controller import intake
from controller.facts import Disposition
from controller.records.gaps import TOLD_OF_A_NOTICE, Gap, gaps_of
from controller.states import State
from controller.store import departures, hosts, sightings
from controller.store.departures import CustodyWords
from controller.store.hosts import DriveBasis, HostFact
from controller.store.sightings import Provenance

WORDS = CustodyWords(removed_by="Ada", why="dead", seal="1", place="safe")


def gaps(world: Any) -> dict[str, Gap]:
    with world.program.store.snapshot() as tx:
        (host, *_) = hosts.all_hosts(tx)
        found = gaps_of(tx, world.program, host, now=world.now())
    assert len({(gap.code, gap.reason) for gap in found}) == len(found)
    return {gap.code.value: gap for gap in found}


def change_host(world: Any, **values: Any) -> None:
    with world.program.store.transaction() as tx:
        tx.execute(update(hosts.host).values(values))


def write(world: Any, statement: str) -> None:
    with sqlite3.connect(world.billing.path) as database:
        database.execute(statement)
    database.close()


def was_seen(world: Any, *, drives: tuple[str, ...] = ("SABOTAGE1",), **facts: str) -> None:
    with world.program.store.transaction() as tx:
        (host,) = hosts.all_hosts(tx)
        sightings.record(
            tx,
            host.id,
            provenance=Provenance.SEEN_IN_TRUSTED_BOOT,
            facts=tuple(HostFact(kind=HostFactKind(kind), value=value) for kind, value in facts.items()),
            drives=drives,
            now=world.now(),
        )


@pytest.fixture
def learnt(world: Any) -> Any:
    world._beat()
    intake.learn(world.program)
    return world


def test_a_host_that_could_go_has_no_blocking_gap(learnt: Any) -> None:
    assert {code: gap.is_blocking for code, gap in gaps(learnt).items()} == {"HOST_NEVER_SEEN": False}


def test_a_host_that_went_was_seen_and_has_no_gap_at_all(learnt: Any) -> None:
    learnt.end_subscription()
    learnt.run()
    assert learnt.state is State.RELEASED
    assert gaps(learnt) == {}


def without_drives(world: Any) -> None:
    with world.program.store.transaction() as tx:
        tx.execute(hosts.drive.delete())


def with_two_facts(world: Any) -> None:
    with world.program.store.transaction() as tx:
        tx.execute(hosts.host_fact.delete().where(hosts.host_fact.c.kind == "dmi_uuid"))


def with_a_placeholder(world: Any) -> None:
    with world.program.store.transaction() as tx:
        tx.execute(
            update(hosts.host_fact).where(hosts.host_fact.c.kind == "dmi_uuid").values(value="Not Specified")
        )


def with_a_wrong_parameter(world: Any) -> None:
    change_host(world, boot_parameters={"port": "-rf"}, quarantine_parameters={"port": "-rf"})
    with_commands(world, isolate=("cut", "{port}"))


def with_commands(world: Any, **commands: tuple[str, ...]) -> None:
    configuration = world.program.configuration
    quarantine = configuration.quarantine.model_copy(update=commands)
    changed = configuration.model_copy(update={"quarantine": quarantine})
    world._program = replace(world.program, configuration=changed)


def learn_again(world: Any, statement: str) -> None:
    write(world, statement)
    later = world.program.clock() + 2 * intake.LEARN_EVERY
    world._skip_to(later)
    world._beat()
    intake.learn(world.program)


def subscription_unknown(world: Any) -> None:
    from controller.observe import source
    from controller.store import tenancies

    write(world, "UPDATE contract SET status = 'strange'")
    with world.program.store.snapshot() as tx:
        (host,) = hosts.all_hosts(tx)
        (tenancy,) = tenancies.of_host(tx, host.id)
    source.subscription(world.program, tenancy)


SPOILT: dict[str, tuple[str, Callable[[Any], None], str]] = {
    "no drives": ("DRIVES_UNKNOWN", without_drives, "no drive"),
    "two facts": ("IDENTITY_UNPROVEN", with_two_facts, "2 facts"),
    "a placeholder": ("IDENTITY_UNPROVEN", with_a_placeholder, "many boards"),
    "unknown": (
        "DISPOSITION_REFUSES",
        lambda world: change_host(world, disposition=Disposition.UNKNOWN),
        "nobody said",
    ),
    "stock": (
        "DISPOSITION_UNDECLARED",
        lambda world: change_host(world, disposition=Disposition.STOCK),
        "0 of 2",
    ),
    "a data class": (
        "NO_VALIDATION_RULE",
        lambda world: change_host(world, data_class="secret"),
        "'secret'",
    ),
    "a placeholder of a command": (
        "PLACEHOLDER_UNKNOWN",
        lambda world: with_commands(world, read_back=("look", "{port}")),
        "quarantine.read_back",
    ),
    "a wrong parameter": ("PARAMETER_INVALID", with_a_wrong_parameter, "quarantine.isolate"),
    "an incomplete list": (
        "TENANCY_LIST_UNKNOWN",
        lambda world: learn_again(world, "INSERT INTO placement VALUES ('', 'sub-1', '', NULL)"),
        "name no host",
    ),
    "a tenancy no longer listed": (
        "TENANCY_LIST_DIFFERS",
        lambda world: learn_again(world, "UPDATE placement SET server = 'host-9'"),
        "no longer listed",
    ),
    "an unknown subscription": ("TENANCY_UNKNOWN", subscription_unknown, "unknown to the source"),
    "a contradiction": (
        "FACT_CONTRADICTED",
        lambda world: was_seen(world, chassis_serial="CH9"),
        "'CH9' was seen",
    ),
    "an unexpected drive": (
        "DRIVES_DIFFER",
        lambda world: was_seen(world, drives=("SABOTAGE1", "S2")),
        "seen, and not on record: S2",
    ),
    "a drive that was not seen": (
        "DRIVES_DIFFER",
        lambda world: was_seen(world, drives=(), chassis_serial="CH1"),
        "on record, and not seen: SABOTAGE1",
    ),
}


@pytest.mark.parametrize(("code", "spoil", "words"), SPOILT.values(), ids=SPOILT.keys())
def test_each_gap_is_named_with_its_code(
    learnt: Any, code: str, spoil: Callable[[Any], None], words: str
) -> None:
    spoil(learnt)
    found = gaps(learnt)
    assert words in found[code].reason
    assert found[code].code.remedy


def test_a_host_whose_list_nobody_asked_for_is_blocked(world: Any) -> None:
    assert "not listed" in gaps(world)["TENANCY_LIST_UNKNOWN"].reason


def test_a_value_that_two_hosts_claim_counts_for_neither(learnt: Any) -> None:
    with learnt.program.store.transaction() as tx:
        (host,) = hosts.all_hosts(tx)
        other = replace(host, id=type(host.id)("hst_" + "f" * 32), asset_tag="host-2")
        shared = HostFact(kind=HostFactKind.CHASSIS_SERIAL, value="CH1")
        hosts.register(tx, other, facts=(shared,), now=learnt.now())
    found = gaps(learnt)
    assert "on record for 2 hosts" in found["FACT_SHARED"].reason
    assert "2 facts on record" in found["IDENTITY_UNPROVEN"].reason


def test_a_drive_that_was_replaced_since_is_no_gap(learnt: Any) -> None:
    was_seen(learnt)
    with learnt.program.store.transaction() as tx:
        (host,) = hosts.all_hosts(tx)
        (drive,) = hosts.drives_of(tx, host.id)
        new = hosts.record_drive(
            tx,
            id=DriveId.from_random(secrets.token_bytes(16)),
            host_id=host.id,
            serial="S2",
            salt=secrets.token_bytes(32),
            basis=DriveBasis.DECLARED,
            model=None,
            capacity_bytes=None,
            now=learnt.now(),
        )
        departures.register(
            tx,
            drive.id,
            tenancies=(),
            decisions=(),
            replaced_by=new.id,
            words=WORDS,
            master_key=learnt.keys.private_text_key,
            random_bytes=secrets.token_bytes,
            now=learnt.now(),
        )
    assert gaps(learnt) == {}


def test_only_the_newest_look_counts(learnt: Any) -> None:
    was_seen(learnt, drives=("SABOTAGE1", "S2"), chassis_serial="CH9")
    was_seen(learnt, chassis_serial="CH1")
    assert gaps(learnt) == {}


def test_what_a_notices_command_is_told_is_known_here(learnt: Any) -> None:
    """The names that `effects.notify` fills in beside the host's own."""
    from pathlib import Path

    from controller.effects import notify

    text = Path(notify.__file__).read_text()
    assert all(f'"{name}":' in text for name in TOLD_OF_A_NOTICE)
