"""What boards say instead of a serial number, so that it identifies nothing.

One list for both sides: the agent leaves such a value out of what it reports, the controller out of what it
has on record, and neither ever commits to one (DESIGN.md, "On the machine": placeholders do not count).
"""

from __future__ import annotations

import re

#: Lower case, letters and digits only.
_WORDS = frozenset(
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
    """Whether nobody meant one machine by this: a known word, or one character repeated, or none at all."""
    plain = re.sub(r"[\W_]", "", value.lower())
    return plain in _WORDS or len(set(plain)) <= 1
