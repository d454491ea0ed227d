"""From a signed statement to its effect: who signed, over what, and whether enough people did.

A decision is taken in this order, and refused at the first step that does not hold:

 1. The act is one we know, and looks at the world what it needs to (outside any transaction).
 2. While the store is older than its anchor only what stops something, or reconciles, is decided.
 3. The statement is signed by an operator who counted when it was signed and is not revoked now; it is of
    our purpose, and its envelope names that key.
 4. It was signed within the last 24 hours and not in the future, and saw no later ledger than ours.
 5. It decides on the matter as it is now: kind, choice, document, key and `on` are those of the matter made
    again in this transaction (MATTER_CHANGED). A newcomer's key counts no sooner than the matter allows.
    Where strangers read it, its reason names nobody (`people.disclosure`); a reason that is told when the
    matter is shown is refused there already, before anything is signed.
 6. It is stored once. The same statement again, and a second one by the same person, are one person.
 7. Those behind the same words who still count are counted, each with one unused, living decision that
    would be taken now. Enough: the act is applied and these decisions are used up, in the same transaction.

Sources: FORMATS.md, "Statements" (decision), "Keys"; DESIGN.md, rule 7.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from certificate import envelope as dsse
from certificate.envelope import Envelope
from certificate.errors import Code as CertificateCode
from certificate.errors import Refused, Untrusted
from certificate.operators import Operators
from certificate.statements import Decision
from certificate.statements import statement as statements
from certificate.statements.people import DecisionKind
from certificate.statements.statement import PredicateT, Purpose, Statement
from controller import checkpointing, destroying
from controller.errors import Code
from controller.people.act import About, Act, Matter, Signed
from controller.people.acts import ACTS
from controller.people.roster import roster
from controller.program import Program
from controller.store import decisions, ledger
from controller.store.decisions import StoredDecision

#: FORMATS and the issue: whoever decided yesterday is asked again.
DECISION_LIFE = timedelta(hours=24)
#: What may be decided while the store may be an old one: it stops something, or ends that very state. None of
#: it stands in the log: an entry added to an old store would fork what strangers have seen. So a key is
#: revoked after `reconcile`; until then nothing goes on, whoever signs.
WHILE_NOT_CURRENT = frozenset({DecisionKind.HOLD, DecisionKind.FREEZE, DecisionKind.RECONCILE})


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A matter as it is now, and what a statement over it needs besides."""

    matter: Matter
    #: The newest ledger event.
    ledger_seq: int
    #: Whole seconds, by the controller's clock.
    time: datetime
    purpose: Purpose
    #: Fingerprints of who signed the same so far.
    signed: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What became of one decision."""

    #: Its payload digest.
    decision: str
    #: What people signed.
    on: str
    #: What was done; None while more people are needed.
    done: str | None
    people_needed: int
    #: Fingerprints of who stands behind it.
    signed: tuple[str, ...]


def show(
    program: Program,
    kind: DecisionKind,
    about: About,
    *,
    reason: str | None = None,
    acts: Mapping[DecisionKind, Act] = ACTS,
) -> Shown:
    """`reason`: what would be signed; None where nobody typed it yet. Raises Refused: ACT_UNKNOWN,
    STORE_NOT_CURRENT, REASON_NAMES_SOMEBODY, or why the act cannot be decided now.
    """
    act = _act(acts, kind)
    act.look(program, about)
    with program.store.snapshot() as tx:
        now = program.clock()
        _require_current(tx, program, kind)
        matter = act.matter(tx, program, about)
        if reason is not None:
            matter.require_names_nobody(reason)
        behind = _behind(tx, program, matter, now=now)
        return Shown(
            matter=matter,
            ledger_seq=ledger.head(tx)[0],
            time=program.whole_second(),
            purpose=program.documents.trust.purpose,
            signed=tuple(each.keyid for each in behind),
        )


def take(
    program: Program,
    kind: DecisionKind,
    about: About,
    envelope: bytes,
    *,
    acts: Mapping[DecisionKind, Act] = ACTS,
) -> Taken:
    """Stores the decision and, with enough people behind it, carries it out.

    Raises Malformed or Untrusted (the codes of `Operators.open_statement`), or Refused: ACT_UNKNOWN,
    STORE_NOT_CURRENT, NOT_AN_OPERATOR, DECISION_MISMATCH, DECISION_STALE, DECISION_SPENT, INERT_TOO_SHORT,
    MATTER_CHANGED, REASON_NAMES_SOMEBODY, and whatever the act refuses.
    """
    act = _act(acts, kind)
    act.look(program, about)
    with program.store.transaction() as tx:
        taken = _take(tx, program, act, about, envelope)
    if kind is DecisionKind.DESTROY:
        destroying.issue_due(program)
    if kind not in WHILE_NOT_CURRENT:
        # What was decided may stand in the log (a revocation); its checkpoint is signed outside.
        checkpointing.sign_due(program)
    return taken


def _act(acts: Mapping[DecisionKind, Act], kind: DecisionKind) -> Act:
    act = acts.get(kind)
    if act is None:
        raise Refused(Code.ACT_UNKNOWN, f"nobody decides {kind.value} here")
    return act


def _require_current(tx: Connection, program: Program, kind: DecisionKind) -> None:
    """Step 2. A restored store may have forgotten who was revoked."""
    if kind not in WHILE_NOT_CURRENT and program.keeper.compare(tx).is_frozen:
        raise Refused(Code.STORE_NOT_CURRENT, f"the store is not the one its anchor knows: no {kind.value}")


def _take(tx: Connection, program: Program, act: Act, about: About, data: bytes) -> Taken:
    now = program.clock()
    _require_current(tx, program, act.kind)
    envelope, decision = _opened(tx, program, data, now=now)
    if decision.kind is not act.kind:
        raise Refused(
            Code.DECISION_MISMATCH, f"a decision to {decision.kind.value} where {act.kind.value} was asked"
        )
    if decision.ledger_seq > ledger.head(tx)[0]:
        raise Refused(Code.DECISION_MISMATCH, "it saw a ledger that is longer than ours")
    _require_unspent(tx, envelope.payload_digest)
    matter = act.matter(tx, program, about)
    _require_over(decision, matter)
    matter.require_names_nobody(decision.reason)
    decisions.record(tx, envelope=envelope, read=decision, now=now)
    behind = _behind(tx, program, matter, now=now)
    done = None
    if len(behind) >= matter.people_needed:
        # Before the act, because what it does may rest on them (an enrolment on the chain).
        decisions.mark_used(tx, (each.payload_digest for each in behind), now=now)
        done = act.apply(tx, program, about, matter, behind)
    return Taken(
        decision=envelope.payload_digest,
        on=matter.on,
        done=done,
        people_needed=matter.people_needed,
        signed=tuple(each.keyid for each in behind),
    )


def _opened(tx: Connection, program: Program, data: bytes, *, now: datetime) -> tuple[Envelope, Decision]:
    """Steps 3 and 4."""
    envelope = dsse.read(data)
    issued_at = statements.read(envelope.payload, Decision).predicate.issued_at
    require_recent(issued_at, now=now)
    operators = roster(tx, program.documents.trust, now=issued_at)
    statement, _ = open_signed(operators, data, Decision)
    decision = statement.predicate
    require_named(envelope, decision.operator)
    if [found.digest.sha256 for found in statement.subject] != [decision.on]:
        raise Refused(Code.DECISION_MISMATCH, "its subject is not what it decides on")
    return envelope, decision


def require_recent(issued_at: datetime, *, now: datetime) -> None:
    """Raises Refused(DECISION_STALE) for the future, and for what is older than DECISION_LIFE."""
    if not issued_at <= now < issued_at + DECISION_LIFE:
        raise Refused(Code.DECISION_STALE, f"it was signed at {issued_at:%Y-%m-%d %H:%M:%SZ}")


def require_named(envelope: Envelope, keyid: str) -> None:
    """The envelope's hint becomes part of a log entry, so it has to be the key that verified."""
    if envelope.keyid != keyid:
        raise Refused(Code.DECISION_MISMATCH, "the envelope names another key than the one that signed")


