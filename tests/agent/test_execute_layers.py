"""Encryption layers on a medium: each is asked for, destroyed before the medium, and looked for after it."""

from __future__ import annotations

import fcntl
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.devices.simulated import Fault
from agent.techniques import luks
from agent.tokens import TokenFolder
from certificate.statements import Seen
from tests import luks_image

MIB = 1 << 20
#: A layer at the start, and one behind it.
SECOND_AT = 24 * MIB
#: Until where the first one's headers and slots reach.
AREA_BYTES = luks_image.DATA_OFFSET


def bodies(lab: Any, order: Any, kind: str) -> list[dict[str, str]]:
    return [line.body for line in lab.journal(order) if line.kind == kind]


def content() -> bytes:
    """A GPT-less image with one LUKS2 layer at its start."""
    image = bytearray(b"t" * (32 * MIB))
    luks_image.write_luks2(image, slots=2, tokens=1)
    return bytes(image)


def write_partition(image: bytearray, start: int) -> None:
    """An MBR whose first partition begins there (boot indicator, CHS, type 83h, CHS, first block, blocks)."""
    blocks = (start // 512).to_bytes(4, "little") + (8 * MIB // 512).to_bytes(4, "little")
    image[446:462], image[510:512] = bytes([0, 0, 2, 0, 0x83, 0, 0, 0]) + blocks, b"\x55\xaa"


@pytest.fixture
def layered(plain_lab: Any) -> Any:
    """A machine with one image that a system had encrypted."""
    plain_lab.read_back = "sampled"
    plain_lab.image = plain_lab.add_image("IMG-1", content())
    return plain_lab


def the_layer(lab: Any, order: Any) -> Any:
    (layer,) = lab.evidence(order).media[0].layers
    return layer


def step(lab: Any) -> str:
    return f"layer:{lab.commitment('IMG-1')}:1:0"


def test_a_layer_is_destroyed_before_anything_else_is_written(layered: Any) -> None:
    lab = layered
    order, seen = lab.accept(), []

    def look(line: Any) -> None:
        if line.kind == "layer_ended":
            seen.append(lab.image.read_bytes())

    lab.run(order, after=look)
    before, after = content(), seen[0]
    places = range(0, AREA_BYTES, 512)
    assert not [at for at in places if before[at : at + 512] == after[at : at + 512]]
    assert after[AREA_BYTES:] == before[AREA_BYTES:], "only the layer, and no marker yet"
    kinds = [kind for kind in lab.kinds(order) if kind != "progress"]
    assert kinds[3:6] == ["layer_start", "layer_ended", "markers_committed"]


def test_the_evidence_tells_the_layer_as_it_was_and_what_became_of_it(layered: Any) -> None:
    lab = layered
    order = lab.accept()
    lab.run(order)
    assert the_layer(lab, order).model_dump(mode="json") == {
        "kind": "luks2",
        "nsid": 1,
        "offset_bytes": 0,
        "is_detached": "no",
        "header_copies": 2,
        "key_slots": 2,
        "tokens": 1,
        "area_bytes": AREA_BYTES,
        "start_acknowledged": "yes",
        "every_copy_differs": "yes",
        "was_flushed": "yes",
        "known_key_refused": "not_observed",
        "is_found_after": "no",
    }
    assert lab.claim(order, "IMG-1").result == "erased", lab.claim(order, "IMG-1").reasons


def test_each_layer_is_asked_for_by_itself(plain_lab: Any) -> None:
    lab = plain_lab
    image = bytearray(content() + bytes(32 * MIB))
    luks_image.write_luks2(image, at=SECOND_AT)
    write_partition(image, SECOND_AT)
    lab.read_back = "sampled"
    lab.add_image("IMG-1", bytes(image))
    order = lab.accept()
    asked = []
    lab.run(order, after=lambda line: asked.append(line.step) if line.kind == "layer_start" else None)
    name = lab.commitment("IMG-1")
    assert asked == [f"layer:{name}:1:0", f"layer:{name}:1:{SECOND_AT}"]
    layers = lab.evidence(order).media[0].layers
    assert [(each.offset_bytes, each.every_copy_differs) for each in layers] == [
        (0, Seen.YES),
        (SECOND_AT, Seen.YES),
    ]


def test_a_layer_that_is_not_acknowledged_is_not_touched(
    layered: Any, make_world: Any, fake_time: Any
) -> None:
    """Nothing is: the medium's own steps are not acknowledged either."""
    lab = layered
    order = lab.accept()
    lab.run(order, world=make_world(fake_time), may_ack=lambda line: False)
    assert lab.image.read_bytes() == content()
    layer = the_layer(lab, order)
    assert layer.start_acknowledged is Seen.NO
    assert layer.every_copy_differs is layer.was_flushed is Seen.NOT_OBSERVED
    assert layer.is_found_after is Seen.YES
    assert (layer.header_copies, layer.key_slots) == (2, 2), "as the inventory listed it"
    assert "ACK_TIMED_OUT" in lab.evidence(order).media[0].errors


def test_a_layer_that_was_not_permitted_does_not_stop_the_medium(
    layered: Any, make_world: Any, fake_time: Any
) -> None:
    lab = layered
    order = lab.accept()
    lab.run(order, world=make_world(fake_time), may_ack=lambda line: line.kind != "layer_start")
    medium = lab.evidence(order).media[0]
    assert the_layer(lab, order).start_acknowledged is Seen.NO
    assert the_layer(lab, order).is_found_after is Seen.NO, "the overwrite reached it too"
    assert medium.commands[0].was_accepted is Seen.YES
    assert lab.claim(order, "IMG-1").result != "erased"


def test_after_one_that_was_not_permitted_no_other_layer_is_asked_for(
    plain_lab: Any, make_world: Any, fake_time: Any
) -> None:
    lab = plain_lab
    image = bytearray(content() + bytes(32 * MIB))
    luks_image.write_luks1(image, at=0)
    luks_image.write_luks2(image, at=SECOND_AT)
    write_partition(image, SECOND_AT)
    lab.read_back = "sampled"
    lab.add_image("IMG-1", bytes(image))
    order = lab.accept()
    assert len(order.plan.media[0].layers) == 2
    lab.run(order, world=make_world(fake_time), may_ack=lambda line: line.kind != "layer_start")
    assert lab.kinds(order).count("layer_start") == 1
    assert [each.start_acknowledged for each in lab.evidence(order).media[0].layers] == [Seen.NO, Seen.NO]


def test_a_layer_that_vanished_since_it_was_planned_is_told(layered: Any) -> None:
    lab = layered
    order = lab.accept()

    def wipe(line: Any) -> None:
        if line.kind == "opened":
            with lab.image.open("r+b") as file:
                file.write(bytes(AREA_BYTES))

    lab.run(order, after=wipe)
    medium = lab.evidence(order).media[0]
    assert "LAYER_MISSING" in medium.errors
    assert the_layer(lab, order).start_acknowledged is Seen.NO
    assert medium.commands[0].was_accepted is Seen.YES, "and the medium goes on"


def test_writes_that_fail_are_told_and_never_a_destroyed_layer(
    layered: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = layered
    order = lab.accept()

    def fails(*_: Any, **__: Any) -> None:
        raise OSError(5, "input/output error")

    monkeypatch.setattr(luks, "destroy", fails)
    lab.run(order)
    layer = the_layer(lab, order)
    assert layer.start_acknowledged is Seen.YES
    assert layer.every_copy_differs is Seen.NO
    assert layer.was_flushed is Seen.NOT_OBSERVED
    assert "WRITE_FAILED" in lab.evidence(order).media[0].errors
    assert lab.claim(order, "IMG-1").result != "erased"


def test_a_fault_of_ours_in_a_layer_costs_neither_medium_nor_evidence(
    layered: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = layered
    order = lab.accept()

    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(luks, "remember", broken)
    lab.run(order)
    medium = lab.evidence(order).media[0]
    assert medium.errors == ("AGENT_FAILED",)
    assert the_layer(lab, order).start_acknowledged is Seen.NO
    assert medium.commands[0].was_accepted is Seen.YES


def test_another_drive_in_its_place_while_the_layer_waited_is_not_written_to(layered: Any) -> None:
    lab = layered
    order = lab.accept()

    def swap(line: Any) -> None:
        if line.kind == "layer_start":
            described = lab.image.with_suffix(".json")
            described.write_text(described.read_text().replace("IMG-1", "IMG-X"))

    lab.run(order, after=swap)
    assert lab.image.read_bytes() == content()
    assert bodies(lab, order, "not_begun")[0]["code"] == "IDENTITY_CHANGED"
    assert bodies(lab, order, "sent") == []


def test_a_header_that_comes_back_is_found_at_the_last_look(layered: Any) -> None:
    lab = layered
    order = lab.accept()

    def restore(line: Any) -> None:
        if line.kind == "ended":
            with lab.image.open("r+b") as file:
                file.write(content()[: 1 * MIB])

    lab.run(order, after=restore)
    assert the_layer(lab, order).is_found_after is Seen.YES
    assert lab.claim(order, "IMG-1").result == "not_erased"


def test_layers_that_the_drive_does_not_show_now_refuse_the_order(layered: Any) -> None:
    lab = layered
    order = lab.order()
    lab.image.write_bytes(bytes(32 * MIB))
    assert lab.ask(lab.request(order)).code == "DRIVE_CHANGED"


def test_a_layer_that_no_plan_names_refuses_the_order(layered: Any) -> None:
    lab = layered
    planned = lab.planned(lab.inventory().drives[0]) | {"layers": []}
    order = lab.order(plan=lab.plan(lab.inventory(), media=[planned]))
    answer = lab.ask(lab.request(order))
    assert answer.code == "DRIVE_CHANGED"
    assert "encryption layers" in answer.reason


def test_neither_journal_nor_evidence_keeps_a_byte_of_the_layer(layered: Any) -> None:
    lab = layered
    order = lab.accept()
    lab.run(order)
    told = "\n".join(str(line) for line in lab.journal(order))
    header = content()[: luks_image.DATA_OFFSET]
    pieces = [header[at : at + 8] for at in range(0, len(header), 4096)]
    random_ones = [piece for piece in pieces if len(set(piece)) == 8]
    assert len(random_ones) > 100
    assert not [piece for piece in random_ones if piece.hex() in told]


def test_a_layer_on_a_drive_that_sanitizes_is_destroyed_first_too(make_lab: Any) -> None:
    lab = make_lab("SN-1", capacity_bytes=32 * MIB)
    drive, image = lab.drives[0], bytearray(18 * MIB)
    luks_image.write_luks2(image)
    for at in range(0, len(image), MIB):
        drive.write(1, at, bytes(image[at : at + MIB]))
    order = lab.accept()
    assert len(order.plan.media[0].layers) == 1
    lab.run(order)
    layer = lab.evidence(order).media[0].layers[0]
    assert (layer.every_copy_differs, layer.is_found_after) == (Seen.YES, Seen.NO)
    assert lab.claim(order, "SN-1").grade == "marker-proven"


def test_a_dying_drive_says_of_its_layer_what_was_seen(plain_lab: Any) -> None:
    lab = plain_lab
    drive, image = lab.add_plain("PL-1", capacity_bytes=32 * MIB), bytearray(18 * MIB)
    luks_image.write_luks2(image)
    for at in range(0, len(image), MIB):
        drive.write(1, at, bytes(image[at : at + MIB]))
    order = lab.accept()
    lab.run(order, after=lambda line: drive.set_faults([Fault.DEAD]) if line.kind == "layer_start" else None)
    medium = lab.evidence(order).media[0]
    assert medium.layers[0].every_copy_differs is Seen.NOT_OBSERVED
    assert medium.layers[0].is_found_after is Seen.NOT_OBSERVED
    assert "WRITE_FAILED" in medium.errors
    assert lab.claim(order, "PL-1").result == "inconclusive"


def test_of_a_drive_that_somebody_else_holds_no_layer_is_touched_or_looked_at(layered: Any) -> None:
    lab = layered
    order = lab.accept()
    with lab.image.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        lab.run(order)
    assert lab.image.read_bytes() == content()
    layer = the_layer(lab, order)
    assert layer.start_acknowledged is Seen.NO
    assert layer.is_found_after is Seen.NOT_OBSERVED
    assert "DRIVE_NOT_EXCLUSIVE" in lab.evidence(order).media[0].errors


def test_a_destroyed_layer_alone_means_that_something_may_have_begun(layered: Any, tmp_path: Path) -> None:
    """Even where the acknowledgement that allowed it is lost."""
    lab = layered
    order = lab.accept()
    lab.run(order)
    journal = lab.token_folder(order).journal()
    nowhere = TokenFolder(tmp_path / order.token)
    told = {
        line.kind: nowhere.may_have_begun(replace(journal, lines=(line,)))
        for line in journal.lines
        if line.kind in ("released", "opened", "layer_start", "layer_ended")
    }
    assert told == {"released": False, "opened": False, "layer_start": False, "layer_ended": True}
