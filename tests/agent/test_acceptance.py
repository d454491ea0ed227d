"""Taking an order on: once, by this boot, on these drives, and by one process at a time."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent import acceptance, durable
from certificate.messages import Accepted, Refusal


def code_of(lab: Any, request: Any) -> str:
    answer = lab.ask(request)
    assert isinstance(answer, Refusal), answer
    return answer.code


def release(lab: Any) -> None:
    while lab.locks:
        os.close(lab.locks.pop())


def test_an_accepted_order_holds_the_lock_without_a_gap(make_lab: Any) -> None:
    lab = make_lab()
    order = lab.accept()
    assert lab.run_directory.is_executing()
    assert lab.status(order.token).state == "running"
    assert lab.kinds(order) == ["accepted"]


def test_an_order_replayed_in_the_same_boot_is_refused_while_it_runs(make_lab: Any) -> None:
    lab = make_lab()
    order = lab.order()
    request = lab.request(order)
    assert isinstance(lab.ask(request), Accepted)
    assert code_of(lab, request) == "TOKEN_SPENT"


def test_an_order_replayed_in_the_same_boot_is_refused_after_it_is_done(make_lab: Any) -> None:
    lab = make_lab()
    order = lab.accept()
    lab.run(order)
    lines = len(lab.journal(order))
    assert code_of(lab, lab.request(order)) == "TOKEN_SPENT"
    assert len(lab.journal(order)) == lines


def test_an_order_replayed_after_a_restart_of_the_agent_is_refused(make_lab: Any) -> None:
    lab = make_lab()
    order = lab.order()
    request = lab.request(order)
    assert isinstance(lab.ask(request), Accepted)
    lab.run(order)
    erased_once = lab.drives[0].state().sanitize
    lab.boot()
    lab.hello()
    assert code_of(lab, request) == "ORDER_FOR_ANOTHER_BOOT"
    assert lab.drives[0].state().sanitize == erased_once


def test_a_changed_copy_of_an_order_is_refused(make_lab: Any) -> None:
    lab = make_lab()
    order = lab.order()
    altered = order.model_dump(mode="json", by_alias=True) | {"token": "ee" * 16}
    forged = lab.request(type(order).model_validate_json(json.dumps(altered)))
    honest = lab.request(order)
    swapped = replace(honest, delivery=replace(honest.delivery, order=forged.delivery.order))
    assert code_of(lab, swapped) in ("SIGNATURE_INVALID", "NOT_LOGGED")


def test_an_order_without_any_hello_is_refused(make_lab: Any) -> None:
    lab = make_lab()
    order = lab.order()
    lab.run_directory.hello_file.unlink()
    assert code_of(lab, lab.request(order)) == "HELLO_MISSING"


def test_an_order_for_an_older_hello_is_refused(make_lab: Any) -> None:
    lab = make_lab()
    order = lab.order()
    lab.hello()
    assert code_of(lab, lab.request(order)) == "ORDER_EXPIRED"


def test_a_second_order_while_one_runs_is_refused(make_lab: Any) -> None:
    lab = make_lab()
    lab.accept()
    assert code_of(lab, lab.request(lab.order())) == "BUSY"


def test_no_new_order_while_an_earlier_one_is_unsettled(make_lab: Any) -> None:
    lab = make_lab()
    earlier = lab.accept()
    release(lab)
    later = lab.order()
    assert code_of(lab, lab.request(later)) == "EARLIER_UNSETTLED"
    assert lab.status(earlier.token, finalise=True).state == "absent"
    assert isinstance(lab.ask(lab.request(later)), Accepted)


def test_an_older_fence_is_refused_and_so_is_the_same_for_another_order(make_lab: Any) -> None:
    lab = make_lab()
    order = lab.accept()
    lab.run(order)
    for fence in (order.fence - 1, order.fence):
        assert code_of(lab, lab.request(lab.order(fence=fence))) == "FENCE_STALE"


def test_an_order_that_was_refused_for_the_moment_may_come_again(make_lab: Any) -> None:
    """Its fence is its own, so a first refusal (busy, a drive pulled) does not make it stale."""
    lab = make_lab("SN-1")
    request = lab.request(lab.order())
    lab.drives[0].folder.rename(lab.folder / "pulled")
    assert code_of(lab, request) == "DRIVE_MISSING"
    (lab.folder / "pulled").rename(lab.drives[0].folder)
    assert isinstance(lab.ask(request), Accepted)


def test_one_drive_too_many_refuses_the_whole_order(make_lab: Any) -> None:
    lab = make_lab("SN-1")
    order = lab.order()
    lab.add_drive("SN-2")
    assert code_of(lab, lab.request(order, serials=["SN-1"])) == "DRIVE_UNEXPECTED"
    assert lab.status(order.token).state == "absent"


def test_another_machine_refuses_the_order(make_lab: Any) -> None:
    lab = make_lab("SN-1")
    order = lab.order()
    facts = json.loads(lab.facts_file.read_text())
    lab.facts_file.write_text(json.dumps(facts | {"board_serial": "SOMEBODY-ELSES"}))
    assert code_of(lab, lab.request(order)) == "HOST_MISMATCH"


def test_a_finalised_token_is_refused_when_its_order_comes_late(make_lab: Any) -> None:
    lab = make_lab()
    order = lab.order()
    answer = lab.status(order.token, finalise=True)
    assert answer.state == "absent"
    assert code_of(lab, lab.request(order)) == "TOKEN_POISONED"
    assert not (lab.token_folder(order).path / "record.json").exists()


def test_an_acceptance_killed_at_any_write_is_spent_or_as_if_it_never_came(
    make_lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at the n-th durable write, for every n: the token can always be finalised, and never runs."""

    class Killed(BaseException):
        pass

    written, original = [0], durable.write_whole

    def counting(path: Path, data: bytes, *, mode: int = durable.OWNER_ONLY) -> None:
        written[0] += 1
        if written[0] == dies_at:
            raise Killed
        original(path, data, mode=mode)

    for dies_at in range(1, 30):
        lab = make_lab()
        order = lab.order()
        request = lab.request(order)
        written[0] = 0
        monkeypatch.setattr(durable, "write_whole", counting)
        try:
            lab.ask(request)
        except Killed:
            monkeypatch.setattr(durable, "write_whole", original)
            answer = lab.status(order.token, finalise=True)
            assert (answer.state, bool(answer.absence)) == ("absent", True)
            assert code_of(lab, request) == "TOKEN_POISONED"
            assert lab.drives[0].state().sanitize.status == "never"
            continue
        assert dies_at > 4
        return
    pytest.fail("an acceptance writes fewer than 30 files")


def test_the_salts_of_an_order_are_for_the_agents_user_only(make_lab: Any) -> None:
    lab = make_lab()
    order = lab.accept()
    for name in ("request.json", "marker_nonce", "record.json", "journal.jsonl"):
        assert (lab.token_folder(order).path / name).stat().st_mode & 0o077 == 0


def test_the_marker_nonce_is_of_this_execution_alone(make_lab: Any) -> None:
    assert acceptance.MARKER_NONCE_BYTES == 32
    lab = make_lab()
    nonces = set()
    for _ in range(2):
        order = lab.accept()
        nonces.add(lab.token_folder(order).marker_nonce_file.read_bytes())
        lab.run(order)
    assert {len(nonce) for nonce in nonces} == {32}
    assert len(nonces) == 2
