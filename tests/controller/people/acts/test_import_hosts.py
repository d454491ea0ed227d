"""A file of hosts: one operator adds, two change, and exactly what was read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import update

from certificate.errors import Refused
from certificate.statements.people import DecisionKind
from controller.api.decisions_documents import MAX_ABOUT_CHARACTERS, MatterAsked
from controller.api.documents import NewHost
from controller.errors import Code
from controller.facts import Disposition
from controller.people.acts.import_hosts import SHOWN_HOSTS
from controller.records import importing
from controller.records.host_file import read_hosts
from controller.serving import desk_of
from controller.store import hosts

HEAD = "asset_tag,site,rack,customer,data_class,disposition,address,drives,parameter.p,fact.chassis_serial\n"
SAME = "host-1,s,r,,default,rented,127.0.0.1:1,,,CH1\n"
NEW = "host-2,s,r,Ada,default,rented,127.0.0.1:2,S2|M|5,,CH2\n"


def about(crew: Any, text: str) -> dict[str, str]:
    """As a dry run told it."""
    with crew.program.store.snapshot() as tx:
        found = importing.difference(tx, crew.program, read_hosts(text))
    return {"text": text, "difference": found.digest}


def tags(crew: Any) -> set[str]:
    with crew.program.store.snapshot() as tx:
        return {host.asset_tag for host in hosts.all_hosts(tx)}


def test_one_operator_adds_hosts(crew: Any) -> None:
    asked = about(crew, HEAD + SAME + NEW)
    shown = crew.people.show("import", asked).matter
    assert (shown.people_needed, shown.facts["hosts_added"], shown.facts["hosts_changed"]) == (1, 1, 0)
    assert crew.people.decide("import", asked, by=crew.alice).done is not None
    assert tags(crew) == {"host-1", "host-2"}


@pytest.mark.parametrize(
    "changed",
    [
        SAME.replace(",s,", ",s9,"),
        SAME.replace(",r,", ",r9,"),
        SAME.replace(",r,,", ",r,Ada,"),
        SAME.replace("default", "secret"),
        SAME.replace("rented", "unknown"),
        SAME.replace(":1,", ":9,"),
        SAME.replace(":1,,", ":1,S9|M|9,"),
        SAME.replace(",,CH1", ",x,CH1"),
        SAME.replace("CH1", "CH9"),
    ],
)
def test_whatever_changes_of_a_known_host_two_operators_sign_it(crew: Any, changed: str) -> None:
    assert changed != SAME
    asked = about(crew, HEAD + changed + NEW)
    assert crew.people.decide("import", asked, by=crew.alice).done is None
    assert crew.people.decide("import", asked, by=crew.alice).done is None
    assert tags(crew) == {"host-1"}, "nothing of the file is applied"
    assert crew.people.decide("import", asked, by=crew.bob).done is not None
    assert tags(crew) == {"host-1", "host-2"}
    with crew.program.store.snapshot() as tx:
        assert importing.difference(tx, crew.program, read_hosts(HEAD + changed + NEW)).changed == ()


LEAVES = {
    "host": "host-1",
    "old": "SABOTAGE1",
    "new": "none",
    "by": "Ada Lovelace",
    "why": "it does not answer",
    "seal": "4711",
    "place": "safe 2",
}


def leave(crew: Any) -> None:
    """The drive of host-1 leaves with its tenancy's data on it."""
    crew.people.decide("remove", LEAVES, by=crew.alice)
    assert crew.people.decide("remove", LEAVES, by=crew.bob).done is not None


