"""Hazards of a control plane: hijacked, doubled, upgraded, edited, fed with code; what it does not reach."""

from __future__ import annotations

import ast
import io
import os
import re
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agent import session, tokens
from agent.devices.simulated.core import DriveCore, open_media
from certificate import assurance
from certificate import envelope as dsse
from certificate.errors import Refused
from certificate.keys import PrivateKey
from certificate.messages import Execute, Refusal, SaltedMedium, read_answer
from certificate.statements import Plan
from certificate.statements import statement as statements
from certificate.statements.outcome import Outcome
from certificate.statements.statement import read_model
from controller import case as cases
from controller import knowledge, ledger_check
from controller.dispatch import working
from controller.dispatch.lease import LEASE, Lease
from controller.effects import dispatch_order
from controller.errors import AgentRefused, Code, LostRace
from controller.facts import Effect
from controller.states import State
from controller.store import deprovisions, open_store, outcomes
from controller.store.anchor import FrozenBecause

ROOT = Path(__file__).parents[2]
PACKAGES = ("certificate", "agent", "controller")


def row_of(world: Any) -> deprovisions.Deprovision:
    with world.program.store.snapshot() as tx:
        return deprovisions.load(tx, world.key)


def case_of(world: Any) -> cases.Case:
    with world.program.store.snapshot() as tx:
        return cases.load(tx, world.key)


def sanitizes_begun(world: Any) -> int:
    return DriveCore(open_media(world.drive_folder, random=os.urandom)).state().sanitizes_begun


def tokens_accepted(world: Any) -> list[str]:
    run = world.machine.run
    folders = run.tokens_folder.iterdir() if run.tokens_folder.exists() else iter(())
    return [path.name for path in folders if tokens.folder(run, path.name).record() is not None]


# --- 6: the vendor's plane hijacked -------------------------------------------------------------------------


def execute_line(world: Any) -> Execute:
    """What a dispatch of the present order would send."""
    case = case_of(world)
    return Execute(
        delivery=dispatch_order.delivery_line(world.program, case),
        host_salt=case.known.salt.hex(),
        media_salts=tuple(
            SaltedMedium(commitment=drive.commitment, salt=drive.salt.hex()) for drive in case.known.drives
        ),
    )


def signed_by(line: Execute, key: PrivateKey) -> Execute:
    payload = dsse.read(line.delivery.order.encode()).payload
    return replace(line, delivery=replace(line.delivery, order=dsse.sign(payload, key).write().decode()))


def by_a_stranger(line: Execute, world: Any) -> Execute:
    return signed_by(line, PrivateKey.generate())


def by_the_issuer(line: Execute, world: Any) -> Execute:
    """A key of the provider's, trusted for something else."""
    return signed_by(line, world.keys.issuer)


def without_its_proof(line: Execute, world: Any) -> Execute:
    return replace(line, delivery=replace(line.delivery, proof=("00" * 32,) * len(line.delivery.proof)))


def under_a_checkpoint_of_another_log(line: Execute, world: Any) -> Execute:
    from certificate.log import checkpoint

    theirs = checkpoint.sign(
        checkpoint.Checkpoint(origin=world.documents.trust.log.origin, size=1, root=b"\0" * 32),
        PrivateKey.generate(),
    )
    return replace(line, delivery=replace(line.delivery, checkpoint=theirs.decode()))


@pytest.mark.parametrize(
    "hijack", [by_a_stranger, by_the_issuer, without_its_proof, under_a_checkpoint_of_another_log]
)
def test_hazard_06_whoever_reaches_the_agents_cannot_wipe_without_order_key_and_log(
    world_in: Callable[[State], Any], hijack: Callable[[Execute, Any], Execute]
) -> None:
    """A hijacked channel carries lines; it signs nothing. What an MDM adds comes with the Macs."""
    world = world_in(State.INTENDED)
    answers = io.BytesIO()
    request = io.BytesIO(hijack(execute_line(world), world).write())
    session.serve(world.machine.run, request=request, answers=answers, launcher=world._launch)
    (answer,) = [read_answer(line) for line in answers.getvalue().splitlines()]
    assert isinstance(answer, Refusal)
    assert tokens_accepted(world) == []
    assert sanitizes_begun(world) == 0
    assert world.drive_text_count() == 8


# --- 14: two controllers ------------------------------------------------------------------------------------

LOST_THE_LEASE, REFUSED_BY_THE_AGENT, SENT = 10, 11, 12


