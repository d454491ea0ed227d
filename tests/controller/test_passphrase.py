"""The passphrase: credential before descriptor before terminal, and never empty."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from certificate.errors import Refused
from controller.errors import Code
from controller.passphrase import CREDENTIAL, MAX_PASSPHRASE_BYTES, read_passphrase

Pipe = Callable[[bytes], int]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    readers = []

    def make(content: bytes) -> int:
        reader, writer = os.pipe()
        readers.append(reader)
        os.write(writer, content)
        os.close(writer)
        return reader

    yield make
    for reader in readers:
        os.close(reader)


def test_a_systemd_credential_comes_before_a_descriptor(tmp_path: Path, pipe: Pipe) -> None:
    (tmp_path / CREDENTIAL).write_bytes(b"from systemd\n")
    environment = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert read_passphrase(environment=environment, descriptor=pipe(b"from a pipe")) == b"from systemd"


def test_a_credentials_folder_without_ours_leaves_the_descriptor(tmp_path: Path, pipe: Pipe) -> None:
    environment = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert read_passphrase(environment=environment, descriptor=pipe(b"from a pipe")) == b"from a pipe"


def test_one_line_feed_at_the_end_is_not_part_of_it(pipe: Pipe) -> None:
    assert read_passphrase(environment={}, descriptor=pipe(b"two words\n\n")) == b"two words\n"


@pytest.mark.parametrize("content", [b"", b"\n", b"x" * (MAX_PASSPHRASE_BYTES + 1)])
def test_an_empty_or_endless_passphrase_is_refused(pipe: Pipe, content: bytes) -> None:
    with pytest.raises(Refused) as refused:
        read_passphrase(environment={}, descriptor=pipe(content))
    assert refused.value.code is Code.PASSPHRASE_MISSING
    assert "xxx" not in refused.value.reason


def test_a_closed_descriptor_is_refused(pipe: Pipe) -> None:
    with pytest.raises(Refused) as refused:
        read_passphrase(environment={}, descriptor=987_654)
    assert refused.value.code is Code.PASSPHRASE_MISSING


def test_nobody_is_asked_where_nobody_sits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(Refused) as refused:
        read_passphrase(environment={}, descriptor=None)
    assert refused.value.code is Code.PASSPHRASE_MISSING


def test_a_new_passphrase_is_typed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    typed = iter(["first", "second"])
    monkeypatch.setattr("controller.passphrase.sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("controller.passphrase.getpass.getpass", lambda prompt: next(typed))
    with pytest.raises(Refused, match="differ"):
        read_passphrase(environment={}, descriptor=None, is_new=True)
