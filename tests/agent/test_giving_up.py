"""A token given up while its execution waits: a renewal wins until the first acknowledgement stands."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from agent import durable, executor, following, standing
from agent.tokens import TokenFolder
from certificate.messages import AckAnswer, AskStatus, Follow, JournalEnd, JournalLine, Refusal

SECRET_TEXT = b"a tenant's secret"
CAPACITY_BYTES, PAGE_BYTES = 512 * 1024, 4096
PATIENCE_SECONDS = 30


class Waiting:
    """An execution in a thread of its own; nobody acknowledges its markers unless `race` does."""

    def __init__(self, lab: Any, may_ack: Callable[[JournalLine], bool] = lambda line: False) -> None:
        self.lab = lab
        self.order = lab.accept()
        self.line: JournalLine | None = None
        self._asked = threading.Event()
        self._thread = threading.Thread(target=lab.run, args=(self.order,), kwargs=self._run(may_ack))
        self._thread.start()
        assert self._asked.wait(PATIENCE_SECONDS), "the execution asks for its first permission"

    def _run(self, may_ack: Callable[[JournalLine], bool]) -> dict[str, Any]:
        def after(line: JournalLine) -> None:
            if line.kind == "markers_committed":
                self.line = line
                self._asked.set()

        return {"after": after, "may_ack": may_ack}

    def ack(self) -> Any:
        return self.lab.ask(
            following.Ack(
                token=self.order.token,
                boot_id=self.lab.record.boot_id,
                seq=self.line.seq if self.line else -1,
                step=self.line.step if self.line else "",
            )
        )

    def end(self) -> None:
        self._thread.join(PATIENCE_SECONDS)
        assert not self._thread.is_alive(), "the execution ends"


def is_start(line: JournalLine) -> bool:
    return line.kind == "start"


def hasty(lab: Any, make_world: Any, token: str) -> Any:
    """A final status asked by somebody who does not wait for the execution to stop."""
    world = replace(make_world(), pause=lambda seconds: None)
    return standing.status(lab.run_directory, AskStatus(token=token, finalise=True), world=world)


def require_untouched(lab: Any, order: Any, case: str = "") -> None:
    """No command and no marker reached the drive: it holds the tenant's page, empty ones and nothing else."""
    for drive in lab.drives:
        assert drive.state().sanitize.status == "never", case
        content = drive.read(1, 0, CAPACITY_BYTES)
        pages = {content[offset : offset + PAGE_BYTES] for offset in range(0, CAPACITY_BYTES, PAGE_BYTES)}
        assert len(pages) == 2, case
        assert sum(SECRET_TEXT in page for page in pages) == 1, case
    assert not {"marked", "sent", "evidence", "finished"} & set(lab.kinds(order)), case


def require_final(lab: Any, order: Any, case: str = "") -> Any:
    """The signed absence of this very order, the same however it is asked for, and an end of the journal."""
    answer = lab.status(order.token, finalise=True)
    assert answer.state == "absent", case
    statement, _ = lab.root.open_absence(answer.absence.encode(), boot_id=lab.record.boot_id)
    told = (statement.predicate.token, statement.predicate.order, statement.predicate.reason)
    assert told == (order.token, order.order, "ORDER_NOT_BEGUN"), case
    assert lab.status(order.token, finalise=True) == lab.status(order.token) == answer, case
    assert follow(lab, order)[-1].is_complete is False, case
    refused = lab.ask(lab.request(order))
    assert refused.code == "TOKEN_POISONED", case
    return answer


def follow(lab: Any, order: Any) -> list[Any]:
    """A journal's lines and its end; an observer is never wanted."""

    def observe(folder: Any, lock: int) -> None:
        pytest.fail("nothing began, so nothing is observed")

    ask = Follow(token=order.token, from_seq=0)
    return list(following.follow(lab.run_directory, ask, attach=observe, pause=time.sleep))


def require_one_of_two(lab: Any, order: Any, case: str = "") -> bool:
    """Poisoned, or acknowledged or evidenced; never both. Returns whether it is poisoned."""
    folder: TokenFolder = lab.token_folder(order)
    lines = folder.journal()
    is_poisoned = folder.poison() is not None
    assert is_poisoned is not (lines.has_evidence or folder.may_have_begun(lines)), case
    return is_poisoned


