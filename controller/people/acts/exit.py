"""`exit`: operators command what becomes of a deprovision that needs them, or call a host back.

Rules this module holds:
- About one host, one deprovision, or a group as `expunge attention` showed it. A group is named by the digest
  of its members, so that who joined or left it since makes the matter another one (MATTER_CHANGED).
- What people sign lists every deprovision with its state, its reason, what the agent last said of the order,
  the steps acknowledged and the verdicts: where any of it changes, they are asked again.
- A way that is closed for one member is closed for the batch; one that is only too early is taken, and
  carried out when it is time (`exits`).
- A batch is reviewed: two people, whatever it commands.
- `restore` sets a hold on the host as well, so that the same end does not take it again.
- `destroy` names the destruction record by its digest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

from sqlalchemy import Connection

from certificate.errors import Refused
from certificate.identifiers import DeprovisionId
from certificate.statements.people import DecisionKind
from controller import case as cases
from controller import waiting
from controller.attention import Stuck
from controller.case import Case
from controller.errors import Code
from controller.exits import PEOPLE_TO_LEAVE
from controller.facts import Exit, Question
from controller.people import asking
from controller.people.act import About, Matter, Signed
from controller.program import Program
from controller.states import State
from controller.store import commands, deprovisions, evidence, journal, observations, stops
from controller.store.orders import StoredOrder
from controller.store.stops import Scope, ScopeKind, StopKind

#: A batch is read by a second person, who sees what the first had before the eyes for too long.
PEOPLE_FOR_A_BATCH = 2
#: More than a rack holds; a longer list is not read by anybody.
MAX_BATCH = 100
#: How long the hold of a host that was called back stands before somebody must look at it again.
REVIEW_AFTER = timedelta(days=7)

CONSEQUENCES: dict[Exit, tuple[str, ...]] = {
    Exit.REPROBE: (
        "Agent and drives are asked once more what became of the order; nothing is issued.",
        "Where every medium is erased and accepted, signing and the way back into service go on.",
    ),
    Exit.RETRY: (
        "A new attempt begins: the source is asked again, plan, approvals and token are new.",
        "What the last attempt destroyed stays destroyed.",
    ),
    Exit.RESTORE: (
        "The quarantine is undone and the host goes back to whom it was taken from.",
        "A hold is set on the host at once; two operators release it.",
    ),
    Exit.DESTROY: (
        "The signers attest that every medium of the host was destroyed as the document says.",
        "The host never comes back into service.",
    ),
    Exit.CLOSE: (
        "The case is over and the host is kept out of service.",
        "What an order may have begun, and what nobody accepted, is recorded as not erased, for good.",
    ),
}


@dataclass(frozen=True, kw_only=True)
class _Item:
    """One deprovision of the matter."""

    case: Case
    stuck: Stuck


class Leave:
    """See the module. `about`: exit, and one of host, deprovisions (ids joined by commas) and group."""

    kind: ClassVar[DecisionKind] = DecisionKind.EXIT

    def look(self, program: Program, about: About) -> None:
        """Asks nothing: what the agent says is asked by `reprobe`, and by `decide` at its own pace."""

    def matter(self, tx: Connection, program: Program, about: About) -> Matter:
        """Raises Refused: DECISION_MISMATCH, NOT_IN_STORE, MATTER_CHANGED, EXIT_NOT_OPEN or
        DOCUMENT_MISSING.
        """
        exit, items = _exit(about), _items(tx, program, about)
        for item in items:
            _require_not_closed(item.stuck, exit)
        is_batch = len(items) > 1
        return Matter(
            kind=self.kind,
            choice=exit.value,
            facts={"deprovisions": [_facts(tx, item) for item in items]},
            consequences=CONSEQUENCES[exit],
            people_needed=PEOPLE_FOR_A_BATCH if is_batch else PEOPLE_TO_LEAVE[exit],
            words=_words(exit, items),
            document_digest=_document(exit, about),
        )

    def apply(
        self, tx: Connection, program: Program, about: About, matter: Matter, signed: tuple[Signed, ...]
    ) -> str:
        """Stores one command for each deprovision and wakes it; `decide` carries it out."""
        exit, now = _exit(about), program.clock()
        items = _items(tx, program, about)
        for item in items:
            commands.give(tx, item.case.id, exit=exit, signed=signed, now=now)
            if exit is Exit.RESTORE:
                _hold(tx, item.case, signed[0], now)
            deprovisions.wake(tx, item.case.id, now=now)
        hosts = ", ".join(item.stuck.host for item in items)
        return f"{exit.value} is commanded for {hosts}; expunge show tells what becomes of it"


def _exit(about: About) -> Exit:
    try:
        return Exit(about.get("exit", ""))
    except ValueError:
        raise Refused(Code.DECISION_MISMATCH, f"{about.get('exit')!r} is no way out") from None


def _items(tx: Connection, program: Program, about: About) -> tuple[_Item, ...]:
    """Never empty, and each deprovision once."""
    now, found = program.clock(), [cases.load(tx, key) for key in _named(tx, program, about)]
    return tuple(_Item(case=case, stuck=waiting.stuck(tx, program, case, now=now)) for case in found)


def _named(tx: Connection, program: Program, about: About) -> tuple[DeprovisionId, ...]:
    match sorted(set(about) & {"host", "deprovisions", "group"}):
        case ["host"]:
            host = asking.host(tx, about["host"])
            live = deprovisions.live_of_host(tx, host.id)
            if live is None:
                raise Refused(Code.NOT_IN_STORE, f"{host.asset_tag} has no live deprovision")
            return (live.id,)
        case ["deprovisions"]:
            return _parsed(about["deprovisions"])
        case ["group"]:
            for group in waiting.groups(tx, program):
                if group.digest == about["group"]:
                    return _bounded(tuple(each.deprovision for each in group.members))
            raise Refused(Code.MATTER_CHANGED, "no group has this digest (any more)")
        case named:
            raise Refused(
                Code.DECISION_MISMATCH, f"one of host, deprovisions and group is named, not {named}"
            )


def _parsed(text: str) -> tuple[DeprovisionId, ...]:
    keys = tuple(DeprovisionId.parse(part) for part in text.split(",", MAX_BATCH))
    if len(set(keys)) != len(keys):
        raise Refused(Code.DECISION_MISMATCH, "one deprovision is named twice")
    return _bounded(keys)


def _bounded(keys: tuple[DeprovisionId, ...]) -> tuple[DeprovisionId, ...]:
    if len(keys) > MAX_BATCH:
        raise Refused(Code.DECISION_MISMATCH, f"a batch holds {MAX_BATCH} deprovisions at most")
    return keys


def _require_not_closed(stuck: Stuck, exit: Exit) -> None:
    for way in stuck.ways:
        if way.exit is exit and way.closed is not None and way.closed.code is not Code.EXIT_TOO_EARLY:
            raise Refused(way.closed.code, f"{stuck.host}: {way.closed.reason}")


def _document(exit: Exit, about: About) -> str | None:
    digest = about.get("document_digest")
    if exit is not Exit.DESTROY:
        if digest is not None:
            raise Refused(Code.DECISION_MISMATCH, f"no document belongs to {exit.value}")
        return None
    if digest is None or not re.fullmatch("[0-9a-f]{64}", digest):
        raise Refused(Code.DOCUMENT_MISSING, "the destruction record is not named by its digest")
    return digest


def _words(exit: Exit, items: tuple[_Item, ...]) -> str:
    """Nothing for what gives a host back or only asks; a batch is typed with its size."""
    if len(items) > 1:
        return f"{exit.value} {len(items)} hosts"
    return "" if exit in {Exit.REPROBE, Exit.RESTORE} else items[0].stuck.host


def _hold(tx: Connection, case: Case, author: Signed, now: datetime) -> None:
    """Where the host has a hold of its own already, that one keeps it."""
    if any(stop.scope.host == case.host.id for stop in stops.standing(tx, case.host.id)):
        return
    stops.begin(
        tx,
        kind=StopKind.HOLD,
        scope=Scope(kind=ScopeKind.HOST, host=case.host.id),
        author=author.keyid,
        matter=author.reason,
        review_at=now + REVIEW_AFTER,
        now=now,
    )


def _facts(tx: Connection, item: _Item) -> Mapping[str, Any]:
    """What is so of one deprovision, without anything that changes by itself. Of one on its ordinary way only
    that: a host is called back in one command, while it moves.
    """
    row, order = item.case.deprovision, item.case.order
    facts: dict[str, Any] = {
        "deprovision": str(row.id),
        "host": item.stuck.host,
        "site": item.stuck.site,
        "rack": item.stuck.rack,
        "attempt": row.attempt,
    }
    if row.state is not State.NEEDS_OPERATOR:
        return facts | {"state": "on its way"}
    return facts | {
        "state": row.state.value,
        "since": row.entered_at.isoformat(),
        "code": row.operator_code or "none",
        "reason": row.operator_reason or "none",
        "order": "none" if order is None else _order_facts(tx, order),
    }


def _order_facts(tx: Connection, order: StoredOrder) -> Mapping[str, Any]:
    return {
        "order": str(order.id),
        "became": order.state.value,
        "agent_said_last": _last_word(tx, order),
        "acknowledged": [granted.step for granted in journal.acknowledgements(tx, order.id)],
        "verdicts": [
            f"{each.medium}: {each.result.value}, {each.decision.value}"
            for each in evidence.verdicts_of(tx, order.id)
        ],
    }


def _last_word(tx: Connection, order: StoredOrder) -> str:
    asked = (
        observations.latest(tx, question, order.id)
        for question in (Question.AGENT_STATUS, Question.FINAL_ABSENCE)
    )
    answered = [latest.answered for latest in asked if latest is not None and latest.answered is not None]
    newest = max(answered, key=lambda one: one.sequence, default=None)
    return "none" if newest is None else newest.answer or "none"
