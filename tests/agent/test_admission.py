"""May this order be obeyed here and now: one change at a time, and its refusal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from agent import admission
from agent.admission import Machine
from agent.devices.emulated import EmulatedTransport
from agent.devices.nvme import Completion
from agent.devices.simulated import Namespace
from agent.run_directory import BootRecord, FenceRecord
from certificate.commitment import host_commitment
from certificate.errors import Refused
from certificate.messages import CapabilityReport, HostFactReport, LayerReport, SaltedMedium
from certificate.selection import KEYS_ONLY
from certificate.statements import Order, Seen
from certificate.statements.vocabulary import Technique


@pytest.fixture
def lab(make_lab: Any) -> Any:
    return make_lab("SN-1", "SN-2")


@pytest.fixture
def order(lab: Any) -> Order:
    found: Order = lab.order()
    return found


@pytest.fixture
def machine(lab: Any, order: Order) -> Machine:
    """The machine exactly as the order was planned for it."""
    inventory, request = lab.inventory(), lab.request(order)
    return Machine(
        boot=lab.record,
        fence=FenceRecord(highest=-1, token=""),
        host_facts=inventory.host_facts,
        drives=inventory.drives,
        host_salt=request.host_salt,
        media_salts=request.media_salts,
    )


def code_of(order: Order, machine: Machine) -> str:
    with pytest.raises(Refused) as caught:
        admission.admit(order, machine)
    return caught.value.code.value


def facts(machine: Machine, **values: str) -> Machine:
    told = {fact.kind: fact.value for fact in machine.host_facts} | values
    kept = {kind: value for kind, value in told.items() if value}
    return replace(
        machine, host_facts=tuple(HostFactReport(kind=kind, value=value) for kind, value in kept.items())
    )


def first_drive(machine: Machine, **changes: Any) -> Machine:
    return replace(machine, drives=(replace(machine.drives[0], **changes), *machine.drives[1:]))


def booted(machine: Machine, **changes: Any) -> Machine:
    """Started otherwise: a record of the run directory is no dataclass (`BareLine`)."""
    return replace(machine, boot=BootRecord(**(vars(machine.boot) | changes)))


def without_word(machine: Machine, field: str) -> Machine:
    words = tuple(word for word in machine.drives[0].capabilities if word.field != field)
    return first_drive(machine, capabilities=words)


def with_word(machine: Machine, field: str, raw: str) -> Machine:
    words = tuple(
        CapabilityReport(field=field, raw=raw) if word.field == field else word
        for word in machine.drives[0].capabilities
    )
    return first_drive(machine, capabilities=words)


def test_the_machine_that_was_planned_for_is_admitted(order: Order, machine: Machine) -> None:
    admitted = admission.admit(order, machine)
    assert [medium.drive for medium in admitted.media] == [0, 1]
    assert [fact.agrees for fact in admitted.host_facts] == [Seen.YES] * 4


def test_drives_are_found_whatever_their_order(order: Order, machine: Machine) -> None:
    turned = replace(machine, drives=machine.drives[::-1])
    assert [medium.drive for medium in admission.admit(order, turned).media] == [1, 0]


LAYER = LayerReport(
    kind="luks2",
    nsid=1,
    offset_bytes=0,
    area_bytes=1 << 24,
    header_copies=2,
    key_slots=1,
    tokens=0,
    is_detached=False,
)
MACHINES: dict[str, tuple[Callable[[Machine], Machine], str]] = {
    "another boot": (lambda m: booted(m, boot_id="1" * 64), "ORDER_FOR_ANOTHER_BOOT"),
    "another configuration": (
        lambda m: booted(m, config_digest="1" * 64),
        "BOOT_MISMATCH",
    ),
    "weaker boot trust": (lambda m: booted(m, boot_trust="network"), "BOOT_MISMATCH"),
    "another deprovision": (
        lambda m: booted(m, deprovision="dep_" + "0" * 32),
        "BOOT_MISMATCH",
    ),
    "another purpose": (
        lambda m: booted(m, purpose="demonstration"),
        "BOOT_MISMATCH",
    ),
    "one fact differs": (lambda m: facts(m, board_serial="OTHER-1"), "HOST_MISMATCH"),
    "only two facts": (lambda m: facts(m, board_serial="", dmi_uuid=""), "HOST_UNIDENTIFIED"),
    "no facts": (lambda m: replace(m, host_facts=()), "HOST_UNIDENTIFIED"),
    "placeholders instead of facts": (
        lambda m: facts(m, board_serial="Default string", dmi_uuid="To Be Filled By O.E.M."),
        "HOST_UNIDENTIFIED",
    ),
    "another host salt": (lambda m: replace(m, host_salt="1" * 64), "HOST_MISMATCH"),
    "a short host salt": (lambda m: replace(m, host_salt="11"), "LINE_INVALID"),
    "a drive missing": (lambda m: replace(m, drives=m.drives[:1]), "DRIVE_MISSING"),
    "no drives": (lambda m: replace(m, drives=()), "DRIVE_MISSING"),
    "a drive too many": (
        lambda m: replace(m, drives=(*m.drives, replace(m.drives[0], serial="SN-3"))),
        "DRIVE_UNEXPECTED",
    ),
    "a nameless drive too many": (
        lambda m: replace(m, drives=(*m.drives, replace(m.drives[0], serial="", refused="DRIVE_UNREADABLE"))),
        "DRIVE_UNEXPECTED",
    ),
    "two drives of one serial": (
        lambda m: replace(m, drives=(*m.drives, m.drives[0])),
        "DRIVE_DUPLICATE",
    ),
    "a drive swapped": (lambda m: first_drive(m, serial="SN-9"), "DRIVE_MISSING"),
    "other capacity": (lambda m: first_drive(m, capacity_bytes=4096), "DRIVE_CHANGED"),
    "other firmware": (lambda m: first_drive(m, firmware="2.0"), "DRIVE_CHANGED"),
    "attached otherwise": (lambda m: first_drive(m, attachment="removable"), "DRIVE_CHANGED"),
    "a layer no plan names": (lambda m: first_drive(m, layers=(LAYER,)), "DRIVE_CHANGED"),
    "other transport": (lambda m: first_drive(m, transport="sata"), "DRIVE_CHANGED"),
    "refused by the inventory": (lambda m: first_drive(m, refused="SANITIZE_RUNNING"), "DRIVE_REFUSED"),
    "write-protected": (lambda m: first_drive(m, is_write_protected=True), "TECHNIQUE_UNAVAILABLE"),
    "cryptographic erase gone": (lambda m: with_word(m, "SANICAP", "02000000"), "SELECTION_DIFFERS"),
    "block erase gone": (lambda m: with_word(m, "SANICAP", "01000000"), "SELECTION_DIFFERS"),
    "capability word gone": (lambda m: without_word(m, "SANICAP"), "TECHNIQUE_UNAVAILABLE"),
    "a salt missing": (lambda m: replace(m, media_salts=m.media_salts[:1]), "PLAN_MISMATCH"),
    "a salt twice": (lambda m: replace(m, media_salts=(*m.media_salts, m.media_salts[0])), "PLAN_MISMATCH"),
    "a salt for another medium": (
        lambda m: replace(
            m, media_salts=(*m.media_salts[:1], SaltedMedium(commitment="0" * 64, salt="0" * 64))
        ),
        "PLAN_MISMATCH",
    ),
    "a newer fence": (
        lambda m: replace(m, fence=FenceRecord(highest=1 << 40, token="ee" * 16)),
        "FENCE_STALE",
    ),
}


@pytest.mark.parametrize("name", MACHINES)
def test_a_machine_that_differs_is_refused(order: Order, machine: Machine, name: str) -> None:
    change, code = MACHINES[name]
    assert code_of(order, change(machine)) == code


def test_a_fact_this_machine_cannot_read_does_not_contradict(order: Order, machine: Machine) -> None:
    """Three agree and the fourth was not read: obeyed, and the evidence says not_observed."""
    admitted = admission.admit(order, facts(machine, board_serial=""))
    agrees = {fact.kind.value: fact.agrees for fact in admitted.host_facts}
    assert agrees["board_serial"] is Seen.NOT_OBSERVED
    assert list(agrees.values()).count(Seen.YES) == 3


def test_an_order_for_an_agent_beside_the_machine_is_refused(lab: Any, machine: Machine) -> None:
    assert code_of(lab.order(observer="beside"), machine) == "BOOT_MISMATCH"


def test_the_same_fact_three_times_is_one_fact(lab: Any, machine: Machine) -> None:
    """Three commitments of one kind agree, and still nobody knows which machine this is."""
    host = lab.host()
    one = [fact for fact in host["facts"] if fact["kind"] == "dmi_uuid"] * 3
    whole = host_commitment((fact["kind"], fact["commitment"]) for fact in one)
    plan = lab.plan(lab.inventory(), host_commitment=whole)
    order = lab.order(plan=plan, host={"commitment": whole, "facts": one})
    assert code_of(order, machine) == "HOST_UNIDENTIFIED"


def test_a_plan_that_names_a_medium_twice_is_refused(lab: Any, machine: Machine) -> None:
    media = lab.plan(lab.inventory()).model_dump(mode="json", by_alias=True)["media"]
    order = lab.order(plan=lab.plan(lab.inventory(), media=[media[0], media[0]]))
    assert code_of(order, machine) == "DRIVE_DUPLICATE"


def test_techniques_in_another_order_than_the_drives_own_are_refused(lab: Any, machine: Machine) -> None:
    media = lab.plan(lab.inventory()).model_dump(mode="json", by_alias=True)["media"]
    for medium in media:
        medium["techniques"].reverse()
    assert code_of(lab.order(plan=lab.plan(lab.inventory(), media=media)), machine) == "SELECTION_DIFFERS"


def test_a_cryptographic_erase_is_refused_where_the_order_says_that_copies_of_keys_are_kept(
    lab: Any, machine: Machine
) -> None:
    """The provider's own selection would have left it out; an agent obeys no other."""
    lab_plan = lab.plan(lab.inventory())
    assert code_of(lab.order(plan=lab_plan, escrow="known"), machine) == "SELECTION_DIFFERS"
    media = lab_plan.model_dump(mode="json", by_alias=True)["media"]
    for medium in media:
        medium["techniques"] = [each for each in medium["techniques"] if each not in KEYS_ONLY]
    admission.admit(lab.order(plan=lab.plan(lab.inventory(), media=media), escrow="known"), machine)


