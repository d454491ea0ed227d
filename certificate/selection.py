"""Selection: what a drive can do, and a floor, give the techniques in order, or a refusal with its reason.

Computed by the controller from the inventory and again by the agent at admission; the two must agree
(SELECTION_DIFFERS). Pure: the only inputs are the raw words the drive sent and the floor.

Rules:
1. A drive the inventory refused, a write-protected drive and a drive that is not NVMe get no technique.
2. A capability word that is missing or not observed is a refusal, never a guess; so is one of the wrong
   length, of no hexadecimal digits, or named twice.
3. Techniques come best first, cryptographic erase before block erase, and none below the floor.
4. A drive is `self_encrypting_nvme` if and only if it supports a cryptographic sanitize.

Enforced elsewhere: that a word still says the same at admission (agent), that an erase did what the word
promised (`assurance`). Sources: NVM Express Base 2.0, figure "Identify Controller" (OACS bytes 257:256,
SANICAP bytes 331:328, FNA byte 524); IEEE 2883-2022 counts both kinds of sanitize as purge (erasure.md, 3.4).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from certificate.errors import Code, Malformed, Refused
from certificate.messages import DriveReport
from certificate.statements.vocabulary import MediaKind, Method, OverwritePattern, Technique, Transport

#: Width in bytes of each capability word that selection reads, under the standard's name.
WORD_BYTES: Final = {"SANICAP": 4, "OACS": 2, "FNA": 1}
#: What a report writes for a word that nobody could read.
NOT_OBSERVED = "not_observed"

SANICAP_CRYPTO_ERASE = 1 << 0
SANICAP_BLOCK_ERASE = 1 << 1
SANICAP_NO_DEALLOCATE_INHIBITED = 1 << 29
OACS_FORMAT = 1 << 1
FNA_CRYPTO_ERASE = 1 << 2

#: What a technique reaches when it ends well (IEEE 2883-2022; erasure.md, 3.4).
METHODS: Final = {
    Technique.NVME_SANITIZE_CRYPTO: Method.PURGE,
    Technique.NVME_SANITIZE_BLOCK: Method.PURGE,
    Technique.NVME_SANITIZE_OVERWRITE: Method.PURGE,
    #: Purge only where the vendor says that it qualifies, which no evidence of this release shows.
    Technique.NVME_FORMAT_CRYPTO: Method.CLEAR,
    Technique.NVME_FORMAT_USER_DATA: Method.CLEAR,
    Technique.OVERWRITE_KEYSTREAM: Method.CLEAR,
    Technique.OVERWRITE_ZERO: Method.CLEAR,
    #: Its own layer, and copies of a header may exist anywhere: of a medium it says nothing.
    Technique.LUKS: Method.NONE,
}


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """A drive's answers, decoded. A word nobody could read is None; `select` and `media_kind` then refuse."""

    transport: str
    is_write_protected: bool
    #: The inventory's code for a drive that may not be erased as it is, else None.
    refused: str | None
    sanitize_word: int | None
    optional_commands_word: int | None
    format_attributes_word: int | None

    @property
    def has_sanitize_crypto(self) -> bool:
        return bool((self.sanitize_word or 0) & SANICAP_CRYPTO_ERASE)

    @property
    def has_sanitize_block(self) -> bool:
        return bool((self.sanitize_word or 0) & SANICAP_BLOCK_ERASE)

    @property
    def is_no_deallocate_inhibited(self) -> bool:
        """The drive may deallocate after a sanitize although asked not to: markers then read zero."""
        return bool((self.sanitize_word or 0) & SANICAP_NO_DEALLOCATE_INHIBITED)

    @property
    def has_format_crypto(self) -> bool:
        """Format NVM with a cryptographic erase. No technique of this release uses it."""
        has_format = bool((self.optional_commands_word or 0) & OACS_FORMAT)
        return has_format and bool((self.format_attributes_word or 0) & FNA_CRYPTO_ERASE)

    def require_words(self) -> None:
        """Raises Refused(TECHNIQUE_UNAVAILABLE) unless every word was read."""
        words = (self.sanitize_word, self.optional_commands_word, self.format_attributes_word)
        missing = [name for name, word in zip(WORD_BYTES, words, strict=True) if word is None]
        if missing:
            raise Refused(Code.TECHNIQUE_UNAVAILABLE, f"the drive did not say its {', '.join(missing)}")


def capabilities(report: DriveReport) -> Capabilities:
    """What `report` says of the drive, decoded.

    Raises Malformed(LINE_INVALID) for a word of the wrong length, of no hexadecimal digits, or named twice.
    """
    words: dict[str, int] = {}
    seen: set[str] = set()
    for word in report.capabilities:
        if word.field in seen:
            raise Malformed(Code.LINE_INVALID, f"the drive's {word.field} is named twice")
        seen.add(word.field)
        width_bytes = WORD_BYTES.get(word.field)
        if width_bytes is not None and word.raw != NOT_OBSERVED:
            words[word.field] = _little_endian(word.field, word.raw, width_bytes)
    return Capabilities(
        transport=report.transport,
        is_write_protected=report.is_write_protected,
        refused=report.refused,
        sanitize_word=words.get("SANICAP"),
        optional_commands_word=words.get("OACS"),
        format_attributes_word=words.get("FNA"),
    )


def media_kind(drive: Capabilities) -> MediaKind:
    """What the validation table calls this drive. Raises Refused(TECHNIQUE_UNAVAILABLE) if a word is
    missing.
    """
    _require_nvme(drive)
    drive.require_words()
    return MediaKind.SELF_ENCRYPTING_NVME if drive.has_sanitize_crypto else MediaKind.NVME


def select(drive: Capabilities, floor: Method, *, overwrite: OverwritePattern) -> tuple[Technique, ...]:
    """The techniques that reach `floor` on this drive, best first; never empty. `overwrite`: the plan's.

    Raises Refused(TECHNIQUE_UNAVAILABLE) when there is none, with the reason.
    """
    if drive.refused is not None:
        raise Refused(Code.TECHNIQUE_UNAVAILABLE, f"the inventory refused the drive: {drive.refused}")
    if drive.is_write_protected:
        raise Refused(Code.TECHNIQUE_UNAVAILABLE, "the drive is write-protected")
    _require_nvme(drive)
    drive.require_words()
    able = (
        (Technique.NVME_SANITIZE_CRYPTO, drive.has_sanitize_crypto),
        (Technique.NVME_SANITIZE_BLOCK, drive.has_sanitize_block),
    )
    chosen = tuple(technique for technique, is_able in able if is_able and reaches(technique, floor))
    if not chosen:
        raise Refused(Code.TECHNIQUE_UNAVAILABLE, f"no technique of this drive reaches {floor.value}")
    return chosen


def reaches(technique: Technique, floor: Method) -> bool:
    """Whether the technique, ended well, is at least `floor`."""
    strength = list(Method)
    return strength.index(METHODS[technique]) >= strength.index(floor)


def _require_nvme(drive: Capabilities) -> None:
    if drive.transport != Transport.NVME.value:
        raise Refused(Code.TECHNIQUE_UNAVAILABLE, f"no technique for transport {drive.transport[:20]!r}")


def _little_endian(name: str, raw: str, width_bytes: int) -> int:
    if not re.fullmatch(rf"[0-9a-f]{{{2 * width_bytes}}}", raw):
        raise Malformed(Code.LINE_INVALID, f"{name} is {width_bytes} bytes in hexadecimal, not {raw[:20]!r}")
    return int.from_bytes(bytes.fromhex(raw), "little")
