"""One calm screen for a terminal: what was erased, what is claimed, how it is known, what is not covered.

Rules: only what was verified is shown, and a refusal is shown with its next step; levels are named one by
one, never as a single tick; a demonstration says so in capitals before anything else. What a terminal would
act on is escaped, so that no document can draw on the screen.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from certificate.errors import Refused
from certificate.statements import Purpose
from certificate.statements.outcome import Claim
from certificate.statements.statement import time_text
from certificate.statements.vocabulary import DeviceClass, Grade, ResidueState, Result, Technique
from certificate.verify import Verified

WIDTH = 100
_LABEL = 15

TECHNIQUES = {
    Technique.NVME_SANITIZE_CRYPTO: "NVMe Sanitize, cryptographic erase: the drive destroyed its media key",
    Technique.NVME_SANITIZE_BLOCK: "NVMe Sanitize, block erase: the drive erased its flash blocks",
    Technique.NVME_SANITIZE_OVERWRITE: "NVMe Sanitize, overwrite: the drive wrote over its own media",
    Technique.NVME_FORMAT_CRYPTO: "Format NVM, cryptographic erase: the drive destroyed its media key",
    Technique.NVME_FORMAT_USER_DATA: "Format NVM, user data erase: the drive erased what it addresses",
    Technique.OVERWRITE_KEYSTREAM: "Overwrite: one pass of a recorded keystream over every addressable block",
    Technique.OVERWRITE_ZERO: "Overwrite: one pass of zeros over every addressable block",
    Technique.LUKS: "LUKS: the keys of an encryption layer were destroyed",
}
GRADES = {
    Grade.OPERATOR_ATTESTED: "people say so",
    Grade.VENDOR_ASSERTED: "the vendor says that the command does this, and its consequences were seen",
    Grade.DEVICE_REPORTED: "the drive's own status says so",
    Grade.MARKER_PROVEN: "the drive's status says so, and every marker written before reads as random now",
    Grade.DEVICE_ATTESTED: "the drive or its platform signed it",
}
DEMONSTRATION = (
    "DEMONSTRATION: signed under a demonstration trust root. It proves nothing about a real machine."
)


def render(verified: Verified, *, file: str, serial: str | None, root_fingerprint: str) -> str:
    """The screen for a bundle that verified. `serial`: from the annex, else None."""
    lines = [
        *_banner(verified),
        f"VALID  {printable(file)}",
        "",
        *_section("What was erased", _what(verified, serial)),
        *_section("What is claimed", _claimed(verified)),
        *_section("How it is known", _known(verified)),
        *_section("What is not covered", _not_covered(verified)),
        *_section("Checked", ((each.name, each.sentence) for each in verified.checks)),
        *_section("How far this reaches", _reach(verified, root_fingerprint)),
    ]
    return "\n".join(lines)


def render_refusal(refusal: Refused, *, file: str, verdict: str) -> str:
    """The screen for a bundle that did not verify."""
    lines = [
        f"{verdict.upper()}  {printable(file)}",
        *_entry("code", refusal.code.value),
        *_entry("because", refusal.reason),
        *_entry("next", refusal.remedy),
    ]
    return "\n".join(lines)


def printable(text: str) -> str:
    """`text` with everything escaped that a terminal would act on."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def media_count(count: int) -> str:
    return "1 medium" if count == 1 else f"{count} media"


def capacity(size_bytes: int) -> str:
    """Decimal, as drives are sold; exact below a megabyte."""
    for factor, unit in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB")):
        if size_bytes >= factor:
            return f"{size_bytes / factor:.1f} {unit}"
    return f"{size_bytes} bytes"


def _banner(verified: Verified) -> list[str]:
    return [DEMONSTRATION, ""] if verified.purpose is Purpose.DEMONSTRATION else []


