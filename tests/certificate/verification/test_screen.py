"""The one screen, as a tired auditor reads it: every technique, every failure, and the same facts as JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from certificate import answers, trust
from certificate.answers import Answer
from certificate.departures import claim_of_open_exception
from certificate.policy import Policy
from certificate.render.text import WIDTH
from certificate.render.words import TECHNIQUES as TECHNIQUE_WORDS
from certificate.statements.vocabulary import Technique
from tests.techniques import TECHNIQUES, Judged

Story = Any
#: What each technique's screen must say, besides what all say.
TOLD = {
    "nvme_sanitize_crypto": ("84h (Sanitize), completion 0000h, accepted", "status log", " pseudorandom)"),
    "nvme_sanitize_block": ("device-reported: the drive's own status says so", "weaker by"),
    "nvme_sanitize_overwrite": ("every marker reads as the pattern that we sent", " as overwritten)"),
    "nvme_format_crypto": ("80h (Format NVM), namespace 1, completion 0000h", "the command succeeded"),
    "nvme_format_user_data": ("80h (Format NVM), namespace 1, completion 0000h", "clear"),
    "overwrite_keystream": ("overwrite, keystream: 3,840,755,982,336 bytes written, 0 failed", "(100.0 %"),
    "overwrite_zero": ("overwrite, zeros: 3,840,755,982,336 bytes written, 0 failed; flushed: yes", "full:"),
}


@pytest.fixture(scope="session")
def any_medium(altered: Callable[..., Any]) -> Policy:
    """A policy that takes clear and emulated media."""
    policy = altered(Policy.production(), "device_classes", ["physical", "emulated"])
    lower: Policy = altered(policy, "minimum_method", "clear")
    return lower


@pytest.fixture
def answer(any_medium: Policy, tools: dict[str, Any]) -> Callable[[Story], Answer]:
    def told(story: Story) -> Answer:
        written = story.build().write()
        root = trust.sign(story.root, tools["keys"].root).write()
        (found,) = answers.answers_to(
            [("a.bundle.json", lambda: written)],
            story.root,
            any_medium,
            annexes=[],
            fingerprint=trust.fingerprint(root),
        )
        return found

    return told


def dumped(model: Any) -> Any:
    return model.model_dump(mode="json", by_alias=True)


def flat(screen: str) -> str:
    return " ".join(screen.split())


def as_told(found: Answer) -> str:
    """The screen in one line. Every line of it fits, and its facts are those of --json."""
    screen = found.screen()
    assert max(len(line) for line in screen.splitlines()) <= WIDTH
    for part in found.as_dict()["story"]:
        assert part["title"] in screen
        for line in part["lines"]:
            assert line["label"] in screen
            assert flat(line["text"]) in flat(screen)
    return flat(screen)


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_every_technique_says_what_was_sent_and_how_it_is_known(
    technique: str, make_erasure: Callable[..., Story], answer: Callable[[Story], Answer]
) -> None:
    found = answer(make_erasure(technique))
    assert found.exit_code == 0, found.screen()
    for words in TOLD[technique]:
        assert words in as_told(found)


def test_a_sampled_read_back_tells_its_share_and_layers_what_became_of_them(
    make_erasure: Callable[..., Story], answer: Callable[[Story], Answer]
) -> None:
    found = answer(make_erasure("overwrite_keystream", layers=2, read_back="sampled"))
    screen = as_told(found)
    assert "sampled: " in screen
    assert "(10.0 % of the medium)" in screen
    assert "0 bytes differ, 0 unreadable" in screen
    assert "2 (luks2, 2 key slots): 2 destroyed in every copy, 0 found again after everything" in screen


def test_techniques_that_failed_before_are_told_with_their_completion(
    make_erasure: Callable[..., Story], answer: Callable[[Story], Answer]
) -> None:
    found = answer(make_erasure("nvme_format_crypto", namespaces=3, refused=("nvme_sanitize_crypto",)))
    screen = as_told(found)
    assert "Sanitize crypto: refused or failed, so the next of the plan was used" in screen
    assert "completion 0002h, REFUSED" in screen
    assert "namespace 3" in screen


def test_many_commands_do_not_fill_the_screen(
    make_erasure: Callable[..., Story], answer: Callable[[Story], Answer]
) -> None:
    found = answer(make_erasure("nvme_format_crypto", namespaces=12))
    screen = as_told(found)
    assert found.exit_code == 0
    assert "and 6 more commands: 6 completion 0000h, accepted" in screen
    assert len(found.screen().splitlines()) < 65


def unreadable_marks(case: Judged) -> Judged:
    return case.told("commands.0.completion_status", "not_observed").told("commands.0.timed_out", "yes")


@pytest.mark.parametrize(
    ("technique", "change", "code", "words"),
    [
        (
            "overwrite_zero",
            lambda case: case.told("read_back.bytes_mismatched", 4096),
            "NOT_ERASED",
            ("The medium holds bytes that the overwrite did not write. (READ_BACK_MISMATCH)", "4,096 bytes"),
        ),
        (
            "nvme_sanitize_crypto",
            lambda case: case.every_marker(reading_after="unchanged", changed_65536ths=0),
            "NOT_ERASED",
            (
                "A marker still reads as it was written.",
                " unchanged)",
                "Sanitize, cryptographic erase: asked the drive to destroy its media key",
            ),
        ),
        (
            "nvme_sanitize_crypto",
            unreadable_marks,
            "INCONCLUSIVE",
            ("no completion seen, TIMED OUT", "not answered in time"),
        ),
        (
            "overwrite_keystream",
            lambda case: case.told("errors", ["WRITE_FAILED"]),
            "INCONCLUSIVE",
            ("WRITE_FAILED", "The agent recorded errors on this medium."),
        ),
    ],
)
def test_a_failure_is_told_whole_with_its_reasons_in_sentences(
    make_erasure: Callable[..., Story],
    answer: Callable[[Story], Answer],
    technique: str,
    change: Callable[[Judged], Judged],
    code: str,
    words: tuple[str, ...],
) -> None:
    found = answer(make_erasure(technique, change=change))
    assert found.refusal is not None
    assert (found.refusal.code.value, found.exit_code) == (code, 3 if code == "INCONCLUSIVE" else 1)
    screen = as_told(found)
    for expected in (*words, "What was to be erased", "What was seen", "by nobody"):
        assert expected in screen
    assert "the drive destroyed" not in screen
    assert "What was erased" not in screen


def test_a_failure_without_its_hosts_summary_is_told_too(
    make_erasure: Callable[..., Story], answer: Callable[[Story], Answer]
) -> None:
    story = make_erasure("overwrite_zero", change=lambda case: case.told("was_present", "no"))
    story.summary = False
    assert "no summary came along" in as_told(answer(story))


def test_a_certificate_below_the_policy_is_told_and_one_that_is_forged_is_not(
    story: Story, answer: Callable[[Story], Answer], any_medium: Policy, altered: Callable[..., Any]
) -> None:
    written = story.build().write()
    strict = altered(any_medium, "minimum_grade", "device-attested")
    weak, forged = answers.answers_to(
        [("weak", lambda: written), ("forged", lambda: written.replace(b"order", b"ordre"))],
        story.root,
        strict,
        annexes=[],
        fingerprint="00" * 32,
    )
    assert weak.refusal is not None
    assert weak.refusal.code.value == "POLICY_UNMET"
    assert "the policy asks device-attested" in as_told(weak)
    assert "story" not in forged.as_dict()
    assert "What" not in forged.screen()


#: Layout that an auditor's eye goes by.
HEAD = """\
VALID  a.bundle.json

