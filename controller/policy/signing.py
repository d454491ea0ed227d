"""The next validation table: signed with the root key, and the one before kept by its version.

Rules:
- The number is the present one plus one; the draft's own is compared with it, so that a draft made of an
  older table is not signed over a newer one (TABLE_VERSION_WRONG).
- The present table is kept under its own name before the new one takes its place; each file is on the disk,
  whole, before the next step; stopped anywhere, the home has a table in force and every earlier one.
- What was signed is opened under the trust root, as `serve` will, before anything is written.
- One process signs at a time (HOME_IN_USE). A running `serve` goes on under the table that it started with.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from certificate import envelope as dsse
from certificate import trust
from certificate.errors import Code as CertificateCode
from certificate.errors import Refused
from certificate.keys import PrivateKey
from certificate.statements import make, subject
from certificate.trust import TrustRoot
from controller.errors import Code
from controller.home import Home, write_durably
from controller.policy.draft import Draft
from controller.program import NONCE_BYTES
from controller.tables import KeptTable, kept_path, open_table, read_tables

#: A key file has about 500 bytes; stops a wrong path from being read into memory.
MAX_KEY_BYTES = 16_384


def read_trust(home: Home) -> TrustRoot:
    """Raises Refused(FILE_UNREADABLE), Malformed or Untrusted."""
    return trust.read(_content(home.trust_root, MAX_KEY_BYTES * 16))


def read_root_key(path: Path, *, passphrase: bytes) -> PrivateKey:
    """Raises Refused: FILE_UNREADABLE, KEY_UNREADABLE."""
    return PrivateKey.from_openssh(_content(path, MAX_KEY_BYTES), passphrase=passphrase)


def require_next(draft: Draft, present: KeptTable) -> None:
    """Raises Refused(TABLE_VERSION_WRONG)."""
    expected = present.table.version + 1
    if draft.version != expected:
        raise Refused(
            Code.TABLE_VERSION_WRONG,
            f"the draft is version {draft.version}; after {present.table.version} comes {expected}",
        )


def sign(
    home: Home, draft: Draft, *, root_key: PrivateKey, now: datetime, randomness: Callable[[int], bytes]
) -> KeptTable:
    """The new table, in its place. `now` is cut to whole seconds.

    Raises Refused: HOME_IN_USE, TABLE_VERSION_WRONG, TABLE_INVALID for a clock before the present table's;
    Untrusted(KEY_UNTRUSTED) for a key that is not the trust root's.
    """
    with _alone(home.validation_table.parent):
        root = read_trust(home)
        present = read_tables(home.validation_table, root).present
        require_next(draft, present)
        issued_at = now.replace(microsecond=0)
        if issued_at < present.table.issued_at:
            raise Refused(Code.TABLE_INVALID, f"the present table was signed at {present.table.issued_at}")
        table = draft.table(purpose=root.purpose, nonce=randomness(NONCE_BYTES).hex(), issued_at=issued_at)
        fingerprint = trust.fingerprint(_content(home.trust_root, MAX_KEY_BYTES * 16))
        payload = make(table, (subject("trust-root", fingerprint),)).payload()
        signed = open_table(root, dsse.sign(payload, root_key).write())
        write_durably(kept_path(home.validation_table, present.table.version), present.file)
        write_durably(home.validation_table, signed.file)
    return signed


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """The kernel's lock on the folder itself: whoever dies lets go of it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(Code.HOME_IN_USE, f"another process signs a table in {folder}") from None
        yield
    finally:
        os.close(descriptor)


def _content(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(most)
    except OSError as error:
        raise Refused(CertificateCode.FILE_UNREADABLE, f"{path}: {error.strerror}") from None
