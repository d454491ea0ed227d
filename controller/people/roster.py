"""The roster: whose signatures count now.

Rules this module holds:
- Whoever counts is said by `certificate.operators` over the trust root and the enrolments that two people
  completed; the same function decides at the agent and at a verifier.
- Revoked keys are taken off it, at once and for ever, the trust root's own two included. A revocation is no
  part of the chain (nobody could tell whether one was left out), so the *controller* keeps them out.
- An enrolment stays good when one of its sponsors is revoked later: two people agreed when it was made.
- A delivery carries only the enrolments that lead to the people behind its order, but each of those chains
  whole, down to the trust root.

KNOWN GAP: a key that was revoked after a backup was made counts again when that backup is restored. A store
that is not current takes no decision but hold, freeze and reconcile, and its revocations are made again right
after that; the log's `revoke-key` entries, as strangers have them, say which.
Source: FORMATS.md, "Keys" (Operators).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection

from certificate.keys import PublicKey
from certificate.operators import ENROLLED_BY, Operators, enrolled_operators
from certificate.statements.people import DecisionKind
from certificate.trust import TrustRoot
from controller.store import decisions, revocations
from controller.store.decisions import StoredDecision


class Standing(StrEnum):
    """How one key stands."""

    ACTIVE = "active"
    #: Enrolled, but `approver_inert` is not over: others may still object.
    INERT = "inert"
    REVOKED = "revoked"


@dataclass(frozen=True, kw_only=True)
class Member:
    """One key that counts, will count or counted."""

    key: PublicKey
    standing: Standing
    since: datetime
    #: Fingerprints of who brought it in; empty for the trust root's two.
    enrolled_by: tuple[str, ...]
    revoked_at: datetime | None


def roster(tx: Connection, trust: TrustRoot, *, now: datetime) -> Operators:
    """The operators who count at `now`. Raises Untrusted where the stored chain does not hold (a store that
    somebody altered).
    """
    revoked = revocations.of_all(tx)
    found = enrolled_operators(trust, enrolments(tx), now)
    return Operators(purpose=found.purpose, keys=tuple(key for key in found.keys if key.keyid not in revoked))


def enrolments(tx: Connection) -> tuple[bytes, ...]:
    """Every completed enrolment, two for each operator beyond the first two."""
    return tuple(each.envelope for each in decisions.used(tx, DecisionKind.ENROL))


def enrolments_for(tx: Connection, trust: TrustRoot, keyids: Iterable[str]) -> tuple[bytes, ...]:
    """The enrolments that lead from the trust root to these operators: what travels with a delivery."""
    first = {key.keyid for key in trust.operators}
    by_newcomer = _by_newcomer(tx)
    needed: dict[str, bytes] = {}
    wanted, seen = list(keyids), set(first)
    while wanted:
        keyid = wanted.pop()
        if keyid in seen:
            continue
        seen.add(keyid)
        for each in by_newcomer.get(keyid, ()):
            needed[each.payload_digest] = each.envelope
            wanted.append(each.keyid)
    return tuple(needed[digest] for digest in sorted(needed))


def members(tx: Connection, trust: TrustRoot, *, now: datetime) -> tuple[Member, ...]:
    """Everybody who was ever let in, the trust root's two first, then by when they count."""
    revoked = revocations.of_all(tx)
    counting = {key.keyid for key in roster(tx, trust, now=now).keys}

    def member(key: PublicKey, since: datetime, enrolled_by: tuple[str, ...]) -> Member:
        gone = revoked.get(key.keyid)
        standing = Standing.ACTIVE if key.keyid in counting else Standing.INERT
        return Member(
            key=key,
            standing=standing if gone is None else Standing.REVOKED,
            since=since,
            enrolled_by=enrolled_by,
            revoked_at=None if gone is None else gone.revoked_at,
        )

    first = [member(key.public, trust.created_at, ()) for key in trust.operators]
    later = [
        member(
            PublicKey.from_hex(_newcomer(found[0])),
            _since(found),
            tuple(sorted({each.keyid for each in found})),
        )
        for found in _by_newcomer(tx).values()
    ]
    return (*first, *sorted(later, key=lambda each: (each.since, each.key.keyid)))


def _by_newcomer(tx: Connection) -> dict[str, list[StoredDecision]]:
    """The completed enrolments of each newcomer, by the newcomer's fingerprint."""
    found: dict[str, list[StoredDecision]] = {}
    for each in decisions.used(tx, DecisionKind.ENROL):
        found.setdefault(PublicKey.from_hex(_newcomer(each)).keyid, []).append(each)
    return found


def _newcomer(enrolment: StoredDecision) -> str:
    if enrolment.newcomer is None:
        raise ValueError(f"{enrolment.payload_digest} enrols nobody")
    return enrolment.newcomer


def _since(enrolled: list[StoredDecision]) -> datetime:
    """The later of the two `effective_at`, as `certificate.operators` counts."""
    starts = sorted(each.effective_at for each in enrolled)
    return starts[min(ENROLLED_BY, len(starts)) - 1]