def test_an_execution_that_waits_is_given_up_and_ends_without_touching_a_drive(make_lab: Any) -> None:
    lab = make_lab()
    waiting = Waiting(lab)
    answer = lab.status(waiting.order.token, finalise=True)
    waiting.end()
    assert answer.state == "absent"
    require_untouched(lab, waiting.order)
    assert lab.kinds(waiting.order)[-1] == "not_begun"
    assert lab.journal(waiting.order)[-1].body["code"] == "TOKEN_POISONED"
    assert require_final(lab, waiting.order) == answer


def test_an_execution_with_more_drives_stops_at_the_first_that_waits(make_lab: Any) -> None:
    lab = make_lab("SN-1", "SN-2", "SN-3")
    waiting = Waiting(lab)
    lab.status(waiting.order.token, finalise=True)
    waiting.end()
    assert lab.kinds(waiting.order).count("opened") == 1
    require_untouched(lab, waiting.order)


def test_a_follower_sees_the_last_line_and_then_an_end_that_is_not_complete(make_lab: Any) -> None:
    lab = make_lab()
    waiting, seen = Waiting(lab), []
    follower = threading.Thread(target=lambda: seen.extend(follow(lab, waiting.order)))
    follower.start()
    lab.status(waiting.order.token, finalise=True)
    waiting.end()
    follower.join(PATIENCE_SECONDS)
    assert tuple(seen[:-1]) == lab.journal(waiting.order)
    assert seen[-1] == JournalEnd(token=waiting.order.token, lines=len(seen) - 1, is_complete=False)


def test_after_a_token_was_given_up_its_acknowledgement_is_refused(make_lab: Any) -> None:
    lab = make_lab()
    waiting = Waiting(lab)
    lab.status(waiting.order.token, finalise=True)
    answer = waiting.ack()
    waiting.end()
    assert isinstance(answer, Refusal)
    assert answer.code == "TOKEN_POISONED"
    require_untouched(lab, waiting.order)
    assert require_one_of_two(lab, waiting.order)


def test_after_an_acknowledgement_the_execution_is_not_harmed_by_asking(make_lab: Any) -> None:
    """The renewal came too late: the answer is what is true, and the erase is not interrupted."""
    lab, answers = make_lab(), []
    order = lab.accept()

    def ask(line: JournalLine) -> None:
        if line.kind == "marked":
            answers.append(lab.status(order.token, finalise=True))

    lab.run(order, after=ask)
    assert [(answer.state, answer.absence) for answer in answers] == [("running", None)]
    assert not require_one_of_two(lab, order)
    assert lab.claim(order, "SN-1").result == "erased"


