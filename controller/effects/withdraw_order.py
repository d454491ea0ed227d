"""Take an order back that was not dispatched: a signed, logged withdrawal."""

from __future__ import annotations

from certificate import envelope as dsse
from certificate.errors import Refused
from certificate.statements import Order
from controller import checkpointing
from controller.case import Case
from controller.errors import Code
from controller.order import Signing, make_withdrawal
from controller.program import Program
from controller.store import orders


def perform(program: Program, case: Case) -> None:
    """Raises LostRace when the order was dispatched or withdrawn meanwhile."""
    stored = case.order
    if stored is None:
        raise Refused(Code.ORDER_MISSING, "there is nothing to withdraw")
    statement, digest = program.documents.trust.open_statement(stored.envelope, Order, seq=stored.log_seq)
    withdrawal = make_withdrawal(
        order=statement.predicate,
        order_digest=digest,
        order_seq=stored.log_seq,
        reason=Code.ORDER_STALE,
        signing=Signing(
            signer=program.keyring.order.public.keyid,
            purpose=program.documents.trust.purpose,
            nonce=program.nonce(),
            issued_at=program.whole_second(),
        ),
    )
    envelope = dsse.sign(withdrawal.payload(), program.keyring.order)
    with program.store.transaction() as tx:
        orders.withdraw(tx, stored.id, envelope=envelope, reason=Code.ORDER_STALE, now=program.clock())
    checkpointing.sign_due(program)
