"""The whole way without sabotage: what the sabotages are compared with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from certificate.verify import verify
from controller.bundles import assemble
from controller.states import State
from controller.store import audit, outcomes


def test_an_ended_subscription_leads_to_a_certificate_that_verifies(found: Callable[..., Any]) -> None:
    world = found()
    assert world.drive_text_count() == 8
    world.end_subscription()
    world.run()
    assert world.state is State.RELEASED
    assert world.drive_text_count() == 0
    assert not world.switch.is_cut
    program = world.program
    with program.store.snapshot() as tx:
        audit.check(tx)
        (outcome,) = outcomes.of_deprovision(tx, world.key)
        bundle = assemble(tx, outcome, program.documents.signed_files).bundle
    verified = verify(bundle, program.documents.trust, program.documents.policy)
    assert len(list((world.folder / "certificates").iterdir())) == 3
    assert verified.claim.result.value == "erased"
    assert verified.claim.grade.value == "marker-proven"
