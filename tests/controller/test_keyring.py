"""The keyring on the disk: readable by ssh-keygen, by nobody else, and never written over."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from certificate.errors import Code as CertificateCode
from certificate.errors import Refused
from certificate.keys import PrivateKey, PublicKey
from controller.errors import Code
from controller.keyring import KeyName, Keyring, SealedName

PASSPHRASE = b"a long one"


@dataclass(frozen=True)
class Ring:
    folder: Path
    root: PrivateKey
    keyring: Keyring


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Ring:
    folder = tmp_path_factory.mktemp("keys")
    root, keyring = Keyring.create(folder, passphrase=PASSPHRASE, randomness=os.urandom)
    return Ring(folder, root, keyring)


@pytest.fixture
def copied(ring: Ring, tmp_path: Path) -> Path:
    return Path(shutil.copytree(ring.folder, tmp_path / "keys"))


@pytest.mark.parametrize("name", list(KeyName))
def test_ssh_keygen_reads_every_key_with_the_passphrase(ring: Ring, name: KeyName) -> None:
    command = ["ssh-keygen", "-y", "-P", PASSPHRASE.decode(), "-f", str(ring.folder / name)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    expected = PublicKey.from_ssh_line((ring.folder / f"{name}.pub").read_text())
    assert PublicKey.from_ssh_line(told) == expected


def test_ssh_keygen_refuses_without_the_passphrase(ring: Ring) -> None:
    command = ["ssh-keygen", "-y", "-P", "", "-f", str(ring.folder / KeyName.ORDER)]
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0


def test_a_key_rests_under_at_least_a_hundred_rounds_of_bcrypt(ring: Ring) -> None:
    import base64

    lines = (ring.folder / KeyName.ORDER).read_text().splitlines()[1:-1]
    blob = base64.b64decode("".join(lines))
    place = blob.index(b"bcrypt") + len(b"bcrypt") + 4
    salt_bytes = int.from_bytes(blob[place : place + 4], "big")
    rounds = int.from_bytes(blob[place + 4 + salt_bytes : place + 8 + salt_bytes], "big")
    assert rounds >= 100


def test_files_of_keys_are_for_their_owner_only(ring: Ring) -> None:
    files = list(ring.folder.iterdir())
    assert len(files) == 2 * len(KeyName) + len(SealedName)
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_no_secret_stands_in_clear_in_any_file(ring: Ring) -> None:
    secrets = [ring.keyring.pseudonym_key, ring.keyring.private_text_key]
    for path in ring.folder.iterdir():
        content = path.read_bytes()
        assert not any(secret in content or secret.hex().encode() in content for secret in secrets)


def test_the_ring_opens_as_it_was_made_and_without_the_root_key(ring: Ring, copied: Path) -> None:
    (copied / KeyName.ROOT).unlink()
    opened = Keyring.open(copied, passphrase=PASSPHRASE)
    for name in ("order", "log", "issuer", "boot", "ssh"):
        assert getattr(opened, name).public == getattr(ring.keyring, name).public
    assert opened.pseudonym_key == ring.keyring.pseudonym_key
    assert opened.private_text_key == ring.keyring.private_text_key


def test_a_wrong_passphrase_opens_nothing(ring: Ring) -> None:
    with pytest.raises(Refused) as refused:
        Keyring.open(ring.folder, passphrase=b"another")
    assert refused.value.code is CertificateCode.KEY_UNREADABLE


@pytest.mark.parametrize("name", ["order", "ssh", "pseudonym.sealed.json"])
def test_a_missing_key_refuses_the_whole_ring(copied: Path, name: str) -> None:
    (copied / name).unlink()
    with pytest.raises(Refused) as refused:
        Keyring.open(copied, passphrase=PASSPHRASE)
    assert refused.value.code is CertificateCode.FILE_UNREADABLE
    assert name in refused.value.reason


@pytest.mark.parametrize("name", ["root", "private-text.sealed.json"])
def test_a_key_that_is_there_is_never_written_over(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"somebody's key")
    with pytest.raises(Refused) as refused:
        Keyring.create(tmp_path, passphrase=PASSPHRASE, randomness=os.urandom)
    assert refused.value.code is Code.HOME_EXISTS
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == b"somebody's key"


def test_one_key_serves_one_purpose(ring: Ring) -> None:
    keys = [ring.root, *(getattr(ring.keyring, n) for n in ("order", "log", "issuer", "boot", "ssh"))]
    assert len({key.public.raw for key in keys}) == len(KeyName)
    assert ring.keyring.pseudonym_key != ring.keyring.private_text_key


def test_a_printed_ring_shows_no_secret(ring: Ring) -> None:
    assert repr(ring.keyring) == "Keyring()"
