"""One good and one dead drive in one host: one certificate, one open exception, and no word too many."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.devices.simulated import Fault, SimulatedNvme, occurrences
from certificate import cli
from certificate import envelope as dsse
from certificate.bundle import Bundle
from certificate.departures import HOST_LIMIT, LEFT_UNERASED
from certificate.errors import Code, Refused
from certificate.identifiers import DriveId
from certificate.statements import Decision, Outcome, Summary
from certificate.statements import statement as statements
from certificate.statements.people import DecisionKind
from certificate.statements.vocabulary import Method, Result, WhatBecame
from certificate.verify import Verified, verify
from controller.api import stories
from controller.cli.verbs.certificate import write
from controller.facts import Exit
from controller.records import custody
from controller.states import State
from controller.store import deprovisions, hosts, ledger, orders, outcomes
from controller.store.hosts import DriveBasis
from controller.store.outcomes import StoredOutcome
from demo.disclosure import says

GOOD, DEAD = "GOODONE2", "SABOTAGE1"
TEXT = b"what the tenant left behind"
DRIVE_BYTES = 1024 * 1024
OUT = {
    "host": "host-1",
    "old": DEAD,
    "new": "none",
    "by": "Ada Lovelace",
    "why": "it does not answer",
    "seal": "S-0815",
    "place": "safe 2",
}
GONE = {
    "medium": DEAD,
    "method": "shred",
    "by": "Shredders and Sons",
    "witness": "Grace Hopper",
    "place": "their yard",
    "document_digest": "d0" * 32,
}


class Pair:
    """A host with two drives, of which one is about to die, and the two operators."""

    def __init__(self, crew: Any) -> None:
        self.crew, self.world = crew, crew.world
        drives = self.world.machine.folder / "drives"
        self.dead_folder, self.good_folder = drives / "nvme0", drives / "nvme1"
        good = SimulatedNvme.create(
            self.good_folder,
            serial=GOOD,
            model="EXPUNGE TEST NVME",
            firmware="1.0",
            capacity_bytes=DRIVE_BYTES,
            random=secrets.token_bytes,
        )
        good.write(1, 0, TEXT.ljust(4096, b"."))
        with self.program.store.transaction() as tx:
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
                now=self.world.now(),
            )

    @property
    def program(self) -> Any:
        return self.crew.program

    def dies(self, *faults: Fault) -> None:
        SimulatedNvme.open(self.dead_folder).set_faults(faults)

    def is_pulled(self) -> None:
        shutil.rmtree(self.dead_folder)

    def ends(self) -> None:
        self.world.end_subscription()

    def taken_out(self, **changes: str) -> None:
        for operator in (self.crew.alice, self.crew.bob):
            done = self.crew.people.decide("remove", OUT | changes, by=operator).done
        assert done is not None

    def destroyed(self, **changes: str) -> Any:
        day = {"destroyed_on": self.world.now().date().isoformat()}
        for operator in (self.crew.alice, self.crew.bob):
            taken = self.crew.people.decide("destroy", GONE | day | changes, by=operator)
        return taken

    def retried(self) -> None:
        about = {"exit": Exit.RETRY.value, "host": "host-1"}
        self.crew.people.decide("exit", about, by=self.crew.alice)
        self.world.run()

    # --- what is left ---------------------------------------------------------------------------------------

    def commitment(self, serial: str) -> str:
        with self.program.store.snapshot() as tx:
            rows = tx.execute(hosts.drive.select().where(hosts.drive.c.serial == serial))
            return str(rows.one().commitment)

    @property
    def summary(self) -> Summary:
        with self.program.store.snapshot() as tx:
            stored = outcomes.summary_of(tx, self.world.key)
        assert stored is not None
        return statements.read(stored.payload, Summary).predicate

    def outcomes_of(self, serial: str) -> list[StoredOutcome]:
        with self.program.store.snapshot() as tx:
            return list(outcomes.of_drive(tx, self.commitment(serial)))

    def bundles(self, folder: Path) -> dict[str, Bundle]:
        """By file name."""
        return {path.name: Bundle.read(path.read_bytes()) for path in sorted(folder.glob("*.bundle.json"))}

    @property
    def certificates(self) -> dict[str, Bundle]:
        return self.bundles(self.program.certificates_folder)

    @property
    def failures(self) -> dict[str, Bundle]:
        return self.bundles(self.program.failures_folder)

    def verified(self, bundle: Bundle, **policy: Any) -> Verified:
        documents = self.program.documents
        fields = documents.policy.model_dump(by_alias=True) | policy
        return verify(bundle, documents.trust, type(documents.policy).model_validate(fields))

    def refusal(self, bundle: Bundle, **policy: Any) -> Any:
        with pytest.raises(Refused) as caught:
            self.verified(bundle, **policy)
        return caught.value.code


@pytest.fixture
def pair(crew: Any) -> Pair:
    return Pair(crew)


def require_one_certificate_and_one_open_exception(pair: Pair) -> Verified:
    assert pair.world.state is State.RELEASED
    assert occurrences(pair.good_folder, TEXT) == 0
    (bundle,) = pair.certificates.values()
    verified = pair.verified(bundle)
    assert verified.outcome.medium.commitment == pair.commitment(GOOD)
    assert any("1 of the host's media left" in caution for caution in verified.cautions)
    became = {each.commitment: each.became for each in pair.summary.media}
    assert became == {
        pair.commitment(GOOD): WhatBecame.ERASED,
        pair.commitment(DEAD): WhatBecame.OPEN_EXCEPTION,
    }
    assert pair.summary.claim.result is Result.INCONCLUSIVE
    assert pair.summary.claim.reasons == (LEFT_UNERASED,)
    return verified


# --- dead before anything began -----------------------------------------------------------------------------


def test_a_drive_that_is_gone_stops_the_plan_until_two_people_take_it_off_the_record(pair: Pair) -> None:
    pair.is_pulled()
    pair.ends()
    pair.world.run(until=lambda world: world.state is State.STAGED and world.deprovision.wait_reason)
    live_a_minute(pair)
    reason = pair.world.deprovision.wait_reason
    assert pair.world.state is State.STAGED
    assert "of 2 drives 1 are missing" in reason
    assert f"medium {pair.commitment(DEAD)[:8]} (serial ends in AGE1) does not show" in reason
    assert "expunge media out" in reason
    assert occurrences(pair.good_folder, TEXT) > 0
    pair.taken_out()
    pair.world.run()
    verified = require_one_certificate_and_one_open_exception(pair)
    assert pair.failures == {}
    assert verified.order is not None
    assert len(verified.order.plan.media) == 1


def live_a_minute(pair: Pair) -> None:
    ends_at = pair.world.now() + timedelta(minutes=1)
    pair.world.run(until=lambda world: world.now() >= ends_at)


def test_a_drive_that_does_not_answer_is_named_and_spoils_nothing_of_the_other(pair: Pair) -> None:
    pair.dies(Fault.SILENT)
    pair.ends()
    pair.world.run(until=lambda world: world.state is State.STAGED and world.deprovision.wait_reason)
    live_a_minute(pair)
    assert "(serial ends in AGE1)" in pair.world.deprovision.wait_reason
    pair.is_pulled()
    pair.taken_out()
    pair.world.run()
    require_one_certificate_and_one_open_exception(pair)


def test_after_an_hour_a_person_is_called_with_the_drives_name(pair: Pair) -> None:
    pair.is_pulled()
    pair.ends()
    pair.world.run()
    assert pair.world.state is State.NEEDS_OPERATOR
    assert "no plan could be made" in pair.world.deprovision.operator_reason
    assert "(serial ends in AGE1) does not show" in pair.world.deprovision.operator_reason
    pair.taken_out()
    pair.retried()
    require_one_certificate_and_one_open_exception(pair)


def test_a_drive_that_left_on_paper_and_is_still_seen_is_refused(pair: Pair) -> None:
    pair.taken_out()
    pair.ends()
    pair.world.run(until=lambda world: world.state is State.STAGED and world.deprovision.wait_reason)
    live_a_minute(pair)
    assert pair.world.state is State.STAGED
    assert "left by decision and is still in the host" in pair.world.deprovision.wait_reason
    assert occurrences(pair.good_folder, TEXT) > 0
    assert occurrences(pair.dead_folder, TEXT) > 0


# --- dead in the middle -------------------------------------------------------------------------------------


@pytest.fixture
def broken(pair: Pair) -> Pair:
    """The first drive died once its erase had begun; the other's went well."""

    def dies(line: Any) -> None:
        if "start:" in json.dumps(str(line.step or "")) and pair.commitment(DEAD) in str(line.step):
            pair.dies(Fault.DEAD)

    pair.world.on_journal_line = dies
    pair.ends()
    pair.world.run()
    pair.world.on_journal_line = lambda line: None
    assert pair.world.state is State.NEEDS_OPERATOR
    return pair


