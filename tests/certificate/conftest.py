"""Sample documents that tell one honest story: a host whose only NVMe drive was cryptographically erased.

The fixtures return functions. `make_<statement>(**changes)` builds the sample with some fields replaced;
`altered(model, "media.0.was_present", "no")` replaces one field anywhere and validates again; `signed` and
`log` turn statements into envelopes and log entries; `make_delivery` puts a delivery together. Keys come from
fixed seeds, so that documents are the same in every run; they guard nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from certificate import envelope as dsse
from certificate import marking
from certificate import trust as trust_module
from certificate.commitment import host_commitment, host_fact_commitment, markers_digest, medium_commitment
from certificate.delivery import Delivery
from certificate.envelope import Envelope
from certificate.identifiers import DeprovisionId, OrderId, OutcomeId
from certificate.keys import PrivateKey
from certificate.log import checkpoint as log_checkpoint
from certificate.log import merkle
from certificate.log.checkpoint import Checkpoint
from certificate.log.entry import Entry, LogKind
from certificate.log.proof import Proof
from certificate.outcome_words import CLAUSES
from certificate.statements import (
    Absence,
    Allocation,
    Approval,
    Boot,
    Decision,
    Evidence,
    Order,
    Outcome,
    Plan,
    Predicate,
    Purpose,
    Summary,
    ValidationTable,
    Withdrawal,
    make,
    read,
    subject,
)
from certificate.statements.statement import Model
from certificate.statements.vocabulary import ResidueName, Technique
from certificate.trust import EraseImage, TrustRoot
from tests.techniques import Techniques

NOW = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)
DOMAIN = "hoster.example"
CAPACITY_BYTES = 3_840_755_982_336
MEDIUM_SALT = hashlib.sha256(b"salt of the medium").digest()
HOST_SALT = hashlib.sha256(b"salt of the host").digest()
MEDIUM = medium_commitment(salt=MEDIUM_SALT, serial="S64GNE0R500123")
HELLO_AT_MS = 61_000
DEPROVISION = DeprovisionId("dep_" + "d1" * 16)
ORDER_ID = OrderId("ord_" + "0d" * 16)
OUTCOME_ID = OutcomeId("out_" + "0c" * 16)

#: NVM Express Base 2.0, Sanitize: opcode 84h in byte 0; CDW10 in bytes 43:40 = SANACT 4 (crypto), NDAS.
SANITIZE_DWORD10 = 0x00000204
SUBMISSION = bytes([0x84, 0, 0x17, 0]) + bytes(36) + SANITIZE_DWORD10.to_bytes(4, "little") + bytes(20)
#: Log page 81h: SPROG, SSTAT, SCDW10, then time estimates; FFFFFFFFh is "not reported".
ESTIMATES = b"\xff" * 24
STATUS_BEFORE = b"\xff\xff" + b"\x00\x00" + bytes(4) + ESTIMATES + bytes(32)
STATUS_AFTER = b"\xff\xff" + b"\x01\x01" + SANITIZE_DWORD10.to_bytes(4, "little") + ESTIMATES + bytes(32)


def digest_of(text: str) -> str:
    """A digest of something that no test looks into."""
    return hashlib.sha256(text.encode()).hexdigest()


def nonce_of(text: str) -> str:
    return digest_of(text)[:32]


@dataclass(frozen=True)
class Keys:
    """Every key of the story."""

    root: PrivateKey
    order: PrivateKey
    issuer: PrivateKey
    boot: PrivateKey
    log: PrivateKey
    agent: PrivateKey
    alice: PrivateKey
    bob: PrivateKey
    carol: PrivateKey
    stranger: PrivateKey


KEYS = Keys(*(PrivateKey.from_seed(hashlib.sha256(name.encode()).digest()) for name in Keys.__annotations__))
BOOT_ID = KEYS.agent.public.boot_id
HELLO_NONCE = nonce_of("hello")


def host_facts() -> list[dict[str, str]]:
    values = {
        "dmi_uuid": "4c4c4544-0052-3510-8051-b4c04f4d3732",
        "nic_macs": "3c:ec:ef:00:00:01",
        "board_serial": "WM21AS000123",
        "chassis_serial": "C7461FK00NF0123",
    }
    return [
        {"kind": kind, "commitment": host_fact_commitment(salt=HOST_SALT, kind=kind, value=value)}
        for kind, value in values.items()
    ]


HOST = host_commitment((fact["kind"], fact["commitment"]) for fact in host_facts())
ANCHOR = {"origin": log_checkpoint.origin(DOMAIN, KEYS.log.public), "size": 2, "root": digest_of("anchor")}


def read_as(kind: type[Any], fields: dict[str, Any]) -> Any:
    """`fields` as a model, by the strict reader: only JSON's own types stand in them."""
    return kind.model_validate_json(json.dumps(fields, default=str))


