"""What must never happen, whatever happens: each promise a check of its own, from the world's own record.

    rule 2      whoever is wiped has left, by answers asked late enough and young enough, of everybody
    rule 3      an order is stored and logged before a byte of it leaves
    rule 4      one order an attempt, one attempt a command, nothing twice, nothing after it was given up
    rule 7      a store that forgot what it answered for does nothing that cannot be taken back

No guard and no part of `decide` is asked here. Source: DESIGN.md, "One deprovision", items 2 to 4 and 7.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from expunge_lifecycle_world.record import Moment
from expunge_lifecycle_world.stored import SECOND, START

from certificate.messages import TokenState
from certificate.statements.statement import Seen
from certificate.statements.vocabulary import Trigger
from controller.facts import Answer, Disposition, Effect, Exit, Question
from controller.states import State

if TYPE_CHECKING:
    from expunge_lifecycle_world.stored import Asked
    from expunge_lifecycle_world.world import World

Promise = Callable[["World"], None]

MAX_AGE = 30 * SECOND
MAX_CLOCK_DIFFERENCE = 300 * SECOND
ACKNOWLEDGEMENT_LIFE = 60 * SECOND
DRIFT = 5 * SECOND


def _asked_in_time(world: World, row: Asked | None, what: str) -> Asked:
    """Answered, the newest of its kind, young by our clock, and asked after the order or the request."""
    assert row is not None, f"{what}: never asked"
    assert row.answered_at is not None, f"{what}: the newest question is open"
    assert timedelta() <= world.wall - row.asked_at < MAX_AGE, f"{what}: asked at {row.asked_at}"
    assert row.asked_index > world.basis_index, f"{what}: asked before the order, or the request"
    return row


# --- rule 2 -------------------------------------------------------------------------------------------------


def every_tenancy_was_seen_ended(world: World) -> None:
    """After its last hint and change, for every tenancy, and no contrary fact was stored since."""
    here = world.stored
    assert (here.own is None) == (not here.known), "a tenancy is gone from the record"
    for name, known in here.known.items():
        row = _asked_in_time(world, here.newest_row(Question.SUBSCRIPTION, name), name)
        assert row.answer["answer"] is Answer.ENDED, f"{name}: {row.answer}"
        assert row.asked_index > known.contrary_index, f"{name}: a contrary fact was stored since"
        assert row.asked_index > known.touched_index, f"{name}: a hint or change was stored since"
        hinted_at, changed_at = known.last_renewal_hint_at, row.answer["changed_at"]
        assert hinted_at is None or changed_at >= hinted_at, f"{name}: ended before the renewal hint"


def nobody_is_wiped_under_an_ending_they_came_back_from(world: World) -> None:
    """Whoever was there since is owed the grace and notices of another ending, also where the source only
    dates the end later than the deprovision. Clocks may have been off by what they were.
    """
    here = world.stored
    if here.own is None:
        return
    assert not they_were_there(world), f"{here.own} was there since the deprovision began"
    _, since = world.source.says[here.own]
    late = since - (START + abs(world.offset) + world.moved)
    assert late <= MAX_CLOCK_DIFFERENCE, f"{here.own} ended again {late} after the deprovision began"


def they_were_there(world: World) -> bool:
    """Whether the source ever told the store so of the own tenancy, whatever it says now."""
    here = world.stored
    if here.own is None:
        return False
    told = [row.answer["answer"] for row in here.rows if row.answered_at and row.about == here.own]
    return any(answer in {Answer.ACTIVE, Answer.PENDING} for answer in told)


def they_left_again(world: World) -> bool:
    """Whether the source dates the own tenancy's end later than this deprovision, unseen until now."""
    here = world.stored
    row = None if here.own is None else here.newest_row(Question.SUBSCRIPTION, here.own)
    ended = row is not None and row.answered_at is not None and row.answer["answer"] is Answer.ENDED
    return ended and row.answer["changed_at"] > here.created_at


