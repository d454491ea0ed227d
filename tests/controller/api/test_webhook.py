"""The signed webhook: what is believed, what is stored, and what a stranger is told."""

import base64
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook

from certificate.errors import Refused
from controller.api.webhook import MAX_BODY_BYTES, WebhookDoor, router
from controller.errors import Code
from controller.sources import HintKind

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ENDED = {"type": "subscription.ended", "data": {"subscription": "sub-1"}}


@dataclass
class Store:
    """Remembers hints, each event once."""

    hints: list[dict[str, Any]] = field(default_factory=list)
    seen: set[tuple[str, str]] = field(default_factory=set)

    def __call__(self, *, source: str, event_id: str, **hint: Any) -> bool:
        if (source, event_id) in self.seen:
            return False
        self.seen.add((source, event_id))
        self.hints.append({"source": source, "event_id": event_id, **hint})
        return True


@dataclass
class Door:
    client: TestClient
    store: Store

    def send(self, body: bytes, **headers: str) -> Any:
        return self.client.post("/webhooks/whmcs", content=body, headers=headers)

    def signed(
        self, event: Any, *, event_id: str = "msg_1", at: float | None = None, secret: str = SECRET
    ) -> Any:
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        return self.send(body, **signature(body, event_id=event_id, at=at, secret=secret))


def signature(
    body: bytes, *, event_id: str = "msg_1", at: float | None = None, secret: str = SECRET
) -> dict[str, str]:
    moment = datetime.fromtimestamp(int(time.time() if at is None else at), tz=UTC)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(secret).sign(event_id, moment, body.decode("utf-8", "surrogateescape")),
    }


@pytest.fixture
def door() -> Iterator[Door]:
    store = Store()
    application = FastAPI()
    application.include_router(
        router(WebhookDoor(source="whmcs", secret=SECRET), store_hint=store, clock=lambda: NOW)
    )
    with TestClient(application) as client:
        yield Door(client, store)


@pytest.mark.parametrize("kind", list(HintKind))
def test_a_signed_event_is_stored_as_a_hint(door: Door, kind: HintKind) -> None:
    answer = door.signed({"type": str(kind), "data": {"subscription": "sub-1"}})
    assert (answer.status_code, answer.json()) == (202, {"result": "stored"})
    assert door.store.hints == [
        {"source": "whmcs", "event_id": "msg_1", "kind": kind, "subscription": "sub-1", "received_at": NOW}
    ]


def test_an_event_that_is_sent_again_is_stored_once_and_answered_with_success(door: Door) -> None:
    assert door.signed(ENDED).status_code == 202
    answer = door.signed(ENDED)
    assert (answer.status_code, answer.json()) == (200, {"result": "known"})
    assert len(door.store.hints) == 1
    assert door.signed(ENDED, event_id="msg_2").status_code == 202


def test_one_right_signature_among_several_is_enough_while_a_secret_is_changed(door: Door) -> None:
    body = json.dumps(ENDED).encode()
    headers = signature(body)
    other = "whsec_" + base64.b64encode(b"o" * 32).decode()
    headers["webhook-signature"] = (
        signature(body, secret=other)["webhook-signature"] + " " + headers["webhook-signature"]
    )
    assert door.send(body, **headers).status_code == 202


def test_a_header_with_hundreds_of_signatures_is_not_tried_one_by_one(door: Door) -> None:
    body = json.dumps(ENDED).encode()
    headers = signature(body)
    headers["webhook-signature"] = "v1,AAAA " * 200 + headers["webhook-signature"]
    refused(door.send(body, **headers), 401, Code.WEBHOOK_SIGNATURE_INVALID)


def refused(answer: Any, status: int, code: Code) -> None:
    assert answer.status_code == status
    assert answer.json()["code"] == code
    assert set(answer.json()) == {"code", "reason", "remedy"}


def test_an_event_signed_with_another_secret_is_refused(door: Door) -> None:
    answer = door.signed(ENDED, secret="whsec_" + base64.b64encode(b"x" * 32).decode())
    refused(answer, 401, Code.WEBHOOK_SIGNATURE_INVALID)
    assert door.store.hints == []