def predicate_fields(name: str, **fields: Any) -> dict[str, Any]:
    return {
        "schema": 1,
        "purpose": "production",
        "nonce": nonce_of(f"nonce of the {name}"),
        "issued_at": "2026-11-22T10:00:00Z",
        **fields,
    }


def build_trust(purpose: str = "production", **changes: Any) -> TrustRoot:
    arguments: dict[str, Any] = {
        "purpose": Purpose(purpose),
        "domain": DOMAIN,
        "nonce": nonce_of("trust root"),
        "created_at": NOW - timedelta(days=30),
        "expires_at": NOW + timedelta(days=335),
        "root_key": KEYS.root.public,
        "order_key": KEYS.order.public,
        "issuer_key": KEYS.issuer.public,
        "boot_key": KEYS.boot.public,
        "log_key": KEYS.log.public,
        "operators": (KEYS.alice.public, KEYS.bob.public),
        "erase_images": (EraseImage(version="0.1.0", digest=digest_of("image")),),
    }
    return TrustRoot.new(**(arguments | changes))


def build_table(**changes: Any) -> ValidationTable:
    row = {
        "data_class": "default",
        "media": "self_encrypting_nvme",
        "technique": "nvme_sanitize_crypto",
        "grade": "marker-proven",
        "decision": "accept",
    }
    fields = predicate_fields(
        "table",
        version=1,
        rules=[
            {
                "data_class": "default",
                "floor": "purge",
                "approvals_required": 0,
                "overwrite": "keystream",
                "read_back": "full",
                "escrow": "unknown",
            }
        ],
        rows=[row],
        otherwise="escalate",
    )
    table: ValidationTable = read_as(ValidationTable, fields | changes)
    return table


def signed_as(predicate: Predicate, signer: PrivateKey, *subjects: tuple[str, str]) -> Envelope:
    """A statement of this predicate, signed; without `subjects` it is about some file."""
    named = subjects or (("sample", digest_of("sample")),)
    statement = make(predicate, tuple(subject(name, digest) for name, digest in named))
    return dsse.sign(statement.payload(), signer)


def build_plan(**changes: Any) -> Plan:
    medium = {
        "commitment": MEDIUM,
        "transport": "nvme",
        "attachment": "internal",
        "kind": "self_encrypting_nvme",
        "capacity_bytes": CAPACITY_BYTES,
        "firmware": "GDC5902Q",
        "techniques": ["nvme_sanitize_crypto", "nvme_sanitize_block"],
        "layers": [],
    }
    fields = {
        "schema": 1,
        "deprovision": DEPROVISION,
        "tenancy_ref": digest_of("tenancy"),
        "host_commitment": HOST,
        "boot_id": BOOT_ID,
        "media": [medium],
        "floor": "purge",
        "data_class": "default",
        "overwrite": "keystream",
        "read_back": "full",
        "residue": [name.value for name in ResidueName],
        "validation_digest": signed_as(build_table(), KEYS.root).payload_digest,
        "policy_digest": digest_of("policy"),
    }
    plan: Plan = read_as(Plan, fields | changes)
    return plan


def basis_fields(**changes: Any) -> dict[str, Any]:
    asked = {"asked_at": "2026-11-22T09:59:40Z", "answered_at": "2026-11-22T09:59:41Z"}
    answer = {
        "tenancy_ref": digest_of("tenancy"),
        "subscription_ref": digest_of("subscription"),
        "source": "billing",
        "state": "ended",
        "changed_at": "2026-11-20T00:00:00Z",
        "answer_digest": digest_of("answer"),
        "sequence": 41,
        **asked,
    }
    return {
        "tenancies": {
            "source": "billing",
            "is_complete": "yes",
            "count": 1,
            "answer_digest": digest_of("tenancies"),
            "sequence": 40,
            **asked,
        },
        "answers": [answer],
        "policy_version": 3,
        "policy_digest": digest_of("policy"),
        "disposition": "rented",
        "quarantine": {
            "tenant_side_cut": "yes",
            "our_side_reachable": "yes",
            "answer_digest": digest_of("switch"),
            "sequence": 42,
            **asked,
        },
        "approvals_required": 0,
        "approvals": [],
        "decisions": [],
        "limits": [{"name": "HOSTS_PER_DAY", "used": 1, "limit": 20}],
        "is_frozen": "no",
        "holds": "no",
        "notices": [{"kind": "delivered", "record_digest": digest_of("notice")}],
        "ledger_seq": 117,
        "ledger_head": digest_of("ledger"),
        **changes,
    }


