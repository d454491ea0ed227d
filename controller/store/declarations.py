"""What operators declared a host to be, and who signed it.

Rules: the newest declaration of a host stands, until it is declared anew; a row of hosts and its declaration
change in one transaction; whether its signers still count is said by `people.counting`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Column, Connection, ForeignKey, String, Table, insert, select

from certificate.identifiers import HostId
from controller.facts import Disposition
from controller.people.matter import Signed
from controller.store import decisions, hosts
from controller.store.columns import METADATA, IdentifierType, UtcDateTime, counted_key, one_of

declaration = Table(
    "declaration",
    METADATA,
    counted_key("number"),
    Column("host", IdentifierType(HostId), ForeignKey(hosts.host.c.id), nullable=False, index=True),
    Column("disposition", one_of(Disposition, "disposition"), nullable=False),
    Column("declared_at", UtcDateTime, nullable=False),
    sqlite_autoincrement=True,
)

declaration_signer = Table(
    "declaration_signer",
    METADATA,
    Column("declaration", ForeignKey(declaration.c.number), primary_key=True),
    Column("keyid", String(60), primary_key=True),
    Column("decision", String(64), ForeignKey(decisions.decision.c.payload_digest), nullable=False),
)


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """The newest declaration of one host."""

    number: int
    host: HostId
    disposition: Disposition
    declared_at: datetime
    #: (payload digest, fingerprint) of each decision behind it.
    signers: tuple[tuple[str, str], ...]


def record(
    tx: Connection,
    host_id: HostId,
    *,
    old: Disposition,
    new: Disposition,
    signed: Iterable[Signed],
    now: datetime,
) -> None:
    """Changes the host's disposition and keeps who declared it. Raises LostRace where it is not `old`."""
    hosts.declare_disposition(tx, host_id, old=old, new=new, now=now)
    number: int = tx.execute(
        insert(declaration)
        .values(host=host_id, disposition=new, declared_at=now)
        .returning(declaration.c.number)
    ).scalar_one()
    for each in signed:
        tx.execute(
            insert(declaration_signer).values(
                declaration=number, keyid=each.keyid, decision=each.payload_digest
            )
        )


def standing(tx: Connection, host_id: HostId) -> Declaration | None:
    """None where nobody ever declared this host."""
    query = select(declaration).where(declaration.c.host == host_id)
    row = tx.execute(query.order_by(declaration.c.number.desc()).limit(1)).one_or_none()
    if row is None:
        return None
    signers = select(declaration_signer.c.decision, declaration_signer.c.keyid).where(
        declaration_signer.c.declaration == row.number
    )
    found = tuple((each.decision, each.keyid) for each in tx.execute(signers.order_by("keyid")))
    return Declaration(**row._mapping, signers=found)
