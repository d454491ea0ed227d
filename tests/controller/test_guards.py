"""Each guard alone holds back a wipe: with it the wipe is refused, without it the order is sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from certificate.errors import Refused
from certificate.statements.statement import Seen
from certificate.statements.vocabulary import Trigger
from controller import guards
from controller.decision import Move, Refuse
from controller.errors import NeedsApproval
from controller.facts import Answer, CommandFacts, DeclarationFacts, Disposition, Effect, Exit, Facts
from controller.lifecycle import decide, may_acknowledge
from controller.states import State

Spoil = Callable[[Any, Facts], Facts]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A fact that must stop a wipe, the guard that stops it, and nothing else that would."""

    name: str
    guard: type
    code: str
    spoil: Spoil

    def __str__(self) -> str:
        return self.name


def inventory(**changes: Any) -> Spoil:
    return lambda story, facts: replace(facts, inventory=story.inventory(**changes))


def tenancies(*makers: Callable[[Any], Any]) -> Spoil:
    """These tenancies, all of them named by the source as well."""

    def spoil(story: Any, facts: Facts) -> Facts:
        told = tuple(make(story) for make in makers)
        names = tuple(str(tenancy.tenancy) for tenancy in told)
        return replace(facts, tenancies=told, tenancy_list=story.listed(*names))

    return spoil


def declared(disposition: Disposition, *keyids: str) -> DeclarationFacts:
    return DeclarationFacts(disposition=disposition, keyids=frozenset(keyids))


def never_let(story: Any, facts: Facts, **changes: Any) -> Facts:
    """A host in stock, declared by two, requested by one and approved by another, then spoiled."""
    stock: dict[str, Any] = {
        "tenancy": None,
        "tenancies": (),
        "tenancy_list": story.listed(),
        "trigger": Trigger.MANUAL,
        "disposition": Disposition.STOCK,
        "declaration": declared(Disposition.STOCK, "anna", "bert"),
        "approvals": (story.approval("anna", is_request=True), story.approval("bert")),
    }
    return replace(facts, **stock | changes)


def test_a_declared_host_that_was_never_let_is_wiped_by_hand(story: Any) -> None:
    assert isinstance(decide(never_let(story, story.facts(State.INTENDED)), story.T0), Move)


def restore_commanded(story: Any) -> CommandFacts:
    return CommandFacts(exit=Exit.RESTORE, keyids=frozenset({"anna"}), commanded_at=story.T0 - story.SECOND)


