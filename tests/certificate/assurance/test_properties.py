"""The three properties of DESIGN.md, over the evidence of every technique.

Turning a fact into `not_observed` or dropping a list member never raises a claim; adding an adverse fact
never raises one; a drive that the order names and the evidence lacks lowers every claim.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from certificate.assurance import judge, strength, worst
from certificate.statements import Evidence, Order
from certificate.statements.outcome import Claim
from certificate.statements.vocabulary import Result
from tests.techniques import SANITIZES, TECHNIQUES, Judged, Techniques, as_json, sanitize_dword10, status_log

#: Lists whose members only ever speak against a medium: leaving one out is the opposite of adding one.
ADVERSE_LISTS = {"errors", "unaddressed_areas", "released"}
#: The one fact of that kind: nobody is expected to have a key that opened a layer before.
ADVERSE_FACT = ("known_key_refused", "no")
RELEASED = [{"kind": "mount", "is_released": "yes"}, {"kind": "raid", "is_released": "yes"}]
#: Words about one adverse thing seen, each enough to lower some claim or leave it as it is. No two of one
#: place, so that none takes another back.
ADVERSE: tuple[tuple[str, Any], ...] = (
    ("was_present", "no"),
    ("attachment", "removable"),
    ("opened_exclusively", "no"),
    ("same_identity_after", "no"),
    ("is_readable_after", "no"),
    ("is_write_protected", "yes"),
    ("released.1.is_released", "no"),
    ("namespaces.0.is_covered", "no"),
    ("namespaces.0.is_attached", "no"),
    ("errors", ["SANITIZE_FAILED"]),
    ("unaddressed_areas", ["boot partition 1"]),
    ("capabilities.0.raw", "00000000"),
    ("capabilities.1.raw", "0000"),
    ("capabilities.2.raw", "00"),
    ("capabilities.3.raw", "00" * 15 + "01"),
    ("capabilities.4.raw", "01" + "00" * 15),
    ("capabilities.5.raw", "10"),
    ("capabilities.6.raw", "00"),
    ("unallocated_capacity_bytes", lambda count: count + 4096),
    ("medium.firmware", "OTHER"),
    ("medium.device_class", "emulated"),
    ("medium.native_capacity_bytes", 1 << 50),
    ("layers", lambda layers: [*layers, *(each | {"offset_bytes": 7 << 30} for each in layers[:1])]),
    ("layers.0.is_found_after", "yes"),
    ("layers.0.known_key_refused", "no"),
    ("layers.1.every_copy_differs", "no"),
    ("layers.0.start_acknowledged", "no"),
    ("layers.1.was_flushed", "no"),
    ("commands.0.start_acknowledged", "no"),
    ("commands.0.seen_in_progress", "no"),
    ("commands.0.completion_status", "0001"),
    ("commands.0.submission", "00" * 64),
    ("commands.0.status_log_before", "ff" * 64),
    ("commands.1.was_accepted", "no"),
    ("commands.1.completion_status", "0001"),
    ("commands.1.timed_out", "yes"),
    ("commands.0.overwrite.bytes_failed", 512),
    ("commands.0.overwrite.bytes_written", 512),
    ("commands.0.overwrite.was_flushed", "no"),
    ("read_back.bytes_mismatched", 1),
    ("read_back.bytes_unreadable", 1),
    ("read_back.extents_read", 1),
    ("read_back.seed", "00" * 32),
    ("markers.was_acknowledged", "no"),
    ("markers.committed_digest", "00" * 32),
    ("markers.markers.0.reading_after", "unchanged"),
    ("markers.markers.1.reading_after", "constant"),
    ("markers.markers.2.reading_after", "unreadable"),
    ("markers.markers.0.read_back_before", "no"),
    ("markers.markers.0.changed_65536ths", 0),
)
ADVERSE_OF_ALL: tuple[tuple[str, Any], ...] = (
    ("host_facts.1.agrees", "no"),
    ("unexpected_media_count", 2),
    ("boot_secret_held", "no"),
    ("was_attached", "yes"),
    ("clock.accepted_at_ms", 10_000_000),
    *((f"media.0.{path}", value) for path, value in ADVERSE),
)


def places(document: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a JSON document with its path."""
    members = document.items() if isinstance(document, dict) else enumerate(document)
    for name, value in members:
        here = f"{path}.{name}".lstrip(".")
        yield here, value
        if isinstance(value, dict | list):
            yield from places(value, here)


#: Markers from the fourth to the sixteenth differ from their neighbours in place and content only.
MIDDLE_MARKER = re.compile(r"markers\.markers\.[3-9](\.|$)|markers\.markers\.1[0-5](\.|$)")