def build_order(**changes: Any) -> Order:
    """`plan` (a Plan) replaces the plan and its digest; `basis` (a dict) replaces fields of the basis."""
    plan: Plan = changes.pop("plan", None) or build_plan()
    fields = predicate_fields(
        "order",
        order=ORDER_ID,
        deprovision=DEPROVISION,
        attempt=1,
        continues="not_applicable",
        token=nonce_of("token"),
        fence=(1 << 32) + 7,
        boot_id=BOOT_ID,
        boot_trust="virtual_media",
        boot_config_digest=digest_of("boot configuration"),
        observer="on_host",
        hello_nonce=HELLO_NONCE,
        valid_for_s=600,
        trigger="ended",
        host={"commitment": HOST, "facts": host_facts()},
        plan=plan.model_dump(mode="json", by_alias=True),
        plan_digest=plan.canonical_digest(),
        escrow="unknown",
        basis=basis_fields(**changes.pop("basis", {})),
        anchor=ANCHOR,
        controller_version="0.1.0",
        signer=KEYS.order.public.keyid,
    )
    order: Order = read_as(Order, fields | changes)
    return order


def sign_order(order: Order, signer: PrivateKey = KEYS.order) -> Envelope:
    return signed_as(order, signer, (f"order:{order.order}", order.plan_digest))


def marker_fields(order_digest: str) -> tuple[str, list[dict[str, Any]]]:
    """The markers of the sample medium, which read pseudorandom afterwards, and what was committed before."""
    placed = marked_places(order_digest, [CAPACITY_BYTES])
    fields = [
        {
            "nsid": nsid,
            "offset_bytes": offset_bytes,
            "length_bytes": length_bytes,
            "content_sha256": content,
            "read_back_before": "yes",
            "reading_after": "pseudorandom",
            "changed_65536ths": 32_768 + 11 * index,
        }
        for index, (nsid, offset_bytes, length_bytes, content) in enumerate(placed)
    ]
    return markers_digest(nonce=MARKER_NONCE, markers=placed), fields


MARKER_NONCE = hashlib.sha256(b"nonce of the markers").digest()


def marked_places(
    order_digest: str, capacities: list[int], medium: str = MEDIUM
) -> list[tuple[int, int, int, str]]:
    """Where an honest agent puts markers on namespaces of these sizes, and the digests of what it writes."""
    rooms = [marking.NamespaceRoom(nsid=nsid, capacity_bytes=size) for nsid, size in enumerate(capacities, 1)]
    placed = marking.derive(
        order_digest=order_digest, nonce=MARKER_NONCE, commitment=medium, namespaces=rooms
    )
    return [(each.nsid, each.offset_bytes, len(each.content), each.content_sha256) for each in placed]


def medium_fields() -> dict[str, Any]:
    return {
        "commitment": MEDIUM,
        "transport": "nvme",
        "device_class": "physical",
        "manufacturer": "Samsung",
        "model": "SAMSUNG MZQL23T8HCLS-00A07",
        "firmware": "GDC5902Q",
        "capacity_bytes": CAPACITY_BYTES,
        "native_capacity_bytes": "not_applicable",
        "logical_block_bytes": 512,
    }


def command_fields() -> dict[str, Any]:
    return {
        "technique": "nvme_sanitize_crypto",
        "submission": SUBMISSION.hex(),
        "completion_status": "0000",
        "was_accepted": "yes",
        "start_acknowledged": "yes",
        "status_log_before": STATUS_BEFORE.hex(),
        "status_log_after": STATUS_AFTER.hex(),
        "seen_in_progress": "yes",
        "started_at": "2026-11-22T10:00:20Z",
        "finished_at": "2026-11-22T10:00:23Z",
        "timed_out": "no",
        "overwrite": "not_applicable",
    }


