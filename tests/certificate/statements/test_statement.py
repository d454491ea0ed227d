"""What every signed format keeps: closed, strict, without defaults, one text for one value."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import rfc8785
from pydantic import ValidationError

from certificate.errors import Code, Malformed
from certificate.statements import (
    Absence,
    Allocation,
    Approval,
    Boot,
    Decision,
    Evidence,
    Order,
    Outcome,
    Predicate,
    Seen,
    Summary,
    ValidationTable,
    Withdrawal,
    make,
    read,
    subject,
)
from certificate.statements.statement import Model, time_text
from certificate.trust import TrustRoot

KINDS: tuple[type[Predicate], ...] = (
    Absence,
    Allocation,
    Approval,
    Boot,
    Decision,
    Evidence,
    Order,
    Outcome,
    Summary,
    ValidationTable,
    Withdrawal,
)
NAMES = [kind.statement_name for kind in KINDS]
#: Where the signed formats are written down: statements and the trust root.
SIGNED_FORMATS = ("certificate.statements.", "certificate.trust")
BY_NAME = dict(zip(NAMES, KINDS, strict=True))


def every_model() -> set[type[Model]]:
    """Each part of each signed format, generic frames left out."""
    found: set[type[Model]] = set()
    waiting: list[type[Model]] = [Model]
    while waiting:
        for kind in waiting.pop().__subclasses__():
            waiting.append(kind)
            if kind.__module__.startswith(SIGNED_FORMATS) and "[" not in kind.__name__:
                found.add(kind)
    return found


def payload_of(samples: dict[str, Predicate], name: str) -> bytes:
    return make(samples[name], (subject("sample", "00" * 32),)).payload()


def document_of(samples: dict[str, Predicate], name: str) -> Any:
    return json.loads(payload_of(samples, name))


def refusal_of(document: Any, name: str) -> Malformed:
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    with pytest.raises(Malformed) as refusal:
        read(data, BY_NAME[name])
    return refusal.value


def objects_in(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every object in a document, the document itself first."""
    if isinstance(value, dict):
        yield path
        for key, member in value.items():
            yield from objects_in(member, (*path, key))
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from objects_in(member, (*path, index))


def at(document: Any, path: tuple[Any, ...]) -> Any:
    for part in path:
        document = document[part]
    return document


# --- all formats --------------------------------------------------------------------------------------------


def test_every_kind_of_statement_has_a_sample(samples: dict[str, Predicate]) -> None:
    predicates = {kind for kind in every_model() if issubclass(kind, Predicate) and kind is not Predicate}
    assert predicates == set(KINDS)
    assert set(samples) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_statement_is_read_as_it_was_written(name: str, samples: dict[str, Predicate]) -> None:
    payload = payload_of(samples, name)
    found = read(payload, BY_NAME[name])
    assert found.predicate == samples[name]
    assert found.payload() == payload
    assert payload == rfc8785.dumps(json.loads(payload))


@pytest.mark.parametrize("name", NAMES)
def test_a_statement_is_an_in_toto_statement_of_our_own_type(
    name: str, samples: dict[str, Predicate]
) -> None:
    document = document_of(samples, name)
    assert set(document) == {"_type", "subject", "predicateType", "predicate"}
    assert document["_type"] == "https://in-toto.io/Statement/v1"
    assert document["predicateType"] == f"urn:expunge:statement:{name}:v1"
    assert {"schema", "purpose", "nonce", "issued_at"} <= set(document["predicate"])


def test_no_field_anywhere_has_a_default() -> None:
    models = every_model()
    assert len(models) > 50
    for kind in models | {TrustRoot}:
        for name, field in kind.model_fields.items():
            assert field.is_required(), f"{kind.__name__}.{name} has a default"


def test_every_model_is_frozen_strict_and_closed() -> None:
    for kind in every_model():
        config = kind.model_config
        assert config["frozen"], kind
        assert config["strict"], kind
        assert config["extra"] == "forbid", kind