CASES = (
    Case(
        name="a restored backup",
        guard=guards.StoreIsCurrent,
        code="STORE_NOT_CURRENT",
        spoil=lambda story, facts: replace(facts, is_store_current=False),
    ),
    Case(
        name="a freeze",
        guard=guards.NotFrozen,
        code="FROZEN",
        spoil=lambda story, facts: replace(facts, is_frozen=True),
    ),
    Case(
        name="a legal hold",
        guard=guards.NotHeld,
        code="HELD",
        spoil=lambda story, facts: replace(facts, holds=(story.hold(),)),
    ),
    Case(
        name="an operator who gives the host back",
        guard=guards.NotCalledBack,
        code="CALLED_BACK",
        spoil=lambda story, facts: replace(facts, command=restore_commanded(story)),
    ),
    Case(
        name="a customer who came back and ended again",
        guard=guards.CustomerNeverCameBack,
        code="CUSTOMER_CAME_BACK",
        spoil=lambda story, facts: replace(facts, came_back_at=story.T0 - story.HOUR),
    ),
    Case(
        name="a breaker that tripped",
        guard=guards.IntakeIsOpen,
        code="INTAKE_CLOSED",
        spoil=lambda story, facts: replace(facts, is_intake_open=False),
    ),
    Case(
        name="a controller 31 days fast",
        guard=guards.ClockIsTrusted,
        code="TIME_UNTRUSTED",
        spoil=lambda story, facts: replace(facts, clock=story.clock(difference_seconds=31 * 86400.0)),
    ),
    Case(
        name="a clock behind what we signed",
        guard=guards.ClockIsTrusted,
        code="TIME_UNTRUSTED",
        spoil=lambda story, facts: replace(facts, newest_signed_at=story.T0 + story.SECOND),
    ),
    Case(
        name="a source that tells no time",
        guard=guards.ClockIsTrusted,
        code="TIME_UNTRUSTED",
        spoil=lambda story, facts: replace(facts, clock=story.clock(difference_seconds=None)),
    ),
    Case(
        name="a clock that is not a number",
        guard=guards.ClockIsTrusted,
        code="TIME_UNTRUSTED",
        spoil=lambda story, facts: replace(facts, clock=story.clock(difference_seconds=float("nan"))),
    ),
    Case(
        name="a host of unknown disposition",
        guard=guards.DispositionAllowsIt,
        code="DISPOSITION_REFUSES",
        spoil=lambda story, facts: replace(facts, disposition=Disposition.UNKNOWN),
    ),
    Case(
        name="a host in stock that nobody declared",
        guard=guards.DispositionAllowsIt,
        code="DISPOSITION_UNDECLARED",
        spoil=lambda story, facts: never_let(story, facts, declaration=None),
    ),
    Case(
        name="a host in stock that one person declared",
        guard=guards.DispositionAllowsIt,
        code="DISPOSITION_UNDECLARED",
        spoil=lambda story, facts: never_let(story, facts, declaration=declared(Disposition.STOCK, "anna")),
    ),
    Case(
        name="a host in stock that two declared internal",
        guard=guards.DispositionAllowsIt,
        code="DISPOSITION_UNDECLARED",
        spoil=lambda story, facts: never_let(
            story, facts, declaration=declared(Disposition.INTERNAL, "anna", "bert")
        ),
    ),
    Case(
        name="a host that was never let and of which a tenancy is said to have ended",
        guard=guards.DispositionAllowsIt,
        code="DISPOSITION_REFUSES",
        spoil=lambda story, facts: never_let(story, facts, trigger=Trigger.ENDED),
    ),
    Case(
        name="a host that was never let and is said to be rented",
        guard=guards.DispositionAllowsIt,
        code="DISPOSITION_REFUSES",
        spoil=lambda story, facts: never_let(story, facts, disposition=Disposition.RENTED),
    ),
    Case(
        name="a host in stock that somebody rents",
        guard=guards.TenancyListIsCompleteAndFresh,
        code="TENANCY_REMAINS",
        spoil=lambda story, facts: never_let(story, facts, tenancy_list=story.listed("sub-4711")),
    ),
    Case(
        name="an incomplete list",
        guard=guards.TenancyListIsCompleteAndFresh,
        code="TENANCY_LIST_UNKNOWN",
        spoil=lambda story, facts: replace(
            facts, tenancy_list=story.listed(story.TENANCY, is_complete=Seen.NOT_OBSERVED)
        ),
    ),
    Case(
        name="a list that names one tenancy more",
        guard=guards.TenancyListIsCompleteAndFresh,
        code="TENANCY_LIST_DIFFERS",
        spoil=lambda story, facts: replace(facts, tenancy_list=story.listed(story.TENANCY, "sub-4711")),
    ),
    Case(
        name="an empty list",
        guard=guards.TenancyListIsCompleteAndFresh,
        code="TENANCY_NONE_KNOWN",
        spoil=lambda story, facts: replace(facts, tenancy_list=story.listed()),
    ),
    Case(
        name="a list asked for half a minute ago",
        guard=guards.TenancyListIsCompleteAndFresh,
        code="TENANCY_LIST_UNKNOWN",
        spoil=lambda story, facts: replace(
            facts, tenancy_list=story.listed(story.TENANCY, asked_at=story.T0 - 30 * story.SECOND)
        ),
    ),
    Case(
        name="an unknown answer",
        guard=guards.EveryTenancyEnded,
        code="TENANCY_UNKNOWN",
        spoil=tenancies(lambda story: story.tenancy(latest=story.subscription(Answer.UNKNOWN))),
    ),
    Case(
        name="an unanswered later question",
        guard=guards.EveryTenancyEnded,
        code="TENANCY_UNKNOWN",
        spoil=tenancies(lambda story: story.tenancy(latest=story.subscription(answered_at=None))),
    ),
    Case(
        name="an upgrade on the same host",
        guard=guards.EveryTenancyEnded,
        code="TENANCY_REMAINS",
        spoil=tenancies(
            lambda story: story.tenancy(),
            lambda story: story.tenancy(
                tenancy=story.EARLIER,
                starts_at=story.T0 - 2000 * story.HOUR,
                latest=story.subscription(Answer.ACTIVE),
            ),
        ),
    ),
    Case(
        name="a host let again and ended again",
        guard=guards.NoOtherTenancyTouchesTheHost,
        code="TENANCY_REMAINS",
        spoil=tenancies(
            lambda story: story.tenancy(),
            lambda story: story.tenancy(tenancy=story.LATER, starts_at=story.T0 - story.HOUR),
        ),
    ),
    Case(
        name="a tenancy that moved to another chassis",
        guard=guards.NoOtherTenancyTouchesTheHost,
        code="TENANCY_LIST_DIFFERS",
        spoil=tenancies(
            lambda story: story.tenancy(tenancy=story.EARLIER, starts_at=story.T0 - 2000 * story.HOUR)
        ),
    ),
    Case(
        name="an order of another deprovision",
        guard=guards.NoOrderElsewhere,
        code="DEPROVISION_ELSEWHERE",
        spoil=lambda story, facts: replace(facts, has_live_order_elsewhere=True),
    ),
    Case(
        name="a quarantine that somebody undid",
        guard=guards.HostIsIsolated,
        code="HOST_NOT_ISOLATED",
        spoil=lambda story, facts: replace(facts, isolation=story.isolation(Seen.NO)),
    ),
    Case(
        name="a switch that does not answer",
        guard=guards.HostIsIsolated,
        code="HOST_NOT_ISOLATED",
        spoil=lambda story, facts: replace(facts, isolation=story.isolation(Seen.NOT_OBSERVED)),
    ),
    Case(
        name="our own side cut as well",
        guard=guards.HostIsIsolated,
        code="HOST_NOT_ISOLATED",
        spoil=lambda story, facts: replace(facts, isolation=story.isolation(our_side_reachable=Seen.NO)),
    ),
    Case(
        name="an agent that proved nothing",
        guard=guards.BootIsProven,
        code="BOOT_UNPROVEN",
        spoil=lambda story, facts: replace(facts, boot=replace(facts.boot, is_proven=False)),
    ),
    Case(
        name="an inventory of another boot",
        guard=guards.InventoryIsOfThisBoot,
        code="INVENTORY_MISSING",
        spoil=lambda story, facts: replace(facts, inventory=story.inventory(boot_id=story.OTHER_BOOT)),
    ),
    Case(
        name="two signs of identity",
        guard=guards.IdentityAgrees,
        code="IDENTITY_UNPROVEN",
        spoil=inventory(agreeing_host_facts=2),
    ),
    Case(
        name="one sign against",
        guard=guards.IdentityAgrees,
        code="IDENTITY_CONTRADICTED",
        spoil=inventory(agreeing_host_facts=5, contradicting_host_facts=1),
    ),
    Case(
        name="a missing drive",
        guard=guards.DrivesAreTheExpectedOnes,
        code="DRIVES_DIFFER",
        spoil=inventory(missing_drives=1),
    ),
    Case(
        name="an unexpected drive",
        guard=guards.DrivesAreTheExpectedOnes,
        code="DRIVES_DIFFER",
        spoil=inventory(unexpected_drives=1),
    ),
    Case(
        name="a drive that another host has on record, too",
        guard=guards.DrivesAreOfNoOtherHost,
        code="DRIVE_ON_TWO_HOSTS",
        spoil=lambda story, facts: replace(facts, drives_elsewhere=("a drive is on record in another",)),
    ),
    Case(
        name="no drive on record",
        guard=guards.DrivesAreTheExpectedOnes,
        code="DRIVES_UNKNOWN",
        spoil=inventory(expected_drives=0),
    ),
    Case(
        name="a drive below the floor",
        guard=guards.DrivesAreTheExpectedOnes,
        code="DRIVES_REFUSED",
        spoil=inventory(refused=("TECHNIQUE_UNAVAILABLE",)),
    ),
    Case(
        name="a plan without media",
        guard=guards.PlanIsOfThisBoot,
        code="PLAN_MISSING",
        spoil=lambda story, facts: replace(facts, plan=replace(facts.plan, media=())),
    ),
    Case(
        name="a plan of another boot",
        guard=guards.PlanIsOfThisBoot,
        code="PLAN_OF_ANOTHER_BOOT",
        spoil=lambda story, facts: replace(facts, plan=replace(facts.plan, boot_id=story.OTHER_BOOT)),
    ),
    Case(
        name="a data class without a rule",
        guard=guards.ApprovalsSuffice,
        code="NO_VALIDATION_RULE",
        spoil=lambda story, facts: replace(facts, approvals_required=None),
    ),
    Case(
        name="one approval of two",
        guard=guards.ApprovalsSuffice,
        code="APPROVALS_REQUIRED",
        spoil=lambda story, facts: replace(
            facts, approvals_required=2, approvals=(story.approval("anna"), story.approval("anna"))
        ),
    ),
    Case(
        name="an approval of another plan",
        guard=guards.ApprovalsSuffice,
        code="APPROVALS_REQUIRED",
        spoil=lambda story, facts: replace(
            facts, approvals_required=1, approvals=(story.approval("anna", plan_digest="0" * 64),)
        ),
    ),
    Case(
        name="an approval that died",
        guard=guards.ApprovalsSuffice,
        code="APPROVALS_REQUIRED",
        spoil=lambda story, facts: replace(
            facts, approvals_required=1, approvals=(story.approval("anna", expires_at=story.T0),)
        ),
    ),
    Case(
        name="a manual wipe approved by who asked for it",
        guard=guards.ApprovalsSuffice,
        code="APPROVALS_REQUIRED",
        spoil=lambda story, facts: replace(
            facts,
            trigger=Trigger.MANUAL,
            approvals=(story.approval("anna", is_request=True), story.approval("anna")),
        ),
    ),
    Case(
        name="a wipe beyond a limit with one approval",
        guard=guards.WithinLimits,
        code="LIMIT_REACHED",
        spoil=lambda story, facts: replace(
            facts, limits_reached=("per_hour",), approvals=(story.approval("anna"),)
        ),
    ),
    Case(
        name="an undelivered notice",
        guard=guards.NoticesSettled,
        code="NOTICES_OPEN",
        spoil=lambda story, facts: replace(facts, are_notices_settled=False),
    ),
    Case(
        name="an order no checkpoint covers",
        guard=guards.OrderIsAlive,
        code="ORDER_NOT_LOGGED",
        spoil=lambda story, facts: replace(facts, order=story.order(is_logged=False)),
    ),
    Case(
        name="an order that was sent",
        guard=guards.OrderIsAlive,
        code="ORDER_SPENT",
        spoil=lambda story, facts: replace(facts, order=story.order(dispatched_at=story.T0 - story.SECOND)),
    ),
    Case(
        name="no order",
        guard=guards.OrderIsAlive,
        code="ORDER_MISSING",
        spoil=lambda story, facts: replace(facts, order=None),
    ),
)


