"""A way is read from the ledger's lines, and a step aside is noticed."""

from __future__ import annotations

import json

import pytest

from demo.ways import WAYS, Step, steps, strayed


def line(kind: str, deprovision: str | None = None, **body: str) -> str:
    return json.dumps({"kind": kind, "deprovision": deprovision, "at": "T", "body": body})


def test_steps_are_the_states_in_the_ledgers_order_with_their_host() -> None:
    ledger = "\n".join(
        [
            line("store-created"),
            line("deprovision-scheduled", "dep_1", host="hst_1", state="scheduled"),
            line("deprovision-scheduled", "dep_2", host="hst_2", state="scheduled"),
            line("effect-begun", "dep_1", effect="isolate"),
            line("state-moved", "dep_2", old="scheduled", new="cancelled"),
        ]
    )
    assert [(step.host, step.deprovision, step.state) for step in steps(ledger)] == [
        ("hst_1", "dep_1", "scheduled"),
        ("hst_2", "dep_2", "scheduled"),
        ("hst_2", "dep_2", "cancelled"),
    ]
    assert steps("") == []


def test_a_move_of_what_was_never_scheduled_is_not_passed_over() -> None:
    with pytest.raises(KeyError):
        steps(line("state-moved", "dep_1", old="scheduled", new="quarantined"))


def test_the_beginning_of_a_promised_way_has_not_strayed() -> None:
    for length in range(12):
        assert strayed({host: way[:length] for host, way in WAYS.items()}) == []


@pytest.mark.parametrize(
    ("host", "way"),
    [
        ("host-1", ("scheduled", "quarantined", "needs_operator")),
        ("host-1", ("scheduled", "cancelled")),
        ("host-1", (*WAYS["host-1"], "scheduled")),
        ("host-2", ("scheduled", "quarantined")),
        ("host-4", (*WAYS["host-4"][:6], "erasing")),
        ("host-9", ("scheduled",)),
    ],
)
def test_a_step_aside_is_noticed(host: str, way: tuple[str, ...]) -> None:
    assert strayed({"host-2": ("scheduled",), host: way}) == [host]


def test_a_step_is_a_value() -> None:
    step = Step(host="hst_1", deprovision="dep_1", state="scheduled", at="T")
    assert steps(line("deprovision-scheduled", "dep_1", host="hst_1", state="scheduled")) == [step]
