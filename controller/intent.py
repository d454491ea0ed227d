"""From *approved* to *intended*: the order is built from what was answered, signed outside, and stored with
its log entry.

Rules (DESIGN.md, rules 2 to 4): the fence is taken first, in a transaction of its own, and is spent even if
nobody uses it; the order is signed outside any transaction; the transaction that stores it decides again and
builds the basis again, and if either came out otherwise nothing is stored (LostRace: look again); it looks
again, too, whether the validation table is the newest that the store knows. "Logged" is a checkpoint, signed
after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from certificate import envelope as dsse
from certificate.errors import Refused
from certificate.identifiers import DeprovisionId, OrderId
from certificate.statements import Plan
from certificate.statements.order import Anchor, Basis, Order
from certificate.statements.statement import Statement, read_model
from certificate.statements.validation import DataClassRule
from controller import case as cases
from controller import checkpointing, knowledge, tables
from controller.basis import basis_of
from controller.case import Case
from controller.errors import Code, LostRace
from controller.facts import Question
from controller.lifecycle import Move, decide
from controller.order import VALID_FOR_SECONDS, BootNamed, Signing, make_order
from controller.program import NONCE_BYTES, Program
from controller.states import State
from controller.store import deprovisions, identity, ledger, log_rows, observations, orders


@dataclass(frozen=True, kw_only=True)
class _Ground:
    """What an order rests on, as one transaction saw it."""

    case: Case
    plan: Plan
    rule: DataClassRule
    basis: Basis
    hello_nonce: str
    hello_asked_at: datetime
    anchor: Anchor

    def says_the_same_as(self, other: _Ground) -> bool:
        """Whether an order built on either would be the same; the log may have grown in between."""
        mine = (self.plan, self.rule, self.basis, self.hello_nonce, self.case.boot, self.case.known)
        theirs = (other.plan, other.rule, other.basis, other.hello_nonce, other.case.boot, other.case.known)
        return mine == theirs


def intend(program: Program, key: DeprovisionId, *, fence: int) -> None:
    """Signs and stores the order and moves to `intended`. Raises LostRace when somebody moved first."""
    with program.store.transaction() as tx:
        order_fence = identity.next_fence(tx)
    with program.store.snapshot() as tx:
        seq, head = ledger.head(tx)
        ground = _ground(tx, program, key, ledger_seq=seq, ledger_head=head)
    statement = _order(program, ground, fence=order_fence)
    envelope = dsse.sign(statement.payload(), program.keyring.order)
    with program.store.transaction() as tx:
        now = program.clock()
        again = _ground(tx, program, key, ledger_seq=seq, ledger_head=head)
        if not again.says_the_same_as(ground):
            raise LostRace(key, State.APPROVED, fence)
        order = statement.predicate
        orders.intend(
            tx,
            orders.NewOrder(
                id=order.order,
                deprovision=key,
                attempt=order.attempt,
                token=order.token,
                fence=order.fence,
                plan_digest=order.plan_digest,
                boot_id=order.boot_id,
                hello_nonce=order.hello_nonce,
                expires_at=ground.hello_asked_at + timedelta(seconds=VALID_FOR_SECONDS),
            ),
            envelope=envelope,
            now=now,
        )
        move = deprovisions.Move(new=State.INTENDED, next_due_at=now)
        deprovisions.move(tx, key, old=State.APPROVED, fence=fence, move=move, now=now)
    checkpointing.sign_due(program)


def _ground(
    tx: Connection, program: Program, key: DeprovisionId, *, ledger_seq: int, ledger_head: str
) -> _Ground:
    """Raises LostRace where `decide` no longer says *intend*, Refused(TABLE_SUPERSEDED)."""
    tables.require_newest(tx, program.documents.present_table)
    now = program.clock()
    case = cases.load(tx, key)
    decision = decide(knowledge.facts_of(tx, program, case, now=now), now)
    if not isinstance(decision, Move) or decision.to is not State.INTENDED or case.plan is None:
        raise LostRace(key, State.APPROVED, case.deprovision.fence)
    hello = observations.latest(tx, Question.ORDER_HELLO, key)
    if hello is None or hello.asked.detail is None:
        raise Refused(Code.AGENT_SILENT, "no hello for this order")
    plan = read_model(case.plan.text, Plan, what="plan")
    return _Ground(
        case=case,
        plan=plan,
        rule=_rule(program, plan),
        basis=basis_of(tx, program, case, now=now, ledger_seq=ledger_seq, ledger_head=ledger_head),
        hello_nonce=str(hello.asked.detail["hello_nonce"]),
        hello_asked_at=hello.asked.asked_at,
        anchor=anchor(tx, program),
    )


def _rule(program: Program, plan: Plan) -> DataClassRule:
    """Of the very table that the plan names. Raises Refused: TABLE_NOT_KEPT, NO_VALIDATION_RULE."""
    rule = program.documents.table_named(plan.validation_digest).table.rule(plan.data_class)
    if rule is None:
        raise Refused(Code.NO_VALIDATION_RULE, f"no rule for {plan.data_class!r}")
    return rule


def anchor(tx: Connection, program: Program) -> Anchor:
    """The newest checkpoint of our log: what is signed now was made after it."""
    newest = log_rows.latest_checkpoint(tx)
    if newest is None:
        raise Refused(Code.ORDER_NOT_LOGGED, "the log has no checkpoint yet")
    return Anchor(origin=program.documents.trust.log.origin, size=newest.size, root=newest.root)


def _order(program: Program, ground: _Ground, *, fence: int) -> Statement[Order]:
    boot = ground.case.boot
    if boot is None or boot.boot_id is None:
        raise Refused(Code.BOOT_UNPROVEN, "no boot of this deprovision is proven")
    return make_order(
        order=OrderId.from_random(program.random_bytes(NONCE_BYTES)),
        attempt=ground.case.deprovision.attempt,
        trigger=ground.case.deprovision.trigger,
        token=program.nonce(),
        fence=fence,
        boot=BootNamed(
            boot_id=boot.boot_id,
            boot_trust=boot.boot_trust,
            config_digest=boot.config_digest,
            hello_nonce=ground.hello_nonce,
        ),
        host=ground.case.known.named(),
        plan=ground.plan,
        rule=ground.rule,
        basis=ground.basis,
        anchor=ground.anchor,
        signing=Signing(
            signer=program.keyring.order.public.keyid,
            purpose=program.documents.trust.purpose,
            nonce=program.nonce(),
            issued_at=program.whole_second(),
        ),
        version=program.version,
    )