def medium_evidence_fields(order: Order | None = None) -> dict[str, Any]:
    """The sample medium as an honest agent saw it after `order`, the sample order where none is given."""
    obeyed = order if order is not None else build_order()
    committed, markers = marker_fields(sign_order(obeyed).payload_digest)
    return {
        "medium": medium_fields(),
        "attachment": "internal",
        "was_present": "yes",
        "released": [],
        "layers": [],
        "opened_exclusively": "yes",
        "same_identity_after": "yes",
        "is_readable_after": "yes",
        "is_write_protected": "no",
        "capabilities": [
            {"field": "SANICAP", "raw": "03000000"},
            {"field": "OACS", "raw": "1e00"},
            {"field": "FNA", "raw": "04"},
            {"field": "CMIC", "raw": "00"},
        ],
        "namespaces": [
            {
                "nsid": 1,
                "capacity_bytes": CAPACITY_BYTES,
                "logical_block_bytes": 512,
                "is_attached": "yes",
                "is_covered": "yes",
            }
        ],
        "unallocated_capacity_bytes": 0,
        "commands": [command_fields()],
        "markers": {
            "committed_digest": committed,
            "was_acknowledged": "yes",
            "nonce": MARKER_NONCE.hex(),
            "committed_count": len(markers),
            "markers": markers,
        },
        "read_back": "not_applicable",
        "unaddressed_areas": [],
        "errors": [],
    }


def residue_fields() -> list[dict[str, str]]:
    return [{"name": name.value, "state": "not_covered"} for name in ResidueName]


TOOL = {"name": "expunge-agent", "version": "0.1.0", "image_digest": digest_of("image")}


def build_evidence(order: Order | None = None, **changes: Any) -> Evidence:
    """What an honest agent saw of `order` (the sample order where none is given)."""
    obeyed = order if order is not None else build_order()
    fields = predicate_fields(
        "evidence",
        purpose=obeyed.purpose.value,
        order=obeyed.order,
        order_digest=sign_order(obeyed).payload_digest,
        token=obeyed.token,
        boot_id=obeyed.boot_id,
        agent_key=KEYS.agent.public.raw.hex(),
        agent_keyid=KEYS.agent.public.keyid,
        hello_nonce=obeyed.hello_nonce,
        observer=obeyed.observer.value,
        boot_config_digest=obeyed.boot_config_digest,
        boot_secret_held="yes",
        tool=TOOL,
        clock={"hello_at_ms": HELLO_AT_MS, "accepted_at_ms": 63_000, "finished_at_ms": 70_500},
        host_facts=[{"kind": fact["kind"], "agrees": "yes"} for fact in host_facts()],
        media=[medium_evidence_fields(obeyed)],
        unexpected_media_count=0,
        residue=residue_fields(),
        was_attached="no",
        journal_lines=9,
        journal_head=digest_of("journal"),
        annex_digest=digest_of("annex"),
        issued_at="2026-11-22T10:00:30Z",
    )
    evidence: Evidence = read_as(Evidence, fields | changes)
    return evidence


def sign_evidence(evidence: Evidence, signer: PrivateKey = KEYS.agent) -> Envelope:
    return signed_as(evidence, signer, (f"medium:{MEDIUM[:8]}", MEDIUM))


def claim_fields() -> dict[str, Any]:
    return {
        "result": "erased",
        "method": "purge",
        "technique": "nvme_sanitize_crypto",
        "grade": "marker-proven",
        "reasons": [],
        "limits": ["Markers show that the logical content changed, not that every cell of the medium did."],
    }


CUSTODY = {
    "site_ref": digest_of("site"),
    "asset_ref": digest_of("asset"),
    "tenant_ref": digest_of("tenant"),
    "subscription_ref": digest_of("subscription"),
    "tenancy_ref": digest_of("tenancy"),
    "allocation_ref": "not_observed",
    "media_source": "not_observed",
    "data_class": "default",
}


