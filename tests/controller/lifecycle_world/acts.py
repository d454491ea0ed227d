"""What may happen to the world, one thing at a time, for the random runs: each act is one step.

Rules: an act never looks at what `decide` would say; what cannot happen now (no hint is in the air, no backup
was made) happens as nothing. `FREQUENT` is what goes on all the time, `SELDOM` what a provider hopes not to
see in a year; `ACTS` holds the first several times.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from expunge_lifecycle_world.answers import reply
from expunge_lifecycle_world.calm import people_agree
from expunge_lifecycle_world.stored import DAY, EARLIER, LATER, OWN, SECOND
from expunge_lifecycle_world.world import World

from certificate.identifiers import TenancyId
from controller.facts import Answer, Disposition, Exit, Question
from controller.states import State

Act = Callable[[World], object]


def named(name: str, act: Act) -> Act:
    """The act under a name that a failing run can print."""

    def something(world: World) -> None:
        act(world)

    something.__name__ = something.__qualname__ = name
    return something


# --- the source and its hints -------------------------------------------------------------------------------


def a_customer_comes_back(world: World, tenancy: TenancyId, answer: Answer = Answer.ACTIVE) -> None:
    if tenancy in world.source.says:
        world.says(tenancy, answer)


def a_customer_comes_back_and_the_hint_is_here(world: World, tenancy: TenancyId) -> None:
    if tenancy in world.source.says:
        world.says(tenancy, Answer.ACTIVE)
        world.receive(world.source.hints.pop())


def everybody_leaves(world: World) -> None:
    for tenancy, (answer, _) in list(world.source.says.items()):
        if answer is not Answer.ENDED:
            world.says(tenancy, Answer.ENDED)


def the_host_is_let_again(world: World, *, is_known: bool) -> None:
    """Also a host in stock: suddenly somebody rents it."""
    world.says(LATER, Answer.ACTIVE)
    if is_known:
        world.import_tenancy(LATER)


def the_owner_changes(world: World) -> None:
    """The old tenancy ends, the same machine goes on under a new one, and nobody told us."""
    if OWN in world.source.says:
        world.says(OWN, Answer.ENDED)
        world.says(LATER, Answer.ACTIVE)


def the_chassis_is_swapped(world: World) -> None:
    """The source moves the own tenancy to another machine."""
    world.source.elsewhere.add(OWN)


def the_chassis_is_swapped_back(world: World) -> None:
    world.source.elsewhere.discard(OWN)


def a_hint_arrives(world: World, *, place: int, is_kept: bool) -> None:
    """In any order; a hint that is kept arrives again."""
    if world.source.hints:
        world.receive(world.source.hints[place] if is_kept else world.source.hints.pop(place))


def a_hint_is_lost(world: World) -> None:
    if world.source.hints:
        world.source.hints.pop()


def a_renewal_is_announced(world: World) -> None:
    """While the source still says what it said before."""
    if OWN in world.source.says:
        world.says(OWN, world.source.says[OWN][0])
        hint = world.source.hints.pop()
        hint.is_renewal = True
        world.receive(hint)


def a_renewal_is_announced_while_the_clock_is_behind(world: World) -> None:
    world.step_clock(-9 * SECOND)
    a_renewal_is_announced(world)
    world.step_clock(9 * SECOND)


def the_source_stumbles(world: World) -> None:
    world.source.is_down = not world.source.is_down


# --- answers ------------------------------------------------------------------------------------------------


def a_question_is_sent_and_nobody_waits(world: World) -> None:
    world.ask(Question.SUBSCRIPTION)


def answers_come_out_of_order(world: World, *, is_behind: bool) -> None:
    """Two questions a tenancy; the second is answered first, and the first says unknown after all."""
    first, second = world.ask(Question.SUBSCRIPTION), world.ask(Question.SUBSCRIPTION)
    for row in second:
        world.store_answer(row, reply(world, row) or {})
    world.step_clock(-9 * SECOND if is_behind else timedelta())
    for row in first:
        world.store_answer(row, {"answer": Answer.UNKNOWN, "changed_at": None})
    world.step_clock(9 * SECOND if is_behind else timedelta())


def answers_come_slowly(world: World) -> None:
    """A worker's questions are asked, and every answer takes half a minute."""
    world.perform(0)
    world.tick(25 * SECOND)
    while world.queues[0]:
        world.perform(0)
    world.tick(6 * SECOND)


# --- the machine --------------------------------------------------------------------------------------------


def the_machine_restarts(world: World) -> None:
    if world.machine.boot_id is not None:
        world.machine.reboot()


def the_isolation_is_undone(world: World) -> None:
    world.machine.is_cut = False


# --- people -------------------------------------------------------------------------------------------------


def an_operator_commands(world: World, exit: Exit, people: int) -> None:
    if exit is Exit.RESTORE or world.stored.state is State.NEEDS_OPERATOR:
        world.command(exit, people)


def people_agree_shortly(world: World) -> None:
    """Their yes dies within the minute."""
    world.approve(is_request=True, keyid="anna", life=40 * SECOND)
    world.approve(is_request=False, keyid="bert", life=40 * SECOND)


def toggled(name: str) -> Act:
    return lambda world: setattr(world.stored, name, not getattr(world.stored, name))


def the_declaration_is_in_doubt(world: World) -> None:
    if world.stored.own is None:
        world.declare(Disposition.INTERNAL, 1)


