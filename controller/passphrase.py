"""Where the passphrase of the keys comes from.

Rules: a systemd credential first, then a file descriptor that the caller named, then a person at a terminal;
never an argument or an environment variable, which other processes can read. An empty passphrase is refused.
One line feed at the end is not part of it.
"""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from certificate.errors import Refused
from controller.errors import Code

CREDENTIAL = "expunge-passphrase"
#: Longer than any passphrase; stops a descriptor that never ends.
MAX_PASSPHRASE_BYTES = 4096


def read_passphrase(*, environment: Mapping[str, str], descriptor: int | None, is_new: bool = False) -> bytes:
    """The passphrase. At a terminal a new one is asked for twice.

    Raises Refused(PASSPHRASE_MISSING) where there is none, it is empty, too long, or the two differ.
    """
    if folder := environment.get("CREDENTIALS_DIRECTORY"):
        credential = Path(folder) / CREDENTIAL
        if credential.is_file():
            with credential.open("rb") as file:
                return _checked(file.read(MAX_PASSPHRASE_BYTES + 1), f"systemd credential {CREDENTIAL}")
    if descriptor is not None:
        return _checked(_read_all(descriptor), f"file descriptor {descriptor}")
    if not sys.stdin.isatty():
        raise Refused(Code.PASSPHRASE_MISSING, "no credential, no file descriptor, and nobody at a terminal")
    typed = getpass.getpass("Passphrase of the keys: ")
    if is_new and getpass.getpass("The same again: ") != typed:
        raise Refused(Code.PASSPHRASE_MISSING, "the two passphrases differ")
    return _checked(typed.encode(), "the terminal")


def read_key_passphrase(name: str, *, descriptor: int | None) -> bytes:
    """The passphrase of a person's own key file called `name`: from the descriptor, else a prompt; never from
    the controller's credential. Raises Refused(PASSPHRASE_MISSING).
    """
    if descriptor is not None:
        return _checked(_read_all(descriptor), f"file descriptor {descriptor}")
    if not sys.stdin.isatty():
        raise Refused(
            Code.PASSPHRASE_MISSING,
            f"{name} is encrypted, no file descriptor was named, and nobody is at a terminal",
            remedy="Give the key's passphrase by --key-passphrase-fd N or at a terminal, or use ssh-agent.",
        )
    return _checked(getpass.getpass(f"Passphrase of {name}: ").encode(), "the terminal")


def _read_all(descriptor: int) -> bytes:
    content = b""
    try:
        while len(content) <= MAX_PASSPHRASE_BYTES and (more := os.read(descriptor, MAX_PASSPHRASE_BYTES)):
            content += more
    except OSError as error:
        raise Refused(
            Code.PASSPHRASE_MISSING, f"file descriptor {descriptor} cannot be read: {error.strerror}"
        ) from None
    return content


def _checked(content: bytes, origin: str) -> bytes:
    passphrase = content.removesuffix(b"\n")
    if not passphrase:
        raise Refused(Code.PASSPHRASE_MISSING, f"{origin} holds an empty passphrase")
    if len(content) > MAX_PASSPHRASE_BYTES:
        raise Refused(Code.PASSPHRASE_MISSING, f"{origin} holds more than {MAX_PASSPHRASE_BYTES} bytes")
    return passphrase
