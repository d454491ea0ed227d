"""One rule of the claim taken out at a time: the evidence that is then certified, or claimed too high.

Each row is a rule of `certificate.assurance`. Its evidence is honest but for one thing, and is judged twice:
with the rule the claim is no stronger than the row allows; without it a wrong certificate would be issued.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest

from certificate.assurance import (
    claim,
    commands,
    explanations,
    format_nvm,
    judgement,
    layers,
    markers,
    medium,
    namespaces,
    origin,
    overwrite,
    read_back,
    sanitize,
    strength,
)
from certificate.statements.outcome import Claim
from certificate.statements.vocabulary import Grade, Method, Result
from tests.techniques import (
    LAYOUT_BITS,
    Judged,
    Techniques,
    sanitize_dword10,
    status_log,
    submission,
)

CRYPTO, BLOCK, DRIVES_OVERWRITE = "nvme_sanitize_crypto", "nvme_sanitize_block", "nvme_sanitize_overwrite"
FORMAT_CRYPTO, FORMAT_USER_DATA = "nvme_format_crypto", "nvme_format_user_data"
KEYSTREAM, ZERO = "overwrite_keystream", "overwrite_zero"


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A rule, the words of the code that keep it, what stands there instead, and the evidence it is for."""

    rule: str
    owner: ModuleType
    function: str
    old: str
    new: str
    told: Callable[[Techniques], Judged]
    #: The strongest claim that is right; None where the medium is not erased at all.
    allowed: tuple[Method, Grade] | None = None

    def __str__(self) -> str:
        return self.rule


def honest(technique: str, spoil: Callable[[Judged], Judged], **made: Any) -> Callable[[Techniques], Judged]:
    return lambda techniques: spoil(techniques.honest(technique, **made))


def told(technique: str, path: str, value: Any, **made: Any) -> Callable[[Techniques], Judged]:
    """Honest evidence of this technique with one word of the medium's entry changed."""
    return honest(technique, lambda case: case.told(path, value), **made)


def sent(technique: str, raw: str, **made: Any) -> Callable[[Techniques], Judged]:
    """With one command, sent as these bytes."""
    return honest(
        technique,
        lambda case: case.told("commands", lambda had: [had[0] | {"submission": raw}]),
        **made,
    )


def stale(case: Judged) -> Judged:
    """The drive says after the command what it said before, and no marker was written."""
    before = case.told("commands.0.status_log_before", status_log(sanitize_dword10(4)))
    return before.told("markers.markers", []).reopened()


def stale_but_for_an_estimate(case: Judged) -> Judged:
    """The same with one byte of a time estimate moved in between."""
    same = stale(case)
    return same.told("commands.0.status_log_before", lambda log: log[:16] + "fe" + log[18:])


def stale_and_unmapped(case: Judged) -> Judged:
    """The drive did nothing, and gives the blocks that it unmapped as zeros."""
    unchanged = case.told("commands.0.status_log_before", status_log(sanitize_dword10(2)))
    return unchanged.every_marker(reading_after="zero")


def unallocated(case: Judged) -> Judged:
    """Part of the drive is in no namespace, as the drive itself says."""
    less = case.told("namespaces.0.capacity_bytes", lambda capacity: capacity - 4096)
    rest = less.told("unallocated_capacity_bytes", 4096).word("UNVMCAP", "0010" + "00" * 14)
    return rest.marked()


def kept_out(case: Judged) -> Judged:
    """The drive was found with a failed sanitize: it could not be marked, and says that ours ended."""
    before = case.told("commands.0.status_log_before", status_log(sanitize_dword10(2), state=3))
    return before.told("markers.markers", []).reopened().told("errors", ["ACCESS_REFUSED"])


def without_refusal(case: Judged) -> Judged:
    """Nothing says that the drive refused the technique before."""
    accepted = case.told("commands.0.completion_status", "0000").told("commands.0.was_accepted", "yes")
    return accepted.told("commands.0.status_log_after", "not_observed")


