"""The demonstration, run twice as a newcomer runs it, and looked at from outside."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from certificate import cli
from demo.disclosure import texts

ROOT = Path(__file__).parent.parent.parent
#: The runs last about a minute each on two idle cores.
PATIENCE_SECONDS = 300
#: DESIGN.md, "One deprovision".
WHOLE_WAY = [
    *("scheduled", "quarantined", "staged", "planned", "approved", "intended"),
    *("erasing", "verified", "validated", "certified", "released"),
]
WAYS = {
    "host-1": WHOLE_WAY,
    "host-2": ["scheduled", "cancelled"],
    "host-3": WHOLE_WAY,
    "host-4": [*WHOLE_WAY[:6], "cancelled"],
    "host-5": WHOLE_WAY,
    "host-6": [*WHOLE_WAY[:8], "needs_operator"],
    "host-7": WHOLE_WAY,
}
#: Whether the text of the host's tenant is still there: of who stays, and on the drive that lied.
STAYS = {f"host-{number}": number in {2, 4, 6} for number in range(1, 8)}
#: Host -> what its certificate says of its medium.
CLAIMS = {
    ("nvme_sanitize_crypto", "purge", "marker-proven"): 3,
    ("overwrite_keystream", "clear", "marker-proven"): 1,
}


@dataclass(frozen=True)
class Run:
    """One run of the demonstration: its exit code, its words, its folder."""

    exit_code: int
    told: str
    errors: str
    out: Path

    @property
    def bundles(self) -> list[Path]:
        return sorted(self.out.glob("certificates/*.bundle.json"))

    @property
    def bundle(self) -> Path:
        """A certificate of a host whose subscription ended, purged, with one drive."""
        return next(
            path
            for path in self.of_trigger("ended")
            if claim(path)["method"] == "purge" and len(statement(path, "summary")["predicate"]["media"]) == 1
        )

    def of_trigger(self, trigger: str) -> list[Path]:
        return [path for path in self.bundles if statement(path, "order")["predicate"]["trigger"] == trigger]

    @property
    def failure(self) -> Path:
        (found,) = self.out.glob("failures/*.bundle.json")
        return found

    def statement(self, document: str) -> dict[str, Any]:
        return statement(self.bundle, document)

    @property
    def trust_root(self) -> dict[str, Any]:
        return payload((self.out / "trust-root.json").read_text())

    @property
    def ledger(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.out / "ledger.jsonl").read_text().splitlines()]


def statement(bundle: Path, document: str) -> dict[str, Any]:
    """The payload of an envelope in a bundle."""
    return payload(json.loads(bundle.read_bytes())[document])


def claim(bundle: Path) -> dict[str, Any]:
    found: dict[str, Any] = statement(bundle, "outcome")["predicate"]["claim"]
    return found


def payload(envelope: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.b64decode(json.loads(envelope)["payload"], validate=True))
    return found


def run_demonstration(out: Path) -> Run:
    """In a session of its own; when its time is over it is asked to clean up, then ended with its group."""
    command = [sys.executable, "-m", "demo", "--out", str(out)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            told, errors = process.communicate(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            try:
                told, errors = process.communicate(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                told, errors = process.communicate()
            pytest.fail(f"the demonstration took longer than {PATIENCE_SECONDS} s:\n{told}\n{errors}")
    return Run(process.returncode, told, errors, out)


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run]:
    """Two runs, one after the other."""
    first, second = (run_demonstration(tmp_path_factory.mktemp("demonstration") / "out") for _ in range(2))
    return first, second


@pytest.fixture(params=[0, 1], ids=["first run", "second run"])
def run(request: pytest.FixtureRequest, runs: tuple[Run, Run]) -> Run:
    number: int = request.param
    return runs[number]


@pytest.fixture
def first(runs: tuple[Run, Run]) -> Run:
    return runs[0]


# --- what a newcomer sees -----------------------------------------------------------------------------------


def test_the_demonstration_ends_well_and_leaves_nothing_running(run: Run) -> None:
    assert run.exit_code == 0, run.told + run.errors
    last = run.told.rstrip().splitlines()[-1]
    found = re.search(r"processes started: (\d+), left running: (\d+)$", last)
    assert found is not None, last
    assert int(found[1]) >= 9  # a switch, seven machines, serve
    assert found[2] == "0"


def test_what_is_handed_out_is_complete_and_nothing_else(run: Run) -> None:
    names = [path.name.removesuffix(".bundle.json") for path in run.bundles]
    assert len(names) == sum(CLAIMS.values())
    failure = run.failure.name.removesuffix(".bundle.json")
    of_one = ("bundle.json", "dsse.json", "evidence.dsse.json")
    assert {str(path.relative_to(run.out)) for path in run.out.rglob("*") if path.is_file()} == {
        *(f"certificates/{name}.{kind}" for name in names for kind in of_one),
        *(f"failures/{failure}.{kind}" for kind in of_one),
        *("trust-root.json", "demo-policy.json", "issuer.pem", "ledger.jsonl"),
    }
    for name in names:
        bundle = json.loads((run.out / f"certificates/{name}.bundle.json").read_bytes())
        assert (run.out / f"certificates/{name}.dsse.json").read_text() == bundle["outcome"]
        assert (run.out / f"certificates/{name}.evidence.dsse.json").read_text() == bundle["evidence"]


def test_the_leavers_texts_are_gone_from_their_drives_and_the_others_are_untouched(run: Run) -> None:
    counts = {
        host: (int(after), int(before))
        for host, after, before in re.findall(
            r"(host-\d): its tenant's text stands on the drive (\d+) times \(before: (\d+)\)", run.told
        )
    }
    assert counts.keys() == STAYS.keys()
    for host, (after, before) in counts.items():
        assert before > 0
        if host == "host-6":  # our own markers were written over some of it, before the drive lied
            assert before // 2 < after <= before
        else:
            assert after == (before if STAYS[host] else 0), host


@pytest.mark.parametrize("host", WAYS)
def test_every_state_of_a_host_is_told_with_the_ledgers_time(run: Run, host: str) -> None:
    told = re.findall(rf"{host}: (\d{{4}}-\d\d-\d\dT[\d:.]+Z) (\w+)$", run.told, re.MULTILINE)
    assert [state for _, state in told] == WAYS[host]
    times = {event["at"] for event in run.ledger}
    assert {at for at, _ in told} <= times


# --- what two people do -------------------------------------------------------------------------------------


def test_a_wipe_by_hand_is_requested_by_one_and_approved_by_another(run: Run) -> None:
    assert re.search(r"host-3: anna approves her own request: exit 3, SELF_APPROVAL$", run.told, re.MULTILINE)
    (bundle,) = run.of_trigger("manual")
    order = statement(bundle, "order")["predicate"]
    approvals = [payload(text)["predicate"] for text in json.loads(bundle.read_bytes())["approvals"]]
    assert {each["kind"] for each in approvals} == {"request", "approve"}
    assert len({each["operator"] for each in approvals}) == 2
    assert {each["plan_digest"] for each in approvals} == {order["plan_digest"]}
    assert order["basis"]["disposition"] == "stock"
    assert order["basis"]["tenancies"]["count"] == 0
    assert len({each["keyid"] for each in order["basis"]["decisions"]}) == 2


def test_a_hold_keeps_a_host_until_two_release_it(run: Run) -> None:
    held = run.told.index("host-1 waits: HELD: ")
    released = run.told.index("host-1: the hold is released by two operators; one was not enough")
    assert held < released < re.search(r"host-1: \S+ quarantined$", run.told, re.MULTILINE).start()  # type: ignore[union-attr]


def test_a_renewal_while_the_order_is_signed_withdraws_it(run: Run) -> None:
    kinds = [event["kind"] for event in run.ledger]
    assert kinds.count("order-intended") == 6
    assert kinds.count("order-dispatched") == 5
    assert kinds.count("order-withdrawn") >= 1


def test_a_burst_of_endings_trips_the_breaker_and_schedules_nothing(run: Run) -> None:
    assert re.search(r"the breaker tripped: 56 subscriptions are active, 86 were within a day", run.told)
    tripped = max(n for n, event in enumerate(run.ledger) if event["kind"] == "stopped")
    assert "deprovision-scheduled" not in [event["kind"] for event in run.ledger[tripped:]]


# --- what a stranger checks ---------------------------------------------------------------------------------


def test_the_certificate_is_valid_under_the_demonstrations_policy_and_says_so(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(run.bundle, run.out, "--policy", str(run.out / "demo-policy.json")) == 0
    said = capsys.readouterr().out
    assert said.startswith("DEMONSTRATION")
    assert re.search(
        r"^ +markers +18 committed before, 18 as expected after \(18 pseudorandom\)$", said, re.MULTILINE
    )
    assert said in run.told  # what the demonstration printed is what the certificate says to anybody


def test_without_the_demonstrations_policy_the_certificate_is_refused(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(run.bundle, run.out) == 1
    assert "NOT_A_PHYSICAL_DEVICE" in capsys.readouterr().out


def verify(bundle: Path, out: Path, *options: str) -> int:
    return cli.main(["verify", str(bundle), "--trust", str(out / "trust-root.json"), *options])


@pytest.mark.parametrize("part", ["payload", "signature"])
def test_one_changed_byte_of_the_outcome_makes_the_certificate_invalid(
    first: Run, part: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = first.bundle.read_bytes()
    envelope = json.loads(json.loads(whole)["outcome"])
    text = {"payload": envelope["payload"], "signature": envelope["signatures"][0]["sig"]}[part].encode()
    assert whole.count(text) == 1
    place = whole.index(text) + len(text) // 2
    changed = b"A" if whole[place : place + 1] != b"A" else b"B"
    altered = tmp_path / first.bundle.name
    altered.write_bytes(whole[:place] + changed + whole[place + 1 :])

    assert verify(altered, first.out, "--policy", str(first.out / "demo-policy.json"), "--json") == 1
    (answer,) = json.loads(capsys.readouterr().out)["files"]
    assert answer["code"] == "SIGNATURE_INVALID"


def test_each_certificate_claims_what_was_seen_and_no_more(run: Run) -> None:
    claims = [claim(path) for path in run.bundles]
    assert {each["result"] for each in claims} == {"erased"}
    counted = Counter((each["technique"], each["method"], each["grade"]) for each in claims)
    assert counted == CLAIMS


def test_the_drive_that_lied_gets_a_signed_record_that_is_no_certificate(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    said = claim(run.failure)
    assert (said["result"], said["method"], said["grade"]) == ("not_erased", "none", "none")
    assert "MARKER_UNCHANGED" in said["reasons"]
    assert verify(run.failure, run.out, "--policy", str(run.out / "demo-policy.json")) == 1
    assert "NOT_ERASED" in capsys.readouterr().out


def test_a_key_was_destroyed_and_the_medium_beneath_overwritten(run: Run) -> None:
    """Where cryptsetup is installed; without it there is a plain drive, and the overwrite alone."""
    (bundle,) = (path for path in run.bundles if claim(path)["method"] == "clear")
    evidence = statement(bundle, "evidence")["predicate"]["media"][0]
    read_back = evidence["read_back"]
    assert read_back["mode"] == "full"
    assert read_back["bytes_read"] == evidence["medium"]["capacity_bytes"]
    assert (read_back["bytes_mismatched"], read_back["bytes_unreadable"]) == (0, 0)
    has_container = "no cryptsetup here" not in run.told
    assert len(evidence["layers"]) == has_container
    for layer in evidence["layers"]:
        assert (layer["kind"], layer["every_copy_differs"], layer["is_found_after"]) == ("luks2", "yes", "no")
        assert re.search(r"host-5: the owner's passphrase before: opens$", run.told, re.MULTILINE)
        assert re.search(r"host-5: the owner's passphrase after: is refused$", run.told, re.MULTILINE)


def test_a_host_with_a_dead_drive_has_one_certificate_and_one_open_exception(run: Run) -> None:
    (bundle,) = (path for path in run.bundles if len(statement(path, "summary")["predicate"]["media"]) == 2)
    became = {each["became"] for each in statement(bundle, "summary")["predicate"]["media"]}
    assert became == {"erased", "open_exception"}


# --- what may repeat and what may not -----------------------------------------------------------------------


def signs_of(run: Run) -> dict[str, set[str]]:
    """Everything of a run that must be its own, by kind."""
    order, evidence, outcome = (run.statement(name)["predicate"] for name in ("order", "evidence", "outcome"))
    root, ledger = run.trust_root, run.ledger
    markers = evidence["media"][0]["markers"]
    return {
        "ids": {outcome["deprovision"], outcome["outcome"], outcome["order"]}
        | {event["deprovision"] for event in ledger if event["deprovision"]}
        | {event["body"]["host"] for event in ledger if event["kind"] == "host-registered"},
        "store": {event["body"]["store_id"] for event in ledger if event["kind"] == "store-created"},
        "keys": {key["public_key"] for key in root["keys"]}
        | {key["public_key"] for key in root["log"]["keys"]}
        | {key["public_key"] for key in root["operators"]}
        | {evidence["agent_key"]},
        "issuer": {(run.out / "issuer.pem").read_text()},
        "boots": {evidence["boot_id"], order["boot_id"]},
        "tokens": {order["token"]},
        "nonces": {root["nonce"], *(each["nonce"] for each in (order, evidence, outcome))}
        | {order["hello_nonce"]},
        "marker content": {each["content_sha256"] for each in markers["markers"]},
        "marker commitment": {markers["committed_digest"]},
        "commitments": {outcome["medium"]["commitment"], outcome["host_commitment"]}
        | {each["commitment"] for each in order["host"]["facts"]},
        "pseudonyms": {value for key, value in outcome["custody"].items() if key.endswith("_ref")}
        - {"not_observed"},
        "ledger": {event["digest"] for event in ledger},
    }


def test_two_runs_share_no_id_key_boot_token_nonce_marker_or_commitment(runs: tuple[Run, Run]) -> None:
    one, other = map(signs_of, runs)
    assert all(one.values())
    assert {kind: one[kind] & other[kind] for kind in one if one[kind] & other[kind]} == {}


# --- the ledger ---------------------------------------------------------------------------------------------


def test_the_ledgers_chain_recomputes_from_its_lines(run: Run) -> None:
    """SHA-256 over RFC 8785 of an event without its digest; the first stands on 64 zeros; no gap."""
    previous = "0" * 64
    for number, event in enumerate(run.ledger, start=1):
        digest = event.pop("digest")
        assert event["seq"] == number
        assert event["previous"] == previous
        assert hashlib.sha256(rfc8785.dumps(event)).hexdigest() == digest
        previous = digest
    assert number > 50


def test_the_ledger_and_the_certificate_name_nobody(run: Run) -> None:
    """The demonstration seeks the very words (and says how many); here are their shapes."""
    found = re.search(r"private words: (\d+) sought in (\d+) files, found: (\d+)$", run.told, re.MULTILINE)
    assert found is not None
    assert int(found[1]) >= 30
    assert int(found[2]) == 19
    assert found[3] == "0"
    shapes = re.compile(
        r"DEMO[0-9A-F]{12}|CH[0-9A-F]{10}|BD[0-9A-F]{10}|sub-\d|host-\d|customer of|02:[0-9a-f]{2}:"
    )
    for path in (path for path in run.out.rglob("*") if path.is_file()):
        told = [found[0] for text in texts(path.read_bytes()) if (found := shapes.search(text))]
        assert told == [], path.name


def test_the_ledger_tells_of_every_document_that_stands_in_the_log(run: Run) -> None:
    logged: dict[str, set[str]] = {}
    for event in run.ledger:
        if event["kind"] == "log-entry-added":
            logged.setdefault(event["body"]["log_kind"], set()).add(event["body"]["payload_digest"])
    assert set(logged) == {"genesis", "order", "withdrawal", "outcome", "summary"}
    for document in ("order", "outcome", "summary"):
        for bundle in run.bundles:
            envelope = json.loads(json.loads(bundle.read_bytes())[document])
            digest = hashlib.sha256(base64.b64decode(envelope["payload"])).hexdigest()
            assert digest in logged[document]
