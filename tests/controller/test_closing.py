"""A case that is closed leaves its records: never a word more than was seen, and the rest is not erased."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.devices.simulated import Fault, SimulatedNvme
from certificate import cli
from certificate.bundle import Bundle
from certificate.errors import Code, Refused
from certificate.identifiers import DriveId
from certificate.statements import Outcome, Summary
from certificate.statements import statement as statements
from certificate.statements.validation import ValidationRow
from certificate.statements.vocabulary import Result, WhatBecame
from certificate.verify import verify
from controller import case as cases
from controller import closing, issuing, owing
from controller.api import stories
from controller.bundles import assemble
from controller.effects import certify
from controller.errors import Code as ControllerCode
from controller.errors import LostRace, Unreachable
from controller.facts import Exit
from controller.states import State
from controller.store import evidence, hosts, journal, outcomes
from controller.store.hosts import DriveBasis
from controller.store.outcomes import StoredOutcome

DAY = timedelta(days=1, hours=1)
REJECT = {"host": "host-1", "choice": "reject"}
ACCEPT = {"host": "host-1", "choice": "accept"}
OUT = {
    "host": "host-1",
    "new": "none",
    "by": "Ada Lovelace",
    "why": "it does not answer",
    "seal": "4711",
    "place": "safe 2",
}
GONE = {
    "method": "shred",
    "by": "Shredders and Sons",
    "witness": "Grace Hopper",
    "place": "their yard",
    "document_digest": "d0" * 32,
}
GOOD, DEAD = "GOODONE2", "SABOTAGE1"


def ends_with_a_person(crew: Any) -> Any:
    crew.world.end_subscription()
    crew.world.run(until=lambda world: world.state is State.NEEDS_OPERATOR)
    assert crew.world.state is State.NEEDS_OPERATOR, crew.world.state
    return crew


def commanded(crew: Any, exit: Exit, *, host: str = "host-1") -> None:
    about = {"exit": exit.value, "host": host}
    if exit is Exit.DESTROY:
        about["document_digest"] = "d0" * 32
    for operator in (crew.alice, crew.bob) if exit is Exit.DESTROY else (crew.alice,):
        crew.people.decide("exit", about, by=operator)


def closed(crew: Any, exit: Exit = Exit.CLOSE) -> Any:
    commanded(crew, exit)
    crew.world.run()
    assert crew.world.state is (State.CLOSED if exit is Exit.CLOSE else State.DESTROYED)
    return crew


def crew_in(world: Any, signing: Any) -> Any:
    alice, bob = world.operators
    return signing.Crew(world=world, people=signing.People(program=world.program), alice=alice, bob=bob)


@pytest.fixture
def silent(crew: Any) -> Any:
    """The markers were permitted, and then the machine was gone; a day later a person is called."""
    world, lost = crew.world, []

    def gone(line: Any) -> None:
        if "start:" in str(line.step or "") or lost:
            lost.append(line)
            raise Unreachable(ControllerCode.HOST_UNREACHABLE, "the machine is gone")

    world.on_journal_line = gone
    world.end_subscription()
    world.run(until=lambda world: bool(lost))
    shutil.rmtree(world.machine.run.path)
    crew.pass_time(DAY)
    world.run(until=lambda world: world.state is State.NEEDS_OPERATOR)
    assert world.state is State.NEEDS_OPERATOR
    with crew.program.store.snapshot() as tx:
        order = cases.load(tx, world.key).order
        assert order is not None
        assert journal.acknowledgements(tx, order.id)
        assert evidence.of_order(tx, order.id) is None
    return crew


@pytest.fixture
def escalated(found_world: Callable[..., Any], signing: Any) -> Any:
    """A drive that only unmaps: erased by its own word, which the table leaves to a person."""
    return ends_with_a_person(crew_in(found_world(faults=["deallocates_only"]), signing))


def second_drive(crew: Any) -> Path:
    """Another drive in the host, on record."""
    folder: Path = crew.world.machine.folder / "drives" / "nvme1"
    SimulatedNvme.create(
        folder,
        serial=GOOD,
        model="EXPUNGE TEST NVME",
        firmware="1.0",
        capacity_bytes=1024 * 1024,
        random=secrets.token_bytes,
    )
    with crew.program.store.transaction() as tx:
        (host,) = hosts.all_hosts(tx)
        hosts.record_drive(
            tx,
            id=DriveId.from_random(secrets.token_bytes(16)),
            host_id=host.id,
            serial=GOOD,
            salt=secrets.token_bytes(32),
            basis=DriveBasis.DECLARED,
            model=None,
            capacity_bytes=None,
            now=crew.world.now(),
        )
    return folder


@pytest.fixture
def broken(crew: Any) -> Any:
    """Of two drives one died once its erase had begun; the other's went well."""
    second_drive(crew)
    dead = commitment(crew, DEAD)

    def dies(line: Any) -> None:
        if "start:" in json.dumps(str(line.step or "")) and dead in str(line.step):
            SimulatedNvme.open(crew.world.drive_folder).set_faults((Fault.DEAD,))

    crew.world.on_journal_line = dies
    ends_with_a_person(crew)
    crew.world.run()
    crew.world.on_journal_line = lambda line: None
    return crew


