"""From what the source says to a scheduled deprovision: hosts' tenancies are learnt, hints and polls make us
ask.

Rules (DESIGN.md, rule 1): a hint makes us ask and is never believed; only a stored answer `ended` for a
tenancy of a host without a live deprovision schedules one, in the transaction that looks at the answer; a
tenancy that was brought to its end (released, destroyed, closed) is not begun again, one that was cancelled
may be, and is where its customer came back and ended again. A host whose list of tenancies the source cannot
vouch for schedules nothing. While a breaker stands nothing is scheduled (`census`); what ended meanwhile is
taken up by the first poll after the thaw.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta

from sqlalchemy import Connection

from certificate.errors import Refused
from certificate.identifiers import DeprovisionId
from certificate.statements.vocabulary import Trigger
from controller import census, endings
from controller.errors import LostRace
from controller.facts import Answer, Disposition, Question
from controller.observe import source
from controller.program import NONCE_BYTES, Program
from controller.sources import SubscriptionState
from controller.states import State
from controller.store import deprovisions, hints, hosts, observations, private, stops, tenancies
from controller.store.hosts import Host
from controller.store.tenancies import Tenancy

#: Between two polls of a source nobody gave a hint about: the longest an ended subscription stays unnoticed.
POLL_EVERY = timedelta(minutes=5)
#: Hints taken up in one round; the rest wait for the next.
HINTS_A_ROUND = 1000
#: How old the list of a host's tenancies may become while nothing happens on the host.
LEARN_EVERY = timedelta(minutes=5)
#: A list that the source could not vouch for, or whose answer never came, is asked for again after this.
DOUBT_FOR = timedelta(seconds=10)


def learn(program: Program) -> None:
    """Asks for the list of tenancies of every host whose list is missing, doubtful or old, and about every
    tenancy that nobody asked about yet: its hint may have come before we knew it.
    """
    now = program.clock()
    with program.store.snapshot() as tx:
        due = [host for host in hosts.all_hosts(tx) if _is_list_due(tx, host, now)]
    for host in due:
        source.tenancy_list(program, host)
    with program.store.snapshot() as tx:
        known = [tenancy for host in hosts.all_hosts(tx) for tenancy in tenancies.of_host(tx, host.id)]
        new = [each for each in known if observations.latest(tx, Question.SUBSCRIPTION, each.id) is None]
    for tenancy in new:
        _ask_and_schedule(program, tenancy)


def take_hints(program: Program) -> int:
    """Asks about every subscription somebody gave a hint about, schedules what has ended; how many hints were
    taken.
    """
    with program.store.snapshot() as tx:
        open_hints = hints.untaken(tx, limit=HINTS_A_ROUND)
        told = {hint.subscription_ref for hint in open_hints}
        concerned = [tenancy for ref in sorted(told) for tenancy in tenancies.of_subscription(tx, ref)]
    for tenancy in concerned:
        _ask_and_schedule(program, tenancy)
    with program.store.transaction() as tx:
        for hint in open_hints:
            # Another process may have taken it meanwhile; it asked as we did.
            with suppress(LostRace):
                hints.take(tx, hint.sequence, now=program.clock())
    return len(open_hints)


def poll(program: Program) -> None:
    """Asks the source which of its subscriptions changed, and about each of those; and about each that ended
    and that nothing was scheduled for, because a breaker stood or the host was not rented then.
    """
    with program.store.snapshot() as tx:
        known = [tenancy for host in hosts.all_hosts(tx) for tenancy in tenancies.of_host(tx, host.id)]
        named = [(_plain(tx, program, tenancy), tenancy) for tenancy in known]
        believed = {name: _believed(tx, tenancy) for name, tenancy in named if name is not None}
        is_open = stops.is_intake_open(tx)
        left = {each.id for each in known if is_open and _was_passed_over(tx, each)}
    told = {hint.subscription for hint in program.source.hints(believed).hints}
    for name, tenancy in named:
        if name in told or tenancy.id in left:
            _ask_and_schedule(program, tenancy)


def _ask_and_schedule(program: Program, tenancy: Tenancy) -> None:
    source.subscription(program, tenancy)
    with program.store.transaction() as tx:
        live = deprovisions.live_of_host(tx, tenancy.host)
        if live is not None:
            deprovisions.wake(tx, live.id, now=program.clock())
            return
        if _has_ended(tx, tenancy) and _is_newest(tx, tenancy) and not _is_done(tx, tenancy):
            _schedule(tx, program, tenancy)


def _schedule(tx: Connection, program: Program, tenancy: Tenancy) -> None:
    now, lifecycle = program.clock(), program.configuration.lifecycle
    host = hosts.load(tx, tenancy.host)
    if host.disposition is not Disposition.RENTED or not census.may_schedule(tx, program, now=now):
        return
    try:
        deprovisions.schedule(
            tx,
            id=DeprovisionId.from_random(program.random_bytes(NONCE_BYTES)),
            host_id=host.id,
            tenancy_id=tenancy.id,
            trigger=Trigger.ENDED,
            data_class=tenancy.data_class,
            policy_version=program.configuration.policy_version,
            policy_digest=program.configuration.policy_digest,
            grace_until=now + lifecycle.grace,
            dwell_seconds=round(lifecycle.dwell.total_seconds()),
            now=now,
        )
    except Refused:
        # Somebody scheduled this host between our look and now; theirs stands.
        return


def _is_list_due(tx: Connection, host: Host, now: datetime) -> bool:
    latest = observations.latest(tx, Question.TENANCIES, host.id)
    if latest is None:
        return True
    is_sure = latest.asked.answer == source.COMPLETE
    return latest.asked.asked_at <= now - (LEARN_EVERY if is_sure else DOUBT_FOR)


def _has_ended(tx: Connection, tenancy: Tenancy) -> bool:
    latest = observations.latest(tx, Question.SUBSCRIPTION, tenancy.id)
    return latest is not None and latest.asked.answer == Answer.ENDED.value


def _is_newest(tx: Connection, tenancy: Tenancy) -> bool:
    """No other tenancy of the host began later: an earlier one is history, emptied with what followed it."""
    others = [each for each in tenancies.of_host(tx, tenancy.host) if each.id != tenancy.id]
    return all(each.starts_at < tenancy.starts_at for each in others)


def _was_passed_over(tx: Connection, tenancy: Tenancy) -> bool:
    """It ended, and nothing was begun since: one that was cancelled waits for the source's next word, unless
    that word came already, because the customer came back and ended again.
    """
    if not (_has_ended(tx, tenancy) and _is_newest(tx, tenancy)) or _is_done(tx, tenancy):
        return False
    begun = deprovisions.of_tenancy(tx, tenancy.id)
    if begun and endings.came_back_at(tx, begun[-1]) is None:
        return False
    is_rented = hosts.load(tx, tenancy.host).disposition is Disposition.RENTED
    return is_rented and deprovisions.live_of_host(tx, tenancy.host) is None


def _is_done(tx: Connection, tenancy: Tenancy) -> bool:
    return any(each.state is not State.CANCELLED for each in deprovisions.of_tenancy(tx, tenancy.id))


def _plain(tx: Connection, program: Program, tenancy: Tenancy) -> str | None:
    return private.read(
        tx,
        subject_ref=tenancy.subscription_ref,
        kind=source.SUBSCRIPTION_TEXT,
        master_key=program.keyring.private_text_key,
    )


def _believed(tx: Connection, tenancy: Tenancy) -> SubscriptionState:
    latest = observations.latest(tx, Question.SUBSCRIPTION, tenancy.id)
    if latest is None or latest.answered is None or latest.answered.answer is None:
        return SubscriptionState.UNKNOWN
    return SubscriptionState(latest.answered.answer)
