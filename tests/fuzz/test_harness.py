"""The harness itself: each target runs, a planted fault is found, and the same seed gives the same inputs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest

from certificate import strict_json
from certificate.verify import Verified
from tests.corpus import readers
from tests.corpus.case import unpacked
from tests.fuzz import repair
from tests.fuzz.campaign import Campaign, Report, mutator
from tests.fuzz.targets import ALL, TARGETS, Target

#: One after the other in this process: no limit of memory, which would be the tests' own.
SECONDS = 1.0


def campaign(target: Target, folder: Path, *, seed: int = 1) -> Campaign:
    return Campaign(target=target, seed=seed, crashes_folder=folder)


def reported(report: Report) -> str:
    return "\n".join(f"{crash.what} at {crash.where}: {crash.file}" for crash in report.crashes)


@pytest.mark.parametrize("target", ALL, ids=lambda target: target.name)
def test_a_target_refuses_whatever_it_does_not_take(target: Target, tmp_path: Path) -> None:
    report = campaign(target, tmp_path).run(seconds=SECONDS)
    assert not report.crashes, reported(report)
    assert report.runs >= len(target.seeds) > 0
    assert report.codes


def test_every_reader_of_the_corpus_is_fuzzed() -> None:
    fuzzed = {kind for target in ALL for kind in target.kinds}
    # That an annex which the evidence does not name is never read, one digest decides.
    assert fuzzed == set(readers.READERS) - {"swapped_annex"}


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> Target:
    """A reader that takes a field for granted."""

    def careless(data: bytes, _: readers.Under) -> Any:
        document = strict_json.load_object(data, max_bytes=100_000)
        return document["signatures"][0]["sig"] if len(document) >= 3 else document["payload"]

    monkeypatch.setitem(readers.READERS, "planted", careless)

    class Planted(Target):
        @property
        def seeds(self) -> tuple[bytes, ...]:
            return (unpacked("valid/envelope.json"),)

    return Planted(name="planted", kinds=("planted",))


def test_a_reader_that_takes_a_field_for_granted_is_found_out(planted: Target, tmp_path: Path) -> None:
    report = campaign(planted, tmp_path).run(seconds=30, runs=3000)
    kinds = {crash.what.partition(":")[0] for crash in report.crashes}
    assert kinds & {"KeyError", "TypeError", "IndexError"}, kinds
    (first, *_) = report.crashes
    with pytest.raises((KeyError, TypeError, IndexError)):
        list(planted.run(Path(first.file).read_bytes()))


def test_a_crash_is_told_once_and_the_campaign_goes_on(planted: Target, tmp_path: Path) -> None:
    report = campaign(planted, tmp_path).run(seconds=30, runs=2000)
    places = [(crash.what.partition(":")[0], crash.where) for crash in report.crashes]
    assert len(set(places)) == len(places)
    assert report.runs == 2000


def test_the_same_seed_gives_the_same_inputs() -> None:
    def inputs(seed: int) -> list[bytes]:
        target = TARGETS["trust_root"]
        mutate, random = mutator(target, Random(seed)), Random(seed)
        return [mutate(random.choice(target.seeds)) for _ in range(50)]

    assert inputs(3) == inputs(3)
    assert inputs(3) != inputs(4)


def test_a_bundle_that_verifies_to_something_new_is_a_crash(tmp_path: Path) -> None:
    """Signed again by every key, it is honest, and not what the corpus' bundles say."""
    honest = json.loads(unpacked("valid/bundle.json.gz"))
    document = json.loads(repair._payload(honest["outcome"]))
    document["predicate"]["nonce"] = "77" * 16
    honest["outcome"] = repair._signed(json.dumps(document).encode())
    other = repair.bundle(json.dumps(honest).encode())
    value = readers.READERS["bundle"](other, readers.under(unpacked("valid/trust_root.json")))
    assert isinstance(value, Verified)
    found = campaign(TARGETS["bundle"], tmp_path)
    found.try_one(other)
    assert [crash.what.partition(":")[0] for crash in found.report.crashes] == ["Broken"]


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("envelope", "forged/envelope/one_digit_altered.json"),
        ("delivery", "forged/delivery/proof_cut.json"),
        ("forged_bundle", "forged/bundle/outcome_edited.json.gz"),
        ("trust_root", "forged/trust_root/by_a_stranger.json"),
        ("journal", "forged/journal/line_removed.jsonl"),
        ("luks_header", "forged/luks2_header/checksum.bin.gz"),
    ],
)
def test_seals_that_are_made_again_hold(name: str, file: str) -> None:
    target, data = TARGETS[name], unpacked(file)
    assert target.repair is not None
    assert "TAKEN" not in dict(target.run(data))
    assert "TAKEN" in dict(target.run(target.repair(data)))


def test_the_command_tells_what_it_did_and_fails_on_a_crash(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fuzz", "--seconds", "0.2", "--target", "policy"]
    command += ["--engine", "mutation", "--crashes", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "policy:" in done.stdout
    assert "seed 1, mutation" in done.stdout
    assert "POLICY_INVALID" in done.stdout
    assert done.stdout.rstrip().endswith("0 crashes")
