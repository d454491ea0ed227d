"""What a host is, two operators say; that it was never let, the source must say too."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from typing import Any

import pytest

from controller import intake
from controller.facts import MAX_AGE, Disposition
from controller.manual import prospect
from controller.people.acts.disposition import require_never_let
from controller.store import declarations, hosts, sightings
from controller.store.hosts import host_fact
from controller.store.sightings import Provenance

STOCK = {"host": "host-1", "disposition": "stock"}


@pytest.fixture
def empty(crew: Any) -> Any:
    """A host that the source knows no tenancy of, though it knows others."""
    forget(crew)
    return crew


def forget(crew: Any) -> None:
    """The source names our host no more."""
    with sqlite3.connect(crew.world.billing.path) as database:
        database.execute("UPDATE placement SET server = 'elsewhere-1'")
    database.close()
    crew.world._beat()


def the_host(crew: Any) -> hosts.Host:
    with crew.program.store.snapshot() as tx:
        (host,) = hosts.all_hosts(tx)
    return host


def declare(crew: Any, word: str = "stock") -> Any:
    about = {**STOCK, "disposition": word}
    crew.people.decide("disposition", about, by=crew.alice)
    return crew.people.decide("disposition", about, by=crew.bob)


def signers(crew: Any) -> set[str]:
    """Who stands behind the declaration now."""
    with crew.program.store.snapshot() as tx:
        found = prospect(tx, crew.program, the_host(crew)).facts.declaration
    return set() if found is None else set(found.keyids)


@pytest.mark.parametrize("word", ["stock", "internal"])
def test_two_declare_a_host_that_was_never_let(empty: Any, word: str) -> None:
    about = {**STOCK, "disposition": word}
    assert empty.people.decide("disposition", about, by=empty.alice).done is None
    assert the_host(empty).disposition is Disposition.RENTED
    assert signers(empty) == set()
    assert empty.people.decide("disposition", about, by=empty.bob).done is not None
    assert the_host(empty).disposition is Disposition(word)
    assert signers(empty) == {empty.alice.public.keyid, empty.bob.public.keyid}


def test_a_host_that_is_let_is_no_stock(crew: Any) -> None:
    crew.world._beat()
    assert crew.refused(lambda: crew.people.show("disposition", STOCK)) == "TENANCY_REMAINS"


def test_a_host_that_was_let_is_no_stock_though_the_source_forgot(crew: Any) -> None:
    crew.world._beat()
    intake.learn(crew.program)
    forget(crew)
    assert crew.refused(lambda: crew.people.show("disposition", STOCK)) == "TENANCY_REMAINS"


def test_an_incomplete_list_is_not_an_empty_one(empty: Any) -> None:
    """A stale heartbeat, an error, silence: none of them says that nobody rents the host."""
    empty.pass_time(timedelta(hours=1))
    assert empty.refused(lambda: empty.people.show("disposition", STOCK)) == "TENANCY_LIST_UNKNOWN"


def test_each_signature_asks_the_source_again(empty: Any) -> None:
    empty.people.decide("disposition", STOCK, by=empty.alice)
    envelope = empty.people.decision(empty.people.show("disposition", STOCK), empty.bob)
    with sqlite3.connect(empty.world.billing.path) as database:
        database.execute("DELETE FROM pulse")
    database.close()
    act = lambda: empty.people.hand_in("disposition", STOCK, envelope)  # noqa: E731
    assert empty.refused(act) == "TENANCY_LIST_UNKNOWN"
    assert the_host(empty).disposition is Disposition.RENTED


def test_a_list_older_than_an_observation_may_be_declares_nothing(empty: Any) -> None:
    empty.people.show("disposition", STOCK)
    host = the_host(empty)
    with empty.program.store.snapshot() as tx:
        require_never_let(tx, empty.program, host)
    empty.pass_time(MAX_AGE)
    with empty.program.store.snapshot() as tx:
        act = lambda: require_never_let(tx, empty.program, host)  # noqa: E731
        assert empty.refused(act) == "TENANCY_LIST_UNKNOWN"


@pytest.mark.parametrize("word", ["rented", "unknown"])
def test_back_again_needs_two_and_no_list(empty: Any, word: str) -> None:
    declare(empty)
    empty.pass_time(timedelta(hours=1))
    about = {**STOCK, "disposition": word}
    assert empty.people.decide("disposition", about, by=empty.alice).done is None
    assert the_host(empty).disposition is Disposition.STOCK
    empty.people.decide("disposition", about, by=empty.bob)
    assert the_host(empty).disposition is Disposition(word)


def test_a_declaration_falls_with_a_signer(empty: Any) -> None:
    declare(empty)
    empty.people.decide("revoke", {"keyid": empty.alice.public.keyid}, by=empty.bob)
    assert signers(empty) == {empty.bob.public.keyid}


def test_a_declaration_is_of_the_host_as_it_was_identified(empty: Any) -> None:
    """The agent compares the same commitment, so an order on it would be refused anyway."""
    declare(empty)
    with empty.program.store.transaction() as tx:
        tx.execute(host_fact.update().where(host_fact.c.kind == "dmi_uuid").values(value="c3" * 16))
    assert signers(empty) == set()


def test_declared_anew_only_the_newest_stands(empty: Any) -> None:
    declare(empty)
    carol = empty.newcomer()
    empty.world._beat()
    empty.people.decide("disposition", STOCK, by=empty.alice)
    empty.people.decide("disposition", STOCK, by=carol)
    assert signers(empty) == {empty.alice.public.keyid, carol.public.keyid}
    with empty.program.store.snapshot() as tx:
        standing = declarations.standing(tx, the_host(empty).id)
    assert standing is not None
    assert standing.number == 2


def test_an_unknown_host_or_word_is_refused(crew: Any) -> None:
    for about, code in (
        ({**STOCK, "host": "host-9"}, "NOT_IN_STORE"),
        ({**STOCK, "disposition": "spare"}, "DECISION_MISMATCH"),
    ):
        assert crew.refused(lambda about=about: crew.people.show("disposition", about)) == code


def test_a_declaration_whose_reason_says_a_name_learnt_since_is_nobodys(empty: Any) -> None:
    """It would travel with every order for the host, and in each of its certificates."""
    for by in (empty.alice, empty.bob):
        empty.people.decide("disposition", STOCK, by=by, reason="came with LATER-4711 and was never let")
    assert len(signers(empty)) == 2
    with empty.program.store.transaction() as tx:
        sightings.record(
            tx,
            the_host(empty).id,
            provenance=Provenance.SEEN_IN_TRUSTED_BOOT,
            facts=(),
            drives=("LATER4711",),
            now=empty.program.clock(),
        )
    assert signers(empty) == set()