def _what(verified: Verified, serial: str | None) -> Iterator[tuple[str, str]]:
    outcome, medium = verified.outcome, verified.outcome.medium
    size = medium.capacity_bytes
    words = [
        str(medium.transport),
        str(medium.manufacturer),
        str(medium.model),
        f"firmware {medium.firmware}",
        capacity(size) if isinstance(size, int) else "capacity not observed",
    ]
    if medium.device_class is not DeviceClass.PHYSICAL:
        words.append(medium.device_class.value.upper())
    yield "medium", ", ".join(word for word in words if word != "not_observed")
    yield "commitment", medium.commitment
    if serial is not None:
        yield "serial", f"{serial} (opened by the annex)"
    yield "host", f"{outcome.host_commitment[:16]}..., class of data {outcome.custody.data_class}"
    if outcome.attempt != "not_applicable":
        yield "deprovision", f"{outcome.deprovision}, attempt {outcome.attempt}"
    if outcome.destruction != "not_applicable":
        attested = outcome.destruction.attested
        yield "destroyed", f"{attested.destroyed_on}, {attested.method.value}"
    if outcome.sanitization != "not_applicable":
        done = outcome.sanitization.finished_at
        yield "finished", done if isinstance(done, str) else time_text(done)


def _claimed(verified: Verified) -> Iterator[tuple[str, str]]:
    claim, summary = verified.claim, verified.summary
    yield "this medium", _claim_words(claim)
    if claim.technique != "not_applicable":
        yield "technique", TECHNIQUES[claim.technique]
    if summary is None:
        yield "its host", "no summary: the medium left it under no deprovision, or before one ended"
    else:
        yield "its host", f"{_claim_words(summary.claim)}; on record: {media_count(len(summary.media))}"


def _claim_words(claim: Claim) -> str:
    if claim.result is not Result.ERASED:
        return claim.result.value.replace("_", " ")
    return f"erased, {claim.method.value} (NIST SP 800-88r2), {claim.grade.value}"


def _known(verified: Verified) -> Iterator[tuple[str, str]]:
    claim, outcome = verified.claim, verified.outcome
    yield claim.grade.value, GRADES.get(claim.grade, "nothing is claimed")
    media = () if verified.evidence is None else verified.evidence.media
    entry = next((each for each in media if each.medium.commitment == outcome.medium.commitment), None)
    for command in () if entry is None else entry.commands:
        yield "command", f"{command.submission[:2]}h, completion {command.completion_status}h"
        yield (
            "status log",
            f"{command.status_log_before[:16]}... before, {command.status_log_after[:16]}... after",
        )
    if outcome.verification != "not_applicable":
        changed = outcome.verification.markers_as_expected
        yield (
            "markers",
            f"{outcome.verification.markers_committed} committed before, {changed} as expected after",
        )
    for reason in claim.reasons:
        yield "weaker by", reason
    if outcome.boot_trust == "not_applicable":
        return
    start = f"{outcome.boot_trust}, as the provider declares"
    yield "started from", f"{start}; observed {outcome.observer}"


def _not_covered(verified: Verified) -> Iterator[tuple[str, str]]:
    for limit in verified.claim.limits:
        yield "", limit
    residue = () if verified.summary is None else verified.summary.residue
    open_places = [each.name.value for each in residue if each.state is ResidueState.NOT_COVERED]
    if open_places:
        yield "", f"Places of the host that were not covered: {', '.join(open_places)}."


def _reach(verified: Verified, root_fingerprint: str) -> Iterator[tuple[str, str]]:
    for level in verified.levels:
        number, _, word = level.value.partition(" ")
        yield number, word
    for caution in verified.cautions:
        yield "but", caution
    yield "trust root", f"{root_fingerprint} (compare with the one on paper)"
    yield "policy", f"{verified.policy_digest[:16]}..."


def _section(title: str, entries: Iterator[tuple[str, str]]) -> Iterator[str]:
    yield title
    for label, text in entries:
        yield from _entry(label, text)
    yield ""


def _entry(label: str, text: str) -> list[str]:
    head = f"  {printable(label):<{_LABEL}}" if label else "  - "
    return textwrap.wrap(
        printable(text),
        width=WIDTH,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    ) or [head]
