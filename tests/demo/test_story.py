"""What the demonstration promises and does not see ends it: each look can fail."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.lab import Failed
from demo.stage import CERTIFIED, LIAR, STAYS
from demo.story import Story


@pytest.fixture
def story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Story]:
    """Machines whose drives hold their tenants' text, and nothing that runs."""
    monkeypatch.setattr("demo.stage.DRIVE_BYTES", 1 << 20)
    story = Story(out=tmp_path / "out")
    for server in story.servers.values():
        server.build()
        story.planted[server.name] = server.occurrences()
    yield story
    story.lab.remove()


@pytest.mark.parametrize("host", STAYS)
def test_text_that_was_never_planted_proves_nothing(story: Story, host: str) -> None:
    story.planted[host] = 0
    with pytest.raises(Failed, match="text of its tenant"):
        story.look_at_drives()


def test_a_drive_that_still_shows_the_leavers_text_fails(story: Story) -> None:
    assert story.planted["host-1"] > 0
    with pytest.raises(Failed, match="host-1: the text of its tenant should not be there"):
        story.look_at_drives()


def test_a_drive_that_lost_the_stayers_text_fails(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    for host in CERTIFIED:
        monkeypatch.setattr(story.servers[host], "occurrences", lambda: 0)
    story.look_at_drives()
    monkeypatch.setattr(story.servers["host-2"], "occurrences", lambda: story.planted["host-2"] - 1)
    with pytest.raises(Failed, match="host-2: the text of its tenant should still be there"):
        story.look_at_drives()


def test_of_the_liars_text_markers_take_some_and_not_all(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    for host in CERTIFIED:
        monkeypatch.setattr(story.servers[host], "occurrences", lambda: 0)
    liar = story.servers[LIAR]
    monkeypatch.setattr(liar, "occurrences", lambda: story.planted[LIAR] * 3 // 4)
    story.look_at_drives()
    monkeypatch.setattr(liar, "occurrences", lambda: story.planted[LIAR] // 2)
    with pytest.raises(Failed, match="host-6: the text of its tenant should still be there"):
        story.look_at_drives()


@pytest.mark.parametrize("word", ["serial", "name", "customer"])
def test_a_private_word_in_what_is_handed_out_fails(story: Story, word: str) -> None:
    folder = story.out / "certificates"
    folder.mkdir(parents=True)
    (folder / "a.json").write_text("{}")
    story.look_for_private_words()
    server = story.servers["host-2"]
    said = server.disks[0].serial if word == "serial" else getattr(server, word)
    signed = base64.b64encode(json.dumps({"x": said}).encode()).decode()
    (folder / "a.json").write_text(json.dumps({"payload": signed}))
    with pytest.raises(Failed, match=r"private words in what is handed out.* in a\.json"):
        story.look_for_private_words()


def test_nothing_handed_out_is_no_proof_of_silence(story: Story) -> None:
    with pytest.raises(Failed, match="private words"):
        story.look_for_private_words()


def test_a_state_that_was_not_promised_fails_at_once(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    story.names = {"hst_2": "host-2"}
    ledger = [{"kind": "deprovision-scheduled", "body": {"host": "hst_2", "state": "scheduled"}}]

    def expunge(*arguments: str) -> str:
        if arguments[0] == "status":
            return json.dumps({"release": "0"})
        return "\n".join(json.dumps({"at": "T", "deprovision": "dep_2", **event}) for event in ledger)

    monkeypatch.setattr(story, "expunge", expunge)
    assert story.look() == {"host-2": ("scheduled",)}
    assert story.look() == {"host-2": ("scheduled",)}
    ledger.append({"kind": "state-moved", "body": {"new": "quarantined"}})
    with pytest.raises(Failed, match=r"host-2.* went another way"):
        story.look()


def test_a_passphrase_that_still_opens_fails(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("demo.disks.ImageDisk.opens", lambda *_: True)
    story.owner_tries(when="before")
    with pytest.raises(Failed, match="the passphrase should be refused"):
        story.owner_tries(when="after")


def test_a_passphrase_that_never_opened_proves_nothing(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("demo.disks.ImageDisk.opens", lambda *_: False)
    with pytest.raises(Failed, match="the passphrase should open"):
        story.owner_tries(when="before")
