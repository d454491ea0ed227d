"""Hand the order to the agent, with its proof, the table, and the salts that travel beside it. Once.

It follows the move to `erasing` and nothing else calls it. Whether the agent has it, the agent is asked: an
answer that did not come is not a reason to send again.
"""

from __future__ import annotations

from certificate import envelope as dsse
from certificate.errors import Refused
from certificate.messages import DeliveryLine, Execute, SaltedMedium
from certificate.statements import Order
from certificate.statements import statement as statements
from controller.case import Case
from controller.checkpointing import proof_of
from controller.dispatch.lease import Lease
from controller.errors import Code
from controller.people.travelling import with_order
from controller.program import Program
from controller.store import log_rows
from controller.store.orders import StoredOrder


def perform(program: Program, case: Case, *, lease: Lease) -> None:
    """Raises Refused (AgentRefused: the agent said no; LostRace: the lease is lost), Unreachable (nothing was
    sent) or Unanswered.
    """
    order, boot = case.order, case.boot
    if order is None or boot is None or boot.host_key_blob is None:
        raise Refused(Code.ORDER_MISSING, "there is nothing to dispatch")
    line = Execute(
        delivery=delivery_line(program, case),
        host_salt=case.known.salt.hex(),
        media_salts=tuple(
            SaltedMedium(commitment=drive.commitment, salt=drive.salt.hex()) for drive in case.known.drives
        ),
    )
    with program.route(case.host).open(host_key_blob=bytes.fromhex(boot.host_key_blob)) as channel:
        # A worker that slept since its commit must not send what its successor has given up (rule 4).
        lease.require_held()
        channel.ask(line)


def delivery_line(program: Program, case: Case) -> DeliveryLine:
    """The order with all that lets an agent obey it. Raises Refused(ORDER_NOT_LOGGED)."""
    if case.order is None:
        raise Refused(Code.ORDER_MISSING, "there is no order")
    proof = proof_of(program, case.order.log_seq)
    if proof is None:
        raise Refused(Code.ORDER_NOT_LOGGED, f"no checkpoint covers {case.order.id}")
    with program.store.snapshot() as tx:
        entry = log_rows.load_entry(tx, case.order.log_seq)
        people = with_order(tx, program.documents.trust, case.order)
    return DeliveryLine(
        order=case.order.envelope.decode(),
        log_entry=entry.entry.decode(),
        proof=tuple(node.hex() for node in proof.hashes),
        checkpoint=proof.checkpoint_note.decode(),
        validation=program.documents.table_named(_table_digest(case.order)).file.decode(),
        approvals=tuple(envelope.decode() for envelope in people.approvals),
        enrolments=tuple(envelope.decode() for envelope in people.enrolments),
        decisions=tuple(envelope.decode() for envelope in people.declarations),
    )


def _table_digest(order: StoredOrder) -> str:
    return statements.read(dsse.read(order.envelope).payload, Order).predicate.plan.validation_digest