def test_a_host_that_is_not_the_plans_is_refused(lab: Any, machine: Machine) -> None:
    plan = lab.plan(lab.inventory(), host_commitment="1" * 64)
    assert code_of(lab.order(plan=plan), machine) == "PLAN_MISMATCH"


def test_more_drives_than_one_line_of_evidence_can_report_are_refused(order: Order, machine: Machine) -> None:
    many = [replace(machine.drives[0], serial=f"SN-{number}") for number in range(41)]
    assert code_of(order, replace(machine, drives=tuple(many))) == "TOO_MANY_DRIVES"
    assert code_of(order, replace(machine, drives=tuple(many[:40]))) == "DRIVE_UNEXPECTED"


def with_layers(lab: Any, *layers: dict[str, Any]) -> Order:
    media = lab.plan(lab.inventory()).model_dump(mode="json", by_alias=True)["media"]
    media[0]["layers"] = list(layers)
    found: Order = lab.order(plan=lab.plan(lab.inventory(), media=media))
    return found


PLANNED_LAYER = {"kind": "luks2", "nsid": 1, "offset_bytes": 0}


def test_a_planned_layer_that_the_drive_shows_is_admitted(lab: Any, machine: Machine) -> None:
    shown = first_drive(machine, layers=(LAYER,))
    assert admission.admit(with_layers(lab, PLANNED_LAYER), shown)


