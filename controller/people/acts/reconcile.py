"""Reconcile: two operators let a restored or copied store work again.

Rules: `reconciling` says whether it may be decided at all and from when on; what is shown holds still while a
frozen store goes on observing, so that both sign the same. The act begins an epoch above every earlier one on
this machine, and leaves a freeze where events are missing. It is no act of a running `serve`: the caller
holds the home alone (`taking_over`), because work under way holds fences of the old epoch.

Orders that were intended are withdrawn by `serve` afterwards, signed and logged as any withdrawal: the guards
refuse to send an order of an earlier epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

from sqlalchemy import Connection

from certificate.errors import Refused
from certificate.log.checkpoint import Checkpoint
from certificate.statements.people import DecisionKind
from certificate.statements.statement import time_text
from controller import reconciling
from controller.guards import TWO_PEOPLE
from controller.people import asking
from controller.people.act import About, Matter, Signed
from controller.program import Program
from controller.reconciling import OrderOut, Situation
from controller.store import decisions, deprovisions, hosts, identity, ledger, log_rows, orders, stops
from controller.store.anchor import AnchorKeeper, FrozenBecause
from controller.store.head import Head, read_head
from controller.store.orders import OrderState, StoredOrder
from controller.store.stops import StopKind

#: What is missing is entered again the same day.
REVIEW_AFTER = timedelta(hours=24)
BECAUSE = {
    FrozenBecause.ANCHOR_MISSING: "there is no anchor",
    FrozenBecause.ANCHOR_DAMAGED: "the anchor is damaged",
    FrozenBecause.ANOTHER_STORE: "the anchor is another store's",
    FrozenBecause.ANOTHER_MACHINE: "the store was made or last reconciled on another machine",
    # One becomes the other while a frozen store goes on observing.
    FrozenBecause.STORE_BEHIND: "the store is older than its anchor",
    FrozenBecause.STORE_FORKED: "the store is older than its anchor",
}


@dataclass(frozen=True, kw_only=True)
class Reconcile:
    """About nothing but the store itself. `shown`: the largest log that this home's certificates show."""

    shown: Checkpoint | None

    kind: ClassVar[DecisionKind] = DecisionKind.RECONCILE

    def look(self, program: Program, about: About) -> None:
        return

    def matter(self, tx: Connection, program: Program, about: About) -> Matter:
        asking.fields(about, ())
        return matter_of(situation_of(tx, program.keeper, self.shown))

    def apply(
        self, tx: Connection, program: Program, about: About, matter: Matter, signed: tuple[Signed, ...]
    ) -> str:
        now, situation = program.clock(), situation_of(tx, program.keeper, self.shown)
        first_signed_at = min(decisions.load(tx, each.payload_digest).received_at for each in signed)
        reconciling.require_time(situation, first_signed_at=first_signed_at, now=now)
        began = identity.begin_epoch(
            tx,
            above=reconciling.epoch_above(situation, now),
            machine_id=situation.machine_id,
            now=now,
        )
        done = f"epoch {began.epoch} begins on this machine"
        if not situation.leaves_a_freeze:
            return done
        number = stops.begin(
            tx,
            kind=StopKind.FREEZE,
            author=signed[0].keyid,
            matter="reconciled without some of its events: enter holds, revocations and decisions again",
            review_at=now + REVIEW_AFTER,
            now=now,
        )
        return f"{done}; freeze {number} stands until two operators thaw it"