What was erased
  medium         nvme, Samsung, SAMSUNG MZQL23T8HCLS-00A07, firmware GDC5902Q, 3.8 TB
  kind           self-encrypting NVMe drive
"""
CLAIMED = """\
What is claimed
  this medium    erased, purge (NIST SP 800-88r2), marker-proven
  technique      NVMe Sanitize, cryptographic erase: asked the drive to destroy its media key
"""
REACH = """\
  L1             signed
  L2             logged
  but            no witness: the operator could show others another log
"""


def test_the_layout_is_as_it_was(story: Story, answer: Callable[[Story], Answer]) -> None:
    screen = answer(story).screen()
    assert screen.startswith(HEAD)
    assert CLAIMED in screen
    assert REACH in screen


GONE, BROKEN = "a1" * 32, "b2" * 32
REMOVED_AT = "2026-11-22T09:00:00Z"


def removal(tools: dict[str, Any], operator: Any, medium: str) -> Any:
    return tools["make_decision"](
        operator,
        kind="remove",
        on="0f" * 32,
        choice="remove",
        document_digest=medium,
        enrols="not_applicable",
        issued_at=REMOVED_AT,
        effective_at=REMOVED_AT,
    )


def test_each_medium_of_the_host_says_what_became_of_it(
    story: Story, answer: Callable[[Story], Answer], tools: dict[str, Any], medium: str
) -> None:
    keys = tools["keys"]
    removals = {each: [removal(tools, by, each) for by in (keys.alice, keys.bob)] for each in (GONE, BROKEN)}
    story.decisions = (*removals[GONE], *removals[BROKEN])
    left = [
        {
            "commitment": commitment,
            "became": became,
            "outcome_digest": outcome,
            "decision_digest": removals[commitment][0].payload_digest,
        }
        for commitment, became, outcome in (
            (GONE, "removed", "c3" * 32),
            (BROKEN, "open_exception", "not_applicable"),
        )
    ]
    story.summed("media", lambda media: [*media, *left])
    story.summed("claim", dumped(claim_of_open_exception()))
    found = answer(story)
    assert found.exit_code == 0, found.screen()
    screen = as_told(found)
    assert "INCONCLUSIVE: nobody can say that it was erased; on record: 3 media" in screen
    assert f"- {medium[:16]}..., this one: erased" in screen
    assert (
        f"- {GONE[:16]}...: taken out by two operators; whether it was erased, its own record says" in screen
    )
    assert f"- {BROKEN[:16]}...: left the host UNERASED" in screen
    assert "but 1 of the host's media left it with data that nobody erased, and stand open" in screen


def test_a_person_who_accepted_is_told_by_key_and_why_by_digest(
    story: Story, answer: Callable[[Story], Answer], tools: dict[str, Any]
) -> None:
    story.tabled("rows.0.decision", "escalate").build()
    signed_at = "2026-11-22T10:00:40Z"
    decision = tools["make_decision"](
        tools["keys"].alice,
        kind="validate",
        on=story.envelopes["evidence"].payload_digest,
        choice="accept",
        enrols="not_applicable",
        issued_at=signed_at,
        effective_at=signed_at,
    )
    story.decisions = (decision,)
    story.said("validation.decided_by", decision.payload_digest).said("validation.role", "operator")
    story.said("validation.table_digest", story.envelopes["validation"].payload_digest)
    story.said("validation.validated_by", tools["keys"].alice.public.keyid)
    screen = as_told(answer(story))
    assert f"accepted by a person, {tools['keys'].alice.public.keyid}, {signed_at}" in screen
    assert f"why: the signed decision {decision.payload_digest}" in screen
    assert "accepted by an operator who neither requested nor approved" in screen


def test_no_technique_is_told_as_done() -> None:
    assert set(TECHNIQUE_WORDS) == set(Technique)
    for told in TECHNIQUE_WORDS.values():
        assert told.partition(": ")[2].startswith("asked "), told


def test_what_no_command_reaches_is_told_once(story: Story, answer: Callable[[Story], Answer]) -> None:
    story.seen("media.0.unaddressed_areas", ["boot partitions"])
    story.said("sanitization.unaddressed_areas", ["boot partitions"])
    screen = flat(as_told(answer(story)))
    assert "No command of this order reaches: boot partitions." in screen
    assert screen.count("boot partitions") == 1
