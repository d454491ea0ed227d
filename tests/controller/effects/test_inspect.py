"""Only a boot that the tenant could not shape says what the host is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from certificate.statements.vocabulary import BootTrust
from controller.effects.inspect import TRUSTED_BOOTS
from controller.states import State
from controller.store import boots, hosts, sightings


@dataclass(frozen=True)
class CameUp:
    """The world's machine, started in another way."""

    machine: Any
    boot_trust: BootTrust

    def __getattr__(self, name: str) -> Any:
        return getattr(self.machine, name)


@pytest.mark.parametrize("trust", BootTrust, ids=str)
def test_what_an_inventory_shows_is_a_sighting_only_of_a_trusted_boot(world: Any, trust: BootTrust) -> None:
    world._program = replace(world.program, boot=CameUp(world.machine, trust))
    world.end_subscription()
    world.run(until=lambda world: world.state is State.STAGED)
    with world.program.store.snapshot() as tx:
        (host,) = hosts.all_hosts(tx)
        assert boots.latest_inventory(tx, world.key) is not None
        seen = sightings.seen_in_trusted_boot(tx, host.id)
        assert len(hosts.facts_of(tx, host.id)) == 3
    assert (seen is not None) == (trust in TRUSTED_BOOTS)
    if seen is not None:
        assert seen.drives == ("SABOTAGE1",)
        assert {fact.value for fact in seen.facts} == {"CH1", "BD1", "a1" * 16}


def test_neither_network_nor_a_tenants_own_system_is_trusted() -> None:
    assert {BootTrust.VIRTUAL_MEDIA, BootTrust.INSTALLED} == TRUSTED_BOOTS
