"""Grounds: why the customer is gone and why we may, as the order's own basis tells it.

Rules; `delivery.obey` asks for them after the approvals, on an order that is known to be signed and logged:
 1. Nothing in the basis says no: no freeze, no hold.
 2. The list of the host's tenancies is complete by the source's own word, and as long as the basis has
    answers; no tenancy is answered for twice.
 3. A host that is let (`rented`): there is at least one answer, each says `ended`, one of them is of the very
    tenancy that the plan is about, and no decision comes along, because people cannot end a tenancy.
 4. A host that was never let (`stock`, `internal`): it is wiped by hand only, its plan is about no tenancy,
    its list is empty, and at least two different operators declared exactly this disposition of exactly this
    host, in force when the order was issued. The decisions that the basis names are those that came along,
    and one person stands behind each.

A declaration names its host as `document_digest`, the host's commitment, so that it serves no other; `on` is
what people were shown, and the same for all who signed.

KNOWN GAP: this is consistency, not freshness. An agent has no clock to compare `asked_at` with and cannot ask
the source: that the answers were new, and true, the controller's guards hold, and the order says by digest
what they rested on. A controller that lies is bounded by the log, and by hand by two people.
Sources: DESIGN.md, "One deprovision" and rule 2; FORMATS.md, "Order".
"""

from __future__ import annotations

from collections.abc import Sequence

from certificate.errors import Code, Malformed, Untrusted
from certificate.operators import Operators
from certificate.statements import Decision, Order, Seen
from certificate.statements.people import DecisionKind
from certificate.statements.vocabulary import Trigger

#: DESIGN.md: two operators declare that a host was never let.
DECLARED_BY = 2
#: Everybody of a night shift may have declared the same; stops work without end.
MAX_DECISIONS = 16


def require_grounds(order: Order, decisions: Sequence[bytes], operators: Operators) -> None:
    """Silent when the basis bears the order. `decisions`: envelopes; `operators`: who counts at `issued_at`.

    Raises Malformed (LIMIT_EXCEEDED, the codes of `envelope.read`) or Untrusted: BASIS_INSUFFICIENT,
    DECISIONS_MISSING, KEY_UNTRUSTED, SIGNATURE_INVALID, PURPOSE_MISMATCH.
    """
    if len(decisions) > MAX_DECISIONS:
        raise Malformed(Code.LIMIT_EXCEEDED, f"{len(decisions)} decisions")
    _require_nothing_says_no(order)
    _require_whole_list(order)
    if order.basis.disposition == "rented":
        _require_ended(order)
        if decisions or order.basis.decisions:
            raise Untrusted(Code.BASIS_INSUFFICIENT, "people decided where only the source can say `ended`")
        return
    _require_never_let(order)
    _require_declared(order, decisions, operators)


def _require_nothing_says_no(order: Order) -> None:
    """Rule 1."""
    for name, seen in (("freeze", order.basis.is_frozen), ("hold", order.basis.holds)):
        if seen is not Seen.NO:
            raise Untrusted(Code.BASIS_INSUFFICIENT, f"the basis does not say that there was no {name}")


def _require_whole_list(order: Order) -> None:
    """Rule 2."""
    tenancies, answers = order.basis.tenancies, order.basis.answers
    if tenancies.is_complete is not Seen.YES:
        raise Untrusted(Code.BASIS_INSUFFICIENT, "the source did not vouch that its list is complete")
    if tenancies.count != len(answers):
        raise Untrusted(
            Code.BASIS_INSUFFICIENT, f"{len(answers)} answers for {tenancies.count} tenancies of the host"
        )
    if len({answer.tenancy_ref for answer in answers}) != len(answers):
        raise Untrusted(Code.BASIS_INSUFFICIENT, "one tenancy is answered for twice")


def _require_ended(order: Order) -> None:
    """Rule 3."""
    answers = order.basis.answers
    if not answers:
        raise Untrusted(Code.BASIS_INSUFFICIENT, "a host that is let, and no answer about any tenancy")
    remaining = [answer.state for answer in answers if answer.state != "ended"]
    if remaining:
        raise Untrusted(Code.BASIS_INSUFFICIENT, f"a tenancy of the host is {remaining[0]}")
    if order.plan.tenancy_ref not in {answer.tenancy_ref for answer in answers}:
        raise Untrusted(Code.BASIS_INSUFFICIENT, "no answer is about the tenancy of the plan")


def _require_never_let(order: Order) -> None:
    """Rule 4, what the basis says itself."""
    disposition = order.basis.disposition
    if order.trigger is not Trigger.MANUAL:
        raise Untrusted(Code.BASIS_INSUFFICIENT, f"no tenancy of a host in {disposition} can have ended")
    if order.plan.tenancy_ref != "not_applicable":
        raise Untrusted(Code.BASIS_INSUFFICIENT, f"a plan about a tenancy of a host in {disposition}")
    if order.basis.answers:
        raise Untrusted(Code.BASIS_INSUFFICIENT, f"a host in {disposition} is or was let")


def _require_declared(order: Order, decisions: Sequence[bytes], operators: Operators) -> None:
    """Rule 4, what people signed."""
    opened = [operators.open_statement(data, Decision) for data in decisions]
    named = sorted((reference.digest, reference.keyid) for reference in order.basis.decisions)
    if named != sorted((digest, statement.predicate.operator) for statement, digest in opened):
        raise Untrusted(Code.DECISIONS_MISSING, "other decisions came than those the order was based on")
    declared = [statement.predicate for statement, _ in opened]
    for decision in declared:
        _require_declares(decision, order)
    people = {decision.operator for decision in declared}
    if len(people) != len(declared):
        raise Untrusted(Code.DECISIONS_MISSING, "one person stands behind two of the decisions")
    if len(people) < DECLARED_BY:
        raise Untrusted(
            Code.DECISIONS_MISSING,
            f"{len(people)} of {DECLARED_BY} operators declared the host {order.basis.disposition}",
        )
    if len({decision.on for decision in declared}) != 1:
        raise Untrusted(Code.DECISIONS_MISSING, "the operators did not decide on the same matter")


def _require_declares(decision: Decision, order: Order) -> None:
    """Exactly this disposition of exactly this host, in force by then."""
    disposition = order.basis.disposition
    if decision.kind is not DecisionKind.DISPOSITION or decision.choice != disposition:
        raise Untrusted(
            Code.DECISIONS_MISSING,
            f"{decision.operator} decided {decision.kind.value} {decision.choice}, not {disposition}",
        )
    if decision.document_digest != order.host.commitment:
        raise Untrusted(Code.DECISIONS_MISSING, f"what {decision.operator} declared is another host")
    if max(decision.issued_at, decision.effective_at) > order.issued_at:
        raise Untrusted(Code.DECISIONS_MISSING, f"the declaration of {decision.operator} came later")
