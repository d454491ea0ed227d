"""What a person types before a plan is signed: the asset tag and the end of a serial, read off the machine.

Rules: the words are an asset tag and the last four letters or digits of a strong identifier of that very
host; `serve` never prints identifiers where a plan is approved, so the person has to look at the machine or
at another record, and notices the wrong one. Case and separators do not count. An identifier that another
host claims too, or with fewer than four letters and digits, confirms nothing. What is signed is a digest of
the words and the deprovision, because a serial stands in no signed document.

    SHA-256("confirm/v1" || deprovision || "host-1 4711")
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from certificate.identifiers import DeprovisionId
from certificate.statements.vocabulary import HostFactKind

#: Of an identifier that nobody chooses and that stands on the machine or in its firmware.
STRONG = frozenset(
    {
        HostFactKind.CHASSIS_SERIAL,
        HostFactKind.BOARD_SERIAL,
        HostFactKind.DMI_UUID,
        HostFactKind.BMC_MAC,
        HostFactKind.TPM_EK,
        HostFactKind.MAC_SERIAL,
        HostFactKind.PROVISIONING_UDID,
        HostFactKind.ECID,
    }
)
ENDING_CHARACTERS = 4


def confirmation_digest(deprovision: DeprovisionId, words: str) -> str:
    """SHA-256 hex of what was typed for this deprovision."""
    text = f"confirm/v1{deprovision}{' '.join(words.casefold().split())}"
    return hashlib.sha256(text.encode()).hexdigest()


def strong_kinds(facts: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Which kinds of identifier on record could confirm this host, by name. `facts`: (kind, value)."""
    return tuple(sorted(kind for kind, value in facts if _ending(kind, value) is not None))


def is_confirmed(
    digest: str, *, deprovision: DeprovisionId, asset_tag: str, facts: Iterable[tuple[str, str]]
) -> bool:
    """Whether somebody typed the asset tag and the end of one of these facts: (kind, value), each this
    host's alone.
    """
    endings = (_ending(kind, value) for kind, value in facts)
    return any(
        digest == confirmation_digest(deprovision, f"{asset_tag} {ending}")
        for ending in endings
        if ending is not None
    )


def _ending(kind: str, value: str) -> str | None:
    characters = [character for character in value.casefold() if character.isalnum()]
    if kind not in STRONG or len(characters) < ENDING_CHARACTERS:
        return None
    return "".join(characters[-ENDING_CHARACTERS:])
