"""What this project says instead of acting, and the codes of the shared documents.

    Refused                    a rule said no; nothing was done                                     exit 3
    ├── Malformed              bytes that are not the document they claim to be
    └── Untrusted              well-formed, but no trusted key, log or policy stands behind it

Every refusal has a code, a reason and a remedy. A code is declared once, with its standing remedy, as a
member of a `RefusalCode`; each package has its own enumeration and a test holds that no two share a value and
that docs/errors.md lists them all. The reason says what was wrong in this case; it never repeats a secret.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class RefusalCode(StrEnum):
    """A code that cannot be declared without its remedy: the next step for whoever reads it alone."""

    remedy: str

    def __new__(cls, value: str, remedy: str) -> Self:
        member = str.__new__(cls, value)
        member._value_, member.remedy = value, remedy
        return member


class Refused(Exception):
    """A rule said no, nothing was done. `code` is stable, `reason` is this case, `remedy` the next step."""

    def __init__(self, code: RefusalCode, reason: str, *, remedy: str | None = None) -> None:
        self.code = code
        self.reason = reason
        self.remedy = remedy if remedy is not None else code.remedy
        super().__init__(f"{code.value}: {reason} ({self.remedy})")

    def as_dict(self) -> dict[str, str]:
        """The three parts under their names, as `--json` prints them and session lines carry them."""
        return {"code": self.code.value, "reason": self.reason, "remedy": self.remedy}


class Malformed(Refused):
    """The bytes are not the document they claim to be."""


class Untrusted(Refused):
    """Well-formed, but no trusted key, log entry or policy stands behind it."""


class Code(RefusalCode):
    """The codes of `certificate`. Names of the verifier follow certificates.md, section 12."""

    # reading what strangers send
    MALFORMED = "MALFORMED", "Ask the sender for the original file; do not repair it by hand."
    DUPLICATE_KEY = "DUPLICATE_KEY", "A JSON object names a key twice; ask for the original file."
    NOT_A_NUMBER = "NOT_A_NUMBER", "The formats know whole numbers only; ask for the original file."
    TRAILING_BYTES = "TRAILING_BYTES", "Something follows the document; ask for the original file."
    BASE64_INVALID = "BASE64_INVALID", "A base64 field was altered or cut; ask for the original file."
    LIMIT_EXCEEDED = (
        "LIMIT_EXCEEDED",
        "The document is larger than any real one; do not raise the limit for it.",
    )
    TOO_DEEP = "TOO_DEEP", "The document nests deeper than any real one; ask for the original file."
    UNKNOWN_FIELD = (
        "UNKNOWN_FIELD",
        "A field is not in the format; use a release that knows it, or refuse the file.",
    )
    UNSUPPORTED = "UNSUPPORTED", "Use a release of expunge that knows this version or algorithm."
    # signatures and trust
    SIGNATURE_INVALID = (
        "SIGNATURE_INVALID",
        "The document was changed after signing or signed by another key.",
    )
    SIGNATURE_COUNT = (
        "SIGNATURE_COUNT",
        "An envelope carries exactly one signature; ask for the original file.",
    )
    KEY_INVALID = "KEY_INVALID", "Generate a fresh Ed25519 key; this one is not safe to trust."
    KEY_UNREADABLE = (
        "KEY_UNREADABLE",
        "Check the key file and its passphrase; ssh-keygen -y -f FILE must read it.",
    )
    KEY_UNTRUSTED = (
        "KEY_UNTRUSTED",
        "Compare the trust root's fingerprint with the one you were given on paper.",
    )
    KEY_REVOKED_AT_INDEX = (
        "KEY_REVOKED_AT_INDEX",
        "The key was withdrawn before this entry; ask the provider.",
    )
    TRUST_ROOT_INVALID = (
        "TRUST_ROOT_INVALID",
        "Obtain the provider's trust root again and compare fingerprints.",
    )
    TYPE_MISMATCH = "TYPE_MISMATCH", "The document is of another kind than the one expected here."
    SUBJECT_MISMATCH = (
        "SUBJECT_MISMATCH",
        "The document speaks of another file, order or medium than the one beside it.",
    )
    PURPOSE_MISMATCH = (
        "PURPOSE_MISMATCH",
        "Production and demonstration documents never vouch for each other.",
    )
    # the log
    NOT_LOGGED = "NOT_LOGGED", "Ask the provider for a bundle with the inclusion proof."
    ENTRY_INVALID = "ENTRY_INVALID", "The log entry does not follow the grammar; ask for the original file."
    PROOF_INVALID = (
        "PROOF_INVALID",
        "The proof does not lead to the checkpoint; treat the document as not logged.",
    )
    CHECKPOINT_INVALID = (
        "CHECKPOINT_INVALID",
        "The checkpoint is not the trusted log's; compare the trust root.",
    )
    SPLIT_VIEW = (
        "SPLIT_VIEW",
        "The log signed two stories; keep these files, which prove it, and rely on none of them.",
    )
    TIME_BRACKET_VIOLATED = (
        "TIME_BRACKET_VIOLATED",
        "Signed times contradict the order of the log; ask the provider what its clock did.",
    )
    # may an order be obeyed (delivery)
    ORDER_EXPIRED = "ORDER_EXPIRED", "Ask the controller for a new order; this one cannot be revived."
    ORDER_FOR_ANOTHER_BOOT = (
        "ORDER_FOR_ANOTHER_BOOT",
        "The machine was restarted; the controller must plan again.",
    )
    PLAN_MISMATCH = "PLAN_MISMATCH", "Plan again: what was approved is not what was ordered."
    ESCROW_MISMATCH = (
        "ESCROW_MISMATCH",
        "Make a new order: what it says of copies of keys is not what the signed table says.",
    )
    APPROVALS_MISSING = "APPROVALS_MISSING", "Collect the approvals that the validation table requires."
    BASIS_INSUFFICIENT = (
        "BASIS_INSUFFICIENT",
        "Ask the sources again and make a new order; this one does not say why the customer is gone.",
    )
    DECISIONS_MISSING = (
        "DECISIONS_MISSING",
        "Let two operators declare this host's disposition, then make a new order.",
    )
    SELECTION_DIFFERS = (
        "SELECTION_DIFFERS",
        "Run the inventory and plan again; the drives answer differently now.",
    )
    TECHNIQUE_UNAVAILABLE = (
        "TECHNIQUE_UNAVAILABLE",
        "No technique of this drive reaches the floor; see media custody.",
    )
    # what a verifier insists on
    NOT_A_PHYSICAL_DEVICE = (
        "NOT_A_PHYSICAL_DEVICE",
        "Emulated media prove nothing; a policy may accept them by name.",
    )
    DEMONSTRATION = (
        "DEMONSTRATION",
        "Signed by a demonstration trust root; accept it only with its own policy.",
    )
    EVIDENCE_MISMATCH = "EVIDENCE_MISMATCH", "The evidence does not support the claim; do not rely on it."
    INCOMPLETE_SET = (
        "INCOMPLETE_SET",
        "A document that the certificate names is absent; ask for the whole bundle.",
    )
    ATTESTATION_MISSING = (
        "ATTESTATION_MISSING",
        "Two enrolled operators have to sign that a medium left or was destroyed; ask the provider for both.",
    )
    SUPERSEDED = "SUPERSEDED", "A later attempt on the host has its own outcome; ask for that bundle."
    NOT_ERASED = "NOT_ERASED", "The record says the medium was not erased; keep it in custody."
    INCONCLUSIVE = "INCONCLUSIVE", "The record does not say the medium was erased; keep it in custody."
    POLICY_UNMET = "POLICY_UNMET", "The certificate is genuine but weaker than the policy asks."
    POLICY_INVALID = "POLICY_INVALID", "Correct the policy file; docs/verify-by-hand.md shows one."
    ANNEX_MISMATCH = "ANNEX_MISMATCH", "The annex is not the one the evidence names; ask for the right file."
    # session lines
    LINE_INVALID = (
        "LINE_INVALID",
        "Controller and agent disagree about a session line; use one release on both sides.",
    )
    # the command
    FILE_UNREADABLE = "FILE_UNREADABLE", "Check the path and permissions."
    EXTRA_MISSING = "EXTRA_MISSING", "Install the named extra."
