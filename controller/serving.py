"""`serve` from the lock to the last thread: one process that holds the home, answers, and dispatches.

Order at start: lock; the program is wired (documents verified, database opened); configuration, trust root
and keys agree; the validation table is none older than the store worked under; the anchor is compared; the
spool is drained; the socket appears; dispatching begins. At the end: the dispatcher finishes what it holds,
no more questions are taken, the database is closed, the lock is let go. A thread that dies ends the whole
program, because half a controller looks like a whole one to its watchers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from certificate.errors import Code as CertificateCode
from certificate.errors import Refused
from certificate.keys import PublicKey
from certificate.log.note import ED25519
from certificate.statements import Purpose
from certificate.trust import TrustRoot
from controller import tables
from controller.api import webhook
from controller.api.desk import Desk
from controller.api.listener import Served, tcp_socket, unix_socket
from controller.api.routers import routers
from controller.api.server import application
from controller.configuration import Configuration, Lifecycle
from controller.errors import Code
from controller.home import Home
from controller.keyring import Keyring
from controller.program import Program
from controller.sources import HintKind
from controller.spool import Hint, HintEvent, Spool

#: A hook that could not reach a running `serve` in time leaves its hint in the spool; nobody waits longer.
SPOOL_EVERY_SECONDS = 20.0

#: Long enough that somebody notices a mistaken ending before the host is taken away, and that the call of
#: whoever lost it is answered before the host is read. Seconds are for demonstrations, which say so.
LEAST_GRACE_FLOOR = timedelta(hours=1)
LEAST_DWELL_FLOOR = timedelta(minutes=10)

logger = structlog.get_logger(__name__)


class PartDied(Exception):
    """A part of `serve` ended by itself, so all of it ended."""


class Dispatch(Protocol):
    """The loop that advances every deprovision (`dispatch.embedded`)."""

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set; returns when nothing of its own runs any more."""
        ...

    def wake(self) -> None:
        """Something is due. Returns at once; any thread may call it."""
        ...


@dataclass(frozen=True, kw_only=True)
class Wiring:
    """`wire` chooses the drivers and opens the database; `dispatcher` makes the loop over them."""

    wire: Callable[[Home, Configuration, Keyring], Program]
    dispatcher: Callable[[Program], Dispatch]


def serve(
    home: Home, configuration: Configuration, keyring: Keyring, *, wiring: Wiring, stop: threading.Event
) -> None:
    """Runs until `stop` is set. The caller holds the home's lock. `ready` is logged once the socket listens.

    Raises Refused: CONFIGURATION_INVALID, KEY_UNTRUSTED, and whatever wiring refuses. Raises PartDied when a
    thread ended that nobody had stopped.
    """
    program = wiring.wire(home, configuration, keyring)
    with ExitStack() as at_end:
        at_end.callback(program.store.close)
        check_agreement(program.documents.trust, configuration, keyring)
        take_up_table(program)
        dispatch = wiring.dispatcher(program)
        desk = desk_of(program, wake=dispatch.wake)
        _report_anchor(program)
        at_end.enter_context(_spool_drained(Spool(home.spool), desk))
        ended_early = threading.Event()

        def ended() -> None:
            if not stop.is_set():
                ended_early.set()
                stop.set()

        app = application(desk, routers(program, wake=dispatch.wake))
        served = Served(app, unix_socket(home.socket), name="serve.sock", ended=ended)
        at_end.callback(served.stop)
        at_end.callback(home.socket.unlink, missing_ok=True)
        if (webhooks := _webhooks(home, configuration, desk, ended)) is not None:
            at_end.callback(webhooks.stop)
        logger.info("ready", socket=str(home.socket), release=program.version)
        try:
            dispatch.run(stop)
        finally:
            is_asked_to_stop = stop.is_set() and not ended_early.is_set()
            stop.set()
    if not is_asked_to_stop:
        raise PartDied("a part of serve ended by itself; see the log above")
    logger.info("stopped")


