"""kill -9 of an execution that destroys a layer and overwrites a drive, between any two journal records.

A host's pass ends with its process, and a layer may be half destroyed: nothing of either is done again, the
evidence says that nobody saw it, and what is claimed is what the drive then shows.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from agent.techniques import luks, overwrite
from certificate.statements import Seen
from tests import luks_image
from tests.dying import accept, die, processes, settle
from tests.lab import Lab

SECRET_TEXT = b"a tenant's secret"
KIB = 1024
IMAGE_BYTES = 3 * KIB * KIB
DATA_OFFSET = 512 * KIB
SERIAL = "IMG-1"


def content() -> bytes:
    image = bytearray((SECRET_TEXT + b";") * (IMAGE_BYTES // (len(SECRET_TEXT) + 1) + 1))[:IMAGE_BYTES]
    luks_image.write_luks2(image, data_offset=DATA_OFFSET, keyslots_bytes=DATA_OFFSET - 32 * KIB)
    return bytes(image)


def make(folder: Path) -> tuple[Lab, Path]:
    """A machine with one image, a LUKS layer at its start."""
    folder.mkdir()
    lab = Lab(folder, floor="clear")
    image = lab.add_image(SERIAL, content())
    lab.boot()
    return lab, image


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with a line for each layer that any process began to destroy, and each pass it began."""
    ledger = tmp_path / "begun"
    ledger.touch()
    destroy, begin = luks.destroy, overwrite.Pass.begin

    def note(what: str) -> None:
        with ledger.open("a") as file:
            file.write(f"{what} {os.getpid()}\n")

    def noted_destroy(*arguments: Any, **named: Any) -> None:
        note("layer")
        destroy(*arguments, **named)

    def noted_begin(self: Any, workers: int) -> int:
        note("pass")
        return begin(self, workers)

    monkeypatch.setattr(luks, "destroy", noted_destroy)
    monkeypatch.setattr(overwrite.Pass, "begin", noted_begin)
    return ledger


def count(ledger: Path, what: str) -> int:
    return sum(line.startswith(what) for line in ledger.read_text().splitlines())


def require_honest(lab: Lab, order: Any, image: Path, ledger: Path, case: str) -> str:
    """One honest end; what must hold in each. Returns the state."""
    answer = lab.status(order.token, finalise=True)
    assert count(ledger, "layer") <= 1, f"{case}: a layer was destroyed twice"
    assert count(ledger, "pass") <= 1, f"{case}: a second pass"
    assert answer.state in ("done", "absent"), case
    if answer.state == "absent":
        assert image.read_bytes() == content(), f"{case}: absent, but something was written"
        return str(answer.state)
    medium = lab.evidence(order).media[0]
    (layer,) = medium.layers
    kinds = lab.kinds(order)
    has_text = SECRET_TEXT in image.read_bytes()
    if lab.claim(order, SERIAL).result == "erased":
        assert not has_text, f"{case}: claimed what did not happen"
        assert {"layer_ended", "ended"} <= set(kinds), case
    if "layer_ended" not in kinds:
        assert layer.every_copy_differs is layer.was_flushed is Seen.NOT_OBSERVED, case
        assert layer.start_acknowledged is not Seen.YES, case
    if "ended" not in kinds:
        assert all(each.overwrite.bytes_written == "not_observed" for each in medium.commands), case
        assert medium.read_back == "not_observed", case
        assert "EXECUTION_INTERRUPTED" in medium.errors, case
    header = luks.headers.has_magic(image.read_bytes()[:8])
    assert layer.is_found_after is Seen.that(header), case
    return str(answer.state)


