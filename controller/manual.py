"""A wipe by hand: what stands in its way, and how it is begun.

Rules this module holds:
- Nobody can overrule a live, pending or unknown tenancy: the guards that let an ended tenancy's host be taken
  out of reach are asked before anything is begun, as if the deprovision existed, and again at every step.
- It is about the newest tenancy of a rented host, or, where a host was never let, about none; what a host was
  declared to be decides which (`guards.DispositionAllowsIt`).
- A let host keeps the grace it had: it counts from the instant at which the source says the tenancy ended,
  but not from before we first saw it ended. A source may date an end back (a due date), when nobody was told.
- Beginning it erases nothing: the host is cut off, booted and read. Its plan needs people of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from certificate.errors import Refused
from certificate.identifiers import DeprovisionId
from certificate.statements.vocabulary import Trigger
from controller import case as cases
from controller import endings, knowledge
from controller.case import Case
from controller.errors import Code
from controller.facts import Disposition, Facts
from controller.guards import GUARDS_TO_ISOLATE, failing
from controller.observe import source
from controller.program import NONCE_BYTES, Program
from controller.states import State
from controller.store import deprovisions, tenancies
from controller.store.deprovisions import Deprovision
from controller.store.hosts import Host
from controller.store.tenancies import Tenancy

#: A list may name tenancies that nobody asked about; after these are asked about it is asked for once more.
ROUNDS = 2
#: Stands where a deprovision would stand; no row is ever called so.
NOT_BEGUN = DeprovisionId("dep_" + "0" * 32)


@dataclass(frozen=True, kw_only=True)
class Prospect:
    """What a wipe by hand would begin with, as one transaction saw it."""

    host: Host
    #: Of a rented host the newest; None where the host is none's.
    tenancy: Tenancy | None
    #: The host's deprovision that is not over.
    live: Deprovision | None
    #: Of the live deprovision; otherwise as they would be of one begun now.
    facts: Facts
    #: From when on the host may be cut off.
    grace_until: datetime
    #: Why none can be begun now, all of it; empty where one can.
    refusals: tuple[Refused, ...]


def ask(program: Program, host: Host) -> None:
    """Asks the source, outside transactions, all that a wipe of this host rests on. Stores answers only."""
    source.clock(program, host)
    asked: set[str] = set()
    for _ in range(ROUNDS):
        with program.store.snapshot() as tx:
            new = [each for each in tenancies.of_host(tx, host.id) if each.id not in asked]
        if asked and not new:
            return
        for tenancy in new:
            source.subscription(program, tenancy)
            asked.add(tenancy.id)
        source.tenancy_list(program, host)


def prospect(tx: Connection, program: Program, host: Host) -> Prospect:
    """What is so now of this host, and what refuses to begin."""
    now = program.clock()
    live = deprovisions.live_of_host(tx, host.id)
    case = _not_begun(tx, program, host, now) if live is None else cases.load(tx, live.id)
    facts = knowledge.facts_of(tx, program, case, now=now)
    if live is None:
        # The customer is told once it is begun, and nothing is touched before.
        facts = replace(facts, are_notices_settled=True)
    refusals = [refused for _, refused in failing(GUARDS_TO_ISOLATE, facts, now)]
    if live is not None:
        refusals.insert(0, Refused(Code.DEPROVISION_IS_LIVE, f"{live.id} of this host is {live.state}"))
    return Prospect(
        host=host,
        tenancy=case.own_tenancy,
        live=live,
        facts=facts,
        grace_until=case.deprovision.grace_until,
        refusals=tuple(refusals),
    )


def begin(tx: Connection, program: Program, seen: Prospect) -> Deprovision:
    """Schedules the deprovision in the transaction that looked. Raises the first refusal of `seen`."""
    if seen.refusals:
        raise seen.refusals[0]
    lifecycle = program.configuration.lifecycle
    return deprovisions.schedule(
        tx,
        id=DeprovisionId.from_random(program.random_bytes(NONCE_BYTES)),
        host_id=seen.host.id,
        tenancy_id=None if seen.tenancy is None else seen.tenancy.id,
        trigger=Trigger.MANUAL,
        data_class=_data_class(seen.host, seen.tenancy),
        policy_version=program.configuration.policy_version,
        policy_digest=program.configuration.policy_digest,
        grace_until=seen.grace_until,
        dwell_seconds=round(lifecycle.dwell.total_seconds()),
        now=program.clock(),
    )


def _not_begun(tx: Connection, program: Program, host: Host, now: datetime) -> Case:
    """The case of a deprovision that nobody began: its host and tenancies, and nothing done yet."""
    of_host = tenancies.of_host(tx, host.id)
    newest = of_host[-1] if of_host and host.disposition is Disposition.RENTED else None
    row = Deprovision(
        id=NOT_BEGUN,
        host=host.id,
        tenancy=None if newest is None else newest.id,
        trigger=Trigger.MANUAL,
        data_class=_data_class(host, newest),
        policy_version=program.configuration.policy_version,
        policy_digest=program.configuration.policy_digest,
        state=State.SCHEDULED,
        previous_state=None,
        attempt=1,
        fence=0,
        lease_owner=None,
        lease_until=None,
        created_at=now,
        entered_at=now,
        grace_until=_grace_until(tx, program, newest, now),
        dwell_seconds=0,
        next_due_at=None,
        deadline_at=None,
        wait_reason=None,
        operator_code=None,
        operator_reason=None,
    )
    return cases.around(tx, row)


def _data_class(host: Host, tenancy: Tenancy | None) -> str:
    return host.data_class if tenancy is None else tenancy.data_class


def _grace_until(tx: Connection, program: Program, tenancy: Tenancy | None, now: datetime) -> datetime:
    if tenancy is None:
        return now
    dated_at, seen_at = source.ended_at(tx, tenancy), endings.first_seen_ended(tx, tenancy.id)
    counts_from = now if dated_at is None or seen_at is None else max(dated_at, seen_at)
    return counts_from + program.configuration.lifecycle.grace
