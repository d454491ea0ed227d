"""What the agent says instead of acting, and its codes.

    Refused                    a rule said no; nothing irreversible was done by this act           exit 3
    └── StepRefused            an irreversible step may not begin (any more); the medium goes on without it
    DeviceError                a device was asked and something may have been done                 exit 1
    ├── TransportError         no answer came; the command may or may not have been carried out
    └── CommandFailed          the device answered with a status other than success

`DeviceError` is no refusal on purpose: whoever catches one may not conclude that nothing happened. Its code
stands in the medium's evidence.
`Refused` is certificate's. A class exists only where a caller catches it; otherwise the code is enough. A
code met after work on a medium has begun stands in that medium's evidence (`errors`) instead of ending the
execution.
"""

from __future__ import annotations

from certificate.errors import RefusalCode, Refused


class StepRefused(Refused):
    """One irreversible step of one medium may not begin: no acknowledgement, or not the moment for it."""


class Code(RefusalCode):
    """The codes of `agent`."""

    # boot and the run directory
    NOT_BOOTED = "NOT_BOOTED", "Start the erase environment again; this run directory holds no finished boot."
    BOOT_CONFIG_INVALID = (
        "BOOT_CONFIG_INVALID",
        "Stage the host again: the configuration belongs to another trust root, secret or time.",
    )
    RUN_DIRECTORY_UNSAFE = (
        "RUN_DIRECTORY_UNSAFE",
        "Use a directory of the agent's own user with mode 0700, best on tmpfs.",
    )
    RUN_DIRECTORY_BROKEN = (
        "RUN_DIRECTORY_BROKEN",
        "A file of this boot is not what was written; start the erase environment again.",
    )
    # the session
    BUSY = "BUSY", "One execution at a time: follow the running one, or wait until it has ended."
    HELLO_MISSING = (
        "HELLO_MISSING",
        "Say hello with purpose `order` first, then sign an order for that nonce.",
    )
    TOKEN_UNKNOWN = (
        "TOKEN_UNKNOWN",
        "This boot never accepted that token; ask for its status with `finalise`.",
    )
    TOKEN_SPENT = "TOKEN_SPENT", "A token is good once; follow its journal, or plan a new attempt."
    APPROVAL_SPENT = (
        "APPROVAL_SPENT",
        "An approval is good for one order; plan a new attempt and let people approve it.",
    )
    TOKEN_POISONED = "TOKEN_POISONED", "This token was answered with a final absence; plan a new attempt."
    EARLIER_UNSETTLED = (
        "EARLIER_UNSETTLED",
        "Follow or finalise the earlier token of this boot first; it may have begun.",
    )
    FENCE_STALE = "FENCE_STALE", "A newer order was seen; the controller that sent this one lost its lease."
    ACK_REFUSED = "ACK_REFUSED", "Read the journal again: this step is not waiting for an acknowledgement."
    AGENT_FAILED = "AGENT_FAILED", "The agent met a fault of its own; keep the host and read the agent's log."
    # admission
    BOOT_MISMATCH = (
        "BOOT_MISMATCH",
        "Stage and plan again: the order was made for another start of this machine.",
    )
    HOST_MISMATCH = "HOST_MISMATCH", "Compare the machine with its record; this may be another machine."
    HOST_UNIDENTIFIED = (
        "HOST_UNIDENTIFIED",
        "Fewer than three facts identify the machine; complete its record before planning again.",
    )
    DRIVE_MISSING = (
        "DRIVE_MISSING",
        "A drive the order names is not here; find it, take the inventory, plan again.",
    )
    DRIVE_UNEXPECTED = "DRIVE_UNEXPECTED", "A drive stands in no order; take the inventory and plan again."
    DRIVE_DUPLICATE = (
        "DRIVE_DUPLICATE",
        "Two drives, or two lines of the plan, have one identity; see the drives.",
    )
    DRIVE_CHANGED = (
        "DRIVE_CHANGED",
        "Capacity, firmware, attachment or encryption layers changed since the plan; plan again.",
    )
    DRIVE_REFUSED = "DRIVE_REFUSED", "The inventory says why this drive may not be erased as it is."
    TOO_MANY_DRIVES = (
        "TOO_MANY_DRIVES",
        "The evidence would not fit one session line; split the host over several orders in a later release.",
    )
    # steps of an execution
    ACK_TIMED_OUT = (
        "ACK_TIMED_OUT",
        "Nothing irreversible was begun by this step; see why the controller was silent.",
    )
    ACK_EXPIRED = "ACK_EXPIRED", "The acknowledgement was older than 60 seconds; nothing was begun by it."
    JOURNAL_BROKEN = "JOURNAL_BROKEN", "The journal was changed after it was written; trust none of it."
    EXECUTION_INTERRUPTED = (
        "EXECUTION_INTERRUPTED",
        "The executing process ended early; what it left unseen is not_observed.",
    )
    COMMAND_TIMED_OUT = (
        "COMMAND_TIMED_OUT",
        "The drive did not end in time; read its status before anything else.",
    )
    IDENTITY_CHANGED = "IDENTITY_CHANGED", "The drive answers as another one now; keep both in custody."
    DRIVE_NOT_EXCLUSIVE = (
        "DRIVE_NOT_EXCLUSIVE",
        "Something else on this machine holds the drive; stop it, then plan a new attempt.",
    )
    WRITE_FAILED = (
        "WRITE_FAILED",
        "Parts of the drive could not be overwritten, and what stood there remains; destroy the drive.",
    )
    FLUSH_FAILED = (
        "FLUSH_FAILED",
        "The drive did not say that it holds all of the overwrite; overwrite it again or destroy it.",
    )
    MARKERS_FAILED = "MARKERS_FAILED", "Markers could not be written and read back; see the drive's health."
    ACCESS_REFUSED = (
        "ACCESS_REFUSED",
        "Its failed sanitize refuses all access, so it was begun unmarked; for proof by markers, wipe again.",
    )
    CONTENT_LEFT = (
        "CONTENT_LEFT",
        "The unmarked drive reads as something that no erase leaves; wipe it again, marked, or destroy it.",
    )
    # letting go of what stands on the drives
    TEARDOWN_SHARED = (
        "TEARDOWN_SHARED",
        "It also lies on a device that the order does not name: take it apart by hand, or plan both.",
    )
    TEARDOWN_OWN_SYSTEM = (
        "TEARDOWN_OWN_SYSTEM",
        "The agent runs from this drive; start the machine in an erase environment that runs from memory.",
    )
    TEARDOWN_UNSUPPORTED = (
        "TEARDOWN_UNSUPPORTED",
        "No driver of this release lets go of what holds the drive; take it apart by hand, then plan again.",
    )
    # drives, host facts and markers
    DEVICE_UNANSWERED = (
        "DEVICE_UNANSWERED",
        "Ask the drive for its status again; send nothing a second time before it answered.",
    )
    DEVICE_STATUS = (
        "DEVICE_STATUS",
        "Look the status word up in the NVM Express Base Specification, Status Field.",
    )
    DEVICE_ANSWER_MALFORMED = (
        "DEVICE_ANSWER_MALFORMED",
        "The drive's answer does not follow its standard; keep the raw bytes and replace the drive.",
    )
    DRIVE_IDENTITY_MISSING = (
        "DRIVE_IDENTITY_MISSING",
        "The drive gives no serial number to be named by; take it out by hand, into custody.",
    )
    DRIVE_UNREADABLE = (
        "DRIVE_UNREADABLE",
        "The drive does not answer an inventory; power-cycle the host, then take it into custody.",
    )
    NAMESPACES_UNACCOUNTED = (
        "NAMESPACES_UNACCOUNTED",
        "Attach every namespace to the drive's first controller, or take the drive out, into custody.",
    )
    NAMESPACES_CHANGED = (
        "NAMESPACES_CHANGED",
        "The drive holds other namespaces than when it was opened; see who changed it, then plan again.",
    )
    DRIVE_WRITE_PROTECTED = (
        "DRIVE_WRITE_PROTECTED",
        "Lift the namespace write protection, then run the inventory again.",
    )
    STORAGE_REMOTE = (
        "STORAGE_REMOTE",
        "This is another machine's storage; disconnect it, then run the inventory again.",
    )
    STORAGE_REMOVABLE = (
        "STORAGE_REMOVABLE",
        "Unplug the removable drive, keep it in custody, then run the inventory again.",
    )
    STORAGE_VIRTUAL = (
        "STORAGE_VIRTUAL",
        "Detach the virtual or optical medium from the machine, then run the inventory again.",
    )
    STORAGE_UNDRIVEN = (
        "STORAGE_UNDRIVEN",
        "Start an erase environment whose kernel drives this controller; nobody saw what is behind it.",
    )
    STORAGE_UNSUPPORTED = (
        "STORAGE_UNSUPPORTED",
        "No technique of this release reaches storage of that kind; take it out, into custody.",
    )
    SANITIZE_RUNNING = (
        "SANITIZE_RUNNING",
        "Wait until the drive reports the end of the sanitize operation it is already running.",
    )
    SANITIZE_FAILED = (
        "SANITIZE_FAILED",
        "The drive reports that its sanitize operation failed; keep it in custody.",
    )
    MARKERS_IMPOSSIBLE = (
        "MARKERS_IMPOSSIBLE",
        "The drive's namespaces leave no room for markers; a person decides about it.",
    )
    LAYER_HEADER_INVALID = (
        "LAYER_HEADER_INVALID",
        "The encryption header is damaged or forged; its whole area is destroyed, whatever it says.",
    )
    LAYER_MISSING = (
        "LAYER_MISSING",
        "An encryption layer that the order names is not there any more; see what else writes to the drive.",
    )
    LAYERS_TOO_MANY = (
        "LAYERS_TOO_MANY",
        "More encryption headers than evidence can name; a person looks at the drive before it is planned.",
    )
    IMAGE_INVALID = (
        "IMAGE_INVALID",
        "It is no simulated drive and no image of this release; make it anew, or take it out of the folder.",
    )
    HOST_FACTS_INVALID = (
        "HOST_FACTS_INVALID",
        "Correct the host facts file: one JSON object, known kinds, non-empty text.",
    )


class DeviceError(Exception):
    """A device was asked, and what it did is not known from this alone."""

    def __init__(self, code: Code, reason: str) -> None:
        self.code = code
        self.reason = reason
        super().__init__(f"{code.value}: {reason} ({code.remedy})")


class TransportError(DeviceError):
    """No answer came. `errno` is the operating system's number, 0 where there is none."""

    def __init__(self, reason: str, *, errno: int = 0) -> None:
        self.errno = errno
        super().__init__(Code.DEVICE_UNANSWERED, reason)


class CommandFailed(DeviceError):
    """The device answered with `status` (status field without phase bit), which is not success."""

    def __init__(self, what: str, *, status: int) -> None:
        self.status = status
        super().__init__(Code.DEVICE_STATUS, f"{what} was answered with status {status:03X}h")
