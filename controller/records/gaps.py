"""What stands between each host and a deprovision that could be carried out, found before one begins.

Rules: everything is read from the store, nothing is asked; each gap has the code and the remedy that the
guard or the effect would give later; a *blocking* one would stop a wipe, any other is told so that somebody
looks. A machine that was seen otherwise than it is on record is a gap: neither side is believed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from certificate.errors import Refused
from certificate.placeholders import is_placeholder
from certificate.statements.medium import MIN_HOST_FACTS
from controller.boot.command import HANDED_OVER
from controller.command_template import CommandTemplate
from controller.configuration import Configuration
from controller.errors import Code
from controller.facts import Answer, Disposition, Question
from controller.guards import TWO_PEOPLE
from controller.host_signs import identifies
from controller.observe.host import target_of
from controller.observe.source import COMPLETE
from controller.people.roster import roster
from controller.program import Program
from controller.store import declarations, departures, hosts, observations, sightings, tenancies
from controller.store.hosts import Host

#: What a notice's command is told besides the host (`effects.notify`).
TOLD_OF_A_NOTICE = frozenset({"deprovision", "kind", "to", "grace_until"})
#: So many serials, ids or values are named in one sentence.
NAMED = 5


@dataclass(frozen=True, kw_only=True)
class Gap:
    """One thing that is missing or contradicts itself. The remedy is the code's."""

    code: Code
    reason: str
    is_blocking: bool = True


def gaps_of(tx: Connection, program: Program, host: Host, *, now: datetime) -> tuple[Gap, ...]:
    """Every gap of this host; none where a deprovision could go its way."""
    return (
        *_identity(tx, host),
        *_drives(tx, host),
        *_sight(tx, host),
        *_disposition(tx, program, host, now),
        *_data_classes(tx, program, host),
        *_commands(program.configuration, host),
        *_tenancies(tx, host),
    )


def _identity(tx: Connection, host: Host) -> Iterator[Gap]:
    facts = hosts.facts_of(tx, host.id)
    claims = {fact: len(hosts.hosts_with_fact(tx, fact)) for fact in facts}
    signs = [fact for fact in facts if identifies(fact.value, claimed_by=claims[fact])]
    if len(signs) < MIN_HOST_FACTS:
        reason = f"{len(signs)} facts on record identify it, {MIN_HOST_FACTS} are needed"
        yield Gap(code=Code.IDENTITY_UNPROVEN, reason=reason)
    for fact in facts:
        if is_placeholder(fact.value):
            reason = f"{fact.kind} is {fact.value!r}, which stands on many boards"
            yield Gap(code=Code.IDENTITY_UNPROVEN, reason=reason, is_blocking=False)
        elif claims[fact] > 1:
            reason = f"{fact.kind} {fact.value!r} is on record for {claims[fact]} hosts"
            yield Gap(code=Code.FACT_SHARED, reason=reason, is_blocking=False)


def _drives(tx: Connection, host: Host) -> Iterator[Gap]:
    if not hosts.drives_of(tx, host.id):
        yield Gap(code=Code.DRIVES_UNKNOWN, reason="no drive is on record")
    for drive in hosts.drives_of(tx, host.id):
        claims = len(hosts.present_of_serial(tx, drive.serial))
        if claims > 1:
            reason = f"{drive.serial} is on record for {claims} hosts"
            yield Gap(code=Code.DRIVE_ON_TWO_HOSTS, reason=reason)


def _sight(tx: Connection, host: Host) -> Iterator[Gap]:
    """What the newest trusted boot showed, against the record."""
    seen = sightings.seen_in_trusted_boot(tx, host.id)
    if seen is None:
        yield Gap(code=Code.HOST_NEVER_SEEN, reason="no trusted boot has read it yet", is_blocking=False)
        return
    shown = {fact.kind: fact.value for fact in seen.facts}
    for fact in hosts.facts_of(tx, host.id):
        if fact.kind in shown and shown[fact.kind] != fact.value and not is_placeholder(fact.value):
            reason = f"{fact.kind} is {fact.value!r} on record; {shown[fact.kind]!r} was seen"
            yield Gap(code=Code.FACT_CONTRADICTED, reason=reason)
    recorded = hosts.drives_of(tx, host.id)
    left = departures.serials_left_since(tx, host.id, since=seen.at)
    unknown = sorted(set(seen.drives) - {drive.serial for drive in recorded} - set(left))
    if unknown:
        yield Gap(code=Code.DRIVES_DIFFER, reason=f"seen, and not on record: {_listed(unknown)}")
    missing = [d.serial for d in recorded if d.recorded_at < seen.at and d.serial not in seen.drives]
    if missing:
        yield Gap(code=Code.DRIVES_DIFFER, reason=f"on record, and not seen: {_listed(missing)}")