def build_outcome(order: Order | None = None, evidence: Evidence | None = None, **changes: Any) -> Outcome:
    """The certificate of the sample medium. Its claim is written here, not computed: pass the judged one."""
    obeyed = order if order is not None else build_order()
    seen = evidence if evidence is not None else build_evidence(obeyed)
    fields = predicate_fields(
        "outcome",
        purpose=obeyed.purpose.value,
        outcome=OUTCOME_ID,
        deprovision=obeyed.deprovision,
        attempt=obeyed.attempt,
        issuer=KEYS.issuer.public.keyid,
        issuer_seq=1,
        anchor=ANCHOR,
        supersedes="not_applicable",
        order=obeyed.order,
        order_digest=sign_order(obeyed).payload_digest,
        evidence_digest=sign_evidence(seen).payload_digest,
        destruction="not_applicable",
        host_commitment=obeyed.host.commitment,
        medium=medium_fields(),
        media_kind="self_encrypting_nvme",
        custody=CUSTODY,
        destination="stays_in_host",
        claim=claim_fields(),
        boot_trust=obeyed.boot_trust.value,
        observer=obeyed.observer.value,
        agent_keyid=KEYS.agent.public.keyid,
        attestation="not_observed",
        sanitization={
            "layers": [],
            "commands": [command_fields()],
            "started_at": "2026-11-22T10:00:20Z",
            "finished_at": "2026-11-22T10:00:23Z",
            "standard": CLAUSES[Technique.NVME_SANITIZE_CRYPTO],
            "fallback_from": [],
            "unaddressed_areas": [],
            "errors": [],
            "tool": TOOL,
        },
        cryptographic_erase=[
            {
                "key_scope": "media keys of the whole device, unallocated capacity included",
                "algorithm": "not_observed",
                "strength_bits": "not_observed",
                "key_origin": "not_observed",
                "escrow": "unknown",
                "module_validation": "not_observed",
                "vendor_assertion_digest": "not_observed",
            }
        ],
        verification={
            "verified_by": KEYS.agent.public.keyid,
            "role": "agent",
            "status_log_digest": hashlib.sha256(STATUS_AFTER).hexdigest(),
            "markers_committed": 18,
            "markers_as_expected": 18,
            "read_back": "not_applicable",
        },
        validation={
            "decision": "accept",
            "table_digest": obeyed.plan.validation_digest,
            "decided_by": "not_applicable",
            "validated_by": KEYS.issuer.public.keyid,
            "role": "issuer",
            "decided_at": "2026-11-22T10:00:40Z",
        },
        gdpr_art28_3_g="yes",
        issued_at="2026-11-22T10:00:45Z",
    )
    outcome: Outcome = read_as(Outcome, fields | changes)
    return outcome


def sign_outcome(outcome: Outcome, evidence_envelope: bytes, signer: PrivateKey = KEYS.issuer) -> Envelope:
    evidence_file = hashlib.sha256(evidence_envelope).hexdigest()
    subjects = (("sample.evidence.dsse.json", evidence_file), ("medium", outcome.medium.commitment))
    return signed_as(outcome, signer, *subjects)


def build_summary(outcome: Outcome | None = None, **changes: Any) -> Summary:
    recorded = outcome if outcome is not None else build_outcome()
    outcome_digest = sign_outcome(recorded, sign_evidence(build_evidence()).write()).payload_digest
    fields = predicate_fields(
        "summary",
        purpose=recorded.purpose.value,
        deprovision=recorded.deprovision,
        issuer=KEYS.issuer.public.keyid,
        anchor=ANCHOR,
        host_commitment=recorded.host_commitment,
        custody=CUSTODY,
        media=[
            {
                "commitment": recorded.medium.commitment,
                "became": "erased",
                "outcome_digest": outcome_digest,
                "decision_digest": "not_applicable",
            }
        ],
        residue=residue_fields(),
        claim=claim_fields(),
        ended_at="2026-11-22T10:00:50Z",
        order_digests=[recorded.order_digest],
        issued_at="2026-11-22T10:00:50Z",
    )
    summary: Summary = read_as(Summary, fields | changes)
    return summary


def build_approval(operator: PrivateKey, /, **changes: Any) -> Envelope:
    """A yes of `operator` to the sample plan, in its envelope. `plan_digest` changes the subject too."""
    fields = predicate_fields(
        f"approval of {operator.public.keyid}",
        kind="approve",
        deprovision=DEPROVISION,
        plan_digest=build_plan().canonical_digest(),
        operator=operator.public.keyid,
        confirmation_digest=digest_of("what was typed"),
        request_digest="not_applicable",
        reason="The customer left and the grace period is over.",
        expires_at="2026-11-23T09:50:00Z",
        issued_at="2026-11-22T09:50:00Z",
    )
    approval: Approval = read_as(Approval, fields | changes)
    return signed_as(approval, operator, ("plan", approval.plan_digest))


