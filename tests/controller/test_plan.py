"""What was found is compared with what is on record; only where both agree is there a plan."""

from __future__ import annotations

import dataclasses
from types import ModuleType
from typing import Any

import pytest

from certificate.commitment import medium_commitment
from certificate.errors import Code as CertificateCode
from certificate.errors import Refused
from certificate.identifiers import DeprovisionId
from certificate.messages import (
    CapabilityReport,
    DriveReport,
    HostFactReport,
    InventoryAnswer,
    LayerReport,
    NamespaceReport,
)
from certificate.statements import Plan, ValidationTable
from certificate.statements.vocabulary import Method, ResidueName, Technique
from controller.errors import Code
from controller.plan import KnownDrive, KnownHost, compare, differences, make_plan
from demo.disclosure import says

FACTS = (("chassis_serial", "CH1"), ("board_serial", "BD1"), ("dmi_uuid", "a1" * 16))
BOTH, BLOCK_ONLY, NONE = "03000000", "02000000", "00000000"


def salt_of(serial: str) -> bytes:
    return serial.encode().ljust(32, b".")


def known(*serials: str, **changes: Any) -> KnownHost:
    drives = tuple(KnownDrive(serial=serial, salt=salt_of(serial)) for serial in serials)
    host = KnownHost(salt=b"h" * 32, facts=FACTS, drives=drives, data_class="default")
    return dataclasses.replace(host, **changes)


def drive(
    serial: str, *, firmware: str = "1.0", words: str = BOTH, refused: str | None = None
) -> DriveReport:
    fields = {"SANICAP": words, "OACS": "0200", "FNA": "04"}
    return DriveReport(
        transport="nvme",
        attachment="internal",
        device_class="emulated",
        manufacturer="Acme",
        model="Model 1",
        firmware=firmware,
        serial=serial,
        capacity_bytes=1 << 20,
        unallocated_capacity_bytes=0,
        is_write_protected=False,
        namespaces=(),
        capabilities=tuple(CapabilityReport(field=name, raw=raw) for name, raw in fields.items()),
        layers=(),
        stack=(),
        status_log="00" * 64,
        refused=refused,
    )


def inventory(
    *drives: DriveReport, facts: tuple[tuple[str, str], ...] = FACTS, boot_id: str = "b" * 64
) -> InventoryAnswer:
    return InventoryAnswer(
        boot_id=boot_id,
        host_facts=tuple(HostFactReport(kind=kind, value=value) for kind, value in facts),
        drives=drives,
        residue=(),
    )


@pytest.fixture
def table(documents: ModuleType) -> ValidationTable:
    built: ValidationTable = documents.build_table()
    return built


def plan_of(table: ValidationTable, host: KnownHost, found: InventoryAnswer, **changes: Any) -> Plan:
    arguments: dict[str, Any] = {
        "deprovision": DeprovisionId("dep_" + "1" * 32),
        "tenancy_ref": "2" * 64,
        "table_digest": "3" * 64,
        "policy_digest": "4" * 64,
    }
    return make_plan(host=host, inventory=found, table=table, **(arguments | changes))


# --- compare ------------------------------------------------------------------------------------------------


def test_what_is_found_as_recorded_agrees_and_nothing_is_missing() -> None:
    compared = compare(inventory(drive("S1"), drive("S2")), known("S2", "S1"))
    assert (compared.agreeing_facts, compared.contradicting_facts) == (3, 0)
    assert (compared.missing_drives, compared.unexpected_drives, compared.refused) == (0, 0, ())


def test_another_value_of_a_recorded_fact_contradicts_and_an_unseen_one_does_neither() -> None:
    seen = (("chassis_serial", "CH1"), ("board_serial", "ANOTHER"))
    compared = compare(inventory(drive("S1"), facts=seen), known("S1"))
    assert (compared.agreeing_facts, compared.contradicting_facts) == (1, 1)


def test_a_fact_that_is_not_on_record_counts_for_nothing() -> None:
    compared = compare(inventory(drive("S1")), known("S1", facts=()))
    assert (compared.agreeing_facts, compared.contradicting_facts) == (0, 0)


