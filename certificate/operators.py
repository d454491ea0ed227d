"""Operators: whose approvals and decisions count, and since when.

Rules: the trust root names the first two, active at once. Each further one comes by two `decision: enrol` of
two different operators who were themselves active when they decided, both for the same key, none of them by
that key; it counts from the later of the two `effective_at` on (72 hours later by default: the controller
sets it, the enrolling operators sign it). A decision that is not an enrolment, is of another purpose, or is
signed by nobody in the chain refuses the whole chain: a delivery carries nothing that is not needed.

KNOWN GAP: an operator who was dismissed is kept out by the controller, which no longer sends the enrolment,
and for the first two by a new trust root. The chain itself holds no dismissals, because nobody could tell
whether one was left out.
Source: FORMATS.md, "Keys" (Operators).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography.exceptions import InvalidSignature

from certificate import envelope as dsse
from certificate.envelope import Envelope
from certificate.errors import Code, Malformed, Untrusted
from certificate.keys import PublicKey
from certificate.statements import Approval, Decision, Purpose, Statement
from certificate.statements import statement as statements
from certificate.statements.people import DecisionKind
from certificate.statements.statement import PredicateT
from certificate.trust import TrustRoot

#: Two for each further operator; a provider has dozens, not thousands. Stops work without end.
MAX_ENROLMENTS = 128
#: A second person must agree before anybody new counts.
ENROLLED_BY = 2


@dataclass(frozen=True, kw_only=True)
class Operators:
    """The operators whose acts count at one instant."""

    purpose: Purpose
    keys: tuple[PublicKey, ...]

    def open_statement(
        self, envelope_bytes: bytes, kind: type[PredicateT]
    ) -> tuple[Statement[PredicateT], str]:
        """An approval or a decision and its payload digest, signed by the operator whom it names.

        Raises Malformed (the codes of `envelope.read` and `statement.read`) or Untrusted: KEY_UNTRUSTED,
        SIGNATURE_INVALID, PURPOSE_MISMATCH.
        """
        found = dsse.read(envelope_bytes)
        statement = statements.read(found.payload, kind)
        predicate = statement.predicate
        if not isinstance(predicate, (Approval, Decision)):
            raise Untrusted(Code.KEY_UNTRUSTED, f"operators sign no {kind.statement_name}")
        key = next((key for key in self.keys if key.keyid == predicate.operator), None)
        if key is None:
            raise Untrusted(
                Code.KEY_UNTRUSTED,
                f"{predicate.operator} is not enrolled, or its enrolment is not yet active",
            )
        found.opened(key)
        if predicate.purpose is not self.purpose:
            raise Untrusted(
                Code.PURPOSE_MISMATCH,
                f"{kind.statement_name} for {predicate.purpose.value}, operators for {self.purpose.value}",
            )
        return statement, found.payload_digest


@dataclass(frozen=True, kw_only=True)
class Roster:
    """Everybody who was ever enrolled, and since when each counts."""

    purpose: Purpose
    since: Mapping[PublicKey, datetime]

    @classmethod
    def read(cls, trust: TrustRoot, enrolments: Sequence[bytes]) -> Roster:
        """The trust root's two, and those whom `enrolments` bring in, in whatever order they come.

        Raises as `enrolled_operators`.
        """
        if len(enrolments) > MAX_ENROLMENTS:
            raise Malformed(Code.LIMIT_EXCEEDED, f"{len(enrolments)} enrolment decisions")
        decisions = [_Enrolment.read(data) for data in enrolments]
        since = {key.public: trust.created_at for key in trust.operators}
        # A round admits whoever is vouched for by those already in; each round but the last admits somebody.
        for _ in range(len(decisions) + 1):
            admitted = _admitted(since, decisions)
            if not admitted:
                break
            since.update(admitted)
        everybody = Operators(purpose=trust.purpose, keys=tuple(since))
        for data in enrolments:
            everybody.open_statement(data, Decision)
        return cls(purpose=trust.purpose, since=since)

    def at(self, instant: datetime) -> Operators:
        """Those who count then."""
        keys = tuple(key for key, start in self.since.items() if start <= instant)
        return Operators(purpose=self.purpose, keys=keys)


def enrolled_operators(trust: TrustRoot, enrolments: Sequence[bytes], at: datetime) -> Operators:
    """The operators who count at `at`: the trust root's two, and those whom `enrolments` bring in.

    The order of `enrolments` does not matter. Raises Malformed (the codes of `envelope.read` and
    `statement.read`, LIMIT_EXCEEDED, KEY_INVALID) or Untrusted: KEY_UNTRUSTED, SIGNATURE_INVALID,
    PURPOSE_MISMATCH, TYPE_MISMATCH, SUBJECT_MISMATCH.
    """
    return Roster.read(trust, enrolments).at(at)


@dataclass(frozen=True, kw_only=True)
class _Enrolment:
    """A decision to enrol, its signature not yet checked."""

    envelope: Envelope
    decision: Decision
    newcomer: PublicKey

    @classmethod
    def read(cls, data: bytes) -> _Enrolment:
        found = dsse.read(data)
        decision = statements.read(found.payload, Decision).predicate
        if decision.kind is not DecisionKind.ENROL or decision.enrols == "not_applicable":
            raise Untrusted(Code.TYPE_MISMATCH, f"a decision to {decision.kind.value} among the enrolments")
        newcomer = PublicKey.from_hex(decision.enrols)
        if decision.on != hashlib.sha256(newcomer.raw).hexdigest():
            raise Untrusted(Code.SUBJECT_MISMATCH, "an enrolment decides on another key than it brings in")
        if decision.effective_at < decision.issued_at:
            raise Untrusted(Code.KEY_UNTRUSTED, "an enrolment begins before it was decided")
        return cls(envelope=found, decision=decision, newcomer=newcomer)

    def is_signed_by(self, operator: PublicKey) -> bool:
        try:
            operator.verify(self.envelope.signature, self.envelope.pae)
        except InvalidSignature:
            return False
        return True


def _admitted(
    since: Mapping[PublicKey, datetime], enrolments: Sequence[_Enrolment]
) -> dict[PublicKey, datetime]:
    """Those not yet in whom two active operators vouch for, and from when they count."""
    vouched: dict[PublicKey, dict[PublicKey, datetime]] = {}
    named = {sponsor.keyid: (sponsor, start) for sponsor, start in since.items()}
    for enrolment in enrolments:
        # One signature is checked, of whoever the decision names: trying all of them takes a chain of sixty
        # newcomers ten seconds. That it is signed by that one, `Roster.read` holds for each in the end.
        sponsor, start = named.get(enrolment.decision.operator, (None, None))
        if enrolment.newcomer in since or sponsor is None or start is None:
            continue
        if start <= enrolment.decision.issued_at and enrolment.is_signed_by(sponsor):
            starts = vouched.setdefault(enrolment.newcomer, {})
            starts[sponsor] = min(
                enrolment.decision.effective_at, starts.get(sponsor, enrolment.decision.effective_at)
            )
    return {
        newcomer: sorted(starts.values())[ENROLLED_BY - 1]
        for newcomer, starts in vouched.items()
        if len(starts) >= ENROLLED_BY
    }
