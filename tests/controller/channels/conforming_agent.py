"""An agent as the channels expect one, run by a server or called in this process.

As a program: `conforming_agent.py FOLDER` answers the request on standard input. The token of a request
chooses what happens, so that one agent serves every test.
"""

import hashlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from certificate import messages
from certificate.errors import Code, Refused
from certificate.messages import JournalEnd, JournalLine, Line

BOOT_ID = hashlib.sha256(b"boot").hexdigest()
PATIENCE_SECONDS = 10.0


def answer(folder: Path, request: Line) -> Iterator[Line]:
    match request:
        case messages.Hello():
            yield messages.HelloAnswer(
                boot_id=BOOT_ID,
                evidence_key="00" * 32,
                ssh_host_key_blob="00" * 51,
                config_digest="00" * 32,
                hello_nonce="00" * 16,
                boottime_ms=1,
                agent_version="0.1.0",
                proof=request.controller_nonce,
            )
        case messages.AskInventory():
            yield messages.InventoryAnswer(boot_id=BOOT_ID, host_facts=(), drives=(), residue=())
        case messages.AskStatus(token=token):
            yield from status(token)
        case messages.Follow(token=token, from_seq=first):
            yield from journal(folder, token, first)
        case messages.Ack(token=token, seq=seq):
            (folder / "acknowledged").touch()
            yield messages.AckAnswer(token=token, seq=seq)
        case messages.Execute():
            yield messages.Accepted(token="obeyed")


def status(token: str) -> Iterator[Line]:
    if token == "refuse":
        raise Refused(Code.ORDER_EXPIRED, "the order expired 3 s ago", remedy="Ask for a new order.")
    if token == "fault":
        yield messages.Refusal(code="AGENT_FAILED", reason="the agent met a fault", remedy="See its log.")
        return
    if token == "wrong":
        yield messages.Accepted(token=token)
        return
    if token == "silent":
        return
    line = messages.StatusAnswer(token=token, boot_id=BOOT_ID, state="absent", journal_lines=0, absence=None)
    yield line
    if token == "twice":
        yield line


def journal(folder: Path, token: str, first: int) -> Iterator[Line]:
    yield journal_line(token, first)
    if token == "cut":
        return
    if token == "waits for ack":
        until = time.monotonic() + PATIENCE_SECONDS
        while not (folder / "acknowledged").exists() and time.monotonic() < until:
            time.sleep(0.01)
        if not (folder / "acknowledged").exists():
            return
    yield journal_line(token, first + 1)
    yield JournalEnd(token=token, lines=first + 2, is_complete=True)


def journal_line(token: str, seq: int) -> JournalLine:
    return JournalLine(
        token=token,
        seq=seq,
        kind="progress",
        step="",
        needs_ack=False,
        at_ms=seq,
        previous="00" * 32,
        body={"said": "é" * 100},
    )


def main() -> None:
    request = messages.read_request(sys.stdin.buffer.readline().removesuffix(b"\n"))
    try:
        for line in answer(Path(sys.argv[1]), request):
            sys.stdout.buffer.write(line.write())
            sys.stdout.buffer.flush()
    except Refused as refusal:
        sys.stdout.buffer.write(messages.Refusal(**refusal.as_dict()).write())


if __name__ == "__main__":
    main()
