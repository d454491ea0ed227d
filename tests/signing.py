"""Operators who sign: decisions, requests and approvals over a running program, honest or spoilt.

    people = People(program)
    people.decide("thaw", {"number": "1"}, by=alice)
    people.request(by=alice); people.approve(by=bob)

Loaded by the fixture `signing`; `crew` is a provider with its two operators.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from certificate import envelope as dsse
from certificate.errors import Refused
from certificate.identifiers import DeprovisionId
from certificate.keys import PrivateKey
from certificate.statements import Approval, Decision, make, subject
from certificate.statements.people import DecisionKind
from certificate.statements.vocabulary import Trigger
from controller import case as cases
from controller import intake, manual
from controller.case import Case
from controller.configuration import People as PeopleSettings
from controller.people import approving, deciding
from controller.people.confirmation import confirmation_digest
from controller.people.deciding import Shown
from controller.program import Program
from controller.states import State
from controller.store import deprovisions, hosts, tenancies

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
            "document_digest": matter.signed_document or "not_applicable",
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


@dataclass(frozen=True, kw_only=True)
class Crew:
    """A world, those who sign in it, and two of its operators."""

    world: Any
    people: Any
    alice: PrivateKey
    bob: PrivateKey

    @property
    def program(self) -> Any:
        return self.world.program

    def newcomer(self, *, inert_seconds: int = 0) -> PrivateKey:
        """A third operator, enrolled by the two."""
        self.let_wait(timedelta(seconds=inert_seconds))
        key = PrivateKey.generate()
        about = {"public_key": key.public.ssh_line}
        self.people.decide("enrol", about, by=self.alice)
        self.people.decide("enrol", about, by=self.bob)
        return key

    def let_wait(self, inert: timedelta) -> None:
        """Sets how long a newcomer counts nothing."""
        configuration = self.world.program.configuration
        changed = configuration.model_copy(update={"people": PeopleSettings(approver_inert=inert)})
        self.world._program = replace(self.world.program, configuration=changed)
        object.__setattr__(self.people, "program", self.world._program)

    def pass_time(self, time: timedelta) -> None:
        self.world._skip_to(self.world.now() + time)

    def refused(self, act: Callable[[], object]) -> str:
        """The code with which `act` is refused."""
        with pytest.raises(Refused) as refused:
            act()
        return refused.value.code.value


def begin_by_hand(crew: Crew) -> None:
    """A wipe by hand of the one host comes to *planned*: nothing but people is missing."""
    world, program = crew.world, crew.program
    world._beat()
    intake.learn(program)
    world._beat("ended")
    with program.store.snapshot() as tx:
        (host,) = hosts.all_hosts(tx)
    manual.ask(program, host)
    with program.store.transaction() as tx:
        (tenancy,) = tenancies.of_host(tx, host.id)
        deprovisions.schedule(
            tx,
            id=DeprovisionId.from_random(secrets.token_bytes(16)),
            host_id=host.id,
            tenancy_id=tenancy.id,
            trigger=Trigger.MANUAL,
            data_class=host.data_class,
            policy_version=1,
            policy_digest=program.configuration.policy_digest,
            grace_until=program.clock(),
            dwell_seconds=0,
            now=program.clock(),
        )
    world.run(until=lambda world: world.state is State.PLANNED)
    assert world.state is State.PLANNED
