"""Alarms: what stood when, and whether a person was called for it.

Rules: one standing row a kind and thing; it keeps the instant since when it is so, its sentence may change;
an alarm that is over is kept. Each call is committed before it is made, with the instant of the next try, so
that a crash may call twice and never forgets. Alarms follow from facts that the ledger holds, so they are no
events of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Column, Connection, Index, Integer, Row, String, Table, Text, insert, select, update

from certificate.errors import RefusalCode
from controller.errors import LostRace
from controller.store.columns import METADATA, UtcDateTime, counted_key, digest_column, one_of


class AlarmKind(StrEnum):
    """Why a person is called, the gravest first."""

    #: The store is not the one that its anchor knows.
    STORE_FROZEN = "store_frozen"
    CLOCK_UNTRUSTED = "clock_untrusted"
    SOURCE_SILENT = "source_silent"
    BREAKER_TRIPPED = "breaker_tripped"
    FREEZE_STANDS = "freeze_stands"
    CUSTOMER_RETURNED_TOO_LATE = "customer_returned_too_late"
    NEEDS_OPERATOR = "needs_operator"
    HOLD_ENDANGERS_DEADLINE = "hold_endangers_deadline"
    HOLD_PAST_REVIEW = "hold_past_review"
    DEADLINE_NEAR = "deadline_near"
    APPROVAL_AWAITED = "approval_awaited"
    LIMIT_REACHED = "limit_reached"
    WAITING_LONG = "waiting_long"
    NOTICE_UNDELIVERED = "notice_undelivered"
    COMMAND_FAILING = "command_failing"


alarm = Table(
    "alarm",
    METADATA,
    counted_key("number"),
    Column("kind", one_of(AlarmKind, "kind"), nullable=False),
    Column("about", String(120), nullable=False),
    Column("sentence", Text, nullable=False),
    Column("remedy", String(60), nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Column("raised_at", UtcDateTime, nullable=False),
    Column("over_at", UtcDateTime, nullable=True),
    Column("attempts", Integer, nullable=False),
    Column("next_try_at", UtcDateTime, nullable=False),
    Column("last_code", String(60), nullable=True),
    Column("called_at", UtcDateTime, nullable=True),
    digest_column("record_digest", nullable=True),
    sqlite_autoincrement=True,
)
Index(
    "uq_alarm_standing",
    alarm.c.kind,
    alarm.c.about,
    unique=True,
    sqlite_where=alarm.c.over_at.is_(None),
    postgresql_where=alarm.c.over_at.is_(None),
)


@dataclass(frozen=True, kw_only=True)
class StoredAlarm:
    """One alarm from its raising on."""

    number: int
    kind: AlarmKind
    #: An id of ours, `stop 7`, the name of a source.
    about: str
    #: For people.
    sentence: str
    #: The code whose remedy says what to do.
    remedy: str
    #: Since when it is so.
    since: datetime
    #: When it was seen first.
    raised_at: datetime
    #: None while it stands.
    over_at: datetime | None
    #: Calls begun, whether or not they ended.
    attempts: int
    next_try_at: datetime
    last_code: str | None
    #: When a person was called; None before, and where no command is configured.
    called_at: datetime | None
    #: SHA-256 of what the command printed.
    record_digest: str | None


def standing(tx: Connection) -> tuple[StoredAlarm, ...]:
    """Every alarm that is not over, the gravest kinds first."""
    order = list(AlarmKind)
    rows = tx.execute(select(alarm).where(alarm.c.over_at.is_(None)).order_by(alarm.c.since, alarm.c.number))
    return tuple(sorted(map(_alarm, rows), key=lambda each: order.index(each.kind)))


def raise_alarm(
    tx: Connection,
    *,
    kind: AlarmKind,
    about: str,
    sentence: str,
    remedy: RefusalCode,
    since: datetime,
    now: datetime,
) -> None:
    """A new one. None of its kind may stand about the same thing."""
    tx.execute(
        insert(alarm).values(
            kind=kind,
            about=about,
            sentence=sentence,
            remedy=remedy.value,
            since=since,
            raised_at=now,
            attempts=0,
            next_try_at=now,
        )
    )


def reword(tx: Connection, number: int, sentence: str) -> None:
    tx.execute(update(alarm).where(alarm.c.number == number).values(sentence=sentence))


def end(tx: Connection, number: int, *, now: datetime) -> None:
    """Its reason is gone."""
    tx.execute(update(alarm).where(alarm.c.number == number, alarm.c.over_at.is_(None)).values(over_at=now))


def to_call(tx: Connection, *, now: datetime, limit: int) -> tuple[StoredAlarm, ...]:
    """Standing alarms for which nobody was called and a try is due."""
    query = (
        select(alarm)
        .where(alarm.c.over_at.is_(None), alarm.c.called_at.is_(None), alarm.c.next_try_at <= now)
        .order_by(alarm.c.attempts, alarm.c.number)
        .limit(limit)
    )
    return tuple(map(_alarm, tx.execute(query)))


def begin_call(tx: Connection, tried: StoredAlarm, *, next_try_at: datetime) -> None:
    """This call is ours. Raises LostRace."""
    believed = (alarm.c.number == tried.number) & (alarm.c.attempts == tried.attempts)
    values = {"attempts": tried.attempts + 1, "next_try_at": next_try_at}
    if tx.execute(update(alarm).where(believed, alarm.c.called_at.is_(None)).values(values)).rowcount != 1:
        raise LostRace(f"alarm {tried.number}", "uncalled", 0)


def called(tx: Connection, number: int, *, record_digest: str, now: datetime) -> None:
    """A person was called; the first record stands."""
    first = (alarm.c.number == number) & alarm.c.called_at.is_(None)
    tx.execute(update(alarm).where(first).values(called_at=now, record_digest=record_digest))


def call_failed(tx: Connection, number: int, *, code: RefusalCode) -> None:
    tx.execute(update(alarm).where(alarm.c.number == number).values(last_code=code.value))


def _alarm(row: Row[Any]) -> StoredAlarm:
    return StoredAlarm(**row._mapping)
