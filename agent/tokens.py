"""Tokens: what became of each order this boot was given, in a folder of its own.

Rules: a token is good once; its record is durable before anything is executed; a poisoned token never begins
again, and the poison is durable before the absence that promises it is signed; whether an irreversible step
may have begun is read from files alone (an acknowledgement that stands, or a `sent` line), and in doubt it
may have; an acknowledgement is for one token, step, line and boot.

An approval is good for one order too: whoever said yes said it once. It is spent with the token that was
accepted on it, and free again only when that token is poisoned, because then nothing was begun.

A token is poisoned, or it has an acknowledgement or evidence: never both. Whoever writes one of the three
looks for the others and writes within one `RunDirectory.settling`, so the first durable write decides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from agent import durable, journal
from agent.errors import Code
from agent.journal import Journal, Kind
from agent.run_directory import RunDirectory, read_record
from certificate import messages
from certificate.errors import Refused
from certificate.messages import Ack, Execute, JournalLine, Line, TokenState

_TOKEN = re.compile(r"[0-9a-f]{32}")
#: Lines that tell of something irreversible.
_BEGUN = (Kind.LAYER_ENDED, Kind.MARKED, Kind.SENT)


@dataclass(frozen=True, kw_only=True)
class TokenRecord(Line):
    """What the order said when it was accepted. Times in milliseconds of CLOCK_BOOTTIME."""

    name = "token_record"
    token: str
    order: str
    order_digest: str
    fence: int
    boot_id: str
    hello_nonce: str
    hello_at_ms: int
    accepted_at_ms: int
    valid_for_s: int
    #: Payload digests of the requests and approvals that the order rests on.
    approvals: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PoisonRecord(Line):
    """This token never begins again. `order`: its id, or not_applicable where it was never received."""

    name = "poison_record"
    token: str
    order: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class AckRecord(Line):
    """An acknowledgement as it was received; `at_ms` by CLOCK_BOOTTIME."""

    name = "ack_record"
    token: str
    boot_id: str
    seq: int
    step: str
    at_ms: int


@dataclass(frozen=True)
class TokenFolder:
    """The files of one token."""

    path: Path

    @property
    def token(self) -> str:
        return self.path.name

    @property
    def record_file(self) -> Path:
        return self.path / "record.json"

    @property
    def request_file(self) -> Path:
        """The accepted request, salts included: for the agent's own user only, and never sent anywhere."""
        return self.path / "request.json"

    @property
    def marker_nonce_file(self) -> Path:
        return self.path / "marker_nonce"

    @property
    def journal_file(self) -> Path:
        return self.path / "journal.jsonl"

    @property
    def log_file(self) -> Path:
        return self.path / "execute.log"

    @property
    def poison_file(self) -> Path:
        return self.path / "poison.json"

    @property
    def absence_file(self) -> Path:
        return self.path / "absence.dsse.json"

    def ack_file(self, seq: int) -> Path:
        return self.path / f"ack-{seq}.json"

    def record(self) -> TokenRecord | None:
        return read_record(self.record_file, TokenRecord)

    def poison(self) -> PoisonRecord | None:
        return read_record(self.poison_file, PoisonRecord)

    def ack(self, seq: int) -> AckRecord | None:
        return read_record(self.ack_file(seq), AckRecord)

    def journal(self) -> Journal:
        """Raises Refused(JOURNAL_BROKEN)."""
        return journal.read(self.journal_file)

    def request(self) -> Execute:
        """The accepted request. Raises Refused(RUN_DIRECTORY_BROKEN)."""
        try:
            request = messages.read_request(self.request_file.read_bytes())
        except (OSError, Refused) as error:
            raise Refused(
                Code.RUN_DIRECTORY_BROKEN, f"the accepted request cannot be read: {error}"
            ) from None
        if not isinstance(request, Execute):
            raise Refused(Code.RUN_DIRECTORY_BROKEN, "the accepted request is of another kind")
        return request

    def begin(self, record: TokenRecord, request: Execute, *, marker_nonce: bytes) -> None:
        """The token is spent when this returns. The record comes last: without it nothing was accepted."""
        durable.make_folder(self.path)
        durable.write_whole(self.request_file, request.write())
        durable.write_whole(self.marker_nonce_file, marker_nonce)
        durable.write_whole(self.record_file, record.write())

    def put_poison(self, poison: PoisonRecord) -> None:
        durable.make_folder(self.path)
        durable.write_whole(self.poison_file, poison.write())

    def put_ack(self, ack: Ack, *, at_ms: int) -> None:
        """Stores the first acknowledgement of a line; a second one changes nothing, so it renews no life."""
        if self.ack(ack.seq) is None:
            record = AckRecord(token=ack.token, boot_id=ack.boot_id, seq=ack.seq, step=ack.step, at_ms=at_ms)
            durable.write_whole(self.ack_file(ack.seq), record.write())

    def is_acknowledged(self, line: JournalLine) -> bool:
        """Whether an acknowledgement stands for exactly this line and its step."""
        ack = self.ack(line.seq)
        return ack is not None and (ack.token, ack.step) == (line.token, line.step)

    def state(self, *, is_executing: bool, lines: Journal | None = None) -> TokenState:
        """What became of this token. `is_executing`: the execution lock is held. `lines`: the journal, read
        after that was seen; read now when it is not given.

        Asked in this order: finally absent or never accepted is absent; evidence is done; a held lock is
        running; and of an execution that is gone, unknown unless nothing irreversible can have begun. A
        poison alone is no answer: its execution may still be on its way to see it.
        """
        if self.absence_file.exists() or self.record() is None:
            return TokenState.ABSENT
        found = self.journal() if lines is None else lines
        if found.has_evidence:
            return TokenState.DONE
        if is_executing:
            return TokenState.RUNNING
        return TokenState.UNKNOWN if self.may_have_begun(found) else TokenState.ABSENT

    def may_have_begun(self, lines: Journal) -> bool:
        """Whether an irreversible step may have begun: one was acknowledged, or a command was sent."""
        waiting = (line for line in lines.lines if line.needs_ack)
        acknowledged = any(self.ack_file(line.seq).exists() for line in waiting)
        return acknowledged or any(line.kind in _BEGUN for line in lines.lines)