@pytest.mark.parametrize("seconds", [-310, 310])
def test_an_event_more_than_five_minutes_off_is_refused(door: Door, seconds: int) -> None:
    refused(door.signed(ENDED, at=time.time() + seconds), 401, Code.WEBHOOK_SIGNATURE_INVALID)


@pytest.mark.parametrize("seconds", [-290, 290])
def test_an_event_less_than_five_minutes_off_is_accepted(door: Door, seconds: int) -> None:
    assert door.signed(ENDED, at=time.time() + seconds).status_code == 202


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_header_is_a_missing_signature(door: Door, name: str) -> None:
    body = json.dumps(ENDED).encode()
    headers = signature(body)
    del headers[name]
    refused(door.send(body, **headers), 401, Code.WEBHOOK_SIGNATURE_INVALID)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("webhook-signature", "v1"),
        ("webhook-signature", "v1,"),
        ("webhook-signature", "v1,!!!"),
        ("webhook-signature", "v2,AAAA"),
        ("webhook-signature", ",,,"),
        ("webhook-signature", "v1,AAA"),
        ("webhook-signature", "v1,AAAA " * 500),
        ("webhook-timestamp", "now"),
        ("webhook-timestamp", "nan"),
        ("webhook-timestamp", "1e400"),
        ("webhook-timestamp", "-1"),
        ("webhook-id", "msg_2"),
    ],
)
def test_a_header_that_was_changed_or_makes_no_sense_is_refused(door: Door, name: str, value: str) -> None:
    body = json.dumps(ENDED).encode()
    refused(door.send(body, **{**signature(body), name: value}), 401, Code.WEBHOOK_SIGNATURE_INVALID)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 200), byte=st.integers(0, 255))
def test_no_byte_of_a_signed_body_may_change(door: Door, place: int, byte: int) -> None:
    body = json.dumps(ENDED).encode()
    headers = signature(body)
    changed = bytearray(body)
    changed[place % len(body)] ^= byte or 1
    refused(door.send(bytes(changed), **headers), 401, Code.WEBHOOK_SIGNATURE_INVALID)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.binary(max_size=200),
    value=st.text(alphabet=st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=60),
)
def test_a_stranger_never_gets_more_than_a_refusal(door: Door, body: bytes, value: str) -> None:
    now = str(int(time.time()))
    headers = {"webhook-id": "m", "webhook-timestamp": now, "webhook-signature": value.strip()}
    encoded = {name: text.encode("latin-1") for name, text in headers.items()}
    answer = door.client.post("/webhooks/whmcs", content=body, headers=encoded)
    refused(answer, 401, Code.WEBHOOK_SIGNATURE_INVALID)


def test_the_signature_is_over_the_raw_bytes_and_not_over_what_they_mean(door: Door) -> None:
    body = json.dumps(ENDED).encode()
    refused(
        door.send(json.dumps(ENDED, indent=1).encode(), **signature(body)),
        401,
        Code.WEBHOOK_SIGNATURE_INVALID,
    )


def test_a_body_too_large_is_refused_before_its_signature_is_looked_at(door: Door) -> None:
    refused(door.send(b" " * (MAX_BODY_BYTES + 1)), 413, Code.WEBHOOK_TOO_LARGE)
    refused(door.send(b" " * MAX_BODY_BYTES), 401, Code.WEBHOOK_SIGNATURE_INVALID)


def test_a_body_without_a_declared_length_is_bounded_while_it_is_read(door: Door) -> None:
    sent = []

    def endless() -> Iterator[bytes]:
        for _ in range(1000):
            sent.append(1)
            yield b"x" * 1024

    answer = door.client.post("/webhooks/whmcs", content=endless())
    refused(answer, 413, Code.WEBHOOK_TOO_LARGE)


def test_a_signed_event_of_another_type_is_accepted_and_stored_nowhere(door: Door) -> None:
    answer = door.signed({"type": "invoice.paid", "data": {"subscription": "sub-1"}})
    assert (answer.status_code, answer.json()) == (202, {"result": "ignored"})
    assert door.store.hints == []


