"""One rule of the agent, or of the claim, taken out at a time: the story that then goes wrong.

Each row is a rule of DESIGN item 4. Its story runs the real agent and is told twice: with the rule the
promise holds; without it the promise breaks, in the words of the row. docs/threat-model.md keeps the table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from os import urandom
from typing import Any

import pytest

from agent import acceptance, admission, markers, permit, run_directory, tokens
from agent.devices.simulated import Fault, occurrences
from agent.permit import Permit
from agent.world import World
from certificate import assurance, delivery
from certificate.assurance import sanitize
from certificate.commitment import markers_digest
from certificate.messages import Accepted, JournalLine
from certificate.statements.vocabulary import MarkerReading, Result

TENANT_TEXT = b"a tenant's secret"


@dataclass(frozen=True, kw_only=True)
class Tools:
    laboratory: Any
    documents: Any
    fake_time: Any


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A rule, how it is taken out, the story that needs it, and what is then said."""

    rule: str
    remove: Callable[..., None]
    story: Callable[[Tools], None]
    breaks: str

    def __str__(self) -> str:
        return self.rule


def erasures(lab: Any) -> int:
    return int(lab.drives[0].state().sanitizes_begun)


def is_obeyed(lab: Any, order: Any) -> bool:
    return isinstance(lab.ask(lab.request(order)), Accepted)


# --- stories ------------------------------------------------------------------------------------------------


def an_order_is_handed_over_again(tools: Tools) -> None:
    """Its execution is over; somebody replays the very same line."""
    lab = tools.laboratory()
    order = lab.accept()
    lab.run(order)
    assert erasures(lab) == 1
    assert not is_obeyed(lab, order), "an order was obeyed twice"


def an_order_names_the_boot_before(tools: Tools) -> None:
    """The agent was started again under the same configuration; the controller has not noticed."""
    lab = tools.laboratory()
    config = lab.config()
    before = lab.boot(config)
    plan = lab.plan(lab.inventory())
    lab.boot(config)
    order = lab.order(plan=plan, boot_id=before.boot_id)
    assert not is_obeyed(lab, order), "an order of another boot was obeyed"


def nobody_acknowledges(tools: Tools) -> None:
    """The controller is silent, because the customer came back: nothing may begin."""
    lab = tools.laboratory()
    found = occurrences(lab.drives[0].folder, TENANT_TEXT)
    order = lab.accept()
    lab.run(order, world=slow_world(tools), may_ack=lambda line: False)
    left = occurrences(lab.drives[0].folder, TENANT_TEXT)
    assert (left, erasures(lab)) == (found, 0), "a drive was written without an acknowledgement"


def the_drive_is_slow_after_the_acknowledgement(tools: Tools) -> None:
    """61 s pass between the acknowledgement and the command; meanwhile the customer may have come back."""
    lab = tools.laboratory()
    found = occurrences(lab.drives[0].folder, TENANT_TEXT)
    time = tools.fake_time
    looks: list[int] = []

    def clock() -> int:
        if looks:
            looks.append(time.ms)
            # The first look after the acknowledgement sees it in time; the next is the last before the act.
            if len(looks) == 3:
                time.ms += 61_000
        return int(time.ms)

    def note(line: JournalLine) -> bool:
        looks.append(time.ms)
        return True

    order = lab.accept()
    world = slow_world(tools)
    lab.run(
        order,
        world=World(clock=clock, now=world.now, pause=time.pause, random_bytes=world.random_bytes),
        may_ack=note,
    )
    assert occurrences(lab.drives[0].folder, TENANT_TEXT) == found, "an old acknowledgement was used"


def an_old_success_is_all_there_is(tools: Tools) -> None:
    """The drive reports the success that it reported before our command; no marker could be written."""
    order = tools.documents.build_order()
    evidence = tools.documents.build_evidence(order)
    after = evidence.media[0].commands[0].status_log_after
    for path, value in (
        ("media.0.commands.0.status_log_before", after),
        ("media.0.markers.markers", []),
        ("media.0.markers.committed_count", 0),
        ("media.0.markers.committed_digest", digest_of_no_markers(evidence)),
    ):
        evidence = tools.documents.with_field(evidence, path, value)
    commitment = order.plan.media[0].commitment
    claim = assurance.judge(order=order, evidence=evidence, commitment=commitment)
    assert claim.result is not Result.ERASED, "an old success was certified as ours"


