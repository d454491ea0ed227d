"""The 25 hazards that this kind of software has met elsewhere: each is a test here, or named as later.

A test begins with `test_hazard_NN_`. What no test shows yet stands in docs/threat-model.md in the table
"Hazards that come later", with the part it belongs to.
"""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
THREAT_MODEL = HERE.parents[1] / "docs" / "threat-model.md"

HAZARDS = {
    1: "an empty answer read as no owner",
    2: "a wrong kind of identifier accepted",
    3: "a blank parameter becomes a default end date",
    4: "right command, wrong machine",
    5: "one stolen administrator wipes the fleet",
    6: "the vendor's plane hijacked",
    7: "executed again after a crash",
    8: "the customer pays while we wait",
    9: "events out of order, replayed, lost",
    10: "a host let again under an old job",
    11: "a clock jumps",
    12: "a burst of endings",
    13: "too many wipes",
    14: "two controllers",
    15: "an upgrade strands or alters work in flight",
    16: "running for ever",
    17: "a partial erase certified",
    18: "removable, remote or shared storage erased",
    19: "an approval used again, or a plan swapped",
    20: "approvers who tire",
    21: "a legal hold ignored",
    22: "the audit edited",
    23: "a notice undelivered",
    24: "backups and replicas keep the data",
    25: "a dependency or a pickle runs code",
}


def hazards_with_a_test() -> set[int]:
    names = (
        name
        for path in HERE.glob("test_*.py")
        for name in re.findall(r"^def test_hazard_(\d\d)_\w+", path.read_text(), re.MULTILINE)
    )
    return {int(name) for name in names}


def promised_for_later() -> set[int]:
    section = THREAT_MODEL.read_text().partition("## Hazards that come later")[2].partition("\n## ")[0]
    return {int(number) for number in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)}


def test_each_hazard_is_a_test_or_is_named_with_the_part_it_belongs_to() -> None:
    assert hazards_with_a_test() | promised_for_later() == set(HAZARDS)
