"""Session lines: every line survives its journey; nothing else is taken for a line."""

from __future__ import annotations

import json
import types
import typing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certificate import messages
from certificate.errors import Code, Malformed
from certificate.messages import Ack, JournalLine, Line, read_answer, read_request

REQUESTS, ANSWERS = (
    tuple(getattr(messages, kind) for kind in kinds.values())
    for kinds in (messages.REQUESTS, messages.ANSWERS)
)
ALL = (*REQUESTS, *ANSWERS)
TEXT = st.text(alphabet=st.characters(codec="utf-8"), max_size=20)


def values_of(kind: Any) -> st.SearchStrategy[Any]:
    """Any value that a field of this declared type may have."""
    if isinstance(kind, type) and issubclass(kind, Line):
        return lines_of(kind)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        return st.lists(values_of(arguments[0]), max_size=2).map(tuple)
    if origin is dict:
        return st.dictionaries(TEXT, TEXT, max_size=3)
    if origin in (types.UnionType, typing.Union):
        return st.none() | values_of(arguments[0])
    if kind is bool:
        return st.booleans()
    return TEXT if kind is str else st.integers(min_value=0, max_value=2**53 - 1)


def lines_of(kind: type[Line]) -> st.SearchStrategy[Line]:
    return st.builds(kind, **{name: values_of(hint) for name, hint in fields_of(kind).items()})


def fields_of(kind: type[Line]) -> dict[str, Any]:
    """Field -> its declared type."""
    return {name: hint for name, hint in typing.get_type_hints(kind).items() if name != "name"}


def reader_of(kind: type[Line]) -> Any:
    return read_request if kind in REQUESTS else read_answer


def refusal_of(read: Any, data: bytes) -> Malformed:
    with pytest.raises(Malformed) as refusal:
        read(data)
    return refusal.value


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.name)
@given(data=st.data())
def test_every_line_is_read_as_it_was_written(kind: type[Line], data: st.DataObject) -> None:
    line = data.draw(lines_of(kind))
    written = line.write()
    assert written.count(b"\n") == 1
    assert written.endswith(b"\n")
    assert reader_of(kind)(written) == line


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.name)
@given(data=st.data())
def test_a_line_with_one_field_more_or_less_is_refused(kind: type[Line], data: st.DataObject) -> None:
    document = json.loads(data.draw(lines_of(kind)).write())
    more = json.dumps(document | {"also": 1}).encode()
    assert refusal_of(reader_of(kind), more).code is Code.UNKNOWN_FIELD
    for field in fields_of(kind):
        less = json.dumps({name: value for name, value in document.items() if name != field}).encode()
        assert refusal_of(reader_of(kind), less).code is Code.LINE_INVALID


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.name)
@given(data=st.data())
def test_a_field_of_another_type_is_refused(kind: type[Line], data: st.DataObject) -> None:
    document = json.loads(data.draw(lines_of(kind)).write())
    for field, hint in fields_of(kind).items():
        wrong = True if hint is not bool else 1
        altered = json.dumps(document | {field: wrong}).encode()
        assert refusal_of(reader_of(kind), altered).code is Code.LINE_INVALID


CAPABILITY = {"field": "FNA", "raw": "04"}
LAYER = {
    "kind": "luks2",
    "nsid": 1,
    "offset_bytes": 0,
    "area_bytes": 1,
    "header_copies": 2,
    "key_slots": 1,
    "tokens": 0,
    "is_detached": False,
}
STACKED = {"kind": "mount", "node": "md0", "on": "nvme0n1"}


