"""Why an order was made: its own signed basis, held against what the store has now.

Rules: what is told of an answer is what the signed order says, never a retelling; the row it came from is
read again, and where that says otherwise, or is gone, the difference is told and not repaired. Digests of
order and plan are computed anew from the order's bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import rfc8785
from sqlalchemy import Connection

from certificate import envelope as dsse
from certificate.errors import Refused
from certificate.identifiers import DeprovisionId
from certificate.statements import Order
from certificate.statements import statement as statements
from certificate.statements.order import (
    ApprovalReference,
    Basis,
    QuarantineReadBack,
    SourceAnswer,
    TenancyList,
)
from certificate.statements.statement import Seen
from controller.api.documents import CommandLine, Ground, ObservationLine, PolicyLine, SignedLine, Why
from controller.api.lines import observation_line, whole_seconds
from controller.basis import EMPTY_DIGEST
from controller.facts import Question
from controller.observe.source import COMPLETE
from controller.store import commands, decisions, deprovisions, ledger, observations, plans, tenancies
from controller.store.events import OperatorCommanded
from controller.store.observations import StoredObservation
from controller.store.orders import StoredOrder

#: What a row that is gone, or altered, is called beside the signed word.
OTHERWISE = "the row now says otherwise"
GONE = "the row is gone"


def why(tx: Connection, stored: StoredOrder, *, source: str, policy: Mapping[str, Any]) -> Why:
    """`source`: whose clock is asked about; `policy`: as it is configured now."""
    payload = dsse.read(stored.envelope).payload
    order = statements.read(payload, Order).predicate
    return Why(
        order=stored.id,
        order_digest=stored.payload_digest,
        order_seq=stored.log_seq,
        plan_digest=order.plan_digest,
        floor=order.plan.floor.value,
        basis=order.basis.model_dump(mode="json"),
        order_digest_recomputed=hashlib.sha256(payload).hexdigest(),
        plan_digest_recomputed=order.plan.canonical_digest(),
        grounds=tuple(_grounds(tx, stored, order.basis)),
        clock=_clock(tx, stored, source),
        policy=_policy(order.basis, policy),
        people=tuple(_people(tx, stored, order.basis)),
        commands=tuple(_commands(tx, stored.deprovision)),
    )


def _grounds(tx: Connection, stored: StoredOrder, basis: Basis) -> Iterator[Ground]:
    host = deprovisions.load(tx, stored.deprovision).host
    named = {each.tenancy_ref: str(each.id) for each in tenancies.of_host(tx, host)}
    listed = basis.tenancies
    word = COMPLETE if listed.is_complete is Seen.YES else f"complete: {listed.is_complete.value}"
    yield _ground(
        tx, Question.TENANCIES, host, f"{word}, {listed.count} tenancies", listed, words=_list_words
    )
    for each in basis.answers:
        about = named.get(each.tenancy_ref, "a tenancy that is not on record (any more)")
        yield _ground(tx, Question.SUBSCRIPTION, about, each.state, each, words=lambda row: row.answer or "")
    if basis.quarantine != "not_applicable":
        cut = basis.quarantine
        word = f"tenant side cut: {cut.tenant_side_cut.value}, our side: {cut.our_side_reachable.value}"
        yield _ground(tx, Question.ISOLATION, host, word, cut, words=_quarantine_words)


def _list_words(row: StoredObservation) -> str:
    word = COMPLETE if row.answer == COMPLETE else "complete: no"
    return f"{word}, {len((row.detail or {}).get('names', ()))} tenancies"


def _quarantine_words(row: StoredObservation) -> str:
    ours = (row.detail or {}).get("our_side_reachable", "")
    return f"tenant side cut: {_seen(row.answer)}, our side: {_seen(ours)}"


def _seen(word: str | None) -> str:
    return word if word in (Seen.YES.value, Seen.NO.value) else Seen.NOT_OBSERVED.value


def _ground(
    tx: Connection,
    question: Question,
    about: str,
    word: str,
    signed: TenancyList | SourceAnswer | QuarantineReadBack,
    *,
    words: Callable[[StoredObservation], str],
) -> Ground:
    return Ground(
        question=question.value,
        about=about,
        word=word,
        asked_at=signed.asked_at,
        answered_at=signed.answered_at,
        answer_digest=signed.answer_digest,
        sequence=signed.sequence,
        mismatch=_mismatch(tx, question, about, word, signed, words=words),
    )


def _mismatch(
    tx: Connection,
    question: Question,
    about: str,
    word: str,
    signed: TenancyList | SourceAnswer | QuarantineReadBack,
    *,
    words: Callable[[StoredObservation], str],
) -> str | None:
    try:
        row = observations.load(tx, signed.sequence)
    except Refused:
        return GONE
    compared = {
        "question": (question.value, row.question.value),
        "about": (about, row.about),
        "answer": (word, words(row)),
        "digest": (signed.answer_digest, row.raw_digest or EMPTY_DIGEST),
        "asked": (signed.asked_at, whole_seconds(row.asked_at)),
        "answered": (signed.answered_at, _whole(row.answered_at)),
    }
    told = [f"{name}: {now}" for name, (then, now) in compared.items() if then != now]
    return f"{OTHERWISE}: {'; '.join(told)}" if told else None


def _whole(instant: datetime | None) -> datetime | None:
    return None if instant is None else whole_seconds(instant)


def _clock(tx: Connection, stored: StoredOrder, source: str) -> ObservationLine | None:
    seen = observations.latest_asked_before(tx, Question.CLOCK, source, before=stored.intended_at)
    return None if seen is None else observation_line(seen)


def _policy(basis: Basis, policy: Mapping[str, Any]) -> PolicyLine:
    is_the_same = hashlib.sha256(rfc8785.dumps(dict(policy))).hexdigest() == basis.policy_digest
    return PolicyLine(
        version=basis.policy_version,
        digest=basis.policy_digest,
        text=dict(policy) if is_the_same else None,
    )


def _people(tx: Connection, stored: StoredOrder, basis: Basis) -> Iterator[SignedLine]:
    """Requests, approvals and declarations that the order names, then who began a wipe by hand."""
    for reference in basis.approvals:
        found = plans.approval_by_digest(tx, reference.digest)
        what = "approval" if found is None or not found.is_request else "request"
        yield _signed(what, reference, None if found is None else found.envelope)
    for reference in basis.decisions:
        yield _signed("declaration", reference, _decision(tx, reference.digest))
    for event in ledger.events(tx, deprovision=stored.deprovision):
        # A wipe begun by hand, and what a person said of a result: decisions that are no command of `exits`.
        what = event.body["command"] if event.kind == OperatorCommanded.kind else ""
        if what == "wipe" or what.startswith("validate:"):
            said = ApprovalReference(digest=event.body["decision_digest"], keyid=event.body["keyid"])
            yield _signed(what, said, _decision(tx, said.digest))


def _commands(tx: Connection, key: DeprovisionId) -> Iterator[CommandLine]:
    for command in commands.of_deprovision(tx, key):
        yield CommandLine(
            command=command.exit.value,
            attempt=command.attempt,
            at=whole_seconds(command.commanded_at),
            signed=tuple(_references(tx, command.signers)),
        )


def _references(tx: Connection, signers: Iterable[tuple[str, str]]) -> Iterator[SignedLine]:
    for digest, keyid in signers:
        reference = ApprovalReference(digest=digest, keyid=keyid)
        yield _signed("decision", reference, _decision(tx, digest))


def _decision(tx: Connection, digest: str) -> bytes | None:
    try:
        return decisions.load(tx, digest).envelope
    except Refused:
        return None


def _signed(what: str, reference: ApprovalReference, envelope: bytes | None) -> SignedLine:
    mismatch = GONE
    if envelope is not None:
        found = dsse.read(envelope)
        is_the_same = (found.payload_digest, found.keyid) == (reference.digest, reference.keyid)
        mismatch = "" if is_the_same else f"{OTHERWISE}: {found.payload_digest} by {found.keyid}"
    return SignedLine(what=what, digest=reference.digest, keyid=reference.keyid, mismatch=mismatch or None)