def _disposition(tx: Connection, program: Program, host: Host, now: datetime) -> Iterator[Gap]:
    match host.disposition:
        case Disposition.RENTED:
            return
        case Disposition.UNKNOWN:
            yield Gap(code=Code.DISPOSITION_REFUSES, reason="nobody said what this host is for")
        case Disposition.STOCK | Disposition.INTERNAL:
            standing = declarations.standing(tx, host.id)
            signers = () if standing is None else standing.signers
            counting = {key.keyid for key in roster(tx, program.documents.trust, now=now).keys}
            behind = {keyid for _, keyid in signers} & counting
            if standing is None or standing.disposition is not host.disposition or len(behind) < TWO_PEOPLE:
                reason = f"{len(behind)} of {TWO_PEOPLE} operators who count declared it {host.disposition}"
                yield Gap(code=Code.DISPOSITION_UNDECLARED, reason=reason)


def _data_classes(tx: Connection, program: Program, host: Host) -> Iterator[Gap]:
    classes = {host.data_class} | {each.data_class for each in tenancies.of_host(tx, host.id)}
    for name in sorted(classes):
        if program.documents.table.rule(name) is None:
            yield Gap(code=Code.NO_VALIDATION_RULE, reason=f"no rule for the data class {name!r}")


def _commands(configuration: Configuration, host: Host) -> Iterator[Gap]:
    values = target_of(host).values
    for name, arguments, told in _templates(configuration):
        template = CommandTemplate(arguments=arguments, timeout_seconds=1)
        try:
            template.filled({**values, **dict.fromkeys(told, "told-then")})
        except Refused as refusal:
            if isinstance(refusal.code, Code):
                yield Gap(code=refusal.code, reason=f"{name}: {refusal.reason}")


def _templates(
    configuration: Configuration,
) -> Iterator[tuple[str, tuple[str, ...], frozenset[str]]]:
    quarantine, boot, notice = configuration.quarantine, configuration.boot, configuration.notice
    yield "quarantine.isolate", quarantine.isolate, frozenset()
    yield "quarantine.read_back", quarantine.read_back, frozenset()
    yield "quarantine.restore", quarantine.restore, frozenset()
    yield "boot.command", boot.command, frozenset(HANDED_OVER)
    yield "boot.stop", boot.stop, frozenset()
    if notice is not None and notice.command is not None:
        yield "notice.command", notice.command, TOLD_OF_A_NOTICE


def _tenancies(tx: Connection, host: Host) -> Iterator[Gap]:
    known = tenancies.of_host(tx, host.id)
    latest = observations.latest(tx, Question.TENANCIES, host.id)
    seen = None if latest is None else latest.answered
    if seen is None:
        yield Gap(code=Code.TENANCY_LIST_UNKNOWN, reason="the source has not listed its tenancies yet")
    elif seen.answer != COMPLETE:
        reason = (seen.detail or {}).get("reason") or "the source does not vouch for its list"
        yield Gap(code=Code.TENANCY_LIST_UNKNOWN, reason=str(reason))
    else:
        named, ours = set((seen.detail or {}).get("names", ())), {str(each.id) for each in known}
        if ours - named:
            reason = f"on record, and no longer listed by the source: {_listed(sorted(ours - named))}"
            yield Gap(code=Code.TENANCY_LIST_DIFFERS, reason=reason)
        if named - ours:
            reason = f"listed by the source, and not on record: {_listed(sorted(named - ours))}"
            yield Gap(code=Code.TENANCY_LIST_DIFFERS, reason=reason)
    for tenancy in known:
        asked = observations.latest(tx, Question.SUBSCRIPTION, tenancy.id)
        answered = None if asked is None else asked.answered
        if answered is None or answered.answer == Answer.UNKNOWN.value:
            why = "was not answered yet" if answered is None else "is unknown to the source"
            yield Gap(code=Code.TENANCY_UNKNOWN, reason=f"the subscription of {tenancy.id} {why}")


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
