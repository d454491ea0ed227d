"""The sentences in which the words of signed documents are told to people: techniques, grades, results."""

from __future__ import annotations

from typing import Final

from certificate.reasons import Reason
from certificate.statements.outcome import Claim
from certificate.statements.vocabulary import Grade, MediaKind, Result, Technique, WhatBecame

#: What was sent. Whether it did what it is for, grade and markers say.
TECHNIQUES: Final = {
    Technique.NVME_SANITIZE_CRYPTO: "NVMe Sanitize, cryptographic erase: asked the drive to destroy its media"
    " key",
    Technique.NVME_SANITIZE_BLOCK: "NVMe Sanitize, block erase: asked the drive to erase its flash blocks",
    Technique.NVME_SANITIZE_OVERWRITE: "NVMe Sanitize, overwrite: asked the drive to write over all its"
    " media",
    Technique.NVME_FORMAT_CRYPTO: "Format NVM, cryptographic erase: asked the drive to destroy its media key",
    Technique.NVME_FORMAT_USER_DATA: "Format NVM, user data erase: asked the drive to erase what it"
    " addresses",
    Technique.OVERWRITE_KEYSTREAM: "Overwrite: asked for one pass of a recorded keystream over every"
    " addressable block",
    Technique.OVERWRITE_ZERO: "Overwrite: asked for one pass of zeros over every addressable block",
    Technique.LUKS: "LUKS: asked to destroy the keys of an encryption layer",
}
#: Short names for lists.
NAMES: Final = {
    Technique.NVME_SANITIZE_CRYPTO: "Sanitize crypto",
    Technique.NVME_SANITIZE_BLOCK: "Sanitize block",
    Technique.NVME_SANITIZE_OVERWRITE: "Sanitize overwrite",
    Technique.NVME_FORMAT_CRYPTO: "Format crypto",
    Technique.NVME_FORMAT_USER_DATA: "Format user data",
    Technique.OVERWRITE_KEYSTREAM: "overwrite, keystream",
    Technique.OVERWRITE_ZERO: "overwrite, zeros",
    Technique.LUKS: "LUKS",
}
GRADES: Final = {
    Grade.NONE: "nothing is claimed",
    Grade.OPERATOR_ATTESTED: "people say so",
    Grade.VENDOR_ASSERTED: "the vendor says that the command does this, and its consequences were seen",
    Grade.DEVICE_REPORTED: "the drive's own status says so",
    Grade.MARKER_PROVEN: "the drive's status says so, and every marker written before reads as random now",
    Grade.DEVICE_ATTESTED: "the drive or its platform signed it",
}
#: Where a technique proves its markers otherwise than by noise.
MARKER_PROVEN: Final = {
    Technique.NVME_FORMAT_CRYPTO: "the drive said that the command succeeded, and every marker written before"
    " reads as random now",
    Technique.NVME_SANITIZE_OVERWRITE: "the drive's status says so, and every marker reads as the pattern"
    " that we sent",
    Technique.OVERWRITE_KEYSTREAM: "every marker reads as the overwrite wrote it, and the read-back found"
    " nothing else",
    Technique.OVERWRITE_ZERO: "every marker reads as the overwrite wrote it, and the read-back found nothing"
    " else",
}
RESULTS: Final = {
    Result.NOT_ERASED: "NOT ERASED: the medium or its drive contradicts an erasure",
    Result.INCONCLUSIVE: "INCONCLUSIVE: nobody can say that it was erased",
}
KINDS: Final = {
    MediaKind.SELF_ENCRYPTING_NVME: "self-encrypting NVMe drive",
    MediaKind.NVME: "NVMe drive",
    MediaKind.PLAIN: "plain medium, without an erase command of its own",
}
BECAME: Final = {
    WhatBecame.ERASED: "erased",
    WhatBecame.NOT_ERASED: "NOT ERASED",
    WhatBecame.INCONCLUSIVE: "inconclusive",
    WhatBecame.REMOVED: "taken out by two operators; whether it was erased, its own record says",
    WhatBecame.DESTROYED: "taken out and destroyed, as two operators attest",
    WhatBecame.OPEN_EXCEPTION: "left the host UNERASED by two operators' decision: an open exception",
}
#: Opcodes as NVM Express Base 2.0 and the NVM command set name them.
OPCODES: Final = {"84": "Sanitize", "80": "Format NVM"}


def claim_words(claim: Claim) -> str:
    """The result in one line; never `erased` without method and grade."""
    if claim.result is not Result.ERASED:
        return RESULTS[claim.result]
    return f"erased, {claim.method.value} (NIST SP 800-88r2), {claim.grade.value}"


def grade_words(claim: Claim) -> str:
    """What stands behind the grade, for this technique."""
    if claim.grade is Grade.MARKER_PROVEN and claim.technique in MARKER_PROVEN:
        return MARKER_PROVEN[Technique(claim.technique)]
    return GRADES[claim.grade]


def reason_words(code: str) -> str:
    """A reason's sentence; the bare code where this release does not know it."""
    return Reason[code].sentence if code in Reason.__members__ else "No sentence is known for this reason."


def media_count(count: int) -> str:
    return "1 medium" if count == 1 else f"{count} media"


def capacity(size_bytes: int) -> str:
    """Decimal, as drives are sold; exact below a megabyte."""
    for factor, unit in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB")):
        if size_bytes >= factor:
            return f"{size_bytes / factor:.1f} {unit}"
    return f"{size_bytes} bytes"