def folder(run: RunDirectory, token: str) -> TokenFolder:
    """The folder of `token`, which need not exist. Raises Refused(TOKEN_UNKNOWN) for what is no token."""
    if not _TOKEN.fullmatch(token):
        raise Refused(Code.TOKEN_UNKNOWN, "a token is 32 lower-case hexadecimal digits")
    return TokenFolder(run.tokens_folder / token)


def all_folders(run: RunDirectory) -> tuple[TokenFolder, ...]:
    """Every token this boot has a folder for."""
    if not run.tokens_folder.is_dir():
        return ()
    return tuple(
        TokenFolder(path) for path in sorted(run.tokens_folder.iterdir()) if _TOKEN.fullmatch(path.name)
    )


def unsettled(run: RunDirectory) -> TokenFolder | None:
    """A token that was accepted and has neither evidence nor a final absence; at most one, since it bars the
    next. The execution lock, when it is held, is therefore held for this one.
    """
    for candidate in all_folders(run):
        if candidate.record() is None or candidate.absence_file.exists():
            continue
        if not candidate.journal().has_evidence:
            return candidate
    return None


def spent_approvals(run: RunDirectory, *, besides: str) -> frozenset[str]:
    """Payload digests of the approvals that tokens other than `besides` were accepted on in this boot."""
    spent: set[str] = set()
    for candidate in all_folders(run):
        record = candidate.record()
        if record is not None and record.token != besides and candidate.poison() is None:
            spent.update(record.approvals)
    return frozenset(spent)
