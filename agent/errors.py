"""What the agent says instead of acting, and its codes.

    Refused                    a rule said no; nothing irreversible was done by this act           exit 3
    └── StepRefused            an irreversible step may not begin (any more); the medium goes on without it

`Refused` is certificate's. A class exists only where a caller catches it; otherwise the code is enough. A
code met after work on a medium has begun stands in that medium's evidence (`errors`) instead of ending the
execution.
"""

from __future__ import annotations

from certificate.errors import RefusalCode, Refused


class StepRefused(Refused):
    """One irreversible step of one medium may not begin: no acknowledgement, or no longer the right moment."""


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
    HELLO_MISSING = "HELLO_MISSING", "Say hello with purpose `order` first, then sign an order for that nonce."
    TOKEN_UNKNOWN = "TOKEN_UNKNOWN", "This boot never accepted that token; ask for its status with `finalise`."
    TOKEN_SPENT = "TOKEN_SPENT", "A token is good once; follow its journal, or plan a new attempt."
    TOKEN_POISONED = "TOKEN_POISONED", "This token was answered with a final absence; plan a new attempt."
    EARLIER_UNSETTLED = (
        "EARLIER_UNSETTLED",
        "Follow or finalise the earlier token of this boot first; it may have begun.",
    )
    FENCE_STALE = "FENCE_STALE", "A newer order was seen; the controller that sent this one lost its lease."
    ACK_REFUSED = "ACK_REFUSED", "Read the journal again: this step is not waiting for an acknowledgement."
    AGENT_FAILED = "AGENT_FAILED", "The agent met a fault of its own; keep the host and read the agent's log."
    # admission
    BOOT_MISMATCH = "BOOT_MISMATCH", "Stage and plan again: the order was made for another start of this machine."
    HOST_MISMATCH = "HOST_MISMATCH", "Compare the machine with its record; this may be another machine."
    HOST_UNIDENTIFIED = (
        "HOST_UNIDENTIFIED",
        "Fewer than three facts identify the machine; complete its record before planning again.",
    )
    DRIVE_MISSING = "DRIVE_MISSING", "A drive the order names is not here; find it, take the inventory, plan again."
    DRIVE_UNEXPECTED = "DRIVE_UNEXPECTED", "A drive stands in no order; take the inventory and plan again."
    DRIVE_DUPLICATE = "DRIVE_DUPLICATE", "Two drives, or two lines of the plan, have one identity; see the drives."
    DRIVE_CHANGED = "DRIVE_CHANGED", "A drive's capacity or firmware changed since the plan; plan again."
    DRIVE_REFUSED = "DRIVE_REFUSED", "The inventory says why this drive may not be erased as it is."
    TOO_MANY_DRIVES = (
        "TOO_MANY_DRIVES",
        "The evidence would not fit one session line; split the host over several orders in a later release.",
    )
    # steps of an execution
    ACK_TIMED_OUT = "ACK_TIMED_OUT", "Nothing irreversible was begun by this step; see why the controller was silent."
    ACK_EXPIRED = "ACK_EXPIRED", "The acknowledgement was older than 60 seconds; nothing was begun by it."
    JOURNAL_BROKEN = "JOURNAL_BROKEN", "The journal was changed after it was written; trust none of it."
    EXECUTION_INTERRUPTED = (
        "EXECUTION_INTERRUPTED",
        "The executing process ended early; what it left unseen is not_observed.",
    )
    COMMAND_TIMED_OUT = "COMMAND_TIMED_OUT", "The drive did not end in time; read its status before anything else."
    IDENTITY_CHANGED = "IDENTITY_CHANGED", "The drive answers as another one now; keep both in custody."
    MARKERS_FAILED = "MARKERS_FAILED", "Markers could not be written and read back; see the drive's health."