def commitment(crew: Any, serial: str) -> str:
    with crew.program.store.snapshot() as tx:
        return str(tx.execute(hosts.drive.select().where(hosts.drive.c.serial == serial)).one().commitment)


def taken_out(crew: Any, serial: str) -> None:
    for operator in (crew.alice, crew.bob):
        crew.people.decide("remove", OUT | {"old": serial}, by=operator)


def destroyed(crew: Any, serial: str) -> Any:
    about = GONE | {"medium": serial, "destroyed_on": crew.world.now().date().isoformat()}
    for operator in (crew.alice, crew.bob):
        taken = crew.people.decide("destroy", about, by=operator)
    return taken


# --- what is left -------------------------------------------------------------------------------------------


def told(crew: Any) -> list[StoredOutcome]:
    with crew.program.store.snapshot() as tx:
        return list(outcomes.of_deprovision(tx, crew.world.key))


def claim_of(stored: StoredOutcome) -> Any:
    return statements.read(stored.payload, Outcome).predicate.claim


def summary_of(crew: Any) -> Summary | None:
    with crew.program.store.snapshot() as tx:
        stored = outcomes.summary_of(tx, crew.world.key)
    return None if stored is None else statements.read(stored.payload, Summary).predicate


def refusal(crew: Any, stored: StoredOutcome) -> Code:
    """What a stranger is told, who accepts this demonstration's media."""
    documents = crew.program.documents
    with crew.program.store.snapshot() as tx:
        bundle = assemble(tx, stored, documents.signed_files).bundle
    with pytest.raises(Refused) as caught:
        verify(bundle, documents.trust, documents.policy)
    code = caught.value.code
    assert isinstance(code, Code)
    return code


def screens(crew: Any, tmp_path: Path, capsys: Any) -> dict[Path, tuple[int, str]]:
    """What `expunge verify` answers to each file of the home's failures: exit code and screen."""
    root, policy = tmp_path / "root.json", tmp_path / "policy.json"
    root.write_bytes(crew.program.documents.trust_file)
    policy.write_bytes(crew.program.documents.policy.write())
    answers = {}
    for path in sorted(crew.program.failures_folder.glob("*.bundle.json")):
        code = cli.main(["verify", str(path), "--trust", str(root), "--policy", str(policy)])
        answers[path] = (code, capsys.readouterr().out)
    return answers


def files_of(crew: Any, *, with_failures: bool) -> set[str]:
    with crew.program.store.snapshot() as tx:
        files = crew.program.documents.signed_files
        found = stories.certificate(tx, crew.world.key, files, with_annex=False, with_failures=with_failures)
    return {file.name for file in found.files}


