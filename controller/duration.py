"""Durations as ISO 8601 writes them, read strictly.

Rules: days, hours, minutes and seconds only, whole numbers, in that order, each at most once and at least one
of them. Years, months and weeks are refused, because their length depends on a calendar that no rule here
names. Source: ISO 8601-1:2019, 5.5.2.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

#: Four digits a part: 9999 days is beyond every period of ours, and stops a sum that no timedelta can hold.
_DURATION = re.compile(
    r"^P(?=.)(?:(?P<days>[0-9]{1,4})D)?"
    r"(?:T(?=.)(?:(?P<hours>[0-9]{1,4})H)?(?:(?P<minutes>[0-9]{1,4})M)?(?:(?P<seconds>[0-9]{1,6})S)?)?$"
)


def parse_duration(text: str) -> timedelta:
    """`P7D`, `PT4H`, `P1DT12H30M5S`. Raises ValueError for anything else."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError(
            f"{text[:40]!r} is not a duration of days, hours, minutes and seconds, such as P7D or PT4H"
        )
    return timedelta(**{name: int(digits) for name, digits in found.groupdict().items() if digits})


def duration_text(duration: timedelta) -> str:
    """The shortest text that `parse_duration` reads back as the same duration. Raises ValueError below zero
    or between two seconds.
    """
    if duration < timedelta(0) or duration.microseconds:
        raise ValueError(f"{duration} is not a whole, non-negative number of seconds")
    hours, rest = divmod(duration.seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    parts = [(hours, "H"), (minutes, "M"), (seconds, "S")]
    time = "".join(f"{count}{unit}" for count, unit in parts if count)
    days = f"{duration.days}D" if duration.days else ""
    if not days and not time:
        return "PT0S"
    return f"P{days}T{time}" if time else f"P{days}"


def _read(value: Any) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise ValueError("a duration is text, such as P7D or PT4H")
    return parse_duration(value)


#: A field that is written as ISO 8601 text and held as a timedelta.
Duration = Annotated[timedelta, BeforeValidator(_read), PlainSerializer(duration_text, return_type=str)]
