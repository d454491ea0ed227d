"""The plan of one deprovision, made from what the erase environment found and what the provider has on
record.

Rules:
1. Only drives on record are planned, each exactly once, and only when the inventory shows exactly those
drives. 2. Techniques come from `certificate.selection` over the drive's own words, best first, none below the
floor; the
   agent computes the same list again before it obeys.
3. The floor comes from the signed validation table's rule for the data class; a class without a rule has no
plan. 4. Every place besides drives that may hold data is listed, so that the summary must answer for it.

Pure. Whether the inventory agrees with the record is said by `compare` and judged by the guards.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from certificate import selection
from certificate.commitment import host_commitment, host_fact_commitment, medium_commitment
from certificate.errors import Refused
from certificate.identifiers import DeprovisionId, HostId
from certificate.messages import DriveReport, InventoryAnswer
from certificate.statements.medium import MIN_HOST_FACTS, Host, HostFact
from certificate.statements.plan import Plan, PlannedLayer, PlannedMedium
from certificate.statements.statement import NOT_OBSERVED
from certificate.statements.validation import DataClassRule, ValidationTable
from certificate.statements.vocabulary import Attachment, HostFactKind, LayerKind, ResidueName, Transport
from controller.errors import Code


@dataclass(frozen=True, kw_only=True)
class KnownDrive:
    """A drive the provider has on record. `salt`: 32 bytes, the salt of its commitment."""

    serial: str
    salt: bytes

    @property
    def commitment(self) -> str:
        return medium_commitment(salt=self.salt, serial=self.serial)


@dataclass(frozen=True, kw_only=True)
class KnownHost:
    """A host as the provider has it on record. `facts`: (kind, value) pairs in clear; `salt`: 32 bytes."""

    salt: bytes
    facts: tuple[tuple[str, str], ...]
    drives: tuple[KnownDrive, ...]
    data_class: str

    def named(self) -> Host:
        """The host as documents name it: commitments only. Raises Refused(IDENTITY_UNPROVEN) with fewer facts
        than a document asks for.
        """
        if len(self.facts) < MIN_HOST_FACTS:
            reason = f"{len(self.facts)} facts on record identify it, {MIN_HOST_FACTS} are needed"
            raise Refused(Code.IDENTITY_UNPROVEN, reason)
        facts = tuple(
            HostFact(
                kind=HostFactKind(kind),
                commitment=host_fact_commitment(salt=self.salt, kind=kind, value=value),
            )
            for kind, value in sorted(self.facts)
        )
        return Host(
            commitment=host_commitment((fact.kind.value, fact.commitment) for fact in facts), facts=facts
        )


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How an inventory stands to the record. Counts; `refused` holds the codes of drives that may not be
    erased.
    """

    agreeing_facts: int
    contradicting_facts: int
    missing_drives: int
    unexpected_drives: int
    refused: tuple[str, ...]


def compare(inventory: InventoryAnswer, host: KnownHost) -> Comparison:
    """What agrees, what contradicts, what is missing. A serial seen twice counts as unexpected."""
    seen = {fact.kind: fact.value for fact in inventory.host_facts}
    on_record = dict(host.facts)
    found = Counter(drive.serial for drive in inventory.drives)
    known = Counter(drive.serial for drive in host.drives)
    return Comparison(
        agreeing_facts=sum(seen.get(kind) == value for kind, value in on_record.items()),
        contradicting_facts=sum(kind in seen and seen[kind] != value for kind, value in on_record.items()),
        missing_drives=(known - found).total(),
        unexpected_drives=(found - known).total(),
        refused=tuple(drive.refused for drive in inventory.drives if drive.refused is not None),
    )


def differences(
    inventory: InventoryAnswer, host: KnownHost, *, left: frozenset[str] = frozenset()
) -> tuple[str, ...]:
    """One sentence for each drive that keeps this host from being planned, by medium and the end of its
    serial (which its label shows). `left`: serials that left the host by decision.
    """
    found = Counter(drive.serial for drive in inventory.drives)
    known = {drive.serial: drive for drive in host.drives}
    said = [
        f"{_drive_words(drive)} does not show: if it is dead or gone, take it out, then expunge media out"
        for serial, drive in known.items()
        if not found[serial]
    ]
    for drive in inventory.drives:
        on_record = known.get(drive.serial)
        words = _drive_words(on_record) if on_record is not None else f"a drive {_end_of(drive.serial)}"
        if on_record is None and drive.serial in left:
            said.append(f"{words} left by decision and is still in the host: take it out")
        elif on_record is None:
            said.append(f"{words} is there and not on record ({drive.refused or 'readable'})")
        elif drive.refused is not None:
            said.append(f"{words} is refused: {drive.refused}")
    return tuple(said)