def certificates(crew: Any) -> list[Path]:
    return sorted(crew.program.certificates_folder.glob("*.bundle.json"))


# --- no evidence --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("exit", [Exit.CLOSE, Exit.DESTROY])
def test_an_erase_of_which_no_evidence_came_is_recorded_as_inconclusive(
    silent: Any, exit: Exit, tmp_path: Path, capsys: Any
) -> None:
    closed(silent, exit)
    (stored,) = told(silent)
    assert stored.is_issued
    assert (claim_of(stored).result, claim_of(stored).reasons) == (Result.INCONCLUSIVE, ("NO_EVIDENCE",))
    said = statements.read(stored.payload, Outcome).predicate
    assert {said.evidence_digest, said.sanitization, said.verification, said.observer} == {"not_observed"}
    summary = summary_of(silent)
    assert summary is not None
    assert summary.claim.result is Result.INCONCLUSIVE
    assert [each.became for each in summary.media] == [WhatBecame.INCONCLUSIVE]
    assert {each.state.value for each in summary.residue} == {"not_covered"}
    ((code, screen),) = screens(silent, tmp_path, capsys).values()
    assert code == 3
    assert "none came" in screen
    assert "NO_EVIDENCE" in screen
    assert certificates(silent) == []


def test_its_record_is_handed_out_as_a_failure_only(silent: Any) -> None:
    closed(silent)
    with pytest.raises(Refused, match="CERTIFICATE_NOT_READY"):
        files_of(silent, with_failures=False)
    (stored,) = told(silent)
    names = files_of(silent, with_failures=True)
    assert names == {f"{stored.id}.bundle.json", f"{stored.id}.dsse.json"}
    assert names == {path.name for path in silent.program.failures_folder.iterdir()}


def test_where_nothing_was_dispatched_nothing_is_recorded(crew: Any, world_in: Any) -> None:
    world = world_in(State.PLANNED)
    crew.pass_time(timedelta(days=8))
    world.run(until=lambda world: world.state is State.NEEDS_OPERATOR)
    closed(crew)
    assert (told(crew), summary_of(crew)) == ([], None)


def test_what_a_later_attempt_never_touched_is_told_of_the_one_that_did(silent: Any) -> None:
    """`retry`, then the case is closed before another order was sent."""
    commanded(silent, Exit.RETRY)
    silent.world.run(until=lambda world: world.state is State.QUARANTINED)
    silent.pass_time(timedelta(days=8))
    silent.world.run(until=lambda world: world.state is State.NEEDS_OPERATOR)
    assert silent.world.deprovision.attempt == 2
    closed(silent)
    (stored,) = told(silent)
    assert (stored.attempt, claim_of(stored).reasons) == (1, ("NO_EVIDENCE",))
    assert refusal(silent, stored) is Code.INCONCLUSIVE


