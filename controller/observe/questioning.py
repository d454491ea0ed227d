"""From the name of a question to the asking of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from controller.case import Case
from controller.facts import Question
from controller.observe import host, source
from controller.program import Program


def ask_all(program: Program, case: Case, questions: Iterable[Question]) -> None:
    """Asks each, in this order. What a question needs and is not there yet is passed over: the facts will say
    so.
    """
    for question in questions:
        _ask(program, case, question)


def _ask(program: Program, case: Case, question: Question) -> None:
    match question:
        case Question.SUBSCRIPTION:
            for tenancy in case.tenancies:
                source.subscription(program, tenancy, deprovision=case.id)
        case Question.TENANCIES:
            source.tenancy_list(program, case.host, deprovision=case.id)
        case Question.CLOCK:
            source.clock(program, case.host, deprovision=case.id)
        case Question.CENSUS:
            source.census(program)
        case Question.ISOLATION:
            host.isolation(program, case.host, deprovision=case.id)
        case Question.ORDER_HELLO:
            host.order_hello(program, case.host, deprovision=case.id)
        case Question.AGENT_STATUS | Question.FINAL_ABSENCE:
            if case.order is not None:
                finalise = question is Question.FINAL_ABSENCE
                host.agent_status(program, case.host, case.order, finalise=finalise)
        case _:
            assert_never(question)
