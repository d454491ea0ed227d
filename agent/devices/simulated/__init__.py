"""Simulated drives: the other side of the wire, in a folder of files.

A drive made here keeps its data encrypted at rest, forgets it when its key is destroyed, survives power
cycles, is one drive to every process that opens its folder, and misbehaves as its state says. Nothing here is
imported from the driver, the techniques or the core that it serves to test.
"""

from agent.devices.simulated.core import Unanswered
from agent.devices.simulated.faults import Fault
from agent.devices.simulated.nvme import Answer, SimulatedNvme
from agent.devices.simulated.plain import SimulatedPlain
from agent.devices.simulated.state import NVME, PLAIN, Namespace, State
from agent.devices.simulated.view import hidden_occurrences, kind_of, logical_view, occurrences

__all__ = [
    "NVME",
    "PLAIN",
    "Answer",
    "Fault",
    "Namespace",
    "SimulatedNvme",
    "SimulatedPlain",
    "State",
    "Unanswered",
    "hidden_occurrences",
    "kind_of",
    "logical_view",
    "occurrences",
]