def test_a_recorded_drive_that_is_not_found_is_missing() -> None:
    compared = compare(inventory(drive("S1")), known("S1", "S2"))
    assert (compared.missing_drives, compared.unexpected_drives) == (1, 0)


def test_a_found_drive_that_is_not_on_record_is_unexpected() -> None:
    compared = compare(inventory(drive("S1"), drive("S2")), known("S1"))
    assert (compared.missing_drives, compared.unexpected_drives) == (0, 1)


def test_a_swapped_drive_is_missing_and_unexpected_at_once() -> None:
    compared = compare(inventory(drive("S2")), known("S1"))
    assert (compared.missing_drives, compared.unexpected_drives) == (1, 1)


def test_a_serial_seen_twice_is_unexpected_once() -> None:
    compared = compare(inventory(drive("S1"), drive("S1")), known("S1"))
    assert (compared.missing_drives, compared.unexpected_drives) == (0, 1)


def test_the_refusal_of_a_drive_is_handed_on() -> None:
    compared = compare(inventory(drive("S1"), drive("S2", refused="DRIVE_LOCKED")), known("S1", "S2"))
    assert compared.refused == ("DRIVE_LOCKED",)


# --- make_plan ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recorded", "found"),
    [
        (("S1", "S2"), ("S1",)),
        (("S1",), ("S1", "S2")),
        (("S1",), ("S1", "S1")),
        (("S1",), ("S2",)),
        (("S1",), ()),
        ((), ("S1",)),
        ((), ()),
    ],
    ids=["one-missing", "one-extra", "one-twice", "swapped", "none-found", "none-recorded", "none-at-all"],
)
def test_a_plan_is_made_of_exactly_the_recorded_drives_or_not_at_all(
    table: ValidationTable, recorded: tuple[str, ...], found: tuple[str, ...]
) -> None:
    with pytest.raises(Refused) as caught:
        plan_of(table, known(*recorded), inventory(*map(drive, found)))
    assert caught.value.code is (Code.DRIVES_DIFFER if recorded else Code.DRIVES_UNKNOWN)


def test_a_data_class_without_a_rule_has_no_plan(table: ValidationTable) -> None:
    with pytest.raises(Refused) as caught:
        plan_of(table, known("S1", data_class="secret"), inventory(drive("S1")))
    assert caught.value.code is Code.NO_VALIDATION_RULE


def test_a_drive_that_no_technique_reaches_refuses_the_whole_plan(
    table: ValidationTable,
) -> None:
    with pytest.raises(Refused) as caught:
        plan_of(table, known("S1", "S2"), inventory(drive("S1"), drive("S2", words=NONE)))
    assert caught.value.code is CertificateCode.TECHNIQUE_UNAVAILABLE


def test_every_drive_is_planned_once_under_its_commitment_with_its_own_techniques(
    table: ValidationTable,
) -> None:
    plan = plan_of(table, known("S1", "S2"), inventory(drive("S1"), drive("S2", words=BLOCK_ONLY)))
    planned = {medium.commitment: medium.techniques for medium in plan.media}
    assert planned == {
        medium_commitment(salt=salt_of("S1"), serial="S1"): (
            Technique.NVME_SANITIZE_CRYPTO,
            Technique.NVME_SANITIZE_BLOCK,
        ),
        medium_commitment(salt=salt_of("S2"), serial="S2"): (Technique.NVME_SANITIZE_BLOCK,),
    }


@pytest.mark.parametrize("floor", [Method.CLEAR, Method.PURGE])
def test_the_floor_is_that_of_the_signed_rule(documents: ModuleType, floor: Method) -> None:
    rule = {
        "data_class": "default",
        "floor": floor.value,
        "approvals_required": 0,
        "overwrite": "keystream",
        "read_back": "full",
        "escrow": "unknown",
    }
    plan = plan_of(documents.build_table(rules=[rule]), known("S1"), inventory(drive("S1")))
    assert plan.floor is floor


