"""A billing system in memory, with a life of its own.

billing = SimulatedBilling(clock=clock)
billing.let("host-1", "sub-1", starts_at=...)
billing.end("sub-1"); billing.renew("sub-1")
billing.goes_stale(); billing.breaks(); billing.recovers()
billing.says("sub-1", "terminated")        # a word that is no state
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime

from controller.sources import (
    CensusAnswer,
    Hint,
    HintKind,
    HintsAnswer,
    SubscriptionAnswer,
    SubscriptionState,
    TenancyEntry,
    TenancyListAnswer,
)


class SimulatedBilling:
    """A `Source` for tests."""

    def __init__(self, *, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._states: dict[str, tuple[str, datetime]] = {}
        self._tenancies: dict[str, list[TenancyEntry]] = {}
        self._trouble = ""

    def let(
        self, host: str, subscription: str, *, starts_at: datetime, ends_at: datetime | None = None
    ) -> None:
        """A subscription begins on a host, active."""
        self._states[subscription] = ("active", starts_at)
        self._tenancies.setdefault(host, []).append(
            TenancyEntry(subscription=subscription, starts_at=starts_at, ends_at=ends_at)
        )

    def end(self, subscription: str) -> None:
        self.says(subscription, "ended")

    def renew(self, subscription: str) -> None:
        self.says(subscription, "active")

    def says(self, subscription: str, word: str) -> None:
        """From now on this is the state, whether or not it is one."""
        self._states[subscription] = (word, self._clock())

    def forget(self, subscription: str) -> None:
        """The record is gone, as after a bad import."""
        del self._states[subscription]

    def goes_stale(self) -> None:
        self._trouble = "the heartbeat is stale"

    def breaks(self) -> None:
        self._trouble = "the source could not be read"

    def recovers(self) -> None:
        self._trouble = ""

    def subscription(self, subscription_id: str) -> SubscriptionAnswer:
        word, changed_at = self._states.get(subscription_id, ("", None))
        states = {"active", "ended", "pending"}
        doubt = self._trouble or ("" if word in states else f"{word!r} is no state")
        return SubscriptionAnswer(
            state=SubscriptionState.UNKNOWN if doubt else SubscriptionState(word),
            changed_at=None if doubt else changed_at,
            source_time=None if self._trouble else self._clock(),
            raw=json.dumps({"subscription": subscription_id, "word": word, "trouble": doubt}).encode(),
            doubt=doubt,
        )

    def tenancies(self, host: str) -> TenancyListAnswer:
        doubt = self._trouble or ("" if self._tenancies else "the source shows no tenancy at all")
        entries = () if doubt else tuple(self._tenancies.get(host, ()))
        shown = [[entry.subscription, entry.starts_at.isoformat()] for entry in entries]
        return TenancyListAnswer(
            is_complete=not doubt,
            entries=entries,
            source_time=None if self._trouble else self._clock(),
            raw=json.dumps({"host": host, "entries": shown, "trouble": doubt}).encode(),
            doubt=doubt,
        )

    def census(self) -> CensusAnswer:
        words = [word for word, _ in self._states.values()]
        doubt = self._trouble or ("" if words else "the source shows no subscription at all")
        counts = {word: 0 if doubt else words.count(word) for word in ("active", "ended", "pending")}
        return CensusAnswer(
            is_complete=not doubt,
            active_count=counts["active"],
            ended_count=counts["ended"],
            pending_count=counts["pending"],
            source_time=None if self._trouble else self._clock(),
            raw=json.dumps({"census": counts, "trouble": doubt}).encode(),
            doubt=doubt,
        )

    def hints(self, believed: Mapping[str, SubscriptionState]) -> HintsAnswer:
        if self._trouble:
            return HintsAnswer(is_complete=False, hints=(), doubt=self._trouble)
        hints = []
        for subscription, belief in sorted(believed.items()):
            word = self._states.get(subscription, ("", None))[0]
            if word == "ended" and belief is not SubscriptionState.ENDED:
                hints.append(Hint(kind=HintKind.ENDED, subscription=subscription))
            if word in ("active", "pending") and belief is SubscriptionState.ENDED:
                hints.append(Hint(kind=HintKind.RENEWED, subscription=subscription))
        return HintsAnswer(is_complete=True, hints=tuple(hints), doubt="")