def build_decision(operator: PrivateKey, /, **changes: Any) -> Envelope:
    """A decision of `operator`, in its envelope: without changes, to enrol Carol three days from then."""
    newcomer = KEYS.carol.public
    fields = predicate_fields(
        f"decision of {operator.public.keyid}",
        kind="enrol",
        operator=operator.public.keyid,
        on=hashlib.sha256(newcomer.raw).hexdigest(),
        choice="operator",
        reason="Carol joins the night shift.",
        document_digest="not_applicable",
        enrols=newcomer.raw.hex(),
        effective_at="2026-11-18T09:00:00Z",
        ledger_seq=12,
        issued_at="2026-11-15T09:00:00Z",
    )
    decision: Decision = read_as(Decision, fields | changes)
    return signed_as(decision, operator, ("key", decision.on))


def build_declaration(operator: PrivateKey, /, **changes: Any) -> Envelope:
    """A decision of `operator` that the sample host is in stock, in its envelope."""
    fields: dict[str, Any] = {
        "kind": "disposition",
        "on": digest_of("what was shown of the host"),
        "choice": "stock",
        "reason": "Delivered last week and never let.",
        "document_digest": HOST,
        "enrols": "not_applicable",
        "issued_at": "2026-11-21T12:00:00Z",
        "effective_at": "2026-11-21T12:00:00Z",
    }
    return build_decision(operator, **(fields | changes))


def references_to(envelopes: Iterable[Envelope]) -> list[dict[str, str]]:
    """How a basis names approvals or decisions."""
    return [
        {"digest": each.payload_digest, "keyid": json.loads(each.payload)["predicate"]["operator"]}
        for each in envelopes
    ]


def build_request(requester: PrivateKey, *approvers: PrivateKey, plan_digest: str) -> tuple[Envelope, ...]:
    """A request of one operator and what the others answer to just that."""
    asked = build_approval(requester, kind="request", plan_digest=plan_digest, nonce=nonce_of("request"))
    answered = (
        build_approval(approver, plan_digest=plan_digest, request_digest=asked.payload_digest)
        for approver in approvers
    )
    return (asked, *answered)


def build_manual(
    *,
    declarations: tuple[Envelope, ...] = (),
    approve: Callable[[str], tuple[Envelope, ...]] | None = None,
    enrolments: tuple[Envelope, ...] = (),
    plan: dict[str, Any] | None = None,
    basis: dict[str, Any] | None = None,
    **changes: Any,
) -> Delivery:
    """A wipe by hand as Alice requested it and Bob approved it. With `declarations` of a host in stock, else
    of one whose tenancy ended.
    """
    planned = build_plan(**({"tenancy_ref": "not_applicable"} if declarations else {}) | (plan or {}))
    digest = planned.canonical_digest()
    approvals = approve(digest) if approve else build_request(KEYS.alice, KEYS.bob, plan_digest=digest)
    grounds: dict[str, Any] = {"approvals": references_to(approvals), "approvals_required": 2}
    if declarations:
        listed = basis_fields()["tenancies"] | {"count": 0}
        grounds |= {
            "tenancies": listed,
            "answers": [],
            "disposition": "stock",
            "decisions": references_to(declarations),
        }
    ordered = {"plan": planned, "trigger": "manual", "basis": grounds | (basis or {})} | changes
    return build_delivery(
        build_order(**ordered), approvals=approvals, enrolments=enrolments, decisions=declarations
    )


def build_withdrawal(**changes: Any) -> Withdrawal:
    fields = predicate_fields(
        "withdrawal",
        signer=KEYS.order.public.keyid,
        order=ORDER_ID,
        order_digest=digest_of("order"),
        order_seq=4,
        token=nonce_of("token"),
        reason="NOT_DISPATCHED_IN_TIME",
    )
    withdrawal: Withdrawal = read_as(Withdrawal, fields | changes)
    return withdrawal


def build_absence(**changes: Any) -> Absence:
    fields = predicate_fields(
        "absence",
        order=ORDER_ID,
        token=nonce_of("token"),
        boot_id=BOOT_ID,
        agent_key=KEYS.agent.public.raw.hex(),
        is_final=True,
        reason="NEVER_BEGUN",
    )
    absence: Absence = read_as(Absence, fields | changes)
    return absence


