"""What commands and `serve` say to each other over the socket, and what `--json` prints.

Rules: frozen, strict, closed; times in UTC with whole seconds; a reading that is not there is null, never a
default. Nothing here is signed. This module needs neither database nor web framework, so that a command that
only asks starts fast.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from certificate.identifiers import DeprovisionId, HostId
from certificate.statements.statement import Count, Digest, KeyId, Purpose, Sentence, UtcSeconds, Word
from certificate.statements.vocabulary import HostFactKind
from controller.records.names import AgentAddress as AgentAddress
from controller.records.names import AssetTag as AssetTag
from controller.records.names import ParameterName as ParameterName
from controller.spool import HintEvent, SubscriptionText

#: A name by which a file may be written into a folder: no path, not hidden.
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,150}$")]


class Document(BaseModel):
    """One question or answer."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    def to_json(self) -> str:
        """As `--json` prints it."""
        return self.model_dump_json(indent=1)


class HomeFounded(Document):
    """What `init` made. `fingerprint` is the trust root's, for paper; `operators` are keys' fingerprints."""

    home: str
    fingerprint: Digest
    origin: str
    purpose: Purpose
    operators: tuple[KeyId, KeyId]


class HintTold(Document):
    """Where a hint went."""

    event: HintEvent
    subscription: SubscriptionText
    to: Literal["serve", "spool"]


class HostFact(Document):
    """One sign of a host's identity."""

    kind: HostFactKind
    value: Sentence


class NewDrive(Document):
    """A drive that somebody declares to be in the host."""

    serial: Word
    model: Word
    capacity_bytes: Count | None
    #: The provider's own list, or an inventory before the host was let.
    basis: Literal["declared", "intake"]


class NewHost(Document):
    """A host as an operator enters it."""

    asset_tag: AssetTag
    site: Word
    rack: Word
    customer: Sentence | None
    data_class: Word
    disposition: Literal["rented", "unknown"]
    address: AgentAddress
    parameters: dict[ParameterName, Sentence]
    facts: tuple[HostFact, ...]
    drives: Annotated[tuple[NewDrive, ...], Field(max_length=200)]


class HostLine(Document):
    """One host on record."""

    host: HostId
    asset_tag: AssetTag
    site: Word
    rack: Word
    data_class: Word
    disposition: str
    address: str
    drive_count: Count


class HostList(Document):
    hosts: tuple[HostLine, ...]


class RefusalLine(Document):
    """A refusal in its three parts."""

    code: str
    reason: str
    remedy: str


class DeprovisionLine(Document):
    """One deprovision at a glance. `host` is the asset tag."""

    deprovision: DeprovisionId
    host: AssetTag
    state: str
    sentence: str
    trigger: str
    attempt: Count
    scheduled_at: UtcSeconds
    changed_at: UtcSeconds
    #: What it waits for, in words; null where nothing was decided yet or nothing follows.
    waits_for: str | None
    #: When it is looked at again without anybody asking.
    next_due_at: UtcSeconds | None
    #: When the present state gives up and a person is asked; a hold lets it wait for its review.
    deadline_at: UtcSeconds | None


class AlarmLine(Document):
    """Something that a person must hear of, and its remedy."""

    kind: str
    #: An id of ours, `stop 7`, the name of a source.
    about: str
    sentence: str
    code: str
    remedy: str
    #: Since when it is so.
    since: UtcSeconds
    age_seconds: Count
    #: When the [alarm] command called somebody; null before, and where none is configured.
    called_at: UtcSeconds | None


class Status(Document):
    """The controller, what alarms (the gravest first) and every deprovision, newest first."""

    release: str
    now: UtcSeconds
    is_frozen: bool
    ledger_seq: Count
    log_size: Count
    alarms: tuple[AlarmLine, ...]
    deprovisions: tuple[DeprovisionLine, ...]


class MediumLine(Document):
    """What became of one medium. `medium` is its commitment."""

    medium: Digest
    outcome: str
    result: str
    method: str
    technique: str
    grade: str
    is_logged: bool


class EventLine(Document):
    """One ledger event of a deprovision; the body holds digests, codes and numbers only."""

    seq: Count
    at: str
    kind: str
    body: dict[str, Any]


class ObservationLine(Document):
    """One question and its answer, as stored."""

    sequence: Count
    question: str
    answer: str | None
    asked_at: UtcSeconds
    answered_at: UtcSeconds | None
    answer_digest: Digest | None


class Ground(Document):
    """One answer that an order rests on, as the signed order has it, held against the stored row."""

    question: str
    #: What was asked about: an id of ours, or the name of a source.
    about: str
    word: str
    asked_at: UtcSeconds
    answered_at: UtcSeconds
    answer_digest: Digest
    sequence: Count
    #: What the row says otherwise; null where it says the same.
    mismatch: str | None


class SignedLine(Document):
    """A signed statement that stands behind an order or a command, by its payload's digest."""

    what: str
    digest: Digest
    keyid: KeyId
    #: Why the stored statement is not the one that the order names; null where it is.
    mismatch: str | None


class PolicyLine(Document):
    """The policy an order was made under. `text`: as configured, where the present file still is that one."""

    version: Count
    digest: Digest
    text: dict[str, Any] | None


class CommandLine(Document):
    """What operators commanded of the deprovision."""

    command: str
    attempt: Count
    at: UtcSeconds
    signed: tuple[SignedLine, ...]


class Why(Document):
    """What the newest order of a deprovision rests on. `basis` is the signed order's own."""

    order: str
    order_digest: Digest
    order_seq: Count | None
    plan_digest: Digest
    floor: str
    basis: dict[str, Any]
    #: Computed anew, from the order's bytes and from the plan inside them.
    order_digest_recomputed: Digest
    plan_digest_recomputed: Digest
    grounds: tuple[Ground, ...]
    #: The source's clock when it was last asked before the order; stored, but no part of the order.
    clock: ObservationLine | None
    policy: PolicyLine
    people: tuple[SignedLine, ...]
    commands: tuple[CommandLine, ...]


class Story(Document):
    """Everything that is known of one deprovision."""

    line: DeprovisionLine
    #: Why a person is needed; null outside `needs_operator`.
    needs: RefusalLine | None
    policy_version: Count
    policy_digest: Digest
    #: Of the present attempt; null before one was made.
    plan_digest: Digest | None
    media: tuple[MediumLine, ...]
    events: tuple[EventLine, ...]
    observations: tuple[ObservationLine, ...]
    #: Null while no order was made.
    why: Why | None


class CertificateFile(Document):
    """One file of a certificate, as text: every document of ours is ASCII JSON."""

    name: FileName
    content: str


class CertificateFiles(Document):
    #: Null where it was asked for by medium.
    deprovision: DeprovisionId | None
    files: tuple[CertificateFile, ...]


class LedgerPage(Document):
    """Lines of `ledger.jsonl`, in order. `next_seq` asks for what follows; null at the end."""

    lines: tuple[str, ...]
    next_seq: Count | None


class LedgerChecked(Document):
    """The chain was recomputed and every state equals what the ledger alone tells."""

    events: Count
    deprovisions: Count
    log_entries: Count
    checkpoints: Count
    head: Digest
