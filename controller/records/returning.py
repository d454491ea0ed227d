"""Returning: a drive that left a host is about to go on record again, in whichever host.

Rules: a drive that left with a tenancy's data on it, or that two operators attest to be destroyed, never
comes back onto the record by one signature or none: a wipe of its new host would destroy what somebody kept
it for, and the record would call the data of one customer another's. Who signs is told so, drive by drive.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC

from sqlalchemy import Connection

from certificate.errors import Refused
from controller.errors import Code
from controller.records import custody
from controller.records.custody import Standing
from controller.store import departures, hosts
from controller.store.departures import Departure

_WARNED_OF = frozenset({Standing.OPEN, Standing.DESTROYED})


def warnings(tx: Connection, serials: Collection[str]) -> tuple[str, ...]:
    """One sentence for each departure of a drive with one of these serials that is no ordinary return, by
    serial.
    """
    if not serials:
        return ()
    found = [
        (each.drive.serial, _sentence(tx, each, standing))
        for each in departures.all_departures(tx)
        if each.drive.serial in serials and (standing := custody.standing(tx, each)) in _WARNED_OF
    ]
    return tuple(sentence for _, sentence in sorted(found))


def refuse(tx: Connection, serials: Collection[str]) -> None:
    """For what nobody signs. Raises Refused(DRIVE_LEFT_BEFORE)."""
    said = warnings(tx, serials)
    if said:
        raise Refused(Code.DRIVE_LEFT_BEFORE, " ".join(said))


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
