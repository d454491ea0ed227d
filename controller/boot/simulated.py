"""A machine room in memory: hosts that boot what they are handed, or do not.

room = SimulatedBoot(boot_trust=BootTrust.VIRTUAL_MEDIA, on_start=start_an_agent)
room.start(request)            # calls on_start(request)
room.fails_next = True         # the next act is begun and answers nothing
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from certificate.statements.vocabulary import BootTrust
from controller.boot import StartRequest
from controller.errors import Code, Unanswered
from controller.target import Target


def _nothing(request: StartRequest) -> None:
    """A host that stays dark."""


@dataclass(kw_only=True)
class SimulatedBoot:
    """A `BootDriver` for tests."""

    boot_trust: BootTrust
    on_start: Callable[[StartRequest], None] = _nothing
    fails_next: bool = False
    running: dict[str, StartRequest] = field(default_factory=dict)
    starts: int = 0

    def start(self, request: StartRequest) -> None:
        self._fail_once(request.target.host)
        self.starts += 1
        self.running[request.target.host] = request
        self.on_start(request)

    def stop(self, target: Target) -> None:
        self._fail_once(target.host)
        self.running.pop(target.host, None)

    def _fail_once(self, host: str) -> None:
        if self.fails_next:
            self.fails_next = False
            raise Unanswered(Code.COMMAND_FAILED, f"{host}: the management controller is silent")
