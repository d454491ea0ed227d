"""What a case that is closed still owes: an outcome for each medium of its last order, and a summary of the
host (decisions/0012).

Rules: it is owed about the newest order, of whichever attempt, that may have begun something; where none may
have, nothing was tried and nothing is owed. Nothing is owed, either, where the validation table that the
order names is not kept: nobody may judge by another, and a debt that cannot be paid would shut every way
out. The summary of a closing is for what was not erased: where every medium is erased and accepted, or was
destroyed, only certifying says so of the host. There is one summary a deprovision (decisions/0011).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sqlalchemy import Connection

from certificate import envelope as dsse
from certificate.errors import Refused
from certificate.identifiers import DeprovisionId
from certificate.statements import Order, Summary
from certificate.statements import statement as statements
from certificate.statements.vocabulary import WhatBecame
from controller.case import Case
from controller.certify import Departed
from controller.people import acceptance
from controller.program import Program
from controller.records import custody
from controller.store import evidence, journal, log_rows, orders, outcomes
from controller.store.orders import FinalAnswer, StoredOrder
from controller.store.outcomes import StoredSummary

#: What only a closing says of a medium that is still in its host.
UNERASED = frozenset({WhatBecame.NOT_ERASED, WhatBecame.INCONCLUSIVE})


def last_begun(tx: Connection, key: DeprovisionId) -> StoredOrder | None:
    """The newest order that was sent and may have begun something; None where none may have."""
    begun = [
        order
        for order in orders.of_deprovision(tx, key)
        if order.dispatched_at is not None
        and (order.answer is not FinalAnswer.ABSENT or journal.acknowledgements(tx, order.id))
    ]
    return begun[-1] if begun else None


def is_owed(tx: Connection, program: Program, case: Case) -> bool:
    """Whether a closing has something left to sign or to log."""
    order = last_begun(tx, case.id)
    if order is None or not _is_table_kept(program, order):
        return False
    media = planned(order)
    told = [outcomes.of_medium(tx, case.id, attempt=order.attempt, medium=medium) for medium in media]
    if not all(each is not None and _is_logged(tx, each.log_seq) for each in told):
        return True
    summary = outcomes.summary_of(tx, case.id)
    if summary is not None:
        return not _is_logged(tx, summary.log_seq)
    departed = custody.departed(tx, case.deprovision, besides=set())
    return is_unerased(media, accepted=accepted(tx, program, order), departed=departed)


def planned(order: StoredOrder) -> tuple[str, ...]:
    """Commitments of the media that the order names, in the plan's order."""
    plan = statements.read(dsse.read(order.envelope).payload, Order).predicate.plan
    return tuple(each.commitment for each in plan.media)


def accepted(tx: Connection, program: Program, order: StoredOrder) -> frozenset[str]:
    """The media of the order that are erased and accepted, as the store has it."""
    seen = evidence.of_order(tx, order.id)
    if seen is None:
        return frozenset()
    person = acceptance.standing(tx, program.documents.trust, seen.payload_digest, now=program.clock())
    return frozenset(
        verdict.medium
        for verdict in evidence.verdicts_of(tx, order.id)
        if acceptance.is_accepted(verdict.result, verdict.decision, person)
    )


def is_unerased(media: Iterable[str], *, accepted: Collection[str], departed: Iterable[Departed]) -> bool:
    """Whether any of the host's media is neither erased and accepted nor destroyed."""
    gone = {each.entry.commitment: each.entry.became for each in departed}
    in_order = set(media)
    tried = {medium for medium in in_order if gone.get(medium) is not WhatBecame.DESTROYED}
    left_open = {medium for medium, became in gone.items() if became is WhatBecame.OPEN_EXCEPTION}
    return bool(tried - set(accepted) or left_open - in_order)


def is_written_off(stored: StoredSummary | None) -> bool:
    """Whether a closing fixed the summary: it says of a medium in the host that it is not erased."""
    if stored is None:
        return False
    media = statements.read(stored.payload, Summary).predicate.media
    return any(each.became in UNERASED for each in media)


def _is_table_kept(program: Program, order: StoredOrder) -> bool:
    plan = statements.read(dsse.read(order.envelope).payload, Order).predicate.plan
    try:
        program.documents.table_named(plan.validation_digest)
    except Refused:
        return False
    return True


def _is_logged(tx: Connection, log_seq: int | None) -> bool:
    return log_seq is not None and log_rows.covering_checkpoint(tx, log_seq) is not None
