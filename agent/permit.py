"""Permission for one irreversible step: asked for in the journal, waited for, and checked before the act.

Rules, all checked under the execution lock immediately before each irreversible command:
1. This boot is still the one the order names.
2. The token is the one accepted, and it is not poisoned.
3. No authentic order with a higher fence was seen.
4. The order has not expired on the agent's own clock since `hello`.
5. An acknowledgement stands for exactly this token, boot, line and step, and it is younger than 60 s counted
   from the line that asked for it. Time spent waiting is not given back.

Without an acknowledgement in time the step is not begun; there is no second asking. Source: DESIGN, rule 4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agent.errors import Code, StepRefused
from agent.run_directory import RunDirectory
from agent.tokens import TokenFolder, TokenRecord
from certificate.errors import Code as CertificateCode
from certificate.messages import JournalLine

#: DESIGN, rule 4: an acknowledgement is good for 60 s from its request.
ACK_LIFE_MS = 60_000
#: How often the acknowledgement's file is looked for: a few microseconds of work each time.
ACK_PAUSE_SECONDS = 0.01


@dataclass(frozen=True, kw_only=True)
class Permit:
    """The permissions of one execution. `clock`: CLOCK_BOOTTIME in milliseconds; `pause`: sleeps seconds."""

    run: RunDirectory
    folder: TokenFolder
    record: TokenRecord
    clock: Callable[[], int]
    pause: Callable[[float], None]

    def is_given_up(self) -> bool:
        """Whether the token is poisoned. It never is while an acknowledgement stands (`tokens`)."""
        return self.folder.poison() is not None

    def await_ack(self, line: JournalLine) -> None:
        """Returns when the step of `line` is acknowledged.

        Raises StepRefused: ACK_TIMED_OUT, TOKEN_POISONED.
        """
        while self.clock() < line.at_ms + ACK_LIFE_MS:
            if self.folder.ack(line.seq) is not None:
                return
            if self.is_given_up():
                raise StepRefused(Code.TOKEN_POISONED, f"{line.step} was waiting")
            self.pause(ACK_PAUSE_SECONDS)
        raise StepRefused(Code.ACK_TIMED_OUT, f"{line.step} was not acknowledged within {ACK_LIFE_MS} ms")

    def check(self, line: JournalLine) -> None:
        """Silent if the step of `line` may begin now. Raises StepRefused with the first broken rule."""
        boot, now_ms = self.run.boot(), self.clock()
        if boot.boot_id != self.record.boot_id:
            raise StepRefused(Code.BOOT_MISMATCH, "the agent was started again since the order was accepted")
        if line.token != self.record.token or self.is_given_up():
            raise StepRefused(Code.TOKEN_POISONED, "the token was given up")
        if (seen := self.run.fence()).token != self.record.token:
            raise StepRefused(Code.FENCE_STALE, f"fence {seen.highest} was seen after {self.record.fence}")
        if now_ms >= self.record.hello_at_ms + self.record.valid_for_s * 1000:
            raise StepRefused(CertificateCode.ORDER_EXPIRED, f"its {self.record.valid_for_s} s are over")
        ack = self.folder.ack(line.seq)
        if ack is None:
            raise StepRefused(Code.ACK_TIMED_OUT, f"{line.step} is not acknowledged")
        if (ack.token, ack.boot_id, ack.seq, ack.step) != (line.token, boot.boot_id, line.seq, line.step):
            raise StepRefused(Code.ACK_REFUSED, "the acknowledgement is for another step")
        if not line.at_ms <= now_ms < line.at_ms + ACK_LIFE_MS:
            raise StepRefused(Code.ACK_EXPIRED, f"{line.step} was asked for {now_ms - line.at_ms} ms ago")