@pytest.mark.parametrize(
    "row", [NEW.replace("S2|M|5", "SABOTAGE1|M|5"), SAME.replace(":1,,", ":1,SABOTAGE1|M|9,")]
)
def test_a_drive_that_left_as_an_open_exception_enters_no_record_by_one_signature(
    crew: Any, row: str
) -> None:
    leave(crew)
    asked = about(crew, HEAD + row)
    shown = crew.people.show("import", asked).matter
    assert shown.people_needed == 2
    assert shown.words.endswith("1 warnings")
    (warning,) = (each for each in shown.consequences if each.startswith("WARNING"))
    assert "SABOTAGE1 left host-1" in warning
    assert "a customer's data may be on it" in warning
    assert crew.people.decide("import", asked, by=crew.alice).done is None
    assert tags(crew) == {"host-1"}
    with crew.program.store.snapshot() as tx:
        (host,) = hosts.all_hosts(tx)
        assert hosts.drives_of(tx, host.id) == ()
    assert crew.people.decide("import", asked, by=crew.bob).done is not None


def test_a_host_with_such_a_drive_is_added_by_no_line_that_nobody_signs(crew: Any) -> None:
    """`hosts add` takes no signature, so it takes no such drive."""
    leave(crew)
    desk = desk_of(crew.program, wake=lambda: None)
    fields = {
        "asset_tag": "host-2",
        "site": "s",
        "rack": "r",
        "customer": None,
        "data_class": "default",
        "disposition": "rented",
        "address": "127.0.0.1:2",
        "parameters": {},
        "facts": [],
        "drives": [{"serial": "SABOTAGE1", "model": "M", "capacity_bytes": 9, "basis": "declared"}],
    }
    with pytest.raises(Refused) as caught:
        desk.add_host(NewHost.model_validate_json(json.dumps(fields)))
    assert caught.value.code is Code.DRIVE_LEFT_BEFORE
    assert tags(crew) == {"host-1"}


def test_a_drive_that_left_untouched_comes_back_as_any_other(crew: Any) -> None:
    with crew.program.store.transaction() as tx:
        tx.execute(update(hosts.host).values(disposition=Disposition.STOCK))
    leave(crew)
    asked = about(crew, HEAD + NEW.replace("S2|M|5", "SABOTAGE1|M|5"))
    assert crew.people.show("import", asked).matter.people_needed == 1


def test_what_was_signed_for_one_file_counts_for_no_other(crew: Any) -> None:
    asked = about(crew, HEAD + SAME + NEW)
    envelope = crew.people.decision(crew.people.show("import", asked), crew.alice)
    other = HEAD + SAME + NEW.replace("CH2", "CH3")
    swapped = {**asked, "text": other}
    assert crew.refused(lambda: crew.people.hand_in("import", swapped, envelope)) == "IMPORT_CHANGED"
    honest = about(crew, other)
    assert crew.refused(lambda: crew.people.hand_in("import", honest, envelope)) == "MATTER_CHANGED"
    assert tags(crew) == {"host-1"}


def test_a_file_that_changes_nothing_is_not_signed(crew: Any) -> None:
    asked = about(crew, HEAD + SAME)
    assert crew.refused(lambda: crew.people.show("import", asked)) == "IMPORT_EMPTY"


def test_what_is_shown_is_bounded_and_what_is_signed_is_all(crew: Any) -> None:
    rows = [
        NEW.replace("host-2", f"new-{n}").replace("S2", f"S{n}").replace("CH2", f"X{n}") for n in range(60)
    ]
    shown = crew.people.show("import", about(crew, HEAD + "".join(rows))).matter
    assert (len(shown.facts["added"]), shown.facts["hosts_added"]) == (SHOWN_HOSTS, 60)
    rows[59] = rows[59].replace("X59", "X60")
    other = crew.people.show("import", about(crew, HEAD + "".join(rows))).matter
    assert shown.facts["added"] == other.facts["added"]
    assert shown.on != other.on


def test_a_file_travels_with_an_import_and_with_nothing_else() -> None:
    long = {"text": "x" * (MAX_ABOUT_CHARACTERS + 1)}
    assert MatterAsked(kind=DecisionKind.IMPORT, about=long, reason=None).about == long
    with pytest.raises(ValueError, match="characters"):
        MatterAsked(kind=DecisionKind.HOLD, about=long, reason=None)