def the_list_names_exactly_the_known_tenancies(world: World) -> None:
    here = world.stored
    row = _asked_in_time(world, here.newest_row(Question.TENANCIES), "the list")
    assert row.answer["is_complete"] is Seen.YES
    assert row.answer["names"] == tuple(sorted(here.known))
    assert all(row.asked_index > known.touched_index for known in here.known.values())


def no_later_tenancy_is_touched(world: World) -> None:
    """Also one that ended has a grace and notices of its own."""
    here = world.stored
    if here.own is not None:
        began = here.known[here.own].starts_at
        later = {name for name, known in here.known.items() if known.starts_at > began}
        assert not later, f"{later} may have begun since"


def the_clocks_agree(world: World) -> None:
    """By the source's own time, and really: also where we were wrong from the start."""
    row = _asked_in_time(world, world.stored.newest_row(Question.CLOCK), "the clock")
    assert abs(row.answer["difference_seconds"]) <= MAX_CLOCK_DIFFERENCE.total_seconds()
    assert abs(world.wall - world.true) <= MAX_CLOCK_DIFFERENCE + (world.moved - row.moved)


def the_tenant_is_cut_off(world: World) -> None:
    here = world.stored
    row = _asked_in_time(world, here.newest_row(Question.ISOLATION), "the switch")
    assert row.answer["tenant_side_cut"] is Seen.YES
    switched = max((i for e, _, i in here.begun if e in {Effect.RESTORE, Effect.ISOLATE}), default=-1)
    assert row.asked_index > switched, "the network was changed since it was read"


def nobody_said_stop(world: World) -> None:
    here = world.stored
    assert not here.is_held
    assert not here.is_frozen
    assert here.is_intake_open
    assert not here.has_order_elsewhere
    assert not here.is_drive_elsewhere
    assert here.are_notices_settled
    assert here.command is None or here.command.exit is not Exit.RESTORE


def enough_people_agreed(world: World) -> None:
    """To exactly this plan, by statements that live; by hand, and beyond a limit, always two."""
    here = world.stored
    assert here.plan is not None
    living = [a for a in here.approvals if a.plan_digest == here.plan.digest and world.wall < a.expires_at]
    asking = {a.keyid for a in living if a.is_request}
    agreeing = {a.keyid for a in living if not a.is_request} - asking
    assert len(agreeing) >= world.approvals_required
    assert not here.is_limit_reached or len(agreeing) >= 2
    assert world.trigger is not Trigger.MANUAL or (asking and agreeing)


def the_host_may_be_wiped_at_all(world: World) -> None:
    here = world.stored
    if here.own is not None:
        assert here.disposition is Disposition.RENTED
        return
    assert here.disposition in {Disposition.STOCK, Disposition.INTERNAL}
    assert world.trigger is Trigger.MANUAL
    assert here.declaration is not None
    assert here.declaration.disposition is here.disposition
    assert len(here.declaration.keyids) >= 2


def a_renewal_is_missed_for_90_seconds_at_most(world: World) -> None:
    """The promise as a customer would put it, against what the source really said: 30 s of age, 60 s of the
    permission, and what the clocks moved against each other meanwhile.
    """
    token, _ = world.record.begun[-1]
    grant = next(g for g in reversed(world.record.grants) if g.token == token)
    assert grant.looks, "the permission rests on no look at the source"
    for look in grant.looks:
        allowed = MAX_AGE + ACKNOWLEDGEMENT_LIFE + (world.moved - look.moved) + SECOND
        assert world.true - look.at <= allowed, f"{look.tenancy}: looked {world.true - look.at} ago"
    longest = max(world.true - look.at for look in grant.looks)
    for name, (answer, since) in world.source.says.items():
        if answer is not Answer.ENDED and name not in world.source.elsewhere:
            assert world.true - since <= longest, f"{name} is {answer} since {since}"


# --- rule 3 -------------------------------------------------------------------------------------------------


def the_order_is_stored_and_logged(world: World) -> None:
    order = world.stored.order
    assert order is not None
    assert order.is_logged, "no checkpoint covers the order"
    assert not order.is_withdrawn, "the order was withdrawn"
    assert world.stored.plan is not None
    assert order.plan_digest == world.stored.plan.digest, "the order is of another plan"
    age = world.wall - order.intended_at
    assert timedelta() <= age < timedelta(minutes=15), f"the order is {age} old"


