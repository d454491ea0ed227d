"""The states of a deprovision, each with its sentence, and the moves between them.

Rules this module holds:
- A state cannot be declared without its sentence; groups of states are properties of the member.
- A move that is not in `TRANSITIONS` does not exist; `may_move` is asked by whoever commits one.
- docs/states.md is `render_markdown()`; a test compares them.

What the tables miss: *when* a move is allowed. That is `lifecycle.decide` and the guards.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class State(StrEnum):
    """Where one deprovision stands. The order of the members is the order of the ordinary way."""

    sentence: str

    def __new__(cls, value: str, sentence: str) -> Self:
        member = str.__new__(cls, value)
        member._value_, member.sentence = value, sentence
        return member

    SCHEDULED = "scheduled", "A tenancy ended; the grace period and the notices run, nothing is touched."
    QUARANTINED = (
        "quarantined",
        "The tenant's side is cut and read back; provisioning network, BMC and MDM still reach the host.",
    )
    STAGED = (
        "staged",
        "The erase environment answers; boot key, inventory and capabilities are read, nothing is written.",
    )
    PLANNED = (
        "planned",
        "Drives, techniques, floor and expected consequences are fixed under one digest; people may approve.",
    )
    APPROVED = "approved", "Rule or people said yes to exactly this plan; no order exists yet."
    INTENDED = "intended", "The order is signed and logged; it can still be withdrawn."
    ERASING = "erasing", "The point of no return is passed; only the drives know how far."
    VERIFIED = "verified", "The evidence is in and the verdict on each medium is computed."
    VALIDATED = "validated", "The signed table, or a person, accepted the verdict on every medium."
    CERTIFIED = (
        "certified",
        "Outcomes and summary are signed and logged, and verify() passes under the provider's own policy.",
    )
    RELEASED = "released", "The quarantine is undone and the host is handed to provisioning."
    CANCELLED = "cancelled", "The customer came back in time; the host is theirs as before."
    DESTROYED = "destroyed", "Two people attested the physical destruction of the media."
    CLOSED = "closed", "People closed the case; the host is kept out of service."
    NEEDS_OPERATOR = "needs_operator", "A person must decide; only commands in the ledger lead out."

    @property
    def is_terminal(self) -> bool:
        """Nothing follows."""
        return self in {State.RELEASED, State.CANCELLED, State.DESTROYED, State.CLOSED}

    @property
    def is_live(self) -> bool:
        """The deprovision is not over; a host has at most one live one."""
        return not self.is_terminal

    @property
    def is_reversible(self) -> bool:
        """No order was dispatched in this attempt: a renewal still cancels."""
        return self in _WAY[: _WAY.index(State.ERASING)]

    @property
    def is_running(self) -> bool:
        """Decided on by the clock and by observations, so it has a deadline (DESIGN, rule 5)."""
        return self.is_live and self is not State.NEEDS_OPERATOR

    @property
    def is_watched(self) -> bool:
        """A renewal still matters here, to cancel or to alarm, so the source is asked now and then."""
        return self.is_reversible or self in {State.ERASING, State.NEEDS_OPERATOR}


#: The ordinary way, in DESIGN's order.
_WAY: tuple[State, ...] = tuple(State)[: tuple(State).index(State.RELEASED) + 1]


@dataclass(frozen=True, kw_only=True)
class Transition:
    """One allowed move. `is_command`: only an operator's command in the ledger makes it."""

    old: State
    new: State
    when: str
    is_command: bool = False


def _to_needs_operator() -> tuple[Transition, ...]:
    return tuple(
        Transition(old=state, new=State.NEEDS_OPERATOR, when="a deadline passed, or only a person can decide")
        for state in State
        if state.is_running
    )


