"""A draft is hostile input: read strictly, refused with the place that is wrong; nothing has a default."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from certificate.errors import Refused
from certificate.statements import Purpose
from controller.errors import Code
from controller.policy.draft import MAX_DRAFT_BYTES, Draft

RULE = {
    "data_class": "default",
    "floor": "purge",
    "approvals_required": 0,
    "overwrite": "keystream",
    "read_back": "full",
    "escrow": "unknown",
}
ROW = {
    "data_class": "default",
    "media": "self_encrypting_nvme",
    "technique": "nvme_sanitize_crypto",
    "grade": "marker-proven",
    "decision": "accept",
}


def written(**changes: Any) -> dict[str, Any]:
    return {"schema": 1, "version": 2, "rules": [RULE], "rows": [ROW], "otherwise": "escalate"} | changes


def refused(data: bytes) -> str:
    with pytest.raises(Refused) as caught:
        Draft.read(data)
    assert caught.value.code is Code.DRAFT_INVALID
    return caught.value.reason


def test_a_draft_survives_writing_and_reading() -> None:
    draft = Draft.read(json.dumps(written()).encode())
    assert Draft.read(draft.write()) == draft
    assert json.loads(draft.write()) == written()


def test_a_draft_is_the_table_it_was_made_of_under_another_number() -> None:
    draft = Draft.read(json.dumps(written()).encode())
    now = datetime(2026, 11, 22, tzinfo=UTC)
    table = draft.table(purpose=Purpose.PRODUCTION, nonce="ab" * 16, issued_at=now)
    assert Draft.of(table, version=2) == draft
    assert (table.version, table.rules, table.rows) == (2, draft.rules, draft.rows)


@pytest.mark.parametrize("name", ["schema", "version", "rules", "rows", "otherwise"])
def test_nothing_of_a_draft_may_be_left_out(name: str) -> None:
    fields = written()
    del fields[name]
    assert name in refused(json.dumps(fields).encode())


@pytest.mark.parametrize("part", ["rules", "rows"])
def test_nothing_of_a_rule_or_row_may_be_left_out(part: str) -> None:
    for name in {"rules": RULE, "rows": ROW}[part]:
        fields = written()
        fields[part] = [{key: value for key, value in fields[part][0].items() if key != name}]
        assert f"{part}.0.{name}" in refused(json.dumps(fields).encode())


@pytest.mark.parametrize(
    ("place", "change"),
    [
        ("extra", lambda f: f | {"extra": 1}),
        ("rules.0.extra", lambda f: f | {"rules": [RULE | {"extra": 1}]}),
        ("rows.0.extra", lambda f: f | {"rows": [ROW | {"extra": 1}]}),
        ("version", lambda f: f | {"version": "2"}),
        ("version", lambda f: f | {"version": 0}),
        ("version", lambda f: f | {"version": True}),
        ("schema", lambda f: f | {"schema": 2}),
        ("otherwise", lambda f: f | {"otherwise": "accept"}),
        ("rules", lambda f: f | {"rules": []}),
        ("rules.0.floor", lambda f: f | {"rules": [RULE | {"floor": "destroy"}]}),
        ("rules.0.floor", lambda f: f | {"rules": [RULE | {"floor": "none"}]}),
        ("rules.0.approvals_required", lambda f: f | {"rules": [RULE | {"approvals_required": 3}]}),
        ("rules.0.approvals_required", lambda f: f | {"rules": [RULE | {"approvals_required": -1}]}),
        ("rows.0.media", lambda f: f | {"rows": [ROW | {"media": "tape"}]}),
        ("rows.0.decision", lambda f: f | {"rows": [ROW | {"decision": "yes"}]}),
        ("default", lambda f: f | {"rules": [RULE, RULE | {"floor": "clear"}]}),
        ("nvme_sanitize_crypto", lambda f: f | {"rows": [ROW, ROW | {"decision": "reject"}]}),
    ],
)
def test_what_is_wrong_is_refused_and_named(
    place: str, change: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    assert place in refused(json.dumps(change(written())).encode())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b'{"schema": 1, "schema": 1}',
        b'{"version": 2.0}',
        b'{"version": NaN}',
        b"[" * 100,
        json.dumps(written()).encode() + b"x",
        b"\xef\xbb\xbf" + json.dumps(written()).encode(),
        b" " * (MAX_DRAFT_BYTES + 1),
    ],
)
def test_bytes_that_are_no_draft_are_refused(data: bytes) -> None:
    refused(data)
