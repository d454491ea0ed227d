"""A plan is its digest; the same intention made again changes nothing."""

from __future__ import annotations

import hashlib
from typing import Any

from controller.store import ledger, plans


def test_a_plan_is_named_by_the_digest_of_its_text(scene: Any) -> None:
    key = scene.deprovision()
    plan = scene.plan(key, "plan A")
    assert plan.digest == hashlib.sha256(b"plan A").hexdigest()
    assert scene.plan(key, "plan A") == plan
    with scene.store.snapshot() as tx:
        assert [event.kind for event in ledger.events(tx)].count("plan-made") == 1


def test_the_newest_plan_of_the_attempt_is_the_present_one(scene: Any) -> None:
    key = scene.deprovision()
    scene.plan(key, "plan A")
    scene.plan(key, "plan B")
    again = scene.plan(key, "plan A")
    with scene.store.snapshot() as tx:
        assert plans.current(tx, key, attempt=1) == again
        assert plans.current(tx, key, attempt=2) is None


def test_a_new_attempt_makes_its_own_plan(scene: Any) -> None:
    key = scene.deprovision()
    first, second = scene.plan(key), scene.plan(key, attempt=2)
    assert first.digest == second.digest
    assert first.number != second.number


def test_an_approval_counts_once_and_for_its_plan_only(scene: Any) -> None:
    key = scene.deprovision()

    def approve(text: str, plan: str) -> bool:
        with scene.store.transaction() as tx:
            return plans.record_approval(
                tx,
                key,
                attempt=1,
                envelope=scene.signed(text),
                plan_digest=scene.digest(plan),
                keyid=scene.signer.public.keyid,
                is_request=False,
                request_digest=None,
                expires_at=scene.at(86_400),
                now=scene.at(),
            )

    assert approve("yes 1", "A")
    assert not approve("yes 1", "A")
    assert not approve("yes 1", "B")
    assert approve("yes 2", "A")
    with scene.store.snapshot() as tx:
        found = plans.approvals_of(tx, key, attempt=1, plan_digest=scene.digest("A"))
        assert len(found) == 2
        assert {one.envelope for one in found} == {scene.signed(f"yes {n}").write() for n in (1, 2)}
        assert (found[0].is_request, found[0].keyid) == (False, scene.signer.public.keyid)
        assert plans.approvals_of(tx, key, attempt=1, plan_digest=scene.digest("B")) == ()
