"""`serve`: everything up or nothing, and down again in order."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from certificate.errors import Code as CertificateCode
from certificate.errors import Refused
from certificate.keys import PrivateKey
from certificate.statements import Purpose
from controller.api.documents import Status
from controller.cli.client import Client
from controller.configuration import Configuration, configuration_at
from controller.errors import Code
from controller.machine import machine_id
from controller.pseudonyms import Pseudonyms
from controller.serving import PartDied, Wiring, check_agreement, serve
from controller.spool import HintEvent, Spool, make_hint
from controller.store import AnchorKeeper, hints, open_store
from controller.wiring import read_documents

PATIENCE_SECONDS = 30.0
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Dispatch:
    """A loop that does nothing until it is stopped, or until a test ends it."""

    def __init__(self) -> None:
        self.running = threading.Event()
        self.over = threading.Event()
        self.wakes = 0
        self.failure: Exception | None = None

    def wake(self) -> None:
        self.wakes += 1

    def run(self, stop: threading.Event) -> None:
        self.running.set()
        while not stop.is_set() and not self.over.is_set():
            stop.wait(0.01)
        if self.failure is not None:
            raise self.failure


class Running:
    """A `serve` in a thread of its own."""

    def __init__(self, founded: Any, keyring: Any, configuration: Configuration) -> None:
        self.home = founded.home
        self.dispatch = Dispatch()
        self.stop = threading.Event()
        self.raised: BaseException | None = None
        self.keyring = keyring
        self.configuration = configuration
        self._thread = threading.Thread(target=self._run)

    def wire(self, home: Any, configuration: Any, keyring: Any) -> Any:
        """What serve itself looks at of a program; the drivers are the dispatcher's."""
        keeper = AnchorKeeper(configuration.anchor_path(home), machine_id=machine_id())
        self.store = open_store(home.database, anchoring=keeper)
        return SimpleNamespace(
            store=self.store,
            keeper=keeper,
            configuration=configuration,
            documents=read_documents(home),
            keyring=keyring,
            pseudonyms=Pseudonyms(keyring.pseudonym_key),
            clock=lambda: datetime.now(UTC),
            random_bytes=os.urandom,
            version="0.0.test",
        )

    def _run(self) -> None:
        wiring = Wiring(wire=self.wire, dispatcher=lambda program: self.dispatch)
        try:
            with self.home.locked():
                serve(self.home, self.configuration, self.keyring, wiring=wiring, stop=self.stop)
        except BaseException as error:
            self.raised = error

    def start(self) -> Running:
        self._thread.start()
        return self

    def started(self) -> Running:
        self.start()
        assert self.dispatch.running.wait(PATIENCE_SECONDS), self.raised
        return self

    def ended(self) -> Running:
        self._thread.join(PATIENCE_SECONDS)
        assert not self._thread.is_alive()
        return self


Make = Callable[..., Running]


@pytest.fixture
def make(founded: Any, founded_keyring: Any) -> Iterator[Make]:
    made: list[Running] = []

    def build(*, domain: str = "demo.example", more: str = "") -> Running:
        """`more` is added to the configuration."""
        written = founded.home.configuration.read_text().replace("demo.example", domain)
        founded.home.configuration.write_text(written + more)
        made.append(Running(founded, founded_keyring, configuration_at(founded.home)))
        return made[-1]

    yield build
    for running in made:
        running.stop.set()
        running.dispatch.over.set()
        if running._thread.ident is not None:
            running.ended()


def status_of(running: Running) -> Status:
    with Client.of(running.home) as client:
        return client.get("/v1/status", Status)


def stored_hints(home: Any) -> list[HintEvent]:
    store = open_store(home.database, is_read_only=True)
    try:
        with store.snapshot() as tx:
            return [hint.event for hint in hints.untaken(tx, limit=10)]
    finally:
        store.close()


def test_it_answers_while_it_runs_and_leaves_nothing_behind(make: Make) -> None:
    running = make().started()
    assert status_of(running).release == "0.0.test"
    running.stop.set()
    running.ended()
    assert running.raised is None
    assert not running.home.socket.exists()
    with running.home.locked():
        pass


def test_hints_in_the_spool_are_stored_before_anything_is_dispatched(make: Make) -> None:
    running = make()
    now = datetime.now(UTC)
    hint = make_hint(event="renewed", subscription="sub-1", now=now, random_16_bytes=bytes(16))
    Spool(running.home.spool).write(hint, now=now)
    running.started()
    assert list(running.home.spool.iterdir()) == []
    assert stored_hints(running.home) == [HintEvent.RENEWED]
    assert running.dispatch.wakes == 1


def test_a_dispatcher_that_returns_by_itself_ends_the_whole(make: Make) -> None:
    running = make().started()
    running.dispatch.over.set()
    running.ended()
    assert isinstance(running.raised, PartDied)
    assert not running.home.socket.exists()


