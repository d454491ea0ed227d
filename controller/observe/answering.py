"""The frame of a question: commit the asking, ask, store the answer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from certificate.errors import Refused
from certificate.identifiers import DeprovisionId
from controller.errors import Unanswered
from controller.facts import Question
from controller.program import Program
from controller.store import observations

UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What came back. `answer`: one lower-case word; `raw`: exactly what was read, else empty."""

    answer: str
    raw: bytes
    detail: Mapping[str, Any]
    #: Writes rows that follow from the answer, in the transaction that stores it; what it returns joins
    #: `detail`.
    record: Callable[[Connection], Mapping[str, Any]] | None = None


def put(
    program: Program,
    question: Question,
    about: str,
    *,
    ask: Callable[[], Answered],
    deprovision: DeprovisionId | None = None,
) -> None:
    """Asks once. A refusal and a silence are stored as `unknown`, with the code."""
    with program.store.transaction() as tx:
        asked = observations.ask(tx, question, about, now=program.clock())
    try:
        answered = ask()
    except (Refused, Unanswered) as error:
        answered = Answered(
            answer=UNKNOWN, raw=b"", detail={"code": error.code.value, "reason": error.reason}
        )
    with program.store.transaction() as tx:
        more = answered.record(tx) if answered.record is not None else {}
        observations.answer(
            tx,
            asked.sequence,
            answer=answered.answer,
            now=program.clock(),
            raw_digest=hashlib.sha256(answered.raw).hexdigest() if answered.raw else None,
            detail={**answered.detail, **more},
            deprovision=deprovision,
        )
