"""Every reason that can keep a claim from being stronger, and how far each one lowers it.

`assurance` collects reasons; the strongest effect among them decides. A reason can only lower: there is no
member that raises. The codes stand in signed outcomes, so a member is never renamed or reused.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import Self


class Effect(Enum):
    """What one reason does to a claim, gravest first."""

    #: The device or the medium itself contradicts an erasure: `not_erased`.
    CONTRADICTS = "contradicts"
    #: Something that an erasure needs was not seen, or does not fit: at most `inconclusive`.
    DOUBTS = "doubts"
    #: The method is at most `clear`.
    AT_MOST_CLEAR = "at_most_clear"
    #: The grade is at most `device-reported`.
    AT_MOST_DEVICE_REPORTED = "at_most_device_reported"


class Reason(StrEnum):
    """A code, its effect and its sentence."""

    effect: Effect
    sentence: str

    def __new__(cls, value: str, effect: Effect, sentence: str) -> Self:
        member = str.__new__(cls, value)
        member._value_, member.effect, member.sentence = value, effect, sentence
        return member

    # whose evidence it is
    NO_EVIDENCE = (
        "NO_EVIDENCE",
        Effect.DOUBTS,
        "No evidence of the attempt came: nobody here saw what became of the medium.",
    )
    MEDIUM_NOT_ORDERED = "MEDIUM_NOT_ORDERED", Effect.DOUBTS, "The order does not name this medium."
    ANOTHER_ORDER = "ANOTHER_ORDER", Effect.DOUBTS, "The evidence answers another order, token or hello."
    ANOTHER_BOOT = "ANOTHER_BOOT", Effect.DOUBTS, "The evidence is of another boot, key or observer."
    ANOTHER_PURPOSE = "ANOTHER_PURPOSE", Effect.DOUBTS, "Order and evidence differ in purpose."
    ORDER_OUTLIVED = (
        "ORDER_OUTLIVED",
        Effect.DOUBTS,
        "The order was accepted after its life, or time ran back.",
    )
    BOOT_SECRET_NOT_HELD = (
        "BOOT_SECRET_NOT_HELD",
        Effect.DOUBTS,
        "The agent was not seen to hold the secret of its boot.",
    )
    BOOT_TENANT_OS = "BOOT_TENANT_OS", Effect.DOUBTS, "The machine ran a system that a tenant could change."
    BOOT_NETWORK = "BOOT_NETWORK", Effect.AT_MOST_CLEAR, "The machine came up from the network."
    # which host, which media
    HOST_NOT_IDENTIFIED = (
        "HOST_NOT_IDENTIFIED",
        Effect.DOUBTS,
        "Not every fact of the host that the order names was seen to agree, or fewer than three did.",
    )
    EVIDENCE_INCOMPLETE = (
        "EVIDENCE_INCOMPLETE",
        Effect.DOUBTS,
        "The evidence lacks a medium or place that the order names.",
    )
    MEDIUM_MISSING = "MEDIUM_MISSING", Effect.DOUBTS, "The evidence has no entry for this medium."
    MEDIUM_REPEATED = "MEDIUM_REPEATED", Effect.DOUBTS, "The evidence lists a medium twice."
    UNEXPECTED_MEDIA = (
        "UNEXPECTED_MEDIA",
        Effect.DOUBTS,
        "Storage that no order names was found, or nobody looked.",
    )
    # the medium
    NOT_PRESENT = "NOT_PRESENT", Effect.DOUBTS, "The medium was not seen in the machine."
    NOT_EXCLUSIVE = "NOT_EXCLUSIVE", Effect.DOUBTS, "The medium was not opened exclusively."
    IDENTITY_CHANGED = "IDENTITY_CHANGED", Effect.DOUBTS, "The same medium was not seen after the command."
    NOT_READABLE = "NOT_READABLE", Effect.DOUBTS, "The medium was not seen to be readable afterwards."
    WRITE_PROTECTED = "WRITE_PROTECTED", Effect.DOUBTS, "The medium is write-protected, or nobody looked."
    NOT_RELEASED = (
        "NOT_RELEASED",
        Effect.DOUBTS,
        "Something that held the medium before the work was not seen to let go.",
    )
    MEDIUM_DIFFERS = "MEDIUM_DIFFERS", Effect.DOUBTS, "The medium is not as the plan describes it."
    CAPABILITY_NOT_SHOWN = (
        "CAPABILITY_NOT_SHOWN",
        Effect.DOUBTS,
        "The drive's own capability words do not offer the technique as it was used.",
    )
    NAMESPACE_NOT_COVERED = "NAMESPACE_NOT_COVERED", Effect.DOUBTS, "A namespace was not seen to be covered."
    CAPACITY_UNACCOUNTED = (
        "CAPACITY_UNACCOUNTED",
        Effect.DOUBTS,
        "Namespaces and unallocated capacity do not add up to the medium's capacity.",
    )
    HIDDEN_CAPACITY = (
        "HIDDEN_CAPACITY",
        Effect.DOUBTS,
        "The medium has more capacity than it shows, or nobody looked.",
    )
    UNALLOCATED_NOT_REACHED = (
        "UNALLOCATED_NOT_REACHED",
        Effect.DOUBTS,
        "Capacity in no namespace is not seen to be zero, and the technique never reaches it.",
    )
    NAMESPACE_NOT_REACHED = (
        "NAMESPACE_NOT_REACHED",
        Effect.DOUBTS,
        "A namespace is not seen to be attached, or none of the commands reaches it.",
    )
    READ_BACK_DIFFERS = (
        "READ_BACK_DIFFERS",
        Effect.DOUBTS,
        "A read-back found bytes that should not be there, or its result was not seen.",
    )
    READ_BACK_MISSING = "READ_BACK_MISSING", Effect.DOUBTS, "The overwritten medium was not read back."
    READ_BACK_NOT_AS_PLANNED = (
        "READ_BACK_NOT_AS_PLANNED",
        Effect.DOUBTS,
        "The read-back is less than the plan asks for, or not of the places that its seed must give.",
    )
    READ_BACK_INCOMPLETE = (
        "READ_BACK_INCOMPLETE",
        Effect.DOUBTS,
        "Not every byte that the read-back planned was seen to be read.",
    )
    READ_BACK_MISMATCH = (
        "READ_BACK_MISMATCH",
        Effect.CONTRADICTS,
        "The medium holds bytes that the overwrite did not write.",
    )
    ERRORS_SEEN = "ERRORS_SEEN", Effect.DOUBTS, "The agent recorded errors on this medium."
    # encryption layers on it
    LAYERS_DIFFER = (
        "LAYERS_DIFFER",
        Effect.DOUBTS,
        "The evidence has not exactly one entry for each encryption layer that the order names.",
    )
    LAYER_FOUND_AFTER = (
        "LAYER_FOUND_AFTER",
        Effect.CONTRADICTS,
        "The header of an encryption layer was found after everything.",
    )
    LAYER_NOT_LOOKED_FOR = (
        "LAYER_NOT_LOOKED_FOR",
        Effect.DOUBTS,
        "Nobody looked for the header of an encryption layer after everything.",
    )
    LAYER_KEY_OPENS = (
        "LAYER_KEY_OPENS",
        Effect.CONTRADICTS,
        "A key that opened an encryption layer before was not refused afterwards.",
    )
    LAYER_NOT_DESTROYED = (
        "LAYER_NOT_DESTROYED",
        Effect.AT_MOST_DEVICE_REPORTED,
        "An encryption layer was not seen to be destroyed: acknowledged, every copy changed, flushed.",
    )
    LAYER_ALONE = (
        "LAYER_ALONE",
        Effect.DOUBTS,
        "Only keys of encryption layers were destroyed; a backup of a header may exist.",
    )
    # the command
    NO_COMMAND = "NO_COMMAND", Effect.DOUBTS, "No command is on record."
    COMMAND_NOT_PLANNED = (
        "COMMAND_NOT_PLANNED",
        Effect.DOUBTS,
        "The commands are not the plan's, in the plan's order, each after the failure of the one before.",
    )
    SUBMISSION_NOT_SEEN = "SUBMISSION_NOT_SEEN", Effect.DOUBTS, "The command as sent is not on record."
    SUBMISSION_DIFFERS = (
        "SUBMISSION_DIFFERS",
        Effect.DOUBTS,
        "What was sent is not the technique that is claimed.",
    )
    RECORD_DOES_NOT_FIT = (
        "RECORD_DOES_NOT_FIT",
        Effect.DOUBTS,
        "The command's record has words that its technique has none for, or lacks the technique's own.",
    )
    COMMAND_REPEATED = (
        "COMMAND_REPEATED",
        Effect.DOUBTS,
        "A command stands on record twice, or several do where one does all.",
    )
    LAYOUT_DIFFERS = (
        "LAYOUT_DIFFERS",
        Effect.DOUBTS,
        "The format was not seen to keep each namespace's block format, metadata and protection.",
    )
    START_NOT_ACKNOWLEDGED = (
        "START_NOT_ACKNOWLEDGED",
        Effect.DOUBTS,
        "The controller was not seen to acknowledge the start.",
    )
    COMMAND_REFUSED = "COMMAND_REFUSED", Effect.CONTRADICTS, "The drive refused the command."
    COMPLETION_NOT_SEEN = (
        "COMPLETION_NOT_SEEN",
        Effect.DOUBTS,
        "The drive's answer to the command is not on record.",
    )
    TIMED_OUT = "TIMED_OUT", Effect.DOUBTS, "The command was not answered in time, or nobody looked."
    STATUS_NOT_SEEN = (
        "STATUS_NOT_SEEN",
        Effect.DOUBTS,
        "The drive's status after the command is not on record.",
    )
    SANITIZE_FAILED = "SANITIZE_FAILED", Effect.CONTRADICTS, "The drive reports that the sanitize failed."
    SANITIZE_NOT_ENDED = (
        "SANITIZE_NOT_ENDED",
        Effect.DOUBTS,
        "The drive does not report a sanitize that ended well.",
    )
    STATUS_OF_ANOTHER_COMMAND = (
        "STATUS_OF_ANOTHER_COMMAND",
        Effect.DOUBTS,
        "The drive's status belongs to another command than ours.",
    )
    STATUS_UNCHANGED = (
        "STATUS_UNCHANGED",
        Effect.DOUBTS,
        "The drive's status says the same as before the command, and markers prove no change everywhere.",
    )
    WRITTEN_AFTERWARDS = (
        "WRITTEN_AFTERWARDS",
        Effect.DOUBTS,
        "The drive says that user data was written after the sanitize (Global Data Erased is 0).",
    )
    PASSES_MISSING = (
        "PASSES_MISSING",
        Effect.DOUBTS,
        "The drive reports fewer passes of its overwrite than were asked for.",
    )
    OVERWRITE_INCOMPLETE = (
        "OVERWRITE_INCOMPLETE",
        Effect.DOUBTS,
        "The host was not seen to write every byte of the medium.",
    )
    OVERWRITE_NOT_FLUSHED = (
        "OVERWRITE_NOT_FLUSHED",
        Effect.DOUBTS,
        "The medium was not seen to have flushed what the host wrote.",
    )
    ESCROW_KNOWN = "ESCROW_KNOWN", Effect.DOUBTS, "A copy of the keys is known to exist elsewhere."
    # the markers
    MARKERS_NOT_COMMITTED = (
        "MARKERS_NOT_COMMITTED",
        Effect.DOUBTS,
        "The markers do not open the commitment, or it was not acknowledged before the first write.",
    )
    MARKERS_INCOMPLETE = (
        "MARKERS_INCOMPLETE",
        Effect.DOUBTS,
        "The markers listed are not as many as were counted.",
    )
    MARKERS_NOT_DERIVED = (
        "MARKERS_NOT_DERIVED",
        Effect.DOUBTS,
        "The markers are not exactly those that order, nonce, medium and attached namespaces give.",
    )
    MARKER_UNCHANGED = "MARKER_UNCHANGED", Effect.CONTRADICTS, "A marker still reads as it was written."
    MARKER_NOT_READ = "MARKER_NOT_READ", Effect.DOUBTS, "A marker could not be read, or nobody looked."
    MARKER_IMPLAUSIBLE = (
        "MARKER_IMPLAUSIBLE",
        Effect.DOUBTS,
        "A marker's count of changed bits does not fit its reading.",
    )
    MARKER_DOES_NOT_FIT = (
        "MARKER_DOES_NOT_FIT",
        Effect.DOUBTS,
        "A marker reads as the technique cannot have left it.",
    )
    NO_MARKERS = "NO_MARKERS", Effect.AT_MOST_DEVICE_REPORTED, "No marker was committed to."
    MARKERS_TOO_FEW = (
        "MARKERS_TOO_FEW",
        Effect.AT_MOST_DEVICE_REPORTED,
        "A namespace holds fewer than three markers, or is listed twice; markers do not prove all of it.",
    )
    NAMESPACES_UNLISTED = (
        "NAMESPACES_UNLISTED",
        Effect.AT_MOST_DEVICE_REPORTED,
        "The drive may have namespaces that the controller asked does not list, and they hold no marker.",
    )
    MARKER_NOT_READ_BACK = (
        "MARKER_NOT_READ_BACK",
        Effect.AT_MOST_DEVICE_REPORTED,
        "A marker was not seen on the medium before the erase.",
    )
    MARKER_READS_CONSTANT = (
        "MARKER_READS_CONSTANT",
        Effect.AT_MOST_DEVICE_REPORTED,
        "A marker reads as zeros or one constant, which shows unmapping and no changed key.",
    )
    BLOCK_ERASE_SHOWS_NO_KEY = (
        "BLOCK_ERASE_SHOWS_NO_KEY",
        Effect.AT_MOST_DEVICE_REPORTED,
        "A block erase changes no key, so markers cannot prove it.",
    )
    USER_DATA_ERASE_SHOWS_NO_KEY = (
        "USER_DATA_ERASE_SHOWS_NO_KEY",
        Effect.AT_MOST_DEVICE_REPORTED,
        "A user data erase need change no key, so markers cannot prove it.",
    )
    # the sum
    HOST_HAS_NO_REPORT = (
        "HOST_HAS_NO_REPORT",
        Effect.DOUBTS,
        "A host's own overwrite has no device's report to fall back on where markers or layers prove less.",
    )
    BELOW_FLOOR = "BELOW_FLOOR", Effect.DOUBTS, "What could be claimed is below the order's floor."
    # what the provider made of it
    RESULT_REJECTED = (
        "RESULT_REJECTED",
        Effect.DOUBTS,
        "The validation table, or a person whom it asks, rejected what the evidence supports.",
    )
    RESULT_NOT_ACCEPTED = (
        "RESULT_NOT_ACCEPTED",
        Effect.DOUBTS,
        "Nobody accepted what the evidence supports, and the table leaves it to a person.",
    )
