"""Which recorded facts tell this host from every other.

Rules: what a board maker prints on every board is no sign, and neither is a value of zeros or one character
repeated; a value that two hosts claim identifies neither (DESIGN.md, "On the machine"). The agent leaves such
values out of what it reports; here they are left out of the record, so that they are never counted, never
committed to and never held against a machine. Pure.
"""

from __future__ import annotations

from certificate.placeholders import is_placeholder


def identifies(value: str, *, claimed_by: int) -> bool:
    """Whether this fact counts as a sign. `claimed_by`: how many hosts have it on record, this one too."""
    return claimed_by == 1 and not is_placeholder(value)
