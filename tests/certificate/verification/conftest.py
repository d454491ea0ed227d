"""A whole story as a bundle: order, evidence, outcome and summary, signed, logged and proven.

`story` is honest from end to end; a test changes one thing in it, before or after signing, and says what
verification answers. The claim is what `assurance` computes, unless the test writes another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from certificate import outcome_words
from certificate import trust as trust_module
from certificate.assurance import judge, what_became
from certificate.bundle import MEDIA_TYPE, Bundle, Document, LogProof
from certificate.envelope import Envelope
from certificate.log.entry import LogKind
from certificate.policy import Policy
from certificate.statements import Evidence, Order
from certificate.statements.vocabulary import Result
from certificate.trust import TrustRoot
from tests.techniques import OVERWRITES, SANITIZES, Judged, Techniques

Change = tuple[str, Any]


@dataclass
class Story:
    """What goes into a bundle. Lists of changes are (path, value) pairs for `altered`."""

    tools: dict[str, Any]
    purpose: str = "production"
    order: Order | None = None
    evidence: Evidence | None = None
    approvals: tuple[Envelope, ...] = ()
    decisions: tuple[Envelope, ...] = ()
    allocation: Any = None
    outcome_changes: list[Change] = field(default_factory=list)
    summary_changes: list[Change] = field(default_factory=list)
    summary: bool = True
    #: In which order the log takes them.
    logged: tuple[str, ...] = ("allocation", "order", "outcome", "summary")
    signers: dict[str, Any] = field(default_factory=dict)
    #: The log that takes them; without one a new log for each bundle.
    log: Any = None
    root: TrustRoot = field(init=False)
    envelopes: dict[str, Envelope] = field(default_factory=dict)

    def __post_init__(self) -> None:
        tools = self.tools
        self.root = tools["make_trust"](self.purpose)
        self.table = tools["make_table"](purpose=self.purpose)
        table = tools["signed"](self.table, tools["keys"].root)
        plan = tools["make_plan"](validation_digest=table.payload_digest)
        self.order = self.order or tools["make_order"](plan=plan, purpose=self.purpose)
        self.envelopes["validation"] = table

    @property
    def told(self) -> Evidence:
        if self.evidence is None:
            self.evidence = self.tools["make_evidence"](self.order)
        assert self.evidence is not None
        return self.evidence

    def ordered(self, path: str, value: Any) -> Story:
        """Changes the order and plans again, so that plan and digest agree."""
        order = self.tools["altered"](self.order, path, value)
        self.order = self.tools["altered"](order, "plan_digest", order.plan.canonical_digest())
        return self

    def by_hand(self, *approvers: Any, declared_by: tuple[Any, ...] = ()) -> Story:
        """Alice requested the wipe by hand and these approved it; with `declared_by`, of a host in stock."""
        tools, keys = self.tools, self.tools["keys"]
        if declared_by:
            declared = tuple(tools["make_declaration"](each) for each in declared_by)
            self.decisions += declared
            self.ordered("plan.tenancy_ref", "not_applicable")
            self.ordered("basis.answers", []).ordered("basis.tenancies.count", 0)
            self.ordered("basis.disposition", "stock")
            self.ordered("basis.decisions", tools["references_to"](declared))
            self.said("custody.tenancy_ref", "not_applicable")
            self.summed("custody.tenancy_ref", "not_applicable")
        assert self.order is not None
        digest = self.order.plan.canonical_digest()
        self.approvals = tools["make_request"](keys.alice, *approvers, plan_digest=digest)
        self.ordered("trigger", "manual").ordered("basis.approvals_required", 2)
        return self.ordered("basis.approvals", tools["references_to"](self.approvals))

    def seen(self, path: str, value: Any) -> Story:
        self.evidence = self.tools["altered"](self.told, path, value)
        return self

    def tabled(self, path: str, value: Any) -> Story:
        """Changes the validation table, and the plan that names it."""
        self.table = self.tools["altered"](self.table, path, value)
        self.envelopes["validation"] = self.tools["signed"](self.table, self.tools["keys"].root)
        return self.ordered("plan.validation_digest", self.envelopes["validation"].payload_digest)

    def said(self, path: str, value: Any) -> Story:
        self.outcome_changes.append((path, value))
        return self

    def summed(self, path: str, value: Any) -> Story:
        self.summary_changes.append((path, value))
        return self

    def _altered(self, model: Any, changes: list[Change]) -> Any:
        for path, value in changes:
            model = self.tools["altered"](model, path, value)
        return model

    def build(self) -> Bundle:
        tools, keys = self.tools, self.tools["keys"]
        order, evidence = self.order, self.told
        assert order is not None
        entry = evidence.media[0]
        planned = order.plan.media[0]
        medium = planned.commitment
        claim = judge(order=order, evidence=evidence, commitment=medium)
        order_envelope = tools["signed_order"](order, self.signers.get("order", keys.order))
        evidence_envelope = tools["signed_evidence"](evidence, self.signers.get("evidence", keys.agent))
        commands = [dumped(command) for command in entry.commands]
        log_after = commands[-1]["status_log_after"] if commands else "not_observed"
        outcome = tools["make_outcome"](
            order, evidence, order_digest=order_envelope.payload_digest, claim=dumped(claim)
        )
        validation = dumped(outcome)["validation"] if claim.result is Result.ERASED else "not_applicable"
        computed: list[Change] = [
            ("medium", dumped(entry.medium)),
            ("sanitization.commands", commands),
            ("sanitization.started_at", commands[0]["started_at"] if commands else "not_observed"),
            ("sanitization.finished_at", commands[-1]["finished_at"] if commands else "not_observed"),
            ("sanitization.errors", list(entry.errors)),
            ("verification.status_log_digest", tools["digest_of_hex"](log_after)),
            ("verification.markers_committed", entry.markers.committed_count),
            ("verification.markers_as_expected", outcome_words.markers_as_expected(entry)),
            ("sanitization.standard", outcome_words.clause(entry)),
            ("sanitization.layers", [dumped(layer) for layer in entry.layers]),
            ("sanitization.fallback_from", list(outcome_words.fallback_from(entry, planned.techniques))),
            ("verification.read_back", read_back_of(entry)),
            ("cryptographic_erase", [dumped(key) for key in keys_erased(order, entry)]),
            ("validation", validation),
        ]
        outcome = self._altered(outcome, computed + self.outcome_changes)
        if "destination" not in dict(self.outcome_changes):
            goes_to = str(outcome_words.destination(outcome.claim))
            outcome = tools["altered"](outcome, "destination", goes_to)
        outcome_envelope = tools["signed_outcome"](
            outcome, evidence_envelope.write(), self.signers.get("outcome", keys.issuer)
        )
        summary = tools["make_summary"](
            outcome,
            claim=dumped(claim),
            order_digests=[order_envelope.payload_digest],
            media=[
                {
                    "commitment": outcome.medium.commitment,
                    "became": what_became(outcome.claim).value,
                    "outcome_digest": outcome_envelope.payload_digest,
                    "decision_digest": "not_applicable",
                }
            ],
        )
        summary = self._altered(summary, self.summary_changes)
        self.envelopes |= {
            "order": order_envelope,
            "evidence": evidence_envelope,
            "outcome": outcome_envelope,
            "summary": tools["signed"](summary, self.signers.get("summary", keys.issuer)),
        }
        if self.allocation is not None:
            self.envelopes["allocation"] = tools["signed"](self.allocation, keys.issuer)
        return self.bundled()

    def bundled(self) -> Bundle:
        """The envelopes as they stand, logged and proven."""
        log = self.log or self.tools["make_log"](self.root)
        logged = [
            name for name in self.logged if name in self.envelopes and (name != "summary" or self.summary)
        ]
        seqs = {name: log.append(self.envelopes[name], LogKind(name)).seq for name in logged}
        text = {name: envelope.write().decode() for name, envelope in self.envelopes.items()}
        root = trust_module.sign(self.root, self.tools["keys"].root).write().decode()
        return Bundle(
            format=MEDIA_TYPE,
            outcome=text["outcome"],
            summary=text["summary"] if self.summary else None,
            evidence=text["evidence"],
            order=text["order"],
            validation=text["validation"],
            approvals=tuple(each.write().decode() for each in self.approvals),
            decisions=tuple(each.write().decode() for each in self.decisions),
            allocation=text.get("allocation"),
            proofs=tuple(
                LogProof(document=Document(name), proof=log.proof(seq).write().decode())
                for name, seq in seqs.items()
            ),
            trust_roots=(root,),
        )


def read_back_of(entry: Any) -> Any:
    return entry.read_back if isinstance(entry.read_back, str) else dumped(entry.read_back)


def keys_erased(order: Order, entry: Any) -> Any:
    return outcome_words.cryptographic_erases(entry, escrow=order.escrow)


def dumped(model: Any) -> Any:
    return model.model_dump(mode="json", by_alias=True)


@pytest.fixture(scope="session")
def tools(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The builders of the folder above, by name."""
    names = (
        "make_trust make_table make_plan make_order make_evidence make_outcome make_summary make_log "
        "make_approval make_request make_decision make_declaration references_to make_allocation "
        "keys altered "
        "signed signed_order signed_evidence signed_outcome"
    )
    found: dict[str, Any] = {name: request.getfixturevalue(name) for name in names.split()}

    def digest_of_hex(raw: str) -> str:
        if raw in ("not_observed", "not_applicable"):
            return "not_observed"
        return hashlib.sha256(bytes.fromhex(raw)).hexdigest()

    return found | {"digest_of_hex": digest_of_hex}