def forgettings(case: Judged) -> Iterator[tuple[str, str, Any]]:
    """Each way of knowing one thing less: a fact not observed, or a member of a list left out."""
    for path, value in places(as_json(case.evidence)):
        if MIDDLE_MARKER.search(path):
            continue
        name = path.split(".")[-1]
        if isinstance(value, list):
            for index in range(0 if name in ADVERSE_LISTS else len(value)):
                yield f"{path} without {index}", path, value[:index] + value[index + 1 :]
        elif value != "not_observed" and (name, value) != ADVERSE_FACT:
            yield f"{path} not observed", path, "not_observed"
        if isinstance(value, dict):
            yield f"{path} not applicable", path, "not_applicable"


def changed(case: Judged, path: str, value: Any) -> Judged | None:
    """None where there is no such place, or its model refuses the word."""
    try:
        return case.seen(path, value)
    except (KeyError, IndexError, TypeError, ValueError):
        return None


def bases(techniques: Techniques) -> dict[str, Judged]:
    honest = techniques.honest
    found = {name: honest(name) for name in TECHNIQUES}
    found |= {f"{name}, layers": honest(name, layers=2).told("released", RELEASED) for name in TECHNIQUES}
    found |= {f"{name}, two namespaces": honest(name, namespaces=2) for name in TECHNIQUES}
    crypto, block, formatted = (
        found["nvme_sanitize_crypto"],
        found["nvme_sanitize_block"],
        "nvme_format_crypto",
    )
    read_back = as_json(found["overwrite_zero"].evidence)["media"][0]["read_back"]
    stale = status_log(sanitize_dword10(4))
    return found | {
        "fallback": honest("nvme_sanitize_block", refused=("nvme_sanitize_crypto",)),
        "fallback to a format": honest(formatted, refused=("nvme_sanitize_crypto",), namespaces=2),
        "fallback of formats": honest("nvme_format_user_data", refused=(formatted,), namespaces=2),
        "fallback to an overwrite": honest("overwrite_keystream", refused=(formatted,)),
        "plain": honest("overwrite_keystream", is_plain=True, layers=1),
        "sampled": honest("overwrite_zero", is_plain=True, read_back="sampled"),
        "more than planned": honest("overwrite_zero").ordered("plan.read_back", "sampled"),
        "two drives": crypto.with_second_drive(),
        "stale status": crypto.told("commands.0.status_log_before", stale),
        "kept out": crypto.told("commands.0.status_log_before", status_log(sanitize_dword10(2), state=3))
        .told("markers.markers", [])
        .reopened()
        .told("errors", ["ACCESS_REFUSED"]),
        "markers read zero": crypto.every_marker(reading_after="zero"),
        "format reads zero": found[formatted].every_marker(reading_after="zero"),
        "no markers": found[formatted].told("markers.markers", []).reopened(),
        "not attached": crypto.detached(),
        "two marked": crypto.detached().told("namespaces.1.is_attached", "yes").marked(),
        "no size": crypto.detached(capacity_bytes=0),
        "listed twice": crypto.detached().told("namespaces.1.nsid", 1),
        "unallocated": block.told("namespaces.0.capacity_bytes", lambda n: n - 8192)
        .told("unallocated_capacity_bytes", 8192)
        .marked(),
        "known key refused": honest(formatted, layers=1).told("layers.0.known_key_refused", "yes"),
        "layer not flushed": honest(formatted, layers=1).told("layers.0.was_flushed", "no"),
        "native capacity": crypto.told(
            "medium.native_capacity_bytes", crypto.evidence.media[0].medium.capacity_bytes
        ),
        "needless read-back": crypto.told("read_back", read_back),
        "one format for all": honest(formatted, namespaces=2)
        .told("commands", lambda commands: commands[:1])
        .word("FNA", "06"),
        "from the network": crypto.ordered("boot_trust", "network").ordered("plan.floor", "clear"),
    }


@pytest.fixture(scope="module")
def known(techniques: Techniques) -> dict[str, Judged]:
    return bases(techniques)


def test_every_base_is_an_erasure(known: dict[str, Judged]) -> None:
    assert {name for name, base in known.items() if base.claim().result is not Result.ERASED} == set()


def test_forgetting_any_one_fact_or_member_never_raises_a_claim(known: dict[str, Judged]) -> None:
    tried = 0
    for name, base in known.items():
        before = strength(base.claim())
        for what, path, value in forgettings(base):
            less = changed(base, path, value)
            if less is None:
                continue
            tried += 1
            assert strength(less.claim()) <= before, f"{name}: {what}"
    assert tried > 4000


def test_any_one_adverse_fact_never_raises_a_claim(known: dict[str, Judged]) -> None:
    lowering: set[str] = set()
    for name, base in known.items():
        before = strength(base.claim())
        for path, value in ADVERSE_OF_ALL:
            less = changed(base, path, value)
            after = before if less is None else strength(less.claim())
            assert after <= before, f"{name}: {path}"
            lowering |= {path} if after < before else set()
    # What was seen running, an attached agent and areas out of reach are said in limits or nowhere.
    silent = {"was_attached", *(f"media.0.{each}" for each in SILENT)}
    assert {path for path, _ in ADVERSE_OF_ALL} - lowering == silent