def an_older_order_comes_late(tools: Tools) -> None:
    """Two orders of one hello; the newer one is executing when the older one arrives."""
    lab = tools.laboratory()
    hello = lab.hello()
    older = lab.order(hello)
    newer = lab.order(hello)
    lab.accept(newer)
    assert not is_obeyed(lab, older), "two orders are executed at once"


def one_yes_stands_behind_two_orders(tools: Tools) -> None:
    """Two people approved a plan once; the controller makes a second order of their words."""
    lab = tools.laboratory()
    approvals = lab.asked_and_answered(lab.plan(lab.inventory()), "alice", "bob")
    first, request = lab.by_hand(lambda plan: approvals)
    assert isinstance(lab.ask(request), Accepted)
    lab.run(first)
    _, request = lab.by_hand(lambda plan: approvals)
    assert not isinstance(lab.ask(request), Accepted), "an approval was used twice"


def an_order_says_that_its_customer_stays(tools: Tools) -> None:
    """Signed and logged, and its own basis says that the tenancy is active."""
    lab = tools.laboratory()
    basis = lab.order().basis.model_dump(mode="json")
    basis["answers"][0]["state"] = "active"
    assert not is_obeyed(lab, lab.order(basis=basis)), "an order without grounds was obeyed"


def digest_of_no_markers(evidence: Any) -> str:
    return markers_digest(nonce=bytes.fromhex(evidence.media[0].markers.nonce), markers=())


def slow_world(tools: Tools) -> World:
    """A clock that moves by waiting only."""
    time = tools.fake_time
    return World(clock=time.clock, now=lambda: datetime.now(UTC), pause=time.pause, random_bytes=urandom)


def a_failed_drive_lies(tools: Tools) -> None:
    """It could not be marked, says that it is sanitized, and its tenant's files still stand there."""
    lab = tools.laboratory(deallocates=False)
    lab.drives[0].set_faults([Fault.RESTRICTED_FAILURE, Fault.LIES])
    order = lab.accept()
    lab.run(order)
    claim = lab.claim(order, "SN-1")
    assert claim.result is not Result.ERASED, "a drive that still reads was certified"


def a_failed_drive_could_be_marked(tools: Tools) -> None:
    """Its log tells of a failure that was left long ago; it reads and writes, and lies."""
    lab = tools.laboratory(deallocates=False)
    lab.drives[0].set_faults([Fault.FAILURE_LEFT, Fault.LIES])
    order = lab.accept()
    lab.run(order)
    claim = lab.claim(order, "SN-1")
    assert claim.result is Result.NOT_ERASED, "a drive was not marked although it could be"


# --- what is taken out --------------------------------------------------------------------------------------


def without_token(rewrite: Any, patch: Any) -> None:
    patch.setattr(acceptance, "_require_fresh", lambda folder: None)


def without_boot_id(rewrite: Any, patch: Any) -> None:
    rewrite(delivery, "obey", "if order.boot_id != boot_id:", "if False:")
    rewrite(
        admission,
        "_require_boot",
        "if order.boot_id != boot.boot_id or order.plan.boot_id != boot.boot_id:",
        "if False:",
    )


def without_needs_ack(rewrite: Any, patch: Any) -> None:
    patch.setattr(Permit, "await_ack", lambda self, line: None)
    rewrite(Permit, "check", "if ack is None:", "if ack is None:\n        return\n    if False:")


def without_sixty_seconds(rewrite: Any, patch: Any) -> None:
    patch.setattr(permit, "ACK_LIFE_MS", 10**9)


def without_status_before(rewrite: Any, patch: Any) -> None:
    patch.setattr(sanitize, "_has_changed", lambda command: True)


