"""The machine: a switch port that can be cut, and an agent with a drive. The other side of the wire.

Rules of the agent, as DESIGN rule 4 gives them: one boot, one execution at a time, no order twice, none
without proof, none below a fence it saw; it asks leave before each irreversible step, waits 60 s of its own
clock counted from the asking, and begins nothing with a leave that is older; a token it gave up stays so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from certificate.messages import TokenState
from controller.facts import OrderFacts

ACKNOWLEDGEMENT_LIFE = timedelta(seconds=60)
#: The irreversible steps of one medium.
STEPS = ("markers", "start")


@dataclass(frozen=True)
class Request:
    """A journal line that waits for an acknowledgement."""

    token: str
    boot_id: str
    step: int
    #: By the agent's own clock.
    asked_at: timedelta


@dataclass
class Machine:
    is_cut: bool = False
    boots: int = 0
    boot_id: str | None = None
    #: The agent's own clock, and how fast it goes.
    clock: timedelta = timedelta()
    rate: float = 1.0
    #: What the agent knows of each token in this boot: running, done or poisoned.
    tokens: dict[str, str] = field(default_factory=dict)
    highest_fence: int = 0
    executing: str | None = None
    request: Request | None = None
    granted: Request | None = None
    steps_done: int = 0
    #: Tokens under which every step was carried out.
    erased: set[str] = field(default_factory=set)

    def passes(self, passed: timedelta) -> None:
        self.clock += passed * self.rate

    def reboot(self) -> None:
        """The agent forgets everything and has a new identity."""
        self.boots += 1
        self.boot_id = f"{self.boots:064d}"
        self.tokens.clear()
        self.executing = self.request = self.granted = None
        self.highest_fence = 0

    def accept(self, order: OrderFacts) -> None:
        """Obeys an order of this boot that is proven, new, above every fence, while nothing else runs."""
        if order.boot_id != self.boot_id or order.token in self.tokens or not order.is_logged:
            return
        if order.fence <= self.highest_fence or self.executing is not None:
            return
        self.highest_fence, self.executing, self.steps_done = order.fence, order.token, 0
        self.tokens[order.token] = "running"

    def status(self, token: str, *, is_final: bool) -> TokenState:
        """Asked finally, an agent that has not begun refuses the token for ever."""
        known = self.tokens.get(token)
        if known is None and is_final:
            self.tokens[token] = known = "poisoned"
        states = {None: TokenState.ABSENT, "poisoned": TokenState.ABSENT, "done": TokenState.DONE}
        return states.get(known, TokenState.RUNNING)

    def goes_on(self) -> Request | None:
        """One step of the execution; the request under which an irreversible step is begun, if one is."""
        if self.executing is None or self.boot_id is None:
            return None
        if self.steps_done == len(STEPS):
            self.erased.add(self.executing)
            self._end()
            return None
        if self.request is None:
            self.request = Request(self.executing, self.boot_id, self.steps_done, self.clock)
            return None
        if self.clock - self.request.asked_at >= ACKNOWLEDGEMENT_LIFE:
            self._end()
            return None
        if self.granted != self.request:
            return None
        begun, self.request, self.granted = self.request, None, None
        self.steps_done += 1
        return begun

    def _end(self) -> None:
        assert self.executing is not None
        self.tokens[self.executing] = "done"
        self.executing = self.request = self.granted = None
