"""Techniques: one module each, and each is four questions (prepare, start, poll, conclude).

They ask a drive and state what it said. Which technique is used is `certificate.selection`'s business, what
its facts are worth is `certificate.assurance`'s.
"""

from __future__ import annotations

from typing import Final

from agent.techniques import nvme_sanitize
from agent.techniques.nvme_sanitize import NvmeSanitize
from certificate.statements.vocabulary import Technique

#: Every technique that an order may name; a test holds that none is missing.
TECHNIQUES: Final[dict[Technique, NvmeSanitize]] = {
    each.technique: each for each in (nvme_sanitize.CRYPTO, nvme_sanitize.BLOCK)
}

__all__ = ["TECHNIQUES", "NvmeSanitize"]
