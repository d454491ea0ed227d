"""Make the plan of the present boot's inventory and keep it. The same inventory gives the same plan."""

from __future__ import annotations

from certificate.errors import Refused
from certificate.messages import InventoryAnswer, read_answer
from controller import tables
from controller.case import Case
from controller.errors import Code
from controller.plan import make_plan
from controller.program import Program
from controller.store import plans
from controller.store.boots import StoredInventory


def inventory_line(stored: StoredInventory) -> InventoryAnswer:
    """The agent's answer as it came. Raises Malformed."""
    answer = read_answer(stored.line)
    if not isinstance(answer, InventoryAnswer):
        raise Refused(Code.INVENTORY_MISSING, "what is stored is not an inventory")
    return answer


def perform(program: Program, case: Case) -> None:
    """Raises Refused: INVENTORY_MISSING, TABLE_SUPERSEDED, or why no plan can be made."""
    stored = case.proven_inventory
    if stored is None:
        raise Refused(Code.INVENTORY_MISSING, "the present boot has shown no inventory")
    own = case.own_tenancy
    plan = make_plan(
        deprovision=case.id,
        tenancy_ref="not_applicable" if own is None else own.tenancy_ref,
        host=case.known,
        inventory=inventory_line(stored),
        table=program.documents.table,
        table_digest=program.documents.table_digest,
        policy_digest=case.deprovision.policy_digest,
    )
    with program.store.transaction() as tx:
        tables.require_newest(tx, program.documents.present_table)
        plans.record(
            tx,
            case.id,
            attempt=case.deprovision.attempt,
            text=plan.canonical(),
            boot_id=plan.boot_id,
            now=program.clock(),
        )
