"""The desk: stores before it answers, shows what is there, and keeps names to itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from certificate.errors import Refused
from certificate.identifiers import DeprovisionId, HostId, TenancyId
from certificate.statements.vocabulary import HostFactKind, Trigger
from controller.api.documents import HostFact, HostLine, NewDrive, NewHost
from controller.errors import Code
from controller.facts import Disposition
from controller.spool import HintEvent, make_hint
from controller.states import State
from controller.store import deprovisions, hints, hosts, ledger, private, tenancies
from controller.store.deprovisions import Move
from controller.store.tenancies import Tenancy
from demo.disclosure import says

NOW = datetime(2026, 11, 20, 12, 0, 0, 987_654, tzinfo=UTC)
DEPROVISION = DeprovisionId("dep_" + "1" * 32)


def new_host(**changes: Any) -> NewHost:
    fields: dict[str, Any] = {
        "asset_tag": "host-1",
        "site": "site-1",
        "rack": "r1",
        "customer": "Ada Lovelace",
        "data_class": "default",
        "disposition": "rented",
        "address": "[2001:db8::1]:2222",
        "parameters": {"port": "7"},
        "facts": (HostFact(kind=HostFactKind.DMI_UUID, value="4c4c4544"),),
        "drives": (NewDrive(serial="SERIAL-4711", model="MODEL, 1", capacity_bytes=1000, basis="declared"),),
    }
    return NewHost(**(fields | changes))


def deprovisioned(open_desk: Any, *, to_operator: bool = False) -> HostLine:
    """A host with a tenancy that is being ended."""
    line: HostLine = open_desk.desk.add_host(new_host())
    tenancy = TenancyId("ten_" + "2" * 32)
    with open_desk.desk.store.transaction() as tx:
        tenancies.record(
            tx,
            Tenancy(
                id=tenancy,
                host=line.host,
                subscription_ref=open_desk.desk.pseudonyms.subscription("sub-1"),
                tenancy_ref=open_desk.desk.pseudonyms.tenancy(tenancy),
                tenant_ref=None,
                data_class="default",
                starts_at=NOW - timedelta(days=90),
                ends_at=None,
                asserted_by="billing",
                recorded_at=NOW,
                changed_at=NOW,
            ),
            now=NOW,
        )
        deprovisions.schedule(
            tx,
            id=DEPROVISION,
            host_id=line.host,
            tenancy_id=tenancy,
            trigger=Trigger.ENDED,
            data_class="default",
            policy_version=3,
            policy_digest="d" * 64,
            grace_until=NOW + timedelta(days=7),
            dwell_seconds=60,
            now=NOW,
        )
        claimed = deprovisions.claim(tx, DEPROVISION, owner="worker", now=NOW, lease=timedelta(seconds=30))
        deprovisions.wait(
            tx,
            DEPROVISION,
            state=State.SCHEDULED,
            fence=claimed.fence,
            reason="grace until 2026-11-27",
            next_due_at=NOW + timedelta(minutes=5),
        )
        if to_operator:
            deprovisions.move(
                tx,
                DEPROVISION,
                old=State.SCHEDULED,
                fence=claimed.fence,
                move=Move(
                    new=State.NEEDS_OPERATOR,
                    next_due_at=None,
                    because=Refused(Code.DRIVES_DIFFER, "one drive more than on record"),
                ),
                now=NOW,
            )
    return line


def test_a_hint_is_stored_before_it_is_answered_and_wakes_the_dispatcher(open_desk: Any) -> None:
    hint = make_hint(event="ended", subscription="sub-1", now=NOW, random_16_bytes=bytes(16))
    assert open_desk.desk.tell(hint).to == "serve"
    assert len(open_desk.wakes) == 1
    with open_desk.desk.store.snapshot() as tx:
        stored = hints.untaken(tx, limit=10)
    assert [each.event for each in stored] == [HintEvent.ENDED]
    assert stored[0].subscription_ref == open_desk.desk.pseudonyms.subscription("sub-1")


def test_a_hint_told_twice_is_one(open_desk: Any) -> None:
    hint = make_hint(event="ended", subscription="sub-1", now=NOW, random_16_bytes=bytes(16))
    open_desk.desk.tell(hint)
    open_desk.desk.tell(hint)
    with open_desk.desk.store.snapshot() as tx:
        assert len(hints.untaken(tx, limit=10)) == 1


def test_a_host_is_kept_as_it_was_declared(open_desk: Any) -> None:
    line = open_desk.desk.add_host(new_host())
    assert (line.asset_tag, line.address, line.drive_count) == ("host-1", "[2001:db8::1]:2222", 1)
    assert open_desk.desk.hosts().hosts == (line,)
    with open_desk.desk.store.snapshot() as tx:
        stored = hosts.load(tx, line.host)
        (drive,) = hosts.drives_of(tx, line.host)
        (fact,) = hosts.facts_of(tx, line.host)
    assert (stored.address, stored.port, stored.disposition) == ("2001:db8::1", 2222, Disposition.RENTED)
    assert stored.boot_parameters == stored.quarantine_parameters == {"port": "7"}
    assert (drive.serial, drive.model, drive.capacity_bytes) == ("SERIAL-4711", "MODEL, 1", 1000)
    assert drive.basis is hosts.DriveBasis.DECLARED
    assert (fact.kind, fact.value) == (HostFactKind.DMI_UUID, "4c4c4544")


def test_a_customers_name_stands_sealed_in_the_private_tables_and_nowhere_else(open_desk: Any) -> None:
    line = open_desk.desk.add_host(new_host())
    with open_desk.desk.store.snapshot() as tx:
        stored = hosts.load(tx, line.host)
        told = private.read(
            tx,
            subject_ref=stored.customer_ref or "",
            kind="customer",
            master_key=open_desk.desk.private_text_key,
        )
        exported = "".join(ledger.export(tx))
    assert told == "Ada Lovelace"
    assert not says(exported.encode(), "Ada")
    assert not says(exported.encode(), "SERIAL-4711")
    open_desk.desk.store.close()
    contents = [path.read_bytes() for path in open_desk.home.database.parent.iterdir()]
    assert not any(says(content, "Ada Lovelace") for content in contents)


def test_a_second_host_of_one_asset_tag_is_refused_whole(open_desk: Any) -> None:
    open_desk.desk.add_host(new_host())
    with pytest.raises(Refused) as refused:
        open_desk.desk.add_host(new_host(drives=()))
    assert refused.value.code is Code.ALREADY_STORED
    assert len(open_desk.desk.hosts().hosts) == 1


def test_one_serial_twice_refuses_the_whole_host(open_desk: Any) -> None:
    drive = NewDrive(serial="S1", model="M", capacity_bytes=None, basis="intake")
    with pytest.raises(Refused) as refused:
        open_desk.desk.add_host(new_host(drives=(drive, drive)))
    assert refused.value.code is Code.ALREADY_STORED
    assert open_desk.desk.hosts().hosts == ()


def test_status_of_a_new_home_is_current_and_empty(open_desk: Any) -> None:
    status = open_desk.desk.status()
    assert (status.is_frozen, status.log_size, status.deprovisions) == (False, 1, ())
    assert status.ledger_seq >= 3


def test_status_says_frozen_when_the_anchor_is_gone(open_desk: Any) -> None:
    open_desk.home.anchor.unlink()
    assert open_desk.desk.status().is_frozen


def test_status_says_where_each_stands_and_what_it_waits_for(open_desk: Any) -> None:
    deprovisioned(open_desk)
    (line,) = open_desk.desk.status().deprovisions
    assert (line.deprovision, line.host, line.state) == (DEPROVISION, "host-1", "scheduled")
    assert line.sentence == State.SCHEDULED.sentence
    assert line.waits_for == "grace until 2026-11-27"
    assert line.scheduled_at == NOW.replace(microsecond=0)
    assert line.next_due_at == (NOW + timedelta(minutes=5)).replace(microsecond=0)


def test_a_story_shows_policy_events_and_no_order_where_none_was_made(open_desk: Any) -> None:
    deprovisioned(open_desk)
    story = open_desk.desk.story(DEPROVISION)
    assert (story.policy_version, story.policy_digest) == (3, "d" * 64)
    assert [event.kind for event in story.events] == ["deprovision-scheduled"]
    assert (story.why, story.needs, story.plan_digest, story.media) == (None, None, None, ())


def test_a_story_says_why_a_person_is_needed_and_the_next_step(open_desk: Any) -> None:
    deprovisioned(open_desk, to_operator=True)
    needs = open_desk.desk.story(DEPROVISION).needs
    assert needs is not None
    assert (needs.code, needs.reason) == ("DRIVES_DIFFER", "one drive more than on record")
    assert needs.remedy == Code.DRIVES_DIFFER.remedy


@pytest.mark.parametrize("question", ["story", "certificate"])
def test_what_is_not_there_is_refused(open_desk: Any, question: str) -> None:
    desk = open_desk.desk
    asked = desk.story if question == "story" else partial(desk.certificate, with_annex=False)
    with pytest.raises(Refused) as refused:
        asked(DEPROVISION)
    assert refused.value.code is Code.NOT_IN_STORE


def test_a_certificate_before_its_time_is_refused(open_desk: Any) -> None:
    deprovisioned(open_desk)
    with pytest.raises(Refused) as refused:
        open_desk.desk.certificate(DEPROVISION, with_annex=True)
    assert refused.value.code is Code.CERTIFICATE_NOT_READY


def test_pages_of_the_ledger_follow_each_other_without_gap(
    open_desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    deprovisioned(open_desk)
    monkeypatch.setattr("controller.api.desk.PAGE_LINES", 2)
    lines: list[str] = []
    next_seq: int | None = 1
    while next_seq is not None:
        page = open_desk.desk.ledger_page(from_seq=next_seq)
        assert 0 < len(page.lines) <= 2
        lines += page.lines
        next_seq = page.next_seq
    with open_desk.desk.store.snapshot() as tx:
        assert lines == [line.rstrip("\n") for line in ledger.export(tx)]


def test_a_page_beyond_the_end_is_empty(open_desk: Any) -> None:
    page = open_desk.desk.ledger_page(from_seq=10_000)
    assert (page.lines, page.next_seq) == ((), None)


def test_a_checked_ledger_counts_what_it_compared(open_desk: Any) -> None:
    deprovisioned(open_desk)
    checked = open_desk.desk.check_ledger()
    assert (checked.deprovisions, checked.log_entries) == (1, 1)


def test_a_state_that_the_ledger_does_not_tell_is_found(open_desk: Any) -> None:
    deprovisioned(open_desk)
    with open_desk.desk.store.transaction() as tx:
        table = deprovisions.deprovision
        tx.execute(table.update().values(state=State.APPROVED))
    with pytest.raises(Refused) as refused:
        open_desk.desk.check_ledger()
    assert refused.value.code is Code.LEDGER_BROKEN


def test_ids_of_hosts_are_random(open_desk: Any) -> None:
    one = open_desk.desk.add_host(new_host())
    two = open_desk.desk.add_host(new_host(asset_tag="host-2", drives=()))
    assert one.host != two.host
    assert HostId.parse(one.host)