def what_is_sent_was_dispatched(world: World) -> None:
    """And is sent once, whoever crashed."""
    dispatched = [token for _, token in world.record.dispatched]
    # One is about to be sent; it stands in the record already as dispatched.
    assert len(world.record.sent) < len(dispatched), "an order is sent that nobody dispatched"
    assert len(set(world.record.sent)) == len(world.record.sent)


# --- rule 4 -------------------------------------------------------------------------------------------------


def no_attempt_is_dispatched_twice(world: World) -> None:
    here = world.stored
    assert here.order is not None
    assert here.attempt not in {attempt for attempt, _ in world.record.dispatched}
    assert here.order.token not in {token for _, token in world.record.dispatched}


def a_further_attempt_is_a_persons_decision(world: World) -> None:
    assert world.stored.attempt == 1 + world.record.retries
    asked_for = sum(command.exit is Exit.RETRY for command in world.record.commands)
    assert world.record.retries <= asked_for


def the_permission_is_for_the_order_that_was_dispatched(world: World) -> None:
    here, request = world.stored, world.machine.request
    assert request is not None
    assert here.order is not None
    assert here.state is State.ERASING
    assert request.token == here.order.token
    assert request.boot_id == here.order.boot_id
    assert (here.attempt, request.token) in world.record.dispatched
    assert not here.order.is_absent_final, "a token that was given up for ever"
    assert request.token not in world.record.reprobed, "the order is only asked about"


def what_begins_was_permitted_in_time(world: World) -> None:
    """Once each, in this boot, under a token that nobody left behind."""
    record, machine = world.record, world.machine
    token, step = record.begun[-1]
    assert record.begun.count((token, step)) == 1, "an irreversible step is begun twice"
    assert token in {t for _, t in record.dispatched}
    grants = [g for g in record.grants if g.token == token]
    assert grants, "nobody permitted it"
    moved = world.moved - grants[-1].moved
    assert world.true - grants[-1].at <= ACKNOWLEDGEMENT_LIFE + moved, "the permission was dead"
    assert machine.tokens[token] == "running"
    if token in record.left:
        # Left at a time by which the permission must have been dead: only clocks can have made it early.
        assert moved > DRIFT, "an operator had left this order behind"


def no_exit_before_the_last_permission_is_dead(world: World) -> None:
    here = world.stored
    assert here.state is State.NEEDS_OPERATOR
    order = here.order
    if order is None or order.dispatched_at is None or order.is_absent_final or here.is_evidence_in:
        return
    row = here.newest_row(Question.AGENT_STATUS)
    if row is not None and row.answered_at is not None and row.answer["state"] is TokenState.DONE:
        return
    for grant in world.record.grants:
        if grant.token == order.token:
            waited = world.true - grant.at + (world.moved - grant.moved)
            assert waited >= ACKNOWLEDGEMENT_LIFE + DRIFT, f"only {waited} after the last permission"


def enough_people_commanded_it(world: World) -> None:
    here = world.stored
    assert here.command is not None
    assert here.command.keyids
    assert here.command.exit is not Exit.DESTROY or len(here.command.keyids) >= 2


def what_was_begun_is_recorded_before_the_case_ends(world: World) -> None:
    """An erase that nobody saw the end of is written down as that, before nobody asks any more."""
    here = world.stored
    assert here.command is not None
    if here.command.exit not in (Exit.CLOSE, Exit.DESTROY):
        return
    begun = [each for each in here.orders if each.dispatched_at is not None and not each.is_absent_final]
    is_erased = here.is_evidence_in and here.is_erased
    is_told = here.is_recorded or here.summary_token is not None or is_erased
    assert is_told or not begun, "a case ends, and nothing tells of the order that may have begun"


