"""Answers as text for people. Each function shows one document, and nothing that `--json` does not hold."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from certificate.statements.statement import time_text
from controller.api.documents import (
    AlarmLine,
    CommandLine,
    DeprovisionLine,
    Ground,
    HostLine,
    HostList,
    ObservationLine,
    PolicyLine,
    SignedLine,
    Status,
    Story,
    Why,
)


def host(line: HostLine) -> str:
    return f"{line.asset_tag} is on record as {line.host}: {line.disposition}, {line.drive_count} drives"


def hosts(listed: HostList) -> str:
    if not listed.hosts:
        return "no host is on record"
    rows = [
        (
            line.asset_tag,
            line.disposition,
            line.data_class,
            line.site,
            line.rack,
            line.address,
            str(line.drive_count),
            line.host,
        )
        for line in listed.hosts
    ]
    return table(("HOST", "DISPOSITION", "DATA CLASS", "SITE", "RACK", "AGENT", "DRIVES", "ID"), rows)


def status(answer: Status) -> str:
    head = (
        f"expunge {answer.release}, {'FROZEN' if answer.is_frozen else 'running'}; "
        f"ledger {answer.ledger_seq}, log {answer.log_size}"
    )
    parts = [head, *(_alarm(line) for line in answer.alarms)]
    if not answer.deprovisions:
        return "\n".join([*parts, "no deprovision"])
    rows = [
        (
            line.host,
            line.state,
            waiting(line),
            age((answer.now - line.changed_at).total_seconds()),
            "-" if line.deadline_at is None else time_text(line.deadline_at),
            line.deprovision,
        )
        for line in answer.deprovisions
    ]
    return "\n".join([*parts, table(("HOST", "STATE", "WAITS FOR", "AGE", "DEADLINE", "DEPROVISION"), rows)])


def _alarm(line: AlarmLine) -> str:
    called = "" if line.called_at is None else f", called {time_text(line.called_at)}"
    return (
        f"ALARM {line.kind} ({line.about}), for {age(line.age_seconds)}{called}: {line.sentence}\n"
        f"  {line.code}: {line.remedy}"
    )


def age(seconds: float) -> str:
    """`3d 4h`, `2h 5m`, `7m 1s`: the two greatest parts; nothing is older than it was."""
    minutes, left = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d {hours}h"
    return f"{hours}h {minutes}m" if hours else f"{minutes}m {left}s"


def waiting(line: DeprovisionLine) -> str:
    if line.waits_for is None:
        return "-"
    return line.waits_for


def story(told: Story, *, with_why: bool) -> str:
    line = told.line
    parts = [
        f"{line.deprovision}: {line.host}, attempt {line.attempt}, {line.trigger}",
        f"  {line.state}: {line.sentence}",
        f"  since {time_text(line.changed_at)}, scheduled {time_text(line.scheduled_at)}",
        f"  waits for: {waiting(line)}",
    ]
    if line.deadline_at is not None:
        parts.append(f"  a person is asked at {time_text(line.deadline_at)}")
    if told.needs is not None:
        parts.append(f"  {told.needs.code}: {told.needs.reason}\n    {told.needs.remedy}")
    parts += [
        f"  medium {medium.medium[:16]}…: {medium.result}, "
        f"{medium.method} by {medium.technique}, {medium.grade}"
        f"{'' if medium.is_logged else ' (not yet logged)'}"
        for medium in told.media
    ]
    if with_why:
        parts.append(f"  policy {told.policy_version}, digest {told.policy_digest}")
        parts.append(f"  plan digest {told.plan_digest or '-'}")
        parts += ["", *_why(told.why), "", "observations"]
        parts += [
            f"  {each.sequence}: {each.question}: {each.answer or 'no answer'}, "
            f"asked {time_text(each.asked_at)}, digest {each.answer_digest or '-'}"
            for each in told.observations
        ]
        parts += ["", "ledger"]
        parts += [f"  {each.seq} {each.at} {each.kind} {_compact(each.body)}" for each in told.events]
    return "\n".join(parts)


def _why(why: Why | None) -> list[str]:
    if why is None:
        return ["no order was made"]
    place = "not yet logged" if why.order_seq is None else f"log entry {why.order_seq}"
    return [
        f"order {why.order}, {place}",
        f"  order digest {why.order_digest}{_unlike(why.order_digest, why.order_digest_recomputed)}",
        f"  plan digest {why.plan_digest}{_unlike(why.plan_digest, why.plan_digest_recomputed)}",
        f"  floor {why.floor}",
        *_policy(why.policy),
        *(line for ground in why.grounds for line in _ground(ground)),
        *_clock(why.clock),
        *(_signed(each) for each in why.people),
        *(line for command in why.commands for line in _command(command)),
        "  the basis as it was signed",
        *(f"    {name}: {_compact(value)}" for name, value in why.basis.items()),
    ]


def _unlike(named: str, recomputed: str) -> str:
    return "" if named == recomputed else f", BUT ITS BYTES GIVE {recomputed}"


def _policy(policy: PolicyLine) -> list[str]:
    text = "another policy is configured by now" if policy.text is None else _compact(policy.text)
    return [f"  policy {policy.version}, digest {policy.digest}", f"    {text}"]


def _ground(ground: Ground) -> list[str]:
    lines = [
        f"  {ground.question} of {ground.about}: {ground.word}",
        f"    question {ground.sequence}, asked {time_text(ground.asked_at)},"
        f" answered {time_text(ground.answered_at)}, digest {ground.answer_digest}",
    ]
    return [*lines, f"    MISMATCH: {ground.mismatch}"] if ground.mismatch is not None else lines


def _clock(seen: ObservationLine | None) -> list[str]:
    if seen is None:
        return ["  clock: never asked before the order"]
    said = f"{seen.answer or 'no answer'}, asked {time_text(seen.asked_at)}"
    return [f"  clock: {said}, digest {seen.answer_digest or '-'} (stored; not part of the order)"]


def _signed(line: SignedLine) -> str:
    mismatch = "" if line.mismatch is None else f"; MISMATCH: {line.mismatch}"
    return f"  {line.what} by {line.keyid}, digest {line.digest}{mismatch}"


def _command(command: CommandLine) -> list[str]:
    head = f"  {command.command} commanded in attempt {command.attempt} at {time_text(command.at)}"
    return [head, *(f"  {_signed(each)}" for each in command.signed)]


def _compact(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(", ", ": "), sort_keys=True)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Left-aligned columns, two spaces apart."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