def test_where_copies_of_keys_are_known_no_erase_is_planned_that_may_only_destroy_keys(
    documents: ModuleType,
) -> None:
    rule = documents.build_table().model_dump(mode="json")["rules"][0]
    planned = {}
    for escrow in ("unknown", "known"):
        plan = plan_of(
            documents.build_table(rules=[rule | {"escrow": escrow}]), known("S1"), inventory(drive("S1"))
        )
        (planned[escrow],) = (medium.techniques for medium in plan.media)
    crypto, *rest = planned["unknown"]
    assert crypto is Technique.NVME_SANITIZE_CRYPTO
    assert planned["known"] == tuple(rest) != ()


def test_an_inventory_of_a_boot_in_words_that_no_plan_has_is_refused(table: ValidationTable) -> None:
    """Found by fuzzing: 57 digits in place of 64 ended the planning instead of refusing it."""
    short = dataclasses.replace(inventory(drive("A")), boot_id="8e" * 28)
    with pytest.raises(Refused) as refusal:
        plan_of(table, known("A"), short)
    assert refusal.value.code is Code.ANSWER_INVALID


def test_every_place_that_may_hold_data_is_named(table: ValidationTable) -> None:
    plan = plan_of(table, known("S1"), inventory(drive("S1")))
    assert sorted(plan.residue) == sorted(ResidueName)


def test_the_order_in_which_drives_and_facts_are_listed_changes_no_digest(table: ValidationTable) -> None:
    one = plan_of(table, known("S1", "S2"), inventory(drive("S1"), drive("S2")))
    host = known("S2", "S1", facts=FACTS[::-1])
    other = plan_of(table, host, inventory(drive("S2"), drive("S1"), facts=FACTS[::-1]))
    assert one.canonical_digest() == other.canonical_digest()


@pytest.mark.parametrize(
    ("host", "found", "changes"),
    [
        ({}, {"boot_id": "c" * 64}, {}),
        ({}, {"firmware": "1.1"}, {}),
        ({}, {"words": BLOCK_ONLY}, {}),
        ({"salt": b"i" * 32}, {}, {}),
        ({"drives": (KnownDrive(serial="S1", salt=b"j" * 32),)}, {}, {}),
        ({}, {}, {"tenancy_ref": "5" * 64}),
        ({}, {}, {"deprovision": DeprovisionId("dep_" + "6" * 32)}),
        ({}, {}, {"table_digest": "7" * 64}),
        ({}, {}, {"policy_digest": "8" * 64}),
    ],
    ids=[
        "boot",
        "firmware",
        "techniques",
        "host-commitment",
        "medium-commitment",
        "tenancy",
        "deprovision",
        "table",
        "policy",
    ],
)
def test_what_people_approve_has_another_digest_once_any_of_it_changes(
    table: ValidationTable, host: dict[str, Any], found: dict[str, Any], changes: dict[str, Any]
) -> None:
    approved = plan_of(table, known("S1"), inventory(drive("S1")))
    boot = {"boot_id": found.pop("boot_id")} if "boot_id" in found else {}
    other = plan_of(table, known("S1", **host), inventory(drive("S1", **found), **boot), **changes)
    assert other.canonical_digest() != approved.canonical_digest()


def test_no_salt_and_no_serial_stands_in_a_plan(table: ValidationTable) -> None:
    text = plan_of(table, known("SERIAL-1"), inventory(drive("SERIAL-1"))).canonical()
    for secret in ("SERIAL-1", salt_of("SERIAL-1").hex(), (b"h" * 32).hex(), "CH1", "BD1"):
        assert not says(text, secret)


def test_a_firmware_that_the_drive_does_not_tell_is_not_observed(table: ValidationTable) -> None:
    (medium,) = plan_of(table, known("S1"), inventory(drive("S1", firmware=""))).media
    assert medium.firmware == "not_observed"


# --- what people are told of drives -------------------------------------------------------------------------


def sentence(*drives: DriveReport, host: KnownHost, **options: Any) -> str:
    return "; ".join(differences(inventory(*drives), host, **options))


def test_a_missing_drive_is_named_by_medium_and_the_end_of_its_label() -> None:
    host = known("S1", "LONGSERIAL9876")
    said = sentence(drive("S1"), host=host)
    medium = medium_commitment(salt=salt_of("LONGSERIAL9876"), serial="LONGSERIAL9876")
    assert said.startswith(f"medium {medium[:8]} (serial ends in 9876) does not show")
    assert "expunge media out" in said
    assert "LONGSERIAL" not in said


