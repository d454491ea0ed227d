"""The tables of states: sentences, groups, moves, and the page rendered from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.deadlines import DEADLINES
from controller.states import TRANSITIONS, State, arrow_line, may_move, render_markdown

DOCS = Path(__file__).parents[2] / "docs" / "states.md"


def test_the_page_of_states_is_the_one_rendered_from_the_tables() -> None:
    assert DOCS.read_text() == render_markdown()


def test_the_ordinary_way_is_the_one_in_the_design() -> None:
    assert arrow_line() == (
        "scheduled → quarantined → staged → planned → approved → intended → erasing → verified"
        " → validated → certified → released"
    )


@pytest.mark.parametrize("state", State)
def test_every_state_has_a_sentence(state: State) -> None:
    assert state.sentence.endswith(".")
    assert State(state.value) is state


def test_terminal_states_are_those_of_the_design_and_nothing_leaves_them() -> None:
    terminal = {state for state in State if state.is_terminal}
    assert terminal == {State.RELEASED, State.CANCELLED, State.DESTROYED, State.CLOSED}
    assert not {t.old for t in TRANSITIONS} & terminal


def test_a_renewal_cancels_from_every_state_before_the_point_of_no_return() -> None:
    reversible = [state for state in State if state.is_reversible]
    assert reversible == [
        State.SCHEDULED,
        State.QUARANTINED,
        State.STAGED,
        State.PLANNED,
        State.APPROVED,
        State.INTENDED,
    ]
    for state in reversible:
        assert may_move(state, State.CANCELLED)
    assert not any(may_move(state, State.CANCELLED) for state in (State.VERIFIED, State.CERTIFIED))


def test_every_running_state_has_a_deadline_with_its_reason_and_leads_to_a_person() -> None:
    running = {state for state in State if state.is_running}
    assert set(DEADLINES) == running
    for state in running:
        assert DEADLINES[state].reason
        assert may_move(state, State.NEEDS_OPERATOR)


def test_only_commands_lead_out_of_needs_operator_and_commands_lead_out_of_nothing_else() -> None:
    for transition in TRANSITIONS:
        assert transition.is_command is (transition.old is State.NEEDS_OPERATOR)
    assert not may_move(State.NEEDS_OPERATOR, State.SCHEDULED)
    assert may_move(State.NEEDS_OPERATOR, State.SCHEDULED, is_command=True)


def test_erasing_is_entered_from_an_intended_order_or_by_a_reprobe_and_in_no_other_way() -> None:
    assert {(t.old, t.is_command) for t in TRANSITIONS if t.new is State.ERASING} == {
        (State.INTENDED, False),
        (State.NEEDS_OPERATOR, True),
    }


def test_no_move_is_listed_twice_and_every_state_can_be_reached() -> None:
    moves = [(t.old, t.new) for t in TRANSITIONS]
    assert len(moves) == len(set(moves))
    assert {new for _, new in moves} == set(State)
