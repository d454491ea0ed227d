"""What a bundle tells, in five parts: what was erased, what is claimed, how it is known, what is not covered,
and each check. The screen and `--json` show these same parts.

Rules: only what was verified is told, and of a failure as much as of a certificate; levels are named one by
one, never as a single tick; what was not observed is said to be so, and a number of nothing is left out only
where nothing of the kind can exist. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from certificate.render import words
from certificate.statements.evidence import Command, Layer, MediumEvidence, ReadBack
from certificate.statements.outcome import Destruction, Outcome, Sanitization, Verification
from certificate.statements.statement import NOT_OBSERVED, Seen, time_text
from certificate.statements.vocabulary import DeviceClass, ResidueState, Result
from certificate.verified import Examined

#: A drive with many namespaces is formatted by as many commands; a screen shows the first of them.
MAX_COMMANDS_SHOWN = 6
MAX_MEDIA_SHOWN = 12

Line = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Part:
    """One of the five: lines of label and text; a line without a label is a point of a list."""

    title: str
    lines: tuple[Line, ...]


def parts(
    examined: Examined,
    *,
    serial: str | None,
    root_fingerprint: str,
    policy_digest: str,
    cautions: Sequence[str] = (),
) -> tuple[Part, ...]:
    """The story. `serial`: from the annex, else None. `cautions`: what other files given with it add."""
    is_erased = examined.claim.result is Result.ERASED
    subject = "What was erased" if is_erased else "What was to be erased"
    known = "How it is known" if is_erased else "What was seen"
    return (
        Part(title=subject, lines=tuple(_what(examined, serial))),
        Part(title="What is claimed", lines=tuple(_claimed(examined))),
        Part(title=known, lines=tuple(_known(examined))),
        Part(title="What is not covered", lines=tuple(_not_covered(examined))),
        Part(
            title="Checked, one by one",
            lines=tuple(_checked(examined, root_fingerprint, policy_digest, cautions)),
        ),
    )


# --- what was erased ----------------------------------------------------------------------------------------


def _what(examined: Examined, serial: str | None) -> Iterator[Line]:
    outcome, medium = examined.outcome, examined.outcome.medium
    size = medium.capacity_bytes
    told = [
        str(medium.transport),
        str(medium.manufacturer),
        str(medium.model),
        "" if medium.firmware == NOT_OBSERVED else f"firmware {medium.firmware}",
        words.capacity(size) if isinstance(size, int) else "capacity not observed",
    ]
    if medium.device_class is not DeviceClass.PHYSICAL:
        told.append(medium.device_class.value.replace("_", " ").upper())
    yield "medium", ", ".join(word for word in told if word not in ("", NOT_OBSERVED))
    if outcome.media_kind != NOT_OBSERVED:
        yield "kind", words.KINDS[outcome.media_kind]
    yield "commitment", medium.commitment
    if serial is not None:
        yield "serial", f"{serial} (opened by the annex)"
    yield "host", f"{outcome.host_commitment[:16]}..., class of data {outcome.custody.data_class}"
    if outcome.attempt != "not_applicable":
        yield "deprovision", f"{outcome.deprovision}, attempt {outcome.attempt}"
    if outcome.supersedes != "not_applicable":
        yield "follows", f"an earlier record of this medium, {outcome.supersedes[:16]}..."
    if outcome.destruction != "not_applicable":
        attested = outcome.destruction.attested
        yield "destroyed", f"{attested.destroyed_on}, {attested.method.value}"
    if isinstance(outcome.sanitization, Sanitization):
        began, ended = outcome.sanitization.started_at, outcome.sanitization.finished_at
        yield "when", f"{_instant(began)} to {_instant(ended)}, by the machine's own clock"
    yield "recorded", f"{time_text(outcome.issued_at)}, log entry {examined.outcome_seq}"


# --- what is claimed ----------------------------------------------------------------------------------------


def _claimed(examined: Examined) -> Iterator[Line]:
    claim, summary, outcome = examined.claim, examined.summary, examined.outcome
    yield "this medium", words.claim_words(claim)
    for code in () if claim.result is Result.ERASED else claim.reasons:
        yield "because", f"{words.reason_words(code)} ({code})"
    if claim.technique != "not_applicable":
        yield "technique", words.TECHNIQUES[claim.technique]
    if isinstance(outcome.sanitization, Sanitization) and outcome.sanitization.standard != "not_applicable":
        yield "by", outcome.sanitization.standard
    yield from _accepted(outcome)
    if summary is None:
        yield "its host", "no summary came along; nothing is said of the host's other media"
        return
    yield (
        "its host",
        f"{words.claim_words(summary.claim)}; on record: {words.media_count(len(summary.media))}",
    )
    if len(summary.media) == 1:
        return
    for entry in summary.media[:MAX_MEDIA_SHOWN]:
        this = ", this one" if entry.commitment == outcome.medium.commitment else ""
        yield "", f"{entry.commitment[:16]}...{this}: {words.BECAME[entry.became]}"
    if len(summary.media) > MAX_MEDIA_SHOWN:
        rest = Counter(words.BECAME[entry.became] for entry in summary.media[MAX_MEDIA_SHOWN:])
        yield "", "and " + "; ".join(f"{count} {became}" for became, count in sorted(rest.items()))


def _accepted(outcome: Outcome) -> Iterator[Line]:
    if outcome.validation == "not_applicable":
        if outcome.destruction == "not_applicable":
            yield "accepted", "by nobody"
        return
    accepted = outcome.validation
    if accepted.decided_by == "not_applicable":
        yield "accepted", f"by the provider's validation table {accepted.table_digest[:16]}..."
        return
    yield "accepted", f"by a person, {accepted.validated_by}, {time_text(accepted.decided_at)}"
    yield "", f"why: the signed decision {accepted.decided_by}; the table leaves this case to people"


# --- how it is known ----------------------------------------------------------------------------------------


def _known(examined: Examined) -> Iterator[Line]:
    claim, outcome = examined.claim, examined.outcome
    if claim.result is Result.ERASED:
        yield "grade", f"{claim.grade.value}: {words.grade_words(claim)}"
    if outcome.destruction != "not_applicable":
        yield from _attested(examined, outcome.destruction)
    media = () if examined.evidence is None else examined.evidence.media
    entry = next((each for each in media if each.medium.commitment == outcome.medium.commitment), None)
    if entry is not None:
        yield from _seen(entry, outcome)
    if claim.result is Result.ERASED:
        for code in claim.reasons:
            yield "weaker by", f"{words.reason_words(code)} ({code})"
    if outcome.is_unseen:
        yield "evidence", "none came: nobody here saw what the order did"
    if outcome.boot_trust != "not_applicable":
        start = f"{outcome.boot_trust}, as the provider declares"
        yield "started from", start if outcome.is_unseen else f"{start}; observed {outcome.observer}"


def _attested(examined: Examined, destruction: Destruction) -> Iterator[Line]:
    for operator in examined.attested_by:
        yield "attested by", operator
    yield "document", f"{destruction.attested.document_digest}, the destroyer's own, kept by the provider"


def _seen(entry: MediumEvidence, outcome: Outcome) -> Iterator[Line]:
    if entry.released:
        let_go = sum(each.is_released is Seen.YES for each in entry.released)
        kinds = ", ".join(sorted({each.kind.value for each in entry.released}))
        yield "in use before", f"{len(entry.released)} holding it ({kinds}); {let_go} let go"
    if entry.layers:
        yield from _layers(entry.layers)
    if isinstance(outcome.sanitization, Sanitization) and outcome.sanitization.fallback_from:
        failed = ", ".join(words.NAMES[each] for each in outcome.sanitization.fallback_from)
        yield "failed first", f"{failed}: refused or failed, so the next of the plan was used"
    for command in entry.commands[:MAX_COMMANDS_SHOWN]:
        yield from _command(command)
    if len(entry.commands) > MAX_COMMANDS_SHOWN:
        rest = entry.commands[MAX_COMMANDS_SHOWN:]
        ended = Counter(_status(command) for command in rest)
        shown = "; ".join(f"{count} {status}" for status, count in sorted(ended.items()))
        yield "", f"and {len(rest)} more commands: {shown}"
    if not entry.commands:
        yield "command", "none was sent to the medium"
    yield "markers", _markers(entry, outcome)
    if entry.read_back == NOT_OBSERVED:
        yield "read-back", "not observed"
    elif entry.read_back != "not_applicable":
        yield "read-back", _read_back(entry.read_back, entry)
    if entry.errors:
        yield "errors", ", ".join(entry.errors)
    if entry.same_identity_after is not Seen.YES:
        yield "afterwards", f"the same drive answered: {_answer(entry.same_identity_after)}"


def _layers(layers: Sequence[Layer]) -> Iterator[Line]:
    destroyed = sum(layer.every_copy_differs is Seen.YES for layer in layers)
    found = sum(layer.is_found_after is Seen.YES for layer in layers)
    unknown = sum(layer.is_found_after is Seen.NOT_OBSERVED for layer in layers)
    kinds = ", ".join(sorted({layer.kind.value for layer in layers}))
    slots = sum(layer.key_slots for layer in layers)
    text = (
        f"{len(layers)} ({kinds}, {slots} key slots): {destroyed} destroyed in every copy,"
        f" {found} found again after everything"
    )
    yield "encryption", f"{text}, {unknown} not looked for" if unknown else text


def _command(command: Command) -> Iterator[Line]:
    name = words.NAMES[command.technique]
    if command.overwrite != "not_applicable":
        done = command.overwrite
        yield (
            "overwrite",
            f"{name}: {_count(done.bytes_written)} bytes written, {_count(done.bytes_failed)} failed;"
            f" flushed: {_answer(done.was_flushed)}",
        )
        return
    opcode = words.OPCODES.get(command.submission[:2], "unknown")
    yield "command", f"{name}: {command.submission[:2]}h ({opcode}){_namespace(command)}, {_status(command)}"
    if command.status_log_after != "not_applicable":
        before, after = _log(command.status_log_before), _log(command.status_log_after)
        running = _answer(command.seen_in_progress)
        yield "status log", f"{before} before, {after} after; seen running: {running}"


def _namespace(command: Command) -> str:
    if command.submission[:2] != "80":
        return ""
    return f", namespace {int.from_bytes(bytes.fromhex(command.submission[8:16]), 'little')}"


def _status(command: Command) -> str:
    if command.completion_status == "not_applicable":
        return f"accepted: {_answer(command.was_accepted)}"
    if command.completion_status == NOT_OBSERVED:
        return "no completion seen, TIMED OUT" if command.timed_out is Seen.YES else "no completion seen"
    if command.timed_out is Seen.YES:
        return f"completion {command.completion_status}h, TIMED OUT"
    word = {Seen.YES: "accepted", Seen.NO: "REFUSED", Seen.NOT_OBSERVED: "not known to be accepted"}
    return f"completion {command.completion_status}h, {word[command.was_accepted]}"


def _log(raw: str) -> str:
    return "not observed" if raw == NOT_OBSERVED else f"{raw[:16]}..."


def _markers(entry: MediumEvidence, outcome: Outcome) -> str:
    if entry.markers.committed_count == 0:
        return "none were written before"
    expected = "not_observed"
    if isinstance(outcome.verification, Verification):
        expected = str(outcome.verification.markers_as_expected)
    readings = Counter(marker.reading_after.value.replace("_", " ") for marker in entry.markers.markers)
    shown = ", ".join(f"{count} {reading}" for reading, count in sorted(readings.items()))
    return f"{entry.markers.committed_count} committed before, {expected} as expected after ({shown})"


def _read_back(found: ReadBack, entry: MediumEvidence) -> str:
    size = entry.medium.capacity_bytes
    share = ""
    if isinstance(found.bytes_read, int) and isinstance(size, int) and size:
        # Rounded down: 100 % is said of all bytes only.
        share = f" ({found.bytes_read * 1000 // size / 10:.1f} % of the medium)"
    return (
        f"{found.mode.value}: {_count(found.bytes_read)} bytes{share}, {_count(found.extents_read)} of"
        f" {_count(found.extents_planned)} places; {_count(found.bytes_mismatched)} bytes differ,"
        f" {_count(found.bytes_unreadable)} unreadable"
    )


# --- what is not covered, and each check --------------------------------------------------------------------


def _not_covered(examined: Examined) -> Iterator[Line]:
    for limit in examined.claim.limits:
        yield "", limit
    residue = () if examined.summary is None else examined.summary.residue
    open_places = [each.name.value for each in residue if each.state is ResidueState.NOT_COVERED]
    if open_places:
        yield "", f"Places of the host that were not covered: {', '.join(open_places)}."
    if examined.summary is None and examined.claim.result is not Result.ERASED:
        yield "", "What became of the medium after this attempt, and of its host."


def _checked(
    examined: Examined, root_fingerprint: str, policy_digest: str, cautions: Sequence[str]
) -> Iterator[Line]:
    for check in examined.checks:
        yield check.name, check.sentence
    for level in examined.levels:
        number, _, word = level.value.partition(" ")
        yield number, word
    for caution in (*examined.cautions, *cautions):
        yield "but", caution
    yield "trust root", f"{root_fingerprint} (compare with the one on paper)"
    yield "policy", f"{policy_digest[:16]}..."


def _instant(value: datetime | str) -> str:
    return "not observed" if isinstance(value, str) else time_text(value)


def _count(value: int | str) -> str:
    return f"{value:,}" if isinstance(value, int) else "an unknown number of"


def _answer(seen: Seen) -> str:
    return seen.value.replace("_", " ")