def test_no_format_knows_fractions_or_lists_that_could_change() -> None:
    for kind in every_model():
        schema = json.dumps(kind.model_json_schema(mode="validation"))
        assert '"type": "number"' not in schema, kind
        for name, field in kind.model_fields.items():
            assert "list[" not in str(field.annotation).lower(), f"{kind.__name__}.{name}"
            assert "dict[" not in str(field.annotation).lower(), f"{kind.__name__}.{name}"


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_field_is_refused_at_every_depth(name: str, samples: dict[str, Predicate]) -> None:
    document = document_of(samples, name)
    paths = list(objects_in(document))
    assert len(paths) >= 4
    for path in paths:
        altered = copy.deepcopy(document)
        at(altered, path)["also"] = 1
        assert refusal_of(altered, name).code is Code.UNKNOWN_FIELD, path


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_field_is_refused_at_every_depth(name: str, samples: dict[str, Predicate]) -> None:
    document = document_of(samples, name)
    for path in objects_in(document):
        for key in at(document, path):
            altered = copy.deepcopy(document)
            del at(altered, path)[key]
            refusal_of(altered, name)


@pytest.mark.parametrize("name", NAMES)
def test_null_stands_nowhere(name: str, samples: dict[str, Predicate]) -> None:
    document = document_of(samples, name)
    for path in objects_in(document):
        for key in at(document, path):
            altered = copy.deepcopy(document)
            at(altered, path)[key] = None
            refusal_of(altered, name)


@pytest.mark.parametrize("name", NAMES)
def test_a_statement_is_not_read_as_another(name: str, samples: dict[str, Predicate]) -> None:
    payload = payload_of(samples, name)
    for other in NAMES:
        if other != name:
            assert refusal_of(payload, other).code is Code.TYPE_MISMATCH


@pytest.mark.parametrize("name", NAMES)
def test_another_schema_or_frame_is_refused_by_name(name: str, samples: dict[str, Predicate]) -> None:
    document = document_of(samples, name)
    later = document | {"predicate": document["predicate"] | {"schema": 2}}
    assert refusal_of(later, name).code is Code.UNSUPPORTED
    framed = document | {"_type": "https://in-toto.io/Statement/v0.1"}
    assert refusal_of(framed, name).code is Code.TYPE_MISMATCH
    assert refusal_of(document | {"subject": []}, name).code is Code.MALFORMED


def test_a_field_has_one_name_only(samples: dict[str, Predicate]) -> None:
    document = document_of(samples, "order")
    plan = document["predicate"]["plan"]
    plan["schema_version"] = plan.pop("schema")
    refusal_of(document, "order")


# --- bytes that two readers could understand in two ways ----------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (b'"fence":4294967303', b'"fence":4294967303.0', Code.NOT_A_NUMBER),
        (b'"fence":4294967303', b'"fence":4e9', Code.NOT_A_NUMBER),
        (b'"fence":4294967303', b'"fence":NaN', Code.NOT_A_NUMBER),
        (b'"fence":4294967303', b'"fence":9007199254740993', Code.NOT_A_NUMBER),
        (b'"fence":4294967303', b'"fence":-1', Code.MALFORMED),
        (b'"fence":4294967303', b'"fence":"4294967303"', Code.MALFORMED),
        (b'"fence":4294967303', b'"fence":true', Code.MALFORMED),
        (b'"fence":4294967303', b'"fence":4294967303,"fence":1', Code.DUPLICATE_KEY),
        (b'"valid_for_s":600', b'"valid_for_s":901', Code.MALFORMED),
        (b'"valid_for_s":600', b'"valid_for_s":0', Code.MALFORMED),
        (b'"trigger":"ended"', b'"trigger":"Ended"', Code.MALFORMED),
        (b'"trigger":"ended"', b'"trigger":["ended"]', Code.MALFORMED),
        (b'"is_frozen":"no"', b'"is_frozen":false', Code.MALFORMED),
    ],
)
def test_a_word_in_another_spelling_is_refused(
    old: bytes, new: bytes, code: Code, samples: dict[str, Predicate]
) -> None:
    payload = payload_of(samples, "order")
    assert payload.count(old) == 1
    assert refusal_of(payload.replace(old, new), "order").code is code


def test_a_statement_is_followed_by_nothing(samples: dict[str, Predicate]) -> None:
    assert refusal_of(payload_of(samples, "order") + b"{}", "order").code is Code.TRAILING_BYTES


