"""Bytes from wire/, and the reference drive that those bytes describe."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.devices.nvme import Completion
from agent.devices.simulated import Namespace, SimulatedNvme
from certificate.statements.vocabulary import DeviceClass

WIRE = Path(__file__).parent / "wire"


def read_wire(name: str) -> bytes:
    """The message in wire/NAME.txt."""
    message: bytearray | None = None
    for line in (WIRE / f"{name}.txt").read_text().splitlines():
        content = line.split("#", 1)[0].strip()
        if not content:
            continue
        if content.startswith("length "):
            message = bytearray(int(content.removeprefix("length ")))
            continue
        offset_text, octets_text = content.split(":")
        offset, octets = int(offset_text), bytes.fromhex(octets_text)
        assert message is not None, f"{name}: no length"
        assert not any(message[offset : offset + len(octets)]), f"{name}: {offset} is set twice"
        assert offset + len(octets) <= len(message), f"{name}: {offset} is outside"
        message[offset : offset + len(octets)] = octets
    assert message is not None, f"{name}: empty"
    return bytes(message)


@pytest.fixture(scope="session")
def wire() -> Callable[[str], bytes]:
    return read_wire


class ScriptedTransport:
    """Hands out prepared completions and remembers what was sent, with what."""

    device_class = DeviceClass.EMULATED

    def __init__(self, answers: list[Completion | Exception]) -> None:
        self.answers = answers
        self.sent: list[tuple[bytes, bytes | int]] = []

    def submit(self, sqe: bytes, data: bytes | int) -> Completion:
        self.sent.append((sqe, data))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def scripted() -> type[ScriptedTransport]:
    return ScriptedTransport


@pytest.fixture
def make_drive(tmp_path: Path) -> Callable[..., SimulatedNvme]:
    """Small drives with the reference drive's identity; every keyword may be given otherwise."""
    source = random.Random(20260101)
    count = 0

    def make(**given: object) -> SimulatedNvme:
        nonlocal count
        count += 1
        wanted: dict[str, object] = {
            "serial": "SIM-0001",
            "model": "Simulated SED",
            "firmware": "1.0",
            "capacity_bytes": 256 * 4096,
            "random": source.randbytes,
            **given,
        }
        return SimulatedNvme.create(tmp_path / f"drive{count}", **wanted)  # type: ignore[arg-type]

    return make


@pytest.fixture
def reference_drive(make_drive: Callable[..., SimulatedNvme]) -> SimulatedNvme:
    """The drive that wire/*.answer.txt describe: two namespaces, the second not attached."""
    return make_drive(
        namespaces=(Namespace(nsid=1, blocks=256), Namespace(nsid=2, blocks=128, is_attached=False)),
        unallocated_bytes=512 * 1024,
        sanitize_polls=3,
    )