PURGE_REPORTED = (Method.PURGE, Grade.DEVICE_REPORTED)
MUTANTS = (
    # --- rules 1 to 3 and 8
    Mutant(
        rule="a drive that the evidence lacks spoils all",
        owner=origin,
        function="_of_this_host",
        old="ordered - set(listed) or ",
        new="",
        told=honest(CRYPTO, lambda case: case.with_second_drive().seen("media", lambda media: media[:1])),
    ),
    Mutant(
        rule="a fact of the host that nobody observed does not agree",
        owner=origin,
        function="_of_this_host",
        old="fact.agrees is Seen.YES",
        new="fact.agrees is not Seen.NO",
        told=honest(CRYPTO, lambda case: case.seen("host_facts.0.agrees", "not_observed")),
    ),
    Mutant(
        rule="storage that stands in no order spoils all",
        owner=origin,
        function="_of_this_host",
        old="evidence.unexpected_media_count != 0 or ",
        new="",
        told=honest(CRYPTO, lambda case: case.seen("unexpected_media_count", 1)),
    ),
    Mutant(
        rule="escrowed keys are not destroyed by a cryptographic erase",
        owner=judgement,
        function="_of_technique",
        old="technique in DESTROYS_A_KEY and",
        new="False and",
        told=honest(FORMAT_CRYPTO, lambda case: case.ordered("escrow", "known")),
    ),
    # --- rule 4
    Mutant(
        rule="what held the medium has let go",
        owner=medium,
        function="reasons",
        old="held.is_released is not Seen.YES",
        new="held.is_released is None",
        told=told(CRYPTO, "released", [{"kind": "raid", "is_released": "no"}]),
    ),
    Mutant(
        rule="the medium hides no capacity",
        owner=medium,
        function="_may_hide_capacity",
        old="native > shown",
        new="False",
        told=told(KEYSTREAM, "medium.native_capacity_bytes", 1 << 50),
    ),
    Mutant(
        rule="a Format and an overwrite leave unallocated capacity (UNVMCAP)",
        owner=medium,
        function="addressable",
        old="if not is_none_left:",
        new="if False:",
        told=honest(FORMAT_CRYPTO, unallocated),
    ),
    Mutant(
        rule="what one of several controllers lists may not be everything",
        owner=medium,
        function="addressable",
        old=" or namespaces.may_be_unlisted(case)",
        new="",
        told=honest(FORMAT_CRYPTO, lambda case: case.word("TNVMCAP", "00" * 16).word("CMIC", "02")),
    ),
    Mutant(
        rule="a code that no earlier command's own words give is not explained",
        owner=explanations,
        function="_of_failure",
        old="if SanitizeStatus.parse(command.status_log_after).state == SanitizeState.FAILED:",
        new="if True:",
        told=told(BLOCK, "errors", ["SANITIZE_FAILED"], refused=(CRYPTO,)),
    ),
    Mutant(
        rule="the drive's own word says that nothing is unallocated",
        owner=medium,
        function="addressable",
        old="is_none_left and case.word(UNALLOCATED_WORD, width_bytes=CAPACITY_WORD_BYTES) == 0",
        new="is_none_left",
        told=honest(FORMAT_CRYPTO, lambda case: case.word("UNVMCAP", "01" + "00" * 15)),
    ),
    Mutant(
        rule="a Format and an overwrite leave a namespace that is not attached",
        owner=medium,
        function="addressable",
        old="namespace.is_attached is not Seen.YES",
        new="namespace.is_attached is None",
        told=honest(
            FORMAT_CRYPTO, lambda case: case.told("namespaces.1.is_attached", "no").marked(), namespaces=2
        ),
    ),
    Mutant(
        rule="a namespace that nobody listed shows in the capacity",
        owner=medium,
        function="_is_whole_capacity",
        old="sum(counted) == entry.medium.capacity_bytes != 0",
        new="True",
        told=honest(CRYPTO, lambda case: case.told("namespaces.0.capacity_bytes", 4096).marked()),
    ),
    Mutant(
        rule="the drive's own word says how large it is (TNVMCAP)",
        owner=namespaces,
        function="may_be_unlisted",
        old="if counted and counted != case.entry.medium.capacity_bytes:",
        new="if False:",
        told=honest(FORMAT_CRYPTO, lambda case: case.word("TNVMCAP", "ff" * 8 + "00" * 8)),
    ),
    Mutant(
        rule="a medium is of the kind that its own words make it",
        owner=medium,
        function="_is_unlike_planned",
        old=" or planned.kind is not _kind(case)",
        new="",
        told=honest(BLOCK, lambda case: case.word("SANICAP", "02000000")),
    ),
    # --- rule 5
    Mutant(
        rule="the next technique follows the drive's refusal only",
        owner=commands,
        function="reasons",
        old=" or not earlier_failed",
        new="",
        told=honest(BLOCK, without_refusal, refused=(CRYPTO,)),
    ),
    Mutant(
        rule="the techniques are the plan's",
        owner=commands,
        function="reasons",
        old="tried != case.planned.techniques[: len(tried)] or ",
        new="",
        told=honest(BLOCK, lambda case: case.planned("techniques", [CRYPTO])),
    ),
    Mutant(
        rule="a start was acknowledged",
        owner=commands,
        function="_of_every",
        old="if command.start_acknowledged is not Seen.YES:",
        new="if False:",
        told=told(FORMAT_USER_DATA, "commands.1.start_acknowledged", "no", namespaces=2),
    ),
    Mutant(
        rule="a sanitize has the technique's own action",
        owner=sanitize,
        function="_is_meant",
        old="(submission.opcode, submission.action) != (sanitize_words.OPCODE_SANITIZE, action)",
        new="submission.opcode != sanitize_words.OPCODE_SANITIZE",
        told=honest(
            CRYPTO,
            lambda case: case.told(
                "commands.0.submission", submission(opcode=0x84, dword10=sanitize_dword10(1))
            ).told("commands.0.status_log_after", status_log(sanitize_dword10(1))),
        ),
    ),
    Mutant(
        rule="the drive's own word offers the technique (SANICAP)",
        owner=sanitize,
        function="reasons",
        old="yield Reason.CAPABILITY_NOT_SHOWN",
        new="pass",
        told=honest(DRIVES_OVERWRITE, lambda case: case.word("SANICAP", "03000000")),
    ),
    Mutant(
        rule="markers show nothing of a namespace that this controller may not list",
        owner=sanitize,
        function="reasons",
        old="if namespaces.may_be_unlisted(case):",
        new="if False:",
        told=honest(CRYPTO, lambda case: case.word("TNVMCAP", "00" * 16).word("CMIC", "02")),
        allowed=PURGE_REPORTED,
    ),
    Mutant(
        rule="a drive's overwrite has the pattern that nobody chose",
        owner=sanitize,
        function="_is_meant",
        old=" and submission.overwrite_pattern == _pattern(case)",
        new="",
        told=sent(
            DRIVES_OVERWRITE,
            submission(opcode=0x84, dword10=sanitize_dword10(3, passes=1), dword11=0x01010101),
        ),
    ),
    Mutant(
        rule="every pass of a drive's overwrite is reported",
        owner=sanitize,
        function="_status",
        old="after.overwrite_passes_done < submission.overwrite_passes",
        new="False",
        told=told(
            DRIVES_OVERWRITE,
            "commands.0.status_log_after",
            status_log(sanitize_dword10(3, passes=1), passes_done=0),
        ),
    ),
    Mutant(
        rule="a cryptographic Format has SES 2, not 1",
        owner=format_nvm,
        function="_is_meant",
        old="(submission.opcode, submission.secure_erase) == wanted",
        new="submission.opcode == wanted[0]",
        told=sent(FORMAT_CRYPTO, submission(opcode=0x80, nsid=1, dword10=LAYOUT_BITS | 1 << 9)),
    ),
    Mutant(
        rule="a cryptographic Format needs FNA bit 2",
        owner=format_nvm,
        function="_is_offered",
        old="not attributes & FNA_CRYPTO_ERASE",
        new="False",
        told=honest(FORMAT_CRYPTO, lambda case: case.word("FNA", "00")),
    ),
    Mutant(
        rule="a Format reaches another namespace only where FNA bit 1 says so",
        owner=format_nvm,
        function="_reached",
        old="named and attributes & reaches_all",
        new="named",
        told=sent(
            FORMAT_CRYPTO,
            submission(opcode=0x80, nsid=1, dword10=LAYOUT_BITS | 2 << 9),
            namespaces=2,
        ),
    ),
    Mutant(
        rule="a Format keeps the layout",
        owner=format_nvm,
        function="_keeps_layout",
        old="_layout(case, nsid) == submission.layout",
        new="True",
        told=sent(FORMAT_CRYPTO, submission(opcode=0x80, nsid=1, dword10=2 << 9)),
    ),
    Mutant(
        rule="a host's pass wrote every byte",
        owner=overwrite,
        function="_pass",
        old="if not _is_complete(case, done):",
        new="if False:",
        told=told(KEYSTREAM, "commands.0.overwrite.bytes_written", lambda written: written * 23 // 100),
    ),
    Mutant(
        rule="not one write of a host's pass failed",
        owner=overwrite,
        function="_is_complete",
        old=" and done.bytes_failed == 0",
        new="",
        told=told(ZERO, "commands.0.overwrite.bytes_failed", 512),
    ),
    Mutant(
        rule="a host's pass was flushed",
        owner=overwrite,
        function="_pass",
        old="if done.was_flushed is not Seen.YES:",
        new="if False:",
        told=told(ZERO, "commands.0.overwrite.was_flushed", "not_observed"),
    ),
    Mutant(
        rule="a host's pass is no device's command",
        owner=overwrite,
        function="_pass",
        old="if set(device_words) != {NOT_APPLICABLE}:",
        new="if False:",
        told=told(ZERO, "commands.0.completion_status", "0000"),
    ),
    Mutant(
        rule="metadata in line with the data is left by the host",
        owner=overwrite,
        function="_is_without_metadata",
        old=" and not word & FLBAS_EXTENDED",
        new="",
        told=honest(ZERO, lambda case: case.word("NS1:FLBAS", "32")),
    ),
    # --- rule 6
    Mutant(
        rule="a success from before the command is not ours",
        owner=sanitize,
        function="_has_changed",
        old="return before != SanitizeStatus.parse(command.status_log_after)",
        new="return True",
        told=honest(CRYPTO, stale),
    ),
    Mutant(
        rule="an estimate that moved makes no new status",
        owner=sanitize,
        function="_has_changed",
        old="return before != SanitizeStatus.parse(command.status_log_after)",
        new="return command.status_log_before != command.status_log_after",
        told=honest(CRYPTO, stale_but_for_an_estimate),
    ),
    Mutant(
        rule="unmapping makes no stale status ours",
        owner=markers,
        function="show_change",
        old="_proving(case)",
        new="_fitting(case)",
        told=honest(BLOCK, stale_and_unmapped),
    ),
    Mutant(
        rule="the status is of exactly our command",
        owner=sanitize,
        function="_status",
        old="submission.dword10 != after.dword10",
        new="False",
        told=told(CRYPTO, "commands.0.status_log_after", status_log(sanitize_dword10(4) | 8)),
    ),
    Mutant(
        rule="nothing was written after the sanitize",
        owner=sanitize,
        function="_status",
        old="if not after.is_global_data_erased:",
        new="if False:",
        told=told(CRYPTO, "commands.0.status_log_after", status_log(sanitize_dword10(4), is_erased=False)),
    ),
    Mutant(
        rule="no status log speaks of a Format",
        owner=format_nvm,
        function="reasons",
        old="yield Reason.RECORD_DOES_NOT_FIT",
        new="pass",
        told=told(FORMAT_CRYPTO, "commands.0.status_log_after", status_log(sanitize_dword10(4))),
    ),
    # --- rule 7
    Mutant(
        rule="a marker that still stands is not erased",
        owner=markers,
        function="_of_one",
        old="yield Reason.MARKER_UNCHANGED",
        new="pass",
        told=honest(CRYPTO, lambda case: case.marker(1, reading_after="unchanged")),
    ),
    Mutant(
        rule="noise is no proof of an overwrite",
        owner=markers,
        function="_of_one",
        old="if changed not in fitting:",
        new="if False:",
        told=honest(KEYSTREAM, lambda case: case.marker(1, reading_after="pseudorandom")),
    ),
    Mutant(
        rule="zeros show no changed key",
        owner=markers,
        function="_of_one",
        old="if changed in _UNMAPPED:",
        new="if False:",
        told=honest(CRYPTO, lambda case: case.every_marker(reading_after="zero")),
        allowed=PURGE_REPORTED,
    ),
    Mutant(
        rule="a marker that was never on the medium proves nothing",
        owner=markers,
        function="_of_one",
        old="if marker.read_back_before is not Seen.YES:",
        new="if False:",
        told=honest(CRYPTO, lambda case: case.marker(0, read_back_before="no")),
        allowed=PURGE_REPORTED,
    ),
    Mutant(
        rule="the markers are those that were committed to",
        owner=markers,
        function="_is_opened",
        old="return opened == committed.committed_digest",
        new="return True",
        told=told(CRYPTO, "markers.committed_digest", "00" * 32),
    ),
    Mutant(
        rule="the markers are those that order, nonce and medium give",
        owner=markers,
        function="reasons",
        old="sorted(_listed(committed)) != _derived(case)",
        new="False",
        told=honest(CRYPTO, lambda case: case.told("markers.markers", lambda all: all[:3]).reopened()),
    ),
    Mutant(
        rule="every namespace holds markers",
        owner=markers,
        function="_is_sparse",
        old=" or any(held[nsid] < wanted_count for nsid in listed)",
        new="",
        told=honest(CRYPTO, lambda case: case.detached()),
        allowed=PURGE_REPORTED,
    ),
    Mutant(
        rule="an overwritten medium is read back",
        owner=read_back,
        function="reasons",
        old="yield Reason.READ_BACK_MISSING",
        new="pass",
        told=told(KEYSTREAM, "read_back", "not_applicable"),
    ),
    Mutant(
        rule="a read-back is no less than the plan's mode",
        owner=read_back,
        function="_of_overwrite",
        old="not is_enough or ",
        new="",
        told=honest(KEYSTREAM, lambda case: case.ordered("plan.read_back", "full"), read_back="sampled"),
    ),
    Mutant(
        rule="a read-back's places are nobody's choice",
        owner=read_back,
        function="_of_overwrite",
        old="found.seed != _seed(case)",
        new="False",
        told=told(KEYSTREAM, "read_back.seed", "00" * 32, read_back="sampled"),
    ),
    Mutant(
        rule="a read-back plans all the extents that its mode has",
        owner=read_back,
        function="_of_overwrite",
        old="found.extents_planned != count",
        new="False",
        told=told(KEYSTREAM, "read_back.extents_planned", 1),
    ),
    Mutant(
        rule="a read-back reads all that it planned",
        owner=read_back,
        function="_of_overwrite",
        old="(found.extents_read, found.bytes_read) != (count, length_bytes)",
        new="False",
        told=told(KEYSTREAM, "read_back.extents_read", 1),
    ),
    Mutant(
        rule="bytes that cannot be read back are not known",
        owner=read_back,
        function="_of_overwrite",
        old="found.bytes_unreadable != 0 or ",
        new="",
        told=told(ZERO, "read_back.bytes_unreadable", 512),
    ),
    Mutant(
        rule="bytes that differ contradict the overwrite",
        owner=read_back,
        function="_of_overwrite",
        old="yield Reason.READ_BACK_MISMATCH",
        new="pass",
        told=told(ZERO, "read_back.bytes_mismatched", 4096),
    ),
    Mutant(
        rule="a host's overwrite has no report to fall back on",
        owner=judgement,
        function="_without_report",
        old="technique in HOST_OVERWRITES",
        new="False",
        told=honest(KEYSTREAM, lambda case: case.told("markers.markers", []).reopened()),
    ),
    # --- rule 9
    Mutant(
        rule="every layer that the order names has its entry",
        owner=layers,
        function="reasons",
        old="named != seen or ",
        new="",
        told=told(CRYPTO, "layers", [], layers=1),
    ),
    Mutant(
        rule="a layer that is found afterwards is not erased",
        owner=layers,
        function="_of_one",
        old="yield Reason.LAYER_FOUND_AFTER",
        new="pass",
        told=told(KEYSTREAM, "layers.0.is_found_after", "yes", layers=1),
    ),
    Mutant(
        rule="somebody looked for every layer afterwards",
        owner=layers,
        function="_of_one",
        old="yield Reason.LAYER_NOT_LOOKED_FOR",
        new="pass",
        told=told(CRYPTO, "layers.0.is_found_after", "not_observed", layers=1),
    ),
    Mutant(
        rule="a key that opened a layer is refused",
        owner=layers,
        function="_of_one",
        old="yield Reason.LAYER_KEY_OPENS",
        new="pass",
        told=told(CRYPTO, "layers.0.known_key_refused", "no", layers=1),
    ),
    Mutant(
        rule="a layer that was not seen destroyed is no proof",
        owner=layers,
        function="_of_one",
        old="yield Reason.LAYER_NOT_DESTROYED",
        new="pass",
        told=told(CRYPTO, "layers.0.every_copy_differs", "no", layers=1),
        allowed=PURGE_REPORTED,
    ),
    # --- rule 10
    Mutant(
        rule="a claim below the floor is none",
        owner=claim,
        function="make",
        old="found.add(Reason.BELOW_FLOOR)",
        new="pass",
        told=honest(KEYSTREAM, lambda case: case.ordered("plan.floor", "purge")),
    ),
    Mutant(
        rule="a drive that could not be marked is at most believed",
        owner=markers,
        function="reasons",
        old="yield Reason.NO_MARKERS",
        new="pass",
        told=honest(CRYPTO, kept_out),
        allowed=PURGE_REPORTED,
    ),
    Mutant(
        rule="only a failed sanitize explains that a drive was not marked",
        owner=explanations,
        function="_was_kept_out",
        old="before.state == SanitizeState.FAILED",
        new="True",
        told=honest(
            CRYPTO,
            lambda case: kept_out(case).told("commands.0.status_log_before", status_log(0, state=0)),
        ),
    ),
    Mutant(
        rule="a drive that was marked did not refuse to be",
        owner=explanations,
        function="_was_kept_out",
        old=" or committed.markers",
        new="",
        told=honest(
            CRYPTO,
            lambda case: kept_out(case).told(
                "markers", case.evidence.media[0].markers.model_dump(mode="json")
            ),
        ),
    ),
    Mutant(
        rule="a doubt is a doubt",
        owner=claim,
        function="make",
        old="{Effect.CONTRADICTS, Effect.DOUBTS}",
        new="{Effect.CONTRADICTS}",
        told=told(CRYPTO, "errors", ["READ_FAILED"]),
    ),
)


def allowed_strength(allowed: tuple[Method, Grade] | None) -> int:
    if allowed is None:
        return 0
    method, grade = allowed
    return strength(
        Claim(
            result=Result.ERASED,
            method=method,
            technique="not_applicable",
            grade=grade,
            reasons=(),
            limits=(),
        )
    )


def require_no_more_than_allowed(mutant: Mutant, techniques: Techniques) -> None:
    made = mutant.told(techniques).claim()
    assert strength(made) <= allowed_strength(mutant.allowed), "a wrong certificate was issued"


@pytest.fixture(scope="session")
def techniques(documents: ModuleType) -> Techniques:
    return Techniques(documents)


def test_no_rule_stands_twice() -> None:
    assert len({mutant.rule for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_with_the_rule_no_more_is_claimed_than_was_seen(mutant: Mutant, techniques: Techniques) -> None:
    require_no_more_than_allowed(mutant, techniques)


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_without_the_rule_a_wrong_certificate_is_issued(
    mutant: Mutant, techniques: Techniques, rewrite: Callable[..., None]
) -> None:
    rewrite(mutant.owner, mutant.function, mutant.old, mutant.new)
    with pytest.raises(AssertionError, match="a wrong certificate was issued"):
        require_no_more_than_allowed(mutant, techniques)