def situation_of(tx: Connection, keeper: AnchorKeeper, shown: Checkpoint | None) -> Situation:
    """How this store stands to its anchor as this transaction sees it."""
    anchor = _anchored(keeper)
    checkpoint = log_rows.latest_checkpoint(tx)
    return Situation(
        here=read_head(tx),
        anchor=anchor,
        because=keeper.compare(tx).because,
        machine_id=keeper.machine_id,
        has_every_event=anchor is not None and ledger.digest_at(tx, anchor.ledger_seq) == anchor.head,
        checkpoint_size=0 if checkpoint is None else checkpoint.size,
        checkpoint_root=None if checkpoint is None else checkpoint.root,
        shown_size=0 if shown is None else shown.size,
        is_shown_log_ours=shown is None or _is_ours(tx, shown),
        newest_signed_at=log_rows.newest_at(tx),
        orders=tuple(_order_out(tx, each) for each in orders.of_unfinished(tx)),
    )


def matter_of(situation: Situation) -> Matter:
    """What people are shown. Raises Refused as `reconciling.require_reconcilable`."""
    reconciling.require_reconcilable(situation)
    if situation.because is None:
        raise ValueError("a store that its anchor knows was found reconcilable")
    store_id = situation.here.store_id
    return Matter(
        kind=DecisionKind.RECONCILE,
        choice="go on here",
        facts={
            "because": BECAUSE[situation.because],
            "store": store_id,
            "epoch": situation.here.epoch,
            "machine_of_the_store": situation.here.machine_id,
            "this_machine": situation.machine_id,
            "anchor": _anchor_facts(situation.anchor),
            "every_event_of_the_anchor_is_here": "yes" if situation.has_every_event else "no",
            "log_entries_signed_here": situation.checkpoint_size,
            "log_root": situation.checkpoint_root or "none",
            "newest_signed": _instant_facts(situation),
            "orders": [_order_facts(each) for each in situation.orders],
        },
        consequences=_consequences(situation),
        people_needed=TWO_PEOPLE,
        words=f"reconcile {store_id[:8]}",
    )


def _consequences(situation: Situation) -> tuple[str, ...]:
    intended = sum(not each.was_dispatched for each in situation.orders)
    said = [
        "You say that no other controller works with this store or a copy of it, now or later.",
        "Fences rise above every earlier one; orders of an earlier epoch are neither sent nor acknowledged.",
        f"{intended} intended orders are withdrawn.",
    ]
    if situation.leaves_a_freeze:
        said.append(
            "What happened since this copy was made is not known here: orders, holds, revocations, approvals."
            " A freeze stands afterwards, until they are entered again and two operators thaw it."
        )
    if situation.anchor is None:
        said.append(
            f"You compared: no certificate or checkpoint that anybody holds is of a log with more than"
            f" {situation.checkpoint_size} entries."
        )
    return tuple(said)


def _anchor_facts(anchor: Head | None) -> Any:
    if anchor is None:
        return "not known"
    return {
        "epoch": anchor.epoch,
        "machine": anchor.machine_id,
        "events": anchor.ledger_seq,
        "newest_event": anchor.head,
        "log_entries": anchor.log_size,
    }


def _instant_facts(situation: Situation) -> str:
    signed_at = situation.newest_signed_at
    return "nothing" if signed_at is None else time_text(signed_at)


def _order_facts(each: OrderOut) -> dict[str, str]:
    """Without the agent's answer: it may come in while people sign."""
    return {
        "order": each.order,
        "host": each.host,
        "was": "dispatched" if each.was_dispatched else "intended",
        "may_act_until": time_text(each.stands_until),
    }


def _order_out(tx: Connection, stored: StoredOrder) -> OrderOut:
    deprovision = deprovisions.load(tx, stored.deprovision)
    return OrderOut(
        order=stored.id,
        host=hosts.load(tx, deprovision.host).asset_tag,
        was_dispatched=stored.dispatched_at is not None,
        is_answered=stored.state is OrderState.ANSWERED,
        expires_at=stored.expires_at,
    )


def _is_ours(tx: Connection, shown: Checkpoint) -> bool:
    return shown.size <= log_rows.size(tx) and log_rows.root(tx, tree_size=shown.size) == shown.root


def _anchored(keeper: AnchorKeeper) -> Head | None:
    try:
        return keeper.anchored()
    except Refused:
        return None
