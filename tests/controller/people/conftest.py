"""Operators around one provider, and a wipe by hand whose plan waits for them."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from certificate.errors import Refused
from certificate.identifiers import DeprovisionId
from certificate.keys import PrivateKey
from certificate.statements.vocabulary import Trigger
from controller import intake, manual
from controller.configuration import People
from controller.states import State
from controller.store import deprovisions, hosts, tenancies


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
        changed = configuration.model_copy(update={"people": People(approver_inert=inert)})
        self.world._program = replace(self.world.program, configuration=changed)
        object.__setattr__(self.people, "program", self.world._program)

    def pass_time(self, time: timedelta) -> None:
        self.world._skip_to(self.world.now() + time)

    def refused(self, act: Callable[[], object]) -> str:
        """The code with which `act` is refused."""
        with pytest.raises(Refused) as refused:
            act()
        return refused.value.code.value


@pytest.fixture
def crew(world: Any, people_of: Callable[[Any], Any]) -> Crew:
    alice, bob = world.operators
    return Crew(world=world, people=people_of(world.program), alice=alice, bob=bob)


@pytest.fixture
def waiting(crew: Crew) -> Crew:
    """The same, with a wipe by hand in *planned*: nothing but people is missing."""
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
    return crew
