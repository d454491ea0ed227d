"""The signed webhook by which a billing system says that something changed.

Rules (Standard Webhooks): the signature is checked over the raw bytes before anything reads them; a timestamp
more than five minutes off is refused; the body is bounded while it is read; an event is stored once for each
(source, webhook-id), and a repetition is answered like the first. An event is a hint: nothing is decided
here, so the answer is fast. What is authentic and of no interest is answered 202 and logged, so that a sender
does not repeat it for days.

    202 stored | 200 known already | 202 ignored | 400 WEBHOOK_MALFORMED | 401 WEBHOOK_SIGNATURE_INVALID |
    413 WEBHOOK_TOO_LARGE

Source: Standard Webhooks specification, "Webhook headers" and "Verifying webhook authenticity".
"""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import structlog
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from standardwebhooks import Webhook, WebhookVerificationError

from certificate import strict_json
from certificate.errors import Malformed, RefusalCode, Refused
from controller.errors import Code
from controller.sources import HintKind

#: Ten times the largest event of ours; stops memory exhaustion before a signature was seen.
MAX_BODY_BYTES = 16_384
MAX_HEADER_CHARACTERS = 1024
MAX_SUBSCRIPTION_CHARACTERS = 255
#: Standard Webhooks, "Signature scheme".
MIN_SECRET_BYTES, MAX_SECRET_BYTES = 24, 64
_SOURCE = re.compile(r"[a-z0-9-]{1,40}")
_EVENT_ID = re.compile(r"[\x21-\x7e]{1,128}")

logger = structlog.get_logger(__name__)


class StoreHint(Protocol):
    """Stores a hint durably. False where this (source, event_id) is stored already."""

    def __call__(
        self, *, source: str, event_id: str, kind: HintKind, subscription: str, received_at: datetime
    ) -> bool: ...


@dataclass(frozen=True, kw_only=True)
class Event:
    """An authentic event. `kind` is None where it is none of ours."""

    event_id: str
    kind: HintKind | None
    subscription: str


@dataclass(frozen=True, kw_only=True)
class WebhookDoor:
    """One billing system's door. `secret` is `whsec_` and the base64 of 24 to 64 bytes.

    Raises Refused(CONFIGURATION_INVALID).
    """

    source: str
    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        if not _SOURCE.fullmatch(self.source):
            raise Refused(Code.CONFIGURATION_INVALID, "a webhook's source is a word of a-z, 0-9 and dashes")
        try:
            key = base64.b64decode(self.secret.removeprefix("whsec_"), validate=True)
        except ValueError:
            key = b""
        if not MIN_SECRET_BYTES <= len(key) <= MAX_SECRET_BYTES:
            raise Refused(
                Code.CONFIGURATION_INVALID, "a webhook's secret is whsec_ and the base64 of 24 to 64 bytes"
            )

    def read(self, body: bytes, headers: dict[str, str]) -> Event:
        """The event in `body`. Header names in lower case.

        Raises Refused: WEBHOOK_SIGNATURE_INVALID, WEBHOOK_MALFORMED.
        """
        event_id = headers.get("webhook-id", "")
        self._verify(body, headers)
        if not _EVENT_ID.fullmatch(event_id):
            raise Refused(Code.WEBHOOK_MALFORMED, "webhook-id is not 1 to 128 printable characters")
        return _event(event_id, body)

    def _verify(self, body: bytes, headers: dict[str, str]) -> None:
        named = {name: headers.get(name, "") for name in _HEADERS}
        if any(len(value) > MAX_HEADER_CHARACTERS for value in named.values()):
            raise Refused(Code.WEBHOOK_SIGNATURE_INVALID, "a webhook header is too long")
        try:
            Webhook(self.secret).verify(body, named, json_parse=False)
        except WebhookVerificationError as error:
            raise Refused(Code.WEBHOOK_SIGNATURE_INVALID, str(error)) from None
        except ValueError:
            # standardwebhooks 1.1.0 lets these out for headers and bodies that are not what it expects.
            raise Refused(Code.WEBHOOK_SIGNATURE_INVALID, "the signature cannot be read") from None


_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")


def router(door: WebhookDoor, *, store_hint: StoreHint, clock: Callable[[], datetime]) -> APIRouter:
    """`POST /webhooks/<source>` for one billing system."""
    routes = APIRouter()

    @routes.post(f"/webhooks/{door.source}")
    async def receive(request: Request) -> JSONResponse:
        """One signed event."""
        try:
            body = await _bounded(request.stream())
            event = door.read(body, {name.lower(): value for name, value in request.headers.items()})
        except Refused as refusal:
            logger.warning("webhook refused", source=door.source, code=refusal.code, reason=refusal.reason)
            return JSONResponse(refusal.as_dict(), status_code=_STATUS[refusal.code])
        if event.kind is None:
            logger.info("webhook ignored", source=door.source, event_id=event.event_id)
            return JSONResponse({"result": "ignored"}, status_code=202)
        try:
            is_new = await run_in_threadpool(
                store_hint,
                source=door.source,
                event_id=event.event_id,
                kind=event.kind,
                subscription=event.subscription,
                received_at=clock(),
            )
        except Refused as refusal:
            # The same event id with other content: a sender's fault that may hide a renewal, so it is told.
            logger.error("webhook contradicts itself", source=door.source, reason=refusal.reason)
            return JSONResponse(refusal.as_dict(), status_code=409)
        return JSONResponse({"result": "stored" if is_new else "known"}, status_code=202 if is_new else 200)

    return routes


_STATUS: dict[RefusalCode, int] = {
    Code.WEBHOOK_SIGNATURE_INVALID: 401,
    Code.WEBHOOK_TOO_LARGE: 413,
    Code.WEBHOOK_MALFORMED: 400,
}


async def _bounded(chunks: AsyncIterator[bytes]) -> bytes:
    """The body, never more of it in memory than may be read."""
    body = bytearray()
    async for chunk in chunks:
        if len(body) + len(chunk) > MAX_BODY_BYTES:
            raise Refused(Code.WEBHOOK_TOO_LARGE, f"the body has more than {MAX_BODY_BYTES} bytes")
        body += chunk
    return bytes(body)


def _event(event_id: str, body: bytes) -> Event:
    """Fields that are not ours are left alone: the sender's envelope may carry more than we read."""
    try:
        fields = strict_json.load_object(body, max_bytes=MAX_BODY_BYTES, what="webhook")
    except Malformed as error:
        raise Refused(Code.WEBHOOK_MALFORMED, error.reason) from None
    kind, data = fields.get("type"), fields.get("data")
    if not isinstance(kind, str):
        raise Refused(Code.WEBHOOK_MALFORMED, "the event has no type")
    if kind not in set(HintKind):
        return Event(event_id=event_id, kind=None, subscription="")
    subscription = data.get("subscription") if isinstance(data, dict) else None
    if not isinstance(subscription, str) or not 0 < len(subscription) <= MAX_SUBSCRIPTION_CHARACTERS:
        raise Refused(Code.WEBHOOK_MALFORMED, "data.subscription is not 1 to 255 characters of text")
    if not subscription.isprintable():
        raise Refused(Code.WEBHOOK_MALFORMED, "data.subscription holds characters that do not print")
    return Event(event_id=event_id, kind=HintKind(kind), subscription=subscription)
