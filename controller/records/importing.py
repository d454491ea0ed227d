"""A file of hosts against the record: first the difference, then exactly that difference or nothing.

Rules:
- The difference is made in the transaction that applies it, and applied only under the digest that a person
  read (IMPORT_CHANGED); it covers the file and every old value.
- Nothing is removed: a host that the file does not name, a drive, a fact or a parameter it does not mention
  stays as it is, and is named in the difference where that can be seen.
- While a host has a live deprovision, what that rests on stays: facts, drives, data class, disposition,
  address and the parameters it has (HOST_IS_LEAVING). A parameter it lacks may be given, because a command
  with a hole in it never runs.
- Nor does a file move a host, or give it to another customer, while it leaves or while a hold covers it
  (HOST_IS_HELD): holds and caps go by where and whose it is.
- A fact that a trusted boot contradicts is refused (FACT_CONTRADICTED); a drive on record is not described
  anew; a disposition that two operators declared is not undone by a file.
- A file puts no serial on record in two hosts. One refused row refuses the whole file. New drives are
  `declared`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

import rfc8785
from sqlalchemy import Connection

from certificate.commitment import SALT_BYTES
from certificate.errors import Refused
from certificate.identifiers import DriveId, HostId
from controller.errors import Code
from controller.facts import Disposition
from controller.program import NONCE_BYTES, Program
from controller.records import returning
from controller.records.host_file import FileDrive, HostFile, HostRow, Problem, refuse
from controller.records.names import join_address
from controller.store import declarations, deprovisions, hosts, ledger, private, sightings, stops
from controller.store.hosts import DriveBasis, Host, HostFact, HostField
from controller.store.private import CUSTOMER_TEXT
from controller.store.record_events import HostsImported
from controller.store.stops import StopKind

#: What two operators declare; a file may only repeat it.
_DECLARED = frozenset({Disposition.STOCK, Disposition.INTERNAL})
#: What a live deprovision rests on.
_STAYS_WHILE_LEAVING = ("data_class", "disposition", "address", "fact.", "drive.")
#: What holds and caps go by.
_STAYS_WHILE_HELD = frozenset({"site", "rack", "customer"})


@dataclass(frozen=True, kw_only=True)
class FieldChange:
    """`field` as the file's column names it; `old` is None where nothing was on record."""

    field: str
    old: str | None
    new: str


@dataclass(frozen=True, kw_only=True)
class HostChange:
    host: HostId
    row: HostRow
    changes: tuple[FieldChange, ...]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What applying the file would do."""

    file_digest: str
    added: tuple[HostRow, ...]
    changed: tuple[HostChange, ...]
    #: Asset tags.
    unchanged: tuple[str, ...]
    #: Asset tags on record that the file does not name; they stay.
    not_in_file: tuple[str, ...]
    #: Of drives that come back onto the record or are on another host's (`returning`), one sentence each.
    warnings: tuple[str, ...]

    @property
    def digest(self) -> str:
        """SHA-256 hex over all of it; the file's digest covers what the added rows say."""
        shown = {
            "file": self.file_digest,
            "added": [row.asset_tag for row in self.added],
            "changed": [
                [
                    change.row.asset_tag,
                    [[each.field, each.old, each.new] for each in change.changes],
                ]
                for change in self.changed
            ],
            "unchanged": list(self.unchanged),
            "not_in_file": list(self.not_in_file),
            "warnings": list(self.warnings),
        }
        return hashlib.sha256(rfc8785.dumps(shown)).hexdigest()