def open_signed(
    operators: Operators, data: bytes, kind: type[PredicateT]
) -> tuple[Statement[PredicateT], str]:
    """As `Operators.open_statement`, with NOT_AN_OPERATOR for whoever does not count."""
    try:
        return operators.open_statement(data, kind)
    except Untrusted as error:
        if error.code is CertificateCode.KEY_UNTRUSTED:
            raise Refused(Code.NOT_AN_OPERATOR, error.reason) from None
        raise


def _require_unspent(tx: Connection, payload_digest: str) -> None:
    try:
        stored = decisions.load(tx, payload_digest)
    except Refused:
        return
    if stored.used_at is not None:
        raise Refused(Code.DECISION_SPENT, f"it was carried out at {stored.used_at:%Y-%m-%d %H:%M:%SZ}")


def _require_over(decision: Decision, matter: Matter) -> None:
    """Step 5."""
    if decision.on != matter.on:
        raise Refused(Code.MATTER_CHANGED, f"{matter.kind.value} is now about {matter.on[:16]}")
    newcomer = matter.key.raw.hex() if matter.kind is DecisionKind.ENROL and matter.key else "not_applicable"
    named: Mapping[str, tuple[str, str]] = {
        "choice": (decision.choice, matter.choice),
        "document": (decision.document_digest, matter.signed_document or "not_applicable"),
        "key to enrol": (decision.enrols, newcomer),
    }
    for name, (signed, expected) in named.items():
        if signed != expected:
            raise Refused(Code.DECISION_MISMATCH, f"another {name} was signed than the matter's")
    if decision.effective_at < decision.issued_at + matter.inert_for:
        raise Refused(Code.INERT_TOO_SHORT, f"it would count before {matter.inert_for} have passed")


def _behind(tx: Connection, program: Program, matter: Matter, *, now: datetime) -> tuple[Signed, ...]:
    """Steps 6 and 7: one living, unused decision of each person who counts, the newest of each."""
    found = decisions.unused(
        tx,
        matter.kind,
        on_digest=matter.on,
        choice=matter.choice,
        document_digest=matter.signed_document,
        issued_after=now - DECISION_LIFE,
    )
    counting = {key.keyid for key in roster(tx, program.documents.trust, now=now).keys}
    people: dict[str, Signed] = {}
    for each in map(_signed, found):
        # Where a reason says a name that we learnt after it was taken, its signer signs again.
        if each.keyid in counting and matter.names_nobody(each.reason):
            people[each.keyid] = each
    return tuple(people[keyid] for keyid in sorted(people))


def _signed(stored: StoredDecision) -> Signed:
    read = statements.read(dsse.read(stored.envelope).payload, Decision).predicate
    return Signed(
        payload_digest=stored.payload_digest,
        keyid=stored.keyid,
        reason=read.reason,
        envelope=stored.envelope,
    )
