"""Is it the machine: out of the tenant's reach, proven, identified, with exactly the drives on record.

Rules this module holds: three-valued facts are compared with `is`, and what was not observed refuses; what
another boot said of the host says nothing of this one; a drive that two hosts have on record is nobody's.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from certificate.errors import Refused
from certificate.statements.medium import MIN_HOST_FACTS
from certificate.statements.statement import Seen
from controller.errors import Code
from controller.facts import Facts, Question


class HostIsIsolated:
    """Refuses unless the switch was read back, freshly, as tenant side cut and our side reachable."""

    questions: ClassVar[tuple[Question, ...]] = (Question.ISOLATION,)

    def check(self, facts: Facts, now: datetime) -> None:
        seen = facts.isolation
        if seen is None or not facts.is_isolation_read(now):
            raise Refused(Code.HOST_NOT_ISOLATED, "no fresh read-back since the network was last changed")
        if seen.tenant_side_cut is not Seen.YES or seen.our_side_reachable is not Seen.YES:
            raise Refused(
                Code.HOST_NOT_ISOLATED,
                f"tenant side cut: {seen.tenant_side_cut}, our side reachable: {seen.our_side_reachable}",
            )


class BootIsProven:
    """Refuses unless the agent that answers proved the secret of this boot."""

    questions: ClassVar[tuple[Question, ...]] = ()

    def check(self, facts: Facts, now: datetime) -> None:
        if facts.boot is None or not facts.boot.is_proven:
            raise Refused(Code.BOOT_UNPROVEN, "no agent has proved the secret of this boot")


class InventoryIsOfThisBoot:
    """Refuses unless the drives and the host were read by the agent of the present boot."""

    questions: ClassVar[tuple[Question, ...]] = ()

    def check(self, facts: Facts, now: datetime) -> None:
        boot = None if facts.boot is None else facts.boot.boot_id
        if facts.inventory is None or facts.inventory.boot_id != boot:
            raise Refused(Code.INVENTORY_MISSING, "the present boot has not listed the host's drives")


class IdentityAgrees:
    """Refuses unless at least three independent signs say this is the host, and none says it is not."""

    questions: ClassVar[tuple[Question, ...]] = ()

    def check(self, facts: Facts, now: datetime) -> None:
        seen = facts.inventory
        agreeing = 0 if seen is None else seen.agreeing_host_facts
        if agreeing < MIN_HOST_FACTS:
            raise Refused(Code.IDENTITY_UNPROVEN, f"{agreeing} host facts agree, {MIN_HOST_FACTS} are needed")
        if seen is not None and seen.contradicting_host_facts:
            raise Refused(
                Code.IDENTITY_CONTRADICTED, f"{seen.contradicting_host_facts} host facts name another host"
            )


class DrivesAreOfNoOtherHost:
    """Refuses while a drive of the host stands on another host's record as well: either may be where it is,
    and the other's customer may be there still.
    """

    questions: ClassVar[tuple[Question, ...]] = ()

    def check(self, facts: Facts, now: datetime) -> None:
        if facts.drives_elsewhere:
            raise Refused(Code.DRIVE_ON_TWO_HOSTS, "; ".join(facts.drives_elsewhere))


class DrivesAreTheExpectedOnes:
    """Refuses one missing, one unexpected or one refused drive, and a host whose drives nobody recorded."""

    questions: ClassVar[tuple[Question, ...]] = ()

    def check(self, facts: Facts, now: datetime) -> None:
        seen = facts.inventory
        if seen is None:
            raise Refused(Code.DRIVES_DIFFER, f"the drives of {facts.host} were not read")
        if not seen.expected_drives:
            raise Refused(
                Code.DRIVES_UNKNOWN,
                f"{seen.unexpected_drives} drives were found in {facts.host}, and none is on record",
            )
        if seen.missing_drives or seen.unexpected_drives:
            counts = (
                f"of {seen.expected_drives} drives {seen.missing_drives} are missing and"
                f" {seen.unexpected_drives} more are there"
            )
            raise Refused(Code.DRIVES_DIFFER, "; ".join((counts, *seen.named)))
        if seen.refused:
            raise Refused(Code.DRIVES_REFUSED, "; ".join((", ".join(seen.refused), *seen.named)))
