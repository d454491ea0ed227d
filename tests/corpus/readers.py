"""The real readers, one a kind: bytes in, a value or a refusal out. Corpus and fuzzing share them.

    READERS["bundle"](data, Under(root=...))

Each is the function that the programs use, in the surroundings of the corpus: its trust root, its boot, its
sample documents (tests/certificate/conftest.py). Nothing here forgives anything. `code_of` is the code of the
refusal, None where the reader took the bytes; any other exception is a fault of the reader and comes through.
"""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

from agent import journal, session
from agent.devices import image_file, partitions
from agent.devices.luks import Luks1Header, Luks2Header
from agent.devices.simulated.state import State
from agent.host_facts import EmulatedHostFacts
from agent.run_directory import BootRecord, RunDirectory, read_record
from certificate import annex, delivery, messages, strict_json, trust
from certificate.assurance import judge
from certificate.bundle import Bundle
from certificate.delivery import Delivery
from certificate.errors import Code, Malformed, Refused
from certificate.log import entry as log_entry
from certificate.log import note as log_note
from certificate.log import proof as log_proof
from certificate.messages import MAX_LINE_BYTES, DeliveryLine, Hello
from certificate.policy import Policy
from certificate.statements import (
    Absence,
    Allocation,
    Approval,
    Boot,
    Decision,
    Evidence,
    Order,
    Outcome,
    Predicate,
    Summary,
    ValidationTable,
    Withdrawal,
)
from certificate.statements import statement as statements
from certificate.trust import TrustRoot
from certificate.verify import verify
from controller import plan
from controller.api.webhook import WebhookDoor
from controller.channels import dialogue
from controller.channels.lines import Deadline, LineReader
from controller.cli import host_records
from controller.errors import Unanswered
from controller.policy.draft import Draft
from controller.records.host_file import read_hosts
from tests.certificate import conftest as documents

#: The webhook's secret of the corpus: public, and worth nothing.
WEBHOOK_SECRET = "whsec_ZXhwdW5nZSBjb3JwdXMsIG5ldmVyIGEgc2VjcmV0IQ=="
#: When the corpus' webhooks were signed; their reader's clock stands here.
WEBHOOK_AT = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)
BLOCK_BYTES = 512
STATEMENTS: dict[str, type[Predicate]] = {
    kind.statement_name: kind
    for kind in (
        Absence,
        Allocation,
        Approval,
        Boot,
        Decision,
        Evidence,
        Order,
        Outcome,
        Summary,
        ValidationTable,
        Withdrawal,
    )
}


#: Of the host whose inventory is planned: any three.
HOST_FACTS = (("board_serial", "BO-4711"), ("chassis_serial", "CH-4711"), ("nic_macs", "3c:ec:ef:00:00:01"))


@dataclass(frozen=True)
class Under:
    """What a reader holds already: whom it believes."""

    root: TrustRoot


Reader = Callable[[bytes, Under], Any]


@cache
def honest_root() -> TrustRoot:
    return documents.build_trust()


@cache
def honest_entry() -> bytes:
    """The log entry of the sample order, whose proof is read."""
    return documents.build_delivery().log_entry


@cache
def honest_evidence() -> Evidence:
    return documents.build_evidence()


def _envelope(data: bytes, under: Under) -> Any:
    return under.root.open_statement(data, Order, seq=3)


def _statement(kind: type[Predicate]) -> Reader:
    return lambda data, _: statements.read(data, kind)


def _bundle(data: bytes, under: Under) -> Any:
    return verify(Bundle.read(data), under.root, Policy.production())


def _note(data: bytes, under: Under) -> Any:
    """A note by the log's key whose text is no checkpoint's: the layer below."""
    name = under.root.log.origin
    key = log_note.Ed25519NoteKey(name=name, public=documents.KEYS.log.public)
    return log_note.open_note(data, (key,))


def _proof(data: bytes, under: Under) -> Any:
    return log_proof.check(honest_entry(), log_proof.read(data), under.root)


def _annex(data: bytes, _: Under) -> Any:
    """As an agent that made the annex would have signed it: the digest holds, whatever is in it."""
    digest = hashlib.sha256(data).hexdigest()
    evidence = documents.with_field(honest_evidence(), "annex_digest", digest)
    return annex.open_serial(data, evidence, documents.MEDIUM)


def _swapped_annex(data: bytes, _: Under) -> Any:
    return annex.open_serial(data, honest_evidence(), documents.MEDIUM)


def _delivery(data: bytes, under: Under) -> Any:
    """The delivery of an execute line, to the agent of the sample boot right after its hello."""
    fields = strict_json.load_object(data, max_bytes=MAX_LINE_BYTES, what="delivery")
    return delivery.obey(
        Delivery.from_line(DeliveryLine.from_fields(fields)),
        trust=under.root,
        boot_id=documents.BOOT_ID,
        hello_nonce=documents.HELLO_NONCE,
        hello_at_ms=documents.HELLO_AT_MS,
        now_ms=documents.HELLO_AT_MS + 2_000,
    )


def _judged(data: bytes, _: Under) -> Any:
    """What may be claimed of evidence that an agent signed, whatever it says."""
    evidence = statements.read(data, Evidence).predicate
    return judge(order=documents.build_order(), evidence=evidence, commitment=documents.MEDIUM)


def _request_stream(data: bytes, _: Under) -> Any:
    """A whole channel of the agent, on which nothing was booted."""
    answers = io.BytesIO()
    with tempfile.TemporaryDirectory(prefix="expunge-corpus-") as folder:
        run = RunDirectory(Path(folder))
        exit_code = session.serve(run, request=io.BytesIO(data), answers=answers)
    (line,) = answers.getvalue().splitlines(keepends=True)
    answer = messages.read_answer(line)
    if exit_code or not isinstance(answer, messages.Refusal):
        raise RuntimeError(f"exit code {exit_code}, {answer}")
    raise Answered(answer.code)


