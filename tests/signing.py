"""Operators who sign: decisions, requests and approvals over a running program, honest or spoilt.

    people = People(program)
    people.decide("thaw", {"number": "1"}, by=alice)
    people.request(by=alice); people.approve(by=bob)

Loaded by the fixture `people_of`.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from certificate import envelope as dsse
from certificate.keys import PrivateKey
from certificate.statements import Approval, Decision, make, subject
from certificate.statements.people import DecisionKind
from controller import case as cases
from controller.case import Case
from controller.people import approving, deciding
from controller.people.confirmation import confirmation_digest
from controller.people.deciding import Shown
from controller.program import Program
from controller.store import deprovisions

DAY = timedelta(hours=24)


@dataclass(frozen=True, kw_only=True)
class People:
    program: Program
    #: What a person reads off the machine.
    words: str = "host-1 a1a1"

    # --- decisions ------------------------------------------------------------------------------------------

    def show(self, kind: str, about: Mapping[str, str]) -> Shown:
        return deciding.show(self.program, DecisionKind(kind), about)

    def decision(
        self, shown: Shown, by: PrivateKey, /, *, signer: PrivateKey | None = None, **changes: Any
    ) -> bytes:
        """The envelope of `by`'s decision on what was shown, spoilt by `changes`."""
        matter = shown.matter
        enrols = (
            matter.key.raw.hex() if matter.kind is DecisionKind.ENROL and matter.key else "not_applicable"
        )
        fields: dict[str, Any] = {
            "schema": 1,
            "purpose": shown.purpose,
            "nonce": secrets.token_hex(16),
            "issued_at": shown.time,
            "kind": matter.kind,
            "operator": by.public.keyid,
            "on": matter.on,
            "choice": matter.choice,
            "reason": "a test",
            "document_digest": matter.document_digest or "not_applicable",
            "enrols": enrols,
            "effective_at": shown.time + matter.inert_for,
            "ledger_seq": shown.ledger_seq,
        }
        about = changes.pop("subject", None)
        decision = Decision.model_validate(fields | changes)
        statement = make(decision, (subject("decided", about or decision.on),))
        return dsse.sign(statement.payload(), signer or by).write()

    def hand_in(self, kind: str, about: Mapping[str, str], envelope: bytes) -> deciding.Taken:
        return deciding.take(self.program, DecisionKind(kind), about, envelope)

    def decide(
        self, kind: str, about: Mapping[str, str], /, *, by: PrivateKey, **changes: Any
    ) -> deciding.Taken:
        """Reads the matter, signs it and hands it in."""
        return self.hand_in(kind, about, self.decision(self.show(kind, about), by, **changes))

    # --- approvals ------------------------------------------------------------------------------------------

    @property
    def case(self) -> Case:
        """Of the one live deprovision."""
        with self.program.store.snapshot() as tx:
            (row,) = deprovisions.live(tx)
            return cases.load(tx, row.id)

    def approval(
        self, kind: str, by: PrivateKey, /, *, signer: PrivateKey | None = None, **changes: Any
    ) -> bytes:
        """The envelope of a request or yes to the present plan, spoilt by `changes`."""
        case = self.case
        assert case.plan is not None
        with self.program.store.snapshot() as tx:
            request = approving.standing_request(tx, self.program, case, now=self.program.clock())
        answers = request.payload_digest if kind == "approve" and request is not None else "not_applicable"
        now = self.program.whole_second()
        fields: dict[str, Any] = {
            "schema": 1,
            "purpose": self.program.documents.trust.purpose,
            "nonce": secrets.token_hex(16),
            "issued_at": now,
            "kind": kind,
            "deprovision": case.id,
            "plan_digest": case.plan.digest,
            "operator": by.public.keyid,
            "confirmation_digest": confirmation_digest(case.id, changes.pop("words", self.words)),
            "request_digest": answers,
            "reason": "a test",
            "expires_at": now + DAY,
        }
        about = changes.pop("subject", None)
        approval = Approval.model_validate(fields | changes)
        statement = make(approval, (subject("plan", about or approval.plan_digest),))
        return dsse.sign(statement.payload(), signer or by).write()

    def request(self, *, by: PrivateKey, **changes: Any) -> approving.Taken:
        return approving.take(self.program, self.approval("request", by, **changes))

    def approve(self, *, by: PrivateKey, **changes: Any) -> approving.Taken:
        return approving.take(self.program, self.approval("approve", by, **changes))
