"""Case: what is judged of one medium, read once. Order, evidence, the plan's words of it and its entry.

Nothing here judges. A word of the drive's that is missing, named twice, not observed or of another width is
None, and whoever asks for it makes that an adverse fact.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Final

from certificate.statements.evidence import Command, Evidence, MediumEvidence
from certificate.statements.order import Order
from certificate.statements.plan import PlannedMedium
from certificate.statements.statement import NOT_OBSERVED, NotApplicable, Seen
from certificate.statements.vocabulary import Technique

NOT_APPLICABLE: Final[NotApplicable] = "not_applicable"
#: Techniques that destroy a key and nothing else.
CRYPTOGRAPHIC: Final = frozenset({Technique.NVME_SANITIZE_CRYPTO, Technique.NVME_FORMAT_CRYPTO})
#: One command of the drive's own that reaches the whole subsystem, and has a status log.
SANITIZES: Final = frozenset(
    {Technique.NVME_SANITIZE_CRYPTO, Technique.NVME_SANITIZE_BLOCK, Technique.NVME_SANITIZE_OVERWRITE}
)
#: Techniques of the host's own writes, of which no device reports anything.
HOST_OVERWRITES: Final = frozenset({Technique.OVERWRITE_KEYSTREAM, Technique.OVERWRITE_ZERO})


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """The commands of one technique, one after the other. Never empty."""

    technique: Technique
    commands: tuple[Command, ...]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One medium that the order names and the evidence lists."""

    order: Order
    evidence: Evidence
    planned: PlannedMedium
    entry: MediumEvidence

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """The techniques that were tried, in the order of their commands; the last one is judged."""
        grouped = groupby(self.entry.commands, key=lambda command: command.technique)
        return tuple(Attempt(technique=name, commands=tuple(group)) for name, group in grouped)

    @property
    def technique(self) -> Technique | None:
        """What was done to the medium last: a command, or the layers on it alone, or nothing."""
        if self.entry.commands:
            return self.entry.commands[-1].technique
        has_begun_layer = any(layer.start_acknowledged is Seen.YES for layer in self.entry.layers)
        return Technique.LUKS if has_begun_layer else None

    @property
    def nonce(self) -> bytes | None:
        """The nonce of markers, keystream and seed; None where nobody told it."""
        nonce = self.entry.markers.nonce
        return None if nonce == NOT_OBSERVED else bytes.fromhex(nonce)

    @property
    def sanitize_word(self) -> int | None:
        """SANICAP: which sanitizes the drive offers, and so of which kind it is."""
        return self.word("SANICAP", width_bytes=4)

    def word(self, field: str, *, width_bytes: int) -> int | None:
        """A capability word of the drive's, little-endian."""
        words = [word.raw for word in self.entry.capabilities if word.field == field]
        if len(words) != 1 or words[0] == NOT_OBSERVED or len(words[0]) != 2 * width_bytes:
            return None
        return int.from_bytes(bytes.fromhex(words[0]), "little")
