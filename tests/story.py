"""One healthy deprovision in any state, for a test to spoil: `story.facts(State.INTENDED)` may be sent.

Loaded by the fixture `story`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from certificate.identifiers import DeprovisionId, HostId, OrderId, TenancyId
from certificate.messages import TokenState
from certificate.statements.statement import Seen
from certificate.statements.vocabulary import BootTrust, Result, Trigger, ValidationDecision
from controller import facts as f
from controller.states import State


class Story:
    """Facts around one instant, T0, at which everything that may be observed was observed a moment ago."""

    T0 = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
    SECOND = timedelta(seconds=1)
    HOUR = timedelta(hours=1)
    HOST = HostId("hst_" + "1" * 32)
    DEPROVISION = DeprovisionId("dep_" + "2" * 32)
    TENANCY = TenancyId("ten_" + "3" * 32)
    EARLIER = TenancyId("ten_" + "4" * 32)
    LATER = TenancyId("ten_" + "5" * 32)
    ORDER = OrderId("ord_" + "6" * 32)
    TOKEN = "7" * 32
    BOOT = "b" * 64
    OTHER_BOOT = "c" * 64
    PLAN = "d" * 64
    MEDIUM = "e" * 64
    OTHER_MEDIUM = "f" * 64

    def subscription(self, answer: f.Answer = f.Answer.ENDED, **changes: Any) -> f.SubscriptionObservation:
        seen = f.SubscriptionObservation(
            sequence=10,
            asked_at=self.T0 - 2 * self.SECOND,
            answered_at=self.T0 - self.SECOND,
            answer=answer,
            changed_at=self.T0 - 48 * self.HOUR,
        )
        return replace(seen, **changes)

    def tenancy(self, **changes: Any) -> f.TenancyFacts:
        tenancy = f.TenancyFacts(
            tenancy=self.TENANCY,
            starts_at=self.T0 - 1000 * self.HOUR,
            ends_at=None,
            last_hint_at=self.T0 - 47 * self.HOUR,
            last_renewal_hint_at=None,
            last_change_at=self.T0 - 47 * self.HOUR,
            latest=self.subscription(),
        )
        return replace(tenancy, **changes)

    def order(self, **changes: Any) -> f.OrderFacts:
        order = f.OrderFacts(
            order=self.ORDER,
            token=self.TOKEN,
            fence=7,
            plan_digest=self.PLAN,
            boot_id=self.BOOT,
            intended_at=self.T0 - 60 * self.SECOND,
            expires_at=self.T0 + 600 * self.SECOND,
            is_logged=True,
            dispatched_at=None,
            is_withdrawn=False,
            is_acknowledged=False,
            is_absent_final=False,
        )
        return replace(order, **changes)

    def agent(self, state: TokenState, **changes: Any) -> f.AgentObservation:
        seen = f.AgentObservation(token=self.TOKEN, state=state, **self._asked())
        return replace(seen, **changes)

    def isolation(self, cut: Seen = Seen.YES, **changes: Any) -> f.IsolationObservation:
        seen = f.IsolationObservation(tenant_side_cut=cut, our_side_reachable=Seen.YES, **self._asked())
        return replace(seen, **changes)

    def listed(self, *names: str, **changes: Any) -> f.TenancyListObservation:
        seen = f.TenancyListObservation(is_complete=Seen.YES, names=names, **self._asked())
        return replace(seen, **changes)

    def clock(self, **changes: Any) -> f.ClockObservation:
        return replace(f.ClockObservation(difference_seconds=0.5, **self._asked()), **changes)

    def hello(self, **changes: Any) -> f.HelloObservation:
        return replace(f.HelloObservation(boot_id=self.BOOT, **self._asked()), **changes)

    def inventory(self, **changes: Any) -> f.InventoryFacts:
        seen = f.InventoryFacts(
            boot_id=self.BOOT,
            agreeing_host_facts=3,
            contradicting_host_facts=0,
            expected_drives=1,
            missing_drives=0,
            unexpected_drives=0,
            refused=(),
        )
        return replace(seen, **changes)

    def approval(self, keyid: str, **changes: Any) -> f.ApprovalFacts:
        approval = f.ApprovalFacts(
            keyid=keyid, is_request=False, plan_digest=self.PLAN, expires_at=self.T0 + self.HOUR
        )
        return replace(approval, **changes)

    def verdict(self, **changes: Any) -> f.VerdictFacts:
        verdict = f.VerdictFacts(
            medium=self.MEDIUM,
            result=Result.ERASED,
            decision=ValidationDecision.ACCEPT,
            row="default, self_encrypting_nvme, nvme_sanitize_crypto, marker-proven",
        )
        return replace(verdict, **changes)

    def begun(self, effect: f.Effect, *, ago: timedelta) -> f.EffectBegun:
        return f.EffectBegun(effect=effect, begun_at=self.T0 - ago)

    def hold(self) -> f.HoldFacts:
        return f.HoldFacts(author="counsel", matter="case 7", review_at=self.T0 + 240 * self.HOUR)

    def facts(self, state: State, **changes: Any) -> f.Facts:
        """Everything is as it should be in `state` at T0, then spoiled by `changes`."""
        return replace(self._told(state), **changes)

    def _asked(self) -> dict[str, Any]:
        return {
            "sequence": 11,
            "asked_at": self.T0 - 2 * self.SECOND,
            "answered_at": self.T0 - self.SECOND,
        }

    def _told(self, state: State) -> f.Facts:
        way = list(State)
        passed = way.index(state if state is not State.NEEDS_OPERATOR else State.ERASING)
        is_past = {known: passed >= way.index(known) for known in State}
        order = None
        if is_past[State.INTENDED]:
            order = self.order()
        if is_past[State.ERASING]:
            order = self.order(dispatched_at=self.T0 - 10 * self.SECOND)
        is_booted = is_past[State.STAGED]
        return f.Facts(
            deprovision=self.DEPROVISION,
            host=self.HOST,
            tenancy=self.TENANCY,
            state=state,
            attempt=1,
            fence=7,
            entered_at=self.T0 - 60 * self.SECOND,
            deadline_at=None,
            trigger=Trigger.ENDED,
            disposition=f.Disposition.RENTED,
            declaration=None,
            data_class="default",
            grace_until=self.T0 - 20 * self.HOUR,
            came_back_at=None,
            dwell=30 * self.SECOND,
            boot_takes=600 * self.SECOND,
            tenancies=(self.tenancy(),),
            tenancy_list=self.listed(self.TENANCY),
            clock=self.clock(),
            newest_signed_at=self.T0 - 60 * self.SECOND,
            isolation=self.isolation(),
            boot=f.BootFacts(boot_id=self.BOOT, is_proven=True, boot_trust=BootTrust.VIRTUAL_MEDIA)
            if is_booted
            else None,
            inventory=self.inventory() if is_booted else None,
            drives_elsewhere=(),
            hello=self.hello() if state is State.APPROVED else None,
            plan=f.PlanFacts(digest=self.PLAN, boot_id=self.BOOT, media=(self.MEDIUM,))
            if is_past[State.PLANNED]
            else None,
            is_table_kept=True,
            approvals_required=0,
            approvals=(),
            order=order,
            has_open_earlier_order=False,
            last_acknowledged_at=None,
            agent=None,
            is_evidence_in=is_past[State.VERIFIED],
            verdicts=(self.verdict(),) if is_past[State.VERIFIED] else (),
            acceptance=None,
            are_outcomes_logged=is_past[State.VALIDATED],
            has_summary=is_past[State.VALIDATED],
            is_written_off=False,
            owes_records=False,
            is_summary_logged=is_past[State.VALIDATED],
            does_bundle_verify=is_past[State.VALIDATED],
            holds=(),
            is_frozen=False,
            is_intake_open=True,
            limits_reached=(),
            is_store_current=True,
            are_notices_settled=True,
            has_live_order_elsewhere=False,
            basis_since=None,
            command=None,
            effects_begun=(self.begun(f.Effect.ISOLATE, ago=4 * self.HOUR),)
            if is_past[State.QUARANTINED]
            else (),
        )
