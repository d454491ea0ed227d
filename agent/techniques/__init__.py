"""Techniques: one module each, and each answers the same questions (`technique.Technique`).

They ask a drive and state what it said. Which technique is used is `certificate.selection`'s business, what
its facts are worth is `certificate.assurance`'s. `luks` is no entry here: it destroys the keys of a layer on
a medium, comes before the medium's own technique, and has a shape of its own.
"""

from __future__ import annotations

from typing import Final

from agent.techniques import nvme_format, nvme_sanitize
from agent.techniques.overwrite import OVERWRITES
from agent.techniques.technique import Technique
from certificate.statements.vocabulary import Technique as TechniqueName

_OF_THE_DRIVE: Final[tuple[Technique, ...]] = (
    nvme_sanitize.CRYPTO,
    nvme_sanitize.BLOCK,
    nvme_sanitize.OVERWRITE,
    nvme_format.CRYPTO,
    nvme_format.USER_DATA,
)
#: Every technique that a plan may name for a medium; a test holds that none is missing.
TECHNIQUES: Final[dict[TechniqueName, Technique]] = {
    **{each.technique: each for each in _OF_THE_DRIVE},
    **OVERWRITES,
}

__all__ = ["TECHNIQUES"]