@pytest.mark.parametrize("change", [{"kind": "luks1"}, {"nsid": 2}, {"offset_bytes": 512}])
def test_a_planned_layer_elsewhere_or_of_another_kind_is_refused(
    lab: Any, machine: Machine, change: dict[str, Any]
) -> None:
    order = with_layers(lab, PLANNED_LAYER | change)
    assert code_of(order, first_drive(machine, layers=(LAYER,))) == "DRIVE_CHANGED"


def test_a_planned_layer_that_is_gone_is_refused(lab: Any, machine: Machine) -> None:
    assert code_of(with_layers(lab, PLANNED_LAYER), machine) == "DRIVE_CHANGED"


@pytest.mark.parametrize("attachment", ["remote", "removable", "virtual"])
def test_storage_that_is_not_the_machines_own_is_admitted_where_the_order_names_it_so(
    plain_lab: Any, attachment: str
) -> None:
    plain_lab.add_plain("PL-1", attachment=attachment)
    order = plain_lab.accept()
    assert order.plan.media[0].attachment.value == attachment
    plain_lab.run(order)
    assert plain_lab.evidence(order).media[0].attachment.value == attachment


def test_a_drive_that_may_hold_a_namespace_nobody_listed_is_not_erased(
    make_lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    spaces = (Namespace(nsid=1, blocks=512), Namespace(nsid=2, blocks=512))
    lab = make_lab("SN-1", namespaces=spaces, has_crypto_erase=False, has_block_erase=False)
    lab.floor = "clear"
    order = lab.order()
    real = EmulatedTransport.submit

    def one_controller_of_two(self: EmulatedTransport, sqe: bytes, data: bytes | int) -> Completion:
        answer = real(self, sqe, data)
        page = bytearray(answer.data)
        if (sqe[0], sqe[40]) == (0x06, 0x01):
            page[280:296], page[256], page[76] = bytes(16), page[256] & ~0x08, 0x02
        if (sqe[0], sqe[40]) == (0x06, 0x02):
            page[4:8] = bytes(4)
        return Completion(status=answer.status, result=answer.result, data=bytes(page))

    monkeypatch.setattr(EmulatedTransport, "submit", one_controller_of_two)
    answer = lab.ask(lab.request(order))
    assert (answer.code, "NAMESPACES_UNACCOUNTED" in answer.reason) == ("DRIVE_REFUSED", True)


def test_storage_that_no_order_names_refuses_the_whole_order(plain_lab: Any) -> None:
    plain_lab.add_plain("PL-1")
    order = plain_lab.order()
    plain_lab.add_plain("PL-2", attachment="removable")
    answer = plain_lab.ask(plain_lab.request(order, serials=["PL-1"]))
    assert answer.code == "DRIVE_UNEXPECTED"


def test_each_layer_namespace_and_command_counts_for_the_size_of_the_evidence(machine: Machine) -> None:
    drive = machine.drives[0]
    one, two = [Technique.NVME_SANITIZE_CRYPTO], [Technique.NVME_SANITIZE_CRYPTO, Technique.OVERWRITE_ZERO]
    assert admission.evidence_bytes(drive, one) < admission.evidence_bytes(drive, two)
    layered = replace(drive, layers=(LAYER,))
    assert admission.evidence_bytes(drive, one) < admission.evidence_bytes(layered, one)
    spaces = replace(drive, namespaces=drive.namespaces * 3)
    grown = admission.evidence_bytes(spaces, [Technique.NVME_FORMAT_CRYPTO])
    assert grown - admission.evidence_bytes(spaces, one) == 2 * admission.COMMAND_BYTES