SILENT = ("commands.0.seen_in_progress", "unaddressed_areas", "medium.device_class")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_forgetting_never_raises_a_claim_that_adverse_facts_have_lowered(
    known: dict[str, Judged], data: Any
) -> None:
    base = known[data.draw(st.sampled_from(sorted(known)))]
    for path, value in data.draw(st.lists(st.sampled_from(FORGETTABLE), max_size=3)):
        base = changed(base, path, value) or base
    before = strength(base.claim())
    for _ in range(data.draw(st.integers(1, 4))):
        what, path, value = data.draw(st.sampled_from(list(forgettings(base))))
        base = changed(base, path, value) or base
        after = strength(base.claim())
        assert after <= before, what
        before = after


#: An entry too many is adverse as a whole: leaving it out again is no loss.
FORGETTABLE = [each for each in ADVERSE_OF_ALL if each[0] != "media.0.layers"]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_adverse_facts_together_never_raise_a_claim(known: dict[str, Judged], data: Any) -> None:
    base = known[data.draw(st.sampled_from(sorted(known)))]
    before = strength(base.claim())
    for path, value in data.draw(st.lists(st.sampled_from(ADVERSE_OF_ALL), min_size=1, max_size=6)):
        base = changed(base, path, value) or base
        after = strength(base.claim())
        assert after <= before, path
        before = after


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_judging_never_raises_whatever_the_evidence_says(known: dict[str, Judged], data: Any) -> None:
    """Words of one command stand in another, raw words are cut short, technique and record do not fit."""
    base = known[data.draw(st.sampled_from(sorted(known)))]
    words = st.sampled_from(["not_observed", "not_applicable", "00", "ff" * 64, "00" * 64, "0000"])
    paths = st.sampled_from(
        [
            *(f"commands.0.{field}" for field in ("submission", "completion_status", "status_log_after")),
            *(f"commands.0.{field}" for field in ("status_log_before", "overwrite", "technique")),
            *(f"capabilities.{index}.raw" for index in range(9)),
            "read_back",
            "markers.nonce",
            "medium.capacity_bytes",
        ]
    )
    values = st.one_of(words, st.sampled_from([*TECHNIQUES, "luks", 0, 1 << 52]))
    for path, value in data.draw(st.lists(st.tuples(paths, values), max_size=8)):
        base = changed(base, f"media.0.{path}", value) or base
    assert base.claim().result in Result


# --- a missing drive ---


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_a_drive_that_the_evidence_lacks_lowers_every_claim(techniques: Techniques, technique: str) -> None:
    both = techniques.honest(technique, layers=1).with_second_drive()
    missing = both.seen("media", lambda media: media[:1])
    assert strength(missing.claim()) < strength(both.claim())
    named = [medium.commitment for medium in both.order.plan.media]
    assert {
        judge(order=missing.order, evidence=missing.evidence, commitment=each).result for each in named
    } == {Result.INCONCLUSIVE}


def judge_that_ignores_a_missing_drive(*, order: Order, evidence: Evidence, commitment: str) -> Claim:
    """The mutant: as if the order had named only the drives that the evidence lists."""
    listed = {entry.medium.commitment for entry in evidence.media}
    document = as_json(order)
    document["plan"]["media"] = [each for each in document["plan"]["media"] if each["commitment"] in listed]
    return judge(
        order=type(order).model_validate_json(json.dumps(document)), evidence=evidence, commitment=commitment
    )


def forgetting_a_drive_keeps_the_claim_down(case: Judged, judging: Callable[..., Claim]) -> bool:
    """The property, for one way of forgetting: the entry of the drive that could not be erased."""
    spoilt = case.with_second_drive().seen("media.1.markers.markers.0.reading_after", "unchanged")
    less = spoilt.seen("media", lambda media: media[:1])

    def host(told: Judged) -> int:
        named = [medium.commitment for medium in told.order.plan.media]
        listed = {entry.medium.commitment for entry in told.evidence.media}
        judged = named if judging is judge else [each for each in named if each in listed]
        return strength(
            worst(judging(order=told.order, evidence=told.evidence, commitment=each) for each in judged)
        )

    return host(less) <= host(spoilt)


@pytest.mark.parametrize("technique", SANITIZES)
def test_a_judge_that_ignores_a_missing_drive_is_caught(techniques: Techniques, technique: str) -> None:
    case = techniques.honest(technique)
    assert forgetting_a_drive_keeps_the_claim_down(case, judge)
    assert not forgetting_a_drive_keeps_the_claim_down(case, judge_that_ignores_a_missing_drive)
