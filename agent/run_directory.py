"""The run directory: what one boot of the agent knows, in files, and the lock under which it acts.

Rules: the directory belongs to the agent's own user and to nobody else; a boot is there when `boot.json` is,
which is written last; the highest fence only rises; one process holds the execution lock, and a child that
inherits its descriptor goes on holding it, so there is no moment between acceptance and execution in which
nobody does. Standard library only: `hello` reads these files and must start fast.

Records are session-line models (`certificate.messages.Line`): closed, typed, strictly read.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from agent import durable
from agent.errors import Code
from certificate import strict_json
from certificate.errors import Refused
from certificate.messages import BareLine, Line

MAX_RECORD_BYTES = 65_536
#: Somebody who only asks whether the lock is held holds it for microseconds; try again before saying BUSY.
LOCK_TRIES = 20
LOCK_PAUSE_SECONDS = 0.01


def boottime_ms() -> int:
    """CLOCK_BOOTTIME in milliseconds: the agent's monotonic clock, running through suspension too."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


class BootRecord(BareLine):
    """Public facts of this boot, and what the agent may open. `only_images` and `host_facts` are paths."""

    name = "boot_record"
    boot_id: str
    evidence_key: str
    ssh_host_key_blob: str
    #: SHA-256 of the configuration file's bytes.
    config_digest: str
    purpose: str
    deprovision: str
    boot_trust: str
    booted_at_ms: int
    only_images: str | None
    host_facts: str | None


class HelloRecord(BareLine):
    """The nonce that the next order must name, and when it was given (CLOCK_BOOTTIME, milliseconds)."""

    name = "hello_record"
    nonce: str
    boottime_ms: int


class FenceRecord(BareLine):
    """The highest fence of any authentic order this boot has seen, and that order's token."""

    name = "fence_record"
    highest: int
    token: str


RecordT = TypeVar("RecordT", bound=Line)


def read_record(path: Path, kind: type[RecordT]) -> RecordT | None:
    """The record in `path`, None where there is no file. Raises Refused(RUN_DIRECTORY_BROKEN)."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        raw = strict_json.load_object(data, max_bytes=MAX_RECORD_BYTES, what=path.name)
        if raw.pop("line", None) != kind.name:
            raise Refused(Code.RUN_DIRECTORY_BROKEN, f"{path.name} is not a {kind.name}")
        return kind.from_fields(raw)
    except Refused as refusal:
        raise Refused(Code.RUN_DIRECTORY_BROKEN, f"{path.name}: {refusal.reason}") from None


class RunDirectory:
    """The files of one boot. Paths only; nothing is read before it is asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def boot_file(self) -> Path:
        return self.path / "boot.json"

    @property
    def config_file(self) -> Path:
        return self.path / "config.dsse.json"

    @property
    def trust_root_file(self) -> Path:
        return self.path / "trust-root.json"

    @property
    def secret_file(self) -> Path:
        return self.path / "secret"

    @property
    def evidence_key_file(self) -> Path:
        return self.path / "evidence_ed25519_key"

    @property
    def ssh_host_key_file(self) -> Path:
        return self.path / "ssh_host_ed25519_key"

    @property
    def authorized_keys_file(self) -> Path:
        return self.path / "authorized_keys"

    @property
    def hello_file(self) -> Path:
        return self.path / "hello.json"

    @property
    def fence_file(self) -> Path:
        return self.path / "fence.json"

    @property
    def lock_file(self) -> Path:
        return self.path / "execution.lock"

    @property
    def tokens_folder(self) -> Path:
        return self.path / "tokens"

    @property
    def earlier_folder(self) -> Path:
        return self.path / "earlier"

    def boot(self) -> BootRecord:
        """Raises Refused: RUN_DIRECTORY_UNSAFE, NOT_BOOTED, RUN_DIRECTORY_BROKEN."""
        require_own(self.path)
        record = read_record(self.boot_file, BootRecord)
        if record is None:
            raise Refused(Code.NOT_BOOTED, "there is no finished boot in the run directory")
        return record

    def hello(self) -> HelloRecord | None:
        return read_record(self.hello_file, HelloRecord)

    def fence(self) -> FenceRecord:
        """-1 and no token before the first order."""
        return read_record(self.fence_file, FenceRecord) or FenceRecord(highest=-1, token="")

    def raise_fence(self, fence: int, *, token: str) -> None:
        """The highest fence is at least `fence` from now on, durably. The caller knows the order is real."""
        with self.settling():
            if fence > self.fence().highest:
                durable.write_whole(self.fence_file, FenceRecord(highest=fence, token=token).write())

    def take_lock(self) -> int | None:
        """A descriptor that holds the execution lock (inheritable), or None when another process has it."""
        descriptor = os.open(self.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, durable.OWNER_ONLY)
        for attempt in range(LOCK_TRIES):
            if _try_lock(descriptor, fcntl.LOCK_EX):
                return descriptor
            if attempt + 1 < LOCK_TRIES:
                time.sleep(LOCK_PAUSE_SECONDS)
        os.close(descriptor)
        return None

    def holds_lock(self, descriptor: int) -> bool:
        """Whether this descriptor is the lock file's and holds the lock (or takes it now)."""
        try:
            is_lock_file = os.path.samestat(os.fstat(descriptor), self.lock_file.stat())
        except OSError:
            return False
        return is_lock_file and _try_lock(descriptor, fcntl.LOCK_EX)

    def is_executing(self) -> bool:
        """Whether any process holds the execution lock now."""
        descriptor = os.open(self.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, durable.OWNER_ONLY)
        try:
            return not _try_lock(descriptor, fcntl.LOCK_SH)
        finally:
            os.close(descriptor)

    @contextmanager
    def settling(self) -> Iterator[None]:
        """A short exclusive section: beginning and poisoning a token, storing an acknowledgement or evidence,
        and raising the fence happen in turn. Whoever needs the execution lock too takes that one first.
        """
        descriptor = os.open(
            self.path / "settling.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, durable.OWNER_ONLY
        )
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def require_own(folder: Path) -> None:
    """Raises Refused(RUN_DIRECTORY_UNSAFE) unless `folder` is a directory of this user with mode 0700."""
    try:
        seen = folder.lstat()
    except OSError as error:
        raise Refused(Code.NOT_BOOTED, f"the run directory cannot be read: {error.strerror}") from None
    is_folder = (seen.st_mode & 0o170000) == 0o040000
    if not is_folder or seen.st_uid != os.geteuid() or seen.st_mode & 0o077:
        raise Refused(Code.RUN_DIRECTORY_UNSAFE, "the run directory is not a private directory of this user")


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise
        return False
    return True