def build_boot(**changes: Any) -> Boot:
    fields = predicate_fields(
        "boot",
        deprovision=DEPROVISION,
        boot_trust="virtual_media",
        signer=KEYS.boot.public.keyid,
        trust_root_digest=digest_of("trust root"),
        controller_ssh_keys=[KEYS.stranger.public.ssh_line],
        secret_digest=digest_of("secret"),
        expires_at="2026-11-22T12:00:00Z",
    )
    boot: Boot = read_as(Boot, fields | changes)
    return boot


def build_allocation(**changes: Any) -> Allocation:
    fields = predicate_fields(
        "allocation",
        issuer=KEYS.issuer.public.keyid,
        host_commitment=HOST,
        tenancy_ref=digest_of("tenancy"),
        subscription_ref=digest_of("subscription"),
        media=[medium_fields()],
        starts_at="2026-01-01T00:00:00Z",
        anchor="not_applicable",
    )
    allocation: Allocation = read_as(Allocation, fields | changes)
    return allocation


@dataclass
class SampleLog:
    """A log in memory: genesis and two allocations stand in it from the start."""

    trust: TrustRoot
    entries: list[Entry] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.append(trust_module.sign(self.trust, KEYS.root), LogKind.GENESIS)
        for number in range(2):
            allocation = build_allocation(nonce=nonce_of(f"allocation {number}"))
            self.append(signed_as(allocation, KEYS.issuer), LogKind.ALLOCATION)

    @property
    def leaf_hashes(self) -> list[bytes]:
        return [merkle.leaf_hash(entry.write()) for entry in self.entries]

    def append(self, envelope: Envelope, kind: LogKind) -> Entry:
        entry = Entry.of(envelope, kind=kind, seq=len(self.entries))
        self.entries.append(entry)
        return entry

    def checkpoint(self, signer: PrivateKey = KEYS.log) -> bytes:
        """The signed checkpoint over all entries."""
        hashes = self.leaf_hashes
        stated = Checkpoint(origin=self.trust.log.origin, size=len(hashes), root=merkle.root_hash(hashes))
        return log_checkpoint.sign(stated, signer)

    def proof(self, seq: int) -> Proof:
        """From the entry at `seq` to the checkpoint over all entries."""
        return Proof(
            index=seq,
            hashes=merkle.inclusion_proof(seq, self.leaf_hashes),
            checkpoint_note=self.checkpoint(),
        )


def build_delivery(
    order: Order | None = None,
    *,
    trust: TrustRoot | None = None,
    table: ValidationTable | None = None,
    approvals: tuple[Envelope, ...] = (),
    enrolments: tuple[Envelope, ...] = (),
    decisions: tuple[Envelope, ...] = (),
    signer: PrivateKey = KEYS.order,
    table_signer: PrivateKey = KEYS.root,
    **changes: Any,
) -> Delivery:
    """A delivery of `order` (the sample order where none is given), logged between other entries."""
    envelope = sign_order(order if order is not None else build_order(), signer)
    log = SampleLog(trust if trust is not None else build_trust())
    entry = log.append(envelope, LogKind.ORDER)
    log.append(signed_as(build_withdrawal(), KEYS.order), LogKind.WITHDRAWAL)
    proof = log.proof(entry.seq)
    table_envelope = signed_as(table if table is not None else build_table(), table_signer)
    fields: dict[str, Any] = {
        "order": envelope.write(),
        "log_entry": entry.write(),
        "proof": proof.hashes,
        "checkpoint": proof.checkpoint_note,
        "validation": table_envelope.write(),
        "approvals": tuple(approval.write() for approval in approvals),
        "enrolments": tuple(enrolment.write() for enrolment in enrolments),
        "decisions": tuple(decision.write() for decision in decisions),
    }
    return Delivery(**(fields | changes))


def with_field(model: Any, path: str, value: Any) -> Any:
    """`model` with the member at `path` replaced ("media.0.was_present"), validated again from JSON.

    A callable `value` receives the old JSON value; the string "" as path replaces nothing.
    """
    document = model.model_dump(mode="json", by_alias=True)
    place: Any = document
    *parents, last = path.split(".")
    for part in parents:
        place = place[int(part)] if isinstance(place, list) else place[part]
    key: Any = int(last) if isinstance(place, list) else last
    place[key] = value(place[key]) if callable(value) else value
    return type(model).model_validate_json(json.dumps(document))


# --- the fixtures: each returns a function of above, or a value that is frozen ------------------------------


@pytest.fixture(scope="session")
def now() -> datetime:
    return NOW


@pytest.fixture(scope="session")
def keys() -> Keys:
    return KEYS