def a_controller_that_stops_before_it_sends(world: Any, *, asks_for_its_lease: bool) -> int:
    """Its process id; it has committed the dispatch, and is stopped before the first byte."""
    world.close()
    child = os.fork()
    if child:
        _, status = os.waitpid(child, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        return child
    code = 1
    try:
        require_held = Lease.require_held

        def stopped(self: Lease) -> None:
            os.kill(os.getpid(), signal.SIGSTOP)
            if asks_for_its_lease:
                require_held(self)

        perform = working.perform

        def stop_at_dispatch(program: Any, case: Any, effect: Effect, *, lease: Lease) -> None:
            nonlocal code
            if effect is Effect.DISPATCH:
                Lease.require_held = stopped  # type: ignore[method-assign]
            try:
                perform(program, case, effect, lease=lease)
            except LostRace:
                code = LOST_THE_LEASE
            except AgentRefused:
                code = REFUSED_BY_THE_AGENT
            else:
                code = SENT
            if effect is Effect.DISPATCH:
                os._exit(code)

        working.perform = stop_at_dispatch
        world.run()
    finally:
        os._exit(code)


@pytest.mark.parametrize(
    ("asks_for_its_lease", "end"),
    [(True, LOST_THE_LEASE), (False, REFUSED_BY_THE_AGENT)],
    ids=["its lease refuses", "without that, the agent refuses"],
)
def test_hazard_14_a_controller_that_wakes_after_another_took_over_sends_nothing_that_is_obeyed(
    world_in: Callable[[State], Any], asks_for_its_lease: bool, end: int
) -> None:
    world = world_in(State.INTENDED)
    sleeper = a_controller_that_stops_before_it_sends(world, asks_for_its_lease=asks_for_its_lease)
    try:
        assert world.state is State.ERASING
        world._skip_to(world.now() + LEASE + timedelta(seconds=1))
        world.run()
        assert world.state is State.NEEDS_OPERATOR, "its successor asked, and the agent gave the token up"
    finally:
        os.kill(sleeper, signal.SIGCONT)
        _, status = os.waitpid(sleeper, 0)
    assert os.waitstatus_to_exitcode(status) == end
    assert tokens_accepted(world) == []
    assert sanitizes_begun(world) == 0
    assert world.drive_text_count() == 8


# --- 15: an upgrade strands or alters work in flight --------------------------------------------------------


def test_hazard_15_a_store_of_another_schema_is_refused_and_not_migrated_by_opening(
    world_in: Callable[[State], Any],
) -> None:
    world = world_in(State.STAGED)
    world.close()
    path = world.folder / "expunge.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(Refused) as refused:
        open_store(path)
    assert refused.value.code is Code.STORE_FOREIGN


def new_policy(world: Any) -> Any:
    """The same provider after it changed its policy."""
    former = world.program.configuration
    lifecycle = former.lifecycle.model_dump() | {"version": former.policy_version + 1}
    changed = type(former.lifecycle)(**lifecycle)
    fields = {name: getattr(former, name) for name in type(former).model_fields}
    fields.pop("format")
    return type(former)(**(fields | {"schema": 1, "lifecycle": changed}))


@pytest.mark.parametrize("state", [State.SCHEDULED, State.STAGED, State.APPROVED, State.INTENDED])
def test_hazard_15_work_in_flight_keeps_the_policy_under_which_it_began(
    world_in: Callable[[State], Any], state: State
) -> None:
    """A new process with a new policy goes on from the rows: nothing is stranded, nothing altered."""
    world = world_in(state)
    before, changed = row_of(world), new_policy(world)
    assert changed.policy_digest != before.policy_digest
    world.close()
    world._program = replace(world._open(), configuration=changed)
    world.run()
    after = row_of(world)
    assert world.state is State.RELEASED
    pinned = ("policy_version", "policy_digest", "grace_until", "dwell_seconds")
    assert all(getattr(after, name) == getattr(before, name) for name in pinned)
    plan = case_of(world).plan
    assert plan is not None
    assert read_model(plan.text, Plan, what="plan").policy_digest == before.policy_digest


# --- 22: the audit edited -----------------------------------------------------------------------------------


def edit(world: Any, *statements: str) -> None:
    """As whoever owns the file: triggers prevent nobody who can drop them."""
    world.close()
    with closing(sqlite3.connect(world.folder / "expunge.db")) as database, database:
        triggers = database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in triggers:
            database.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            assert database.execute(statement).rowcount, statement


def checked(world: Any) -> None:
    with world.program.store.snapshot() as tx:
        ledger_check.checked(tx)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_event SET body = replace(body, 'approved', 'planned') WHERE body LIKE '%approved%'",
        "UPDATE ledger_event SET at = '2020-01-01T00:00:00.000000Z' WHERE seq = 3",
        "DELETE FROM ledger_event WHERE seq = 5",
        "UPDATE deprovision SET state = 'cancelled'",
        "UPDATE log_entry SET entry = x'00' WHERE seq = 1",
    ],
)
def test_hazard_22_an_edited_ledger_row_is_found(world_in: Callable[[State], Any], statement: str) -> None:
    world = world_in(State.RELEASED)
    checked(world)
    edit(world, statement)
    with pytest.raises(Refused) as refused:
        checked(world)
    assert refused.value.code is Code.LEDGER_BROKEN


