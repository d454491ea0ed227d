"""An annex opens what the evidence committed to, or nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from certificate import annex
from certificate.errors import Code, Refused
from certificate.statements import Evidence

Opened = Callable[..., str]


@pytest.fixture
def opened(make_evidence: Callable[..., Evidence], medium: str, medium_salt: bytes) -> Opened:
    """Writes an annex with these changes, signs evidence over it, and opens the sample medium's serial."""

    def open_(changes: dict[str, Any] | None = None, **entry: Any) -> str:
        first = {"commitment": medium, "salt": medium_salt.hex(), "serial": "S64GNE0R500123", **entry}
        order = make_evidence().order
        document = {"schema": 1, "order": order, "media": [first], "host": {}} | (changes or {})
        data = json.dumps(document).encode()
        evidence = make_evidence(annex_digest=hashlib.sha256(data).hexdigest())
        return annex.open_serial(data, evidence, medium)

    return open_


def test_salt_and_serial_open_the_commitment(opened: Opened) -> None:
    assert opened() == "S64GNE0R500123"


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        ({"serial": "S64GNE0R500124"}, Code.ANNEX_MISMATCH),
        ({"serial": "not_observed"}, Code.ANNEX_MISMATCH),
        ({"serial": 7}, Code.ANNEX_MISMATCH),
        ({"salt": "00" * 32}, Code.ANNEX_MISMATCH),
        ({"salt": "00" * 31}, Code.ANNEX_MISMATCH),
        ({"salt": "zz" * 32}, Code.MALFORMED),
        ({"salt": None}, Code.ANNEX_MISMATCH),
        ({"commitment": "00" * 32}, Code.ANNEX_MISMATCH),
    ],
)
def test_what_does_not_open_the_commitment_is_refused(
    opened: Opened, entry: dict[str, Any], code: Code
) -> None:
    with pytest.raises(Refused) as caught:
        opened(**entry)
    assert caught.value.code is code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"schema": 2}, Code.UNSUPPORTED),
        ({"order": "ord_" + "00" * 16}, Code.ANNEX_MISMATCH),
        ({"media": []}, Code.ANNEX_MISMATCH),
        ({"media": "none"}, Code.ANNEX_MISMATCH),
        ({"media": ["none"]}, Code.ANNEX_MISMATCH),
    ],
)
def test_an_annex_of_something_else_is_refused(opened: Opened, changes: dict[str, Any], code: Code) -> None:
    with pytest.raises(Refused) as caught:
        opened(changes)
    assert caught.value.code is code


def test_an_annex_that_the_evidence_was_not_signed_with_is_not_even_read(
    make_evidence: Callable[..., Evidence], medium: str
) -> None:
    with pytest.raises(Refused) as caught:
        annex.open_serial(b"{not json", make_evidence(), medium)
    assert caught.value.code is Code.ANNEX_MISMATCH