def spoiled(story: Any, case: Case, state: State = State.INTENDED) -> Facts:
    return case.spoil(story, story.facts(state))


def test_a_healthy_order_is_sent(story: Any) -> None:
    assert decide(story.facts(State.INTENDED), story.T0) == Move(
        to=State.ERASING, reason="every guard passed again on new observations", effect=Effect.DISPATCH
    )


#: `way_back` turns these round before any guard is asked, so only the acknowledgement shows what they hold.
SEEN_AT_THE_ACKNOWLEDGEMENT = tuple(
    case for case in CASES if case.guard in {guards.NotCalledBack, guards.CustomerNeverCameBack}
)
SEEN_AT_THE_DISPATCH = tuple(case for case in CASES if case not in SEEN_AT_THE_ACKNOWLEDGEMENT)


def acknowledge(facts: Facts, story: Any) -> None:
    """The first irreversible step of the order, asked for at T0."""
    may_acknowledge(
        facts,
        story.T0,
        token=story.TOKEN,
        boot_id=story.BOOT,
        step=f"markers:{story.MEDIUM}",
        is_irreversible=True,
    )


@pytest.mark.parametrize("case", SEEN_AT_THE_DISPATCH, ids=str)
def test_one_adverse_fact_holds_the_order_back(story: Any, case: Case) -> None:
    decision = decide(spoiled(story, case), story.T0)
    assert isinstance(decision, Refuse)
    assert case.code in decision.codes


