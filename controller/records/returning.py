"""Returning: a drive that left a host, or is on record in another, is about to go on record in a host.

Rules: a drive that left with a tenancy's data on it, or that two operators attest to be destroyed, never
comes back onto the record by one signature or none: a wipe of its new host would destroy what somebody kept
it for, and the record would call the data of one customer another's. Nor does one that is on record in
another host, whose customer may be there still: neither host is wiped while both records name it (guard
`DrivesAreOfNoOtherHost`), and whoever takes it off one of them is told what that allows. Who signs is told
so, drive by drive.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC

from sqlalchemy import Connection

from certificate.errors import Refused
from certificate.identifiers import HostId
from controller.errors import Code
from controller.records import custody
from controller.records.custody import Standing
from controller.store import departures, hosts
from controller.store.departures import Departure
from controller.store.hosts import Drive

_WARNED_OF = frozenset({Standing.OPEN, Standing.DESTROYED})


def warnings(tx: Connection, serials: Collection[str]) -> tuple[str, ...]:
    """One sentence for each drive with one of these serials that is on record in a host, and then for each
    departure of one that is no ordinary return, by serial. `serials`: of none that the joined host has.
    """
    if not serials:
        return ()
    return (*_present(tx, serials), *_left(tx, serials))


def refuse(tx: Connection, serials: Collection[str]) -> None:
    """For what nobody signs. Raises Refused: DRIVE_ON_TWO_HOSTS, DRIVE_LEFT_BEFORE."""
    if present := _present(tx, serials):
        raise Refused(Code.DRIVE_ON_TWO_HOSTS, " ".join(present))
    if left := _left(tx, serials):
        raise Refused(Code.DRIVE_LEFT_BEFORE, " ".join(left))


def warnings_of_leaving(tx: Connection, drive: Drive) -> tuple[str, ...]:
    """One sentence for each other host that has this drive on record: from then on that record counts."""
    return tuple(
        f"WARNING: {drive.serial} is on record in {tag}, too: once it is off this record, a wipe of {tag}"
        " destroys what is on it, whoever's it is."
        for tag in _tags(tx, drive.serial, besides=drive.host)
    )


def _present(tx: Connection, serials: Collection[str]) -> tuple[str, ...]:
    return tuple(
        f"WARNING: {serial} is on record in {tag}, where a customer may be using it: one of both records is"
        " wrong, and neither host is wiped until it is off one of them."
        for serial in sorted(serials)
        for tag in _tags(tx, serial, besides=None)
    )


def _tags(tx: Connection, serial: str, *, besides: HostId | None) -> list[str]:
    found = hosts.present_of_serial(tx, serial)
    return sorted(hosts.load(tx, each.host).asset_tag for each in found if each.host != besides)


def _left(tx: Connection, serials: Collection[str]) -> tuple[str, ...]:
    found = [
        (each.drive.serial, _sentence(tx, each, standing))
        for each in departures.all_departures(tx)
        if each.drive.serial in serials and (standing := custody.standing(tx, each)) in _WARNED_OF
    ]
    return tuple(sentence for _, sentence in sorted(found))


def _sentence(tx: Connection, departure: Departure, standing: Standing) -> str:
    tag = hosts.load(tx, departure.drive.host).asset_tag
    day = departure.left_at.astimezone(UTC).date().isoformat()
    what = f"WARNING: {departure.drive.serial} left {tag} on {day}"
    if standing is Standing.DESTROYED:
        return f"{what}, and two operators attest that it was destroyed: one of both is not so."
    return (
        f"{what} as an open exception: a customer's data may be on it. On record here, a wipe of this host"
        " destroys that data, and the exception stays open."
    )
