"""What boards say instead of a serial number identifies nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certificate.placeholders import is_placeholder


@pytest.mark.parametrize(
    "value",
    [
        *("", " ", "To Be Filled By O.E.M.", "Default string", "N/A", "0123456789", "None", "Not Specified"),
        *("00000000-0000-0000-0000-000000000000", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF", "xxxxxxxxxx"),
        *("03000200-0400-0500-0006-000700080009", "12345678-1234-5678-90AB-CDDEEFAABBCC"),
        *("00:00:00:00:00:00", "System_Serial_Number"),
    ],
)
def test_what_stands_in_many_machines_is_no_sign(value: str) -> None:
    assert is_placeholder(value)


@pytest.mark.parametrize(
    "value", ["CZ1234ABCD", "S/N 0042-17", "4c4c4544-0042-3510-8052-b4c04f4d3732", "No. 7"]
)
def test_a_serial_number_is_a_sign(value: str) -> None:
    assert not is_placeholder(value)


@given(character=st.characters(categories=("L", "N")), count=st.integers(1, 40))
def test_one_character_repeated_is_no_sign(character: str, count: int) -> None:
    assert is_placeholder((character * count).upper()) or len(set((character * count).upper().lower())) > 1
