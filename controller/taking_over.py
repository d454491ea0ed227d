"""Taking over: the decisions by which a frozen store works again, by a process that holds the home alone.

Rules: `serve` does not know this act; the caller holds the home's lock and opened the database itself. A
first operator's decision is stored in the frozen store and touches no anchor. The second one's begins the
epoch, and only then is the anchor placed anew, whatever stood there; the act is answered after that. Killed
in between, the store is still frozen, and two operators reconcile again.
"""

from __future__ import annotations

from collections.abc import Mapping

from certificate.statements.people import DecisionKind
from controller import checkpointing
from controller.people import deciding
from controller.people.act import Act
from controller.people.acts.reconcile import Reconcile
from controller.people.deciding import Shown, Taken
from controller.program import Program
from controller.store.head import read_head

ACTS: Mapping[DecisionKind, Act] = {DecisionKind.RECONCILE: Reconcile()}


def show(program: Program) -> Shown:
    """What is decided on. Raises Refused as `reconciling.require_reconcilable`."""
    return deciding.show(program, DecisionKind.RECONCILE, {}, acts=ACTS)


def take(program: Program, envelope: bytes) -> Taken:
    """Stores one operator's decision; the second one's lets the store work again.

    Raises what `deciding.take` raises, and Refused: RECONCILE_TOO_EARLY, TIME_UNTRUSTED.
    """
    taken = deciding.take(program, DecisionKind.RECONCILE, {}, envelope, acts=ACTS)
    if taken.done is not None:
        with program.store.snapshot() as tx:
            head = read_head(tx)
        program.keeper.place(head)
        checkpointing.sign_due(program)
    return taken
