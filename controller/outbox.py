"""The outbox: opens what an ending needs told, tries what is due, records what came of it.

Rules: every deprovision that can still be wiped has its notices opened, whoever scheduled it; a try is
committed before it is made; each fails or succeeds by itself, and one that failed waits its own pause; under
a standing waiver each notice is recorded as waived by this policy, and a host that was never let as having
nobody to tell. With neither command nor waiver notices stay open, and no order is made.
"""

from __future__ import annotations

import hashlib
from datetime import datetime

import structlog
from sqlalchemy import Connection

from certificate.errors import RefusalCode, Refused
from controller import case as cases
from controller.case import Case
from controller.effects import notify
from controller.errors import Code, LostRace, Unanswered
from controller.notices import due_at, needed, pause_after
from controller.program import Program
from controller.store import deprovisions, notices, private
from controller.store.deprovisions import Deprovision
from controller.store.notices import Notice

#: Tries in one round; the rest come with the next, and a person's alarm is not kept waiting behind them.
TRIES_A_ROUND = 20

logger = structlog.get_logger(__name__)


def work(program: Program) -> bool:
    """One round: open, settle what nobody has to be told, and try what is due. Whether anything was settled,
    so that somebody may go on.
    """
    with program.store.snapshot() as tx:
        has_news = bool(notices.without(tx)) or bool(_told_to_nobody(tx, program))
    is_settled = False
    if has_news:
        with program.store.transaction() as tx:
            _open(tx, program)
            is_settled = _settle(tx, program)
    if program.notice is None:
        return is_settled
    with program.store.snapshot() as tx:
        due = notices.due(tx, now=program.clock(), limit=TRIES_A_ROUND)
    # A list, because every one is tried, whatever became of those before.
    return any([_try(program, notice) for notice in due]) or is_settled


def open_needed(tx: Connection, row: Deprovision, *, now: datetime) -> None:
    """The notices that this deprovision needs before its order."""
    for kind in needed(has_tenancy=row.tenancy is not None):
        when = due_at(kind, scheduled_at=row.created_at, grace_until=row.grace_until)
        notices.open_notice(tx, row.id, kind=kind, due_at=when, now=now)


def _open(tx: Connection, program: Program) -> None:
    for key in notices.without(tx):
        open_needed(tx, deprovisions.load(tx, key), now=program.clock())


def _told_to_nobody(tx: Connection, program: Program) -> tuple[Notice, ...]:
    """Open notices that no command will ever deliver: by policy, or because the host was never let."""
    if program.configuration.standing_waiver is not None:
        return notices.all_notices(tx, is_open=True)
    return notices.open_of_the_never_let(tx)


def _settle(tx: Connection, program: Program) -> bool:
    now, found = program.clock(), _told_to_nobody(tx, program)
    for notice in found:
        if deprovisions.load(tx, notice.deprovision).tenancy is None:
            notices.tell_nobody(tx, notice.number, now=now)
        else:
            policy = program.configuration.policy_digest
            notices.waive_by_policy(tx, notice.number, policy_digest=policy, now=now)
        deprovisions.wake(tx, notice.deprovision, now=now)
    return bool(found)


def _try(program: Program, notice: Notice) -> bool:
    """Whether it was delivered and recorded."""
    command = program.notice
    if command is None:
        return False
    now = program.clock()
    try:
        with program.store.transaction() as tx:
            notices.begin_try(tx, notice, next_try_at=now + pause_after(notice.attempts + 1))
            case = cases.load(tx, notice.deprovision)
        record = notify.perform(command, case, notice)
    except LostRace:
        # Another controller tries it, or a person waived it meanwhile.
        return False
    except (Refused, Unanswered) as failure:
        _record_failure(program, notice, failure.code, failure.reason)
        return False
    return _record(program, case, notice, record)


def _record_failure(program: Program, notice: Notice, code: RefusalCode, reason: str) -> None:
    logger.warning(
        "notice not delivered", notice=notice.number, kind=notice.kind.value, code=code.value, reason=reason
    )
    try:
        with program.store.transaction() as tx:
            notices.failed(tx, notice.number, code=code)
    except LostRace:
        return


def _record(program: Program, case: Case, notice: Notice, record: bytes) -> bool:
    now = program.clock()
    try:
        with program.store.transaction() as tx:
            digest = hashlib.sha256(record).hexdigest()
            notices.deliver(tx, notice.number, record_digest=digest, now=now)
            _keep(tx, program, case, notice, record)
            deprovisions.wake(tx, notice.deprovision, now=now)
    except LostRace:
        logger.info("a notice was settled twice; the first record stands", notice=notice.number)
        return False
    return True


def _keep(tx: Connection, program: Program, case: Case, notice: Notice, record: bytes) -> None:
    """The record itself, as private text of the tenancy; each byte is one character."""
    tenancy = case.own_tenancy
    if tenancy is None:
        return
    try:
        private.write(
            tx,
            subject_ref=tenancy.tenancy_ref,
            kind=f"notice-{notice.number}",
            text=record.decode("latin-1"),
            master_key=program.keyring.private_text_key,
            random_bytes=program.random_bytes,
            now=program.clock(),
        )
    except Refused as refusal:
        if refusal.code is not Code.PRIVATE_SHREDDED:
            raise
        # Whoever had their texts destroyed is told without leaving new ones; the digest stands.
