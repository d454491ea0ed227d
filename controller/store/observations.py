"""Observations: a question, committed before it is sent, and later its answer.

Rules (DESIGN.md, rule 2): `ask` stores `asked_at` and a sequence number, and its transaction is committed
*before* the question leaves; `answer` completes exactly that row, once. The latest observation is the one
asked last, not the one stored last. A question without an answer is not an answer; whoever decides sees that
it is open. A contrary answer is found by when it was *stored*, because what became known last is what must be
asked about again. An answer that differs from the one before is a ledger event; repetition is not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, Index, Row, String, Table, func, insert, select, update

from certificate.errors import Refused
from certificate.identifiers import DeprovisionId
from controller.errors import Code, LostRace
from controller.facts import Question
from controller.store import ledger
from controller.store.columns import METADATA, CanonicalJson, UtcDateTime, counted_key, digest_column, one_of
from controller.store.events import AnswerChanged, may_stand

#: The answer of a question that nobody will answer.
UNKNOWN = "unknown"

observation = Table(
    "observation",
    METADATA,
    counted_key("sequence"),
    Column("question", one_of(Question, "question"), nullable=False),
    Column("about", String(120), nullable=False),
    Column("asked_at", UtcDateTime, nullable=False),
    Column("answered_at", UtcDateTime, nullable=True),
    Column("answer", String(40), nullable=True),
    digest_column("raw_digest", nullable=True),
    Column("detail", CanonicalJson, nullable=True),
    Index("ix_observation_question_about", "question", "about", "sequence"),
    sqlite_autoincrement=True,
)


@dataclass(frozen=True, kw_only=True)
class StoredObservation:
    """A question, and its answer where one came."""

    #: Grows with every question asked.
    sequence: int
    question: Question
    #: What was asked about: an id of ours, or the name of a source.
    about: str
    #: Committed before the question was sent.
    asked_at: datetime
    #: None while there is no answer.
    answered_at: datetime | None
    #: One word: `ended`, `yes`, `unknown` ...
    answer: str | None
    #: SHA-256 of the raw answer as it came, where there is one.
    raw_digest: str | None
    #: What else the answer says (JSON object), without names of people.
    detail: Mapping[str, Any] | None

    @property
    def is_answered(self) -> bool:
        return self.answered_at is not None


@dataclass(frozen=True, kw_only=True)
class Latest:
    """The two questions that matter: the one asked last, and the last one that has an answer."""

    asked: StoredObservation
    answered: StoredObservation | None

    @property
    def is_open(self) -> bool:
        """A later question than the last answered one was sent and has no answer yet."""
        return not self.asked.is_answered


def ask(tx: Connection, question: Question, about: str, *, now: datetime) -> StoredObservation:
    """Commits to a question. Send it only after this transaction is committed."""
    sequence = tx.execute(
        insert(observation)
        .values(question=question, about=about, asked_at=now)
        .returning(observation.c.sequence)
    ).scalar_one()
    return load(tx, sequence)


def answer(
    tx: Connection,
    sequence: int,
    *,
    answer: str,
    now: datetime,
    raw_digest: str | None = None,
    detail: Mapping[str, Any] | None = None,
    deprovision: DeprovisionId | None = None,
) -> StoredObservation:
    """Completes the question. `answer` is one lower-case word. Raises LostRace when it is answered
    already.
    """
    asked = load(tx, sequence)
    before = latest(tx, asked.question, asked.about)
    believed = (observation.c.sequence == sequence) & observation.c.answered_at.is_(None)
    completed = (
        update(observation)
        .where(believed)
        .values(answered_at=stamp(tx, now), answer=answer, raw_digest=raw_digest, detail=detail)
    )
    if tx.execute(completed).rowcount != 1:
        raise LostRace(f"observation {sequence}", "unanswered", 0)
    former = None if before is None or before.answered is None else before.answered.answer
    if answer != former:
        _tell(tx, asked, answer, raw_digest, deprovision, now)
    return load(tx, sequence)


def stamp(tx: Connection, now: datetime) -> datetime:
    """`now`, but never earlier than the newest question was asked: what became known later must not look
    older than a question that went before it, even where the clock was set back in between.
    """
    newest: datetime | None = tx.scalar(select(func.max(observation.c.asked_at)))
    return now if newest is None else max(now, newest)


def abandon(tx: Connection, *, now: datetime) -> int:
    """Answers every open question `unknown`: whoever asked is dead. Only for the one process that holds the
    home's lock, at its start. Returns how many there were.
    """
    orphans = update(observation).where(observation.c.answered_at.is_(None))
    return tx.execute(orphans.values(answered_at=stamp(tx, now), answer=UNKNOWN)).rowcount


def load(tx: Connection, sequence: int) -> StoredObservation:
    """Raises Refused(NOT_IN_STORE)."""
    row = tx.execute(select(observation).where(observation.c.sequence == sequence)).one_or_none()
    if row is None:
        raise Refused(Code.NOT_IN_STORE, f"question {sequence} was never asked")
    return _observation(row)


def latest(tx: Connection, question: Question, about: str) -> Latest | None:
    """The newest question of this kind by asking, and the newest that has an answer; None before the
    first.
    """
    asked_about = select(observation).where(observation.c.question == question, observation.c.about == about)
    newest = asked_about.order_by(observation.c.sequence.desc()).limit(1)
    row = tx.execute(newest).one_or_none()
    if row is None:
        return None
    asked = _observation(row)
    if asked.is_answered:
        return Latest(asked=asked, answered=asked)
    row = tx.execute(newest.where(observation.c.answered_at.is_not(None))).one_or_none()
    return Latest(asked=asked, answered=None if row is None else _observation(row))


def latest_contrary(
    tx: Connection, question: Question, about: str, *, other_than: Set[str]
) -> StoredObservation | None:
    """The answer stored last that is none of `other_than`; None where every answer was one of them."""
    query = (
        select(observation)
        .where(
            observation.c.question == question,
            observation.c.about == about,
            observation.c.answered_at.is_not(None),
            observation.c.answer.not_in(sorted(other_than)),
        )
        .order_by(observation.c.answered_at.desc(), observation.c.sequence.desc())
        .limit(1)
    )
    row = tx.execute(query).one_or_none()
    return None if row is None else _observation(row)


def newest_asked_by(
    tx: Connection, question: Question, about: str, *, instant: datetime
) -> StoredObservation | None:
    """The question of this kind with the latest `asked_at` not after that instant."""
    query = (
        select(observation)
        .where(
            observation.c.question == question,
            observation.c.about == about,
            observation.c.asked_at <= instant,
        )
        .order_by(observation.c.asked_at.desc(), observation.c.sequence.desc())
        .limit(1)
    )
    row = tx.execute(query).one_or_none()
    return None if row is None else _observation(row)


def first_answer(
    tx: Connection, question: Question, about: str, *, answer: str, after: StoredObservation | None
) -> StoredObservation | None:
    """The first to say so, asked and answered after `after` (ever, where that is None)."""
    query = select(observation).where(
        observation.c.question == question,
        observation.c.about == about,
        observation.c.answer == answer,
        observation.c.answered_at.is_not(None),
    )
    if after is not None:
        query = query.where(
            observation.c.sequence > after.sequence, observation.c.answered_at >= after.answered_at
        )
    row = tx.execute(query.order_by(observation.c.answered_at, observation.c.sequence).limit(1)).one_or_none()
    return None if row is None else _observation(row)


def since(
    tx: Connection, question: Question, about: str, *, asked_at: datetime
) -> tuple[StoredObservation, ...]:
    """Every question of this kind asked at or after `asked_at`, in the order of asking."""
    query = (
        select(observation)
        .where(
            observation.c.question == question,
            observation.c.about == about,
            observation.c.asked_at >= asked_at,
        )
        .order_by(observation.c.sequence)
    )
    return tuple(_observation(row) for row in tx.execute(query))


def latest_asked_before(
    tx: Connection, question: Question, about: str, *, before: datetime
) -> StoredObservation | None:
    """The newest question of this kind that was asked before that instant."""
    query = select(observation).where(
        observation.c.question == question, observation.c.about == about, observation.c.asked_at < before
    )
    row = tx.execute(query.order_by(observation.c.sequence.desc()).limit(1)).one_or_none()
    return None if row is None else _observation(row)


def _tell(
    tx: Connection,
    asked: StoredObservation,
    answer: str,
    raw_digest: str | None,
    deprovision: DeprovisionId | None,
    now: datetime,
) -> None:
    about = asked.about if may_stand(asked.about) else hashlib.sha256(asked.about.encode()).hexdigest()
    event = AnswerChanged(
        deprovision=deprovision,
        sequence=asked.sequence,
        question=asked.question,
        about=about,
        answer=answer,
        raw_digest=raw_digest,
    )
    ledger.append(tx, event, now=now)


def _observation(row: Row[Any]) -> StoredObservation:
    return StoredObservation(**row._mapping)
