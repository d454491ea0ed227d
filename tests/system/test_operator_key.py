"""An operator's key as people keep it: made by ssh-keygen, held by a real ssh-agent."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from certificate import envelope as dsse
from certificate.errors import Malformed, Refused
from controller.cli.operator_key import operator_key
from controller.errors import Code

pytestmark = pytest.mark.system


def run(*arguments: str, **environment: str) -> None:
    subprocess.run(arguments, check=True, capture_output=True, env={**os.environ, **environment})


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """Encrypted, as ssh-keygen writes it by default."""
    path = tmp_path / "operator"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "correct horse", "-f", str(path))
    return path


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A real ssh-agent that holds nothing yet."""
    address = tmp_path / "agent.sock"
    process = subprocess.Popen(
        ["ssh-agent", "-D", "-a", str(address)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    monkeypatch.setenv("SSH_AUTH_SOCK", str(address))
    for _ in range(200):
        if address.exists():
            break
        time.sleep(0.05)
    yield
    process.terminate()
    process.wait(timeout=10)


def opened(path: Path, *, passphrase: bytes | None = None) -> None:
    """Signs with the key and checks the signature as `serve` does."""
    descriptor = None
    if passphrase is not None:
        descriptor, write_end = os.pipe()
        os.write(write_end, passphrase)
        os.close(write_end)
    signer = operator_key(path, environment={}, descriptor=descriptor)
    envelope = dsse.read(dsse.sign(b"{}", signer).write())
    assert envelope.opened(signer.public) == b"{}"


def test_a_key_file_of_ssh_keygen_signs_with_its_passphrase(key_file: Path) -> None:
    opened(key_file, passphrase=b"correct horse")
    with pytest.raises(Malformed):
        opened(key_file, passphrase=b"wrong")


def test_the_public_file_signs_through_ssh_agent(key_file: Path, agent: None, tmp_path: Path) -> None:
    public = key_file.with_suffix(".pub")
    with pytest.raises(Refused) as refused:
        opened(public)
    assert refused.value.code is Code.SSH_IDENTITY_MISSING
    # ssh-add asks nobody at a terminal here: the same key without a passphrase.
    run("ssh-keygen", "-q", "-p", "-P", "correct horse", "-N", "", "-f", str(key_file))
    run("ssh-add", str(key_file))
    opened(public)
