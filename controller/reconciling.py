"""Reconciling: when a store that its anchor does not know may work again, and above which epoch. Pure.

A backup that was restored, a copy, a database beside a lost or damaged anchor: such a store is frozen
(DESIGN.md, rule 7) until two operators reconcile it. Rules this module holds:
 1. A store that its anchor knows is not reconciled, and neither is one beside another store's anchor: writing
    there would freeze that other store for ever.
 2. The public log goes on only from where strangers have seen it. Every entry that the anchor counts is under
    a checkpoint of ours here, or every event that the anchor knows is here; otherwise entries are lost that
    somebody may hold a proof of, and no number of people makes them again. The same where a certificate that
    this home handed out shows a larger log than this one, or another (`published`).
 3. Not before every order that may be out has lost its life: one that this store knows, unless its agent has
    answered finally, `STANDS_FOR` after it expires; one that it does not know, as if it had been made in the
    moment when the first operator signed that no other controller works with this store or a copy of it.
 4. The new epoch is above this store's, above the anchor's, and above every epoch that any copy can have
    reached by then: a reconciliation takes longer than a quarter of an hour (3), so that no copy began more
    epochs than quarters of an hour have passed since `FIRST_EPOCH_AT`.
 5. Where events are missing, or nobody can tell, a freeze stands afterwards: holds and revocations of that
    time are among what is missing, and people enter them again before anything moves.

KNOWN GAP: without an anchor nobody here knows how long the log was; people compare with the newest
certificate that anybody holds, and say so by signing.
Sources: DESIGN.md, rules 4 and 7; FORMATS.md, "Home" and "Order"; docs/decisions/0007-reconcile.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from certificate.errors import Refused
from certificate.identifiers import OrderId
from certificate.statements.order import MAX_VALID_FOR_SECONDS
from controller.deadlines import ACKNOWLEDGEMENT_LIFE, DRIFT
from controller.errors import Code
from controller.store.anchor import FrozenBecause
from controller.store.head import Head
from controller.store.identity import MAX_EPOCH

#: After an order expires its agent may still be within an acknowledgement, and its clock may differ.
STANDS_FOR = ACKNOWLEDGEMENT_LIFE + DRIFT
#: The longest that an order of any controller of ours can be obeyed, from the moment it was made.
ORDER_LIFE = timedelta(seconds=MAX_VALID_FOR_SECONDS) + STANDS_FOR
#: Below ORDER_LIFE, so that no store reconciles twice in one; 2^21 of them last until 2079.
QUARTER_HOUR = timedelta(minutes=15)
#: Before the first line of this program was written.
FIRST_EPOCH_AT = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class OrderOut:
    """An order that this store knows and whose deprovision is not over."""

    order: OrderId
    #: Asset tag.
    host: str
    #: Dispatched as far as this store knows; otherwise it will be withdrawn.
    was_dispatched: bool
    #: The agent said its last word.
    is_answered: bool
    expires_at: datetime

    @property
    def stands_until(self) -> datetime:
        """From here on no agent begins anything under it."""
        return self.expires_at + STANDS_FOR


@dataclass(frozen=True, kw_only=True)
class Situation:
    """How a store stands to its anchor, and what it knows to be out."""

    here: Head
    #: None where it is missing or damaged.
    anchor: Head | None
    #: None where the anchor knows this store.
    because: FrozenBecause | None
    #: The machine we run on.
    machine_id: str
    #: The newest event that the anchor knows stands in this ledger.
    has_every_event: bool
    #: Entries of the log under the newest checkpoint signed here.
    checkpoint_size: int
    #: SHA-256 root of that checkpoint, hexadecimal; None before the first.
    checkpoint_root: str | None
    #: Entries of the largest log that a certificate of this home shows; 0 where there is none.
    shown_size: int
    #: That log is the beginning of this one, as far as this one goes.
    is_shown_log_ours: bool
    newest_signed_at: datetime | None
    orders: tuple[OrderOut, ...]

    @property
    def leaves_a_freeze(self) -> bool:
        """Rule 5."""
        return not self.has_every_event


def require_reconcilable(situation: Situation) -> None:
    """Rules 1 and 2. Raises Refused: RECONCILE_NOT_NEEDED, RECONCILE_ANOTHER_STORE, RECONCILE_LOG_BEHIND,
    ANCHOR_INVALID for an epoch that no fence can hold.
    """
    anchor = situation.anchor
    if situation.because is None:
        raise Refused(Code.RECONCILE_NOT_NEEDED, "database and anchor agree")
    if situation.shown_size > situation.checkpoint_size or not situation.is_shown_log_ours:
        raise Refused(
            Code.RECONCILE_LOG_BEHIND,
            f"a certificate of this home shows a log of {situation.shown_size} entries that is not this one",
        )
    if anchor is None:
        return
    if anchor.store_id != situation.here.store_id:
        raise Refused(
            Code.RECONCILE_ANOTHER_STORE, f"the anchor is of store {anchor.store_id[:16]}, not of this one"
        )
    if not situation.has_every_event and situation.checkpoint_size < anchor.log_size:
        raise Refused(
            Code.RECONCILE_LOG_BEHIND,
            f"the log had {anchor.log_size} entries, and {situation.checkpoint_size} of them are signed here",
        )
    if not 0 <= anchor.epoch < MAX_EPOCH:
        raise Refused(Code.ANCHOR_INVALID, f"the anchor names the epoch {anchor.epoch}")


def not_before(situation: Situation, *, first_signed_at: datetime) -> datetime:
    """Rule 3: the instant from which the second operator's signature may complete it."""
    known = (each.stands_until for each in situation.orders if not each.is_answered)
    return max([first_signed_at + ORDER_LIFE, *known])


def require_time(situation: Situation, *, first_signed_at: datetime, now: datetime) -> None:
    """Raises Refused: RECONCILE_TOO_EARLY, TIME_UNTRUSTED where we signed at a later time than now."""
    signed_at = situation.newest_signed_at
    if signed_at is not None and now < signed_at:
        raise Refused(Code.TIME_UNTRUSTED, f"it is {now}, but we signed at {signed_at}")
    opens_at = not_before(situation, first_signed_at=first_signed_at)
    if now < opens_at:
        raise Refused(
            Code.RECONCILE_TOO_EARLY,
            f"an order may be obeyed until {opens_at:%Y-%m-%d %H:%M:%SZ}, and it is {now:%H:%M:%SZ}",
        )


def epoch_above(situation: Situation, now: datetime) -> int:
    """Rule 4: the new epoch is above this one."""
    reached = max(0, int((now - FIRST_EPOCH_AT) / QUARTER_HOUR))
    anchored = 0 if situation.anchor is None else situation.anchor.epoch
    return max(reached, anchored, situation.here.epoch)
