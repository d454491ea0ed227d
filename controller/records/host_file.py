"""A provider's file of hosts, read strictly: every wrong place is named, and one of them refuses the file.

    asset_tag, site, rack, customer, data_class, disposition, address, drives, parameter.<name>, fact.<kind>

Rules: the first eight columns are all there, each once, and none is unknown; a row has as many cells as the
head; an asset tag stands once; no cell has white space around it. A blank asset_tag, site, rack, data_class,
disposition or address is wrong, never a default (in 2024 a blank field became a one-year term, and a
customer's cloud was deleted at its end). A blank customer, parameter, fact or list of drives says nothing.
Drives are `serial|model|capacity; ...`; the capacity in bytes may be blank. Pure.

Source: RFC 4180, read by Python's csv module in strict mode.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from certificate.errors import Refused
from certificate.statements.statement import Count, Sentence, Word
from certificate.statements.vocabulary import HostFactKind
from controller.errors import Code
from controller.facts import Disposition
from controller.records.names import AgentAddress, AssetTag, ParameterName, split_address

#: Ten thousand hosts with their facts and drives; stops memory exhaustion.
MAX_FILE_CHARACTERS = 4_000_000
MAX_HOSTS = 20_000
MAX_COLUMNS = 100
#: As in `hosts add`.
MAX_DRIVES = 200
#: What a person repairs at once; the rest is found at the next try.
SHOWN_PROBLEMS = 20
#: Reading ends here: a file of nothing else is no file of hosts, and each problem takes memory.
MAX_PROBLEMS = 1000

REQUIRED_COLUMNS = (
    "asset_tag",
    "site",
    "rack",
    "customer",
    "data_class",
    "disposition",
    "address",
    "drives",
)
#: Those of them that may be blank.
_MAY_BE_BLANK = frozenset({"customer", "drives"})


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One wrong place. `line` counts from 1, as editors do."""

    line: int
    column: str
    code: Code
    what: str

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.what}"


@dataclass(frozen=True, kw_only=True)
class FileDrive:
    serial: str
    model: str
    capacity_bytes: int | None


@dataclass(frozen=True, kw_only=True)
class HostRow:
    """One host as the file has it. What the file says nothing of is None, or not in the mapping."""

    line: int
    asset_tag: str
    site: str
    rack: str
    customer: str | None
    data_class: str
    disposition: Disposition
    #: Without brackets.
    address: str
    port: int
    parameters: Mapping[str, str]
    facts: Mapping[HostFactKind, str]
    drives: tuple[FileDrive, ...]


@dataclass(frozen=True, kw_only=True)
class HostFile:
    """SHA-256 hex of its text in UTF-8 without a byte order mark, and its rows."""

    digest: str
    rows: tuple[HostRow, ...]


def refuse(problems: list[Problem]) -> None:
    """Raises Refused with the code of the first problem and the places of all; silent without any."""
    if not problems:
        return
    shown = "; ".join(str(problem) for problem in problems[:SHOWN_PROBLEMS])
    more = len(problems) - SHOWN_PROBLEMS
    raise Refused(problems[0].code, shown + (f"; and {more} more" if more > 0 else ""))


