"""The names of a medium's steps, as journal and acknowledgement say them.

Rules: a name says medium, technique and command, or medium and layer, so that an acknowledgement is for
exactly one act.
"""

from __future__ import annotations

from certificate.messages import JournalLine
from certificate.statements.vocabulary import Technique


def markers_step(commitment: str) -> str:
    """The step of marking one medium."""
    return f"markers:{commitment}"


def layer_step(commitment: str, nsid: int, offset_bytes: int) -> str:
    """The step of destroying the keys of one layer of one medium."""
    return f"layer:{commitment}:{nsid}:{offset_bytes}"


def is_layers(line: JournalLine) -> bool:
    """The line tells of a layer, which goes or fails by itself."""
    return line.step.startswith("layer:")


def start_step(commitment: str, technique: Technique, command: str = "") -> str:
    """The step of one command on one medium, as journal and acknowledgement name it. `command`: which of a
    technique's several.
    """
    whole = f"start:{commitment}:{technique.value}"
    return f"{whole}:{command}" if command else whole
