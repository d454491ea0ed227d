"""Which recorded facts tell this host from every other.

Rules: what a board maker prints on every board is no sign, and neither is a value of zeros or one character
repeated; a value that two hosts claim identifies neither (DESIGN.md, "On the machine"). The agent leaves such
values out by a list of its own; here they are left out of the record, so that they are never counted, never
committed to and never held against a machine. Pure.
"""

from __future__ import annotations

import re

#: What boards and management controllers say instead of a serial number; lower case, letters and digits only.
_PLACEHOLDERS = frozenset(
    {
        "0123456789",
        "123456789",
        "1234567890",
        "12345678901234567890",
        "chassisserialnumber",
        "default",
        "defaultstring",
        "empty",
        "invalid",
        "na",
        "none",
        "notapplicable",
        "notavailable",
        "notpresent",
        "notsettable",
        "notspecified",
        "null",
        "oem",
        "serialnumber",
        "standard",
        "systemserialnumber",
        "tbd",
        "tobefilledbyoem",
        "unknown",
        # DMI UUIDs that makers left in many machines.
        "03000200040005000006000700080009",
        "123456781234567890abcddeefaabbcc",
    }
)


def is_placeholder(value: str) -> bool:
    """Whether nobody meant one machine by this."""
    bare = re.sub(r"[^0-9a-z]", "", value.lower())
    return bare in _PLACEHOLDERS or len(set(bare)) <= 1


def identifies(value: str, *, claimed_by: int) -> bool:
    """Whether this fact counts as a sign. `claimed_by`: how many hosts have it on record, this one too."""
    return claimed_by == 1 and not is_placeholder(value)
