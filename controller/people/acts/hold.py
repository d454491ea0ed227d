"""Hold: one operator keeps a scope of hosts from being wiped, for a matter, until a review.

Rules: one person suffices, because it destroys nothing; two release it. A review date is asked for, and a
hold past it still holds: it alarms and waits for a decision.
"""

from __future__ import annotations

from typing import ClassVar

from sqlalchemy import Connection

from certificate.statements.people import DecisionKind
from certificate.statements.statement import time_text
from controller.people import asking, scopes
from controller.people.act import About, Matter, Signed
from controller.program import Program
from controller.store import stops
from controller.store.stops import StopKind

#: So many asset tags are shown; the number of all is shown in any case.
SHOWN_HOSTS = 20


class Hold:
    """`scope` (`people.scopes`), `matter` for people, `review` as a duration from now."""

    kind: ClassVar[DecisionKind] = DecisionKind.HOLD

    def look(self, program: Program, about: About) -> None:
        return

    def matter(self, tx: Connection, program: Program, about: About) -> Matter:
        scope_text, matter, review = asking.fields(about, ("scope", "matter", "review"))
        asking.review(review)
        scope = scopes.read(tx, program, scope_text)
        hosts = [host.asset_tag for host in stops.named(tx, scope)]
        return Matter(
            kind=self.kind,
            choice="hold",
            facts={
                "scope": scopes.words(tx, scope),
                "matter": matter,
                "review_after": review,
                "hosts_now": len(hosts),
                "hosts": hosts[:SHOWN_HOSTS],
            },
            consequences=(
                "Nothing that this covers, now or later, is wiped until two operators release the hold.",
                "It does not end at its review; somebody is called then.",
            ),
            people_needed=1,
            words="",
        )

    def apply(
        self, tx: Connection, program: Program, about: About, matter: Matter, signed: tuple[Signed, ...]
    ) -> str:
        scope_text, text, review = asking.fields(about, ("scope", "matter", "review"))
        now = program.clock()
        number = stops.begin(
            tx,
            kind=StopKind.HOLD,
            scope=scopes.read(tx, program, scope_text),
            author=signed[0].keyid,
            matter=text,
            review_at=now + asking.review(review),
            now=now,
        )
        return f"hold {number} is set, to be reviewed by {time_text(now + asking.review(review))}"