def without_single_use(rewrite: Any, patch: Any) -> None:
    patch.setattr(acceptance, "_require_unused", lambda run, record: None)


def without_grounds(rewrite: Any, patch: Any) -> None:
    patch.setattr(delivery, "require_grounds", lambda order, decisions, operators: None)


def without_fence(rewrite: Any, patch: Any) -> None:
    patch.setattr(admission, "require_fence", lambda order, seen: None)


def without_single_execution(rewrite: Any, patch: Any) -> None:
    patch.setattr(run_directory, "_try_lock", lambda descriptor, how: True)
    patch.setattr(tokens, "unsettled", lambda run: None)


def without_a_look_at_the_unmarked(rewrite: Any, patch: Any) -> None:
    patch.setattr(markers, "read_unmarked", lambda blocks, place, content: MarkerReading.PSEUDORANDOM)


def without_refused_access(rewrite: Any, patch: Any) -> None:
    patch.setattr(markers, "is_readable", lambda blocks, place: False)


MUTANTS = (
    Mutant(
        rule="token",
        remove=without_token,
        story=an_order_is_handed_over_again,
        breaks="an order was obeyed twice",
    ),
    Mutant(
        rule="boot_id",
        remove=without_boot_id,
        story=an_order_names_the_boot_before,
        breaks="an order of another boot was obeyed",
    ),
    Mutant(
        rule="needs_ack",
        remove=without_needs_ack,
        story=nobody_acknowledges,
        breaks="a drive was written without an acknowledgement",
    ),
    Mutant(
        rule="the 60 s of an acknowledgement",
        remove=without_sixty_seconds,
        story=the_drive_is_slow_after_the_acknowledgement,
        breaks="an old acknowledgement was used",
    ),
    Mutant(
        rule="the drive's status before the start",
        remove=without_status_before,
        story=an_old_success_is_all_there_is,
        breaks="an old success was certified as ours",
    ),
    Mutant(
        rule="an approval is used once",
        remove=without_single_use,
        story=one_yes_stands_behind_two_orders,
        breaks="an approval was used twice",
    ),
    Mutant(
        rule="the grounds of an order",
        remove=without_grounds,
        story=an_order_says_that_its_customer_stays,
        breaks="an order without grounds was obeyed",
    ),
    Mutant(
        rule="what no erase leaves on an unmarked drive",
        remove=without_a_look_at_the_unmarked,
        story=a_failed_drive_lies,
        breaks="a drive that still reads was certified",
    ),
    Mutant(
        rule="only a drive that refuses access is begun unmarked",
        remove=without_refused_access,
        story=a_failed_drive_could_be_marked,
        breaks="a drive was not marked although it could be",
    ),
)
PAIR = (without_fence, without_single_execution)


@pytest.fixture
def tools(laboratory: Any, documents: Any, lab_module: Any) -> Tools:
    return Tools(laboratory=laboratory, documents=documents, fake_time=lab_module.FakeTime())


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_with_the_rule_the_promise_holds(mutant: Mutant, tools: Tools) -> None:
    mutant.story(tools)


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_without_the_rule_the_promise_breaks(
    mutant: Mutant, tools: Tools, rewrite: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant.remove(rewrite, monkeypatch)
    with pytest.raises(AssertionError, match=mutant.breaks):
        mutant.story(tools)


@pytest.mark.parametrize("removed", [(), *((one,) for one in PAIR)], ids=["none", "fence", "execution"])
def test_fence_or_single_execution_alone_keeps_two_orders_apart(
    removed: Any, tools: Tools, rewrite: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for remove in removed:
        remove(rewrite, monkeypatch)
    an_older_order_comes_late(tools)


def test_without_fence_and_single_execution_two_orders_run_at_once(
    tools: Tools, rewrite: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for remove in PAIR:
        remove(rewrite, monkeypatch)
    with pytest.raises(AssertionError, match="two orders are executed at once"):
        an_older_order_comes_late(tools)
