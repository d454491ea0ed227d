"""Departures: media that left their host, what two operators signed of them, and what may be claimed of it.

Rules:
1. A medium that left, left by two different operators: both decided `remove` on the same matter, whose
   `document_digest` is the medium's commitment; a summary names one of the two, and both come along.
2. A medium that was destroyed, is so as two different operators attest: both decided `destroy`, chose the
   same method, name the destroyer's document, and signed the digest of exactly the `Attested` that the
   outcome contains, which names the medium and the day. The outcome names both, and no decision besides.
3. Who signed was enrolled and active when signing, and signed before the document that names it.
4. The claim of a destruction is `erased` by method *destroy*, and its grade is what it is: people say so. No
   device said anything, so neither technique nor evidence stands beside it.
5. A medium that left with data nobody erased is `inconclusive`: for its host (decisions/0010).

Pure. Sources: NIST SP 800-88r2, 3.1.3 (destroy);
FORMATS.md, "Outcome"; DESIGN.md, "One deprovision".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from certificate import envelope as dsse
from certificate.assurance import COPIES_LIMIT, worst
from certificate.bundle import Bundle
from certificate.errors import Code, Untrusted
from certificate.logged import decisions_of
from certificate.operators import Roster
from certificate.statements import Decision, Outcome, Summary
from certificate.statements import statement as statements
from certificate.statements.outcome import Attested, Claim, Destruction
from certificate.statements.people import DecisionKind
from certificate.statements.summary import MediumSummary
from certificate.statements.vocabulary import Grade, Method, Result, WhatBecame
from certificate.trust import TrustRoot

#: DESIGN.md: by two people.
LEFT_BY = 2
#: Why a host with an open exception is not erased.
LEFT_UNERASED: Final = "LEFT_UNERASED"
PEOPLE_LIMIT: Final = "People say that the medium was destroyed: no device said anything."
IDENTITY_LIMIT: Final = "That the destroyed drive was this medium rests on what the operators read off it."
HOST_LIMIT: Final = "Another medium of the host was destroyed as people say; no device said anything of it."
LEFT_LIMIT: Final = "A medium left the host before anybody erased it; what is on it, nobody here can say."

_HAVE_LEFT: Final = (WhatBecame.REMOVED, WhatBecame.DESTROYED, WhatBecame.OPEN_EXCEPTION)


def claim_of_destroy(attested: Attested) -> Claim:
    """What may be claimed of a medium that two operators attest to be destroyed (rule 4)."""
    return Claim(
        result=Result.ERASED,
        method=Method.DESTROY,
        technique="not_applicable",
        grade=Grade.OPERATOR_ATTESTED,
        reasons=(),
        limits=(
            PEOPLE_LIMIT,
            IDENTITY_LIMIT,
            f"The method was to {attested.method.value}; the size of what is left is not known here.",
            COPIES_LIMIT,
        ),
    )


def claim_of_open_exception() -> Claim:
    """What a medium that left unerased allows to be said of its host (rule 5)."""
    return Claim(
        result=Result.INCONCLUSIVE,
        method=Method.NONE,
        technique="not_applicable",
        grade=Grade.NONE,
        reasons=(LEFT_UNERASED,),
        limits=(LEFT_LIMIT,),
    )


def claim_of_host(media: Sequence[tuple[WhatBecame, Claim]]) -> Claim:
    """A host's claim: its worst medium's, and a limit where another was destroyed as people say, because by
    method that medium is not the worst. Raises Refused(INCOMPLETE_SET) for no media.
    """
    claim = worst(each for _, each in media)
    is_by_word = any(became is WhatBecame.DESTROYED for became, _ in media)
    if not is_by_word or claim.method is Method.DESTROY:
        return claim
    fields = claim.model_dump() | {"limits": (*claim.limits, HOST_LIMIT)}
    return Claim.model_validate(fields)


def require_destruction(
    said: Outcome,
    destruction: Destruction,
    *,
    decisions: Sequence[bytes],
    enrolments: Sequence[bytes],
    root: TrustRoot,
) -> tuple[str, ...]:
    """Rule 2: who attests, by fingerprint. `decisions`: envelopes of kind destroy, as they came. Raises
    Untrusted: SUBJECT_MISMATCH, INCOMPLETE_SET, ATTESTATION_MISSING, EVIDENCE_MISMATCH, and the codes of
    `Operators.open_statement`.
    """
    attested = destruction.attested
    if attested.medium != said.medium.commitment:
        raise Untrusted(Code.SUBJECT_MISMATCH, "what the operators attest is of another medium")
    if list(destruction.decisions) != sorted(set(destruction.decisions)):
        raise Untrusted(Code.ATTESTATION_MISSING, "one decision is named twice, or they are out of order")
    roster, handed = Roster.read(root, enrolments), _read(decisions)
    opened = [
        _opened(_named(handed, digest), roster, before=said.issued_at) for digest in destruction.decisions
    ]
    expected = (attested.canonical_digest(), attested.method.value, attested.document_digest)
    for decision in opened:
        if (decision.on, decision.choice, decision.document_digest) != expected:
            raise Untrusted(Code.SUBJECT_MISMATCH, f"{decision.operator} attested something else")
    _require_people(opened, "attest the destruction")
    if said.claim != claim_of_destroy(attested):
        raise Untrusted(Code.EVIDENCE_MISMATCH, "the outcome claims more than people can attest")
    return tuple(sorted(decision.operator for decision in opened))


def require_left(bundle: Bundle, summary: Summary, root: TrustRoot) -> None:
    """Rule 1, for each medium that the summary says left. Raises Untrusted: INCOMPLETE_SET, SUBJECT_MISMATCH,
    ATTESTATION_MISSING, and as `Operators.open_statement`.
    """
    handed = _read(decisions_of(bundle, DecisionKind.REMOVE))
    roster = Roster.read(root, decisions_of(bundle, DecisionKind.ENROL))
    for entry in summary.media:
        if entry.became in _HAVE_LEFT:
            _require_removed(entry, summary, handed, roster)
        elif entry.decision_digest != "not_applicable":
            raise Untrusted(Code.SUBJECT_MISMATCH, f"a medium that {entry.became.value} is said to have left")


def count_of(summary: Summary, became: WhatBecame) -> int:
    """How many media of the host became this."""
    return sum(each.became is became for each in summary.media)


@dataclass(frozen=True, kw_only=True)
class _Handed:
    """A decision that came along, its signature not yet checked. Read once: a summary may name 200 media."""

    data: bytes
    digest: str
    decision: Decision


def _read(decisions: Sequence[bytes]) -> tuple[_Handed, ...]:
    found = ((data, dsse.read(data)) for data in decisions)
    return tuple(
        _Handed(
            data=data,
            digest=envelope.payload_digest,
            decision=statements.read(envelope.payload, Decision).predicate,
        )
        for data, envelope in found
    )


def _require_removed(
    entry: MediumSummary, summary: Summary, handed: Sequence[_Handed], roster: Roster
) -> None:
    if entry.decision_digest == "not_applicable":
        raise Untrusted(Code.ATTESTATION_MISSING, "a medium left, and nobody decided it")
    first = _opened(_named(handed, entry.decision_digest), roster, before=summary.issued_at)
    if first.document_digest != entry.commitment:
        raise Untrusted(Code.SUBJECT_MISMATCH, "the decision by which a medium left is of another medium")
    same = [first]
    for other in handed:
        is_other_person = other.decision.operator != first.operator
        if is_other_person and _matter(other.decision) == _matter(first):
            same.append(_opened(other, roster, before=summary.issued_at))
    _require_people(same, "took the medium out")


def _matter(decision: Decision) -> tuple[str, str, str]:
    return decision.on, decision.choice, decision.document_digest


def _named(handed: Sequence[_Handed], digest: str) -> _Handed:
    found = next((each for each in handed if each.digest == digest), None)
    if found is None:
        raise Untrusted(Code.INCOMPLETE_SET, f"the decision {digest[:16]}... did not come along")
    return found


def _opened(handed: _Handed, roster: Roster, *, before: datetime) -> Decision:
    """Rule 3."""
    operators = roster.at(handed.decision.issued_at)
    decision = operators.open_statement(handed.data, Decision)[0].predicate
    if max(decision.issued_at, decision.effective_at) > before:
        raise Untrusted(Code.ATTESTATION_MISSING, f"the decision of {decision.operator} came later")
    return decision


def _require_people(decisions: Sequence[Decision], did: str) -> None:
    people = {decision.operator for decision in decisions}
    if len(people) < LEFT_BY:
        raise Untrusted(Code.ATTESTATION_MISSING, f"{len(people)} of {LEFT_BY} operators {did}")
