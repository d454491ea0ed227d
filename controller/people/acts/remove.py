"""Remove: a drive leaves its host into the register, and another may take its place. Two operators.

Rules: who took it out, why, under which seal and to which place are said, none of them blank; the matter
names the tenancies whose data may still stand on it; it leaves only while no order for the host may still
act; it stays in the register, an open exception until somebody records what became of it. The new drive is
not believed to be there: the next inspection has to show it.
Source: DESIGN.md, "One deprovision" (one dead drive does not spoil the others).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from sqlalchemy import Connection

from certificate.commitment import SALT_BYTES
from certificate.errors import Refused
from certificate.identifiers import DriveId, TenancyId
from certificate.statements.people import DecisionKind
from certificate.statements.statement import time_text
from controller.errors import Code
from controller.guards import TWO_PEOPLE
from controller.people import asking, private_texts
from controller.people.act import About, Matter, Signed
from controller.people.disclosure import PrivateText
from controller.program import NONCE_BYTES, Program
from controller.records import custody, returning
from controller.records.drive_text import read_drive
from controller.records.host_file import FileDrive
from controller.store import departures, deprovisions, hosts, tenancies
from controller.store.departures import CustodyWords
from controller.store.hosts import Drive, DriveBasis, Host

#: What stands for the new drive where the bay stays empty.
NONE = "none"
FIELDS = ("host", "old", "new", "by", "why", "seal", "place")


@dataclass(frozen=True, kw_only=True)
class _Asked:
    host: Host
    old: Drive
    new: FileDrive | None
    words: CustodyWords
    touched: tuple[TenancyId, ...]


class RemoveDrive:
    """`host`: asset tag; `old`: serial; `new`: serial=S,model=M[,capacity_bytes=N] or none; `by`, `why`,
    `seal`, `place`: people's own words.
    """

    kind: ClassVar[DecisionKind] = DecisionKind.REMOVE

    def look(self, program: Program, about: About) -> None:
        return

    def matter(self, tx: Connection, program: Program, about: About) -> Matter:
        asked = _asked(tx, program, about)
        old, tag = asked.old, asked.host.asset_tag
        joining = () if asked.new is None else (asked.new.serial,)
        return Matter(
            kind=self.kind,
            choice="remove" if asked.new is None else "replace",
            facts={
                "host": tag,
                "id": asked.host.id,
                "drive": {
                    "serial": old.serial,
                    "model": old.model or "unknown",
                    "capacity_bytes": "unknown" if old.capacity_bytes is None else old.capacity_bytes,
                    "medium": old.commitment,
                    "basis": old.basis.value,
                    "recorded_at": time_text(old.recorded_at),
                },
                "tenancies_whose_data_may_be_on_it": list(asked.touched),
                "was_erased": "yes" if custody.is_erased(tx, old, asked.touched) else "no",
                "in_its_place": _shown(asked.new),
                **asked.words.named(),
            },
            consequences=(
                f"{old.serial} is no longer expected in {tag}; it stands in the register of media.",
                "Nothing here erases it. While a tenancy's data may be on it, it is an open exception.",
                *returning.warnings_of_leaving(tx, old),
                *returning.warnings(tx, joining),
            ),
            people_needed=TWO_PEOPLE,
            words=f"{tag} {old.serial[-4:]}",
            document_digest=old.commitment,
            private=_private(tx, program, asked),
        )

    def apply(
        self, tx: Connection, program: Program, about: About, matter: Matter, signed: tuple[Signed, ...]
    ) -> str:
        asked = _asked(tx, program, about)
        now = program.clock()
        replaced_by = None if asked.new is None else DriveId.from_random(program.random_bytes(NONCE_BYTES))
        if asked.new is not None and replaced_by is not None:
            hosts.record_drive(
                tx,
                id=replaced_by,
                host_id=asked.host.id,
                serial=asked.new.serial,
                salt=program.random_bytes(SALT_BYTES),
                basis=_basis(tx, asked.host),
                model=asked.new.model,
                capacity_bytes=asked.new.capacity_bytes,
                now=now,
            )
        departures.register(
            tx,
            asked.old.id,
            tenancies=asked.touched,
            decisions=tuple(sorted(each.payload_digest for each in signed)),
            replaced_by=replaced_by,
            words=asked.words,
            master_key=program.keyring.private_text_key,
            random_bytes=program.random_bytes,
            now=now,
        )
        live = deprovisions.live_of_host(tx, asked.host.id)
        if live is not None:
            deprovisions.wake(tx, live.id, now=now)
        return f"{asked.old.serial} left {asked.host.asset_tag} and stands in the register of media"


def _asked(tx: Connection, program: Program, about: About) -> _Asked:
    asset_tag, old_serial, new_text, by, why, seal, place = asking.fields(about, FIELDS)
    host, now = asking.host(tx, asset_tag), program.clock()
    custody.require_no_order(tx, host.id, now=now)
    present = {drive.serial: drive for drive in hosts.drives_of(tx, host.id)}
    if old_serial not in present:
        raise Refused(Code.DRIVE_NOT_IN_HOST, f"no drive {old_serial[:60]!r} is on record in {asset_tag}")
    new = _new(new_text)
    if new is not None and new.serial in present:
        raise Refused(Code.ALREADY_STORED, f"{new.serial!r} is on record in {asset_tag} already")
    return _Asked(
        host=host,
        old=present[old_serial],
        new=new,
        words=CustodyWords(removed_by=by, why=why, seal=seal, place=place),
        touched=custody.touched_by(tx, host.id, now=now),
    )


def _new(text: str) -> FileDrive | None:
    if text == NONE:
        return None
    try:
        return read_drive(text)
    except ValueError as error:
        raise Refused(Code.DECISION_MISMATCH, str(error)) from None


def _basis(tx: Connection, host: Host) -> DriveBasis:
    """The provider's own word, or a swap on a host that was let."""
    was_let = bool(tenancies.of_host(tx, host.id))
    return DriveBasis.OBSERVED_DURING_TENANCY if was_let else DriveBasis.DECLARED


def _private(tx: Connection, program: Program, asked: _Asked) -> tuple[PrivateText, ...]:
    """Of the host, and what is typed with the decision for the private tables. `why` is its reason too."""
    words = asked.words
    typed = {"by": words.removed_by, "seal": words.seal, "place": words.place}
    if asked.new is not None:
        typed["the new drive's serial number"] = asked.new.serial
    return (*private_texts.of_host(tx, program, asked.host), *private_texts.typed_beside(typed))


def _shown(drive: FileDrive | None) -> dict[str, Any] | str:
    if drive is None:
        return NONE
    size = "unknown" if drive.capacity_bytes is None else drive.capacity_bytes
    return {"serial": drive.serial, "model": drive.model, "capacity_bytes": size}
