"""What the billing source is asked: the state of a subscription, a host's tenancies, its clock, a census.

Rules: every tenancy the source names for a host and that we did not know becomes a row of ours in the
transaction that stores the answer, so that the next decision already counts it; an end that the source now
dates otherwise is a change. Its tenant is whoever has the host on record when the tenancy is learnt, so that
a hold on that customer covers the host after it has another. Plain subscription ids are read from private
text for the question and appear nowhere else.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Connection

from certificate.identifiers import DeprovisionId, TenancyId
from controller.facts import Question
from controller.observe.answering import UNKNOWN, Answered, put
from controller.program import NONCE_BYTES, Program
from controller.sources import SubscriptionState, TenancyEntry, TenancyListAnswer
from controller.store import observations, private, tenancies
from controller.store.hosts import Host
from controller.store.private import SUBSCRIPTION_TEXT
from controller.store.tenancies import Tenancy

COMPLETE, INCOMPLETE, KNOWN = "complete", "incomplete", "known"


def subscription(program: Program, tenancy: Tenancy, *, deprovision: DeprovisionId | None = None) -> None:
    """Has the subscription of this tenancy ended?"""

    def ask() -> Answered:
        with program.store.snapshot() as tx:
            plain = private.read(
                tx,
                subject_ref=tenancy.subscription_ref,
                kind=SUBSCRIPTION_TEXT,
                master_key=program.keyring.private_text_key,
            )
        if plain is None:
            return Answered(
                answer=UNKNOWN, raw=b"", detail={"reason": "the subscription's id is not on record"}
            )
        said = program.source.subscription(plain)
        return Answered(
            answer=said.state.value,
            raw=said.raw,
            detail={
                "changed_at": _text(said.changed_at),
                "source_time": _text(said.source_time),
                "reason": said.doubt,
            },
        )

    put(program, Question.SUBSCRIPTION, tenancy.id, ask=ask, deprovision=deprovision)


def tenancy_list(program: Program, host: Host, *, deprovision: DeprovisionId | None = None) -> None:
    """Who rents, rented or will rent this host? Names unknown to us are recorded with the answer."""

    def ask() -> Answered:
        said = program.source.tenancies(host.asset_tag)
        if not said.is_complete:
            return Answered(answer=INCOMPLETE, raw=said.raw, detail={"names": [], "reason": said.doubt})
        return Answered(
            answer=COMPLETE,
            raw=said.raw,
            detail={},
            record=lambda tx: {"names": _record(tx, program, host, said)},
        )

    put(program, Question.TENANCIES, host.id, ask=ask, deprovision=deprovision)


def clock(program: Program, host: Host, *, deprovision: DeprovisionId | None = None) -> None:
    """How far is our clock from the source's own? Its time comes with any answer; we ask for this host's
    list.
    """

    def ask() -> Answered:
        said = program.source.tenancies(host.asset_tag)
        if said.source_time is None:
            return Answered(answer=UNKNOWN, raw=said.raw, detail={"reason": said.doubt or "it told no time"})
        return Answered(answer=KNOWN, raw=said.raw, detail=_difference(program, said.source_time))

    put(program, Question.CLOCK, program.configuration.source.name, ask=ask, deprovision=deprovision)


def ended_at(tx: Connection, tenancy: Tenancy) -> datetime | None:
    """When the tenancy ended, as the source dates it in its newest answer; None where that is not `ended`, or
    the source does not say when.
    """
    latest = observations.latest(tx, Question.SUBSCRIPTION, tenancy.id)
    if latest is None or latest.asked.answer != SubscriptionState.ENDED.value:
        return None
    changed_at = (latest.asked.detail or {}).get("changed_at")
    return None if changed_at is None else datetime.fromisoformat(changed_at)


def census(program: Program) -> None:
    """How many subscriptions stand in each state, and how far is our clock from the source's own?"""

    def ask() -> Answered:
        said = program.source.census()
        told = _difference(program, said.source_time)
        if not said.is_complete:
            return Answered(answer=INCOMPLETE, raw=said.raw, detail={**told, "reason": said.doubt})
        counts = {"active": said.active_count, "ended": said.ended_count, "pending": said.pending_count}
        return Answered(answer=COMPLETE, raw=said.raw, detail={**told, **counts})

    put(program, Question.CENSUS, program.configuration.source.name, ask=ask)


def _difference(program: Program, source_time: datetime | None) -> dict[str, int]:
    if source_time is None:
        return {}
    return {"difference_seconds": round((program.clock() - source_time).total_seconds())}


def _record(tx: Connection, program: Program, host: Host, said: TenancyListAnswer) -> list[str]:
    """Our id for each tenancy the source named, new ones recorded, changed ends stamped."""
    known = {(each.subscription_ref, each.starts_at): each for each in tenancies.of_host(tx, host.id)}
    names: list[str] = []
    for entry in said.entries:
        subscription_ref = program.pseudonyms.subscription(entry.subscription)
        found = known.get((subscription_ref, entry.starts_at))
        if found is None:
            found = _record_new(tx, program, host, entry, subscription_ref)
        elif found.ends_at != entry.ends_at:
            tenancies.change_end(tx, found.id, old=found.ends_at, new=entry.ends_at, now=program.clock())
        names.append(found.id)
    return names


def _record_new(
    tx: Connection, program: Program, host: Host, entry: TenancyEntry, subscription_ref: str
) -> Tenancy:
    now = observations.stamp(tx, program.clock())
    tenancy = TenancyId.from_random(program.random_bytes(NONCE_BYTES))
    new = Tenancy(
        id=tenancy,
        host=host.id,
        subscription_ref=subscription_ref,
        tenancy_ref=program.pseudonyms.tenancy(tenancy),
        tenant_ref=host.customer_ref,
        data_class=host.data_class,
        starts_at=entry.starts_at,
        ends_at=entry.ends_at,
        asserted_by=program.configuration.source.name,
        recorded_at=now,
        changed_at=now,
    )
    tenancies.record(tx, new, now=now)
    private.write(
        tx,
        subject_ref=subscription_ref,
        kind=SUBSCRIPTION_TEXT,
        text=entry.subscription,
        master_key=program.keyring.private_text_key,
        random_bytes=program.random_bytes,
        now=now,
    )
    return new


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else instant.astimezone(UTC).isoformat()


__all__ = [
    "COMPLETE",
    "SUBSCRIPTION_TEXT",
    "SubscriptionState",
    "census",
    "clock",
    "ended_at",
    "subscription",
    "tenancy_list",
]