def on_record_too(drive: KnownDrive, other: HostId) -> str:
    """What is said of a drive that another host has on record as well."""
    return f"{_drive_words(drive)} is on record in {other}, too"


def _drive_words(drive: KnownDrive) -> str:
    return f"medium {drive.commitment[:8]} {_end_of(drive.serial)}"


def _end_of(serial: str) -> str:
    return f"(serial ends in {serial[-4:]})" if serial.strip() else "(it shows no serial)"


def make_plan(
    *,
    deprovision: DeprovisionId,
    tenancy_ref: str,
    host: KnownHost,
    inventory: InventoryAnswer,
    table: ValidationTable,
    table_digest: str,
    policy_digest: str,
) -> Plan:
    """The plan that people or a rule approve.

    Raises Refused: DRIVES_UNKNOWN, DRIVES_DIFFER, NO_VALIDATION_RULE, ANSWER_INVALID for a drive or a boot
    in words that no plan has, or the selection's own refusal for the first drive that no technique of the
    floor reaches.
    """
    rule = table.rule(host.data_class)
    if rule is None:
        raise Refused(Code.NO_VALIDATION_RULE, f"no rule for data class {host.data_class!r}")
    reports = {report.serial: report for report in inventory.drives}
    _require_as_recorded(inventory, host)
    drives = sorted(host.drives, key=lambda drive: drive.commitment)
    media = tuple(_planned(drive, reports[drive.serial], rule) for drive in drives)
    try:
        return Plan(
            schema_version=1,
            deprovision=deprovision,
            tenancy_ref=tenancy_ref,
            host_commitment=host.named().commitment,
            boot_id=inventory.boot_id,
            media=media,
            floor=rule.floor,
            data_class=host.data_class,
            overwrite=rule.overwrite,
            read_back=rule.read_back,
            residue=tuple(ResidueName),
            validation_digest=table_digest,
            policy_digest=policy_digest,
        )
    except ValueError:
        raise Refused(Code.ANSWER_INVALID, "the inventory is of a boot in words that no plan has") from None


def _require_as_recorded(inventory: InventoryAnswer, host: KnownHost) -> None:
    """Exactly the drives on record. Raises Refused: DRIVES_UNKNOWN, DRIVES_DIFFER."""
    comparison = compare(inventory, host)
    if not host.drives:
        raise Refused(Code.DRIVES_UNKNOWN, "no drive of the host is on record")
    if comparison.missing_drives or comparison.unexpected_drives:
        counts = (
            f"{comparison.missing_drives} drives are missing, {comparison.unexpected_drives} are unexpected"
        )
        raise Refused(Code.DRIVES_DIFFER, "; ".join((counts, *differences(inventory, host))))


def _planned(drive: KnownDrive, report: DriveReport, rule: DataClassRule) -> PlannedMedium:
    """The drive as its own words describe it; the agent that passed them on may be anybody's."""
    capabilities = selection.capabilities(report)
    try:
        return PlannedMedium(
            commitment=drive.commitment,
            transport=Transport(report.transport),
            attachment=Attachment(report.attachment),
            kind=selection.media_kind(capabilities),
            capacity_bytes=report.capacity_bytes,
            firmware=_word(report),
            techniques=selection.select(
                capabilities, rule.floor, overwrite=rule.overwrite, escrow=rule.escrow
            ),
            layers=tuple(
                PlannedLayer(kind=LayerKind(each.kind), nsid=each.nsid, offset_bytes=each.offset_bytes)
                for each in report.layers
            ),
        )
    except ValueError:
        reason = f"{_drive_words(drive)} is described in words that no plan has"
        raise Refused(Code.ANSWER_INVALID, reason) from None


def _word(report: DriveReport) -> str:
    return report.firmware or NOT_OBSERVED
