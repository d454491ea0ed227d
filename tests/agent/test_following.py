"""A journal as it grows, and acknowledgements that count or do not."""

from __future__ import annotations

import io
import os
import threading
from typing import Any

import pytest

from agent import following, session
from agent.techniques.nvme_sanitize import NvmeSanitize
from certificate.errors import Refused
from certificate.messages import Ack, AckAnswer, Follow, JournalEnd, JournalLine, Refusal


class Gone(BaseException):
    pass


def follow(lab: Any, order: Any, *, from_seq: int = 0, attach: Any = None) -> list[Any]:
    """Everything a `follow` sends. Without `attach`, an observer runs here at once."""

    def observe(folder: Any, lock: int) -> None:
        lab.locks.append(os.dup(lock))
        lab.run(order, is_attached=True)

    ask = Follow(token=order.token, from_seq=from_seq)
    lines = following.follow(lab.run_directory, ask, attach=attach or observe, pause=lambda seconds: None)
    return list(lines)


def cut_short(lab: Any, kind: str) -> Any:
    def die(line: JournalLine) -> None:
        if line.kind == kind:
            raise Gone

    order = lab.accept()
    with pytest.raises(Gone):
        lab.run(order, after=die)
    return order


def test_a_finished_journal_is_sent_whole_and_its_end_is_complete(make_lab: Any) -> None:
    lab = make_lab()
    order = lab.accept()
    lab.run(order)
    lines = follow(lab, order)
    assert tuple(lines[:-1]) == lab.journal(order)
    assert lines[-1] == JournalEnd(token=order.token, lines=len(lines) - 1, is_complete=True)


def test_a_follower_gets_what_it_has_not_seen(make_lab: Any) -> None:
    lab = make_lab()
    order = lab.accept()
    lab.run(order)
    assert [line.seq for line in follow(lab, order, from_seq=3)[:-1]] == list(
        range(3, len(lab.journal(order)))
    )
    assert len(follow(lab, order, from_seq=999)) == 1


def test_a_follower_sees_a_running_execution_to_its_end(make_lab: Any) -> None:
    lab = make_lab()
    order = lab.accept()
    seen: list[Any] = []
    follower = threading.Thread(target=lambda: seen.extend(follow(lab, order)))
    follower.start()
    lab.run(order)
    follower.join(timeout=30)
    assert not follower.is_alive()
    assert seen[-1].is_complete
    assert tuple(seen[:-1]) == lab.journal(order)


def test_the_end_of_an_execution_that_never_began_is_not_complete(make_lab: Any) -> None:
    lab = make_lab()
    order = cut_short(lab, "opened")
    started: list[int] = []
    lines = follow(lab, order, attach=lambda folder, lock: started.append(lock))
    assert (lines[-1].is_complete, started) == (False, [])


def test_an_execution_that_may_have_begun_is_observed_to_its_end(make_lab: Any) -> None:
    lab = make_lab()
    order = cut_short(lab, "sent")
    lines = follow(lab, order)
    assert lines[-1].is_complete
    assert "attached" in [line.kind for line in lines[:-1]]


