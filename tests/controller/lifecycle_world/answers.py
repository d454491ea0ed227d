"""What the world says when it is asked: the truth of this instant, or silence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from certificate.messages import TokenState
from certificate.statements.statement import Seen
from controller.facts import Answer, Question

if TYPE_CHECKING:
    from expunge_lifecycle_world.stored import Asked
    from expunge_lifecycle_world.world import World


def reply(world: World, row: Asked) -> dict[str, Any] | None:
    """What the world says to a question now; None where it stays silent."""
    match row.question:
        case Question.SUBSCRIPTION:
            if world.source.is_down or row.about not in world.source.says:
                return {"answer": Answer.UNKNOWN, "changed_at": None}
            answer, changed_at = world.source.says[row.about]
            return {"answer": answer, "changed_at": changed_at}
        case Question.TENANCIES:
            is_complete = Seen.NO if world.source.is_down else Seen.YES
            return {"is_complete": is_complete, "names": world.source.listed}
        case Question.CLOCK:
            return {"difference_seconds": (world.wall - world.true).total_seconds()}
        case Question.ISOLATION:
            return {"tenant_side_cut": Seen.that(world.machine.is_cut), "our_side_reachable": Seen.YES}
        case Question.ORDER_HELLO:
            return None if world.machine.boot_id is None else {"boot_id": world.machine.boot_id}
        case Question.AGENT_STATUS | Question.FINAL_ABSENCE:
            return _status(world, row.question)


def _status(world: World, question: Question) -> dict[str, Any] | None:
    order = world.stored.order
    if order is None or world.machine.boot_id is None:
        return None
    if order.boot_id != world.machine.boot_id:
        return {"token": order.token, "state": TokenState.UNKNOWN}
    state = world.machine.status(order.token, is_final=question is Question.FINAL_ABSENCE)
    return {"token": order.token, "state": state}