@pytest.mark.parametrize(
    "event",
    [
        b"",
        b"[]",
        b"null",
        b"not json",
        b'{"type": "subscription.ended"',
        b'{"type": "subscription.ended", "data": {"subscription": "sub-1"}} {}',
        b'{"type": "subscription.renewed", "type": "subscription.ended", "data": {"subscription": "sub-1"}}',
        b'{"type": "subscription.ended", "data": {"subscription": "sub-1", "subscription": "sub-2"}}',
        {},
        {"type": 7},
        {"type": "subscription.ended"},
        {"type": "subscription.ended", "data": None},
        {"type": "subscription.ended", "data": []},
        {"type": "subscription.ended", "data": {}},
        {"type": "subscription.ended", "data": {"subscription": None}},
        {"type": "subscription.ended", "data": {"subscription": 1001}},
        {"type": "subscription.ended", "data": {"subscription": ""}},
        {"type": "subscription.ended", "data": {"subscription": "a\nb"}},
        {"type": "subscription.ended", "data": {"subscription": "x" * 256}},
        {"type": "subscription.ended", "data": {"subscription": ["sub-1"]}},
    ],
    ids=repr,
)
def test_a_signed_event_that_makes_no_sense_is_said_to_make_none(door: Door, event: Any) -> None:
    refused(door.signed(event), 400, Code.WEBHOOK_MALFORMED)
    assert door.store.hints == []


@pytest.mark.parametrize("event_id", ["x" * 129, "two words", "tab\tbed"])
def test_an_event_id_that_cannot_be_kept_is_refused(door: Door, event_id: str) -> None:
    refused(door.signed(ENDED, event_id=event_id), 400, Code.WEBHOOK_MALFORMED)


def test_fields_that_are_not_ours_do_no_harm(door: Door) -> None:
    event = {**ENDED, "timestamp": "2026-11-22T12:00:00Z", "data": {"subscription": "sub-1", "plan": "m"}}
    assert door.signed(event).status_code == 202


def test_there_is_nothing_to_read_at_the_door(door: Door) -> None:
    assert door.client.get("/webhooks/whmcs").status_code == 405
    assert door.client.post("/webhooks/other").status_code == 404


@pytest.mark.parametrize(
    ("source", "secret"),
    [
        ("", SECRET),
        ("WHMCS", SECRET),
        ("../x", SECRET),
        ("whmcs", ""),
        ("whmcs", "whsec_"),
        ("whmcs", "whsec_" + base64.b64encode(b"short").decode()),
        ("whmcs", "whsec_" + base64.b64encode(b"l" * 65).decode()),
        ("whmcs", "whsec_not base64!"),
    ],
)
def test_a_door_without_a_real_secret_or_name_does_not_open(source: str, secret: str) -> None:
    with pytest.raises(Refused) as no:
        WebhookDoor(source=source, secret=secret)
    assert no.value.code is Code.CONFIGURATION_INVALID
    key = secret.removeprefix("whsec_")
    assert not key or key not in str(no.value)


def test_the_secret_is_never_shown() -> None:
    assert SECRET not in repr(WebhookDoor(source="whmcs", secret=SECRET))


def test_an_event_id_that_tells_something_else_the_second_time_is_a_conflict() -> None:
    """The later one may be a renewal: its sender must not hear that it was taken."""

    def refuse(**hint: Any) -> bool:
        raise Refused(Code.ALREADY_STORED, "whmcs told something else under this event id")

    application = FastAPI()
    application.include_router(
        router(WebhookDoor(source="whmcs", secret=SECRET), store_hint=refuse, clock=lambda: NOW)
    )
    with TestClient(application) as client:
        answer = Door(client=client, store=Store()).signed(ENDED)
    assert answer.status_code == 409
    assert answer.json()["code"] == "ALREADY_STORED"


def test_an_event_id_that_ends_in_a_line_feed_is_refused_by_the_door_itself() -> None:
    """No HTTP server passes such a header on; the door does not rely on that."""
    body = json.dumps(ENDED).encode()
    headers = signature(body, event_id="msg_1\n")
    with pytest.raises(Refused) as refused:
        WebhookDoor(source="whmcs", secret=SECRET).read(body, headers)
    assert refused.value.code is Code.WEBHOOK_MALFORMED