def test_an_acknowledgement_that_arrives_while_the_poison_is_written_is_refused(
    make_lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes after the look for acknowledgements and before the poison is there: the lock decides."""
    lab, answers, original = make_lab(), [], TokenFolder.put_poison
    waiting = Waiting(lab)
    racer = threading.Thread(target=lambda: answers.append(waiting.ack()))

    def slow(self: TokenFolder, poison: Any) -> None:
        racer.start()
        racer.join(timeout=0.3)
        original(self, poison)

    monkeypatch.setattr(TokenFolder, "put_poison", slow)
    answer = lab.status(waiting.order.token, finalise=True)
    racer.join(PATIENCE_SECONDS)
    waiting.end()
    assert [one.code for one in answers] == ["TOKEN_POISONED"]
    assert answer.state == "absent"
    require_untouched(lab, waiting.order)


def test_an_asking_that_arrives_while_the_acknowledgement_is_written_poisons_nothing(
    make_lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab, answers, original = make_lab(), [], TokenFolder.put_ack
    waiting = Waiting(lab, may_ack=is_start)
    token = waiting.order.token
    racer = threading.Thread(target=lambda: answers.append(lab.status(token, finalise=True)))

    def slow(self: TokenFolder, ack: Any, *, at_ms: int) -> None:
        if not answers and not racer.is_alive():
            racer.start()
            racer.join(timeout=0.3)
        original(self, ack, at_ms=at_ms)

    monkeypatch.setattr(TokenFolder, "put_ack", slow)
    assert isinstance(waiting.ack(), AckAnswer)
    racer.join(PATIENCE_SECONDS)
    waiting.end()
    assert [one.absence for one in answers] == [None]
    assert not require_one_of_two(lab, waiting.order)
    assert lab.claim(waiting.order, "SN-1").result == "erased"


def test_however_asking_and_acknowledging_race_exactly_one_of_them_wins(make_lab: Any) -> None:
    lab, random = make_lab(), Random(20)
    for round_number in range(20):
        case = f"round {round_number}"
        waiting = Waiting(lab, may_ack=is_start)
        token, answers, barrier = waiting.order.token, {}, threading.Barrier(2)

        def race(name: str, act: Callable[[], Any], delay: float, barrier: Any, answers: Any) -> None:
            barrier.wait(PATIENCE_SECONDS)
            time.sleep(delay)
            answers[name] = act()

        finalise = lambda token=token: lab.status(token, finalise=True)  # noqa: E731
        racers = [
            threading.Thread(target=race, args=(name, act, random.uniform(0, 0.002), barrier, answers))
            for name, act in (("ack", waiting.ack), ("status", finalise))
        ]
        for racer in racers:
            racer.start()
        for racer in racers:
            racer.join(PATIENCE_SECONDS)
        waiting.end()
        has_ack = isinstance(answers["ack"], AckAnswer)
        assert has_ack is (answers["status"].absence is None), case
        assert has_ack is not require_one_of_two(lab, waiting.order, case)
        assert (lab.status(token).state == "done") is has_ack, case
        assert ("sent" in lab.kinds(waiting.order)) is has_ack, case


@pytest.mark.parametrize("is_acknowledged", [True, False])
def test_asked_after_any_line_it_is_given_up_or_unharmed(
    make_lab: Any, make_world: Any, is_acknowledged: bool
) -> None:
    """The asking comes right after the n-th line, before that line's acknowledgement, for every n."""
    absent_at = []
    for asked_at in range(1, 40):
        case, lab = f"line {asked_at}", make_lab()
        order, asked, count = lab.accept(), [], [0]

        def ask(line: JournalLine) -> None:
            count[0] += 1  # noqa: B023
            if count[0] != asked_at:  # noqa: B023
                return
            answer = threading.Thread(target=hasty, args=(lab, make_world, order.token))  # noqa: B023
            answer.start()
            # Evidence is written under the lock that the asking waits for.
            answer.join(0.05 if line.kind == "evidence" else PATIENCE_SECONDS)
            asked.append(answer)  # noqa: B023

        world = short_of_breath(make_world)
        lab.run(order, after=ask, world=world, may_ack=lambda line: is_acknowledged)
        for answer in asked:
            answer.join(PATIENCE_SECONDS)
        if require_one_of_two(lab, order, case):
            absent_at.append(asked_at)
            require_untouched(lab, order, case)
            require_final(lab, order, case)
        else:
            assert lab.status(order.token, finalise=True).state == "done", case
            assert (lab.claim(order, "SN-1").result == "erased") is is_acknowledged, case
        if not asked:
            break
    else:
        pytest.fail("an execution has fewer than 40 lines")
    # released, opened, markers_committed; and where nobody ever acknowledges, not_begun and readback too.
    assert absent_at == ([1, 2, 3] if is_acknowledged else [1, 2, 3, 4, 5])


def short_of_breath(make_world: Any) -> Any:
    """A world whose clock jumps while somebody waits for a permission, so that none takes a minute."""
    world, ahead_ms = make_world(), [0]

    def pause(seconds: float) -> None:
        ahead_ms[0] += 1_000
        time.sleep(0.001)

    return replace(world, clock=lambda: world.clock() + ahead_ms[0], pause=pause)


def test_an_execution_that_does_not_stop_is_answered_as_running_and_stays_given_up(
    make_lab: Any, make_world: Any
) -> None:
    """No absence is signed while a process might still be at work; asked again, it is there."""
    lab = make_lab()
    order = lab.accept()
    answer = hasty(lab, make_world, order.token)
    assert (answer.state, answer.absence) == ("running", None)
    assert lab.status(order.token) == answer
    assert require_one_of_two(lab, order)
    with pytest.raises(Exception, match="TOKEN_POISONED"):
        lab.run(order)
    assert lab.status(order.token).absence is None, "not final before it is asked for"
    require_final(lab, order)
    require_untouched(lab, order)


def test_the_waiting_for_the_end_is_bounded(make_lab: Any, make_world: Any, fake_time: Any) -> None:
    lab = make_lab()
    order = lab.accept()
    began_ms = fake_time.ms
    ask = AskStatus(token=order.token, finalise=True)
    standing.status(lab.run_directory, ask, world=make_world(fake_time))
    assert fake_time.ms - began_ms == standing.STOP_SECONDS * 1000 == 10_000


def test_no_absence_is_signed_over_a_journal_in_which_something_began(make_lab: Any, make_world: Any) -> None:
    """Not by any way this program takes: a poison beside an acknowledgement. The adverse one is believed."""
    lab = make_lab()
    waiting = Waiting(lab, may_ack=is_start)
    waiting.ack()
    waiting.end()
    folder = lab.token_folder(waiting.order)
    folder.journal_file.write_bytes(b"".join(folder.journal_file.read_bytes().splitlines(True)[:5]))
    standing._poison(folder, order=waiting.order.order, reason="ORDER_NOT_BEGUN")
    for _ in range(2):
        answer = lab.status(waiting.order.token, finalise=True)
        assert (answer.state, answer.absence) == ("unknown", None)
    assert not folder.absence_file.exists()


# --- kill -9 ------------------------------------------------------------------------------------------------


def forked(act: Callable[[], Any]) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            act()
        finally:
            os._exit(0)
    return pid


def in_a_process(lab: Any) -> tuple[Any, int]:
    """An accepted order whose execution waits in a process of its own: this one holds no lock."""
    order, pids = lab.order(), []

    def launch(run: Any, token: str, lock: int, is_attached: bool) -> None:
        pids.append(forked(lambda: executor.execute(run, token, lock=lock, is_attached=is_attached)))

    lab.ask(lab.request(order), launcher=launch)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while "markers_committed" not in lab.kinds(order):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return order, pids[0]


def dying_at(name: str, *, is_written: bool) -> Callable[..., None]:
    """`durable.write_whole`, killed right before or right after it wrote the file of this name."""
    original = durable.write_whole

    def write_whole(path: Path, data: bytes, *, mode: int = durable.OWNER_ONLY) -> None:
        if path.name == name and not is_written:
            os.kill(os.getpid(), signal.SIGKILL)
        original(path, data, mode=mode)
        if path.name == name:
            os.kill(os.getpid(), signal.SIGKILL)

    return write_whole


@pytest.mark.parametrize("name", ["poison.json", "absence.dsse.json"])
@pytest.mark.parametrize("is_written", [False, True])
def test_an_asking_killed_at_any_write_is_answered_the_next_time(
    make_lab: Any, name: str, is_written: bool
) -> None:
    lab = make_lab()
    order, execution = in_a_process(lab)

    def ask() -> None:
        durable.write_whole = dying_at(name, is_written=is_written)
        lab.status(order.token, finalise=True)

    _, result = os.waitpid(forked(ask), 0)
    assert os.WTERMSIG(result) == signal.SIGKILL
    is_given_up, is_signed = (
        (name, is_written) != ("poison.json", False),
        name != "poison.json" and is_written,
    )
    assert (lab.token_folder(order).poison() is not None) is is_given_up
    if is_given_up:
        os.waitpid(execution, 0)
        answer = lab.status(order.token)
        assert (answer.state, answer.absence is not None) == ("absent", is_signed)
        later = lab.ask(lab.request(lab.order()))
        assert getattr(later, "code", "accepted") == ("accepted" if is_signed else "EARLIER_UNSETTLED")
    require_final(lab, order)
    if not is_given_up:
        os.waitpid(execution, 0)
    require_untouched(lab, order)


def test_an_execution_killed_while_it_waits_is_given_up_at_once(make_lab: Any) -> None:
    lab = make_lab()
    order, execution = in_a_process(lab)
    os.kill(execution, signal.SIGKILL)
    os.waitpid(execution, 0)
    require_final(lab, order)
    require_untouched(lab, order)