def difference(tx: Connection, program: Program, file: HostFile) -> Difference:
    """Raises Refused, with every wrong line: HOST_IS_LEAVING, HOST_IS_HELD, FACT_CONTRADICTED,
    IMPORT_INVALID.
    """
    on_record = {host.asset_tag: host for host in hosts.all_hosts(tx)}
    added, changed, unchanged = [], [], []
    problems: list[Problem] = []
    for row in file.rows:
        host = on_record.pop(row.asset_tag, None)
        if host is None:
            added.append(row)
            problems += _problems_of_new(row)
            continue
        changes = tuple(_changes(tx, program, host, row))
        problems += _problems(tx, host, row, changes)
        if changes:
            changed.append(HostChange(host=host.id, row=row, changes=changes))
        else:
            unchanged.append(row.asset_tag)
    problems += _joining_twice(added, changed)
    refuse(problems)
    return Difference(
        file_digest=file.digest,
        added=tuple(added),
        changed=tuple(changed),
        unchanged=tuple(unchanged),
        not_in_file=tuple(sorted(on_record)),
        warnings=returning.warnings(tx, {serial for _, serial in _joining(added, changed)}),
    )


def apply(tx: Connection, program: Program, file: HostFile, *, digest: str) -> Difference:
    """The file's difference, if it is still the one with this digest. Raises what `difference` raises, and
    Refused(IMPORT_CHANGED).
    """
    found = difference(tx, program, file)
    if found.digest != digest:
        raise Refused(Code.IMPORT_CHANGED, f"the difference is now {found.digest}")
    now = program.clock()
    for row in found.added:
        _add(tx, program, row, source=file.digest, now=now)
    for change in found.changed:
        _change(tx, program, change, source=file.digest, now=now)
    if found.added or found.changed:
        event = HostsImported(
            file_digest=file.digest,
            diff_digest=digest,
            added=len(found.added),
            changed=len(found.changed),
        )
        ledger.append(tx, event, now=now)
    return found


def _joining(added: list[HostRow], changed: list[HostChange]) -> Iterator[tuple[HostRow, str]]:
    """Each serial that the file puts on record, with the row that does."""
    for row in added:
        yield from ((row, drive.serial) for drive in row.drives)
    for change in changed:
        names = (each.field for each in change.changes if each.field.startswith("drive."))
        yield from ((change.row, name.removeprefix("drive.")) for name in names)


def _joining_twice(added: list[HostRow], changed: list[HostChange]) -> Iterator[Problem]:
    first: dict[str, HostRow] = {}
    for row, serial in _joining(added, changed):
        other = first.setdefault(serial, row)
        if other is not row:
            what = f"{serial!r} is given to {other.asset_tag} as well: a drive is in one host"
            yield _problem(row, "drives", Code.IMPORT_INVALID, what)


# --- what differs -------------------------------------------------------------------------------------------


def _changes(tx: Connection, program: Program, host: Host, row: HostRow) -> Iterator[FieldChange]:
    pairs: list[tuple[str, str | None, str | None]] = [
        ("site", host.site, row.site),
        ("rack", host.rack, row.rack),
        ("data_class", host.data_class, row.data_class),
        ("disposition", host.disposition.value, row.disposition.value),
        ("address", join_address(host.address, host.port), join_address(row.address, row.port)),
        ("customer", host.customer_ref, _customer_ref(program, row)),
    ]
    parameters = {**host.boot_parameters, **host.quarantine_parameters}
    pairs += [(f"parameter.{n}", _text(parameters.get(n)), new) for n, new in row.parameters.items()]
    facts = {fact.kind.value: fact.value for fact in hosts.facts_of(tx, host.id)}
    pairs += [(f"fact.{kind}", facts.get(kind.value), new) for kind, new in row.facts.items()]
    known = {drive.serial for drive in hosts.drives_of(tx, host.id)}
    pairs += [
        (f"drive.{drive.serial}", None, _shown(drive)) for drive in row.drives if drive.serial not in known
    ]
    for field, old, new in pairs:
        if new is not None and new != old:
            yield FieldChange(field=field, old=old, new=new)


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _shown(drive: FileDrive) -> str:
    return f"{drive.model}, {'capacity unknown' if drive.capacity_bytes is None else drive.capacity_bytes}"


def _customer_ref(program: Program, row: HostRow) -> str | None:
    return None if row.customer is None else program.pseudonyms.customer(row.customer)