TRANSITIONS: tuple[Transition, ...] = (
    Transition(
        old=State.SCHEDULED, new=State.QUARANTINED, when="grace is over and the isolation is read back"
    ),
    Transition(old=State.QUARANTINED, new=State.STAGED, when="dwell is over, the agent proved itself"),
    Transition(old=State.STAGED, new=State.PLANNED, when="a plan of this boot's inventory exists"),
    Transition(old=State.PLANNED, new=State.APPROVED, when="enough people, or the table, said yes"),
    Transition(old=State.PLANNED, new=State.STAGED, when="the host restarted: plan again"),
    Transition(old=State.APPROVED, new=State.INTENDED, when="every guard passed; the order is logged"),
    Transition(old=State.APPROVED, new=State.STAGED, when="the host restarted: plan again"),
    Transition(old=State.INTENDED, new=State.ERASING, when="every guard passed again, on new observations"),
    Transition(old=State.INTENDED, new=State.APPROVED, when="the order was withdrawn; it is made anew"),
    Transition(old=State.ERASING, new=State.VERIFIED, when="the evidence is in and judged"),
    Transition(old=State.VERIFIED, new=State.VALIDATED, when="every medium is accepted"),
    Transition(old=State.VALIDATED, new=State.CERTIFIED, when="all is logged and verify() passes"),
    Transition(old=State.CERTIFIED, new=State.RELEASED, when="the quarantine is read back as undone"),
    *(
        Transition(old=state, new=State.CANCELLED, when="renewed, and the host is read back as restored")
        for state in _WAY
        if state.is_reversible
    ),
    Transition(
        old=State.ERASING,
        new=State.CANCELLED,
        when="renewed before the first acknowledgement, final absent, restored",
    ),
    *_to_needs_operator(),
    Transition(
        old=State.NEEDS_OPERATOR,
        new=State.SCHEDULED,
        when="`retry`: new attempt, new token, new approvals",
        is_command=True,
    ),
    Transition(
        old=State.NEEDS_OPERATOR,
        new=State.ERASING,
        when="`reprobe`: agent and drives are asked again, nothing is issued",
        is_command=True,
    ),
    Transition(
        old=State.NEEDS_OPERATOR,
        new=State.VALIDATED,
        when="`validate`: a person accepted what the signed table escalates; or `reprobe`: all was accepted",
        is_command=True,
    ),
    Transition(
        old=State.NEEDS_OPERATOR,
        new=State.CANCELLED,
        when="`restore`: no order dispatched, or each answered by a final absent",
        is_command=True,
    ),
    Transition(
        old=State.NEEDS_OPERATOR,
        new=State.DESTROYED,
        when="`destroy`: two people attest it",
        is_command=True,
    ),
    Transition(
        old=State.NEEDS_OPERATOR,
        new=State.CLOSED,
        when="`close`: kept out of service",
        is_command=True,
    ),
)


def may_move(old: State, new: State, *, is_command: bool = False) -> bool:
    """Whether the tables know this move. A command's move is not open to `decide`, nor the reverse."""
    return any((t.old, t.new, t.is_command) == (old, new, is_command) for t in TRANSITIONS)


def arrow_line() -> str:
    """The ordinary way as DESIGN.md prints it."""
    return " → ".join(_WAY)


def render_markdown() -> str:
    """docs/states.md: the sentences, the way, the diagram and every move with its reason."""
    lines = [
        "# States of a deprovision",
        "",
        "Rendered from `controller/states.py`; a test compares the two, so change it there.",
        "",
        f"    {arrow_line()}",
        "",
        "| state | what is so | a renewal | ends |",
        "|---|---|---|---|",
        *(
            f"| `{state}` | {state.sentence} | {_renewal_word(state)} | {_end_word(state)} |"
            for state in State
        ),
        "",
        "```mermaid",
        "stateDiagram-v2",
        "    [*] --> scheduled",
        *(f"    {t.old} --> {t.new}" for t in TRANSITIONS if t.new is not State.NEEDS_OPERATOR),
        *(f"    {state} --> [*]" for state in State if state.is_terminal),
        "```",
        "",
        "From every state that is not terminal an arrow also leads to `needs_operator`, left out above.",
        "",
        "| from | to | when | by |",
        "|---|---|---|---|",
        *(
            f"| `{t.old}` | `{t.new}` | {t.when} | {'a command' if t.is_command else '`decide`'} |"
            for t in TRANSITIONS
        ),
        "",
    ]
    return "\n".join(lines)


def _renewal_word(state: State) -> str:
    if state.is_reversible:
        return "cancels"
    if state is State.ERASING:
        return "cancels until the first irreversible acknowledgement, then alarms"
    return "alarms" if state.is_watched else "-"


def _end_word(state: State) -> str:
    if state.is_terminal:
        return "terminal"
    return "by deadline" if state.is_running else "by command"
