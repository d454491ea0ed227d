"""`expunge init` from the command line: what it asks for, what it prints, what it refuses."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from certificate import trust
from certificate.keys import PrivateKey
from certificate.statements import Purpose
from controller.keyring import Keyring

PASSPHRASE = b"a long passphrase"


@pytest.fixture
def operators(tmp_path: Path) -> list[str]:
    """The options that name two operators."""
    options = []
    for name in ("anna", "ben"):
        path = tmp_path / f"{name}.pub"
        path.write_text(f"{PrivateKey.generate().public.ssh_line} {name}@example\n")
        options += ["--operator", str(path)]
    return options


@pytest.fixture
def passphrase_fd() -> Callable[[], int]:
    def make() -> int:
        reader, writer = os.pipe()
        os.write(writer, PASSPHRASE)
        os.close(writer)
        return reader

    return make


def test_one_command_makes_a_home_and_prints_what_belongs_on_paper(
    tmp_path: Path, expunge: Any, operators: list[str], passphrase_fd: Callable[[], int]
) -> None:
    home = tmp_path / "home"
    arguments = ["--home", home, "--domain", "demo.example", "--demonstration", *operators]
    said = expunge("init", *arguments, "--passphrase-fd", passphrase_fd())
    assert said.code == 0, said.err
    content = (home / "trust" / "root.json").read_bytes()
    root = trust.read(content)
    assert root.purpose is Purpose.DEMONSTRATION
    assert trust.fingerprint(content) in said.out.replace(" ", "")
    assert "DEMONSTRATION" in said.out
    assert all(key.keyid in said.out for key in root.operators)
    assert PASSPHRASE.decode() not in said.out + said.err
    assert Keyring.open(home / "keys", passphrase=PASSPHRASE).order.public in [
        key.public for key in root.keys
    ]

    again = expunge("init", *arguments, "--passphrase-fd", passphrase_fd())
    assert (again.code, again.out) == (3, "")
    assert again.err.startswith("HOME_EXISTS")
    assert (home / "trust" / "root.json").read_bytes() == content


def test_one_operator_is_not_enough(
    tmp_path: Path, expunge: Any, operators: list[str], passphrase_fd: Callable[[], int]
) -> None:
    home = tmp_path / "home"
    for given in (operators[:2], operators[:2] * 2, operators + operators[:2]):
        said = expunge(
            "init", "--home", home, "--domain", "a.example", *given, "--passphrase-fd", passphrase_fd()
        )
        assert said.code == 3
        assert said.err.startswith("OPERATORS_NOT_TWO")
    assert not home.exists()


def test_no_operator_and_no_domain_are_usage_errors(
    tmp_path: Path, expunge: Any, operators: list[str]
) -> None:
    assert expunge("init", "--home", tmp_path / "home", "--domain", "a.example").code == 2
    assert expunge("init", "--home", tmp_path / "home", *operators).code == 2


@pytest.mark.parametrize("content", ["", "ssh-rsa AAAA x", "-----BEGIN OPENSSH PRIVATE KEY-----"])
def test_a_file_that_is_no_operators_key_is_refused(
    tmp_path: Path, expunge: Any, operators: list[str], content: str
) -> None:
    Path(operators[1]).write_text(content)
    said = expunge("init", "--home", tmp_path / "home", "--domain", "a.example", *operators)
    assert said.code == 3
    assert said.err.startswith("KEY_INVALID")
    assert not (tmp_path / "home").exists()


def test_a_missing_key_file_and_a_missing_passphrase_are_refused(
    tmp_path: Path, expunge: Any, operators: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.passphrase.sys.stdin.isatty", lambda: False, raising=False)
    arguments = ["--home", tmp_path / "home", "--domain", "a.example", *operators]
    said = expunge("init", *arguments)
    assert said.err.startswith("PASSPHRASE_MISSING")
    Path(operators[1]).unlink()
    assert expunge("init", *arguments).err.startswith("FILE_UNREADABLE")
    assert not (tmp_path / "home").exists()