def check_agreement(root: TrustRoot, configuration: Configuration, keyring: Keyring) -> None:
    """Refuses unless configuration and keys are those that the trust root speaks of.

    Raises Refused: CONFIGURATION_INVALID for another domain or, in production, floors of a demonstration;
    KEY_UNTRUSTED for another key.
    """
    if configuration.provider.domain != root.domain:
        raise Refused(
            Code.CONFIGURATION_INVALID,
            f"provider.domain is {configuration.provider.domain}, the trust root is {root.domain}'s",
        )
    if root.purpose is Purpose.PRODUCTION:
        _require_floors(configuration.lifecycle)
    trusted = {key.public.raw for key in root.keys} | {
        PublicKey.from_hex(key.public_key).raw for key in root.log.keys if key.signature_type == ED25519
    }
    for name in ("order", "log", "issuer", "boot"):
        public: PublicKey = getattr(keyring, name).public
        if public.raw not in trusted:
            raise Refused(
                CertificateCode.KEY_UNTRUSTED,
                f"keys/{name} is {public.keyid}, which the trust root does not list",
            )


def take_up_table(program: Program) -> None:
    """The store remembers under which validation table it works. Raises Refused(TABLE_ROLLED_BACK)."""
    with program.store.transaction() as tx:
        tables.take_up(tx, program.documents.present_table, now=program.clock())


def _require_floors(lifecycle: Lifecycle) -> None:
    for name, floor, least in (
        ("grace_floor", lifecycle.grace_floor, LEAST_GRACE_FLOOR),
        ("dwell_floor", lifecycle.dwell_floor, LEAST_DWELL_FLOOR),
    ):
        if floor < least:
            raise Refused(
                Code.CONFIGURATION_INVALID,
                f"lifecycle.{name} is {floor}; under a production trust root it is {least} at least",
            )


def desk_of(program: Program, *, wake: Callable[[], None]) -> Desk:
    """The desk over a program's parts."""
    return Desk(
        store=program.store,
        anchor=program.keeper,
        pseudonyms=program.pseudonyms,
        private_text_key=program.keyring.private_text_key,
        signed_files=program.documents.signed_files,
        source=program.configuration.source.name,
        policy=program.configuration.policy,
        release=program.version,
        clock=program.clock,
        randomness=program.random_bytes,
        wake=wake,
    )


def _report_anchor(program: Program) -> None:
    with program.store.snapshot() as tx:
        comparison = program.keeper.compare(tx)
    if comparison.is_frozen:
        logger.error("frozen", because=comparison.because, remedy=Code.STORE_NOT_CURRENT.remedy)
    else:
        logger.info("anchor compared", standing=comparison.standing)


@contextmanager
def _spool_drained(spool: Spool, desk: Desk) -> Iterator[None]:
    """Drained once before the block begins, and now and then while it runs."""
    over = threading.Event()

    def take(hint: Hint) -> None:
        desk.tell(hint)

    def drain() -> None:
        drained = spool.drain(take, now=desk.clock())
        if drained.taken_count or drained.set_aside:
            logger.info("spool drained", taken=drained.taken_count, set_aside=drained.set_aside)

    def now_and_then() -> None:
        while not over.wait(SPOOL_EVERY_SECONDS):
            try:
                drain()
            except Exception:
                logger.exception("spool failed; its hints stay where they are")

    drain()
    thread = threading.Thread(target=now_and_then, name="spool")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _webhooks(
    home: Home, configuration: Configuration, desk: Desk, ended: Callable[[], None]
) -> Served | None:
    """The webhook's listener, where one is configured. Raises Refused(FILE_UNREADABLE)."""
    settings, secret_path = configuration.webhook, configuration.webhook_secret_path(home)
    if settings is None or secret_path is None:
        return None
    from fastapi import FastAPI

    try:
        secret = secret_path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(CertificateCode.FILE_UNREADABLE, f"{secret_path}: {error}") from None

    def store_hint(
        *, source: str, event_id: str, kind: HintKind, subscription: str, received_at: datetime
    ) -> bool:
        return desk.receive(source=source, event_id=event_id, event=EVENTS[kind], subscription=subscription)

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    door = webhook.WebhookDoor(source=configuration.source.name, secret=secret)
    app.include_router(webhook.router(door, store_hint=store_hint, clock=desk.clock))
    return Served(app, tcp_socket(settings.listen), name="webhook", ended=ended)


EVENTS = {HintKind.ENDED: HintEvent.ENDED, HintKind.RENEWED: HintEvent.RENEWED}
