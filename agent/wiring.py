"""Which drivers this program uses: the one place where real ones are chosen.

Rules: what may be opened was recorded at boot (`only_images`, `host_facts`) and nothing since can widen it;
the trust root, the keys and the secret are this boot's files.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from agent import admission, found_media, inventory
from agent.errors import Code
from agent.execute import Execution
from agent.host_facts import EmulatedHostFacts, HostFacts, LinuxHostFacts
from agent.journal import JournalWriter
from agent.permit import Permit
from agent.run_directory import BootRecord, RunDirectory, boottime_ms
from agent.techniques import TECHNIQUES
from agent.techniques.overwrite import OVERWRITES, overwrites
from agent.techniques.technique import Technique
from agent.tokens import TokenFolder, TokenRecord
from agent.world import World
from certificate import envelope
from certificate.errors import Refused
from certificate.keys import PrivateKey
from certificate.messages import Execute, InventoryAnswer, JournalLine
from certificate.statements import Boot, Order, Seen
from certificate.statements import statement as statements
from certificate.statements.vocabulary import Technique as TechniqueName

#: Starts a process that holds the execution lock by inheriting its descriptor: run directory, token,
#: descriptor, and whether it may only observe.
Launcher = Callable[[RunDirectory, str, int, bool], None]


def own_program() -> tuple[str, ...]:
    """This program as a command. -P: what lies in the current directory is not ours."""
    return (sys.executable, "-P", "-m", "agent.cli")


def real_world() -> World:
    return World(clock=boottime_ms, now=lambda: datetime.now(UTC), pause=time.sleep, random_bytes=os.urandom)


def take_inventory(boot: BootRecord) -> tuple[inventory.Storage, InventoryAnswer]:
    """All storage of this machine, open for commands, and what it says. Raises Refused, Malformed."""
    only_images = None if boot.only_images is None else Path(boot.only_images)
    storage = inventory.open_drives(only_images=only_images)
    return storage, inventory.take(storage, boot_id=boot.boot_id, host_facts=_host_facts(boot))


def evidence_key(run: RunDirectory) -> PrivateKey:
    """This boot's key. Raises Malformed(KEY_UNREADABLE), Refused(RUN_DIRECTORY_BROKEN)."""
    key = PrivateKey.from_openssh(run.evidence_key_file.read_bytes(), passphrase=None)
    if key.public.boot_id != run.boot().boot_id:
        raise Refused(Code.RUN_DIRECTORY_BROKEN, "the evidence key is not this boot's")
    return key


def execution(
    run: RunDirectory,
    folder: TokenFolder,
    *,
    world: World,
    is_attached: bool,
    after_append: Callable[[JournalLine], None] | None = None,
) -> Execution:
    """The accepted order of `folder`, ready to run. The caller holds the execution lock.

    `after_append` is told each journal line once it is durable.
    Raises Refused: TOKEN_UNKNOWN, BOOT_MISMATCH, RUN_DIRECTORY_BROKEN, JOURNAL_BROKEN, IMAGE_INVALID.
    """
    boot, record, request = run.boot(), folder.record(), folder.request()
    if record is None:
        raise Refused(Code.TOKEN_UNKNOWN, "this token was never accepted")
    order = _accepted_order(request, record, boot)
    storage, seen = take_inventory(boot)
    media = found_media.find(order, storage, seen, admission.salts_of(request.media_salts))
    journal = JournalWriter(
        folder.journal_file, token=record.token, clock=world.clock, after_append=after_append
    )
    return Execution(
        order=order,
        order_digest=record.order_digest,
        permit=Permit(run=run, folder=folder, record=record, clock=world.clock, pause=world.pause),
        journal=journal,
        key=evidence_key(run),
        has_secret=secret_is_held(run),
        marker_nonce=folder.marker_nonce_file.read_bytes(),
        media=media,
        techniques=techniques(order),
        teardown=inventory.teardown(storage, seen.drives, pause=world.pause),
        unexpected_count=found_media.unexpected_count(media, seen),
        take_inventory=partial(take_inventory, boot),
        annex=found_media.annex(order, media, seen, host_salt=request.host_salt),
        world=world,
        was_attached=is_attached,
    )


def _accepted_order(request: Execute, record: TokenRecord, boot: BootRecord) -> Order:
    if record.boot_id != boot.boot_id:
        raise Refused(Code.BOOT_MISMATCH, "the token was accepted by an earlier boot")
    order = envelope.read(request.delivery.order.encode())
    if order.payload_digest != record.order_digest:
        raise Refused(Code.RUN_DIRECTORY_BROKEN, "the stored order is not the accepted one")
    return statements.read(order.payload, Order).predicate


def techniques(order: Order) -> dict[TechniqueName, Technique]:
    """Those of this release; the host's own share its processors among the drives that may need one."""
    count = sum(any(name in OVERWRITES for name in medium.techniques) for medium in order.plan.media)
    return {**TECHNIQUES, **overwrites(count)}


def secret_is_held(run: RunDirectory) -> Seen:
    """Whether the secret in this boot's hands is the one its signed configuration names."""
    config = statements.read(envelope.read(run.config_file.read_bytes()).payload, Boot).predicate
    digest = hashlib.sha256(run.secret_file.read_bytes()).hexdigest()
    return Seen.that(hmac.compare_digest(digest, config.secret_digest))


def launch(run: RunDirectory, token: str, lock: int, is_attached: bool) -> None:
    """Starts `execute` in a session of its own, so that it outlives this one and its terminal."""
    command = [*own_program(), "execute", "--run-dir", str(run.path), "--token", token]
    command += ["--lock-fd", str(lock), *(["--attach"] if is_attached else [])]
    log_file = run.tokens_folder / token / "execute.log"
    descriptor = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "ab") as log:
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,
            pass_fds=(lock,),
            cwd="/",
        )


def _host_facts(boot: BootRecord) -> HostFacts:
    return LinuxHostFacts() if boot.host_facts is None else EmulatedHostFacts(Path(boot.host_facts))
