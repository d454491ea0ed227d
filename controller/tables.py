"""Validation tables: the one in force, and every one that came before it, each by its digest.

Rules:
- A plan names its table by digest. It is made under the table in force; once its order is dispatched, that
  very table judges it, however many were signed since. No result is judged by another table than its order
  names: one that is not kept refuses (TABLE_NOT_KEPT), and a person decides.
- The table in force is policy/validation.dsse.json; version N, once replaced, is validation.N.dsse.json
  beside it. Each is opened under the trust root, its number is that of its name, and all are older than the
  one in force (TABLE_INVALID).
- The ledger remembers the newest table that this store ever worked under. An older one, or another one of the
  same number, is refused at start (TABLE_ROLLED_BACK): who could put back an old table could bring back a
  floor, or an acceptance, that the provider had given up.
- Nothing is planned, ordered or dispatched under a table that is not the newest of the ledger: a process that
  goes on under an older one, beside another that was started later, refuses (TABLE_SUPERSEDED) until it is
  started again. What it sent before, it follows and judges by the table of the order.

KNOWN GAP: a home whose tables and store were restored together from one backup works under the older table
again; such a store is frozen, and the two operators who reconcile it compare the tables (docs/operate.md).

The files are read once, at start; `expunge policy sign` writes a new one (`controller.policy`).
Source: FORMATS.md, "Statements" (validation), "Plan digest".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from certificate import envelope as dsse
from certificate.errors import Code as CertificateCode
from certificate.errors import Refused
from certificate.statements.validation import ValidationTable
from certificate.trust import TrustRoot
from controller.errors import Code
from controller.store import ledger
from controller.store.events import ValidationTableTaken

#: A table of a thousand rows has some hundred kilobytes; stops a wrong file from being read for long.
MAX_TABLE_BYTES = 1_500_000
#: One a week for twenty years; stops a folder without end.
MAX_TABLES = 1000
_KEPT_NAME = re.compile(r"validation\.([1-9][0-9]{0,8})\.dsse\.json")


@dataclass(frozen=True, kw_only=True)
class KeptTable:
    """One signed table, opened."""

    table: ValidationTable
    #: The exact bytes of its file, as deliveries and bundles carry them.
    file: bytes
    #: SHA-256 of its payload, hexadecimal: how plans and outcomes name it.
    digest: str


@dataclass(frozen=True, kw_only=True)
class Tables:
    """The table in force and its predecessors, newest first."""

    present: KeptTable
    earlier: tuple[KeptTable, ...]


def open_table(trust: TrustRoot, file: bytes) -> KeptTable:
    """Raises Malformed or Untrusted, as `TrustRoot.open_statement`."""
    statement, digest = trust.open_statement(file, ValidationTable)
    return KeptTable(table=statement.predicate, file=file, digest=digest)


def read_tables(present: Path, trust: TrustRoot) -> Tables:
    """The table at `present` and those kept beside it.

    Raises Refused: FILE_UNREADABLE, TABLE_INVALID, or what `open_table` raises.
    """
    in_force = open_table(trust, _read(present))
    kept: list[KeptTable] = []
    for number, path in _kept_files(present.parent):
        found = open_table(trust, _read(path))
        if found.digest == in_force.digest:
            continue  # `policy sign` ended between keeping this one and replacing it
        if found.table.version != number or number >= in_force.table.version:
            raise Refused(
                Code.TABLE_INVALID,
                f"{path.name} holds version {found.table.version}, {in_force.table.version} is in force",
            )
        kept.append(found)
    return Tables(present=in_force, earlier=tuple(reversed(kept)))


def kept_path(present: Path, version: int) -> Path:
    """Where a table of this version lies once another one is in force."""
    return present.with_name(f"validation.{version}.dsse.json")


def named(digest: str, tables: Iterable[KeptTable]) -> KeptTable:
    """The table of this digest. Raises Refused(TABLE_NOT_KEPT)."""
    for each in tables:
        if each.digest == digest:
            return each
    raise Refused(Code.TABLE_NOT_KEPT, f"no validation table with the digest {digest} is kept")


def file_named(digest: str, files: Iterable[bytes]) -> bytes:
    """As `named`, for files that were opened before. Raises Refused(TABLE_NOT_KEPT)."""
    for file in files:
        if dsse.read(file).payload_digest == digest:
            return file
    raise Refused(Code.TABLE_NOT_KEPT, f"no validation table with the digest {digest} is kept")


def take_up(tx: Connection, present: KeptTable, *, now: datetime) -> None:
    """The ledger's memory of the table in force; nothing where it is the newest one known.

    Raises Refused(TABLE_ROLLED_BACK).
    """
    newest = ledger.newest(tx, ValidationTableTaken.kind)
    version = present.table.version
    if newest is not None:
        known, digest = newest.body["version"], newest.body["table_digest"]
        if (version, present.digest) == (known, digest):
            return
        if version <= known:
            what = "version" if version < known else "another table of version"
            raise Refused(
                Code.TABLE_ROLLED_BACK,
                f"the home has {what} {version} ({present.digest[:16]}); this store worked under version"
                f" {known} ({digest[:16]})",
            )
    ledger.append(tx, ValidationTableTaken(version=version, table_digest=present.digest), now=now)


def require_newest(tx: Connection, present: KeptTable) -> None:
    """Silent while no newer table was taken up in this store. Raises Refused(TABLE_SUPERSEDED).

    Another process may have been started under a newer one since; this one finds out in the transaction that
    would plan, order or dispatch.
    """
    newest = ledger.newest(tx, ValidationTableTaken.kind)
    if newest is None or newest.body["table_digest"] == present.digest:
        return
    raise Refused(
        Code.TABLE_SUPERSEDED,
        f"this process works under version {present.table.version} ({present.digest[:16]}); the newest in the"
        f" ledger is version {newest.body['version']} ({newest.body['table_digest'][:16]})",
    )


def _kept_files(folder: Path) -> list[tuple[int, Path]]:
    """Oldest first. A name of another form is none of ours."""
    found = [(int(match[1]), path) for path in folder.iterdir() if (match := _KEPT_NAME.fullmatch(path.name))]
    if len(found) > MAX_TABLES:
        raise Refused(
            Code.TABLE_INVALID, f"{folder} holds {len(found)} tables, {MAX_TABLES} at most are read"
        )
    return sorted(found)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_TABLE_BYTES + 1)
    except OSError as error:
        raise Refused(CertificateCode.FILE_UNREADABLE, f"{path}: {error.strerror}") from None
    if len(content) > MAX_TABLE_BYTES:
        raise Refused(Code.TABLE_INVALID, f"{path} has more than {MAX_TABLE_BYTES} bytes")
    return content
