"""A switch in memory: ports that open and close, lose commands, and fall silent.

switch = SimulatedQuarantine()
switch.isolate(target)
switch.read_back(target).tenant_side_cut    # Known.YES
switch.ignores_commands = True              # accepts everything, does nothing
switch.is_silent = True                     # read-backs are unknown, commands unanswered
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from controller.errors import Code, Unanswered
from controller.quarantine import IsolationAnswer, Known, Target


@dataclass(kw_only=True)
class SimulatedQuarantine:
    """A `Quarantine` for tests. Every host's tenant side is open until it is cut."""

    ignores_commands: bool = False
    is_silent: bool = False
    unreachable_hosts: set[str] = field(default_factory=set)
    cut_hosts: set[str] = field(default_factory=set)
    #: Every command given, in order: (verb, host).
    commands: list[tuple[str, str]] = field(default_factory=list)

    def isolate(self, target: Target) -> None:
        self._obey("isolate", target.host)
        if not self.ignores_commands:
            self.cut_hosts.add(target.host)

    def restore(self, target: Target) -> None:
        self._obey("restore", target.host)
        if not self.ignores_commands:
            self.cut_hosts.discard(target.host)

    def read_back(self, target: Target) -> IsolationAnswer:
        if self.is_silent:
            return IsolationAnswer(
                tenant_side_cut=Known.UNKNOWN, our_side_reachable=Known.UNKNOWN, raw=b"", doubt="silence"
            )
        is_cut = target.host in self.cut_hosts
        is_reachable = target.host not in self.unreachable_hosts
        words = {
            "tenant_side": "cut" if is_cut else "open",
            "our_side": "reachable" if is_reachable else "unreachable",
        }
        return IsolationAnswer(
            tenant_side_cut=Known.YES if is_cut else Known.NO,
            our_side_reachable=Known.YES if is_reachable else Known.NO,
            raw=json.dumps(words).encode() + b"\n",
            doubt="",
        )

    def _obey(self, verb: str, host: str) -> None:
        self.commands.append((verb, host))
        if self.is_silent:
            raise Unanswered(Code.COMMAND_FAILED, f"{verb} {host}: the switch is silent")
