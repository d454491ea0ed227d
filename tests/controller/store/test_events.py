"""What may stand in the ledger: ids, pseudonyms, digests, codes, numbers, times. No more."""

from __future__ import annotations

import dataclasses
import re
from datetime import datetime, timedelta, timezone
from enum import StrEnum
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certificate.errors import Malformed, Refused
from certificate.identifiers import HostId
from controller.errors import Code
from controller.store import events, ledger, private, record_events
from controller.store.events import AnswerChanged, Event, StoreCreated
from demo.disclosure import says

ALL = [
    kind
    for kind in {**vars(events), **vars(record_events)}.values()
    if isinstance(kind, type) and issubclass(kind, Event)
]
KINDS = [kind for kind in ALL if kind is not Event]

FORBIDDEN = [
    "S4EVNX0R123456",
    "SN1234",
    "s3cr3t",
    "srv-01.example.net",
    "10.0.0.7",
    "52:54:00:12:34:56",
    "anna@example.org",
    "Anna Beispiel",
    "sub-4711",
    "a sentence with spaces",
    "/dev/nvme0n1",
    "",
    "a" * 41,
    "A" * 64,
    "ended\n",
    "hst_" + "0" * 31,
]


def test_every_kind_is_named_once_and_in_one_form() -> None:
    names = [kind.kind for kind in KINDS]
    assert len(names) == len(set(names)) > 20
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)+|stopped", name) for name in names)
    assert all(len(name) <= 40 for name in names)


def test_no_kind_has_a_field_for_free_text() -> None:
    allowed_names = re.compile(
        r".*(_ref|_digest|_hash|_id)|root|medium|commitment|store_id|author|keyid|command|answer|about|step"
    )
    for kind in KINDS:
        for name, hint in get_type_hints(kind).items():
            if hint in (str, str | None) and name != "kind":
                assert allowed_names.fullmatch(name), f"{kind.__name__}.{name}"


@pytest.mark.parametrize("text", FORBIDDEN)
def test_what_identifies_a_person_or_a_machine_is_refused(text: str) -> None:
    with pytest.raises((Refused, Malformed)) as refused:
        AnswerChanged(
            sequence=1, question=Code.LOST_RACE, about="0" * 64, answer=text, raw_digest=None
        ).body()
    assert refused.value.code is Code.LEDGER_TEXT_REFUSED


@given(st.text(alphabet=st.characters(exclude_characters="abcdefghijklmnopqrstuvwxyz_:"), min_size=1))
def test_text_without_a_lower_case_letter_passes_only_as_a_digest(text: str) -> None:
    assert events.may_stand(text) == bool(re.fullmatch(r"[0-9]{64}", text))


@given(st.from_regex(r"[a-z]{1,10}[^a-z_:][a-z0-9]{0,10}", fullmatch=True))
def test_a_word_with_a_digit_a_space_or_a_sign_in_it_does_not_pass(text: str) -> None:
    assert not events.may_stand(text)


def test_a_value_of_another_type_is_refused() -> None:
    for value in (1.5, b"bytes", ["list"], {"a": 1}, object()):
        with pytest.raises(Refused) as refused:
            StoreCreated(store_id=value).body()  # type: ignore[arg-type]
        assert refused.value.code is Code.LEDGER_TEXT_REFUSED


def test_an_identifier_that_was_never_parsed_is_refused() -> None:
    with pytest.raises(Malformed):
        StoreCreated(store_id=HostId("host of Anna Beispiel")).body()


def test_a_step_of_words_and_digests_may_stand() -> None:
    step = "start:" + "0" * 64 + ":nvme_sanitize_crypto"
    assert events.may_stand(step)
    assert not events.may_stand("start:S4EVNX0R123456:nvme_sanitize_crypto")


@pytest.mark.parametrize("step", ["layer:{}:1:1048576", "start:{}:nvme_format_crypto:ns2"])
def test_a_step_may_count_namespaces_and_name_an_offset(step: str) -> None:
    assert events.may_stand(step.format("0" * 64))
    assert not events.may_stand(step.format("0" * 64) + ":4711")
    assert not events.may_stand(step.format("S4EVNX0R123456"))


def test_times_are_written_in_utc_and_naive_ones_refused() -> None:
    told = datetime(2030, 1, 1, 1, 2, 3, 4, tzinfo=timezone(timedelta(hours=2)))
    assert events.time_text(told) == "2029-12-31T23:02:03.000004Z"
    with pytest.raises(ValueError, match="no time zone"):
        events.time_text(datetime(2030, 1, 1))  # noqa: DTZ001


def test_the_body_has_the_documented_keys_and_not_the_deprovision() -> None:
    for kind in KINDS:
        fields = {field.name for field in dataclasses.fields(kind)}
        assert "deprovision" in fields
        assert kind.__doc__ is None or kind.__doc__.strip()
    assert StoreCreated(store_id="0" * 64).body() == {"store_id": "0" * 64}


def test_a_whole_story_leaves_no_private_word_in_the_ledger(scene: Any) -> None:
    host = scene.host(asset_tag="srv-anna", customer_ref=scene.digest("customer"), address="192.0.2.7")
    scene.drive(host, "S4EVNX0R123456")
    scene.tenancy(host, "sub-4711")
    with scene.store.transaction() as tx:
        private.write(
            tx,
            subject_ref=scene.digest("sub-4711"),
            kind="subscription",
            text="sub-4711",
            master_key=b"m" * 32,
            random_bytes=scene.random,
            now=scene.at(),
        )
        private.shred(tx, subject_ref=scene.digest("sub-4711"), now=scene.at())
    order, fence = scene.erasing()
    scene.needs_operator(order.deprovision, events.State.ERASING, fence)
    with scene.store.snapshot() as tx:
        whole = "".join(ledger.export(tx))
    for secret in ("srv-anna", "S4EVNX0R123456", "sub-4711", "192.0.2.7", "uuid-", "fsn1", order.token):
        assert not says(whole.encode(), secret)
    assert "is stale" not in whole
    assert '"reason":"ORDER_STALE"' in whole


def test_only_members_of_enumerations_carry_codes() -> None:
    class Word(StrEnum):
        LOUD = "LOUD"

    event = AnswerChanged(sequence=1, question=Word.LOUD, about="0" * 64, answer="ended", raw_digest=None)
    assert event.body()["question"] == "LOUD"
    with pytest.raises(Refused):
        dataclasses.replace(event, answer="LOUD").body()
