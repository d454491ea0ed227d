"""What the controller says instead of acting, and its codes.

    Refused                    a rule said no; nothing was done                              exit 3
    ├── NeedsApproval          the same act, with enough people behind it                    exit 4
    ├── LostRace               somebody moved first: load the facts, decide again            exit 3
    ├── AgentRefused           the agent of a host said no, with a code of its own           exit 3
    └── Unreachable            no connection came up, so nothing was sent: ask again         exit 1
    Unanswered                 something was sent and what became of it is not known         exit 1

`Refused` is certificate's. A class exists only where a caller catches it; otherwise the code is enough. Every
code stands under the heading of the module that raises it, once; a test holds that no two packages share one.
"""

from __future__ import annotations

from certificate.errors import RefusalCode, Refused


class NeedsApproval(Refused):
    """The act is allowed once enough people stand behind it."""


class LostRace(Refused):
    """A compare-and-set found another state or fence: somebody moved first. Load the facts, decide again."""

    def __init__(self, key: str, old: str, fence: int) -> None:
        self.key = key
        self.old = old
        self.fence = fence
        super().__init__(Code.LOST_RACE, f"{key} is no longer {old!r} under fence {fence}")


class AgentRefused(Refused):
    """The agent answered with a refusal; nothing was done. `agent_code` is its own code, as text."""

    def __init__(self, *, agent_code: str, reason: str, remedy: str) -> None:
        self.agent_code = agent_code
        super().__init__(Code.AGENT_REFUSED, f"{agent_code}: {reason}", remedy=remedy)


class Unreachable(Refused):
    """No connection came up: nothing was sent, and asking again is safe."""


class Unanswered(Exception):
    """Something was sent, or a command was run, and no valid answer came: what became of it is not known.

    Not a `Refused`, because a refusal promises that nothing was done. Whoever catches it asks (`status`, a
    read-back) before anything else, and never sends again on its own.
    """

    def __init__(self, code: RefusalCode, reason: str) -> None:
        self.code = code
        self.reason = reason
        self.remedy = code.remedy
        super().__init__(f"{code.value}: {reason} ({code.remedy})")

    def as_dict(self) -> dict[str, str]:
        """The three parts under the names a refusal gives them."""
        return {"code": self.code.value, "reason": self.reason, "remedy": self.remedy}