def test_a_drive_that_left_on_paper_only_is_told_from_a_stranger() -> None:
    host = known("S1")
    left = sentence(drive("S1"), drive("GONE1234"), host=host, left=frozenset({"GONE1234"}))
    assert left == "a drive (serial ends in 1234) left by decision and is still in the host: take it out"
    stranger = sentence(drive("S1"), drive("NEW05678"), host=host)
    assert stranger == "a drive (serial ends in 5678) is there and not on record (readable)"


def test_a_refused_drive_is_named_with_its_code_and_one_without_a_serial_as_such() -> None:
    said = sentence(drive("S1", refused="STORAGE_REMOTE"), host=known("S1"))
    assert said.endswith("(serial ends in S1) is refused: STORAGE_REMOTE")
    mute = sentence(drive("S1"), drive("", refused="DRIVE_UNREADABLE"), host=known("S1"))
    assert mute == "a drive (it shows no serial) is there and not on record (DRIVE_UNREADABLE)"


def test_of_a_host_that_is_as_recorded_nothing_is_said() -> None:
    assert sentence(drive("S1"), drive("S2"), host=known("S2", "S1")) == ""


def test_the_refusal_of_a_plan_names_the_drive(table: ValidationTable) -> None:
    with pytest.raises(Refused) as caught:
        plan_of(table, known("S1", "S2"), inventory(drive("S1")))
    assert "(serial ends in S2) does not show" in caught.value.reason


# --- layers, attachment, overwrites -------------------------------------------------------------------------


def with_layers(report: DriveReport, *places: tuple[str, int, int]) -> DriveReport:
    area = {"area_bytes": 1 << 20, "header_copies": 2, "key_slots": 1, "tokens": 0}
    layers = tuple(
        LayerReport(kind=kind, nsid=nsid, offset_bytes=offset, is_detached=False, **area)
        for kind, nsid, offset in places
    )
    return dataclasses.replace(report, layers=layers)


def test_every_layer_that_was_found_is_planned_as_found(table: ValidationTable) -> None:
    found = with_layers(drive("S1"), ("luks1", 1, 0), ("luks2", 1, 1 << 20))
    (medium,) = plan_of(table, known("S1"), inventory(found)).media
    assert [(each.kind, each.nsid, each.offset_bytes) for each in medium.layers] == [
        ("luks1", 1, 0),
        ("luks2", 1, 1 << 20),
    ]


@pytest.mark.parametrize("attachment", ["remote", "removable", "virtual"])
def test_storage_beside_the_host_is_planned_where_it_is_on_record_and_nowhere_else(
    table: ValidationTable, attachment: str
) -> None:
    beside = dataclasses.replace(drive("S2"), attachment=attachment)
    plan = plan_of(table, known("S1", "S2"), inventory(drive("S1"), beside))
    assert sorted(medium.attachment for medium in plan.media) == sorted(["internal", attachment])
    with pytest.raises(Refused) as caught:
        plan_of(table, known("S1"), inventory(drive("S1"), beside))
    assert caught.value.code is Code.DRIVES_DIFFER


def test_what_an_overwrite_writes_and_reads_back_is_the_tables(documents: ModuleType) -> None:
    for overwrite, read_back in (("keystream", "full"), ("zero", "sampled")):
        rule = {
            "data_class": "default",
            "floor": "clear",
            "approvals_required": 0,
            "overwrite": overwrite,
            "read_back": read_back,
            "escrow": "unknown",
        }
        chosen = documents.build_table(rules=[rule])
        whole = NamespaceReport(nsid=1, capacity_bytes=1 << 20, logical_block_bytes=512, is_attached=True)
        plain = dataclasses.replace(drive("S1"), transport="virtio", capabilities=(), namespaces=(whole,))
        plan = plan_of(chosen, known("S1"), inventory(plain))
        assert (plan.overwrite, plan.read_back) == (overwrite, read_back)
        assert plan.media[0].techniques == (f"overwrite_{overwrite}",)
