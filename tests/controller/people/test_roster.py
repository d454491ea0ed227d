"""Whose signatures count: the trust root's two, those whom two let in, and nobody who was revoked."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from certificate.keys import PrivateKey
from certificate.log.entry import LogKind
from certificate.operators import enrolled_operators
from controller.people.roster import Standing, enrolments_for, members, roster
from controller.store import log_rows

DAY = timedelta(days=1)


def standing(crew: Any) -> dict[str, Standing]:
    with crew.program.store.snapshot() as tx:
        found = members(tx, crew.program.documents.trust, now=crew.program.clock())
    return {member.key.keyid: member.standing for member in found}


def enrol(crew: Any, key: PrivateKey, *by: PrivateKey) -> Any:
    about = {"public_key": key.public.ssh_line}
    taken = [crew.people.decide("enrol", about, by=each) for each in by]
    return taken[-1]


def test_the_two_of_the_trust_root_count_at_once(crew: Any) -> None:
    assert standing(crew) == {
        crew.alice.public.keyid: Standing.ACTIVE,
        crew.bob.public.keyid: Standing.ACTIVE,
    }


def test_two_let_a_newcomer_in_and_it_counts_after_the_waiting_time(crew: Any) -> None:
    crew.let_wait(3 * DAY)
    carol = PrivateKey.generate()
    assert enrol(crew, carol, crew.alice).done is None
    assert carol.public.keyid not in standing(crew)
    assert enrol(crew, carol, crew.bob).done is not None
    assert standing(crew)[carol.public.keyid] is Standing.INERT
    crew.people.decide("freeze", {}, by=crew.bob)
    assert crew.refused(lambda: crew.people.decide("thaw", {"number": "1"}, by=carol)) == "NOT_AN_OPERATOR"
    crew.pass_time(3 * DAY)
    assert standing(crew)[carol.public.keyid] is Standing.ACTIVE
    assert crew.people.decide("thaw", {"number": "1"}, by=carol).done is None


def test_a_newcomer_that_would_count_too_early_is_refused(crew: Any) -> None:
    crew.let_wait(3 * DAY)
    about = {"public_key": PrivateKey.generate().public.ssh_line}
    shown = crew.people.show("enrol", about)
    early = crew.people.decision(shown, crew.alice, effective_at=shown.time + 2 * DAY)
    assert crew.refused(lambda: crew.people.hand_in("enrol", about, early)) == "INERT_TOO_SHORT"


def test_what_was_signed_while_inert_counts_nothing_afterwards(crew: Any) -> None:
    carol = crew.newcomer(inert_seconds=3600)
    crew.people.decide("freeze", {}, by=crew.bob)
    early = crew.people.decision(crew.people.show("thaw", {"number": "1"}), carol)
    crew.pass_time(timedelta(hours=2))
    hand_in = lambda: crew.people.hand_in("thaw", {"number": "1"}, early)  # noqa: E731
    assert crew.refused(hand_in) == "NOT_AN_OPERATOR"


def test_a_key_that_is_in_is_not_let_in_again(crew: Any) -> None:
    carol = crew.newcomer()
    for key in (crew.alice, carol):
        assert crew.refused(lambda key=key: enrol(crew, key, crew.bob)) == "OPERATOR_KNOWN"


def test_a_key_of_the_controllers_is_nobodys(crew: Any) -> None:
    assert crew.refused(lambda: enrol(crew, crew.program.keyring.issuer, crew.bob)) == "OPERATOR_KNOWN"


def test_a_newcomer_does_not_vouch_for_itself(crew: Any) -> None:
    carol = PrivateKey.generate()
    enrol(crew, carol, crew.alice)
    assert crew.refused(lambda: enrol(crew, carol, carol)) == "NOT_AN_OPERATOR"
    assert carol.public.keyid not in standing(crew)


def test_one_revokes_at_once_and_the_log_says_so(crew: Any) -> None:
    crew.people.decide("revoke", {"keyid": crew.alice.public.keyid}, by=crew.bob)
    assert standing(crew)[crew.alice.public.keyid] is Standing.REVOKED
    with crew.program.store.snapshot() as tx:
        newest = log_rows.entries(tx)[-1]
        assert newest.kind is LogKind.REVOKE_KEY
        assert log_rows.covering_checkpoint(tx, newest.seq) is not None


def test_a_revoked_key_never_comes_back(crew: Any) -> None:
    carol = crew.newcomer()
    crew.people.decide("revoke", {"keyid": carol.public.keyid}, by=carol)
    assert crew.refused(lambda: enrol(crew, carol, crew.alice)) == "OPERATOR_REVOKED"
    revoke = {"keyid": carol.public.keyid}
    assert crew.refused(lambda: crew.people.decide("revoke", revoke, by=crew.bob)) == "OPERATOR_REVOKED"
    crew.pass_time(DAY)
    assert standing(crew)[carol.public.keyid] is Standing.REVOKED


def test_a_key_that_waits_can_be_revoked_before_it_ever_counts(crew: Any) -> None:
    carol = crew.newcomer()
    crew.let_wait(DAY)
    thief = PrivateKey.generate()
    enrol(crew, thief, crew.alice, carol)
    crew.people.decide("revoke", {"keyid": thief.public.keyid}, by=crew.bob)
    crew.pass_time(2 * DAY)
    assert standing(crew)[thief.public.keyid] is Standing.REVOKED


def test_a_key_that_nobody_let_in_cannot_be_revoked(crew: Any) -> None:
    stranger = {"keyid": PrivateKey.generate().public.keyid}
    assert crew.refused(lambda: crew.people.show("revoke", stranger)) == "NOT_AN_OPERATOR"


def test_a_newcomer_stays_when_a_sponsor_goes(crew: Any) -> None:
    carol = crew.newcomer()
    crew.people.decide("revoke", {"keyid": crew.alice.public.keyid}, by=crew.bob)
    assert standing(crew)[carol.public.keyid] is Standing.ACTIVE


def test_a_sponsor_revoked_before_the_second_signature_lets_nobody_in(crew: Any) -> None:
    carol = crew.newcomer()
    dave = PrivateKey.generate()
    enrol(crew, dave, crew.alice)
    crew.people.decide("revoke", {"keyid": crew.alice.public.keyid}, by=crew.bob)
    assert enrol(crew, dave, crew.bob).done is None
    assert enrol(crew, dave, carol).done is not None


@pytest.mark.parametrize("generations", [1, 2])
def test_the_enrolments_that_travel_lead_from_the_trust_root_to_the_person(
    crew: Any, generations: int
) -> None:
    """Exactly its chain: others that were enrolled meanwhile stay at home."""
    line = [crew.newcomer() for _ in range(generations)]
    last = PrivateKey.generate()
    sponsor = line[-1]
    enrol(crew, last, sponsor, crew.alice)
    crew.newcomer()
    trust = crew.program.documents.trust
    with crew.program.store.snapshot() as tx:
        assert enrolments_for(tx, trust, [crew.alice.public.keyid]) == ()
        travelling = enrolments_for(tx, trust, [last.public.keyid])
    assert len(travelling) == 4
    found = enrolled_operators(trust, travelling, crew.program.clock())
    assert {key.keyid for key in found.keys} == {
        key.public.keyid for key in (crew.alice, crew.bob, sponsor, last)
    }


def test_the_roster_is_the_chain_without_the_revoked(crew: Any) -> None:
    carol = crew.newcomer()
    crew.people.decide("revoke", {"keyid": crew.bob.public.keyid}, by=crew.alice)
    with crew.program.store.snapshot() as tx:
        found = roster(tx, crew.program.documents.trust, now=crew.program.clock())
    assert {key.keyid for key in found.keys} == {crew.alice.public.keyid, carol.public.keyid}
