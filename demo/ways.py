"""The ways that deprovisions went, state by state, as the ledger tells them.

`steps` reads the lines of `expunge ledger export`: `deprovision-scheduled` names the host and begins a way,
each `state-moved` is one more step. `strayed` compares with WAYS, which the demonstration promises: a way
that leaves them has failed at that step, whatever comes after.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

#: DESIGN.md, "One deprovision": every state from ended to released.
WHOLE_WAY = (
    *("scheduled", "quarantined", "staged", "planned", "approved", "intended"),
    *("erasing", "verified", "validated", "certified", "released"),
)
#: The customer of host 1 left, host 2's renews during grace, host 3 is wiped by hand, the customer of host 4
#: renews when the order is signed already, host 5 is cleared, host 6's drive lies, and a drive of host 7 is
#: dead: its operators take it out, and the other is erased.
WAYS = {
    "host-1": WHOLE_WAY,
    "host-2": ("scheduled", "cancelled"),
    "host-3": WHOLE_WAY,
    "host-4": (*WHOLE_WAY[: WHOLE_WAY.index("intended") + 1], "cancelled"),
    "host-5": WHOLE_WAY,
    "host-6": (*WHOLE_WAY[: WHOLE_WAY.index("verified") + 1], "needs_operator"),
    "host-7": WHOLE_WAY,
}


@dataclass(frozen=True, kw_only=True)
class Step:
    """One state reached. `host` is the controller's id of it, `at` the controller's time as text."""

    host: str
    deprovision: str
    state: str
    at: str


def steps(ledger: str) -> list[Step]:
    """Every state of every deprovision, oldest first. Raises KeyError for a move of one never scheduled."""
    found = []
    hosts: dict[str, str] = {}
    for event in map(json.loads, ledger.splitlines()):
        key, body = event["deprovision"], event["body"]
        match event["kind"]:
            case "deprovision-scheduled":
                hosts[key], state = body["host"], body["state"]
            case "state-moved":
                state = body["new"]
            case _:
                continue
        found.append(Step(host=hosts[key], deprovision=key, state=state, at=event["at"]))
    return found


def strayed(ways: dict[str, tuple[str, ...]]) -> list[str]:
    """The hosts whose states so far are not the beginning of their way in WAYS."""
    return [host for host, way in ways.items() if way != WAYS.get(host, ())[: len(way)]]
