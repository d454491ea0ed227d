"""The ways out of `needs_operator`: commands of operators, and what must be so before they are carried out.

Rules this module holds (DESIGN, "One deprovision" and rule 4); it is pure:
- A command is of this very stay in `needs_operator`; an older one is void. Only `restore` outlives a change
  of state within its attempt. Enough different people signed it (`PEOPLE_TO_LEAVE`).
- First what was begun is finished on paper: an unsent order is withdrawn, outcomes that do not say `erased`
  are signed and logged.
- `close` and `destroy` end the case for good: first an outcome for each medium of the last order that may
  have begun something, and a summary of the host, are signed and logged (decisions/0012). Once their bytes
  are fixed, no evidence and no acceptance changes what they say, and only these two ways are left.
- No way out before the agent said `done` or a final `absent`, or 60 s plus drift after the last
  acknowledgement granted: until then it may still begin something.
- `reprobe` asks about an order that was dispatched, and issues nothing. `retry` begins a new attempt.
  `restore` is open only if no order of any attempt was dispatched, or each dispatched one was answered by a
  final `absent`. `destroy` and `close` leave the host out of service.
- One summary a deprovision (decisions/0011): `retry` is not open once its bytes are fixed. Where every medium
  is erased and accepted and no drive left or joined since, `reprobe` leads back to `validated` instead, where
  papers and bundles are looked at again before anything is released.
- A customer who came back since the deprovision was created is never wiped under it: `retry` is not open.
- While the store is frozen or older than its anchor nothing leads out.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import assert_never

from certificate.errors import Refused
from certificate.messages import TokenState
from controller.deadlines import ACKNOWLEDGEMENT_LIFE, DRIFT
from controller.decision import Decision, Move
from controller.errors import Code, NeedsApproval
from controller.facts import CommandFacts, Effect, Exit, Facts
from controller.guards import GUARDS_TO_CONCLUDE, failing
from controller.pace import refuse, wait
from controller.states import State
from controller.verdicts import accepted_by_a_person, objections
from controller.way_back import CALLED_BACK, give_back, has_returned, may_have_begun

#: Physical destruction is attested by two; whatever else leads out destroys nothing by itself. A batch is
#: reviewed by a second person whatever it commands; whoever takes it in holds that.
PEOPLE_TO_LEAVE: dict[Exit, int] = {
    Exit.REPROBE: 1,
    Exit.RETRY: 1,
    Exit.RESTORE: 1,
    Exit.DESTROY: 2,
    Exit.CLOSE: 1,
}


#: After these nobody comes back to the case, so what was begun is recorded before.
ENDS_FOR_GOOD = frozenset({Exit.DESTROY, Exit.CLOSE})


def out_of_needs_operator(facts: Facts, now: datetime) -> Decision:
    """Nothing moves by itself. What was begun is finished on paper, then a command is carried out."""
    is_alarm = has_returned(facts, now) or facts.came_back_at is not None
    if stopped := failing(GUARDS_TO_CONCLUDE, facts, now):
        if facts.command is None:
            return wait(facts, now, "waits for an operator's command", is_alarm=is_alarm)
        return refuse(facts, now, stopped)
    command = standing_command(facts)
    if (effect := unfinished_paper(facts)) is not None:
        return wait(facts, now, _waiting(command), effect=effect, is_alarm=is_alarm)
    if (validated := _validated(facts, command)) is not None:
        return validated
    if command is None:
        return wait(facts, now, _waiting(None), is_alarm=is_alarm)
    try:
        require_exit(facts, now, command)
    except Refused as refusal:
        reason = f"{command.exit} is commanded; {refusal.code.value}: {refusal.reason}"
        return wait(facts, now, reason, until=_settles_at(facts), is_alarm=is_alarm)
    if leaves_records(facts, now):
        return wait(facts, now, _waiting(command), effect=Effect.CERTIFY, is_alarm=is_alarm)
    return _carried_out(facts, now, command)


def leaves_records(facts: Facts, now: datetime) -> bool:
    """Whether the case ends now, and what was begun in it is to be recorded first. Asked again in the
    transaction that fixes the bytes.
    """
    command = standing_command(facts)
    is_with_a_person = facts.state is State.NEEDS_OPERATOR and not failing(GUARDS_TO_CONCLUDE, facts, now)
    if not is_with_a_person or command is None or command.exit not in ENDS_FOR_GOOD:
        return False
    if (
        not facts.owes_records
        or unfinished_paper(facts) is not None
        or _validated(facts, command) is not None
    ):
        return False
    try:
        require_exit(facts, now, command)
    except Refused:
        return False
    return True


def standing_command(facts: Facts) -> CommandFacts | None:
    """The command of this stay; None where the newest is older than it."""
    command = facts.command
    if command is None:
        return None
    return command if command.exit is Exit.RESTORE or command.commanded_at >= facts.entered_at else None


def unfinished_paper(facts: Facts) -> Effect | None:
    """What still has to be signed about what was begun."""
    order = facts.order
    if order is not None and order.dispatched_at is None and not order.is_withdrawn:
        return Effect.WITHDRAW_ORDER
    if facts.is_evidence_in and not facts.are_outcomes_logged:
        if facts.verdicts:
            return Effect.CERTIFY
        # Nothing may judge without the order's own table; waiting for it would shut every way out.
        return Effect.JUDGE if facts.is_table_kept else None
    return None


def _validated(facts: Facts, command: CommandFacts | None) -> Move | None:
    """By a person's acceptance, unless a command was given after it: the last word counts."""
    accepted = facts.acceptance
    if facts.is_written_off:
        return None
    if accepted is None or (command is not None and command.commanded_at >= accepted.accepted_at):
        return None
    return accepted_by_a_person(facts)