def the_declaration_stands(world: World) -> None:
    if world.stored.own is None:
        world.declare(Disposition.STOCK, 2)


# --- the clock ----------------------------------------------------------------------------------------------


def passing(seconds: int) -> Act:
    return named(f"{seconds}_seconds_pass", lambda world: world.tick(seconds * SECOND))


def stepping(seconds: int) -> Act:
    return named(f"the_clock_steps_by_{seconds}", lambda world: world.step_clock(seconds * SECOND))


def the_clock_is_set_right(world: World) -> None:
    """But for an offset that nobody knows of."""
    world.step_clock(world.true + world.offset - world.wall)


# --- the tables ---------------------------------------------------------------------------------------------


def _workers() -> tuple[Act, ...]:
    acts: list[Act] = []
    for worker, weight in ((0, 4), (1, 1)):
        acts += [
            *[named(f"worker_{worker}_advances", lambda w, n=worker: w.advance(n))] * weight,
            *[named(f"worker_{worker}_does_one_piece", lambda w, n=worker: w.perform(n))] * weight * 2,
            *[named(f"worker_{worker}_acknowledges", lambda w, n=worker: w.acknowledge(n))] * weight,
            *[named(f"worker_{worker}_works", lambda w, n=worker: w.work(n))] * weight,
            named(f"worker_{worker}_loses_a_piece", lambda w, n=worker: w.perform(n, is_lost=True)),
            named(f"worker_{worker}_dies", lambda w, n=worker: w.queues[n].clear()),
            named(f"worker_{worker}_dies_after_its_commit", lambda w, n=worker: w.advance_and_die(n)),
        ]
    return tuple(acts)


FREQUENT: tuple[Act, ...] = (
    *_workers(),
    *[named("the_machine_goes_on", lambda world: world.machine_goes_on())] * 4,
    named("the_checkpoint_is_signed", lambda world: world.sign_due()),
    *[passing(1)] * 2,
    passing(9),
    passing(25),
    *[named("everybody_leaves", everybody_leaves)] * 2,
)

COMMANDS: tuple[Act, ...] = tuple(
    named(f"{exit}_is_commanded_by_{people}", lambda w, e=exit, n=people: an_operator_commands(w, e, n))
    for exit in Exit
    for people in (1, 2)
)

SELDOM: tuple[Act, ...] = (
    named("the_own_customer_comes_back", lambda w: a_customer_comes_back(w, OWN)),
    named("the_own_customer_is_pending", lambda w: a_customer_comes_back(w, OWN, Answer.PENDING)),
    named("the_earlier_customer_upgrades", lambda w: a_customer_comes_back(w, EARLIER)),
    named("the_own_customer_comes_back_hinted", lambda w: a_customer_comes_back_and_the_hint_is_here(w, OWN)),
    named("the_earlier_one_hinted", lambda w: a_customer_comes_back_and_the_hint_is_here(w, EARLIER)),
    named("the_newest_hint_arrives", lambda w: a_hint_arrives(w, place=-1, is_kept=False)),
    named("the_oldest_hint_arrives_and_again", lambda w: a_hint_arrives(w, place=0, is_kept=True)),
    a_hint_is_lost,
    a_renewal_is_announced,
    a_renewal_is_announced_while_the_clock_is_behind,
    the_source_stumbles,
    a_question_is_sent_and_nobody_waits,
    named("answers_come_out_of_order", lambda w: answers_come_out_of_order(w, is_behind=False)),
    named("answers_come_late_and_behind", lambda w: answers_come_out_of_order(w, is_behind=True)),
    answers_come_slowly,
    the_isolation_is_undone,
    the_machine_restarts,
    people_agree_shortly,
    named("people_agree", lambda world: people_agree(world)),
    named("a_hold_is_placed_or_released", toggled("is_held")),
    named("somebody_freezes_or_two_thaw", toggled("is_frozen")),
    named("a_breaker_trips_or_is_reset", toggled("is_intake_open")),
    named("a_limit_is_reached_or_passes", toggled("is_limit_reached")),
    named("an_order_elsewhere_lives_or_ends", toggled("has_order_elsewhere")),
    named("another_host_has_the_drive_on_record_or_not", toggled("is_drive_elsewhere")),
    *COMMANDS,
    passing(61),
    passing(901),
    stepping(-9),
    stepping(9),
    stepping(-31),
    stepping(31),
    the_clock_is_set_right,
)

#: What would end most runs if it happened often.
RARE: tuple[Act, ...] = (
    named("the_host_is_let_again", lambda world: the_host_is_let_again(world, is_known=False)),
    named("the_host_is_let_again_as_we_know", lambda world: the_host_is_let_again(world, is_known=True)),
    the_owner_changes,
    the_chassis_is_swapped,
    the_chassis_is_swapped_back,
    the_declaration_is_in_doubt,
    the_declaration_stands,
    named("a_backup_is_made", lambda world: world.back_up()),
    named("a_backup_is_restored", lambda world: world.restore_backup(is_restarted=True)),
    named("a_replica_takes_over", lambda world: world.restore_backup(is_restarted=False)),
    named("the_anchor_is_gone", lambda world: setattr(world, "anchor", None)),
    named("two_operators_reconcile", lambda world: world.reconcile()),
    stepping(400),
    stepping(-400),
    stepping(31 * 86400),
    stepping(-31 * 86400),
    passing(int((8 * DAY).total_seconds())),
)

ACTS: tuple[Act, ...] = (*FREQUENT, *FREQUENT, *SELDOM)
