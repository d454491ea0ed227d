"""Several files say more than one: two views of a log, and an outcome that another one replaced."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from certificate import answers
from certificate.answers import Answer
from certificate.bundle import Bundle
from certificate.log.entry import LogKind
from certificate.policy import Policy
from certificate.trust import TrustRoot

Story = Any
Make = Callable[..., Story]
FAILED = ("media.0.markers.markers.0.reading_after", "unchanged")


def said(root: TrustRoot, *bundles: Bundle | bytes) -> list[Answer]:
    files = [each if isinstance(each, bytes) else each.write() for each in bundles]
    named = [(f"{place}.bundle.json", lambda data=data: data) for place, data in enumerate(files)]
    found = answers.answers_to(named, root, Policy.production(), annexes=[], fingerprint="00" * 32)
    return list(found)


def codes(found: list[Answer]) -> list[str | None]:
    return [None if each.refusal is None else each.refusal.code.value for each in found]


def digest_of(story: Story) -> str:
    digest: str = story.envelopes["outcome"].payload_digest
    return digest


@pytest.fixture
def shared(make_story: Make, tools: dict[str, Any]) -> Make:
    """Stories that one log takes, one after the other."""
    log = tools["make_log"](make_story().root)
    return lambda **changes: make_story(log=log, **changes)


def test_two_bundles_of_one_log_stand_beside_each_other(shared: Make) -> None:
    first, second = shared(), shared()
    second.said("issuer_seq", 2)
    assert codes(said(first.root, first.build(), second.build())) == [None, None]


def test_two_roots_of_one_size_take_every_verdict_away(make_story: Make, shared: Make) -> None:
    one, other, third = shared(), make_story(), shared()
    other.said("issuer_seq", 2)
    bundles = [one.build(), other.build(), third.build()]
    assert codes(said(one.root, bundles[0], bundles[2])) == [None, None]
    found = said(one.root, *bundles)
    assert codes(found) == ["SPLIT_VIEW"] * 3
    assert {each.exit_code for each in found} == {1}
    assert "story" not in found[0].as_dict()


def test_two_entries_at_one_place_are_a_split_view_whatever_the_sizes(
    make_story: Make, tools: dict[str, Any]
) -> None:
    one, other = make_story(), make_story()
    other.said("issuer_seq", 2)
    bundle = other.build()
    longer = tools["make_log"](other.root)
    for name in ("order", "outcome", "summary"):
        longer.append(other.envelopes[name], LogKind(name))
    longer.append(other.envelopes["order"], LogKind("order"))
    proofs = [
        {"document": name, "proof": longer.proof(seq).write().decode()}
        for seq, name in enumerate(("order", "outcome", "summary"), 3)
    ]
    grown = with_parts(bundle, proofs=proofs)
    assert codes(said(one.root, grown)) == [None]
    assert codes(said(one.root, one.build(), grown)) == ["SPLIT_VIEW", "SPLIT_VIEW"]


def test_what_the_log_signed_counts_even_in_a_file_that_is_refused(make_story: Make) -> None:
    one, other = make_story(), make_story()
    other.said("issuer_seq", 2)
    bundle = other.build()
    spoilt = with_parts(bundle, validation=bundle.order)
    assert codes(said(one.root, spoilt)) == ["KEY_UNTRUSTED"]
    assert codes(said(one.root, one.build(), spoilt))[0] == "SPLIT_VIEW"


def test_an_anchor_that_contradicts_another_files_checkpoint_takes_every_verdict_away(
    make_story: Make, tools: dict[str, Any]
) -> None:
    one = make_story()
    before = one.build()  # its checkpoints are of six entries
    log = tools["make_log"](one.root)
    for name in ("order", "outcome", "summary"):
        log.append(one.envelopes[name], LogKind(name))
    size = len(log.entries)
    other = make_story(log=log)
    other.said("issuer_seq", 2).said("anchor.size", size).said("anchor.root", "ee" * 32)
    after = other.build()
    assert codes(said(one.root, after)) == [None]
    assert codes(said(one.root, before, after)) == ["CHECKPOINT_INVALID"] * 2


def test_an_outcome_that_a_later_attempt_replaced_is_superseded(shared: Make) -> None:
    first, second = shared(), shared()
    before = first.build()
    second.said("issuer_seq", 2).said("supersedes", digest_of(first))
    after = second.build()
    assert codes(said(first.root, before, after)) == ["SUPERSEDED", None]
    assert codes(said(first.root, after, before)) == [None, "SUPERSEDED"]
    assert codes(said(first.root, before)) == [None]


def test_a_later_failure_replaces_a_certificate_too(shared: Make) -> None:
    first, second = shared(), shared()
    before = first.build()
    second.seen(*FAILED).said("issuer_seq", 2).said("supersedes", digest_of(first))
    assert codes(said(first.root, before, second.build())) == ["SUPERSEDED", "NOT_ERASED"]


def test_a_failure_stays_what_it_is_whatever_came_later(shared: Make) -> None:
    first, second = shared(), shared()
    before = first.seen(*FAILED).build()
    second.said("issuer_seq", 2).said("supersedes", digest_of(first))
    found = said(first.root, before, second.build())
    assert codes(found) == ["NOT_ERASED", None]
    assert "follows" in found[1].screen()


def test_a_record_of_another_tenancy_is_a_caution_and_no_refusal(shared: Make) -> None:
    first, second = shared(), shared()
    before = first.build()
    later = "dep_" + "e2" * 16
    second.ordered("plan.deprovision", later).ordered("deprovision", later)
    second.said("issuer_seq", 2).said("supersedes", digest_of(first))
    found = said(first.root, before, second.build())
    assert codes(found) == [None, None]
    assert "a later record of this medium is among these files" in found[0].screen()
    assert found[1].cautions == ()


def with_parts(bundle: Bundle, **replaced: Any) -> Bundle:
    return Bundle.read(json.dumps(bundle.model_dump(mode="json") | replaced).encode())
