"""The billing source: who is let what, since when, and the hints it sends on their way."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from certificate.identifiers import TenancyId
from controller.facts import Answer


@dataclass
class Hint:
    tenancy: TenancyId
    is_renewal: bool


@dataclass
class Source:
    #: By tenancy: what the source says of it, and since when by the source's own, true clock.
    says: dict[TenancyId, tuple[Answer, datetime]] = field(default_factory=dict)
    is_down: bool = False
    #: Sent and not arrived; taken in any order, twice, or never.
    hints: list[Hint] = field(default_factory=list)
    #: Tenancies the source moved to another host: they stand in no list of this one any more.
    elsewhere: set[TenancyId] = field(default_factory=set)

    def change(self, tenancy: TenancyId, answer: Answer, at: datetime) -> None:
        self.says[tenancy] = (answer, at)
        self.hints.append(Hint(tenancy, is_renewal=answer is not Answer.ENDED))

    @property
    def listed(self) -> tuple[str, ...]:
        return tuple(sorted(set(self.says) - self.elsewhere))