def test_a_drive_that_dies_in_the_middle_leaves_a_signed_failure(broken: Pair) -> None:
    (failure,) = broken.failures.values()
    assert broken.certificates == {}
    assert broken.refusal(failure) in {Code.NOT_ERASED, Code.INCONCLUSIVE}
    (good,) = broken.outcomes_of(GOOD)
    assert (good.result, good.is_issued) == (Result.ERASED, True)
    with broken.program.store.snapshot() as tx:
        assert outcomes.summary_of(tx, broken.world.key) is None


def test_then_it_leaves_and_the_other_is_certified_once(broken: Pair) -> None:
    broken.is_pulled()
    broken.taken_out()
    broken.retried()
    require_one_certificate_and_one_open_exception(broken)
    (entry,) = [each for each in broken.summary.media if each.became is WhatBecame.OPEN_EXCEPTION]
    (failed,) = broken.outcomes_of(DEAD)
    assert entry.outcome_digest == failed.payload_digest
    with broken.program.store.snapshot() as tx:
        sent = [order.payload_digest for order in orders.of_deprovision(tx, broken.world.key)]
    assert len(sent) == 2
    assert broken.summary.order_digests == tuple(sent)


def test_the_first_attempts_outcome_is_superseded_and_its_failure_stays_one(broken: Pair) -> None:
    from controller.bundles import assemble

    broken.is_pulled()
    broken.taken_out()
    broken.retried()
    first, second = broken.outcomes_of(GOOD)
    assert statements.read(second.payload, Outcome).predicate.supersedes == first.payload_digest
    (failed,) = broken.outcomes_of(DEAD)
    with broken.program.store.snapshot() as tx:
        files = broken.program.documents.signed_files
        earlier, failure = (assemble(tx, each, files).bundle for each in (first, failed))
    assert broken.refusal(earlier) is Code.SUPERSEDED
    assert broken.refusal(failure) in {Code.NOT_ERASED, Code.INCONCLUSIVE}


