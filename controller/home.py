"""The folder a controller lives in: what lies where, who may read it, and who may open it.

Rules: folders are 0700 and files 0600, whatever the umask; a file is replaced whole, never written over, and
is on the disk before the call returns; one process at a time holds the lock and so the database. Layout:
FORMATS.md, "Home". What stands in the files is decided by their owners.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from certificate.errors import Code as CertificateCode
from certificate.errors import Refused
from controller.errors import Code

FOLDER_MODE = 0o700
FILE_MODE = 0o600


@dataclass(frozen=True)
class Home:
    """The places of one home. Nothing exists until `create_folders`."""

    path: Path

    @classmethod
    def locate(cls, given: Path | None, *, environment: Mapping[str, str], user_id: int) -> Home:
        """`given`, else $EXPUNGE_HOME, else /var/lib/expunge for root, ~/.local/share/expunge for others."""
        if given is not None:
            return cls(given.absolute())
        if named := environment.get("EXPUNGE_HOME"):
            return cls(Path(named).absolute())
        if user_id == 0:
            return cls(Path("/var/lib/expunge"))
        return cls(Path(environment.get("HOME", "/")).absolute() / ".local" / "share" / "expunge")

    @property
    def configuration(self) -> Path:
        return self.path / "expunge.toml"

    @property
    def keys(self) -> Path:
        return self.path / "keys"

    @property
    def trust_root(self) -> Path:
        return self.path / "trust" / "root.json"

    @property
    def verify_policy(self) -> Path:
        return self.path / "policy" / "verify.json"

    @property
    def validation_table(self) -> Path:
        return self.path / "policy" / "validation.dsse.json"

    @property
    def database(self) -> Path:
        return self.path / "state" / "expunge.db"

    @property
    def anchor(self) -> Path:
        """Where the anchor lies unless the configuration names another disk."""
        return self.path / "state" / "anchor.json"

    @property
    def spool(self) -> Path:
        return self.path / "spool"

    @property
    def certificates(self) -> Path:
        return self.path / "certificates"

    @property
    def failures(self) -> Path:
        return self.path / "failures"

    @property
    def run(self) -> Path:
        return self.path / "run"

    @property
    def socket(self) -> Path:
        return self.run / "serve.sock"

    @property
    def lock_file(self) -> Path:
        return self.run / "lock"

    @property
    def is_initialised(self) -> bool:
        """Whether `init` ended here: the trust root is the last thing it writes."""
        return self.trust_root.exists()

    def require_initialised(self) -> None:
        """Raises Refused(HOME_MISSING) where `init` did not end."""
        if not self.is_initialised:
            raise Refused(Code.HOME_MISSING, f"{self.path} holds no trust root")

    def create_folders(self) -> None:
        """Every folder, 0700. Those that exist are narrowed to that mode."""
        self.path.mkdir(parents=True, exist_ok=True)
        files = (self.trust_root, self.verify_policy, self.database)
        folders = (self.keys, self.spool, self.certificates, self.failures, self.run)
        for folder in (self.path, *(file.parent for file in files), *folders):
            folder.mkdir(exist_ok=True)
            folder.chmod(FOLDER_MODE)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the home for this process. Raises Refused(HOME_IN_USE) while another process does.

        The lock is the kernel's: a process that dies, however it dies, lets go of it.
        """
        self.run.mkdir(mode=FOLDER_MODE, exist_ok=True)
        descriptor = os.open(self.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Refused(Code.HOME_IN_USE, f"another process holds {self.lock_file}") from None
            yield
        finally:
            os.close(descriptor)


@contextmanager
def socket_address(path: Path) -> Iterator[str]:
    """`path` as an address that `bind` and `connect` take, whatever its length.

    A Unix socket's address holds 107 bytes (unix(7)); through the open folder's descriptor any path fits.
    Raises Refused(FILE_UNREADABLE) where the folder cannot be opened.
    """
    try:
        descriptor = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise Refused(CertificateCode.FILE_UNREADABLE, f"{path.parent}: {error.strerror}") from None
    try:
        yield f"/proc/self/fd/{descriptor}/{path.name}"
    finally:
        os.close(descriptor)


def write_durably(path: Path, content: bytes, *, mode: int = FILE_MODE) -> None:
    """`content` under `path`, whole or not at all, and on the disk when this returns.

    The new file lies beside the old one until it is complete; a reader sees one or the other.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        os.fchmod(descriptor, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Puts the folder's own list of names on the disk: without it a new name may be gone after power loss."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
