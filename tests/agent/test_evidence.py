"""Evidence is told from the journal alone: less journal never makes a stronger claim."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent import found_media, tokens, wiring
from agent.evidence import assemble
from agent.journal import Kind
from agent.told import Told
from certificate import assurance, envelope
from certificate.keys import PublicKey
from certificate.messages import JournalLine
from certificate.statements import Evidence, Order, Seen
from certificate.statements import statement as statements
from certificate.statements.vocabulary import DeviceClass
from tests import luks_image

ISSUED_AT = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)


@dataclass
class Story:
    """A finished run of two drives, and everything its evidence was made of."""

    order: Order
    told: Told
    names: tuple[str, ...]

    def evidence(self, lines: tuple[JournalLine, ...] | None = None, **changes: Any) -> Evidence:
        told = replace(self.told, **({} if lines is None else {"lines": lines}), **changes)
        return assemble(told, nonce="0" * 32, issued_at=ISSUED_AT).predicate

    def strengths(self, evidence: Evidence) -> list[int]:
        return [
            assurance.strength(assurance.judge(order=self.order, evidence=evidence, commitment=name))
            for name in self.names
        ]


def story_of(lab: Any, *serials: str) -> Story:
    order = lab.accept()
    lab.run(order)
    folder = lab.token_folder(order)
    lines = tuple(line for line in folder.journal().lines if line.kind not in ("evidence", "finished"))
    storage, inventory = wiring.take_inventory(lab.record)
    nonce = folder.marker_nonce_file.read_bytes()
    salts = {lab.commitment(serial): lab.salt(serial) for serial in serials}
    digest = folder.record().order_digest
    media = found_media.find(order, storage, inventory, salts)
    told = Told(
        order=order,
        order_digest=digest,
        record=folder.record(),
        agent_key=PublicKey.from_hex(lab.record.evidence_key),
        has_secret=Seen.YES,
        lines=lines,
        head="0" * 64,
        acknowledged=frozenset(line.seq for line in lines if folder.is_acknowledged(line)),
        placed={
            each.planned.commitment: found_media.place(each, order_digest=digest, nonce=nonce)
            for each in media
        },
        marker_nonce=nonce,
        unexpected_count=0,
        was_attached=False,
        annex_digest="a" * 64,
        finished_at_ms=folder.record().accepted_at_ms + 1,
    )
    return Story(order=order, told=told, names=tuple(lab.commitment(serial) for serial in serials))


@pytest.fixture(scope="module")
def stories() -> dict[str, Story]:
    return {}


@pytest.fixture
def story(make_lab: Callable[..., Any], stories: dict[str, Story]) -> Story:
    """Made once: what follows only reads it."""
    if "honest" not in stories:
        stories["honest"] = story_of(make_lab("SN-1", "SN-2"), "SN-1", "SN-2")
    return stories["honest"]


@pytest.fixture
def overwritten(plain_lab: Any, stories: dict[str, Story]) -> Story:
    """Two images, the first with an encryption layer; made once too."""
    if "overwritten" not in stories:
        image = bytearray(b"t" * (2 << 20))
        luks_image.write_luks2(image, data_offset=512 << 10, keyslots_bytes=480 << 10)
        plain_lab.add_image("IMG-1", bytes(image))
        plain_lab.add_image("IMG-2")
        stories["overwritten"] = story_of(plain_lab, "IMG-1", "IMG-2")
    return stories["overwritten"]


def test_the_whole_journal_gives_the_strongest_claims(story: Story) -> None:
    assert min(story.strengths(story.evidence())) > 0


def test_every_medium_of_the_order_has_one_entry_even_from_an_empty_journal(story: Story) -> None:
    evidence = story.evidence(lines=())
    assert [entry.medium.commitment for entry in evidence.media] == list(story.names)
    assert story.strengths(evidence) == [0, 0]
    assert {fact.agrees for fact in evidence.host_facts} == {Seen.NOT_OBSERVED}
    assert {place.name for place in evidence.residue} == set(story.order.plan.residue)


def test_a_journal_cut_anywhere_never_raises_a_claim(story: Story) -> None:
    whole = story.strengths(story.evidence())
    for length in range(len(story.told.lines) + 1):
        found = story.strengths(story.evidence(story.told.lines[:length]))
        assert all(less <= full for less, full in zip(found, whole, strict=True)), f"cut at {length}"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_lines_left_out_never_raise_a_claim(story: Story, data: st.DataObject) -> None:
    kept = data.draw(st.lists(st.booleans(), min_size=len(story.told.lines), max_size=len(story.told.lines)))
    lines = tuple(line for line, is_kept in zip(story.told.lines, kept, strict=True) if is_kept)
    whole, found = story.strengths(story.evidence()), story.strengths(story.evidence(lines))
    assert all(less <= full for less, full in zip(found, whole, strict=True))


@pytest.mark.parametrize(
    "kind",
    [Kind.OPENED, Kind.MARKERS_COMMITTED, Kind.MARKED, Kind.START, Kind.SENT, Kind.ENDED, Kind.READBACK],
)
def test_each_kind_of_line_is_needed_for_the_claim(story: Story, kind: Kind) -> None:
    """A line nobody needs would be a fact nobody checks."""
    lines = tuple(line for line in story.told.lines if line.kind != kind)
    whole, found = story.strengths(story.evidence()), story.strengths(story.evidence(lines))
    assert all(less < full for less, full in zip(found, whole, strict=True))


def test_the_whole_journal_of_an_overwrite_gives_the_strongest_claims(overwritten: Story) -> None:
    assert min(overwritten.strengths(overwritten.evidence())) > 0


def test_an_overwrites_journal_cut_anywhere_never_raises_a_claim(overwritten: Story) -> None:
    whole = overwritten.strengths(overwritten.evidence())
    for length in range(len(overwritten.told.lines) + 1):
        found = overwritten.strengths(overwritten.evidence(overwritten.told.lines[:length]))
        assert all(less <= full for less, full in zip(found, whole, strict=True)), f"cut at {length}"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_an_overwrites_lines_left_out_never_raise_a_claim(overwritten: Story, data: st.DataObject) -> None:
    count = len(overwritten.told.lines)
    kept = data.draw(st.lists(st.booleans(), min_size=count, max_size=count))
    lines = tuple(line for line, is_kept in zip(overwritten.told.lines, kept, strict=True) if is_kept)
    whole = overwritten.strengths(overwritten.evidence())
    found = overwritten.strengths(overwritten.evidence(lines))
    assert all(less <= full for less, full in zip(found, whole, strict=True))


@pytest.mark.parametrize(
    "kind",
    [Kind.OPENED, Kind.MARKERS_COMMITTED, Kind.MARKED, Kind.START, Kind.SENT, Kind.ENDED, Kind.READBACK],
)
def test_each_kind_of_line_is_needed_for_the_claim_of_an_overwrite(overwritten: Story, kind: Kind) -> None:
    lines = tuple(line for line in overwritten.told.lines if line.kind != kind)
    assert overwritten.strengths(overwritten.evidence(lines)) == [0, 0]


def test_a_layer_that_no_line_tells_of_was_not_begun(overwritten: Story) -> None:
    for lines in ((), tuple(line for line in overwritten.told.lines if not line.kind.startswith("layer"))):
        (layer,) = overwritten.evidence(lines).media[0].layers
        assert layer.start_acknowledged is Seen.NO
        assert layer.every_copy_differs is layer.was_flushed is Seen.NOT_OBSERVED


def test_a_layer_whose_end_no_line_tells_was_perhaps_begun(overwritten: Story) -> None:
    lines = tuple(line for line in overwritten.told.lines if line.kind != Kind.LAYER_ENDED)
    (layer,) = overwritten.evidence(lines).media[0].layers
    assert layer.start_acknowledged is layer.every_copy_differs is Seen.NOT_OBSERVED
    assert layer.key_slots == 1


def test_a_layers_acknowledgement_that_does_not_stand_is_told(overwritten: Story) -> None:
    (layer,) = overwritten.evidence(acknowledged=frozenset()).media[0].layers
    assert layer.start_acknowledged is Seen.NO


def test_where_nothing_was_sent_the_plan_says_whether_there_was_something_to_read_back(
    story: Story, overwritten: Story
) -> None:
    assert {entry.read_back for entry in story.evidence(()).media} == {"not_applicable"}
    assert {entry.read_back for entry in overwritten.evidence(()).media} == {"not_observed"}


def test_without_the_acknowledgements_there_is_no_claim(story: Story) -> None:
    assert story.strengths(story.evidence(acknowledged=frozenset())) == [0, 0]


@pytest.mark.parametrize(
    "changes",
    [
        {"unexpected_count": None},
        {"unexpected_count": 1},
        {"has_secret": Seen.NOT_OBSERVED},
        {"placed": {}},
        {"marker_nonce": bytes(32)},
    ],
)
def test_what_the_end_did_not_confirm_leaves_no_claim(story: Story, changes: dict[str, Any]) -> None:
    assert story.strengths(story.evidence(**changes)) == [0, 0]


def retold(story: Story, kind: Kind, **changes: str) -> tuple[JournalLine, ...]:
    """The journal with these words in the bodies of one kind of line."""
    return tuple(
        replace(line, body=line.body | changes) if line.kind == kind else line for line in story.told.lines
    )


def covered(evidence: Evidence) -> set[Seen]:
    return {namespace.is_covered for entry in evidence.media for namespace in entry.namespaces}


def test_namespaces_are_covered_by_an_accepted_command_that_the_drives_log_says_ended_well(
    story: Story,
) -> None:
    assert covered(story.evidence()) == {Seen.YES}


def test_an_accepted_command_alone_covers_nothing(story: Story) -> None:
    evidence = story.evidence(tuple(line for line in story.told.lines if line.kind != Kind.ENDED))
    assert {entry.commands[-1].was_accepted for entry in evidence.media} == {Seen.YES}
    assert covered(evidence) == {Seen.NOT_OBSERVED}


@pytest.mark.parametrize("accepted", ["no", "not_observed"])
def test_a_log_of_a_success_covers_nothing_when_our_command_was_not_accepted(
    story: Story, accepted: str
) -> None:
    assert covered(story.evidence(retold(story, Kind.SENT, was_accepted=accepted))) == {Seen.NOT_OBSERVED}


@pytest.mark.parametrize(
    "status",
    [
        # SSTAT (bytes 3:2): never, in progress, failed; then a success with another dword 10 (bytes 7:4).
        *("0001" + "04020000", "0201" + "04020000", "0301" + "04020000", "0101" + "02020000"),
    ],
)
def test_a_log_that_tells_of_no_success_of_our_command_covers_nothing(story: Story, status: str) -> None:
    log = "ffff" + status + "00" * 56
    evidence = story.evidence(retold(story, Kind.ENDED, status_log_after=log))
    assert covered(evidence) == {Seen.NOT_OBSERVED}
    assert story.strengths(evidence) == [0, 0]


def test_without_a_command_nothing_is_known_to_be_covered(story: Story) -> None:
    kinds = (Kind.START, Kind.SENT, Kind.ENDED)
    evidence = story.evidence(tuple(line for line in story.told.lines if line.kind not in kinds))
    assert covered(evidence) == {Seen.NOT_OBSERVED}


def test_a_drive_that_was_emulated_when_the_order_was_accepted_stays_so(story: Story) -> None:
    """It may stop answering, and then no longer names its vendor."""

    def physical(line: JournalLine) -> JournalLine:
        body = {key: text.replace('"emulated"', '"physical"') for key, text in line.body.items()}
        return replace(line, body=body) if line.kind == Kind.OPENED else line

    lines = tuple(physical(line) for line in story.told.lines)
    assert lines != tuple(story.told.lines)
    assert {each.medium.device_class for each in story.evidence(lines).media} == {DeviceClass.EMULATED}


def test_one_drives_lines_never_speak_for_the_other(story: Story) -> None:
    lines = tuple(line for line in story.told.lines if line.body.get("medium") != story.names[1])
    found = story.strengths(story.evidence(lines))
    assert found[0] > 0
    assert found[1] == 0


def test_evidence_is_signed_by_this_boots_key_alone(make_lab: Any) -> None:
    lab = make_lab("SN-1")
    order = lab.accept()
    lab.run(order)
    line = next(line for line in lab.journal(order) if line.kind == "evidence")
    signed = envelope.read(line.body["envelope"].encode())
    key = PublicKey.from_hex(lab.record.evidence_key)
    found = statements.read(signed.opened(key), Evidence).predicate
    assert found.agent_keyid == key.keyid
    assert found.boot_id == key.boot_id == order.boot_id


def test_a_token_folder_outside_the_tokens_is_no_token(make_lab: Any) -> None:
    lab = make_lab("SN-1")
    for name in ("..", "../x", "A1" * 16, "a1" * 15, "a1" * 16 + "/"):
        with pytest.raises(Exception, match="TOKEN_UNKNOWN"):
            tokens.folder(lab.run_directory, name)