class Code(RefusalCode):
    """The codes of `controller`."""

    # any change of state (store, advance)
    # lifecycle, advance
    PERSON_MUST_DECIDE = "PERSON_MUST_DECIDE", "See expunge show for what is known; only a command leads on."
    # verdicts, act validate
    VALIDATION_AWAITED = "VALIDATION_AWAITED", "An operator who is not involved decides: expunge validate."
    VALIDATION_REJECTED = "VALIDATION_REJECTED", "Nobody can accept it now: retry, or take the medium out."
    DRIVE_LEFT_BEFORE = "DRIVE_LEFT_BEFORE", "See expunge media list; two operators may import it as a file."
    TABLE_REJECTS = "TABLE_REJECTS", "Nobody accepts it under this table: retry, or take the medium out."
    VALIDATION_NOT_DUE = "VALIDATION_NOT_DUE", "See expunge attention for what waits for a person."
    VALIDATOR_INVOLVED = "VALIDATOR_INVOLVED", "Let an operator decide who has no part in this erasure."
    # exits
    EXIT_TOO_EARLY = (
        "EXIT_TOO_EARLY",
        "Wait a little more than a minute: the agent's last permission dies by itself.",
    )
    EXIT_NOT_OPEN = "EXIT_NOT_OPEN", "See expunge show for what became of the order; another way out is open."
    DOCUMENT_MISSING = (
        "DOCUMENT_MISSING",
        "Give the destruction record with --document: both people name the same file.",
    )
    LOST_RACE = "LOST_RACE", "Nothing to repair: the other worker's move stands; look again."
    # guards: has the customer left
    TENANCY_NONE_KNOWN = (
        "TENANCY_NONE_KNOWN",
        "Ask the source for the host's tenancies; a host without one is wiped by hand only.",
    )
    TENANCY_REMAINS = (
        "TENANCY_REMAINS",
        "Wait for the source, or let the deprovision be cancelled; nobody can overrule a live tenancy.",
    )
    TENANCY_UNKNOWN = (
        "TENANCY_UNKNOWN",
        "See why the source gives no fresh answer (heartbeat, connection, credentials); silence is no end.",
    )
    TENANCY_LIST_UNKNOWN = (
        "TENANCY_LIST_UNKNOWN",
        "See why the source gives no complete, fresh list of the host's tenancies.",
    )
    TENANCY_LIST_DIFFERS = (
        "TENANCY_LIST_DIFFERS",
        "Compare the host's tenancies here and at the source; import what is missing.",
    )
    DEPROVISION_ELSEWHERE = (
        "DEPROVISION_ELSEWHERE",
        "Another order for this host is live; finish or close it first.",
    )
    DISPOSITION_REFUSES = (
        "DISPOSITION_REFUSES",
        "Only a rented host is wiped because a tenancy ended; two operators declare a disposition.",
    )
    DISPOSITION_UNDECLARED = (
        "DISPOSITION_UNDECLARED",
        "Two operators declare the host stock or internal (expunge hosts declare), over an empty list.",
    )
    INTAKE_CLOSED = (
        "INTAKE_CLOSED",
        "Compare the source's endings with what you expect; two operators then lift the breaker (thaw).",
    )
    CUSTOMER_CAME_BACK = (
        "CUSTOMER_CAME_BACK",
        "Let it be cancelled, or restore it; an ending after that has a deprovision and a grace of its own.",
    )
    CALLED_BACK = "CALLED_BACK", "Nothing to repair: the host is on its way back to its customer."
    TIME_UNTRUSTED = (
        "TIME_UNTRUSTED",
        "Correct the controller's clock (NTP) or the source's; nothing irreversible starts meanwhile.",
    )
    # guards: is it the right machine, out of the customer's reach
    HOST_NOT_ISOLATED = (
        "HOST_NOT_ISOLATED",
        "See the quarantine driver's read-back: tenant side cut and our side reachable, both seen.",
    )
    BOOT_UNPROVEN = (
        "BOOT_UNPROVEN",
        "Start the erase environment again; its answer must prove the secret of this boot.",
    )
    INVENTORY_MISSING = "INVENTORY_MISSING", "Let the agent of this boot list the host's drives."
    IDENTITY_UNPROVEN = (
        "IDENTITY_UNPROVEN",
        "Record more facts of the host (BMC MAC, serials, DMI UUID ...): at least three must agree.",
    )
    IDENTITY_CONTRADICTED = (
        "IDENTITY_CONTRADICTED",
        "This may be another machine: compare serials and cabling on the spot before anything else.",
    )
    DRIVES_DIFFER = (
        "DRIVES_DIFFER",
        "Compare the drives in the host with the expected ones and record a swap, never ignore it. A drive "
        "that is dead or gone is taken out, then off the record (expunge media out HOST SERIAL).",
    )
    DRIVES_UNKNOWN = (
        "DRIVES_UNKNOWN",
        "Nobody recorded this host's drives: two operators look at the inspection's list and accept it "
        "(expunge hosts drive accept), or the provider's own list is imported.",
    )
    DRIVE_ON_TWO_HOSTS = (
        "DRIVE_ON_TWO_HOSTS",
        "Find out on the spot where the drive is; two operators take it off the other host's record "
        "(expunge media out HOST SERIAL). Nothing is wiped until then.",
    )
    DRIVES_REFUSED = (
        "DRIVES_REFUSED",
        "See each drive's own refusal; take it out and into custody (expunge media out HOST SERIAL), or "
        "lower the floor.",
    )
    PLAN_MISSING = "PLAN_MISSING", "Make a plan from this boot's inventory."
    PLAN_OF_ANOTHER_BOOT = (
        "PLAN_OF_ANOTHER_BOOT",
        "The machine was restarted: plan again, and collect approvals again.",
    )
    # guards: may we
    NO_VALIDATION_RULE = (
        "NO_VALIDATION_RULE",
        "Add a rule for this class of data to the validation table and sign it with the root key.",
    )
    # the validation table and its versions
    TABLE_NOT_KEPT = "TABLE_NOT_KEPT", "Put validation.N.dsse.json back (bundles hold it), restart, retry."
    TABLE_ROLLED_BACK = "TABLE_ROLLED_BACK", "Put the newest table back, or sign the next one over it."
    TABLE_SUPERSEDED = "TABLE_SUPERSEDED", "Put the newest signed tables into this home; start serve again."
    TABLE_VERSION_WRONG = "TABLE_VERSION_WRONG", "Draft the table in force anew (expunge policy draft FILE)."
    DRAFT_INVALID = "DRAFT_INVALID", "Correct the place that is named; expunge policy draft shows the form."
    DRAFT_EXISTS = "DRAFT_EXISTS", "Name another file, or move this one aside; no draft is written over."
    TABLE_INVALID = "TABLE_INVALID", "Put the signed tables of this home back under their own names."
    APPROVALS_REQUIRED = (
        "APPROVALS_REQUIRED",
        "Collect approvals of this plan digest from distinct operators who did not request it.",
    )
    AGENT_SILENT = (
        "AGENT_SILENT",
        "Look at the host's console and provisioning network; the agent must answer just before an order.",
    )
    ORDER_MISSING = "ORDER_MISSING", "Nothing to repair: an order is made before it is sent."
    ORDER_NOT_LOGGED = "ORDER_NOT_LOGGED", "Wait for a checkpoint that covers the order's log entry."
    ORDER_SPENT = (
        "ORDER_SPENT",
        "An order is sent once; the agent is asked how far it is, and a person decides on a new attempt.",
    )
    ORDER_STALE = "ORDER_STALE", "Nothing to repair: the order is withdrawn and made anew."
    FROZEN = "FROZEN", "See who froze and why; two operators thaw."
    HELD = "HELD", "See the hold's matter and author; two operators release it."
    LIMIT_REACHED = "LIMIT_REACHED", "Wait for the window to pass, or have two operators approve."
    STORE_NOT_CURRENT = (
        "STORE_NOT_CURRENT",
        "The database and its copy outside disagree: two operators reconcile before anything is wiped.",
    )
    NOTICES_OPEN = "NOTICES_OPEN", "Deliver the notice, or record a waiver."
    # people: who decides, over what
    ACT_UNKNOWN = "ACT_UNKNOWN", "Use one release on both sides; this controller takes no such decision."
    NOT_AN_OPERATOR = (
        "NOT_AN_OPERATOR",
        "Sign with the key of an operator who counts now: expunge operators list shows each.",
    )
    OPERATOR_KEY_MISSING = (
        "OPERATOR_KEY_MISSING",
        "Name your private key file, or its .pub while ssh-agent holds it: --key or EXPUNGE_OPERATOR_KEY.",
    )
    OPERATOR_KNOWN = "OPERATOR_KNOWN", "Nothing to repair: this key is enrolled; see expunge operators list."
    OPERATOR_REVOKED = (
        "OPERATOR_REVOKED",
        "A revoked key never comes back: make a new key and have two operators enrol it.",
    )
    ROSTER_FULL = (
        "ROSTER_FULL",
        "A delivery carries no more enrolments: issue a new trust root with the operators you have now.",
    )
    INERT_TOO_SHORT = (
        "INERT_TOO_SHORT",
        "Sign again with this release: a newcomer counts only after people.approver_inert.",
    )
    DECISION_MISMATCH = (
        "DECISION_MISMATCH",
        "What was signed is not what was asked about; read the matter again and sign that.",
    )
    DECISION_STALE = (
        "DECISION_STALE",
        "Sign again: a decision is taken within 24 hours of its signing, and not before it.",
    )
    DECISION_SPENT = "DECISION_SPENT", "Nothing to repair: this decision was carried out; it counts once."
    MATTER_CHANGED = (
        "MATTER_CHANGED",
        "What you signed over is no longer so: read the matter again, and sign again if you still agree.",
    )
    CONFIRMATION_MISSING = (
        "CONFIRMATION_MISSING",
        "Type the words at a terminal, or give the same words with --confirm.",
    )
    CONFIRMATION_WRONG = (
        "CONFIRMATION_WRONG",
        "Read the asset tag and a serial or MAC off the machine itself; this may be another machine.",
    )
    SELF_APPROVAL = "SELF_APPROVAL", "Have another operator approve: who requests does not approve."
    PLAN_NOT_PRESENT = (
        "PLAN_NOT_PRESENT",
        "See expunge show for the present plan's digest; a changed plan is another plan.",
    )
    APPROVAL_INVALID = (
        "APPROVAL_INVALID",
        "Sign again with this release: an approval lives at most 24 hours and names exactly one plan.",
    )
    APPROVAL_REPEATED = "APPROVAL_REPEATED", "You said yes or asked already; another operator is the next."
    REASON_NAMES_SOMEBODY = "REASON_NAMES_SOMEBODY", "Say why without it: strangers read it in certificates."
    REQUEST_MISSING = (
        "REQUEST_MISSING",
        "A wipe by hand is requested by one operator (expunge wipe --request) and approved by another.",
    )
    SCOPE_COVERS_NOTHING = (
        "SCOPE_COVERS_NOTHING",
        "Check the spelling: host=TAG, site=S, rack=R, customer=NAME or everything must cover a host.",
    )
    REVIEW_INVALID = "REVIEW_INVALID", "Name a review within a year, such as --review P30D."
    STOP_NOT_STANDING = (
        "STOP_NOT_STANDING",
        "See expunge holds list for the number: holds are released, freezes and breakers thawed.",
    )
    NOTICE_NOT_OPEN = "NOTICE_NOT_OPEN", "See expunge notices list: what was delivered needs no waiver."
    # alarms
    CUSTOMER_RETURNED = (
        "CUSTOMER_RETURNED",
        "Call the customer now: the erasure had begun. Nothing more is started; expunge show says how far.",
    )
    WAITS_TOO_LONG = (
        "WAITS_TOO_LONG",
        "See expunge show for what it waits for; at its deadline a person is asked, and nothing is wiped.",
    )
    # lifecycle: acknowledgements
    NOT_ERASING = (
        "NOT_ERASING",
        "An acknowledgement is given only while the deprovision is erasing; ask the agent for its status.",
    )
    NOT_THIS_ORDER = (
        "NOT_THIS_ORDER",
        "The journal names another token, boot or step than the order dispatched; stop and look.",
    )
    # home, configuration, keyring
    HOME_MISSING = "HOME_MISSING", "Run expunge init, or name the right folder with --home."
    HOME_EXISTS = "HOME_EXISTS", "Use another folder; what init made is never written over."
    HOME_IN_USE = "HOME_IN_USE", "Ask the running serve, or stop it first."
    CONFIGURATION_INVALID = "CONFIGURATION_INVALID", "Correct the named place in expunge.toml."
    PASSPHRASE_MISSING = (
        "PASSPHRASE_MISSING",
        "Give the passphrase by systemd credential expunge-passphrase, --passphrase-fd N or at a terminal.",
    )
    OPERATORS_NOT_TWO = (
        "OPERATORS_NOT_TWO",
        "Name the public key files of two different operators with --operator; each keeps the private half.",
    )
    # commands and the socket of serve
    SERVE_UNREACHABLE = "SERVE_UNREACHABLE", "Start expunge serve for this home and see its log."
    SERVE_DISAGREES = (
        "SERVE_DISAGREES",
        "The command and the running serve are of different releases; restart serve.",
    )
    CERTIFICATE_NOT_READY = (
        "CERTIFICATE_NOT_READY",
        "See expunge show: a certificate exists once a medium is erased, validated, signed and logged.",
    )
    FILE_DIFFERS = "FILE_DIFFERS", "Write into another folder (--out): the file that is there is kept."
    HINT_INVALID = "HINT_INVALID", "Name an event (ended or renewed) and the source's own subscription id."
    # channels: carrying lines to an agent
    HOST_UNREACHABLE = (
        "HOST_UNREACHABLE",
        "See that the host is up and that the provisioning network reaches its SSH port.",
    )
    HOST_KEY_CHANGED = (
        "HOST_KEY_CHANGED",
        "Another machine or another boot answers there: stage the host again, never accept the key by hand.",
    )
    LOGIN_REFUSED = (
        "LOGIN_REFUSED",
        "The host does not admit the controller's SSH key: compare the boot configuration's keys.",
    )
    SSH_IDENTITY_MISSING = (
        "SSH_IDENTITY_MISSING",
        "Start ssh-agent, set SSH_AUTH_SOCK and add the Ed25519 key with this fingerprint.",
    )
    AGENT_REFUSED = "AGENT_REFUSED", "See the agent's own code and remedy; nothing was done."
    ANSWER_MISSING = (
        "ANSWER_MISSING",
        "Ask the agent for its status; never send the order again because an answer is missing.",
    )
    ANSWER_INVALID = (
        "ANSWER_INVALID",
        "Treat it as no answer and ask for the status; the agent's release may differ, or it is no agent.",
    )
    # commands that the provider configures (quarantine, boot)
    TEMPLATE_INVALID = (
        "TEMPLATE_INVALID",
        "Write the command as a list of arguments with plain {name} placeholders, the program's name fixed.",
    )
    PLACEHOLDER_UNKNOWN = (
        "PLACEHOLDER_UNKNOWN",
        "Give the host's record the parameter that the command names, or correct the command.",
    )
    PARAMETER_INVALID = (
        "PARAMETER_INVALID",
        "Correct the parameter in the host's record: printable text that does not begin with a dash.",
    )
    COMMAND_FAILED = (
        "COMMAND_FAILED",
        "See the command's own message, run it by hand, and let the read-back decide what is so.",
    )
    # boot: is this the agent that we started
    BOOT_ANSWER_MALFORMED = (
        "BOOT_ANSWER_MALFORMED",
        "A field of hello is not what its format says; use one release on both sides.",
    )
    BOOT_ID_MISMATCH = (
        "BOOT_ID_MISMATCH",
        "The boot's name is not the hash of its key: this is not our agent. Start the host again.",
    )
    BOOT_HOST_KEY_MISMATCH = (
        "BOOT_HOST_KEY_MISMATCH",
        "Somebody stands between us and the agent, or relays it: look at the provisioning network.",
    )
    BOOT_CONFIGURATION_MISMATCH = (
        "BOOT_CONFIGURATION_MISMATCH",
        "The agent was started with another configuration: start the host again.",
    )
    BOOT_PROOF_INVALID = (
        "BOOT_PROOF_INVALID",
        "The agent does not hold this boot's secret: another system answers. Start the host again.",
    )
    # the webhook
    WEBHOOK_SIGNATURE_INVALID = (
        "WEBHOOK_SIGNATURE_INVALID",
        "Compare the secret on both sides, and the sender's clock (five minutes at most).",
    )
    WEBHOOK_TOO_LARGE = "WEBHOOK_TOO_LARGE", "Send the event's type and the subscription only."
    WEBHOOK_MALFORMED = (
        "WEBHOOK_MALFORMED",
        'Send {"type": "subscription.ended", "data": {"subscription": "..."}} with a webhook-id.',
    )
    # store: the database, its ledger and the copy outside
    STORE_MISSING = "STORE_MISSING", "Run expunge init; a lost database is restored, then reconciled."
    STORE_EXISTS = "STORE_EXISTS", "Use another folder; a database is never made over an old one."
    STORE_FOREIGN = (
        "STORE_FOREIGN",
        "Use the release that made this database, or upgrade it by hand; serve never migrates by itself.",
    )
    STORE_READ_ONLY = "STORE_READ_ONLY", "Only serve, init and reconcile write; ask the running serve."
    NOT_IN_STORE = "NOT_IN_STORE", "Look the id up with expunge status; ids are never guessed or shortened."
    ALREADY_STORED = (
        "ALREADY_STORED",
        "See what is stored under this name; a different second version is never written over it.",
    )
    DEPROVISION_IS_LIVE = "DEPROVISION_IS_LIVE", "The host is leaving a tenancy: look at that deprovision."
    ANCHOR_INVALID = (
        "ANCHOR_INVALID",
        "The copy outside the database is damaged: two operators reconcile before anything is wiped.",
    )
    RECONCILE_NOT_NEEDED = (
        "RECONCILE_NOT_NEEDED",
        "Start serve: the store is the one its anchor knows, and there is nothing to reconcile.",
    )
    RECONCILE_ANOTHER_STORE = (
        "RECONCILE_ANOTHER_STORE",
        "Correct the anchor's path in expunge.toml, or move the file aside for the store it belongs to.",
    )
    RECONCILE_LOG_BEHIND = (
        "RECONCILE_LOG_BEHIND",
        "Restore a newer backup: strangers hold proofs from entries that this store has lost.",
    )
    RECONCILE_TOO_EARLY = (
        "RECONCILE_TOO_EARLY",
        "Wait until the instant that is named, then sign again; no agent obeys an older order after it.",
    )
    LEDGER_BROKEN = (
        "LEDGER_BROKEN",
        "The ledger was altered outside the controller: stop serve, keep the file, restore and reconcile.",
    )
    LEDGER_TEXT_REFUSED = (
        "LEDGER_TEXT_REFUSED",
        "The ledger holds ids, digests, codes and numbers; put text for people in the private tables.",
    )
    JOURNAL_GAP = "JOURNAL_GAP", "Ask the agent for its journal from the first missing line on."
    JOURNAL_FORKED = (
        "JOURNAL_FORKED",
        "The agent sent another line under the same number: keep both, trust neither, look at the host.",
    )
    CHECKPOINT_DIFFERS = (
        "CHECKPOINT_DIFFERS",
        "Sign the size and root that the log has now; nothing was published.",
    )
    PRIVATE_SHREDDED = "PRIVATE_SHREDDED", "The subject's key was destroyed; the text cannot come back."
    PRIVATE_UNREADABLE = (
        "PRIVATE_UNREADABLE",
        "The master key is not the one this text was written under; see the keys of this home.",
    )
    # host records: imports, sightings, drives that come and go
    IMPORT_INVALID = "IMPORT_INVALID", "Correct the named line and column of the file; nothing was applied."
    IMPORT_CHANGED = (
        "IMPORT_CHANGED",
        "File or record is no longer what the difference was made of: read it again without --apply.",
    )
    HOST_IS_LEAVING = (
        "HOST_IS_LEAVING",
        "A live deprovision rests on this part of the host's record: leave it until that is over.",
    )
    HOST_IS_HELD = (
        "HOST_IS_HELD",
        "Holds go by where and whose a host is: two operators release the hold first, or leave that part.",
    )
    IMPORT_EMPTY = "IMPORT_EMPTY", "The file says what is on record already; there is nothing to sign."
    FACT_CONTRADICTED = (
        "FACT_CONTRADICTED",
        "The machine itself said otherwise in a trusted boot: look at it, and correct the wrong side.",
    )
    FACT_SHARED = (
        "FACT_SHARED",
        "Two hosts claim this value, so it identifies neither: read the labels on both machines.",
    )
    HOST_NEVER_SEEN = (
        "HOST_NEVER_SEEN",
        "Nothing to repair: no boot of ours has read this host yet, so its record is the provider's word.",
    )
    DRIVE_IN_ORDER = (
        "DRIVE_IN_ORDER",
        "An order for this host may still act: wait until the agent has answered, or let a person end it.",
    )
    MEDIUM_NOT_IN_REGISTER = (
        "MEDIUM_NOT_IN_REGISTER",
        "Name one medium as `expunge media list` prints it; a drive leaves first, by `expunge media out`.",
    )
    MEDIUM_STANDS_IN_HOST = (
        "MEDIUM_STANDS_IN_HOST",
        "Look into that host. If it is this drive, put it on record, erase it there, or let it leave again.",
    )
    DRIVE_NOT_IN_HOST = (
        "DRIVE_NOT_IN_HOST",
        "See expunge hosts gaps and the register (expunge media list) for the drives of this host.",
    )
    DRIVES_KNOWN = "DRIVES_KNOWN", "Nothing to accept: every drive of the newest inspection is on record."