def only_an_untouched_host_is_given_back(world: World) -> None:
    """To a customer who came back, or by command; nothing was begun on it or ever can be."""
    here, record = world.stored, world.record
    row = None if here.own is None else here.newest_row(Question.SUBSCRIPTION, here.own)
    came_back = row is not None and row.answered_at is not None and row.answer["answer"] is not Answer.ENDED
    came_back |= they_were_there(world) or they_left_again(world)
    called_back = here.command is not None and here.command.exit is Exit.RESTORE
    assert came_back or called_back or here.state is State.CERTIFIED
    if here.state is State.CERTIFIED:
        return
    assert not record.begun, "something irreversible was begun"
    for order in here.orders:
        assert order.dispatched_at is None or order.is_absent_final, f"{order.order} may still be obeyed"


def the_host_is_theirs_again(world: World) -> None:
    here = world.stored
    touched = any(effect is Effect.ISOLATE for effect, _, _ in here.begun)
    read = here.newest_row(Question.ISOLATION)
    assert not touched or (read is not None and read.answer["tenant_side_cut"] is Seen.NO)
    for order in here.orders:
        assert order.is_withdrawn or order.is_absent_final, f"{order.order} may still be obeyed"


def only_an_erased_host_is_released(world: World) -> None:
    here = world.stored
    assert here.order is not None
    assert here.is_certified
    assert here.order.token in world.machine.erased, "a drive that was not erased is released"
    assert here.summary_token == here.order.token, "the summary is of another attempt"


# --- rule 7 -------------------------------------------------------------------------------------------------


def the_store_remembers_what_it_answered_for(world: World) -> None:
    """A restored backup, a lagging replica: nothing irreversible before two operators reconciled."""
    assert not world.record.is_rolled_back, "the store is older than what it answered for"


def no_order_outlives_a_reconciliation(world: World) -> None:
    """What an older copy ordered is sent and allowed nothing more."""
    order = world.stored.order
    assert order is None or order.token not in world.record.from_before, "an order from before goes on"


_WHOEVER_IS_WIPED_HAS_LEFT: tuple[Promise, ...] = (
    every_tenancy_was_seen_ended,
    nobody_is_wiped_under_an_ending_they_came_back_from,
    the_list_names_exactly_the_known_tenancies,
    no_later_tenancy_is_touched,
    the_clocks_agree,
    the_tenant_is_cut_off,
    nobody_said_stop,
    enough_people_agreed,
    the_host_may_be_wiped_at_all,
)

PROMISES: dict[Moment, tuple[Promise, ...]] = {
    Moment.DISPATCH: (
        the_store_remembers_what_it_answered_for,
        no_order_outlives_a_reconciliation,
        *_WHOEVER_IS_WIPED_HAS_LEFT,
        the_order_is_stored_and_logged,
        no_attempt_is_dispatched_twice,
        a_further_attempt_is_a_persons_decision,
    ),
    Moment.GRANT: (
        the_store_remembers_what_it_answered_for,
        no_order_outlives_a_reconciliation,
        *_WHOEVER_IS_WIPED_HAS_LEFT,
        the_permission_is_for_the_order_that_was_dispatched,
    ),
    Moment.GIVE_BACK: (the_store_remembers_what_it_answered_for, only_an_untouched_host_is_given_back),
    Moment.CANCELLED: (
        the_store_remembers_what_it_answered_for,
        only_an_untouched_host_is_given_back,
        the_host_is_theirs_again,
    ),
    Moment.RELEASED: (the_store_remembers_what_it_answered_for, only_an_erased_host_is_released),
    Moment.EXIT: (
        the_store_remembers_what_it_answered_for,
        no_exit_before_the_last_permission_is_dead,
        enough_people_commanded_it,
        what_was_begun_is_recorded_before_the_case_ends,
    ),
    Moment.SEND: (what_is_sent_was_dispatched,),
    Moment.BEGIN: (what_begins_was_permitted_in_time, a_renewal_is_missed_for_90_seconds_at_most),
}


def check(moment: Moment, world: World) -> None:
    """The witness: every promise that could break at this moment."""
    for promise in PROMISES[moment]:
        promise(world)
