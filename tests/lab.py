"""A laboratory: one machine with simulated drives and images, its agent, and a controller's hands.

`Lab(folder)`: `boot` it, ask it (`ask`), `order` its drives, `accept` the order and `run` the execution.
Everything passes the real session, the real delivery and the real drivers of simulated drives; nothing is
patched. Keys come from fixed seeds and guard nothing. An execution runs in the test's own process unless the
test forks one.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from agent import boot as boot_module
from agent import executor, session, wiring
from agent.devices.simulated import Fault, SimulatedNvme, SimulatedPlain
from agent.run_directory import BootRecord, RunDirectory, boottime_ms
from agent.tokens import TokenFolder
from agent.world import World
from certificate import assurance, envelope, messages, trust
from certificate.messages import (
    Ack,
    AskInventory,
    AskStatus,
    Hello,
    HelloAnswer,
    InventoryAnswer,
    JournalLine,
    Line,
    StatusAnswer,
)
from certificate.statements import Boot, Evidence, Order, make, subject
from certificate.statements.outcome import Claim
from tests.lab_papers import DEPROVISION, FACTS, Papers, digest_of, frame, key_of, now_utc, read_as, text_of

SECRET = hashlib.sha256(b"secret of the laboratory").digest()
CAPACITY_BYTES = 512 * 1024
#: The smallest that is still an image.
IMAGE_BYTES = 1 << 20
PLANTED = b"a tenant's secret, planted before the erase;"


class FakeTime:
    """A monotonic clock that moves only when somebody waits."""

    def __init__(self) -> None:
        self.ms = boottime_ms()

    def clock(self) -> int:
        return self.ms

    def pause(self, seconds: float) -> None:
        self.ms += max(1, int(seconds * 1000))


@dataclass
class Lab(Papers):
    """One machine under test and everything a controller would hold."""

    drives: list[SimulatedNvme] = field(default_factory=list)
    locks: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.images = self.folder / "drives"
        self.images.mkdir()
        self.facts_file = self.folder / "facts.json"
        self.facts_file.write_text(json.dumps(FACTS))
        self.trust_root = self.folder / "trust-root.json"
        self.trust_root.write_bytes(trust.sign(self.root, key_of("root")).write())
        self.run_directory = RunDirectory(self.folder / "run")

    # --- the machine ----------------------------------------------------------------------------------------

    def add_drive(self, serial: str, *faults: str, **settings: Any) -> SimulatedNvme:
        arguments: dict[str, Any] = {
            "serial": serial,
            "model": "SIM NVME 1",
            "firmware": "1.0",
            "capacity_bytes": CAPACITY_BYTES,
            "random": os.urandom,
            "faults": [Fault(fault) for fault in faults],
        }
        drive = SimulatedNvme.create(self.images / serial, **(arguments | settings))
        # More pages than there are markers, so that no marker alone can hide the text.
        drive.write(1, 8 * 4096, (PLANTED * 100)[:4096] * 64)
        self.drives.append(drive)
        self.serials.append(serial)
        return drive

    def add_plain(self, serial: str, *faults: str, **settings: Any) -> SimulatedPlain:
        """A simulated drive without any erase command."""
        arguments: dict[str, Any] = {
            "serial": serial,
            "model": "SIM PLAIN 1",
            "firmware": "1.0",
            "capacity_bytes": CAPACITY_BYTES,
            "random": os.urandom,
        }
        drive = SimulatedPlain.create(self.images / serial, **(arguments | settings))
        drive.write(1, 8 * 4096, (PLANTED * 100)[:4096] * 64)
        drive.set_faults(Fault(fault) for fault in faults)
        self.serials.append(serial)
        return drive

    def add_image(self, serial: str, content: bytes | None = None) -> Path:
        """A file that is a drive, full of a tenant's text unless `content` says otherwise."""
        path = self.images / f"{serial}.img"
        path.write_bytes(content or (PLANTED * (IMAGE_BYTES // len(PLANTED) + 1))[:IMAGE_BYTES])
        path.with_suffix(".json").write_text(json.dumps({"serial": serial, "model": "IMAGE 1"}))
        self.serials.append(serial)
        return path

    def config(self, **changes: Any) -> bytes:
        """The signed boot configuration."""
        fields = frame(
            deprovision=DEPROVISION,
            boot_trust="virtual_media",
            signer=key_of("boot").public.keyid,
            trust_root_digest=trust.fingerprint(self.trust_root.read_bytes()),
            controller_ssh_keys=[key_of("controller").public.ssh_line],
            secret_digest=hashlib.sha256(SECRET).hexdigest(),
            expires_at=text_of(now_utc() + timedelta(hours=1)),
        )
        statement = make(read_as(Boot, fields | changes), (subject("boot-secret", digest_of("s")),))
        return envelope.sign(statement.payload(), key_of("boot")).write()

    def boot_files(self, config: bytes | None = None, secret: bytes = SECRET) -> boot_module.BootFiles:
        config_file, secret_file = self.folder / "config.json", self.folder / "secret"
        config_file.write_bytes(config if config is not None else self.config())
        secret_file.write_bytes(secret)
        return boot_module.BootFiles(
            config=config_file,
            secret=secret_file,
            trust_root=self.trust_root,
            only_images=self.images,
            host_facts=self.facts_file,
        )

    def boot(self, config: bytes | None = None, secret: bytes = SECRET) -> BootRecord:
        """A start of the agent; a second one is a restart."""
        self.record = boot_module.boot(
            self.run_directory,
            self.boot_files(config, secret),
            now=now_utc(),
            session=("expunge-agent", "session"),
        )
        return self.record

    # --- the session ----------------------------------------------------------------------------------------

    def ask(self, line: Line, launcher: wiring.Launcher | None = None) -> Line:
        """One request, its only answer."""
        answers = io.BytesIO()
        code = session.serve(
            self.run_directory,
            request=io.BytesIO(line.write()),
            answers=answers,
            launcher=launcher or self.keep_lock,
        )
        lines = answers.getvalue().splitlines(keepends=True)
        assert (code, len(lines)) == (0, 1), (code, lines)
        return messages.read_answer(lines[0])

    def keep_lock(self, run: RunDirectory, token: str, lock: int, is_attached: bool) -> None:
        """A launcher that starts nothing: the test's own process holds the lock, `run` goes on with it."""
        self.locks.append(os.dup(lock))

    def hello(self, purpose: str = "order") -> HelloAnswer:
        answer = self.ask(Hello(controller_nonce=os.urandom(32).hex(), purpose=purpose))
        assert isinstance(answer, HelloAnswer)
        return answer

    def inventory(self) -> InventoryAnswer:
        answer = self.ask(AskInventory())
        assert isinstance(answer, InventoryAnswer), answer
        return answer

    def status(self, token: str, *, finalise: bool = False) -> StatusAnswer:
        answer = self.ask(AskStatus(token=token, finalise=finalise))
        assert isinstance(answer, StatusAnswer), answer
        return answer

    def accept(self, order: Order | None = None) -> Order:
        """An accepted order, whose lock this process now holds."""
        accepted = order or self.order()
        answer = self.ask(self.request(accepted))
        assert isinstance(answer, messages.Accepted), answer
        return accepted

    # --- the execution --------------------------------------------------------------------------------------

    def run(
        self,
        order: Order,
        *,
        is_attached: bool = False,
        after: Callable[[JournalLine], None] | None = None,
        world: World | None = None,
        may_ack: Callable[[JournalLine], bool] = lambda line: True,
    ) -> None:
        """The execution in this process, acknowledged by a controller that answers at once."""

        def after_append(line: JournalLine) -> None:
            if after is not None:
                after(line)
            if line.needs_ack and may_ack(line):
                self.ack(order, line)

        lock = self.locks.pop() if self.locks else None
        executor.execute(
            self.run_directory,
            order.token,
            lock=lock,
            is_attached=is_attached,
            world=world or quick_world(),
            after_append=after_append,
        )

    def ack(self, order: Order, line: JournalLine, **changes: Any) -> Line:
        assert self.record is not None
        fields: dict[str, Any] = {
            "token": order.token,
            "boot_id": self.record.boot_id,
            "seq": line.seq,
            "step": line.step,
        }
        return self.ask(Ack(**(fields | changes)))

    def token_folder(self, order: Order) -> TokenFolder:
        return TokenFolder(self.run_directory.tokens_folder / order.token)

    def journal(self, order: Order) -> tuple[JournalLine, ...]:
        return self.token_folder(order).journal().lines

    def kinds(self, order: Order) -> list[str]:
        return [line.kind for line in self.journal(order)]

    def evidence(self, order: Order) -> Evidence:
        """The evidence of the journal, its signature checked as a verifier does."""
        line = next(line for line in self.journal(order) if line.kind == "evidence")
        statement, _ = self.root.open_evidence(line.body["envelope"].encode(), boot_id=order.boot_id)
        return statement.predicate

    def claim(self, order: Order, serial: str) -> Claim:
        return assurance.judge(order=order, evidence=self.evidence(order), commitment=self.commitment(serial))

    def close(self) -> None:
        for lock in self.locks:
            os.close(lock)


def quick_world() -> World:
    """Real clocks, and waits cut short: simulated drives move by polls."""
    return World(
        clock=boottime_ms,
        now=lambda: datetime.now(UTC),
        pause=lambda seconds: time.sleep(min(seconds, 0.002)),
        random_bytes=os.urandom,
    )
