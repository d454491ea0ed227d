"""How a deprovision waits: what is asked and done meanwhile, how often, and when to look again.

Rules this module holds:
- A question whose answer did not help is asked again at its pace; at once when something happened since that
  makes the answer worthless (a hint, a change, our own act on the network, a new order).
- A question still open after QUESTION_LIFE was lost with its worker.
- An effect is begun again only after the time it takes to show itself.
- While a person is waited for (hold, freeze, approval), the world is asked at the pace of the watch only.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import assert_never

from certificate.errors import Refused
from controller.deadlines import deadline
from controller.decision import Refuse, Wait
from controller.facts import Answer, Effect, Facts, Observation, Question, TenancyFacts
from controller.guards import Guard

#: Between two equal questions while something waits for the answer.
ASK_AGAIN_AFTER = timedelta(seconds=5)
#: Every driver gives up sooner (time-out = unknown).
QUESTION_LIFE = timedelta(seconds=10)
#: Where nothing irreversible is near, a renewal whose hint was lost is noticed after so long.
WATCH_EVERY = timedelta(minutes=5)
#: A switch, a signer, a log answer within seconds; BOOT has the driver's own `boot_takes` instead.
REPEAT_EFFECT_AFTER = timedelta(seconds=5)

_Events = tuple[datetime | None, ...]


def wait(
    facts: Facts,
    now: datetime,
    reason: str,
    *,
    effect: Effect | None = None,
    ask: tuple[Question, ...] = (),
    until: datetime | None = None,
    is_alarm: bool = False,
) -> Wait:
    """A `Wait` in which effects and questions keep their pace and `until` is the next instant of interest."""
    due, wakes = _due_questions(facts, now, ask)
    instants = [until, *wakes]
    if effect is not None:
        begins_at = _effect_due_at(facts, now, effect)
        if begins_at > now:
            effect = None
            instants.append(begins_at)
        else:
            # What the effect did is to be seen, so its question comes with it, whenever it was last asked.
            due = tuple(dict.fromkeys((*due, *ask)))
            instants.append(now + REPEAT_EFFECT_AFTER)
    return Wait(reason=reason, until=_next(facts, now, instants), effect=effect, ask=due, is_alarm=is_alarm)


def refuse(facts: Facts, now: datetime, refused: tuple[tuple[Guard, Refused], ...]) -> Refuse:
    """All refusals, and their questions; while also a person is waited for, at the pace of the watch."""
    waits_for_people = any(not guard.questions for guard, _ in refused)
    due, wakes = _due_questions(
        facts,
        now,
        questions(guard for guard, _ in refused),
        again_after=WATCH_EVERY if waits_for_people else ASK_AGAIN_AFTER,
    )
    return Refuse(
        refusals=tuple(refusal for _, refusal in refused), until=_next(facts, now, [*wakes]), ask=due
    )


def questions(guards: Iterable[Guard]) -> tuple[Question, ...]:
    return tuple(dict.fromkeys(question for guard in guards for question in guard.questions))


def _next(facts: Facts, now: datetime, instants: list[datetime | None]) -> datetime | None:
    """The earliest of these instants and the deadline that is still to come."""
    return min((at for at in [*instants, deadline(facts)] if at is not None and at > now), default=None)


def _due_questions(
    facts: Facts, now: datetime, wanted: Iterable[Question], *, again_after: timedelta = ASK_AGAIN_AFTER
) -> tuple[tuple[Question, ...], tuple[datetime, ...]]:
    """Which questions to ask now, and when to look again. The watch on the source is always among them."""
    paces = dict.fromkeys(wanted, again_after)
    if facts.state.is_watched:
        paces.setdefault(Question.SUBSCRIPTION, WATCH_EVERY)
    due: list[Question] = []
    wakes: list[datetime] = []
    for question, pace in paces.items():
        due_at = _question_due_at(facts, now, question, pace)
        if due_at <= now:
            due.append(question)
            wakes.append(now + QUESTION_LIFE)
        else:
            wakes.append(due_at)
    return tuple(due), tuple(wakes)


def _effect_due_at(facts: Facts, now: datetime, effect: Effect) -> datetime:
    """When this effect may be begun (again); not after `now` means now."""
    begun_at = facts.begun_at(effect)
    if begun_at is None or begun_at > now:
        return now
    return begun_at + (facts.boot_takes if effect is Effect.BOOT else REPEAT_EFFECT_AFTER)


def _question_due_at(facts: Facts, now: datetime, question: Question, pace: timedelta) -> datetime:
    # No tenancy, nothing to ask about: that is not a question which is always due.
    return min(
        (_due_at(seen, now, pace, events) for seen, events in _asked(facts, question)), default=now + pace
    )


def _due_at(seen: Observation | None, now: datetime, pace: timedelta, events: _Events) -> datetime:
    if seen is None or seen.asked_at > now:
        return now
    if seen.answered_at is None:
        return seen.asked_at + QUESTION_LIFE
    if any(event is not None and seen.asked_at <= event <= now for event in events):
        return now
    return seen.asked_at + pace


def _asked(facts: Facts, question: Question) -> tuple[tuple[Observation | None, _Events], ...]:
    """The newest question of this kind (of each tenancy), and what would make its answer worthless."""
    order = facts.order
    match question:
        case Question.SUBSCRIPTION:
            return tuple(
                (tenancy.latest, (*_events(tenancy), facts.basis_since)) for tenancy in facts.tenancies
            )
        case Question.TENANCIES:
            touched = (at for t in facts.tenancies for at in (t.last_hint_at, t.last_change_at))
            return ((facts.tenancy_list, (*touched, facts.basis_since)),)
        case Question.CLOCK:
            return ((facts.clock, (facts.basis_since,)),)
        case Question.CENSUS:
            # Of the whole source, at the intake's own pace (`census`).
            return ()
        case Question.ISOLATION:
            return ((facts.isolation, (facts.switched_at, facts.basis_since)),)
        case Question.ORDER_HELLO:
            return ((facts.hello, (None if order is None else order.intended_at,)),)
        case Question.AGENT_STATUS | Question.FINAL_ABSENCE:
            return ((facts.agent, (None if order is None else order.dispatched_at,)),)
        case _:
            assert_never(question)


def _events(tenancy: TenancyFacts) -> _Events:
    """A contrary answer is itself the newest change: it voids `ended` and hurries no further question."""
    if tenancy.latest is not None and tenancy.latest.answer is not Answer.ENDED:
        return (tenancy.last_hint_at,)
    return (tenancy.last_hint_at, tenancy.last_change_at)