@pytest.fixture
def stranger(broken: Pair, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[[Path], int]:
    """Somebody with nothing but a file, the provider's trust root and a policy that takes a demonstration."""
    root, policy = tmp_path / "root.json", tmp_path / "policy.json"
    root.write_bytes(broken.program.documents.trust_file)
    policy.write_bytes(broken.program.documents.policy.write())

    def verifies(file: Path) -> int:
        return cli.main(["verify", str(file), "--trust", str(root), "--policy", str(policy)])

    return verifies


def files_of(pair: Pair, folder: Path, *, with_failures: bool) -> dict[str, Path]:
    """What `expunge certificate` writes, bundles by the commitment of their medium."""
    with pair.program.store.snapshot() as tx:
        files = pair.program.documents.signed_files
        told = stories.certificate(tx, pair.world.key, files, with_annex=False, with_failures=with_failures)
    found = {}
    for path in write(told, folder):
        if path.name.endswith(".bundle.json"):
            outcome = statements.read(payload_of(Bundle.read(path.read_bytes())), Outcome).predicate
            found[outcome.outcome] = path
    return found


def test_a_stranger_never_takes_a_failure_for_a_certificate(
    broken: Pair, stranger: Callable[[Path], int], tmp_path: Path
) -> None:
    (home_copy,) = broken.program.failures_folder.glob("*.bundle.json")
    assert stranger(home_copy) in {1, 3}
    with pytest.raises(Refused) as caught:
        files_of(broken, tmp_path / "none", with_failures=False)
    assert caught.value.code.value == "CERTIFICATE_NOT_READY"
    handed = files_of(broken, tmp_path / "all", with_failures=True)
    assert len(handed) == 2
    assert all(stranger(path) in {1, 3} for path in handed.values())


def test_after_the_second_attempt_exactly_one_file_is_a_certificate(
    broken: Pair, stranger: Callable[[Path], int], tmp_path: Path
) -> None:
    broken.is_pulled()
    broken.taken_out()
    broken.retried()
    (certificate,) = files_of(broken, tmp_path / "certificates", with_failures=False).values()
    assert stranger(certificate) == 0
    verdicts = [stranger(path) for path in files_of(broken, tmp_path / "all", with_failures=True).values()]
    assert sorted(code == 0 for code in verdicts) == [False, False, True]
    assert set(verdicts) <= {0, 1, 3}
    (home_copy,) = broken.program.failures_folder.glob("*.bundle.json")
    assert stranger(home_copy) in {1, 3}


def test_a_drive_that_left_before_its_tenancy_was_learnt_stands_open_in_the_summary(pair: Pair) -> None:
    pair.taken_out()
    pair.is_pulled()
    pair.ends()
    pair.world.run()
    require_one_certificate_and_one_open_exception(pair)


# --- destroyed ----------------------------------------------------------------------------------------------


def test_a_drive_destroyed_before_the_retry_stands_as_such_in_the_summary(broken: Pair) -> None:
    broken.is_pulled()
    broken.taken_out()
    assert broken.destroyed().done is not None
    broken.retried()
    assert broken.world.state is State.RELEASED
    became = {each.commitment: each for each in broken.summary.media}
    entry = became[broken.commitment(DEAD)]
    *_, attested = broken.outcomes_of(DEAD)
    assert entry.became is WhatBecame.DESTROYED
    assert entry.outcome_digest == attested.payload_digest
    assert (broken.summary.claim.result, broken.summary.claim.method) == (Result.ERASED, Method.PURGE)
    assert HOST_LIMIT in broken.summary.claim.limits
    assert len(broken.certificates) == 2
    for bundle in broken.certificates.values():
        found = broken.verified(bundle, minimum_grade="operator-attested")
        assert not any("stand open" in caution for caution in found.cautions)
        assert any("destroyed, as people say" in caution for caution in found.cautions)


def test_a_drive_destroyed_later_has_a_certificate_of_its_own_whose_grade_is_peoples_word(
    broken: Pair,
) -> None:
    broken.is_pulled()
    broken.taken_out()
    broken.retried()
    broken.destroyed()
    by_medium = {
        statements.read(payload_of(bundle), Outcome).predicate.medium.commitment: bundle
        for bundle in broken.certificates.values()
    }
    assert set(by_medium) == {broken.commitment(GOOD), broken.commitment(DEAD)}
    bundle = by_medium[broken.commitment(DEAD)]
    assert broken.refusal(bundle) is Code.POLICY_UNMET
    verified = broken.verified(bundle, minimum_grade="operator-attested")
    assert (verified.order, verified.evidence) == (None, None)
    assert verified.summary is not None
    signed = [statements.read(dsse.read(text.encode()).payload, Decision) for text in bundle.decisions]
    assert {each.predicate.kind for each in signed} == {DecisionKind.REMOVE, DecisionKind.DESTROY}
    for private in ("Grace Hopper", "Shredders and", "their yard", "Ada Lovelace", "S-0815", DEAD):
        assert not says(bundle.write(), private)
    failed, made = broken.outcomes_of(DEAD)
    assert statements.read(made.payload, Outcome).predicate.supersedes == failed.payload_digest


def payload_of(bundle: Bundle) -> bytes:
    return dsse.read(bundle.outcome.encode()).payload


def test_a_drive_is_destroyed_once_after_it_left_and_not_tomorrow(pair: Pair) -> None:
    refused = pair.crew.refused
    day = {"destroyed_on": pair.world.now().date().isoformat()}
    show = pair.crew.people.show
    assert refused(lambda: show("destroy", GONE | day)) == "MEDIUM_NOT_IN_REGISTER"
    pair.taken_out()
    assert refused(lambda: show("destroy", GONE | {"destroyed_on": "2020-01-01"})) == "DECISION_MISMATCH"
    assert refused(lambda: show("destroy", GONE | {"destroyed_on": "2999-01-01"})) == "DECISION_MISMATCH"
    assert refused(lambda: show("destroy", GONE | day | {"method": "degauss"})) == "DECISION_MISMATCH"
    assert refused(lambda: show("destroy", GONE | day | {"witness": " "})) == "DECISION_MISMATCH"
    assert refused(lambda: show("destroy", GONE | day | {"document_digest": "x"})) == "DOCUMENT_MISSING"
    assert refused(lambda: show("destroy", GONE | day | {"medium": "0000"})) == "MEDIUM_NOT_IN_REGISTER"
    assert pair.destroyed(medium=pair.commitment(DEAD)[:8]).done is not None
    assert refused(lambda: show("destroy", GONE | day)) == "ALREADY_STORED"


def test_one_operator_alone_attests_nothing(pair: Pair) -> None:
    pair.taken_out()
    day = {"destroyed_on": pair.world.now().date().isoformat()}
    for _ in range(2):
        assert pair.crew.people.decide("destroy", GONE | day, by=pair.crew.alice).done is None
    assert pair.outcomes_of(DEAD) == []
    with pair.program.store.snapshot() as tx:
        assert deprovisions.all_deprovisions(tx) == ()
        (host,) = hosts.all_hosts(tx)
        assert custody.touched_by(tx, host.id, now=pair.world.now()) == ()


def test_a_drive_destroyed_under_no_deprovision_stands_for_itself(pair: Pair) -> None:
    """Its host goes on, and no summary speaks of it."""
    pair.taken_out()
    pair.destroyed()
    (attested,) = pair.outcomes_of(DEAD)
    assert (attested.deprovision, attested.attempt, attested.is_issued) == (None, None, True)
    (bundle,) = pair.certificates.values()
    assert bundle.summary is None
    assert pair.verified(bundle, minimum_grade="operator-attested").summary is None


def test_a_controller_killed_between_decision_and_signature_signs_at_its_next_start(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    from controller import destroying
    from controller.people import deciding

    pair.taken_out()
    with monkeypatch.context() as killed:
        killed.setattr(deciding.destroying, "issue_due", lambda program: None)
        pair.destroyed()
    (drafted,) = pair.outcomes_of(DEAD)
    assert not drafted.is_issued
    assert pair.certificates == {}
    for _ in range(2):
        destroying.issue_due(pair.program)
    (issued,) = pair.outcomes_of(DEAD)
    assert issued.is_issued
    assert issued.payload == drafted.payload
    assert len(pair.certificates) == 1


def test_the_register_tells_where_each_is_and_how_old(pair: Pair) -> None:
    from controller.api.host_records import register

    pair.taken_out()
    pair.world._skip_to(pair.world.now() + timedelta(days=3))
    with pair.program.store.snapshot() as tx:
        (line,) = register(tx, pair.program).media
    assert (line.standing, line.place, line.destruction) == ("open", "safe 2", None), "rented, to whom?"
    assert line.age_seconds >= 3 * 86400
    pair.destroyed()
    with pair.program.store.snapshot() as tx:
        (line,) = register(tx, pair.program).media
    gone = line.destruction
    assert line.standing == "destroyed"
    assert gone is not None
    assert (gone.method, gone.by, gone.witness, gone.place, gone.is_logged) == (
        "shred",
        "Shredders and Sons",
        "Grace Hopper",
        "their yard",
        True,
    )
    with pair.program.store.snapshot() as tx:
        told = "\n".join(event.line() for event in ledger.events(tx)).encode()
    assert not any(says(told, private) for private in ("Grace", "Shredders", "their yard", DEAD))
