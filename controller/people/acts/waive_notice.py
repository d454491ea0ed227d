"""Waive notice: two operators decide that a customer need not be told, and say why.

Rules: what is open now is waived and nothing else, so a notice that was delivered between showing and signing
makes another matter; the order then names each of the decisions. It tells nobody and wipes nothing: it only
no longer holds the order back.
"""

from __future__ import annotations

from typing import ClassVar

from sqlalchemy import Connection

from certificate.errors import Malformed, Refused
from certificate.identifiers import DeprovisionId
from certificate.statements.people import DecisionKind
from certificate.statements.statement import time_text
from controller.errors import Code
from controller.people import asking
from controller.people.act import About, Matter, Signed
from controller.program import Program
from controller.store import deprovisions, hosts, notices
from controller.store.notices import Notice

WAIVERS = 2


class WaiveNotice:
    """`deprovision`: its id."""

    kind: ClassVar[DecisionKind] = DecisionKind.WAIVE_NOTICE

    def look(self, program: Program, about: About) -> None:
        return

    def matter(self, tx: Connection, program: Program, about: About) -> Matter:
        """Raises Refused: NOT_IN_STORE, NOTICE_NOT_OPEN."""
        key = _key(about)
        row = deprovisions.load(tx, key)
        host = hosts.load(tx, row.host)
        waived = _open(tx, key)
        return Matter(
            kind=self.kind,
            choice="waive",
            facts={
                "deprovision": key,
                "host": host.asset_tag,
                "notices": [
                    {"kind": each.kind.value, "due_at": time_text(each.due_at.replace(microsecond=0))}
                    for each in waived
                ],
            },
            consequences=(
                "Nobody is told of these by Expunge any more; whoever signs answers for that.",
                "The order names your decision in the place of a delivery record.",
            ),
            people_needed=WAIVERS,
            words=host.asset_tag,
        )

    def apply(
        self, tx: Connection, program: Program, about: About, matter: Matter, signed: tuple[Signed, ...]
    ) -> str:
        key, now = _key(about), program.clock()
        waived = _open(tx, key)
        decisions = tuple(each.payload_digest for each in signed)
        for notice in waived:
            notices.waive(tx, notice.number, decisions=decisions, now=now)
        deprovisions.wake(tx, key, now=now)
        return f"{len(waived)} notices of {key} are waived"


def _key(about: About) -> DeprovisionId:
    (text,) = asking.fields(about, ("deprovision",))
    try:
        return DeprovisionId.parse(text)
    except Malformed:
        raise Refused(Code.NOT_IN_STORE, f"{text[:60]!r} is no deprovision") from None


def _open(tx: Connection, key: DeprovisionId) -> tuple[Notice, ...]:
    found = tuple(each for each in notices.of_deprovision(tx, key) if each.is_open)
    if not found:
        raise Refused(Code.NOTICE_NOT_OPEN, f"no notice of {key} is open")
    return found
