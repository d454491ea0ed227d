"""Permission for one irreversible step, rule by rule, at the millisecond where each turns."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent import durable
from agent.errors import StepRefused
from agent.permit import ACK_LIFE_MS, Permit
from agent.run_directory import BootRecord, FenceRecord, RunDirectory
from agent.tokens import PoisonRecord, TokenFolder, TokenRecord
from certificate.messages import Ack, JournalLine

TOKEN, BOOT = "a1" * 16, "b0" * 32
HELLO_AT_MS, ASKED_AT_MS, VALID_FOR_S = 1_000, 5_000, 600

RECORD = TokenRecord(
    token=TOKEN,
    order="ord_" + "0d" * 16,
    order_digest="d1" * 32,
    fence=7,
    boot_id=BOOT,
    hello_nonce="0e" * 16,
    hello_at_ms=HELLO_AT_MS,
    accepted_at_ms=2_000,
    valid_for_s=VALID_FOR_S,
    approvals=(),
)
BOOT_RECORD = BootRecord(
    boot_id=BOOT,
    evidence_key="e1" * 32,
    ssh_host_key_blob="00",
    config_digest="c1" * 32,
    purpose="production",
    deprovision="dep_" + "d1" * 16,
    boot_trust="virtual_media",
    booted_at_ms=0,
    only_images=None,
    host_facts=None,
)
LINE = JournalLine(
    token=TOKEN,
    seq=4,
    kind="start",
    step="start:m:t",
    needs_ack=True,
    at_ms=ASKED_AT_MS,
    previous="0" * 64,
    body={},
)
ACK = Ack(token=TOKEN, boot_id=BOOT, seq=4, step="start:m:t")


class Scene:
    """A run directory in which everything permits, and a clock that moves by waiting."""

    def __init__(self, path: Any) -> None:
        path.mkdir(mode=0o700)
        self.run = RunDirectory(path)
        self.run.tokens_folder.mkdir()
        self.folder = TokenFolder(self.run.tokens_folder / TOKEN)
        self.folder.path.mkdir()
        self.put(self.run.boot_file, BOOT_RECORD)
        self.put(self.run.fence_file, FenceRecord(highest=7, token=TOKEN))
        self.folder.put_ack(ACK, at_ms=ASKED_AT_MS + 5)
        self.now_ms = ASKED_AT_MS + 10
        self.waits: list[float] = []

    def put(self, path: Any, record: Any) -> None:
        durable.write_whole(path, record.write())

    def permit(self) -> Permit:
        return Permit(
            run=self.run, folder=self.folder, record=RECORD, clock=lambda: self.now_ms, pause=self.pause
        )

    def pause(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now_ms += 1_000

    def refused(self) -> str:
        with pytest.raises(StepRefused) as caught:
            self.permit().check(LINE)
        return caught.value.code.value


@pytest.fixture
def scene(tmp_path: Any) -> Scene:
    return Scene(tmp_path / "run")


def test_a_step_that_is_acknowledged_in_time_may_begin(scene: Scene) -> None:
    scene.permit().await_ack(LINE)
    scene.permit().check(LINE)
    assert scene.waits == []


def test_an_acknowledgement_lives_sixty_seconds_from_its_request(scene: Scene) -> None:
    scene.now_ms = ASKED_AT_MS + ACK_LIFE_MS - 1
    scene.permit().check(LINE)
    scene.now_ms += 1
    assert scene.refused() == "ACK_EXPIRED"
    assert ACK_LIFE_MS == 60_000


def test_a_clock_before_the_request_permits_nothing(scene: Scene) -> None:
    scene.now_ms = ASKED_AT_MS - 1
    assert scene.refused() == "ACK_EXPIRED"


def test_an_order_lives_to_the_last_millisecond_from_its_hello(scene: Scene) -> None:
    late = replace(LINE, at_ms=HELLO_AT_MS + VALID_FOR_S * 1000 - 10)
    scene.now_ms = HELLO_AT_MS + VALID_FOR_S * 1000 - 1
    scene.permit().check(late)
    scene.now_ms += 1
    with pytest.raises(StepRefused, match="ORDER_EXPIRED"):
        scene.permit().check(late)


def test_another_boot_permits_nothing(scene: Scene) -> None:
    scene.put(scene.run.boot_file, BOOT_RECORD.but(boot_id="b1" * 32))
    assert scene.refused() == "BOOT_MISMATCH"


def test_a_poisoned_token_permits_nothing(scene: Scene) -> None:
    scene.folder.put_poison(PoisonRecord(token=TOKEN, order=RECORD.order, reason="ORDER_NOT_BEGUN"))
    assert scene.refused() == "TOKEN_POISONED"


@pytest.mark.parametrize("fence", [7, 8])
def test_another_orders_fence_permits_nothing(scene: Scene, fence: int) -> None:
    scene.put(scene.run.fence_file, FenceRecord(highest=fence, token="ee" * 16))
    assert scene.refused() == "FENCE_STALE"


def test_without_an_acknowledgement_nothing_is_permitted(scene: Scene) -> None:
    scene.folder.ack_file(4).unlink()
    assert scene.refused() == "ACK_TIMED_OUT"


@pytest.mark.parametrize(
    "other",
    [
        replace(ACK, step="markers:m"),
        replace(ACK, boot_id="b1" * 32),
        replace(ACK, token="ee" * 16),
    ],
)
def test_an_acknowledgement_for_another_step_boot_or_token_permits_nothing(scene: Scene, other: Ack) -> None:
    scene.folder.ack_file(4).unlink()
    scene.folder.put_ack(other, at_ms=0)
    assert scene.refused() == "ACK_REFUSED"


def test_a_second_acknowledgement_renews_nothing(scene: Scene) -> None:
    scene.folder.put_ack(ACK, at_ms=ASKED_AT_MS + 50_000)
    ack = scene.folder.ack(4)
    assert ack is not None
    assert ack.at_ms == ASKED_AT_MS + 5


def test_waiting_ends_when_the_acknowledgement_could_not_be_used_any_more(scene: Scene) -> None:
    scene.folder.ack_file(4).unlink()
    with pytest.raises(StepRefused, match="ACK_TIMED_OUT"):
        scene.permit().await_ack(LINE)
    assert len(scene.waits) == 60


def test_waiting_ends_at_once_when_the_token_is_given_up(scene: Scene) -> None:
    scene.folder.ack_file(4).unlink()
    scene.folder.put_poison(PoisonRecord(token=TOKEN, order=RECORD.order, reason="ORDER_NOT_BEGUN"))
    with pytest.raises(StepRefused, match="TOKEN_POISONED"):
        scene.permit().await_ack(LINE)
    assert scene.waits == []