# --- what stands against it ---------------------------------------------------------------------------------


def _problems_of_new(row: HostRow) -> Iterator[Problem]:
    if row.disposition in _DECLARED:
        yield _declared(row, "is declared by two operators, once the host is on record")


def _problems(
    tx: Connection, host: Host, row: HostRow, changes: tuple[FieldChange, ...]
) -> Iterator[Problem]:
    is_declared = bool(_DECLARED & {row.disposition, host.disposition})
    if row.disposition is not host.disposition and (
        is_declared or declarations.standing(tx, host.id) is not None
    ):
        yield _declared(row, f"is {host.disposition} on record; two operators declare another")
    yield from _unsettled(tx, host, row, changes)
    yield from _contradictions(tx, host, row, changes)
    yield from _other_drives(tx, host, row)


def _unsettled(
    tx: Connection, host: Host, row: HostRow, changes: tuple[FieldChange, ...]
) -> Iterator[Problem]:
    """What stays while the host leaves, and while it is held."""
    is_leaving = deprovisions.live_of_host(tx, host.id) is not None
    holds = [stop.number for stop in stops.standing(tx, host.id) if stop.kind is StopKind.HOLD]
    for change in changes:
        is_given = change.field.startswith("parameter.") and change.old is None
        rests_on = change.field.startswith((*_STAYS_WHILE_LEAVING, "parameter."))
        is_moved = change.field in _STAYS_WHILE_HELD
        if is_leaving and (is_moved or rests_on) and not is_given:
            yield _problem(row, change.field, Code.HOST_IS_LEAVING, f"{row.asset_tag} is leaving a tenancy")
        elif holds and is_moved:
            yield _problem(row, change.field, Code.HOST_IS_HELD, f"{row.asset_tag} is under hold {holds[0]}")


def _contradictions(
    tx: Connection, host: Host, row: HostRow, changes: tuple[FieldChange, ...]
) -> Iterator[Problem]:
    seen = sightings.seen_in_trusted_boot(tx, host.id)
    shown = {} if seen is None else {f"fact.{fact.kind.value}": fact.value for fact in seen.facts}
    for change in changes:
        if change.field in shown and shown[change.field] != change.new:
            what = f"a trusted boot showed {shown[change.field]!r}"
            yield _problem(row, change.field, Code.FACT_CONTRADICTED, what)


def _other_drives(tx: Connection, host: Host, row: HostRow) -> Iterator[Problem]:
    known = {drive.serial: drive for drive in hosts.drives_of(tx, host.id)}
    for drive in row.drives:
        recorded = known.get(drive.serial)
        if recorded is None:
            continue
        for name in ("model", "capacity_bytes"):
            old, new = getattr(recorded, name), getattr(drive, name)
            if None not in (old, new) and old != new:
                what = (
                    f"{drive.serial!r} is on record with the {name} {old}; a drive is replaced, not renamed"
                )
                yield _problem(row, "drives", Code.IMPORT_INVALID, what)


def _declared(row: HostRow, what: str) -> Problem:
    return _problem(row, "disposition", Code.IMPORT_INVALID, f"{row.asset_tag} {what}")


def _problem(row: HostRow, column: str, code: Code, what: str) -> Problem:
    return Problem(line=row.line, column=column, code=code, what=what)


# --- what is done -------------------------------------------------------------------------------------------