@pytest.mark.parametrize("case", SEEN_AT_THE_DISPATCH, ids=str)
def test_without_its_guard_the_order_would_be_sent(
    story: Any, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutation list: a guard whose removal changes nothing here guards nothing."""
    monkeypatch.setattr(case.guard, "check", lambda self, facts, now: None)
    decision = decide(spoiled(story, case), story.T0)
    assert isinstance(decision, Move), decision
    assert decision.effect is Effect.DISPATCH


@pytest.mark.parametrize("case", SEEN_AT_THE_ACKNOWLEDGEMENT, ids=str)
def test_without_its_guard_the_first_irreversible_step_would_be_acknowledged(
    story: Any, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Refused) as refusal:
        acknowledge(spoiled(story, case, State.ERASING), story)
    assert refusal.value.code == case.code
    monkeypatch.setattr(case.guard, "check", lambda self, facts, now: None)
    acknowledge(spoiled(story, case, State.ERASING), story)


def test_the_mutation_list_names_every_guard_of_the_dispatch() -> None:
    assert {case.guard for case in CASES} == {type(guard) for guard in guards.GUARDS_TO_DISPATCH}


@pytest.mark.parametrize("case", [case for case in CASES if case.guard is not guards.OrderIsAlive], ids=str)
def test_the_same_fact_holds_back_the_intent_and_the_acknowledgement(story: Any, case: Case) -> None:
    with pytest.raises(Refused) as intent:
        guards.require(guards.GUARDS_TO_INTEND, spoiled(story, case, State.APPROVED), story.T0)
    assert intent.value.code == case.code
    with pytest.raises(Refused):
        acknowledge(spoiled(story, case, State.ERASING), story)


def test_the_acknowledgement_runs_the_guards_of_the_dispatch_but_those_of_the_unsent_order() -> None:
    of_dispatch = {type(guard) for guard in guards.GUARDS_TO_DISPATCH}
    assert {type(g) for g in guards.GUARDS_TO_ACKNOWLEDGE} == of_dispatch - {guards.OrderIsAlive}
    of_intent = {type(g) for g in guards.GUARDS_TO_INTEND} - {guards.AgentGreetedForTheOrder}
    assert of_intent == of_dispatch - {guards.OrderIsAlive}


@pytest.mark.parametrize(
    "changes",
    [{"answered_at": None}, {"boot_id": None}, {"boot_id": "0" * 64}, {"asked_at": None}],
    ids=["no answer", "an unproven agent", "another boot", "none"],
)
def test_no_order_is_made_without_a_hello_of_this_boot_for_it(story: Any, changes: dict[str, Any]) -> None:
    hello = None if "asked_at" in changes else story.hello(**changes)
    decision = decide(story.facts(State.APPROVED, hello=hello), story.T0)
    assert isinstance(decision, Refuse)
    assert decision.codes == ("AGENT_SILENT",)


def test_a_hello_that_nobody_answered_says_why(story: Any) -> None:
    hello = story.hello(boot_id=None, doubt="LOGIN_REFUSED: authentication failed")
    decision = decide(story.facts(State.APPROVED, hello=hello), story.T0)
    assert isinstance(decision, Refuse)
    assert decision.codes == ("AGENT_SILENT",)
    assert "(LOGIN_REFUSED: authentication failed)" in decision.refusals[0].reason


def test_a_hello_that_served_an_earlier_order_does_not_serve_the_next(story: Any) -> None:
    withdrawn = story.order(is_withdrawn=True, intended_at=story.T0 - 2 * story.SECOND)
    decision = decide(story.facts(State.APPROVED, order=withdrawn), story.T0)
    assert isinstance(decision, Refuse)
    assert decision.codes == ("AGENT_SILENT",)


@pytest.mark.parametrize("seconds", [300, -300, 0])
def test_five_minutes_of_difference_are_trusted(story: Any, seconds: float) -> None:
    facts = story.facts(State.INTENDED, clock=story.clock(difference_seconds=seconds))
    assert isinstance(decide(facts, story.T0), Move)
    worse = story.facts(State.INTENDED, clock=story.clock(difference_seconds=seconds + 601))
    assert decide(worse, story.T0).codes == ("TIME_UNTRUSTED",)


def test_a_tenancy_within_the_own_one_is_history(story: Any) -> None:
    """A short add-on that began later and ended earlier does not keep the host for ever."""
    inner = story.tenancy(
        tenancy=story.LATER, starts_at=story.T0 - 500 * story.HOUR, ends_at=story.T0 - 400 * story.HOUR
    )
    own = story.tenancy(ends_at=story.T0 - 48 * story.HOUR)
    facts = story.facts(
        State.INTENDED, tenancies=(own, inner), tenancy_list=story.listed(story.TENANCY, story.LATER)
    )
    assert isinstance(decide(facts, story.T0), Move)
    undated = replace(facts, tenancies=(own, replace(inner, starts_at=None)))
    assert decide(undated, story.T0).codes == ("TENANCY_REMAINS",)


def test_a_list_asked_for_before_the_last_hint_is_not_the_present_one(story: Any) -> None:
    hinted_at = story.T0 - 1.5 * story.SECOND
    tenancy = story.tenancy(
        last_hint_at=hinted_at,
        latest=story.subscription(asked_at=story.T0 - timedelta(milliseconds=1400)),
    )
    decision = decide(story.facts(State.INTENDED, tenancies=(tenancy,)), story.T0)
    assert decision.codes == ("TENANCY_LIST_UNKNOWN",)


def test_a_host_without_tenancies_is_refused_by_every_guard_that_loops(story: Any) -> None:
    facts = story.facts(State.INTENDED, tenancies=(), tenancy_list=story.listed())
    refused = {type(guard) for guard, _ in guards.failing(guards.GUARDS_TO_DISPATCH, facts, story.T0)}
    assert refused == {
        guards.TenancyListIsCompleteAndFresh,
        guards.EveryTenancyEnded,
        guards.NoOtherTenancyTouchesTheHost,
    }


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (
            lambda story, old: {"tenancies": (story.tenancy(latest=story.subscription(asked_at=old)),)},
            "TENANCY_UNKNOWN",
        ),
        (
            lambda story, old: {"tenancy_list": story.listed(story.TENANCY, asked_at=old)},
            "TENANCY_LIST_UNKNOWN",
        ),
        (lambda story, old: {"clock": story.clock(asked_at=old)}, "TIME_UNTRUSTED"),
        (lambda story, old: {"isolation": story.isolation(asked_at=old)}, "HOST_NOT_ISOLATED"),
    ],
    ids=["answer", "list", "clock", "read-back"],
)
def test_what_was_asked_before_the_order_is_fresh_and_still_not_new(
    story: Any, spoil: Any, code: str
) -> None:
    """A renewal that sends no hint is missed for as long as an older answer counts."""
    since = story.T0 - 10 * story.SECOND
    facts = story.facts(State.INTENDED, basis_since=since)
    assert isinstance(decide(facts, story.T0), Move)
    decision = decide(replace(facts, **spoil(story, since)), story.T0)
    assert isinstance(decision, Refuse)
    assert decision.codes == (code,)
    assert decision.ask


def test_two_people_approve_what_is_beyond_a_limit(story: Any) -> None:
    facts = story.facts(
        State.INTENDED,
        limits_reached=("per_hour",),
        approvals=(story.approval("anna"), story.approval("bert")),
    )
    assert isinstance(decide(facts, story.T0), Move)


def test_a_request_is_its_authors_yes_but_somebody_else_must_approve(story: Any) -> None:
    """As `certificate.delivery` counts: otherwise controller and agent would ask for other people."""
    requested = story.facts(
        State.PLANNED,
        approvals_required=2,
        limits_reached=("PER_HOUR",),
        approvals=(story.approval("anna", is_request=True),),
    )
    for guard in (guards.ApprovalsSuffice(), guards.WithinLimits()):
        with pytest.raises(NeedsApproval):
            guard.check(requested, story.T0)
        approved = replace(requested, approvals=(*requested.approvals, story.approval("bert")))
        guard.check(approved, story.T0)
        two_requests = tuple(story.approval(name, is_request=True) for name in ("anna", "bert"))
        with pytest.raises(NeedsApproval):
            guard.check(replace(requested, approvals=two_requests), story.T0)


def test_a_manual_wipe_is_requested_by_one_person_and_approved_by_another(story: Any) -> None:
    facts = story.facts(
        State.INTENDED,
        trigger=Trigger.MANUAL,
        approvals=(story.approval("anna", is_request=True), story.approval("bert")),
    )
    assert isinstance(decide(facts, story.T0), Move)
    unrequested = replace(facts, approvals=(story.approval("anna"), story.approval("bert")))
    assert decide(unrequested, story.T0).codes == ("APPROVALS_REQUIRED",)


def test_too_few_approvals_is_the_refusal_that_says_who_could_lift_it(story: Any) -> None:
    facts = story.facts(State.PLANNED, approvals_required=1)
    decision = decide(facts, story.T0)
    assert isinstance(decision, Refuse)
    assert isinstance(decision.refusals[0], NeedsApproval)


def test_every_refusal_is_collected_so_that_a_person_repairs_all_at_once(story: Any) -> None:
    facts = story.facts(
        State.INTENDED,
        holds=(story.hold(),),
        isolation=None,
        clock=None,
        inventory=story.inventory(missing_drives=1),
    )
    assert decide(facts, story.T0).codes == ("HELD", "TIME_UNTRUSTED", "HOST_NOT_ISOLATED", "DRIVES_DIFFER")
