"""Destroy: two operators attest that a drive that left its host was physically destroyed.

Rules: only a drive in the register, once, and on a day between its leaving and today; none whose serial any
inspection showed in any host after it left, or that a host has on record again, because a destroyed drive
answers nowhere; the method is one of a closed list, the destroyer's own record is named by its digest and
stays with the provider; by whom, before whom and where are said, none of them blank, and stay private text;
both sign exactly this medium, method, day and document (`Matter.attested`), so that a stranger can hold them
to it. What follows is a signed and logged outcome of method *destroy* whose grade is that people say so.
Sources: NIST SP 800-88r2, 3.1.3; DESIGN.md, "One deprovision"; decisions/0010.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar

from sqlalchemy import Connection, select

from certificate.errors import Refused
from certificate.identifiers import HostId
from certificate.statements.people import DecisionKind
from certificate.statements.statement import time_text
from certificate.statements.vocabulary import DestroyMethod
from controller import destroying
from controller.effects.make_plan import inventory_line
from controller.errors import Code
from controller.guards import TWO_PEOPLE
from controller.people import asking, private_texts
from controller.people.act import About, Matter, Signed
from controller.people.disclosure import PrivateText
from controller.program import Program
from controller.records import custody
from controller.store import boots, departures, deprovisions, destructions, hosts, sightings
from controller.store.boots import StoredInventory
from controller.store.departures import Departure
from controller.store.destructions import DestructionWords

FIELDS = ("medium", "method", "by", "witness", "place", "destroyed_on", "document_digest")
#: Enough of a commitment to name one of a provider's media, as `media list` prints it.
LEAST_DIGITS = 8


@dataclass(frozen=True, kw_only=True)
class _Asked:
    departure: Departure
    method: DestroyMethod
    destroyed_on: str
    document_digest: str
    words: DestructionWords


class DestroyMedium:
    """`medium`: its commitment, the first digits of it, or the serial; `method`: `DestroyMethod`; `by`,
    `witness`, `place`: people's own words; `destroyed_on`: YYYY-MM-DD; `document_digest`: SHA-256 hex.
    """

    kind: ClassVar[DecisionKind] = DecisionKind.DESTROY

    def look(self, program: Program, about: About) -> None:
        return

    def matter(self, tx: Connection, program: Program, about: About) -> Matter:
        asked = _asked(tx, program, about)
        return Matter(
            kind=self.kind,
            choice=asked.method.value,
            facts=_facts(tx, asked),
            consequences=(
                "The signers attest that this very drive was destroyed as the document says.",
                "An outcome by destroy is signed and logged. Its grade is that people say so; no device did.",
            ),
            people_needed=TWO_PEOPLE,
            words=f"destroyed {asked.departure.drive.serial[-4:]}",
            document_digest=asked.document_digest,
            private=_private(tx, program, asked),
        )

    def apply(
        self, tx: Connection, program: Program, about: About, matter: Matter, signed: tuple[Signed, ...]
    ) -> str:
        asked = _asked(tx, program, about)
        stored = destroying.draft(
            tx, program, asked.departure, attested=matter.attested(), signed=signed, words=asked.words
        )
        gone = asked.departure.drive
        live = deprovisions.live_of_host(tx, gone.host)
        if live is not None:
            deprovisions.wake(tx, live.id, now=program.clock())
        return f"{gone.serial} is destroyed, as two operators attest; {stored.id} says so"


def _asked(tx: Connection, program: Program, about: About) -> _Asked:
    medium, method, by, witness, place, day, document = asking.fields(about, FIELDS)
    # With what was learnt since it left: that is what people attest, and what the outcome is of.
    departure = custody.attributed(tx, _departure(tx, medium))
    if destructions.of_drive(tx, departure.drive.id) is not None:
        raise Refused(Code.ALREADY_STORED, f"medium {departure.drive.commitment[:16]} was destroyed already")
    _require_gone(tx, departure)
    if not re.fullmatch("[0-9a-f]{64}", document):
        raise Refused(Code.DOCUMENT_MISSING, "the destroyer's record is not named by its digest")
    return _Asked(
        departure=departure,
        method=_method(method),
        destroyed_on=_day(day, departure, today=program.clock().date()),
        document_digest=document,
        words=DestructionWords(by=by, witness=witness, place=place),
    )


def _facts(tx: Connection, asked: _Asked) -> dict[str, Any]:
    gone, words = asked.departure.drive, asked.words
    return {
        "drive": {
            "id": gone.id,
            "serial": gone.serial,
            "model": gone.model or "unknown",
            "capacity_bytes": "unknown" if gone.capacity_bytes is None else gone.capacity_bytes,
            "medium": gone.commitment,
        },
        "host": hosts.load(tx, gone.host).asset_tag,
        "left_at": time_text(asked.departure.left_at),
        "stood_until_now_as": custody.standing(tx, asked.departure).value,
        "tenancies_whose_data_may_be_on_it": list(asked.departure.tenancies),
        "destroyed_on": asked.destroyed_on,
        "by": words.by,
        "before": words.witness,
        "at": words.place,
    }


def _private(tx: Connection, program: Program, asked: _Asked) -> tuple[PrivateText, ...]:
    """Of the host it left, and what people typed when it left and when it was destroyed."""
    left = departures.words_of(tx, asked.departure, master_key=program.keyring.private_text_key)
    typed = {"by": asked.words.by, "witness": asked.words.witness, "place": asked.words.place}
    kept = {f"{name} when it left": text for name, text in left.items() if text and name != "why"}
    host = hosts.load(tx, asked.departure.drive.host)
    return (*private_texts.of_host(tx, program, host), *private_texts.typed_beside(typed | kept))


def _departure(tx: Connection, name: str) -> Departure:
    """The one departure that this names. A serial may have left twice; a commitment is of one drive only."""
    is_digits = re.fullmatch(f"[0-9a-f]{{{LEAST_DIGITS},64}}", name) is not None
    found = [
        each
        for each in departures.all_departures(tx)
        if each.drive.serial == name or (is_digits and each.drive.commitment.startswith(name))
    ]
    if len(found) != 1:
        raise Refused(Code.MEDIUM_NOT_IN_REGISTER, f"{len(found)} media that left are called {name[:64]!r}")
    return found[0]


def _require_gone(tx: Connection, departure: Departure) -> None:
    """Raises Refused(MEDIUM_STANDS_IN_HOST)."""
    standing_in = _on_record_in(tx, departure) | _shown_in(tx, departure)
    if standing_in:
        named = ", ".join(sorted(hosts.load(tx, host).asset_tag for host in standing_in))
        medium = departure.drive.commitment[:16]
        raise Refused(Code.MEDIUM_STANDS_IN_HOST, f"medium {medium} is on record or shows in {named}")


def _on_record_in(tx: Connection, departure: Departure) -> set[HostId]:
    drive = hosts.drive.c
    return set(
        tx.scalars(select(drive.host).where(drive.serial == departure.drive.serial, drive.left_at.is_(None)))
    )


def _shown_in(tx: Connection, departure: Departure) -> set[HostId]:
    """By an answer that came after the drive left, or by the same answer that came again."""
    serial, left_at = departure.drive.serial, departure.left_at
    sighted = sightings.drive_sighting.c
    shown = set(
        tx.scalars(select(sighted.host).where(sighted.serial == serial, sighted.last_seen_at > left_at))
    )
    for row in tx.execute(select(boots.inventory).where(boots.inventory.c.taken_at > left_at)):
        stored = StoredInventory(**row._mapping)
        if any(drive.serial == serial for drive in inventory_line(stored).drives):
            shown.add(deprovisions.load(tx, stored.deprovision).host)
    return shown


def _method(text: str) -> DestroyMethod:
    try:
        return DestroyMethod(text)
    except ValueError:
        known = ", ".join(DestroyMethod)
        raise Refused(Code.DECISION_MISMATCH, f"{text[:40]!r} is none of {known}") from None


def _day(text: str, departure: Departure, *, today: date) -> str:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise Refused(Code.DECISION_MISMATCH, f"{text[:40]!r} is no day as YYYY-MM-DD") from None
    if text != day.isoformat():
        raise Refused(Code.DECISION_MISMATCH, f"{text[:40]!r} is no day as YYYY-MM-DD")
    if not departure.left_at.date() <= day <= today:
        left_on = departure.left_at.date()
        raise Refused(Code.DECISION_MISMATCH, f"{day} is not between {left_on}, when it left, and today")
    return text
