"""Taking over: the decisions by which a frozen store works again, by a process that holds the home alone.

Rules: `serve` does not know this act; the caller holds the home's lock and opened the database itself. A
first operator's decision is stored in the frozen store and touches no anchor. The second one's begins the
epoch, and only then is the anchor placed anew, whatever stood there; the act is answered after that, and
after the home's copies of what the store has logged are whole again (`copies`). Killed
in between, the store is still frozen, and two operators reconcile again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Connection

from certificate.errors import Refused
from certificate.log.checkpoint import Checkpoint
from certificate.statements.people import DecisionKind
from certificate.trust import TrustRoot
from controller import checkpointing, copies, published, reconciling
from controller.api.reconcile_documents import HeadShown, OrderStanding, StoreStanding
from controller.people import deciding
from controller.people.act import Act, Matter
from controller.people.acts.reconcile import Reconcile, matter_of, situation_of
from controller.people.deciding import DECISION_LIFE, Shown, Taken
from controller.people.roster import roster
from controller.program import Program
from controller.reconciling import Situation
from controller.store import decisions
from controller.store.anchor import AnchorKeeper
from controller.store.decisions import StoredDecision
from controller.store.head import read_head


def show(program: Program) -> Shown:
    """What is decided on. Raises Refused as `reconciling.require_reconcilable`."""
    return deciding.show(program, DecisionKind.RECONCILE, {}, acts=_acts(program))


def take(program: Program, envelope: bytes) -> Taken:
    """Stores one operator's decision; the second one's lets the store work again.

    Raises what `deciding.take` raises, and Refused: RECONCILE_TOO_EARLY, TIME_UNTRUSTED.
    """
    taken = deciding.take(program, DecisionKind.RECONCILE, {}, envelope, acts=_acts(program))
    if taken.done is not None:
        with program.store.snapshot() as tx:
            head = read_head(tx)
        program.keeper.place(head)
        checkpointing.sign_due(program)
        copies.write_missing(program)
    return taken


def _acts(program: Program) -> Mapping[DecisionKind, Act]:
    """The one act of this process. The home's own files are read here, outside any transaction."""
    folders = (program.certificates_folder, program.failures_folder)
    shown = published.largest_shown(folders, program.documents.trust)
    return {DecisionKind.RECONCILE: Reconcile(shown=shown)}


def standing(
    tx: Connection, keeper: AnchorKeeper, trust: TrustRoot, *, shown: Checkpoint | None, now: datetime
) -> StoreStanding:
    """How the store stands, and what stands in the way; nothing is changed."""
    situation = situation_of(tx, keeper, shown)
    refused, signed = _ways(tx, situation, trust, now)
    first_signed_at = min((each.received_at for each in signed), default=None)
    not_before = (
        None
        if first_signed_at is None
        else reconciling.not_before(situation, first_signed_at=first_signed_at).replace(microsecond=0)
    )
    return StoreStanding(
        standing=keeper.compare(tx).standing.value,
        because=None if situation.because is None else situation.because.value,
        here=HeadShown(**asdict(situation.here)),
        anchor=None if situation.anchor is None else HeadShown(**asdict(situation.anchor)),
        this_machine=situation.machine_id,
        orders=tuple(
            OrderStanding(
                order=each.order,
                host=each.host,
                was="dispatched" if each.was_dispatched else "intended",
                is_answered=each.is_answered,
                stands_until=each.stands_until.replace(microsecond=0),
            )
            for each in situation.orders
        ),
        refused=refused,
        signed=tuple(sorted({each.keyid for each in signed})),
        not_before=not_before,
    )


def _ways(
    tx: Connection, situation: Situation, trust: TrustRoot, now: datetime
) -> tuple[dict[str, str] | None, tuple[StoredDecision, ...]]:
    """Why it cannot be reconciled, or who signed so far that it should."""
    if situation.because is None:
        return None, ()
    try:
        matter = matter_of(situation)
    except Refused as refusal:
        return refusal.as_dict(), ()
    return None, _signed(tx, matter, trust, now)


def _signed(tx: Connection, matter: Matter, trust: TrustRoot, now: datetime) -> tuple[StoredDecision, ...]:
    found = decisions.unused(
        tx,
        matter.kind,
        on_digest=matter.on,
        choice=matter.choice,
        document_digest=matter.document_digest,
        issued_after=now - DECISION_LIFE,
    )
    counting = {key.keyid for key in roster(tx, trust, now=now).keys}
    return tuple(each for each in found if each.keyid in counting)
