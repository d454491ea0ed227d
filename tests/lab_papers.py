"""What a controller and its people write: keys, table, plan, order, delivery, approvals. For the laboratory.

Everything here is signed with keys from fixed seeds, which guard nothing, and read by the real code.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from agent.run_directory import BootRecord
from certificate import envelope, selection, trust
from certificate.commitment import host_commitment, host_fact_commitment, medium_commitment
from certificate.delivery import Delivery
from certificate.envelope import Envelope
from certificate.keys import PrivateKey
from certificate.log import checkpoint as log_checkpoint
from certificate.log import merkle
from certificate.log.checkpoint import Checkpoint
from certificate.log.entry import Entry, LogKind
from certificate.messages import DriveReport, Execute, HelloAnswer, InventoryAnswer, SaltedMedium
from certificate.statements import (
    Approval,
    Decision,
    Order,
    Plan,
    Purpose,
    ValidationTable,
    make,
    subject,
)
from certificate.statements.vocabulary import Escrow, Method, OverwritePattern, ResidueName
from certificate.trust import TrustRoot

DOMAIN = "hoster.example"
HOST_SALT = hashlib.sha256(b"salt of the host").digest()
DEPROVISION = "dep_" + "d1" * 16
FACTS = {
    "board_serial": "WM21AS000123",
    "chassis_serial": "C7461FK00NF0123",
    "dmi_uuid": "4c4c4544-0052-3510-8051-b4c04f4d3732",
    "nic_macs": "3c:ec:ef:00:00:01",
}


def key_of(name: str) -> PrivateKey:
    return PrivateKey.from_seed(hashlib.sha256(name.encode()).digest())


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def now_utc() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def text_of(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def read_as(kind: type[Any], fields: dict[str, Any]) -> Any:
    return kind.model_validate_json(json.dumps(fields, default=str))


def frame(**fields: Any) -> dict[str, Any]:
    return {
        "schema": 1,
        "purpose": "production",
        "nonce": os.urandom(16).hex(),
        "issued_at": text_of(now_utc()),
        **fields,
    }


def signed_by(person: str, predicate: Any, about: tuple[str, str]) -> Envelope:
    return envelope.sign(make(predicate, (subject(*about),)).payload(), key_of(person))


def references_to(envelopes: tuple[Envelope, ...]) -> list[dict[str, str]]:
    """How a basis names approvals or decisions."""
    return [
        {"digest": each.payload_digest, "keyid": json.loads(each.payload)["predicate"]["operator"]}
        for each in envelopes
    ]


@dataclass
class Papers:
    """The documents about one machine. `floor`, `overwrite` and `read_back`: the rule of its data class."""

    folder: Path
    record: BootRecord | None = None
    fence: int = (1 << 32) + 1
    floor: str = "purge"
    overwrite: str = "keystream"
    read_back: str = "full"
    #: Every drive that was put into the machine.
    serials: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.root = TrustRoot.new(
            purpose=Purpose.PRODUCTION,
            domain=DOMAIN,
            nonce="0" * 32,
            created_at=now_utc() - timedelta(days=1),
            expires_at=now_utc() + timedelta(days=1),
            root_key=key_of("root").public,
            order_key=key_of("order").public,
            issuer_key=key_of("issuer").public,
            boot_key=key_of("boot").public,
            log_key=key_of("log").public,
            operators=(key_of("alice").public, key_of("bob").public),
            erase_images=(),
        )

    def hello(self, purpose: str = "order") -> HelloAnswer:
        raise NotImplementedError

    def inventory(self) -> InventoryAnswer:
        raise NotImplementedError

    def table(self) -> ValidationTable:
        fields = frame(
            version=1,
            rules=[
                {
                    "data_class": "default",
                    "floor": self.floor,
                    "approvals_required": 0,
                    "overwrite": self.overwrite,
                    "read_back": self.read_back,
                    "escrow": "unknown",
                }
            ],
            rows=[],
            otherwise="escalate",
            nonce="7" * 32,
            issued_at="2026-01-01T00:00:00Z",
        )
        table: ValidationTable = read_as(ValidationTable, fields)
        return table

    def signed_table(self) -> envelope.Envelope:
        statement = make(self.table(), (subject("table", digest_of("table")),))
        return envelope.sign(statement.payload(), key_of("root"))

    def salt(self, serial: str) -> bytes:
        return hashlib.sha256(f"salt of {serial}".encode()).digest()

    def commitment(self, serial: str) -> str:
        return medium_commitment(salt=self.salt(serial), serial=serial)

    def host(self) -> dict[str, Any]:
        facts = [
            {"kind": kind, "commitment": host_fact_commitment(salt=HOST_SALT, kind=kind, value=value)}
            for kind, value in FACTS.items()
        ]
        whole = host_commitment((fact["kind"], fact["commitment"]) for fact in facts)
        return {"commitment": whole, "facts": facts}

    def planned(self, drive: DriveReport) -> dict[str, Any]:
        """One medium of the plan, as a controller computes it."""
        capabilities = selection.capabilities(drive)
        techniques = selection.select(
            capabilities,
            Method(self.floor),
            overwrite=OverwritePattern(self.overwrite),
            escrow=Escrow.UNKNOWN,
        )
        return {
            "commitment": self.commitment(drive.serial),
            "transport": drive.transport,
            "attachment": drive.attachment,
            "kind": selection.media_kind(capabilities).value,
            "capacity_bytes": drive.capacity_bytes,
            "firmware": drive.firmware,
            "techniques": [each.value for each in techniques],
            "layers": [
                {"kind": each.kind, "nsid": each.nsid, "offset_bytes": each.offset_bytes}
                for each in drive.layers
            ],
        }

    def plan(self, inventory: InventoryAnswer, **changes: Any) -> Plan:
        assert self.record is not None
        fields = {
            "schema": 1,
            "deprovision": DEPROVISION,
            "tenancy_ref": digest_of("tenancy"),
            "host_commitment": self.host()["commitment"],
            "boot_id": self.record.boot_id,
            "media": [self.planned(drive) for drive in inventory.drives],
            "floor": self.floor,
            "overwrite": self.overwrite,
            "read_back": self.read_back,
            "data_class": "default",
            "residue": [name.value for name in ResidueName],
            "validation_digest": self.signed_table().payload_digest,
            "policy_digest": digest_of("policy"),
        }
        plan: Plan = read_as(Plan, fields | changes)
        return plan

    def order(self, hello: HelloAnswer | None = None, **changes: Any) -> Order:
        """An order for all drives of the inventory and a fresh hello, with a token and fence of its own."""
        assert self.record is not None
        answered = hello or self.hello()
        plan: Plan = changes.pop("plan", None) or self.plan(self.inventory())
        self.fence += 1
        token = os.urandom(16).hex()
        fields = frame(
            order="ord_" + os.urandom(16).hex(),
            deprovision=DEPROVISION,
            attempt=1,
            continues="not_applicable",
            token=token,
            fence=self.fence,
            boot_id=self.record.boot_id,
            boot_trust="virtual_media",
            boot_config_digest=self.record.config_digest,
            observer="on_host",
            hello_nonce=answered.hello_nonce,
            valid_for_s=600,
            trigger="ended",
            host=self.host(),
            plan=plan.model_dump(mode="json", by_alias=True),
            plan_digest=plan.canonical_digest(),
            escrow="unknown",
            basis=_basis(),
            anchor={
                "origin": self.root.log.origin,
                "size": 1,
                "root": digest_of("anchor"),
            },
            controller_version="0.1.0",
            signer=key_of("order").public.keyid,
        )
        order: Order = read_as(Order, fields | changes)
        return order

    def delivery(
        self,
        order: Order,
        *,
        approvals: tuple[Envelope, ...] = (),
        enrolments: tuple[Envelope, ...] = (),
        decisions: tuple[Envelope, ...] = (),
    ) -> Delivery:
        statement = make(order, (subject("order", order.plan_digest),))
        signed = envelope.sign(statement.payload(), key_of("order"))
        genesis = Entry.of(trust.sign(self.root, key_of("root")), kind=LogKind.GENESIS, seq=0)
        entry = Entry.of(signed, kind=LogKind.ORDER, seq=1)
        hashes = [merkle.leaf_hash(each.write()) for each in (genesis, entry)]
        stated = Checkpoint(origin=self.root.log.origin, size=2, root=merkle.root_hash(hashes))
        return Delivery(
            order=signed.write(),
            log_entry=entry.write(),
            proof=tuple(merkle.inclusion_proof(1, hashes)),
            checkpoint=log_checkpoint.sign(stated, key_of("log")),
            validation=self.signed_table().write(),
            approvals=tuple(each.write() for each in approvals),
            enrolments=tuple(each.write() for each in enrolments),
            decisions=tuple(each.write() for each in decisions),
        )

    def request(self, order: Order, *, serials: list[str] | None = None, **people: Any) -> Execute:
        """`people`: the approvals, enrolments and decisions that travel along."""
        named = serials if serials is not None else self.serials
        return Execute(
            delivery=self.delivery(order, **people).to_line(),
            host_salt=HOST_SALT.hex(),
            media_salts=tuple(
                SaltedMedium(commitment=self.commitment(serial), salt=self.salt(serial).hex())
                for serial in named
            ),
        )

    # --- the people -----------------------------------------------------------------------------------------

    def approval(self, person: str, plan: Plan, **changes: Any) -> Envelope:
        """What `person` says to this plan: yes, unless `changes` make it a request."""
        fields = frame(
            kind="approve",
            deprovision=DEPROVISION,
            plan_digest=plan.canonical_digest(),
            operator=key_of(person).public.keyid,
            confirmation_digest=digest_of("what was typed"),
            request_digest="not_applicable",
            reason="The host goes back to the pool.",
            expires_at=text_of(now_utc() + timedelta(hours=1)),
        )
        approval = read_as(Approval, fields | changes)
        return signed_by(person, approval, ("plan", approval.plan_digest))

    def asked_and_answered(self, plan: Plan, requester: str, *approvers: str) -> tuple[Envelope, ...]:
        """A request of one person and the answers of others to just that."""
        asked = self.approval(requester, plan, kind="request")
        answers = (self.approval(each, plan, request_digest=asked.payload_digest) for each in approvers)
        return (asked, *answers)

    def decision(self, person: str, **changes: Any) -> Envelope:
        """A declaration of `person` that this host is in stock, unless `changes` make it something else."""
        fields = frame(
            kind="disposition",
            operator=key_of(person).public.keyid,
            on=digest_of("what was shown of the host"),
            choice="stock",
            reason="Never let.",
            document_digest=self.host()["commitment"],
            enrols="not_applicable",
            effective_at=text_of(now_utc()),
            ledger_seq=12,
        )
        decision = read_as(Decision, fields | changes)
        return signed_by(person, decision, ("decided-on", decision.on))

    def enrolment(self, sponsor: str, newcomer: str, **changes: Any) -> Envelope:
        """A decision of `sponsor` that `newcomer` counts at once."""
        raw = key_of(newcomer).public.raw
        key = {
            "enrols": raw.hex(),
            "on": hashlib.sha256(raw).hexdigest(),
            "document_digest": "not_applicable",
        }
        return self.decision(sponsor, **({"kind": "enrol", "choice": "operator"} | key | changes))

    def by_hand(
        self,
        approve: Callable[[Plan], tuple[Envelope, ...]],
        *,
        enrolments: tuple[Envelope, ...] = (),
        declarations: tuple[Envelope, ...] = (),
        basis: dict[str, Any] | None = None,
        **changes: Any,
    ) -> tuple[Order, Execute]:
        """A manual order as people approved its plan; with `declarations`, of a host in stock."""
        hello = self.hello()
        plan = self.plan(self.inventory(), **({"tenancy_ref": "not_applicable"} if declarations else {}))
        approvals = approve(plan)
        grounds = _basis() | {"approvals": references_to(approvals), "approvals_required": 2}
        if declarations:
            listed = grounds["tenancies"] | {"count": 0}
            never_let = {"tenancies": listed, "answers": [], "disposition": "stock"}
            grounds |= never_let | {"decisions": references_to(declarations)}
        ordered = {"plan": plan, "trigger": "manual", "basis": grounds | (basis or {})} | changes
        order = self.order(hello, **ordered)
        request = self.request(order, approvals=approvals, enrolments=enrolments, decisions=declarations)
        return order, request


def _basis() -> dict[str, Any]:
    asked = {"asked_at": text_of(now_utc()), "answered_at": text_of(now_utc())}
    return {
        "tenancies": {
            "source": "billing",
            "is_complete": "yes",
            "count": 1,
            "answer_digest": digest_of("tenancies"),
            "sequence": 40,
            **asked,
        },
        "answers": [
            {
                "tenancy_ref": digest_of("tenancy"),
                "subscription_ref": digest_of("subscription"),
                "source": "billing",
                "state": "ended",
                "changed_at": "not_observed",
                "answer_digest": digest_of("answer"),
                "sequence": 41,
                **asked,
            }
        ],
        "policy_version": 3,
        "policy_digest": digest_of("policy"),
        "disposition": "rented",
        "quarantine": "not_applicable",
        "approvals_required": 0,
        "approvals": [],
        "decisions": [],
        "limits": [],
        "is_frozen": "no",
        "holds": "no",
        "notices": [],
        "ledger_seq": 117,
        "ledger_head": digest_of("ledger"),
    }
