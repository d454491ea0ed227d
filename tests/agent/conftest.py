"""A laboratory: one machine with simulated drives, its agent, and a controller's hands.

`make_lab(...)` returns a `Lab`: `boot` it, ask it (`ask`), `order` its drives, `accept` the order and `run`
the execution. Everything passes the real session, the real delivery and the real simulated drives; nothing is
patched. Keys come from fixed seeds and guard nothing. An execution runs in the test's own process unless the
test starts `dying_executor.py`.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agent import boot as boot_module
from agent import executor, session, wiring
from agent.devices.simulated import Fault, SimulatedNvme
from agent.run_directory import BootRecord, RunDirectory, boottime_ms
from agent.tokens import TokenFolder
from agent.world import World
from certificate import assurance, envelope, messages, selection, trust
from certificate.commitment import host_commitment, host_fact_commitment, medium_commitment
from certificate.delivery import Delivery
from certificate.envelope import Envelope
from certificate.keys import PrivateKey
from certificate.log import checkpoint as log_checkpoint
from certificate.log import merkle
from certificate.log.checkpoint import Checkpoint
from certificate.log.entry import Entry, LogKind
from certificate.messages import (
    Ack,
    AskInventory,
    AskStatus,
    Execute,
    Hello,
    HelloAnswer,
    InventoryAnswer,
    JournalLine,
    Line,
    SaltedMedium,
    StatusAnswer,
)
from certificate.statements import (
    Approval,
    Boot,
    Decision,
    Evidence,
    Order,
    Plan,
    Purpose,
    ValidationTable,
    make,
    subject,
)
from certificate.statements.outcome import Claim
from certificate.statements.vocabulary import Method, OverwritePattern, ResidueName
from certificate.trust import TrustRoot

SECRET = hashlib.sha256(b"secret of the laboratory").digest()
DOMAIN = "hoster.example"
HOST_SALT = hashlib.sha256(b"salt of the host").digest()
DEPROVISION = "dep_" + "d1" * 16
CAPACITY_BYTES = 512 * 1024
FACTS = {
    "board_serial": "WM21AS000123",
    "chassis_serial": "C7461FK00NF0123",
    "dmi_uuid": "4c4c4544-0052-3510-8051-b4c04f4d3732",
    "nic_macs": "3c:ec:ef:00:00:01",
}
PLANTED = b"a tenant's secret, planted before the erase;"


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


class FakeTime:
    """A monotonic clock that moves only when somebody waits."""

    def __init__(self) -> None:
        self.ms = boottime_ms()

    def clock(self) -> int:
        return self.ms

    def pause(self, seconds: float) -> None:
        self.ms += max(1, int(seconds * 1000))


@dataclass
class Lab:
    """One machine under test and everything a controller would hold."""

    folder: Path
    drives: list[SimulatedNvme] = field(default_factory=list)
    record: BootRecord | None = None
    locks: list[int] = field(default_factory=list)
    fence: int = (1 << 32) + 1

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
        self.images = self.folder / "drives"
        self.images.mkdir()
        self.facts_file = self.folder / "facts.json"
        self.facts_file.write_text(json.dumps(FACTS))
        self.trust_root = self.folder / "trust-root.json"
        self.trust_root.write_bytes(trust.sign(self.root, key_of("root")).write())
        self.run_directory = RunDirectory(self.folder / "run")

    # --- the machine ----------------------------------------------------------------------------------------

    def add_drive(self, serial: str, *faults: str, **settings: Any) -> SimulatedNvme:
        arguments: dict[str, Any] = {
            "serial": serial,
            "model": "SIM NVME 1",
            "firmware": "1.0",
            "capacity_bytes": CAPACITY_BYTES,
            "random": os.urandom,
            "faults": [Fault(fault) for fault in faults],
        }
        drive = SimulatedNvme.create(self.images / serial, **(arguments | settings))
        # More pages than there are markers, so that no marker alone can hide the text.
        drive.write(1, 8 * 4096, (PLANTED * 100)[:4096] * 64)
        self.drives.append(drive)
        return drive

    def config(self, **changes: Any) -> bytes:
        """The signed boot configuration."""
        fields = frame(
            deprovision=DEPROVISION,
            boot_trust="virtual_media",
            signer=key_of("boot").public.keyid,
            trust_root_digest=trust.fingerprint(self.trust_root.read_bytes()),
            controller_ssh_keys=[key_of("controller").public.ssh_line],
            secret_digest=hashlib.sha256(SECRET).hexdigest(),
            expires_at=text_of(now_utc() + timedelta(hours=1)),
        )
        statement = make(read_as(Boot, fields | changes), (subject("boot-secret", digest_of("s")),))
        return envelope.sign(statement.payload(), key_of("boot")).write()

    def boot_files(self, config: bytes | None = None, secret: bytes = SECRET) -> boot_module.BootFiles:
        config_file, secret_file = self.folder / "config.json", self.folder / "secret"
        config_file.write_bytes(config if config is not None else self.config())
        secret_file.write_bytes(secret)
        return boot_module.BootFiles(
            config=config_file,
            secret=secret_file,
            trust_root=self.trust_root,
            only_images=self.images,
            host_facts=self.facts_file,
        )

    def boot(self, config: bytes | None = None, secret: bytes = SECRET) -> BootRecord:
        """A start of the agent; a second one is a restart."""
        self.record = boot_module.boot(
            self.run_directory,
            self.boot_files(config, secret),
            now=now_utc(),
            session=("expunge-agent", "session"),
        )
        return self.record

    # --- the session ----------------------------------------------------------------------------------------

    def ask(self, line: Line, launcher: wiring.Launcher | None = None) -> Line:
        """One request, its only answer."""
        answers = io.BytesIO()
        code = session.serve(
            self.run_directory,
            request=io.BytesIO(line.write()),
            answers=answers,
            launcher=launcher or self.keep_lock,
        )
        lines = answers.getvalue().splitlines(keepends=True)
        assert (code, len(lines)) == (0, 1), (code, lines)
        return messages.read_answer(lines[0])

    def keep_lock(self, run: RunDirectory, token: str, lock: int, is_attached: bool) -> None:
        """A launcher that starts nothing: the test's own process holds the lock, `run` goes on with it."""
        self.locks.append(os.dup(lock))

    def hello(self, purpose: str = "order") -> HelloAnswer:
        answer = self.ask(Hello(controller_nonce=os.urandom(32).hex(), purpose=purpose))
        assert isinstance(answer, HelloAnswer)
        return answer

    def inventory(self) -> InventoryAnswer:
        answer = self.ask(AskInventory())
        assert isinstance(answer, InventoryAnswer), answer
        return answer

    def status(self, token: str, *, finalise: bool = False) -> StatusAnswer:
        answer = self.ask(AskStatus(token=token, finalise=finalise))
        assert isinstance(answer, StatusAnswer), answer
        return answer

    # --- the controller -------------------------------------------------------------------------------------

    def table(self) -> ValidationTable:
        fields = frame(
            version=1,
            rules=[
                {
                    "data_class": "default",
                    "floor": "purge",
                    "approvals_required": 0,
                    "overwrite": "keystream",
                    "read_back": "full",
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

    def plan(self, inventory: InventoryAnswer, **changes: Any) -> Plan:
        assert self.record is not None
        media = []
        for drive in inventory.drives:
            capabilities = selection.capabilities(drive)
            media.append(
                {
                    "commitment": self.commitment(drive.serial),
                    "transport": drive.transport,
                    "attachment": drive.attachment,
                    "kind": selection.media_kind(capabilities).value,
                    "capacity_bytes": drive.capacity_bytes,
                    "firmware": drive.firmware,
                    "techniques": [
                        each.value
                        for each in selection.select(
                            capabilities, Method.PURGE, overwrite=OverwritePattern.KEYSTREAM
                        )
                    ],
                    "layers": [
                        {"kind": each.kind, "nsid": each.nsid, "offset_bytes": each.offset_bytes}
                        for each in drive.layers
                    ],
                }
            )
        fields = {
            "schema": 1,
            "deprovision": DEPROVISION,
            "tenancy_ref": digest_of("tenancy"),
            "host_commitment": self.host()["commitment"],
            "boot_id": self.record.boot_id,
            "media": media,
            "floor": "purge",
            "overwrite": "keystream",
            "read_back": "full",
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
        named = serials if serials is not None else [drive.state().serial for drive in self.drives]
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

    def accept(self, order: Order | None = None) -> Order:
        """An accepted order, whose lock this process now holds."""
        accepted = order or self.order()
        answer = self.ask(self.request(accepted))
        assert isinstance(answer, messages.Accepted), answer
        return accepted

    # --- the execution --------------------------------------------------------------------------------------

    def run(
        self,
        order: Order,
        *,
        is_attached: bool = False,
        after: Callable[[JournalLine], None] | None = None,
        world: World | None = None,
        may_ack: Callable[[JournalLine], bool] = lambda line: True,
    ) -> None:
        """The execution in this process, acknowledged by a controller that answers at once."""

        def after_append(line: JournalLine) -> None:
            if after is not None:
                after(line)
            if line.needs_ack and may_ack(line):
                self.ack(order, line)

        lock = self.locks.pop() if self.locks else None
        executor.execute(
            self.run_directory,
            order.token,
            lock=lock,
            is_attached=is_attached,
            world=world or quick_world(),
            after_append=after_append,
        )

    def ack(self, order: Order, line: JournalLine, **changes: Any) -> Line:
        assert self.record is not None
        fields: dict[str, Any] = {
            "token": order.token,
            "boot_id": self.record.boot_id,
            "seq": line.seq,
            "step": line.step,
        }
        return self.ask(Ack(**(fields | changes)))

    def token_folder(self, order: Order) -> TokenFolder:
        return TokenFolder(self.run_directory.tokens_folder / order.token)

    def journal(self, order: Order) -> tuple[JournalLine, ...]:
        return self.token_folder(order).journal().lines

    def kinds(self, order: Order) -> list[str]:
        return [line.kind for line in self.journal(order)]

    def evidence(self, order: Order) -> Evidence:
        """The evidence of the journal, its signature checked as a verifier does."""
        line = next(line for line in self.journal(order) if line.kind == "evidence")
        statement, _ = self.root.open_evidence(line.body["envelope"].encode(), boot_id=order.boot_id)
        return statement.predicate

    def claim(self, order: Order, serial: str) -> Claim:
        return assurance.judge(order=order, evidence=self.evidence(order), commitment=self.commitment(serial))

    def close(self) -> None:
        for lock in self.locks:
            os.close(lock)


def quick_world() -> World:
    """Real clocks, and waits cut short: simulated drives move by polls."""
    return World(
        clock=boottime_ms,
        now=lambda: datetime.now(UTC),
        pause=lambda seconds: time.sleep(min(seconds, 0.002)),
        random_bytes=os.urandom,
    )


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


@pytest.fixture
def make_lab(tmp_path: Path) -> Iterator[Callable[..., Lab]]:
    """`make_lab("SERIAL", ..., faults=("lies",))`: a booted machine with these drives and faults."""
    labs: list[Lab] = []

    def build(*serials: str, faults: tuple[str, ...] = (), is_booted: bool = True, **settings: Any) -> Lab:
        folder = tmp_path / f"lab-{len(labs)}"
        folder.mkdir()
        lab = Lab(folder)
        labs.append(lab)
        for serial in serials or ("SN-1",):
            lab.add_drive(serial, *faults, **settings)
        if is_booted:
            lab.boot()
        return lab

    yield build
    for lab in labs:
        lab.close()


@pytest.fixture
def fake_time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def make_world() -> Callable[..., World]:
    """`make_world(fake_time)`: a world whose clock moves only by waiting; without one, quick and real."""

    def build(fake: FakeTime | None = None) -> World:
        if fake is None:
            return quick_world()
        return World(
            clock=fake.clock, now=lambda: datetime.now(UTC), pause=fake.pause, random_bytes=os.urandom
        )

    return build
