"""The room of notices: what people were told, were not, or need not be told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Query, Response
from sqlalchemy import Connection

from controller.api.lines import whole_seconds
from controller.api.notices_documents import NoticeLine, NoticeList
from controller.api.server import answer
from controller.program import Program
from controller.store import deprovisions, hosts
from controller.store import notices as rows
from controller.store.notices import Notice


def router(program: Program, *, wake: Callable[[], None]) -> APIRouter:
    """`wake` is not needed here: a waiver goes the way of every decision."""
    routes = APIRouter()

    @routes.get("/v1/notices")
    def notices(is_open: Annotated[int, Query(ge=0, le=1)] = 0) -> Response:
        with program.store.snapshot() as tx:
            return answer(listed(tx, is_open=is_open == 1))

    return routes


def listed(tx: Connection, *, is_open: bool) -> NoticeList:
    """Every notice in the order of opening, or those that are not settled."""
    return NoticeList(notices=tuple(_line(tx, each) for each in rows.all_notices(tx, is_open=is_open)))


def _line(tx: Connection, notice: Notice) -> NoticeLine:
    row = deprovisions.load(tx, notice.deprovision)
    return NoticeLine(
        number=notice.number,
        deprovision=notice.deprovision,
        host=hosts.load(tx, row.host).asset_tag,
        kind=notice.kind.value,
        due_at=whole_seconds(notice.due_at),
        attempts=notice.attempts,
        next_try_at=whole_seconds(notice.next_try_at) if notice.is_open else None,
        last_code=notice.last_code,
        settled=None if notice.settled is None else notice.settled.value,
        settled_at=None if notice.settled_at is None else whole_seconds(notice.settled_at),
        records=notice.records,
    )