def test_once_the_bytes_are_fixed_only_closing_is_left(silent: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A controller that died before it signed goes on where it stopped; nobody asks the agent any more."""
    commanded(silent, Exit.CLOSE)

    def dies(*given: Any) -> None:
        raise Refused(Code.FILE_UNREADABLE, "killed before signing")

    with monkeypatch.context() as killed:
        killed.setattr(issuing, "issue", dies)
        for _ in range(3):
            silent.world.step(lambda world: False)
    (drafted,) = told(silent)
    assert not drafted.is_issued
    assert silent.world.state is State.NEEDS_OPERATOR
    for exit in (Exit.RETRY, Exit.REPROBE):
        assert silent.refused(lambda exit=exit: commanded(silent, exit)) == "EXIT_NOT_OPEN"
    silent.world.run()
    assert silent.world.state is State.CLOSED
    (issued,) = told(silent)
    assert (issued.payload, issued.is_issued) == (drafted.payload, True)


def test_a_case_that_does_not_end_leaves_no_record(silent: Any) -> None:
    """A worker that comes late with an old decision fixes nothing."""
    with silent.program.store.snapshot() as tx:
        case = cases.load(tx, silent.world.key)
    assert not closing.is_due(silent.program, case)
    with pytest.raises(LostRace):
        closing.record(silent.program, case)
    assert (told(silent), summary_of(silent)) == ([], None)


# --- nobody accepted it -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("decided", "reason"), [(REJECT, "RESULT_REJECTED"), (None, "RESULT_NOT_ACCEPTED")], ids=str
)
def test_a_result_that_nobody_accepted_is_recorded_as_inconclusive(
    escalated: Any, decided: Any, reason: str, tmp_path: Path, capsys: Any
) -> None:
    if decided is not None:
        escalated.people.decide("validate", decided, by=escalated.bob)
    closed(escalated)
    (stored,) = told(escalated)
    assert claim_of(stored).result is Result.INCONCLUSIVE
    assert reason in claim_of(stored).reasons
    ((code, screen),) = screens(escalated, tmp_path, capsys).values()
    assert code == 3
    assert reason in screen
    assert "accepted" in screen
    assert certificates(escalated) == []
    summary = summary_of(escalated)
    assert summary is not None
    assert summary.claim == claim_of(stored)


def test_what_the_table_rejects_is_recorded_too(
    found_world: Callable[..., Any], signing: Any, tmp_path: Path, capsys: Any
) -> None:
    crew = crew_in(found_world(faults=["deallocates_only"]), signing)
    row = {
        "data_class": "default",
        "media": "self_encrypting_nvme",
        "technique": "nvme_sanitize_crypto",
        "grade": "device-reported",
        "decision": "reject",
    }
    rejecting = ValidationRow.model_validate_json(json.dumps(row))
    crew.world.sign_table(rows=(*crew.program.documents.table.rows, rejecting))
    crew = crew_in(crew.world, signing)
    closed(ends_with_a_person(crew))
    (stored,) = told(crew)
    assert "RESULT_REJECTED" in claim_of(stored).reasons
    assert [code for code, _ in screens(crew, tmp_path, capsys).values()] == [3]


def test_what_was_closed_over_is_accepted_by_nobody_afterwards(
    escalated: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    commanded(escalated, Exit.CLOSE)
    with monkeypatch.context() as killed:
        killed.setattr(issuing, "issue_summary", lambda program, stored: None)
        for _ in range(3):
            escalated.world.step(lambda world: False)
    assert escalated.world.state is State.NEEDS_OPERATOR
    assert (
        escalated.refused(lambda: escalated.people.decide("validate", ACCEPT, by=escalated.bob))
        == "VALIDATION_NOT_DUE"
    )
    escalated.world.run()
    assert escalated.world.state is State.CLOSED


def test_an_acceptance_that_comes_before_the_command_is_carried_out_wins(
    escalated: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    commanded(escalated, Exit.CLOSE)
    escalated.people.decide("validate", ACCEPT, by=escalated.bob)
    escalated.world.run()
    assert escalated.world.state is State.RELEASED
    assert len(certificates(escalated)) == 1


# --- several media ------------------------------------------------------------------------------------------


def test_one_good_and_one_dead_drive_leave_one_certificate_and_a_summary_that_is_not_erased(
    broken: Any,
) -> None:
    closed(broken)
    summary = summary_of(broken)
    assert summary is not None
    became = {each.commitment: each.became for each in summary.media}
    assert became[commitment(broken, GOOD)] is WhatBecame.ERASED
    assert became[commitment(broken, DEAD)] in owing.UNERASED
    assert summary.claim.result is not Result.ERASED
    (path,) = certificates(broken)
    documents = broken.program.documents
    found = verify(Bundle.read(path.read_bytes()), documents.trust, documents.policy)
    assert found.outcome.medium.commitment == commitment(broken, GOOD)
    (failed,) = [each for each in told(broken) if each.result is not Result.ERASED]
    assert refusal(broken, failed) in {Code.NOT_ERASED, Code.INCONCLUSIVE}
    (copy,) = broken.program.failures_folder.glob("*.bundle.json")
    assert Bundle.read(copy.read_bytes()).summary is not None, "the copy gains the summary"


def test_a_dead_drive_that_left_before_stands_as_an_open_exception(broken: Any) -> None:
    shutil.rmtree(broken.world.drive_folder)
    taken_out(broken, DEAD)
    closed(broken)
    summary = summary_of(broken)
    assert summary is not None
    (entry,) = [each for each in summary.media if each.commitment == commitment(broken, DEAD)]
    (failed,) = [each for each in told(broken) if each.result is not Result.ERASED]
    assert (entry.became, entry.outcome_digest) == (WhatBecame.OPEN_EXCEPTION, failed.payload_digest)
    assert refusal(broken, failed) in {Code.NOT_ERASED, Code.INCONCLUSIVE}


def test_where_only_destroyed_media_are_unerased_closing_says_nothing_of_the_host(broken: Any) -> None:
    """Nobody has read since what is in it: that it is erased, only certifying says."""
    shutil.rmtree(broken.world.drive_folder)
    taken_out(broken, DEAD)
    destroyed(broken, DEAD)
    closed(broken)
    assert summary_of(broken) is None
    assert len(certificates(broken)) == 1, "that of the destruction"


def test_a_medium_that_was_tried_in_vain_and_destroyed_keeps_both_records(silent: Any) -> None:
    second_drive(silent)
    taken_out(silent, DEAD)
    destroyed(silent, DEAD)
    closed(silent)
    of_destruction, of_attempt = sorted(told(silent), key=lambda each: each.attempt or 0)
    assert refusal(silent, of_attempt) is Code.INCONCLUSIVE
    assert statements.read(of_attempt.payload, Outcome).predicate.supersedes == "not_applicable"
    assert refusal(silent, of_destruction) is Code.POLICY_UNMET, "people's word only"


def test_a_drive_of_a_closed_case_leaves_and_is_destroyed_with_a_record_of_its_own(silent: Any) -> None:
    closed(silent)
    taken_out(silent, DEAD)
    assert destroyed(silent, DEAD).done is not None
    failed, attested = told(silent)
    assert refusal(silent, attested) is Code.POLICY_UNMET, "people's word only"
    assert statements.read(attested.payload, Outcome).predicate.supersedes == failed.payload_digest
    assert len(certificates(silent)) == 1


# --- decisions/0011 -----------------------------------------------------------------------------------------


def test_a_case_whose_summary_exists_gets_no_second_one(
    world: Any, crew: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as stuck:
        stuck.setattr(world.switch, "restore", lambda target: None)
        world.end_subscription()
        world.run(until=lambda world: world.state is State.CERTIFIED)
        crew.pass_time(timedelta(hours=5))
        world.run(until=lambda world: world.state is State.NEEDS_OPERATOR)
        before, certified = summary_of(crew), told(crew)
        closed(crew)
    assert before is not None
    assert (summary_of(crew), told(crew)) == (before, certified)


# --- the guard ----------------------------------------------------------------------------------------------


def test_a_closing_that_would_say_erased_of_the_host_is_stopped(
    broken: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were a drive that is not erased passed over, the summary's own claim would give it away."""
    everything = frozenset({commitment(broken, GOOD), commitment(broken, DEAD)})
    monkeypatch.setattr(owing, "is_unerased", lambda media, **known: True)
    monkeypatch.setattr(owing, "accepted", lambda tx, program, order: everything)
    monkeypatch.setattr(
        closing,
        "_verdicts",
        lambda tx, program, begun: tuple(each for each in begun.record.verdicts if each.is_accepted),
    )
    commanded(broken, Exit.CLOSE)
    with broken.program.store.snapshot() as tx:
        case = cases.load(tx, broken.world.key)
    with pytest.raises(ValueError, match="says of no host that it is erased"):
        certify.perform(broken.program, case)