def read_hosts(text: str) -> HostFile:
    """Raises Refused(IMPORT_INVALID) whose reason names every wrong line and column, twenty at most."""
    text = text.removeprefix("\ufeff")
    if len(text) > MAX_FILE_CHARACTERS:
        raise Refused(Code.IMPORT_INVALID, f"the file has more than {MAX_FILE_CHARACTERS} characters")
    lines = _lines(text)
    try:
        _, head = next(lines)
    except StopIteration:
        raise Refused(Code.IMPORT_INVALID, "the file is empty") from None
    columns = _columns(head)
    reading = _Reading(columns=columns)
    for line, cells in lines:
        reading.take(line, cells)
        if len(reading.problems) >= MAX_PROBLEMS:
            break
    refuse(reading.problems)
    if not reading.rows:
        raise Refused(Code.IMPORT_INVALID, "the file names no host")
    return HostFile(digest=hashlib.sha256(text.encode()).hexdigest(), rows=tuple(reading.rows))


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """(number of the last line, cells) of each row; an empty line is none."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for cells in reader:
            if cells:
                yield reader.line_num, cells
    except csv.Error as error:
        raise Refused(Code.IMPORT_INVALID, f"line {reader.line_num}: {error}") from None


def _columns(head: list[str]) -> tuple[str, ...]:
    problems = []

    def wrong(column: str, what: str) -> None:
        problems.append(Problem(line=1, column=column[:60] or "(blank)", code=Code.IMPORT_INVALID, what=what))

    if len(head) > MAX_COLUMNS:
        raise Refused(Code.IMPORT_INVALID, f"the file has more than {MAX_COLUMNS} columns")
    for column in dict.fromkeys(head):
        if head.count(column) > 1:
            wrong(column, "stands more than once")
        if not _is_known(column):
            wrong(column, "is not a column of this format")
    for column in REQUIRED_COLUMNS:
        if column not in head:
            wrong(column, "is missing")
    refuse(problems)
    return tuple(head)


def _is_known(column: str) -> bool:
    kind, separator, name = column.partition(".")
    match kind, separator:
        case "parameter", ".":
            return _fits(_PARAMETER_NAME, name)
        case "fact", ".":
            return name in set(HostFactKind)
        case _:
            return column in REQUIRED_COLUMNS


_ASSET_TAG: TypeAdapter[str] = TypeAdapter(AssetTag)
_ADDRESS: TypeAdapter[str] = TypeAdapter(AgentAddress)
_PARAMETER_NAME: TypeAdapter[str] = TypeAdapter(ParameterName)
_WORD: TypeAdapter[str] = TypeAdapter(Word)
_SENTENCE: TypeAdapter[str] = TypeAdapter(Sentence)
_COUNT: TypeAdapter[int] = TypeAdapter(Count)


def _fits(form: TypeAdapter[Any], value: object) -> bool:
    try:
        form.validate_python(value, strict=True)
    except ValidationError:
        return False
    return True


def _is_address(cell: str) -> bool:
    return _fits(_ADDRESS, cell) and 0 < split_address(cell)[1] < 65_536


def is_capacity(cell: str) -> bool:
    """Bytes, or blank. Sixteen digits hold every safe integer and keep `int` quick."""
    is_number = cell.isascii() and cell.isdecimal() and len(cell) <= 16
    return not cell or (is_number and _fits(_COUNT, int(cell)))


#: Column -> whether a cell that is not blank fits, and what it has to be.
_FORMS: dict[str, tuple[Callable[[str], bool], str]] = {
    "asset_tag": (lambda cell: _fits(_ASSET_TAG, cell), "is not an asset tag"),
    "site": (lambda cell: _fits(_WORD, cell), "is not printable ASCII, 120 characters at most"),
    "rack": (lambda cell: _fits(_WORD, cell), "is not printable ASCII, 120 characters at most"),
    "customer": (lambda cell: _fits(_SENTENCE, cell), "is not printable text of one line"),
    "data_class": (lambda cell: _fits(_WORD, cell), "is not printable ASCII, 120 characters at most"),
    "disposition": (
        lambda cell: cell in set(Disposition),
        "is none of rented, unknown (stock and internal only repeat what two operators declared)",
    ),
    "address": (_is_address, "is not HOST:PORT"),
    "parameter": (lambda cell: _fits(_SENTENCE, cell), "is not printable text of one line"),
    "fact": (lambda cell: _fits(_SENTENCE, cell), "is not printable text of one line"),
}


@dataclass(kw_only=True)
class _Reading:
    """Rows so far, and what was wrong with others."""

    columns: tuple[str, ...]
    rows: list[HostRow] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    _seen: dict[str, int] = field(default_factory=dict)

    def take(self, line: int, cells: list[str]) -> None:
        if len(self._seen) >= MAX_HOSTS:
            raise Refused(Code.IMPORT_INVALID, f"the file has more than {MAX_HOSTS} hosts")
        before = len(self.problems)
        if len(cells) != len(self.columns):
            what = f"the row has {len(cells)} cells, the head {len(self.columns)}"
            return self._wrong(line, "(all)", what)
        row = dict(zip(self.columns, cells, strict=True))
        for column, cell in row.items():
            self._check(line, column, cell)
        drives = self._drives(line, row["drives"])
        first = self._seen.setdefault(row["asset_tag"], line)
        if first != line:
            self._wrong(line, "asset_tag", f"{row['asset_tag'][:60]!r} stands in line {first} already")
        if len(self.problems) == before:
            self.rows.append(_host_row(line, row, drives))
        return None

    def _check(self, line: int, column: str, cell: str) -> None:
        kind = column.partition(".")[0]
        if not cell:
            if column in REQUIRED_COLUMNS and column not in _MAY_BE_BLANK:
                self._wrong(line, column, "is blank, and nothing stands for it")
        elif cell != cell.strip():
            self._wrong(line, column, f"{cell[:60]!r} has white space around it")
        elif kind in _FORMS and not _FORMS[kind][0](cell):
            self._wrong(line, column, f"{cell[:60]!r} {_FORMS[kind][1]}")

    def _drives(self, line: int, cell: str) -> tuple[FileDrive, ...]:
        drives: list[FileDrive] = []
        parts = cell.split(";") if cell else []
        if len(parts) > MAX_DRIVES:
            self._wrong(line, "drives", f"there are more than {MAX_DRIVES}")
            return ()
        for part in parts:
            serial, *others = (piece.strip() for piece in part.split("|"))
            capacity = others[1] if len(others) == 2 else "wrong"
            if not is_capacity(capacity) or not all(_fits(_WORD, word) for word in (serial, *others[:1])):
                self._wrong(line, "drives", f"{part.strip()[:60]!r} is not serial|model|capacity")
            elif any(drive.serial == serial for drive in drives):
                self._wrong(line, "drives", f"the serial {serial!r} stands twice")
            else:
                size = int(capacity) if capacity else None
                drives.append(FileDrive(serial=serial, model=others[0], capacity_bytes=size))
        return tuple(drives)

    def _wrong(self, line: int, column: str, what: str) -> None:
        self.problems.append(Problem(line=line, column=column, code=Code.IMPORT_INVALID, what=what))


def _host_row(line: int, row: dict[str, str], drives: tuple[FileDrive, ...]) -> HostRow:
    address, port = split_address(row["address"])
    return HostRow(
        line=line,
        asset_tag=row["asset_tag"],
        site=row["site"],
        rack=row["rack"],
        customer=row["customer"] or None,
        data_class=row["data_class"],
        disposition=Disposition(row["disposition"]),
        address=address,
        port=port,
        parameters=_named(row, "parameter."),
        facts={HostFactKind(kind): value for kind, value in _named(row, "fact.").items()},
        drives=drives,
    )


def _named(row: dict[str, str], prefix: str) -> dict[str, str]:
    return {
        column.removeprefix(prefix): cell
        for column, cell in row.items()
        if column.startswith(prefix) and cell
    }