def _add(tx: Connection, program: Program, row: HostRow, *, source: str, now: datetime) -> None:
    host_id = HostId.from_random(program.random_bytes(NONCE_BYTES))
    host = Host(
        id=host_id,
        asset_tag=row.asset_tag,
        site=row.site,
        rack=row.rack,
        data_class=row.data_class,
        disposition=row.disposition,
        customer_ref=_customer_ref(program, row),
        salt=program.random_bytes(SALT_BYTES),
        address=row.address,
        port=row.port,
        boot_parameters=dict(row.parameters),
        quarantine_parameters=dict(row.parameters),
        registered_at=now,
    )
    facts = tuple(HostFact(kind=kind, value=value) for kind, value in row.facts.items())
    hosts.register(tx, host, facts=facts, now=now)
    _record_drives(tx, program, host_id, row.drives, now)
    _keep_customer(tx, program, row, now)
    fields = ["site", "rack", "data_class", "disposition", "address"]
    fields += ["customer"] if row.customer is not None else []
    fields += [f"parameter.{name}" for name in row.parameters] + [f"fact.{kind}" for kind in row.facts]
    sightings.assert_fields(tx, host_id, tuple(fields), source_digest=source, now=now)


def _change(tx: Connection, program: Program, change: HostChange, *, source: str, now: datetime) -> None:
    host, row = hosts.load(tx, change.host), change.row
    fields = {each.field for each in change.changes}
    writers: dict[str, Callable[[], None]] = {
        "disposition": lambda: hosts.declare_disposition(
            tx, host.id, old=host.disposition, new=row.disposition, now=now
        ),
        "address": lambda: _move_address(tx, host, row, now),
        "customer": lambda: _change_customer(tx, program, host, row, now),
    }
    for name in ("site", "rack", "data_class"):
        if name in fields:
            field = HostField(name)
            hosts.change(tx, host.id, field, old=getattr(host, name), new=getattr(row, name), now=now)
    for name in sorted(fields & writers.keys()):
        writers[name]()
    if any(name.startswith("parameter.") for name in fields):
        for field in (HostField.BOOT_PARAMETERS, HostField.QUARANTINE_PARAMETERS):
            old = getattr(host, field.value)
            hosts.change(tx, host.id, field, old=dict(old), new={**old, **row.parameters}, now=now)
    was = {f"fact.{fact.kind.value}": fact.value for fact in hosts.facts_of(tx, host.id)}
    for kind, value in row.facts.items():
        if f"fact.{kind}" in fields:
            hosts.change_fact(tx, host.id, kind, old=was.get(f"fact.{kind}"), new=value, now=now)
    new_drives = tuple(drive for drive in row.drives if f"drive.{drive.serial}" in fields)
    _record_drives(tx, program, host.id, new_drives, now)
    asserted = tuple(sorted(name for name in fields if not name.startswith("drive.")))
    sightings.assert_fields(tx, host.id, asserted, source_digest=source, now=now)


def _move_address(tx: Connection, host: Host, row: HostRow, now: datetime) -> None:
    hosts.change(tx, host.id, HostField.ADDRESS, old=host.address, new=row.address, now=now)
    hosts.change(tx, host.id, HostField.PORT, old=host.port, new=row.port, now=now)


def _change_customer(tx: Connection, program: Program, host: Host, row: HostRow, now: datetime) -> None:
    new = _customer_ref(program, row)
    hosts.change(tx, host.id, HostField.CUSTOMER, old=host.customer_ref, new=new, now=now)
    _keep_customer(tx, program, row, now)


def _keep_customer(tx: Connection, program: Program, row: HostRow, now: datetime) -> None:
    if row.customer is None:
        return
    private.write(
        tx,
        subject_ref=program.pseudonyms.customer(row.customer),
        kind=CUSTOMER_TEXT,
        text=row.customer,
        master_key=program.keyring.private_text_key,
        random_bytes=program.random_bytes,
        now=now,
    )


def _record_drives(
    tx: Connection, program: Program, host_id: HostId, drives: tuple[FileDrive, ...], now: datetime
) -> None:
    for drive in drives:
        hosts.record_drive(
            tx,
            id=DriveId.from_random(program.random_bytes(NONCE_BYTES)),
            host_id=host_id,
            serial=drive.serial,
            salt=program.random_bytes(SALT_BYTES),
            basis=DriveBasis.DECLARED,
            model=drive.model,
            capacity_bytes=drive.capacity_bytes,
            now=now,
        )