def require_exit(facts: Facts, now: datetime, command: CommandFacts) -> None:
    """Silent when the command may be carried out now. Raises Refused: EXIT_TOO_EARLY, EXIT_NOT_OPEN, or
    NeedsApproval(APPROVALS_REQUIRED).
    """
    needed = PEOPLE_TO_LEAVE[command.exit]
    if len(command.keyids) < needed:
        raise NeedsApproval(Code.APPROVALS_REQUIRED, f"{len(command.keyids)} of {needed} people")
    if not _is_settled(facts, now):
        raise Refused(Code.EXIT_TOO_EARLY, "the agent may still begin something under its last permission")
    if command.exit is Exit.RESTORE and may_have_begun(facts):
        raise Refused(Code.EXIT_NOT_OPEN, "an order was dispatched, and no final absent answered it")
    if command.exit is Exit.RETRY and facts.came_back_at is not None:
        raise Refused(Code.EXIT_NOT_OPEN, f"the customer came back, as we saw at {facts.came_back_at}")
    if command.exit is Exit.RETRY and facts.has_summary:
        raise Refused(Code.EXIT_NOT_OPEN, "the host's one summary is made; reprobe, or close and begin anew")
    if command.exit is Exit.REPROBE and not (_can_be_asked_about(facts) or _stands_accepted(facts)):
        raise Refused(
            Code.EXIT_NOT_OPEN,
            "no dispatched order's end is unknown, nor do accepted verdicts on the drives of now stand",
        )


def _carried_out(facts: Facts, now: datetime, command: CommandFacts) -> Decision:
    match command.exit:
        case Exit.REPROBE:
            to = State.VALIDATED if _stands_accepted(facts) else State.ERASING
        case Exit.RETRY:
            to = State.SCHEDULED
        case Exit.RESTORE:
            return give_back(facts, now, CALLED_BACK)
        case Exit.DESTROY:
            to = State.DESTROYED
        case Exit.CLOSE:
            to = State.CLOSED
        case _:
            assert_never(command.exit)
    return Move(
        to=to,
        reason=f"operators commanded {command.exit}",
        is_command=True,
        begins_attempt=command.exit is Exit.RETRY,
    )


def _is_settled(facts: Facts, now: datetime) -> bool:
    """The agent can begin nothing more under the order of this attempt."""
    order = facts.order
    if order is None or order.dispatched_at is None or order.is_absent_final or facts.is_evidence_in:
        return True
    settles_at = _settles_at(facts)
    return facts.token_state is TokenState.DONE or settles_at is None or now >= settles_at


def _settles_at(facts: Facts) -> datetime | None:
    if facts.last_acknowledged_at is None:
        return None
    return facts.last_acknowledged_at + ACKNOWLEDGEMENT_LIFE + DRIFT + timedelta(microseconds=1)


def _can_be_asked_about(facts: Facts) -> bool:
    order = facts.order
    is_open = order is not None and order.dispatched_at is not None and not order.is_absent_final
    return is_open and not facts.is_evidence_in and not facts.has_summary


def _stands_accepted(facts: Facts) -> bool:
    """What failed was only the papers or the way back into service. A drive that left takes the inventory
    with it, and one that joined the plan.
    """
    order = facts.order
    is_sent = order is not None and order.dispatched_at is not None and not order.is_absent_final
    is_same_set = facts.inventory is not None and facts.plan is not None and not facts.is_written_off
    return is_sent and facts.is_evidence_in and is_same_set and not objections(facts)


def _waiting(command: CommandFacts | None) -> str:
    if command is None:
        return "waits for an operator's command"
    return f"{command.exit} is commanded; first what was begun is finished on paper"