@pytest.mark.parametrize(
    ("place", "member"), [("capabilities", CAPABILITY), ("layers", LAYER), ("stack", STACKED)]
)
def test_an_unknown_field_is_refused_at_every_depth(place: str, member: dict[str, Any]) -> None:
    fields: dict[str, Any] = {
        "transport": "nvme",
        "attachment": "internal",
        "device_class": "physical",
        "manufacturer": "a",
        "model": "b",
        "firmware": "c",
        "serial": "d",
        "capacity_bytes": 1,
        "unallocated_capacity_bytes": 0,
        "is_write_protected": False,
        "namespaces": [],
        "capabilities": [],
        "layers": [],
        "stack": [],
        "status_log": "00",
        "refused": None,
    }
    answer = {"line": "inventory_answer", "boot_id": "e", "host_facts": [], "residue": []}
    known = answer | {"drives": [fields | {place: [member]}]}
    read_answer(json.dumps(known).encode())
    unknown = answer | {"drives": [fields | {place: [member | {"also": 1}]}]}
    refusal = refusal_of(read_answer, json.dumps(unknown).encode())
    assert refusal.code is Code.UNKNOWN_FIELD
    assert f"drives[0].{place}[0]" in refusal.reason


def test_true_is_no_number_and_one_is_no_truth() -> None:
    ack = {"line": "ack", "token": "a", "boot_id": "b", "seq": True, "step": "c"}
    assert refusal_of(read_request, json.dumps(ack).encode()).code is Code.LINE_INVALID


def test_a_request_is_no_answer_and_an_answer_no_request() -> None:
    ack = Ack(token="a", boot_id="b", seq=1, step="c").write()
    assert refusal_of(read_answer, ack).code is Code.LINE_INVALID
    answer = messages.Accepted(token="a").write()
    assert refusal_of(read_request, answer).code is Code.LINE_INVALID


def test_each_kind_is_found_under_the_name_that_its_lines_carry() -> None:
    for kinds in (messages.REQUESTS, messages.ANSWERS):
        assert {getattr(messages, kind).name: kind for kind in kinds.values()} == kinds


def test_what_is_no_line_is_no_attribute() -> None:
    with pytest.raises(AttributeError):
        _ = messages.Nothing


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", Code.MALFORMED),
        (b"[]", Code.MALFORMED),
        (b"{}", Code.LINE_INVALID),
        (b'{"line":"format"}', Code.LINE_INVALID),
        (b'{"line":1}', Code.LINE_INVALID),
        (b'{"line":"inventory","line":"inventory"}', Code.DUPLICATE_KEY),
        (b'{"line":"inventory"}{"line":"inventory"}', Code.TRAILING_BYTES),
        (b'{"line":"ack","seq":1.5}', Code.NOT_A_NUMBER),
        (b'{"line":"ack","seq":NaN}', Code.NOT_A_NUMBER),
        (b'{"line":"' + b"x" * messages.MAX_LINE_BYTES + b'"}', Code.LIMIT_EXCEEDED),
    ],
)
def test_what_is_no_line_has_its_code(data: bytes, code: Code) -> None:
    assert refusal_of(read_request, data).code is code


def test_a_line_that_nobody_would_read_is_not_sent() -> None:
    line = JournalLine(
        token="a",
        seq=1,
        kind="evidence",
        step="",
        needs_ack=False,
        at_ms=1,
        previous="0" * 64,
        body={"annex": "x" * messages.MAX_LINE_BYTES},
    )
    with pytest.raises(Malformed) as refusal:
        line.write()
    assert refusal.value.code is Code.LIMIT_EXCEEDED


def test_no_line_has_a_default() -> None:
    for kind in [*ALL, messages.DeliveryLine, messages.DriveReport, messages.SaltedMedium]:
        for field in fields_of(kind):
            assert not hasattr(kind, field), f"{kind.__name__}.{field}"


def test_a_line_of_hello_is_a_frozen_value_with_exactly_its_fields() -> None:
    line = messages.Hello(controller_nonce="00" * 32, purpose="pin")
    assert line == messages.Hello(controller_nonce="00" * 32, purpose="pin")
    assert hash(line) == hash(line.but())
    assert line != line.but(purpose="order")
    assert repr(line) == f"Hello(controller_nonce={'00' * 32!r}, purpose='pin')"
    with pytest.raises(AttributeError):
        line.purpose = "order"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        del line.purpose
    for wrong in ({"purpose": "pin"}, {"controller_nonce": "", "purpose": "", "more": ""}):
        with pytest.raises(TypeError, match="has the fields"):
            messages.Hello(**wrong)