def test_hazard_22_a_ledger_whose_end_was_cut_off_and_looks_whole_freezes_the_store(
    world_in: Callable[[State], Any],
) -> None:
    """The chain of what is left is in order; the copy outside says that there was more."""
    world = world_in(State.STAGED)
    edit(world, "DELETE FROM ledger_event WHERE seq = (SELECT max(seq) FROM ledger_event)")
    with world.program.store.transaction() as tx:
        compared = world.program.keeper.compare(tx)
        facts = knowledge.facts_of(tx, world.program, cases.load(tx, world.key), now=world.now())
    assert compared.because is FrozenBecause.STORE_BEHIND
    assert not facts.is_store_current


# --- 24: backups and replicas keep the data -----------------------------------------------------------------


def test_hazard_24_a_certificate_says_that_it_does_not_reach_copies_elsewhere(
    world_in: Callable[[State], Any],
) -> None:
    world = world_in(State.RELEASED)
    with world.program.store.snapshot() as tx:
        (stored,) = outcomes.of_deprovision(tx, world.key)
    outcome = statements.read(stored.payload, Outcome).predicate
    said = " ".join(outcome.claim.limits)
    assert assurance.COPIES_LIMIT in outcome.claim.limits
    assert all(word in said for word in ("backups", "replicas", "snapshots", "headers"))
    assert assurance.ESCROW_LIMIT in outcome.claim.limits


# --- 25: a dependency or a pickle runs code -----------------------------------------------------------------

#: Modules whose loaders run what they read, and yaml, whose plain `load` does.
RUNS_WHAT_IT_READS = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "marshal", "shelve", "yaml"}
RUNS_CODE = {"eval", "exec", "compile", "__import__"}


def modules() -> Iterator[tuple[Path, ast.Module]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path, ast.parse(path.read_text(), filename=str(path))


def runs_what_it_reads(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.partition(".")[0] in RUNS_WHAT_IT_READS)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names = {node.module.partition(".")[0], *(a.name for a in node.names)}
            yield from names & (RUNS_WHAT_IT_READS | {"PickleType"})
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in RUNS_CODE:
            yield f"{node.func.id}()"
        elif isinstance(node, ast.Attribute) and node.attr == "PickleType":
            yield node.attr


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import pickle", ["pickle"]),
        ("from yaml import load", ["yaml"]),
        ("x = eval(text)", ["eval()"]),
        ("Column('x', sqlalchemy.PickleType)", ["PickleType"]),
        ("import json\nre.compile('x')", []),
    ],
)
def test_hazard_25_the_check_finds_what_it_looks_for(text: str, found: list[str]) -> None:
    assert list(runs_what_it_reads(ast.parse(text))) == found


def test_hazard_25_nothing_of_ours_runs_what_it_reads() -> None:
    looked = list(modules())
    assert len(looked) > 100
    assert [f"{path}: {what}" for path, tree in looked for what in runs_what_it_reads(tree)] == []


def test_hazard_25_every_dependency_is_pinned_by_hash_and_by_no_address() -> None:
    text = (ROOT / "requirements.lock").read_text()
    entries = [entry for entry in re.split(r"\n(?=\S)", text.strip()) if not entry.startswith("#")]
    assert len(entries) > 20
    for entry in entries:
        assert re.match(r"^[A-Za-z0-9._-]+==[^ ]+ ", entry), entry.splitlines()[0]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry.splitlines()[0]
    assert "://" not in text
    assert "--require-hashes" in (ROOT / "Makefile").read_text()


def test_hazard_25_no_stored_cell_makes_a_reader_run_code(world_in: Callable[[State], Any]) -> None:
    """A pickle in place of a stored answer is refused as what it is not."""
    world = world_in(State.STAGED)
    opcode = b"cos\nsystem\n(S'touch /dev/null'\ntR."
    edit(world, f"UPDATE inventory SET line = x'{opcode.hex()}'")  # noqa: S608 - our own text
    with pytest.raises(Refused), world.program.store.snapshot() as tx:
        knowledge.facts_of(tx, world.program, cases.load(tx, world.key), now=world.now())


def test_hazard_25_no_cell_of_the_store_is_a_pickle(world_in: Callable[[State], Any]) -> None:
    world = world_in(State.RELEASED)
    world.close()
    with closing(sqlite3.connect(world.folder / "expunge.db")) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        cells = [
            cell
            for table in tables
            for row in database.execute(f"SELECT * FROM {table}")  # noqa: S608 - names from the schema
            for cell in row
        ]
    assert len(cells) > 500
    pickled = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))
    assert not [cell for cell in cells if isinstance(cell, bytes) and cell.startswith(pickled)]