@pytest.fixture(scope="session")
def medium() -> str:
    """The commitment of the sample medium; `medium_salt` and the serial open it."""
    return MEDIUM


@pytest.fixture(scope="session")
def medium_salt() -> bytes:
    return MEDIUM_SALT


@pytest.fixture(scope="session")
def trust() -> TrustRoot:
    return build_trust()


@pytest.fixture(scope="session")
def trust_bytes(trust: TrustRoot) -> bytes:
    return trust_module.sign(trust, KEYS.root).write()


@pytest.fixture
def log(trust: TrustRoot) -> SampleLog:
    return SampleLog(trust)


@pytest.fixture(scope="session")
def make_log() -> Callable[[TrustRoot], SampleLog]:
    return SampleLog


@pytest.fixture(scope="session")
def make_trust() -> Callable[..., TrustRoot]:
    return build_trust


@pytest.fixture(scope="session")
def make_table() -> Callable[..., ValidationTable]:
    return build_table


@pytest.fixture(scope="session")
def make_plan() -> Callable[..., Plan]:
    return build_plan


@pytest.fixture(scope="session")
def make_order() -> Callable[..., Order]:
    return build_order


@pytest.fixture(scope="session")
def make_evidence() -> Callable[..., Evidence]:
    return build_evidence


@pytest.fixture(scope="session")
def make_outcome() -> Callable[..., Outcome]:
    return build_outcome


@pytest.fixture(scope="session")
def make_summary() -> Callable[..., Summary]:
    return build_summary


@pytest.fixture(scope="session")
def make_approval() -> Callable[..., Envelope]:
    return build_approval


@pytest.fixture(scope="session")
def make_decision() -> Callable[..., Envelope]:
    return build_decision


@pytest.fixture(scope="session")
def make_declaration() -> Callable[..., Envelope]:
    return build_declaration


@pytest.fixture(scope="session")
def make_request() -> Callable[..., tuple[Envelope, ...]]:
    return build_request


@pytest.fixture(scope="session", name="references_to")
def references_to_fixture() -> Callable[..., list[dict[str, str]]]:
    return references_to


@pytest.fixture(scope="session")
def make_manual() -> Callable[..., Delivery]:
    return build_manual


@pytest.fixture(scope="session")
def make_absence() -> Callable[..., Absence]:
    return build_absence


@pytest.fixture(scope="session")
def make_boot() -> Callable[..., Boot]:
    return build_boot


@pytest.fixture(scope="session")
def make_allocation() -> Callable[..., Allocation]:
    return build_allocation


@pytest.fixture(scope="session")
def make_withdrawal() -> Callable[..., Withdrawal]:
    return build_withdrawal


@pytest.fixture(scope="session")
def make_delivery() -> Callable[..., Delivery]:
    return build_delivery


@pytest.fixture(scope="session")
def signed() -> Callable[..., Envelope]:
    """signed(predicate, signer, (name, digest), ...)"""
    return signed_as


@pytest.fixture(scope="session")
def signed_order() -> Callable[..., Envelope]:
    return sign_order


@pytest.fixture(scope="session")
def signed_evidence() -> Callable[..., Envelope]:
    return sign_evidence


@pytest.fixture(scope="session")
def signed_outcome() -> Callable[..., Envelope]:
    return sign_outcome


@pytest.fixture(scope="session")
def altered() -> Callable[[Model, str, Any], Any]:
    """altered(model, "path.to.0.member", value): the model with that one member replaced."""
    return with_field


@pytest.fixture(scope="session")
def samples() -> dict[str, Predicate]:
    """One valid predicate of each kind, by statement name."""
    envelopes = {"approval": build_approval(KEYS.alice), "decision": build_decision(KEYS.alice)}
    signed_kinds = {"approval": Approval, "decision": Decision}
    built: list[Predicate] = [
        build_order(),
        build_evidence(),
        build_outcome(),
        build_summary(),
        build_table(),
        build_withdrawal(),
        build_absence(),
        build_boot(),
        build_allocation(),
    ]
    built += [read(envelope.payload, signed_kinds[name]).predicate for name, envelope in envelopes.items()]
    return {predicate.statement_name: predicate for predicate in built}


@pytest.fixture(scope="session")
def techniques() -> Techniques:
    """Honest stories of every technique, and how to spoil them (tests/techniques.py)."""
    return Techniques(SimpleNamespace(**globals()))
