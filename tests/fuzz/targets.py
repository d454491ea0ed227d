"""What is fuzzed: every parser that a stranger, a machine or a neighbour can reach.

A target has the readers of tests/corpus/readers.py that take its bytes, the corpus' items as a start, and
where it has seals, how to make them again (`repair`). The promise of each: it returns, or refuses with a
code, in bounded time and memory, and never by another exception. A bundle that was changed without anybody's
key verifies only to what it said before; one that somebody inside made, only to what its evidence shows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

from agent import journal_bodies
from agent.journal import Journal
from agent.journal_bodies import read_body
from certificate.errors import Refused
from certificate.messages import Line
from certificate.statements.statement import Seen
from certificate.statements.vocabulary import Result
from certificate.verify import Verified
from controller.errors import Unanswered
from tests.corpus import readers
from tests.corpus.case import MANIFEST, Case, unpacked
from tests.fuzz import repair
from tests.fuzz.repair import Repair

#: What an item of the corpus may have at most to be a start: larger ones only cost time.
MAX_SEED_BYTES = 100_000


class Broken(Exception):
    """A promise was not kept, and nothing raised."""


Verdict = Callable[[object, bytes], None]


def _nothing(_value: object, _data: bytes) -> None:
    return


@dataclass(frozen=True, kw_only=True)
class Target:
    """One harness. `keeps`: what holds of a value that a reader returned; raises Broken."""

    name: str
    kinds: tuple[str, ...]
    repair: Repair | None = None
    keeps: Verdict = _nothing

    def run(self, data: bytes) -> Iterator[tuple[str, str]]:
        """(code, reason) of each reader. Raises whatever is no refusal."""
        for kind in self.kinds:
            try:
                value = readers.READERS[kind](data, _under())
            except (Refused, Unanswered) as refusal:
                yield refusal.code.value, refusal.reason
            except readers.Answered as answer:
                yield answer.code, ""
            else:
                self.keeps(value, data)
                yield "TAKEN", kind

    @property
    def seeds(self) -> tuple[bytes, ...]:
        """The corpus' items of these kinds, as they are read."""
        rows = json.loads(MANIFEST.read_bytes())
        found = [Case.of_row(row).data for row in rows if row["kind"] in self.kinds]
        return tuple(dict.fromkeys(data for data in found if len(data) <= MAX_SEED_BYTES))


@cache
def _under() -> readers.Under:
    return readers.under(unpacked("valid/trust_root.json"))


@cache
def _honest() -> tuple[Verified, ...]:
    """What the corpus' honest bundles say."""
    rows = [
        row for row in json.loads(MANIFEST.read_bytes()) if row["kind"] == "bundle" and row["code"] is None
    ]
    return tuple(readers.READERS["bundle"](Case.of_row(row).whole, _under()) for row in rows)


def _only_what_was_said(value: object, _data: bytes) -> None:
    """Nobody's key was used: whatever still verifies, says what it said."""
    if value not in _honest():
        raise Broken("a changed bundle verified to something else")


def _only_what_was_seen(value: object, _data: bytes) -> None:
    """Somebody inside used every key: the verdict is still no more than the evidence."""
    if not isinstance(value, Verified) or value.evidence is None or value.order is None:
        raise Broken("a bundle without evidence verified")
    if value.claim.result is not Result.ERASED:
        raise Broken("a failure verified")
    medium = value.outcome.medium.commitment
    entries = [each for each in value.evidence.media if each.medium.commitment == medium]
    ordered = {each.commitment for each in value.order.plan.media}
    if len(entries) != 1 or not ordered <= {each.medium.commitment for each in value.evidence.media}:
        raise Broken("a medium of the order is not in the evidence once")
    (entry,) = entries
    seen = (entry.was_present, entry.opened_exclusively, entry.same_identity_after, entry.is_readable_after)
    if any(each is not Seen.YES for each in seen) or entry.errors or not entry.commands:
        raise Broken("erased, and something that an erasure needs was not seen")


#: Of how many lines the bodies are read: all are read alike.
BODIES_READ = 20
#: What the lines of a journal may carry.
_BODIES = tuple(
    kind
    for name, kind in vars(journal_bodies).items()
    if name.endswith("Body") and isinstance(kind, type) and issubclass(kind, Line)
)


def _bodies(value: object, _data: bytes) -> None:
    """A journal that is read is attached to: the bodies of its lines are read next."""
    if not isinstance(value, Journal):
        raise Broken("a journal is read as something else")
    for line in value.lines[:BODIES_READ]:
        for kind in _BODIES:
            try:
                read_body(line, kind)
            except Refused:
                continue


_STATEMENTS = tuple(f"{name}_statement" for name in readers.STATEMENTS)
ALL = (
    Target(name="envelope", kinds=("envelope",), repair=repair.tried(repair.envelope)),
    Target(name="statements", kinds=_STATEMENTS),
    Target(name="judged_evidence", kinds=("judged_evidence",)),
    Target(name="bundle", kinds=("bundle",), keeps=_only_what_was_said),
    Target(
        name="forged_bundle", kinds=("bundle",), repair=repair.tried(repair.bundle), keeps=_only_what_was_seen
    ),
    Target(name="delivery", kinds=("delivery",), repair=repair.tried(repair.delivery)),
    Target(name="note", kinds=("note", "checkpoint"), repair=repair.tried(repair.note)),
    Target(name="proof", kinds=("proof",)),
    Target(name="log_entry", kinds=("log_entry",)),
    Target(name="trust_root", kinds=("trust_root",), repair=repair.tried(repair.trust_root)),
    Target(name="policy", kinds=("policy",)),
    Target(name="policy_draft", kinds=("policy_draft",)),
    Target(name="annex", kinds=("annex",)),
    Target(name="inventory", kinds=("planned_inventory",)),
    Target(name="request", kinds=("request_line", "request_stream")),
    Target(name="answer", kinds=("answer_line", "answer_stream")),
    Target(name="journal", kinds=("journal",), repair=repair.tried(repair.journal), keeps=_bodies),
    Target(name="records", kinds=("boot_record", "host_facts", "image_names")),
    Target(name="simulated_state", kinds=("simulated_state",)),
    Target(name="webhook", kinds=("webhook",), repair=repair.tried(repair.webhook)),
    Target(name="hosts_file", kinds=("hosts_file",)),
    Target(name="luks_header", kinds=("luks1_header", "luks2_header"), repair=repair.tried(repair.luks2)),
    Target(name="partition_table", kinds=("partition_table",), repair=repair.tried(repair.partition_table)),
)
TARGETS = {target.name: target for target in ALL}
