"""No signed format has room for a person, a customer or a plain serial."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from certificate.statements import Predicate
from certificate.statements.statement import Model, make, subject
from certificate.trust import TrustRoot
from demo.disclosure import says

#: Parts of a field's name that would invite what must never be signed, logged or published.
FORBIDDEN = {
    "address",
    "alias",
    "birth",
    "city",
    "company",
    "contact",
    "country",
    "customer",
    "email",
    "eui",
    "fqdn",
    "geo",
    "hostname",
    "imei",
    "ip",
    "ipv4",
    "ipv6",
    "location",
    "login",
    "mac",
    "mail",
    "nguid",
    "password",
    "person",
    "phone",
    "salt",
    "serial",
    "serials",
    "street",
    "surname",
    "udid",
    "user",
    "username",
    "wwn",
}
#: The only `name`s: of a file or medium by digest, a cap, a program, a place of residue, a witness's key.
NAMES = {"Subject.name", "LimitState.name", "Tool.name", "Residue.name", "Witness.name"}
#: The only free text: what an operator wrote as a reason, and the limits of a claim, which are our own.
SENTENCES = {"Approval.reason", "Decision.reason", "Claim.limits"}


def every_model(kind: type[Model] = Model) -> Iterator[type[Model]]:
    """Each part of each signed format: statements and the trust root."""
    for found in kind.__subclasses__():
        if found.__module__.startswith(("certificate.statements.", "certificate.trust")):
            yield found
        yield from every_model(found)


def test_no_field_is_named_for_personal_data_or_a_plain_serial() -> None:
    models = set(every_model())
    assert TrustRoot in models
    for kind in models:
        for field in kind.model_fields:
            assert not set(field.lower().split("_")) & FORBIDDEN, f"{kind.__name__}.{field}"


def test_a_name_is_never_a_persons() -> None:
    found = {
        f"{kind.__name__}.{field}"
        for kind in every_model()
        for field in kind.model_fields
        if "name" in field.split("_")
    }
    assert found == NAMES


def test_free_text_stands_where_it_was_allowed_and_nowhere_else() -> None:
    found = {
        f"{kind.__name__}.{name}"
        for kind in every_model()
        for name, field in kind.model_fields.items()
        if "x1f" in f"{field.annotation} {field.metadata}"
    }
    assert found == SENTENCES


@pytest.mark.parametrize(
    "secret", ["S64GNE0R500123", "4c4c4544-0052-3510", "3c:ec:ef:00:00:01", "WM21AS000123", "C7461FK00NF0123"]
)
def test_no_sample_shows_a_serial_or_a_fact_of_its_host(secret: str, samples: dict[str, Predicate]) -> None:
    for predicate in samples.values():
        payload = make(predicate, (subject("sample", "00" * 32),)).payload()
        assert not says(payload, secret)
