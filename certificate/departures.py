"""Departures: media that left their host, what two operators signed of them, and what may be claimed of it.

Rules:
1. A medium that left, left by two different operators: both decided `remove` on the same matter, whose
   `document_digest` is the medium's commitment; a summary names one of the two, and both come along.
2. A medium that was destroyed, is so as two different operators attest: both decided `destroy`, chose the
   same method, name the destroyer's document, and signed the digest of exactly the `Attested` that the
   outcome contains, which names the medium and the day. The outcome names both, and no decision besides.
3. Who signed was enrolled and active when signing, and signed before the document that names it, and not
   before the day of the destruction (`brackets`).
4. The claim of a destruction is `erased` by method *destroy*, and its grade is what it is: people say so. No
   device said anything, so neither technique nor evidence stands beside it.
5. A medium that left with data nobody erased is `inconclusive`: for its host (decisions/0010).
6. A host's claim is its worst medium's (`claim_of_host`), word for word where the claims that are here decide
   which that is. Where a medium whose outcome is not here may be as weak, it is no stronger than any that is
   here, says `erased` only where each was erased or destroyed, and has every limit that all of them have.

Pure. Sources: NIST SP 800-88r2, 3.1.3 (destroy);
FORMATS.md, "Outcome"; DESIGN.md, "One deprovision".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from certificate import brackets
from certificate import envelope as dsse
from certificate.assurance import CELLS_LIMIT, COPIES_LIMIT, FIRMWARE_LIMIT, START_LIMIT, strength, worst
from certificate.bundle import Bundle
from certificate.errors import Code, Untrusted
from certificate.logged import decisions_of
from certificate.operators import Roster
from certificate.statements import Decision, Outcome, Summary
from certificate.statements import statement as statements
from certificate.statements.outcome import Attested, Claim, Destruction
from certificate.statements.people import DecisionKind
from certificate.statements.summary import MediumSummary
from certificate.statements.vocabulary import DestroyMethod, Grade, Method, Result, WhatBecame
from certificate.trust import TrustRoot

#: DESIGN.md: by two people.
LEFT_BY = 2
#: Why a host with an open exception is not erased.
LEFT_UNERASED: Final = "LEFT_UNERASED"
PEOPLE_LIMIT: Final = "People say that the medium was destroyed: no device said anything."
IDENTITY_LIMIT: Final = "That the destroyed drive was this medium rests on what the operators read off it."
HOST_LIMIT: Final = "Another medium of the host was destroyed as people say; no device said anything of it."
LEFT_LIMIT: Final = "A medium left the host before anybody erased it; what is on it, nobody here can say."

HAVE_LEFT: Final = (WhatBecame.REMOVED, WhatBecame.DESTROYED, WhatBecame.OPEN_EXCEPTION)


def claim_of_destroy(attested: Attested) -> Claim:
    """What may be claimed of a medium that two operators attest to be destroyed (rule 4)."""
    return _claim_of_destroy(attested.method)


def _claim_of_destroy(method: DestroyMethod) -> Claim:
    return Claim(
        result=Result.ERASED,
        method=Method.DESTROY,
        technique="not_applicable",
        grade=Grade.OPERATOR_ATTESTED,
        reasons=(),
        limits=(
            PEOPLE_LIMIT,
            IDENTITY_LIMIT,
            f"The method was to {method.value}; the size of what is left is not known here.",
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
    return _of_host(worst(claim for _, claim in media), [became for became, _ in media])


def _of_host(weakest: Claim, words: Sequence[WhatBecame]) -> Claim:
    if not _is_besides_destroyed(weakest, words):
        return weakest
    fields = weakest.model_dump() | {"limits": (*weakest.limits, HOST_LIMIT)}
    return Claim.model_validate(fields)


def _is_besides_destroyed(claim: Claim, words: Sequence[WhatBecame]) -> bool:
    return WhatBecame.DESTROYED in words and claim.method is not Method.DESTROY


def require_claim_of_host(said: Claim, media: Sequence[tuple[WhatBecame, Claim | None]]) -> None:
    """Rule 6; None stands for the claim of a medium whose outcome is not here. Raises
    Untrusted(EVIDENCE_MISMATCH).
    """
    words = [became for became, _ in media]
    here = [
        claim_of_open_exception() if became is WhatBecame.OPEN_EXCEPTION else claim for became, claim in media
    ]
    weakest = min((claim for claim in here if claim is not None), key=_strength, default=None)
    is_more = weakest is not None and strength(said) > strength(weakest)
    if is_more or _strength(said)[1] > min(_least(became)[1] for became in words):
        raise Untrusted(
            Code.EVIDENCE_MISMATCH, "the summary claims more of the host than of its worst medium"
        )
    elsewhere = [_least(became) for became, claim in zip(words, here, strict=True) if claim is None]
    if weakest is not None and all(_strength(weakest) < least for least in elsewhere):
        if said != _of_host(weakest, words):
            raise Untrusted(
                Code.EVIDENCE_MISMATCH, "the summary tells the host's claim otherwise than its worst medium's"
            )
    elif not _least_limits(said, words) <= set(said.limits):
        raise Untrusted(Code.EVIDENCE_MISMATCH, "the host's claim lacks a limit that all of its media have")


def _strength(claim: Claim) -> tuple[int, int]:
    """The order of `assurance.worst`."""
    return strength(claim), list(Result).index(claim.result)


def _least(became: WhatBecame) -> tuple[int, int]:
    """The weakest claim that a medium of which this became can have."""
    if became in (WhatBecame.NOT_ERASED, WhatBecame.INCONCLUSIVE):
        return 0, list(Result).index(Result(became.value))
    if became is WhatBecame.OPEN_EXCEPTION:
        return _strength(claim_of_open_exception())
    if became is WhatBecame.DESTROYED:
        return _strength(_claim_of_destroy(DestroyMethod.SHRED))
    return 1, list(Result).index(Result.ERASED)


def _least_limits(said: Claim, words: Sequence[WhatBecame]) -> set[str]:
    """What a host's claim says whichever of its media is the worst."""
    limits = {HOST_LIMIT} if _is_besides_destroyed(said, words) else set()
    if said.reasons == claim_of_open_exception().reasons and WhatBecame.OPEN_EXCEPTION in words:
        return limits | {LEFT_LIMIT}
    if said.method is Method.DESTROY:
        return limits | {PEOPLE_LIMIT, IDENTITY_LIMIT, COPIES_LIMIT}
    return limits | {CELLS_LIMIT, FIRMWARE_LIMIT, START_LIMIT, COPIES_LIMIT}


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
        brackets.require_destroyed_by(attested, decision.issued_at)
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
        if entry.became in HAVE_LEFT:
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
