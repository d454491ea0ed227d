"""Whoever loses the race for a checkpoint looks again; nothing due signs nothing."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest

from certificate import envelope as dsse
from certificate.log import checkpoint
from certificate.log.entry import LogKind
from certificate.log.proof import check
from controller import checkpointing
from controller.errors import LostRace
from controller.store import log_rows

Sign = Callable[..., bytes]


@pytest.fixture
def signed(world: Any) -> Any:
    """A world whose log is covered to its end."""
    checkpointing.sign_due(world.program)
    return world


def log_something(world: Any) -> int:
    envelope = dsse.sign(secrets.token_bytes(8), world.keys.issuer)
    with world.program.store.transaction() as tx:
        return log_rows.append_entry(tx, envelope=envelope, kind=LogKind.ALLOCATION, now=world.now()).seq


def covered(world: Any) -> int:
    """Entries under the newest checkpoint."""
    with world.program.store.snapshot() as tx:
        newest = log_rows.latest_checkpoint(tx)
    return 0 if newest is None else newest.size


def meanwhile(monkeypatch: pytest.MonkeyPatch, what: Callable[[int], None]) -> list[int]:
    """`what(n)` happens after the n-th look and before its signature is stored; the list counts."""
    sign: Sign = checkpoint.sign
    signatures: list[int] = []

    def sign_late(*arguments: Any) -> bytes:
        signatures.append(len(signatures))
        what(len(signatures))
        return sign(*arguments)

    monkeypatch.setattr(checkpointing.checkpoint, "sign", sign_late)
    return signatures


def test_every_entry_is_covered_and_its_proof_holds(signed: Any) -> None:
    seq = log_something(signed)
    assert checkpointing.proof_of(signed.program, seq) is None
    checkpointing.sign_due(signed.program)
    proof = checkpointing.proof_of(signed.program, seq)
    assert proof is not None
    with signed.program.store.snapshot() as tx:
        entry = log_rows.load_entry(tx, seq)
    assert check(entry.entry, proof, signed.documents.trust).size == seq + 1 == covered(signed)


def test_nothing_due_signs_nothing(signed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    size = covered(signed)
    signatures = meanwhile(monkeypatch, lambda count: None)
    checkpointing.sign_due(signed.program)
    assert not signatures
    assert covered(signed) == size


def test_a_lost_race_is_looked_at_again_and_later_entries_are_covered(
    signed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = log_something(signed)

    def another_signs_and_logs(count: int) -> None:
        if count == 1:
            checkpointing._sign_once(signed.program)
            log_something(signed)

    signatures = meanwhile(monkeypatch, another_signs_and_logs)
    checkpointing.sign_due(signed.program)
    assert covered(signed) == first + 2
    assert len(signatures) == 3, "ours, the other's, and ours again"


def test_an_entry_that_comes_while_we_sign_is_not_covered_by_what_we_signed(
    signed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = log_something(signed)
    with monkeypatch.context() as patched:
        meanwhile(patched, lambda count: None if count > 1 else void(log_something(signed)))
        checkpointing.sign_due(signed.program)
    assert covered(signed) == first + 1
    assert checkpointing.proof_of(signed.program, first + 1) is None
    checkpointing.sign_due(signed.program)
    assert covered(signed) == first + 2


def void(_: int) -> None:
    return


def test_whoever_loses_every_race_says_so(signed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpointing, "MAX_RACES", 3)
    log_something(signed)
    looks: list[int] = []

    def lose(*arguments: Any, **more: Any) -> None:
        looks.append(1)
        raise LostRace("checkpoint", "1", 0)

    monkeypatch.setattr(log_rows, "store_checkpoint", lose)
    with pytest.raises(LostRace):
        checkpointing.sign_due(signed.program)
    assert len(looks) == 3
