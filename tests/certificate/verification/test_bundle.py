"""A bundle is read strictly, and is then still only what somebody sent."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from certificate.bundle import Bundle, Document
from certificate.errors import Code, Malformed


@pytest.fixture(scope="module")
def fields(make_honest: Callable[[], tuple[bytes, Any]]) -> dict[str, Any]:
    """The honest bundle as JSON fields."""
    found: dict[str, Any] = json.loads(make_honest()[0])
    return found


def written(fields: dict[str, Any], **changes: Any) -> bytes:
    return json.dumps(fields | changes).encode()


def test_a_bundle_comes_back_as_it_was_written(fields: dict[str, Any]) -> None:
    bundle = Bundle.read(written(fields))
    assert Bundle.read(bundle.write()) == bundle
    assert bundle.proof(Document.OUTCOME) == fields["proofs"][1]["proof"].encode()
    assert bundle.proof(Document.ALLOCATION) is None


def too_many(fields: dict[str, Any], name: str, count: int) -> bytes:
    return written(fields, **{name: [fields["order"]] * count})


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda fields: b"[]", Code.MALFORMED),
        (lambda fields: b"{", Code.MALFORMED),
        (lambda fields: written(fields) + b"x", Code.TRAILING_BYTES),
        (lambda fields: written(fields)[:-1] + b',"order":""}', Code.DUPLICATE_KEY),
        (lambda fields: written(fields, annex="{}"), Code.UNKNOWN_FIELD),
        (lambda fields: written(fields, format="application/json"), Code.MALFORMED),
        (lambda fields: written(fields, outcome=""), Code.MALFORMED),
        (lambda fields: written(fields, outcome=None), Code.MALFORMED),
        (lambda fields: written(fields, outcome={}), Code.MALFORMED),
        (lambda fields: written(fields, order=None), Code.MALFORMED),
        (lambda fields: written(fields, evidence=None, validation=None), Code.MALFORMED),
        (lambda fields: written(fields, outcome="x" * 1_500_001), Code.MALFORMED),
        (lambda fields: written(fields, evidence="x" * 8_000_000), Code.LIMIT_EXCEEDED),
        (lambda fields: written(fields, trust_roots=[]), Code.MALFORMED),
        (lambda fields: written(fields, proofs=[fields["proofs"][0]] * 2), Code.MALFORMED),
        (lambda fields: written(fields, proofs=[{"document": "annex", "proof": "x"}]), Code.MALFORMED),
        (lambda fields: too_many(fields, "approvals", 17), Code.MALFORMED),
        (lambda fields: too_many(fields, "decisions", 548), Code.MALFORMED),
        (lambda fields: too_many(fields, "trust_roots", 17), Code.MALFORMED),
    ],
)
def test_what_is_not_a_bundle_is_refused_with_its_code(
    fields: dict[str, Any], spoil: Callable[[dict[str, Any]], bytes], code: Code
) -> None:
    with pytest.raises(Malformed) as caught:
        Bundle.read(spoil(fields))
    assert caught.value.code is code


@pytest.mark.parametrize("name", sorted(Bundle.model_fields))
def test_no_field_of_a_bundle_may_be_left_out(fields: dict[str, Any], name: str) -> None:
    with pytest.raises(Malformed):
        Bundle.read(written({key: value for key, value in fields.items() if key != name}))
