"""Several sources that must say the same: where they differ, nothing has ended.

Rules: a subscription has ended only if every source says so, and then since the latest instant any of them
names, because a grace counts from it; one that says active or pending is believed against all others, because
then a customer keeps the machine; any other difference is unknown, with a doubt that says who said what. A
host's list is complete only if each source's is, and all are the same set. Of counts the worst is taken:
fewest active, most ended. The time told is the one farthest from ours, and none where one source told none.
`raw` holds what every source gave. A hint of any source is a reason to ask.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from controller.sources import (
    CensusAnswer,
    Hint,
    HintsAnswer,
    Source,
    SubscriptionAnswer,
    SubscriptionState,
    TenancyListAnswer,
)

#: In this order a single word of one source outweighs all others; `ended` needs every source.
_OUTWEIGH = (SubscriptionState.ACTIVE, SubscriptionState.PENDING)


@dataclass(frozen=True, kw_only=True)
class NamedSource:
    """A source under the name that doubts and configuration use."""

    name: str
    source: Source


@dataclass(frozen=True, kw_only=True)
class AgreeingSource:
    """A `Source` over at least two others. Raises ValueError for fewer, or for a name that stands twice."""

    sources: tuple[NamedSource, ...]
    clock: Callable[[], datetime]

    def __post_init__(self) -> None:
        names = [each.name for each in self.sources]
        if len(names) < 2 or len(set(names)) != len(names):
            raise ValueError(f"sources that agree are at least two, by different names: {names}")

    def subscription(self, subscription_id: str) -> SubscriptionAnswer:
        answers = {each.name: each.source.subscription(subscription_id) for each in self.sources}
        state = _joined([answer.state for answer in answers.values()])
        changes = [answer.changed_at for answer in answers.values() if answer.state is state]
        dated = [instant for instant in changes if instant is not None]
        is_dated = state is not SubscriptionState.UNKNOWN and len(dated) == len(changes)
        said = {name: answer.doubt or answer.state.value for name, answer in answers.items()}
        return SubscriptionAnswer(
            state=state,
            changed_at=max(dated) if is_dated else None,
            source_time=self._farthest([answer.source_time for answer in answers.values()]),
            raw=_raw({name: answer.raw for name, answer in answers.items()}),
            doubt=_told(said) if state is SubscriptionState.UNKNOWN else "",
        )

    def tenancies(self, host: str) -> TenancyListAnswer:
        answers = {each.name: each.source.tenancies(host) for each in self.sources}
        first = next(iter(answers.values()))
        doubt = ""
        if not all(answer.is_complete for answer in answers.values()):
            doubt = _told({name: answer.doubt or "complete" for name, answer in answers.items()})
        elif any(set(answer.entries) != set(first.entries) for answer in answers.values()):
            said = {name: f"{len(answer.entries)} tenancies" for name, answer in answers.items()}
            doubt = f"the lists differ: {_told(said)}"
        return TenancyListAnswer(
            is_complete=not doubt,
            entries=() if doubt else first.entries,
            source_time=self._farthest([answer.source_time for answer in answers.values()]),
            raw=_raw({name: answer.raw for name, answer in answers.items()}),
            doubt=doubt,
        )

    def census(self) -> CensusAnswer:
        answers = {each.name: each.source.census() for each in self.sources}
        counted = list(answers.values())
        return CensusAnswer(
            is_complete=all(answer.is_complete for answer in counted),
            active_count=min(answer.active_count for answer in counted),
            ended_count=max(answer.ended_count for answer in counted),
            pending_count=max(answer.pending_count for answer in counted),
            source_time=self._farthest([answer.source_time for answer in counted]),
            raw=_raw({name: answer.raw for name, answer in answers.items()}),
            doubt=_told({name: answer.doubt for name, answer in answers.items() if answer.doubt}),
        )

    def hints(self, believed: Mapping[str, SubscriptionState]) -> HintsAnswer:
        answers = {each.name: each.source.hints(believed) for each in self.sources}
        hints: dict[Hint, None] = dict.fromkeys(hint for answer in answers.values() for hint in answer.hints)
        is_complete = all(answer.is_complete for answer in answers.values())
        said = {name: answer.doubt for name, answer in answers.items() if answer.doubt}
        return HintsAnswer(is_complete=is_complete, hints=tuple(hints), doubt=_told(said))

    def _farthest(self, times: list[datetime | None]) -> datetime | None:
        told = [instant for instant in times if instant is not None]
        if len(told) != len(times):
            return None
        now = self.clock()
        return max(told, key=lambda instant: abs(instant - now))


def _joined(states: list[SubscriptionState]) -> SubscriptionState:
    for word in _OUTWEIGH:
        if any(state is word for state in states):
            return word
    if all(state is SubscriptionState.ENDED for state in states):
        return SubscriptionState.ENDED
    return SubscriptionState.UNKNOWN


def _told(said: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {what}" for name, what in said.items())


def _raw(raws: Mapping[str, bytes]) -> bytes:
    """Canonical JSON. Latin-1 keeps every byte of an answer, whatever it was."""
    kept = {name: raw.decode("latin-1") for name, raw in raws.items()}
    return json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