def test_a_dispatcher_that_breaks_ends_the_whole_with_its_own_error(make: Make) -> None:
    running = make()
    running.dispatch.failure = ZeroDivisionError()
    running.started().dispatch.over.set()
    running.ended()
    assert isinstance(running.raised, ZeroDivisionError)
    assert not running.home.socket.exists()


def test_a_listener_that_dies_ends_the_whole(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(*_: Any, **__: Any) -> None:
        raise OSError("no more descriptors")

    monkeypatch.setattr("controller.api.listener.uvicorn.Server.run", dies)
    running = make().start().ended()
    assert isinstance(running.raised, PartDied)


def test_a_configuration_of_another_domain_is_refused_and_nothing_listens(make: Make) -> None:
    running = make(domain="other.example")
    running.start().ended()
    assert isinstance(running.raised, Refused)
    assert running.raised.code is Code.CONFIGURATION_INVALID
    assert not running.home.socket.exists()


@pytest.mark.parametrize(
    ("floors", "place"),
    [
        ({"grace_floor": timedelta(minutes=59)}, "lifecycle.grace_floor"),
        ({"dwell_floor": timedelta(minutes=9)}, "lifecycle.dwell_floor"),
    ],
)
def test_a_production_trust_root_refuses_the_floors_of_a_demonstration(
    founded: Any, founded_keyring: Any, floors: dict[str, timedelta], place: str
) -> None:
    configuration = configuration_at(founded.home)
    root = read_documents(founded.home).trust
    low = configuration.model_copy(update={"lifecycle": configuration.lifecycle.model_copy(update=floors)})
    check_agreement(root, low, founded_keyring)
    in_production = root.model_copy(update={"purpose": Purpose.PRODUCTION})
    check_agreement(in_production, configuration, founded_keyring)
    with pytest.raises(Refused) as refused:
        check_agreement(in_production, low, founded_keyring)
    assert refused.value.code is Code.CONFIGURATION_INVALID
    assert place in refused.value.reason


@pytest.mark.parametrize("name", ["order", "log", "issuer", "boot"])
def test_a_key_that_the_trust_root_does_not_list_is_refused(make: Make, name: str) -> None:
    running = make()
    running.keyring = replace(running.keyring, **{name: PrivateKey.from_seed(b"x" * 32)})
    running.start().ended()
    assert isinstance(running.raised, Refused)
    assert running.raised.code is CertificateCode.KEY_UNTRUSTED
    assert f"keys/{name}" in running.raised.reason


def test_a_frozen_store_still_answers_and_says_so(make: Make) -> None:
    running = make()
    running.home.anchor.unlink()
    assert status_of(running.started()).is_frozen


@pytest.fixture
def webhook_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def with_webhook(make: Make, port: int, secret: str | None) -> Running:
    running = make(more=f'[webhook]\nlisten = "127.0.0.1:{port}"\nsecret_file = "webhook.secret"\n')
    if secret is not None:
        (running.home.path / "webhook.secret").write_text(secret + "\n")
    return running


def test_a_signed_webhook_is_stored_as_a_hint_and_wakes_the_dispatcher(make: Make, webhook_port: int) -> None:
    running = with_webhook(make, webhook_port, SECRET).started()
    body = '{"type":"subscription.renewed","data":{"subscription":"sub-7"}}'
    now = datetime.now(UTC)
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(SECRET).sign("msg_1", now, body),
    }
    url = f"http://127.0.0.1:{webhook_port}/webhooks/billing"
    answers = [httpx.post(url, content=body, headers=headers).status_code for _ in range(2)]
    assert answers == [202, 200]
    assert stored_hints(running.home) == [HintEvent.RENEWED]
    assert running.dispatch.wakes >= 1
    assert (
        httpx.post(url, content=body, headers={**headers, "webhook-signature": "v1,AAAA"}).status_code == 401
    )


def test_a_webhook_without_its_secret_stops_the_start(make: Make, webhook_port: int) -> None:
    running = with_webhook(make, webhook_port, None).start().ended()
    assert isinstance(running.raised, Refused)
    assert running.raised.code is CertificateCode.FILE_UNREADABLE
    assert not running.home.socket.exists()


def test_a_hint_that_came_to_the_spool_while_serving_is_taken_soon(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.serving.SPOOL_EVERY_SECONDS", 0.05)
    running = make().started()
    now = datetime.now(UTC)
    hint = make_hint(event="ended", subscription="sub-1", now=now, random_16_bytes=bytes(16))
    Spool(running.home.spool).write(hint, now=now)
    deadline = threading.Event()
    for _ in range(600):
        if stored_hints(running.home):
            break
        deadline.wait(0.05)
    assert stored_hints(running.home) == [HintEvent.ENDED]
    assert list(Path(running.home.spool).iterdir()) == []
