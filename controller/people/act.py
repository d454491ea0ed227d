"""The shape of every signed decision: a question, the matter that people read and sign, and its effect.

Rules this module holds:
- What people sign is a `Matter`; serve makes it again from its store in the transaction that takes the
  decision, and another one is refused.
- What a matter rests on and only the world can tell is asked before, outside transactions (`look`), and
  counts as any observation does.
- The effect happens in the transaction that finds enough different people behind the same matter.

Source: FORMATS.md, "Statements" (decision); DESIGN.md, rules 2 and 7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from certificate.statements.people import DecisionKind
from controller.people.matter import About, Matter, Signed

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from controller.program import Program

__all__ = ["About", "Act", "Matter", "Signed"]


class Act(Protocol):
    """One kind of decision."""

    @property
    def kind(self) -> DecisionKind: ...

    def look(self, program: Program, about: About) -> None:
        """Asks, outside transactions, what the matter rests on. Most acts ask nothing."""
        ...

    def matter(self, tx: Connection, program: Program, about: About) -> Matter:
        """What is decided on, from the store as it is now. Raises Refused where it cannot be decided."""
        ...

    def apply(
        self, tx: Connection, program: Program, about: About, matter: Matter, signed: tuple[Signed, ...]
    ) -> str:
        """What follows, in the transaction that found enough people; a sentence that says what was done."""
        ...
