"""A decision counts if an operator signed it, over what is so now, once, and enough of them did."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from certificate.keys import PrivateKey
from certificate.statements import Purpose
from certificate.statements.people import DecisionKind
from controller.people import deciding
from controller.people.deciding import DECISION_LIFE
from controller.people.disclosure import READ_BY_STRANGERS
from controller.people.matter import Matter
from controller.store import decisions, hosts, ledger, log_rows, sightings, stops
from controller.store.sightings import Provenance

SECOND = timedelta(seconds=1)
HOLD = {"scope": "host=host-1", "matter": "case 7", "review": "P30D"}


def frozen(crew: Any) -> dict[str, str]:
    """A standing freeze, as `thaw` is asked about it."""
    crew.people.decide("freeze", {}, by=crew.alice)
    with crew.program.store.snapshot() as tx:
        return {"number": str(stops.freezes(tx)[-1].number)}


def is_frozen(crew: Any) -> bool:
    with crew.program.store.snapshot() as tx:
        return bool(stops.freezes(tx))


def test_one_of_two_is_stored_and_does_nothing_and_the_second_does_it(crew: Any) -> None:
    about = frozen(crew)
    first = crew.people.decide("thaw", about, by=crew.alice)
    assert first.done is None
    assert (len(first.signed), first.people_needed) == (1, 2)
    assert is_frozen(crew)
    second = crew.people.decide("thaw", about, by=crew.bob)
    assert second.done is not None
    assert second.signed == tuple(sorted((crew.alice.public.keyid, crew.bob.public.keyid)))
    assert not is_frozen(crew)


def test_the_same_decision_twice_is_one_person(crew: Any) -> None:
    about = frozen(crew)
    envelope = crew.people.decision(crew.people.show("thaw", about), crew.alice)
    for _ in range(2):
        assert len(crew.people.hand_in("thaw", about, envelope).signed) == 1
    assert is_frozen(crew)


def test_two_decisions_of_one_person_are_one_person(crew: Any) -> None:
    about = frozen(crew)
    for _ in range(3):
        taken = crew.people.decide("thaw", about, by=crew.alice)
    assert taken.done is None
    assert is_frozen(crew)


def test_what_was_shown_before_somebody_signed_names_who_did(crew: Any) -> None:
    about = frozen(crew)
    assert crew.people.show("thaw", about).signed == ()
    crew.people.decide("thaw", about, by=crew.alice)
    assert crew.people.show("thaw", about).signed == (crew.alice.public.keyid,)


def test_decisions_carried_out_count_for_no_later_stop(crew: Any) -> None:
    about = frozen(crew)
    envelope = crew.people.decision(crew.people.show("thaw", about), crew.alice)
    crew.people.hand_in("thaw", about, envelope)
    crew.people.decide("thaw", about, by=crew.bob)
    again = frozen(crew)
    assert crew.people.decide("thaw", again, by=crew.bob).done is None
    assert crew.refused(lambda: crew.people.hand_in("thaw", again, envelope)) == "DECISION_SPENT"
    assert is_frozen(crew)


def test_a_stranger_decides_nothing(crew: Any) -> None:
    about = frozen(crew)
    stranger = PrivateKey.generate()
    assert crew.refused(lambda: crew.people.decide("thaw", about, by=stranger)) == "NOT_AN_OPERATOR"


def test_a_strangers_signature_under_an_operators_name_decides_nothing(crew: Any) -> None:
    about = frozen(crew)
    shown = crew.people.show("thaw", about)
    forged = crew.people.decision(shown, crew.bob, signer=PrivateKey.generate())
    assert crew.refused(lambda: crew.people.hand_in("thaw", about, forged)) == "SIGNATURE_INVALID"


def test_another_operators_hint_beside_a_good_signature_is_refused(crew: Any) -> None:
    about = frozen(crew)
    envelope = crew.people.decision(crew.people.show("thaw", about), crew.bob)
    hinted = envelope.replace(crew.bob.public.keyid.encode(), crew.alice.public.keyid.encode())
    assert hinted != envelope
    assert crew.refused(lambda: crew.people.hand_in("thaw", about, hinted)) == "DECISION_MISMATCH"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"choice": "freeze"}, "DECISION_MISMATCH"),
        ({"document_digest": "d" * 64}, "DECISION_MISMATCH"),
        ({"enrols": "e" * 64}, "DECISION_MISMATCH"),
        ({"on": "a" * 64}, "MATTER_CHANGED"),
        ({"subject": "a" * 64}, "DECISION_MISMATCH"),
        ({"kind": DecisionKind.RELEASE_HOLD}, "DECISION_MISMATCH"),
        ({"purpose": Purpose.PRODUCTION}, "PURPOSE_MISMATCH"),
        ({"ledger_seq": 1_000_000}, "DECISION_MISMATCH"),
    ],
)
def test_a_decision_on_anything_else_is_refused(crew: Any, changes: dict[str, Any], code: str) -> None:
    about = frozen(crew)
    assert crew.refused(lambda: crew.people.decide("thaw", about, by=crew.bob, **changes)) == code
    assert crew.people.decide("thaw", about, by=crew.alice).done is None


def test_a_matter_that_changed_between_showing_and_signing_is_refused(crew: Any) -> None:
    shown = crew.people.show("hold", HOLD)
    envelope = crew.people.decision(shown, crew.alice)
    other = {**HOLD, "matter": "case 8"}
    assert crew.refused(lambda: crew.people.hand_in("hold", other, envelope)) == "MATTER_CHANGED"


def test_a_decision_from_the_future_and_one_of_yesterday_are_refused(crew: Any) -> None:
    about = frozen(crew)
    shown = crew.people.show("thaw", about)
    for issued_at in (shown.time + timedelta(minutes=5), shown.time - DECISION_LIFE):
        changes = {"issued_at": issued_at, "effective_at": issued_at}
        spoilt = crew.people.decision(shown, crew.bob, **changes)
        assert crew.refused(lambda spoilt=spoilt: crew.people.hand_in("thaw", about, spoilt)) == (
            "DECISION_STALE"
        )


def test_what_one_person_signed_yesterday_does_not_wait_for_the_second(crew: Any) -> None:
    about = frozen(crew)
    crew.people.decide("thaw", about, by=crew.alice)
    crew.pass_time(DECISION_LIFE)
    taken = crew.people.decide("thaw", about, by=crew.bob)
    assert taken.done is None
    assert taken.signed == (crew.bob.public.keyid,)


def test_a_revoked_operator_stands_behind_nothing_that_was_not_carried_out(crew: Any) -> None:
    about = frozen(crew)
    crew.people.decide("thaw", about, by=crew.alice)
    crew.people.decide("revoke", {"keyid": crew.alice.public.keyid}, by=crew.bob)
    taken = crew.people.decide("thaw", about, by=crew.bob)
    assert taken.done is None
    assert crew.refused(lambda: crew.people.decide("thaw", about, by=crew.alice)) == "NOT_AN_OPERATOR"


def test_an_unknown_kind_of_decision_is_refused(crew: Any) -> None:
    assert crew.refused(lambda: crew.people.show("reconcile", {})) == "ACT_UNKNOWN"


def test_nothing_is_kept_of_a_decision_that_was_refused(crew: Any) -> None:
    about = frozen(crew)
    with crew.program.store.snapshot() as tx:
        before = ledger.head(tx)
    crew.refused(lambda: crew.people.decide("thaw", about, by=crew.bob, on="a" * 64))
    with crew.program.store.snapshot() as tx:
        assert ledger.head(tx) == before


def test_an_old_store_takes_only_what_stops_something(crew: Any) -> None:
    """It may have forgotten who was revoked, and a log entry made now would fork the log."""
    about = frozen(crew)
    hold = crew.people.decision(crew.people.show("hold", HOLD), crew.alice)
    thaw = crew.people.decision(crew.people.show("thaw", about), crew.alice)
    revoked = {"keyid": crew.bob.public.keyid}
    revoke = crew.people.decision(crew.people.show("revoke", revoked), crew.alice)
    with crew.program.store.snapshot() as tx:
        size = log_rows.size(tx)
    (crew.world.folder / "anchor.json").unlink()
    assert crew.refused(lambda: crew.people.show("thaw", about)) == "STORE_NOT_CURRENT"
    assert crew.refused(lambda: crew.people.hand_in("revoke", revoked, revoke)) == "STORE_NOT_CURRENT"
    assert crew.refused(lambda: crew.people.hand_in("thaw", about, thaw)) == "STORE_NOT_CURRENT"
    assert crew.people.hand_in("hold", HOLD, hold).done is not None
    with crew.program.store.snapshot() as tx:
        assert log_rows.size(tx) == size


def test_a_decision_is_used_up_in_the_transaction_that_carries_it_out(crew: Any) -> None:
    about = frozen(crew)
    first = crew.people.decide("thaw", about, by=crew.alice)
    with crew.program.store.snapshot() as tx:
        assert decisions.load(tx, first.decision).used_at is None
    second = crew.people.decide("thaw", about, by=crew.bob)
    with crew.program.store.snapshot() as tx:
        for digest in (first.decision, second.decision):
            assert decisions.load(tx, digest).used_at is not None


# --- what strangers read ------------------------------------------------------------------------------------

OUT = {
    "host": "host-1",
    "old": "SABOTAGE1",
    "new": "serial=SPARE-0002,model=M",
    "by": "Ada Lovelace",
    "why": "it does not answer",
    "seal": "S-0815",
    "place": "safe 2",
}
NAMES = [
    "host 1 is broken",
    "Sabotage-1 is dead",
    "ask ada@example.org",
    "by ada lovelace",
    "spare 0002",
]


def stored_count(crew: Any, kind: DecisionKind) -> int:
    with crew.program.store.snapshot() as tx:
        return int(
            tx.scalar(
                select(func.count()).select_from(decisions.decision).where(decisions.decision.c.kind == kind)
            )
        )


@pytest.mark.parametrize("reason", NAMES)
def test_a_reason_that_names_somebody_is_refused_before_it_is_signed_and_when_it_comes(
    crew: Any, reason: str
) -> None:
    kind = DecisionKind.REMOVE

    def shown() -> object:
        return deciding.show(crew.program, kind, OUT, reason=reason)

    assert crew.refused(shown) == "REASON_NAMES_SOMEBODY"
    assert deciding.show(crew.program, kind, OUT, reason="it does not answer").matter.kind is kind
    envelope = crew.people.decision(crew.people.show("remove", OUT), crew.alice, reason=reason)
    assert crew.refused(lambda: crew.people.hand_in("remove", OUT, envelope)) == "REASON_NAMES_SOMEBODY"
    assert stored_count(crew, kind) == 0


def test_a_reason_that_only_the_provider_keeps_may_name_the_host(crew: Any) -> None:
    for reason in NAMES:
        deciding.show(crew.program, DecisionKind.HOLD, HOLD, reason=reason)
        assert crew.people.decide("hold", HOLD, by=crew.alice, reason=reason).done is not None


def test_a_stored_reason_that_says_a_name_learnt_since_counts_no_more(crew: Any) -> None:
    first = crew.people.decide("remove", OUT, by=crew.alice, reason="its twin is SECRET-SERIAL")
    assert len(first.signed) == 1
    with crew.program.store.transaction() as tx:
        (host,) = hosts.all_hosts(tx)
        sightings.record(
            tx,
            host.id,
            provenance=Provenance.SEEN_IN_TRUSTED_BOOT,
            facts=(),
            drives=("SECRETSERIAL",),
            now=crew.program.clock(),
        )
    assert crew.people.show("remove", OUT).signed == ()
    assert crew.people.decide("remove", OUT, by=crew.bob).done is None
    crew.pass_time(SECOND)
    assert crew.people.decide("remove", OUT, by=crew.alice).done is not None


@pytest.mark.parametrize("kind", sorted(READ_BY_STRANGERS))
def test_an_act_that_does_not_say_what_is_private_is_not_decided(kind: DecisionKind) -> None:
    matter = Matter(kind=kind, choice="x", facts={}, consequences=(), people_needed=1, words="")
    with pytest.raises(ValueError, match="must say what is private"):
        matter.require_names_nobody("a reason")
