"""The controller's keys: one key for one purpose, each in its own file, none in clear.

    root          trust root and validation table; only `init` holds it, `serve` never reads it
    order         orders and withdrawals              log      checkpoints
    issuer        outcomes, summaries, allocations    boot     configurations of an erase environment
    ssh           opens sessions on agents
    pseudonym     keyed pseudonyms of people, subscriptions and tenancies       (symmetric)
    private-text  wraps the per-subject keys of private text                    (symmetric)

Rules: Ed25519 keys rest in OpenSSH format under bcrypt (`ssh-keygen -y -f FILE` reads them), symmetric ones
as `sealed_key` says; files are 0600 and never written over; all keys share one passphrase, so that one
credential starts the service; a key that is missing or does not open refuses the whole ring. The root key's
file should be carried to another place after `init`: nothing else asks for it.

KNOWN GAP: there is no command for another passphrase yet. `ssh-keygen -p` changes it for the Ed25519 keys,
but not for the two symmetric ones, and a ring under two passphrases does not open.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from certificate.errors import Code as CertificateCode
from certificate.errors import Refused
from certificate.keys import PrivateKey
from controller.errors import Code
from controller.home import write_durably
from controller.sealed_key import KEY_BYTES, seal, unseal

Randomness = Callable[[int], bytes]


class KeyName(StrEnum):
    """The Ed25519 keys, by the names of their files."""

    ROOT = "root"
    ORDER = "order"
    LOG = "log"
    ISSUER = "issuer"
    BOOT = "boot"
    SSH = "ssh"


class SealedName(StrEnum):
    """The symmetric keys; their files end in `.sealed.json`."""

    PSEUDONYM = "pseudonym"
    PRIVATE_TEXT = "private-text"


@dataclass(frozen=True, kw_only=True)
class Keyring:
    """What a running controller holds. The root key is not part of it."""

    order: PrivateKey = field(repr=False)
    log: PrivateKey = field(repr=False)
    issuer: PrivateKey = field(repr=False)
    boot: PrivateKey = field(repr=False)
    ssh: PrivateKey = field(repr=False)
    #: 32 bytes for `certificate.commitment.pseudonym`.
    pseudonym_key: bytes = field(repr=False)
    #: 32 bytes that wrap the keys of private text.
    private_text_key: bytes = field(repr=False)

    @classmethod
    def open(cls, folder: Path, *, passphrase: bytes) -> Keyring:
        """The ring in `folder`. Takes a few seconds: bcrypt is meant to be slow.

        Raises Refused: FILE_UNREADABLE for a missing file, KEY_UNREADABLE for a wrong passphrase.
        """
        names: list[KeyName] = [name for name in KeyName if name != KeyName.ROOT]
        with ThreadPoolExecutor(thread_name_prefix="keys") as pool:
            sealed = list(pool.map(lambda name: _open_sealed(folder, name, passphrase), SealedName))
            opened = pool.map(lambda name: _open_private(folder, name, passphrase), names)
            private = dict(zip(names, opened, strict=True))
        return _ring(private, dict(zip(SealedName, sealed, strict=True)))

    @classmethod
    def create(cls, folder: Path, *, passphrase: bytes, randomness: Randomness) -> tuple[PrivateKey, Keyring]:
        """New keys in `folder`: the root key for whoever founds a home, and the ring.

        Raises Refused(HOME_EXISTS) where a key file already lies there.
        """
        for path in [
            *(_path(folder, name) for name in KeyName),
            *(_path(folder, name) for name in SealedName),
        ]:
            if path.exists():
                raise Refused(Code.HOME_EXISTS, f"{path} already exists")
        private = {name: PrivateKey.from_seed(randomness(32)) for name in KeyName}
        symmetric = {name: randomness(KEY_BYTES) for name in SealedName}
        with ThreadPoolExecutor(thread_name_prefix="keys") as pool:
            files = pool.map(lambda name: private[name].to_openssh(passphrase=passphrase), KeyName)
            for name, content in zip(KeyName, files, strict=True):
                write_durably(_path(folder, name), content)
                write_durably(
                    _path(folder, name).with_suffix(".pub"),
                    f"{private[name].public.ssh_line} expunge-{name}\n".encode(),
                )
        for sealed_name, key in symmetric.items():
            file = seal(key, purpose=sealed_name, passphrase=passphrase, randomness=randomness)
            write_durably(_path(folder, sealed_name), file.write())
        return private[KeyName.ROOT], _ring(private, symmetric)


def _ring(private: dict[KeyName, PrivateKey], symmetric: dict[SealedName, bytes]) -> Keyring:
    return Keyring(
        order=private[KeyName.ORDER],
        log=private[KeyName.LOG],
        issuer=private[KeyName.ISSUER],
        boot=private[KeyName.BOOT],
        ssh=private[KeyName.SSH],
        pseudonym_key=symmetric[SealedName.PSEUDONYM],
        private_text_key=symmetric[SealedName.PRIVATE_TEXT],
    )


def _path(folder: Path, name: KeyName | SealedName) -> Path:
    return folder / (f"{name}.sealed.json" if isinstance(name, SealedName) else name.value)


def _open_private(folder: Path, name: KeyName, passphrase: bytes) -> PrivateKey:
    return PrivateKey.from_openssh(_content(_path(folder, name)), passphrase=passphrase)


def _open_sealed(folder: Path, name: SealedName, passphrase: bytes) -> bytes:
    return unseal(_content(_path(folder, name)), purpose=name, passphrase=passphrase)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Refused(CertificateCode.FILE_UNREADABLE, f"{path}: {error.strerror}") from None
