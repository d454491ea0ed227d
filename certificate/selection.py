"""Selection: what a drive can do, and a floor, give the techniques in order, or a refusal with its reason.

Computed by the controller from the inventory and again by the agent at admission; the two must agree
(SELECTION_DIFFERS). Pure: the only inputs are the words the drive sent, its namespaces, the floor and the
overwrite that the plan asks for, and the order's word on copies of keys. `capabilities` decodes a report,
`obstacles` says what stands in the way.

Rules:
1. A drive the inventory refused, a write-protected drive and a transport without a driver get no technique.
2. A word that is missing or not observed is an obstacle, never a guess; one of the wrong length, of no
   hexadecimal digits, or named twice is malformed.
3. Techniques come best first (`ORDER`), and none below the floor.
4. A technique is chosen only if it reaches all of the drive. Sanitize does by itself. A Format or an
   overwrite does not reach unallocated capacity nor a namespace that is not attached, and leaves those.
5. A Format is chosen only if every namespace can keep the format it has.
6. A drive is `self_encrypting_nvme` if and only if it supports a cryptographic sanitize; one that only reads
   and writes blocks is `plain`, and is overwritten.
7. Where copies of keys are known to be kept elsewhere, what may destroy no more than a key is chosen only if
   nothing else of this drive reaches the floor: its result is then inconclusive (`assurance`, rule 8).
8. How a drive is attached, and what encryption layers lie on it, changes nothing here: naming storage in a
   plan is what lets it be erased, and a layer is destroyed before the medium's own technique.

Enforced elsewhere: that a word still says the same at admission (agent), that an erase did what the word
promised (`assurance`). Sources: NVM Express Base 2.0, figure "Identify Controller" (OACS bytes 257:256,
SANICAP bytes 331:328, FNA byte 524), NVM Command Set 1.0, figure "Identify Namespace" (FLBAS byte 26, DPS
byte 29), from memory; IEEE 2883-2022 as in erasure.md, 3.4.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from certificate.errors import Code, Malformed, Refused
from certificate.messages import DriveReport
from certificate.statements.vocabulary import (
    Escrow,
    MediaKind,
    Method,
    OverwritePattern,
    Technique,
    Transport,
)

#: Width in bytes of each capability word that selection reads, under the standard's name.
WORD_BYTES: Final = {"SANICAP": 4, "OACS": 2, "FNA": 1}
#: The same for the words of one namespace, reported as `NS1:FLBAS`.
NAMESPACE_WORD_BYTES: Final = {"FLBAS": 1, "DPS": 1}
_NAMESPACE_WORD: Final = re.compile(r"NS([1-9][0-9]{0,9}):([A-Z]+)")
#: What a report writes for a word that nobody could read.
NOT_OBSERVED = "not_observed"

SANICAP_CRYPTO_ERASE = 1 << 0
SANICAP_BLOCK_ERASE = 1 << 1
SANICAP_OVERWRITE = 1 << 2
SANICAP_NO_DEALLOCATE_INHIBITED = 1 << 29
OACS_FORMAT = 1 << 1
FNA_FORMAT_EVERY_NAMESPACE = 1 << 0
FNA_ERASE_EVERY_NAMESPACE = 1 << 1
FNA_CRYPTO_ERASE = 1 << 2
FLBAS_EXTENDED_METADATA = 1 << 4

#: The largest logical block; each namespace but the last ends on a multiple of it, or an overwrite of one
#: stream over all of them would write amid a block.
STREAM_BLOCK_BYTES: Final = 4096
#: What is only read and written, block by block.
PLAIN_TRANSPORTS: Final = frozenset({Transport.VIRTIO.value, Transport.IMAGE.value})

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


#: Which technique a plan's overwrite is.
OVERWRITES: Final = {
    OverwritePattern.KEYSTREAM: Technique.OVERWRITE_KEYSTREAM,
    OverwritePattern.ZERO: Technique.OVERWRITE_ZERO,
}
#: Best first: what the drive does to all of itself, then what it does to its namespaces; the host's own
#: overwrite, whichever the plan says, comes last.
ORDER: Final = (
    Technique.NVME_SANITIZE_CRYPTO,
    Technique.NVME_SANITIZE_BLOCK,
    Technique.NVME_SANITIZE_OVERWRITE,
    Technique.NVME_FORMAT_CRYPTO,
    Technique.NVME_FORMAT_USER_DATA,
)
#: What leaves the data and destroys its key, or may do so (`assurance.DESTROYS_A_KEY`, without layers).
KEYS_ONLY: Final = frozenset(
    {Technique.NVME_SANITIZE_CRYPTO, Technique.NVME_FORMAT_CRYPTO, Technique.NVME_FORMAT_USER_DATA}
)


@dataclass(frozen=True, kw_only=True)
class NamespaceFacts:
    """What selection knows of one namespace. The two words are None where nobody could read them."""

    nsid: int
    capacity_bytes: int
    logical_block_bytes: int
    is_attached: bool
    #: FLBAS: index of the LBA format 3:0 and 6:5, metadata in line with the data 4.
    format_word: int | None
    #: DPS: protection information.
    protection_word: int | None


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
    #: UNVMCAP: what belongs to no namespace.
    unallocated_bytes: int
    #: Ascending by nsid; all that exist, attached or not.
    namespaces: tuple[NamespaceFacts, ...]

    @property
    def is_plain(self) -> bool:
        return self.transport in PLAIN_TRANSPORTS

    @property
    def has_sanitize_crypto(self) -> bool:
        return bool((self.sanitize_word or 0) & SANICAP_CRYPTO_ERASE)

    @property
    def is_no_deallocate_inhibited(self) -> bool:
        """The drive may deallocate after a sanitize although asked not to: markers then read zero."""
        return bool((self.sanitize_word or 0) & SANICAP_NO_DEALLOCATE_INHIBITED)

    def require_words(self) -> None:
        """Raises Refused(TECHNIQUE_UNAVAILABLE) unless every word was read."""
        words = (self.sanitize_word, self.optional_commands_word, self.format_attributes_word)
        missing = [name for name, word in zip(WORD_BYTES, words, strict=True) if word is None]
        if missing:
            raise Refused(Code.TECHNIQUE_UNAVAILABLE, f"the drive did not say its {', '.join(missing)}")


def capabilities(report: DriveReport) -> Capabilities:
    """What `report` says of the drive, decoded.

    Raises Malformed(LINE_INVALID) for a word of the wrong length, of no hexadecimal digits, or named twice,
    for a namespace listed twice, and for a word of a namespace that is not listed.
    """
    words: dict[str, int] = {}
    seen: set[str] = set()
    for word in report.capabilities:
        if word.field in seen:
            raise Malformed(Code.LINE_INVALID, f"the drive's {word.field[:20]} is named twice")
        seen.add(word.field)
        width_bytes = _width_bytes(word.field)
        if width_bytes is not None and word.raw != NOT_OBSERVED:
            words[word.field] = _little_endian(word.field, word.raw, width_bytes)
    namespaces = tuple(
        NamespaceFacts(
            nsid=each.nsid,
            capacity_bytes=each.capacity_bytes,
            logical_block_bytes=each.logical_block_bytes,
            is_attached=each.is_attached,
            format_word=words.get(f"NS{each.nsid}:FLBAS"),
            protection_word=words.get(f"NS{each.nsid}:DPS"),
        )
        for each in sorted(report.namespaces, key=lambda each: each.nsid)
    )
    _require_listed(namespaces, seen)
    return Capabilities(
        transport=report.transport,
        is_write_protected=report.is_write_protected,
        refused=report.refused,
        sanitize_word=words.get("SANICAP"),
        optional_commands_word=words.get("OACS"),
        format_attributes_word=words.get("FNA"),
        unallocated_bytes=report.unallocated_capacity_bytes,
        namespaces=namespaces,
    )


def media_kind(drive: Capabilities) -> MediaKind:
    """What the validation table calls this drive. Raises Refused(TECHNIQUE_UNAVAILABLE) if a word is
    missing.
    """
    _require_transport(drive)
    if drive.is_plain:
        return MediaKind.PLAIN
    drive.require_words()
    return MediaKind.SELF_ENCRYPTING_NVME if drive.has_sanitize_crypto else MediaKind.NVME


def select(
    drive: Capabilities, floor: Method, *, overwrite: OverwritePattern, escrow: Escrow
) -> tuple[Technique, ...]:
    """The techniques that reach `floor` on this drive, best first; never empty. `overwrite`: the plan's;
    `escrow`: the order's, which is that of the table's rule.

    Raises Refused(TECHNIQUE_UNAVAILABLE) when there is none, with what stands in the way of each.
    """
    found = obstacles(drive, floor, overwrite=overwrite)
    chosen = tuple(technique for technique, obstacle in found.items() if obstacle is None)
    if not chosen:
        reasons = "; ".join(dict.fromkeys(each for each in found.values() if each is not None))
        reason = f"no technique of this drive reaches {floor.value}" + (f": {reasons}" if reasons else "")
        raise Refused(Code.TECHNIQUE_UNAVAILABLE, reason)
    beyond_keys = tuple(technique for technique in chosen if technique not in KEYS_ONLY)
    return beyond_keys if escrow is Escrow.KNOWN and beyond_keys else chosen


def obstacles(
    drive: Capabilities, floor: Method, *, overwrite: OverwritePattern
) -> dict[Technique, str | None]:
    """Each technique that would reach `floor` on a drive of this transport, best first, and what stands in
    its way; None where nothing does.

    Raises Refused(TECHNIQUE_UNAVAILABLE) where no technique may be used at all (rules 1 and 2).
    """
    if drive.refused is not None:
        raise Refused(Code.TECHNIQUE_UNAVAILABLE, f"the inventory refused the drive: {drive.refused}")
    if drive.is_write_protected:
        raise Refused(Code.TECHNIQUE_UNAVAILABLE, "the drive is write-protected")
    _require_transport(drive)
    if not drive.is_plain:
        drive.require_words()
    own = () if drive.is_plain else ORDER
    techniques = (*own, OVERWRITES[overwrite])
    return {each: _OBSTACLES[each](drive) for each in techniques if reaches(each, floor)}


def reaches(technique: Technique, floor: Method) -> bool:
    """Whether the technique, ended well, is at least `floor`."""
    strength = list(Method)
    return strength.index(METHODS[technique]) >= strength.index(floor)


# --- what stands in the way of one technique ----------------------------------------------------------------


def _without_sanitize(bit: int, name: str) -> Callable[[Capabilities], str | None]:
    def obstacle(drive: Capabilities) -> str | None:
        word = drive.sanitize_word or 0
        return None if word & bit else f"SANICAP {word:08X}h offers no {name}"

    return obstacle


def _without_crypto_format(drive: Capabilities) -> str | None:
    word = drive.format_attributes_word or 0
    if not word & FNA_CRYPTO_ERASE:
        return f"FNA {word:02X}h offers no cryptographic Format"
    return _without_format(drive)


def _without_format(drive: Capabilities) -> str | None:
    word = drive.optional_commands_word or 0
    if not word & OACS_FORMAT:
        return f"OACS {word:04X}h offers no Format NVM"
    return _leftover(drive, "Format") or _reformatting(drive)


def _reformatting(drive: Capabilities) -> str | None:
    """A Format repeats each namespace's own format, so that must be known, and one that reaches all of them
    must find them alike.
    """
    formats = set()
    for namespace in drive.namespaces:
        if namespace.format_word is None or namespace.protection_word is None:
            return f"namespace {namespace.nsid} did not say its format (FLBAS, DPS), which a Format must keep"
        formats.add((namespace.format_word & 0x7F, namespace.protection_word & 0xF))
    word = drive.format_attributes_word or 0
    if word & (FNA_FORMAT_EVERY_NAMESPACE | FNA_ERASE_EVERY_NAMESPACE) and len(formats) > 1:
        return f"FNA {word:02X}h: a Format of one namespace would give its format to the others"
    return None


def _without_overwrite(drive: Capabilities) -> str | None:
    return _leftover(drive, "an overwrite") or _unaddressable(drive)


def _leftover(drive: Capabilities, what: str) -> str | None:
    """What lies outside the namespaces in use: no Format and no write reaches it."""
    if drive.unallocated_bytes:
        return f"UNVMCAP {drive.unallocated_bytes}: {what} would leave it"
    if not drive.namespaces:
        return f"the drive lists no namespace that {what} could reach"
    detached = [namespace.nsid for namespace in drive.namespaces if not namespace.is_attached]
    return f"namespace {detached[0]} is not attached: {what} would leave it" if detached else None


def _unaddressable(drive: Capabilities) -> str | None:
    """Blocks that the host cannot write one after the other."""
    for namespace in drive.namespaces:
        block_bytes, name = namespace.logical_block_bytes, f"namespace {namespace.nsid}"
        if block_bytes < 1 or STREAM_BLOCK_BYTES % block_bytes:
            return f"{name} has blocks of {block_bytes} bytes, which no overwrite writes"
        if namespace.capacity_bytes < 1 or namespace.capacity_bytes % block_bytes:
            return f"{name} has {namespace.capacity_bytes} bytes, which are no blocks"
        if (namespace.format_word or 0) & FLBAS_EXTENDED_METADATA:
            return f"{name} keeps metadata in line with its data, which an overwrite would leave"
        if namespace is not drive.namespaces[-1] and namespace.capacity_bytes % STREAM_BLOCK_BYTES:
            return f"{name} ends amid a block of the next, which no overwrite writes"
    return None


_OBSTACLES: Final[dict[Technique, Callable[[Capabilities], str | None]]] = {
    Technique.NVME_SANITIZE_CRYPTO: _without_sanitize(SANICAP_CRYPTO_ERASE, "cryptographic erase"),
    Technique.NVME_SANITIZE_BLOCK: _without_sanitize(SANICAP_BLOCK_ERASE, "block erase"),
    Technique.NVME_SANITIZE_OVERWRITE: _without_sanitize(SANICAP_OVERWRITE, "overwrite"),
    Technique.NVME_FORMAT_CRYPTO: _without_crypto_format,
    Technique.NVME_FORMAT_USER_DATA: _without_format,
    Technique.OVERWRITE_KEYSTREAM: _without_overwrite,
    Technique.OVERWRITE_ZERO: _without_overwrite,
}


# --- reading a report ---------------------------------------------------------------------------------------


def _require_transport(drive: Capabilities) -> None:
    if drive.transport != Transport.NVME.value and not drive.is_plain:
        raise Refused(Code.TECHNIQUE_UNAVAILABLE, f"no technique for transport {drive.transport[:20]!r}")


def _require_listed(namespaces: tuple[NamespaceFacts, ...], fields: set[str]) -> None:
    nsids = {namespace.nsid for namespace in namespaces}
    if len(nsids) != len(namespaces):
        raise Malformed(Code.LINE_INVALID, "a namespace is listed twice")
    for field in sorted(fields):
        match = _NAMESPACE_WORD.fullmatch(field)
        if match is not None and int(match[1]) not in nsids:
            raise Malformed(Code.LINE_INVALID, f"{field[:20]} speaks of a namespace that is not listed")


def _width_bytes(field: str) -> int | None:
    match = _NAMESPACE_WORD.fullmatch(field)
    return WORD_BYTES.get(field) if match is None else NAMESPACE_WORD_BYTES.get(match[2])


def _little_endian(name: str, raw: str, width_bytes: int) -> int:
    if not re.fullmatch(rf"[0-9a-f]{{{2 * width_bytes}}}", raw):
        raise Malformed(Code.LINE_INVALID, f"{name} is {width_bytes} bytes in hexadecimal, not {raw[:20]!r}")
    return int.from_bytes(bytes.fromhex(raw), "little")