@pytest.fixture
def story(tools: dict[str, Any]) -> Story:
    return Story(tools)


@pytest.fixture(scope="session")
def make_story(tools: dict[str, Any]) -> Callable[..., Story]:
    return lambda **changes: Story(tools, **changes)


@pytest.fixture
def demonstration(tools: dict[str, Any]) -> Story:
    """The demonstration's kind of bundle: emulated media under a demonstration root."""
    return Story(tools, purpose="demonstration").seen("media.0.medium.device_class", "emulated")


@pytest.fixture(scope="session")
def demo_policy(altered: Callable[..., Any]) -> Policy:
    """A file that accepts a demonstration by name."""
    policy = altered(Policy.production(), "purposes", ["demonstration"])
    accepted: Policy = altered(policy, "device_classes", ["emulated"])
    return accepted


@pytest.fixture(scope="session")
def make_honest(tools: dict[str, Any]) -> Callable[[], tuple[bytes, TrustRoot]]:
    """The honest bundle as a file, and its trust root."""

    def honest() -> tuple[bytes, TrustRoot]:
        story = Story(tools)
        return story.build().write(), story.root

    return honest


Erasure = Callable[..., Story]


@pytest.fixture(scope="session")
def make_erasure(tools: dict[str, Any], techniques: Techniques) -> Erasure:
    """make_erasure("overwrite_zero", layers=2, change=lambda case: case.told(...)): a story of this technique
    (tests/techniques.py), under a table that accepts what it gives.
    """

    def erasure(
        technique: str, *, change: Callable[[Judged], Judged] = lambda case: case, **how: Any
    ) -> Story:
        table = tools["make_table"](rules=[rule_for(technique, how)], rows=rows_for(technique))
        signed = tools["signed"](table, tools["keys"].root)
        documents = SimpleNamespace(**vars(techniques.documents))
        documents.build_plan = lambda **fields: techniques.documents.build_plan(
            **fields, validation_digest=signed.payload_digest
        )
        case = change(Techniques(documents).honest(technique, **how))
        story = Story(tools, order=case.order, evidence=case.evidence)
        story.said("media_kind", case.order.plan.media[0].kind.value)
        story.table, story.envelopes["validation"] = table, signed
        return story

    return erasure


def rule_for(technique: str, how: dict[str, Any]) -> dict[str, Any]:
    return {
        "data_class": "default",
        "floor": "purge" if technique in SANITIZES else "clear",
        "approvals_required": 0,
        "overwrite": OVERWRITES.get(technique, "keystream"),
        "read_back": how.get("read_back", "full"),
        "escrow": "unknown",
    }


def rows_for(technique: str) -> list[dict[str, str]]:
    return [
        {
            "data_class": "default",
            "media": kind,
            "technique": technique,
            "grade": grade,
            "decision": "accept",
        }
        for kind in ("self_encrypting_nvme", "plain")
        for grade in ("device-reported", "marker-proven")
    ]
