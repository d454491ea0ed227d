"""A policy insists on what its file says, in an order that an operator can rely on."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certificate.answers import exit_code
from certificate.errors import Code, Malformed, RefusalCode, Refused
from certificate.policy import Checked, Policy
from certificate.statements import Purpose
from certificate.statements.outcome import Claim
from certificate.statements.vocabulary import DeviceClass, Grade, Method, Result

Alter = Callable[..., Any]


def found(
    *,
    purpose: str = "production",
    classes: tuple[str, ...] = ("physical",),
    schema: int = 1,
    result: str = "erased",
    method: str = "purge",
    grade: str = "marker-proven",
) -> Checked:
    claim = Claim(
        result=Result(result),
        method=Method(method),
        technique="not_applicable",
        grade=Grade(grade),
        reasons=("MARKER_UNCHANGED",) if result != "erased" else (),
        limits=(),
    )
    return Checked(
        purpose=Purpose(purpose),
        schema_version=schema,
        device_classes=tuple(DeviceClass(each) for each in classes),
        claim=claim,
    )


def code_of(policy: Policy, checked: Checked) -> RefusalCode | None:
    try:
        policy.check(checked)
    except Refused as refusal:
        return refusal.code
    return None


def policies() -> st.SearchStrategy[Policy]:
    """Every policy that a file can say."""
    several = {
        "purposes": st.lists(st.sampled_from([each.value for each in Purpose]), min_size=1, unique=True),
        "device_classes": st.lists(
            st.sampled_from([each.value for each in DeviceClass]), min_size=1, unique=True
        ),
        "minimum_method": st.sampled_from(["clear", "purge", "destroy"]),
        "minimum_grade": st.sampled_from([each.value for each in Grade if each is not Grade.NONE]),
        "maximum_schema": st.integers(1, 9),
    }
    fixed = {"schema": st.just(1), "log": st.just("required")}
    return st.fixed_dictionaries(several | fixed).map(lambda fields: Policy.read(json.dumps(fields).encode()))


@given(
    policy=policies(),
    result=st.sampled_from(["not_erased", "inconclusive"]),
    purpose=st.sampled_from([each.value for each in Purpose]),
    kind=st.sampled_from([each.value for each in DeviceClass]),
    method=st.sampled_from([each.value for each in Method]),
    grade=st.sampled_from([each.value for each in Grade]),
)
def test_no_policy_makes_a_failure_exit_0(
    policy: Policy, result: str, purpose: str, kind: str, method: str, grade: str
) -> None:
    checked = found(purpose=purpose, classes=(kind,), result=result, method=method, grade=grade)
    code = code_of(policy, checked)
    assert code is not None
    assert exit_code(code) in (1, 3)
    assert (exit_code(code) == 3) == (code is Code.INCONCLUSIVE)


@given(policy=policies())
def test_a_policy_that_takes_everything_about_a_medium_says_what_the_failure_is(policy: Policy) -> None:
    checked = found(
        purpose=policy.purposes[0].value,
        classes=(policy.device_classes[0].value,),
        result="not_erased",
        method="destroy",
        grade="device-attested",
    )
    assert code_of(policy, checked) is Code.NOT_ERASED


NOTHING_ERASED: dict[str, Any] = {"result": "not_erased", "method": "none", "grade": "none"}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, None),
        ({"grade": "device-reported"}, None),
        ({"method": "destroy"}, None),
        ({"classes": ()}, Code.NOT_A_PHYSICAL_DEVICE),
        ({"classes": ("image_file",)}, Code.NOT_A_PHYSICAL_DEVICE),
        ({"classes": ("physical", "emulated")}, Code.NOT_A_PHYSICAL_DEVICE),
        ({"purpose": "demonstration"}, Code.DEMONSTRATION),
        ({"purpose": "demonstration", "classes": ("emulated",)}, Code.NOT_A_PHYSICAL_DEVICE),
        ({"schema": 2}, Code.UNSUPPORTED),
        (NOTHING_ERASED, Code.NOT_ERASED),
        (NOTHING_ERASED | {"result": "inconclusive"}, Code.INCONCLUSIVE),
        (NOTHING_ERASED | {"classes": ("emulated",)}, Code.NOT_A_PHYSICAL_DEVICE),
        ({"method": "clear"}, Code.POLICY_UNMET),
        ({"grade": "vendor-asserted"}, Code.POLICY_UNMET),
    ],
)
def test_without_a_file_physical_media_purged_in_production_pass(
    changes: dict[str, Any], code: Code | None
) -> None:
    assert code_of(Policy.production(), found(**changes)) is code


def test_a_policy_for_demonstrations_only_refuses_production(altered: Alter) -> None:
    policy = altered(Policy.production(), "purposes", ["demonstration"])
    assert code_of(policy, found()) is Code.PURPOSE_MISMATCH
    assert code_of(policy, found(purpose="demonstration")) is None


def test_a_policy_comes_back_as_it_was_written_and_keeps_its_digest() -> None:
    policy = Policy.production()
    again = Policy.read(policy.write())
    assert again == policy
    assert again.digest() == policy.digest()
    assert len(policy.digest()) == 64


def test_another_policy_has_another_digest(altered: Alter) -> None:
    other = altered(Policy.production(), "minimum_grade", "marker-proven")
    assert other.digest() != Policy.production().digest()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("schema", 2),
        ("purposes", []),
        ("purposes", ["testing"]),
        ("device_classes", []),
        ("minimum_method", "none"),
        ("minimum_grade", "none"),
        ("log", "optional"),
        ("maximum_schema", 0),
        ("maximum_schema", True),
        ("unknown", 1),
    ],
)
def test_a_policy_that_waives_what_cannot_be_waived_is_invalid(name: str, value: Any) -> None:
    fields = json.loads(Policy.production().write())
    with pytest.raises(Malformed) as caught:
        Policy.read(json.dumps(fields | {name: value}).encode())
    assert caught.value.code is Code.POLICY_INVALID


@pytest.mark.parametrize("name", sorted(json.loads(Policy.production().write())))
def test_a_policy_has_no_defaults(name: str) -> None:
    fields = json.loads(Policy.production().write())
    del fields[name]
    with pytest.raises(Malformed):
        Policy.read(json.dumps(fields).encode())