def _answer_stream(data: bytes, _: Under) -> Any:
    """What comes back on a channel to the controller, which asked `hello`."""
    stream = io.BytesIO(data)
    reader = LineReader(receive=lambda _: stream.read(65_536))
    deadline = Deadline.after(10)
    line = reader.line(deadline)
    answer = dialogue.read_answer(Hello(controller_nonce="0c" * 32, purpose="pin"), line or b"")
    reader.refuse_more(deadline)
    return answer


def _planned_inventory(data: bytes, _: Under) -> Any:
    """What the controller plans for a host whose drives are those that the agent tells of."""
    answer = messages.read_answer(data)
    if not isinstance(answer, messages.InventoryAnswer):
        raise Malformed(Code.LINE_INVALID, f"{answer.name} is no inventory")
    salt = documents.MEDIUM_SALT
    serials = list(dict.fromkeys(drive.serial for drive in answer.drives))
    return plan.make_plan(
        deprovision=documents.DEPROVISION,
        tenancy_ref=documents.digest_of("tenancy"),
        host=plan.KnownHost(
            salt=documents.HOST_SALT,
            facts=HOST_FACTS,
            drives=tuple(plan.KnownDrive(serial=serial, salt=salt) for serial in serials),
            data_class="default",
        ),
        inventory=answer,
        table=documents.build_table(),
        table_digest=documents.digest_of("table"),
        policy_digest=documents.digest_of("policy"),
    )


def _journal(data: bytes, _: Under) -> Any:
    with _file(data, "journal.jsonl") as path:
        return journal.read(path)


def _boot_record(data: bytes, _: Under) -> Any:
    with _file(data, "boot.json") as path:
        return read_record(path, BootRecord)


def _host_facts(data: bytes, _: Under) -> Any:
    with _file(data, "facts.json") as path:
        return EmulatedHostFacts(path).observe()


def _image_names(data: bytes, _: Under) -> Any:
    with _file(data, "drive.json") as path:
        image = path.with_suffix(".img")
        with image.open("wb") as file:
            file.truncate(image_file.MIN_IMAGE_BYTES)
        return image_file.open_drive(image).identity()


def _webhook(data: bytes, _: Under) -> Any:
    """`name: value` lines, an empty line, the body; at the time when the corpus was made."""
    head, _, body = data.partition(b"\n\n")
    lines = (line.partition(": ") for line in head.decode("latin-1").split("\n"))
    headers = {name.lower(): value for name, _, value in lines}
    with mock.patch("standardwebhooks.webhooks.datetime", _StandingClock):
        return WebhookDoor(source="corpus", secret=WEBHOOK_SECRET).read(body, headers)


class _StandingClock(datetime):
    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return WEBHOOK_AT.astimezone(tz)


def _hosts_file(data: bytes, _: Under) -> Any:
    """As the command reads a file, and then the program its text."""
    with _file(data, "hosts.csv") as path:
        return read_hosts(host_records._text(path))


def _partition_table(data: bytes, _: Under) -> Any:
    return partitions.starts(
        lambda offset_bytes, length_bytes: data[offset_bytes : offset_bytes + length_bytes],
        capacity_bytes=len(data) // BLOCK_BYTES * BLOCK_BYTES,
        block_bytes=BLOCK_BYTES,
    )


READERS: dict[str, Reader] = {
    "envelope": _envelope,
    **{f"{name}_statement": _statement(kind) for name, kind in STATEMENTS.items()},
    "bundle": _bundle,
    "note": _note,
    "checkpoint": lambda data, under: under.root.open_checkpoint(data),
    "proof": _proof,
    "log_entry": lambda data, _: log_entry.read(data),
    "trust_root": lambda data, _: trust.read(data),
    "policy": lambda data, _: Policy.read(data),
    "annex": _annex,
    "swapped_annex": _swapped_annex,
    "delivery": _delivery,
    "judged_evidence": _judged,
    "request_line": lambda data, _: messages.read_request(data),
    "request_stream": _request_stream,
    "answer_line": lambda data, _: messages.read_answer(data),
    "answer_stream": _answer_stream,
    "planned_inventory": _planned_inventory,
    "journal": _journal,
    "boot_record": _boot_record,
    "host_facts": _host_facts,
    "image_names": _image_names,
    "simulated_state": lambda data, _: State.read(data),
    "webhook": _webhook,
    "hosts_file": _hosts_file,
    "policy_draft": lambda data, _: Draft.read(data),
    "luks1_header": lambda data, _: Luks1Header.parse(data),
    "luks2_header": lambda data, _: Luks2Header.parse(data),
    "partition_table": _partition_table,
}


class Answered(Exception):
    """A program answered with a refusal instead of raising one."""

    def __init__(self, code: str) -> None:
        self.code = code


def refusal_of(kind: str, data: bytes, under: Under) -> tuple[str, str] | None:
    """Code and reason with which this reader refuses, or None."""
    try:
        READERS[kind](data, under)
    except (Refused, Unanswered) as refusal:
        return refusal.code.value, refusal.reason
    except Answered as answer:
        return answer.code, ""
    return None


def code_of(kind: str, data: bytes, under: Under) -> str | None:
    """The code with which this reader refuses, or None."""
    refusal = refusal_of(kind, data, under)
    return None if refusal is None else refusal[0]


def under(trust_root: bytes) -> Under:
    return Under(trust.read(trust_root))


@contextmanager
def _file(data: bytes, name: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="expunge-corpus-") as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        yield path
