"""The Unix-socket API of `serve`: thin routes over the desk.

Rules: only the owner of the socket file (0600 in a 0700 folder) gets in, so there are no accounts here; a
body is bounded and read strictly before the desk sees it; a refusal is answered 409 with code, reason, remedy
and whether more people would help; anything else that goes wrong is 500 and in the log. Of a refusal the log
says the code, the route and the deprovision asked about, never its reason: that repeats what was typed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Protocol, TypeVar

import structlog
from fastapi import APIRouter, FastAPI, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from certificate.errors import Refused
from certificate.identifiers import DeprovisionId
from certificate.statements.statement import read_model
from controller.api.documents import (
    CertificateFiles,
    Document,
    HintTold,
    HostLine,
    HostList,
    LedgerChecked,
    LedgerPage,
    NewHost,
    Status,
    Story,
)
from controller.errors import NeedsApproval
from controller.spool import Hint

#: A host with two hundred drives has 40 KB; stops memory exhaustion.
MAX_BODY_BYTES = 262_144

logger = structlog.get_logger(__name__)


class Answers(Protocol):
    """What the routes ask (`desk.Desk`)."""

    def tell(self, hint: Hint) -> HintTold: ...
    def add_host(self, new: NewHost) -> HostLine: ...
    def hosts(self) -> HostList: ...
    def status(self) -> Status: ...
    def story(self, key: DeprovisionId) -> Story: ...
    def certificate(
        self, key: DeprovisionId, *, with_annex: bool, with_failures: bool
    ) -> CertificateFiles: ...
    def certificate_of_medium(
        self, named: str, *, with_annex: bool, with_failures: bool
    ) -> CertificateFiles: ...
    def ledger_page(self, *, from_seq: int) -> LedgerPage: ...
    def check_ledger(self) -> LedgerChecked: ...


QuestionT = TypeVar("QuestionT", bound=BaseModel)


def application(desk: Answers, routers: Sequence[APIRouter] = ()) -> FastAPI:
    """The routes, ready to be served; `routers` bring those of other rooms."""
    app = FastAPI(title="expunge serve", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_exception_handler(Refused, _refuse)

    for router in routers:
        app.include_router(router)

    @app.post("/v1/hints")
    async def tell(request: Request) -> Response:
        return await asked(request, Hint, desk.tell)

    @app.post("/v1/hosts")
    async def add_host(request: Request) -> Response:
        return await asked(request, NewHost, desk.add_host)

    @app.get("/v1/hosts")
    def hosts() -> Response:
        return answer(desk.hosts())

    @app.get("/v1/status")
    def status() -> Response:
        return answer(desk.status())

    @app.get("/v1/deprovisions/{key}")
    def story(key: str) -> Response:
        return answer(desk.story(DeprovisionId.parse(key)))

    @app.get("/v1/deprovisions/{key}/certificate")
    def certificate(
        key: str,
        annex: Annotated[int, Query(ge=0, le=1)] = 0,
        failures: Annotated[int, Query(ge=0, le=1)] = 0,
    ) -> Response:
        named = DeprovisionId.parse(key)
        return answer(desk.certificate(named, with_annex=annex == 1, with_failures=failures == 1))

    @app.get("/v1/media/{named}/certificate")
    def certificate_of_medium(
        named: Annotated[str, Path(pattern="^[0-9a-f]{8,64}$")],
        annex: Annotated[int, Query(ge=0, le=1)] = 0,
        failures: Annotated[int, Query(ge=0, le=1)] = 0,
    ) -> Response:
        told = desk.certificate_of_medium(named, with_annex=annex == 1, with_failures=failures == 1)
        return answer(told)

    @app.get("/v1/ledger")
    def ledger_page(from_seq: Annotated[int, Query(ge=1)]) -> Response:
        return answer(desk.ledger_page(from_seq=from_seq))

    @app.get("/v1/ledger/check")
    def check_ledger() -> Response:
        return answer(desk.check_ledger())

    return app


async def asked(
    request: Request,
    kind: type[QuestionT],
    ask: Callable[[QuestionT], Document],
    *,
    max_bytes: int = MAX_BODY_BYTES,
) -> Response:
    """The answer to a body read as `kind`, bounded and strict; `ask` runs on a thread."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            break
    question = read_model(bytes(body), kind, what="question", max_bytes=max_bytes)
    return answer(await run_in_threadpool(ask, question))


def answer(document: Document) -> Response:
    """The document as JSON."""
    return Response(document.model_dump_json(), media_type="application/json")


async def _refuse(request: Request, error: Exception) -> Response:
    if not isinstance(error, Refused):
        raise error
    logger.info(
        "refused",
        method=request.method,
        route=_route(request),
        code=error.code.value,
        deprovision=_deprovision(request),
    )
    told = {**error.as_dict(), "needs_approval": isinstance(error, NeedsApproval)}
    return JSONResponse(told, status_code=409)


def _route(request: Request) -> str:
    """As it is declared: the path itself may hold whatever was typed into it."""
    return getattr(request.scope.get("route"), "path", "unknown")


def _deprovision(request: Request) -> str | None:
    """The id in the path, if it is one."""
    try:
        return DeprovisionId.parse(request.path_params.get("key", ""))
    except Refused:
        return None