@pytest.mark.parametrize(
    "time",
    [
        "2026-11-22T10:00:00",
        "2026-11-22T10:00:00+00:00",
        "2026-11-22T11:00:00+01:00",
        "2026-11-22T10:00:00.5Z",
        "2026-11-22T10:00:00.000Z",
        "2026-11-22 10:00:00Z",
        "2026-11-22t10:00:00z",
        "2026-11-22T10:00Z",
        "2026-11-22T24:00:00Z",
        "2026-02-29T10:00:00Z",
        "2026-11-22T10:00:60Z",
        "2026-11-22T10:00:00Z\n",
        "２０２６-11-22T10:00:00Z",
        "1795341600",
        1795341600,
    ],
)
def test_a_time_in_another_spelling_is_refused(time: Any, samples: dict[str, Predicate]) -> None:
    document = document_of(samples, "order")
    document["predicate"]["issued_at"] = time
    assert refusal_of(document, "order").code is Code.MALFORMED


def test_a_time_of_our_own_is_aware_utc_and_whole(samples: dict[str, Predicate]) -> None:
    good = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)
    fields = samples["withdrawal"].model_dump(by_alias=True)
    assert Withdrawal.model_validate({**fields, "issued_at": good}).issued_at == good
    for wrong in (
        good.replace(tzinfo=None),
        good.replace(microsecond=1),
        good.astimezone(timezone(timedelta(hours=1))),
    ):
        with pytest.raises(ValidationError):
            Withdrawal.model_validate({**fields, "issued_at": wrong})
    assert time_text(good) == "2026-11-22T10:00:00Z"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("order_digest", "AB" * 32),
        ("order_digest", "00" * 31),
        ("order_digest", "00" * 32 + "\n"),
        ("token", "00" * 15),
        ("signer", "SHA256:short"),
        ("reason", "lower"),
        ("order", "dep_" + "00" * 16),
    ],
)
def test_a_digest_a_key_and_a_code_have_one_form(
    field: str, value: str, samples: dict[str, Predicate]
) -> None:
    document = document_of(samples, "withdrawal")
    document["predicate"][field] = value
    assert refusal_of(document, "withdrawal").code is Code.MALFORMED


@pytest.mark.parametrize("wrong", ["a\nb", "a\x00", "é", "", "x" * 121])
def test_a_word_is_printable_ascii(wrong: str, samples: dict[str, Predicate]) -> None:
    document = document_of(samples, "order")
    document["predicate"]["controller_version"] = wrong
    assert refusal_of(document, "order").code is Code.MALFORMED


def test_a_refusal_names_the_place_and_never_the_value(samples: dict[str, Predicate]) -> None:
    document = document_of(samples, "evidence")
    document["predicate"]["media"][0]["medium"]["commitment"] = "S64GNE0R500123"
    refusal = refusal_of(document, "evidence")
    assert "media.0.medium.commitment" in refusal.reason
    assert "S64GNE0R500123" not in str(refusal)


# --- the parts ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seen", list(Seen))
def test_an_observation_has_no_truth(seen: Seen) -> None:
    with pytest.raises(TypeError, match="three values"):
        bool(seen)
    with pytest.raises(TypeError):
        _ = not seen


def test_what_was_looked_at_is_yes_or_no() -> None:
    assert Seen.that(True) is Seen.YES
    assert Seen.that(False) is Seen.NO


def test_a_statement_cannot_be_changed(samples: dict[str, Predicate]) -> None:
    with pytest.raises(ValidationError):
        samples["order"].nonce = "00" * 16


def test_the_digest_of_a_plan_is_that_of_its_canonical_text(samples: dict[str, Predicate]) -> None:
    order = samples["order"]
    assert isinstance(order, Order)
    text = rfc8785.dumps(document_of(samples, "order")["predicate"]["plan"])
    assert order.plan.canonical_digest() == hashlib.sha256(text).hexdigest()


def test_a_plan_names_no_time_salt_approval_token_or_fence(samples: dict[str, Predicate]) -> None:
    plan = document_of(samples, "order")["predicate"]["plan"]
    keys = {key for path in objects_in(plan) for key in at(plan, path)}
    for word in ("_at", "salt", "approval", "token", "fence", "nonce"):
        assert not [key for key in keys if word in key], word