def test_no_kill_between_two_records_does_anything_twice(
    tmp_path: Path, make_world: Any, begun: Path
) -> None:
    states, claims = {}, {}
    for dies_at in range(1, 60):
        begun.write_text("")
        lab, image = make(tmp_path / f"at-{dies_at}")
        with processes(lab, make_world(), lambda n, line: n == dies_at) as started:  # noqa: B023
            order = accept(lab, started)
            end = settle(lab, order, started)
        case = f"record {dies_at}"
        states[dies_at] = require_honest(lab, order, image, begun, case)
        kinds = lab.kinds(order)
        if states[dies_at] == "done":
            claims[kinds[dies_at] if dies_at < len(kinds) else "end"] = lab.claim(order, SERIAL).result
        if "attached" not in kinds and end.is_complete:
            break
    else:
        pytest.fail("an execution has fewer than 60 records")
    assert dies_at >= 12, "every record was died at, and the last run outlived them"
    assert set(states.values()) == {"done", "absent"}
    assert claims["sent"] != "erased", "the pass died with its process"
    assert claims["ended"] == "erased", "the pass was over: it is read back by whoever comes"


def test_no_kill_of_the_observer_does_anything_at_all(tmp_path: Path, make_world: Any, begun: Path) -> None:
    """The first process dies when its pass has begun, the observer at its n-th record, for every n."""
    for dies_at in range(1, 40):
        begun.write_text("")
        lab, image = make(tmp_path / f"at-{dies_at}")
        deaths = (lambda n, line: line.kind == "sent", lambda n, line: n == dies_at)  # noqa: B023
        with processes(lab, make_world(), *deaths) as started:
            order = accept(lab, started)
            settle(lab, order, started)
        assert require_honest(lab, order, image, begun, f"observer's record {dies_at}") == "done"
        assert (count(begun, "layer"), count(begun, "pass")) == (1, 1)
        assert lab.claim(order, SERIAL).result != "erased"
        if lab.kinds(order).count("attached") < 2:
            assert dies_at > 3
            return
    pytest.fail("an observer has fewer than 40 records")


def test_killed_amid_a_layer_nobody_says_what_became_of_it(
    tmp_path: Path, make_world: Any, begun: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab, image = make(tmp_path / "amid")
    original, chunks = luks._overwrite, [0]

    def dies(*arguments: Any) -> None:
        original(*arguments)
        chunks[0] += 1
        if chunks[0] == 1:
            die()

    monkeypatch.setattr(luks, "_overwrite", dies)
    with processes(lab, make_world()) as started:
        order = accept(lab, started)
        settle(lab, order, started)
    require_honest(lab, order, image, begun, "amid the layer")
    medium = lab.evidence(order).media[0]
    (layer,) = medium.layers
    assert image.read_bytes() != content()
    assert layer.start_acknowledged is layer.every_copy_differs is Seen.NOT_OBSERVED
    assert medium.commands == ()
    assert medium.markers.was_acknowledged is Seen.NO
    ends = [line.kind for line in lab.journal(order) if line.step == f"layer:{lab.commitment(SERIAL)}:1:0"]
    assert ends == ["layer_start", "failed"]
    assert layer.is_found_after is Seen.YES, "key slots go first"
    assert lab.claim(order, SERIAL).result == "not_erased"


def test_killed_amid_the_pass_the_evidence_says_that_nobody_knows_how_far_it_came(
    tmp_path: Path, make_world: Any, begun: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab, image = make(tmp_path / "amid")
    original, units = overwrite.Pass._write, [0]

    def dies(self: Any, unit: int, buffer: memoryview) -> None:
        original(self, unit, buffer)
        units[0] += 1
        if units[0] == 2:
            die()

    monkeypatch.setattr(overwrite.Pass, "_write", dies)
    with processes(lab, make_world()) as started:
        order = accept(lab, started)
        settle(lab, order, started)
    require_honest(lab, order, image, begun, "amid the pass")
    medium = lab.evidence(order).media[0]
    (command,) = medium.commands
    assert command.overwrite.model_dump(mode="json") == {
        "pattern": "keystream",
        "bytes_written": "not_observed",
        "bytes_failed": "not_observed",
        "was_flushed": "not_observed",
    }
    assert medium.read_back == "not_observed"
    assert {each.is_covered for each in medium.namespaces} == {Seen.NOT_OBSERVED}
    assert lab.evidence(order).was_attached is Seen.YES
    assert lab.claim(order, SERIAL).result != "erased"
