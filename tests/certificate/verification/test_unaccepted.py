"""A result that nobody accepted may be told as inconclusive, and only where the table does not accept it."""

from __future__ import annotations

from typing import Any

import pytest

from certificate.assurance import Reason, judge, unaccepted
from certificate.errors import Code, Refused
from certificate.policy import Policy
from certificate.verify import examine, verify

REJECTED, NOT_ACCEPTED = Reason.RESULT_REJECTED, Reason.RESULT_NOT_ACCEPTED


def told(story: Any, because: Reason, decision: str | None) -> Any:
    """The honest story under a table with this word on it (None: no row), told as not accepted."""
    rows = [] if decision is None else [dumped(story.table.rows[0]) | {"decision": decision}]
    story.tabled("rows", rows)
    story.evidence = None
    (planned,) = story.order.plan.media
    claim = dumped(
        unaccepted(judge(order=story.order, evidence=story.told, commitment=planned.commitment), because)
    )
    return story.said("claim", claim).said("validation", "not_applicable").summed("claim", claim)


def dumped(model: Any) -> Any:
    return model.model_dump(mode="json", by_alias=True)


@pytest.mark.parametrize(
    ("because", "decision"),
    [
        (REJECTED, "reject"),
        (REJECTED, "escalate"),
        (REJECTED, None),
        (NOT_ACCEPTED, "escalate"),
        (NOT_ACCEPTED, None),
    ],
)
def test_what_the_table_does_not_accept_may_be_told_so_and_is_no_certificate(
    story: Any, because: Reason, decision: str | None
) -> None:
    bundle = told(story, because, decision).build()
    assert because.value in examine(bundle, story.root).claim.reasons
    with pytest.raises(Refused) as caught:
        verify(bundle, story.root, Policy.production())
    assert caught.value.code is Code.INCONCLUSIVE


@pytest.mark.parametrize(
    ("because", "decision"), [(REJECTED, "accept"), (NOT_ACCEPTED, "accept"), (NOT_ACCEPTED, "reject")]
)
def test_what_the_table_accepts_or_rejects_is_not_told_otherwise(
    story: Any, because: Reason, decision: str
) -> None:
    bundle = told(story, because, decision).build()
    with pytest.raises(Refused) as caught:
        examine(bundle, story.root)
    assert caught.value.code is Code.EVIDENCE_MISMATCH


def test_an_acceptance_beside_it_is_refused(story: Any) -> None:
    validation = dumped(story.tools["make_outcome"](story.order))["validation"]
    bundle = told(story, REJECTED, "reject").said("validation", validation).build()
    with pytest.raises(Refused) as caught:
        examine(bundle, story.root)
    assert caught.value.code is Code.EVIDENCE_MISMATCH
