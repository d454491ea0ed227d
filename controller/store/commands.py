"""What operators commanded of one deprovision: the facts that `decide` carries out, and who signed them.

Rules: a command is stored in the transaction that finds enough people behind it, with a decision for every
signer; it names the attempt it was given in, so that a `retry` leaves every earlier command behind; the
newest of an attempt is the one that counts, and whether it still does is said by `exits`. None is ever
changed: what became of it, the moves of the ledger tell.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, insert, select

from certificate.identifiers import DeprovisionId
from controller.facts import Exit
from controller.people.matter import Signed
from controller.store import deprovisions, ledger, observations
from controller.store.decisions import operator_command, operator_command_signer
from controller.store.events import OperatorCommanded


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command and the decisions behind it."""

    number: int
    deprovision: DeprovisionId
    attempt: int
    exit: Exit
    commanded_at: datetime
    #: (payload digest, fingerprint) of each decision, by fingerprint.
    signers: tuple[tuple[str, str], ...]

    @property
    def keyids(self) -> frozenset[str]:
        return frozenset(keyid for _, keyid in self.signers)


def give(
    tx: Connection, key: DeprovisionId, *, exit: Exit, signed: Iterable[Signed], now: datetime
) -> Command:
    """The command, of the deprovision's present attempt. Wakes nobody.

    Its instant is never before the present state was entered, also where the clock was set back since: a
    command is of the stay in which it was given.
    """
    row = deprovisions.load(tx, key)
    commanded_at = max(observations.stamp(tx, now), row.entered_at)
    number: int = tx.execute(
        insert(operator_command)
        .values(deprovision=key, attempt=row.attempt, exit=exit, commanded_at=commanded_at)
        .returning(operator_command.c.number)
    ).scalar_one()
    for each in signed:
        tx.execute(
            insert(operator_command_signer).values(
                command=number, keyid=each.keyid, decision=each.payload_digest
            )
        )
        event = OperatorCommanded(
            deprovision=key,
            command=exit.value,
            keyid=each.keyid,
            attempt=row.attempt,
            decision_digest=each.payload_digest,
        )
        ledger.append(tx, event, now=now)
    return of_deprovision(tx, key)[-1]


def newest(tx: Connection, key: DeprovisionId, *, attempt: int) -> Command | None:
    """The last one given in this attempt; None where nobody commanded anything."""
    query = select(operator_command).where(
        operator_command.c.deprovision == key, operator_command.c.attempt == attempt
    )
    found = _found(tx, query.order_by(operator_command.c.number.desc()).limit(1))
    return found[0] if found else None


def of_deprovision(tx: Connection, key: DeprovisionId) -> tuple[Command, ...]:
    """All of every attempt, oldest first."""
    query = select(operator_command).where(operator_command.c.deprovision == key)
    return _found(tx, query.order_by(operator_command.c.number))


def _found(tx: Connection, query: Select[Any]) -> tuple[Command, ...]:
    return tuple(_command(tx, row) for row in tx.execute(query).all())


def _command(tx: Connection, row: Row[Any]) -> Command:
    signer = operator_command_signer
    query = select(signer.c.decision, signer.c.keyid).where(signer.c.command == row.number)
    signers = tuple((each.decision, each.keyid) for each in tx.execute(query.order_by(signer.c.keyid)))
    return Command(**row._mapping, signers=signers)