def test_an_observer_knows_the_counters_that_the_start_line_holds(
    make_lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those from before the command; the drive's own have risen since."""
    lab, seen = make_lab(), []
    original = NvmeSanitize.conclude

    def conclude(self: NvmeSanitize, drive: Any, prepared: Any, started: Any, watched: Any) -> Any:
        seen.append(prepared.counters["PWRC"])
        return original(self, drive, prepared, started, watched)

    lab.drives[0].power_cycle()
    order = cut_short(lab, "sent")
    lab.drives[0].power_cycle()
    monkeypatch.setattr(NvmeSanitize, "conclude", conclude)
    assert follow(lab, order)[-1].is_complete
    assert seen == ["01" + "00" * 15]


def test_an_observer_that_dies_at_once_is_not_started_again_and_again(make_lab: Any) -> None:
    lab = make_lab()
    order = cut_short(lab, "start")
    started: list[int] = []
    lines = follow(lab, order, attach=lambda folder, lock: started.append(lock))
    assert (len(started), lines[-1].is_complete) == (1, False)


def test_a_token_nobody_accepted_has_no_journal(make_lab: Any) -> None:
    lab = make_lab()
    answer = lab.ask(Follow(token="ab" * 16, from_seq=0))
    assert isinstance(answer, Refusal)
    assert answer.code == "TOKEN_UNKNOWN"


def test_a_session_gives_up_following_when_nobody_reads(make_lab: Any) -> None:
    """The controller is gone and the journal stands still: the session ends, the execution does not."""
    lab = make_lab()
    order = lab.accept()
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as answers:
        os.close(reading)
        request = Follow(token=order.token, from_seq=1)
        code = session.serve(lab.run_directory, request=io.BytesIO(request.write()), answers=answers)
    assert code == 0
    assert lab.status(order.token).state == "running"


# --- acknowledgements ---------------------------------------------------------------------------------------


def at_start(lab: Any, act: Any) -> Any:
    """Runs `act(order, line)` when the start waits for its acknowledgement, which is then given."""
    order = lab.accept()

    def after(line: JournalLine) -> None:
        if line.kind == "start":
            act(order, line)

    lab.run(order, after=after)
    return order


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"step": "start:another"}, "ACK_REFUSED"),
        ({"seq": 0}, "ACK_REFUSED"),
        ({"seq": 999}, "ACK_REFUSED"),
        ({"seq": -1}, "ACK_REFUSED"),
        ({"boot_id": "0" * 64}, "BOOT_MISMATCH"),
        ({"token": "ab" * 16}, "TOKEN_UNKNOWN"),
    ],
)
def test_an_acknowledgement_of_anything_else_is_refused(
    make_lab: Any, changes: dict[str, Any], code: str
) -> None:
    lab, answers = make_lab(), []
    at_start(lab, lambda order, line: answers.append(lab.ack(order, line, **changes)))
    assert [answer.code for answer in answers] == [code]


def test_the_acknowledgement_of_one_step_does_not_begin_another(
    make_lab: Any, make_world: Any, fake_time: Any
) -> None:
    """The markers' acknowledgement is for the markers: the start waits for its own."""
    lab = make_lab()
    order = lab.accept()
    lab.run(order, world=make_world(fake_time), may_ack=lambda line: line.kind == "markers_committed")
    assert lab.drives[0].state().sanitize.status == "never"


def test_an_acknowledgement_given_twice_is_one(make_lab: Any) -> None:
    lab, answers = make_lab(), []
    order = at_start(lab, lambda order, line: answers.extend(lab.ack(order, line) for _ in range(2)))
    assert [type(answer) for answer in answers] == [AckAnswer, AckAnswer]
    assert lab.claim(order, "SN-1").result == "erased"


def test_an_acknowledgement_of_a_dead_execution_is_refused_and_leaves_it_absent(make_lab: Any) -> None:
    """Nobody is there to use it, and the token can still be given up."""
    lab = make_lab()
    order = cut_short(lab, "markers_committed")
    answer = lab.ack(order, lab.journal(order)[-1])
    assert answer.code == "ACK_REFUSED"
    assert lab.status(order.token, finalise=True).state == "absent"


def test_an_acknowledgement_of_a_step_given_up_is_refused(
    make_lab: Any, make_world: Any, fake_time: Any
) -> None:
    lab = make_lab()
    order, answers = lab.accept(), []

    def late(line: JournalLine) -> None:
        if line.kind == "not_begun":
            asked = next(other for other in lab.journal(order) if other.step == line.step)
            answers.append(lab.ack(order, asked))

    lab.run(order, world=make_world(fake_time), after=late, may_ack=lambda line: False)
    assert [answer.code for answer in answers] == ["ACK_REFUSED"]


def test_an_acknowledgement_after_its_life_is_refused(make_lab: Any) -> None:
    lab, codes = make_lab(), []

    def late(order: Any, line: JournalLine) -> None:
        ack = Ack(token=order.token, boot_id=lab.record.boot_id, seq=line.seq, step=line.step)
        for age_ms in (59_999, 60_000):
            try:
                following.acknowledge(lab.run_directory, ack, now_ms=line.at_ms + age_ms)
            except Refused as refusal:
                codes.append((age_ms, refusal.code.value))

    at_start(lab, late)
    assert codes == [(60_000, "ACK_REFUSED")]
