"""An operator's own key, by which every decision is signed on the operator's side of the socket.

Rules: the key is named (`--key`, or EXPUNGE_OPERATOR_KEY): an OpenSSH private key file, or a public key file
whose private half ssh-agent holds; it is never guessed, and there is no acting under a name. The passphrase
comes from the descriptor that was named or from a prompt, never from an argument, the environment or the
controller's own credential. The private half never leaves this process or ssh-agent.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from certificate.errors import Code as CertificateCode
from certificate.errors import Malformed, Refused
from certificate.keys import PrivateKey, PublicKey, Signer
from controller.errors import Code
from controller.passphrase import read_key_passphrase

KEY_VARIABLE = "EXPUNGE_OPERATOR_KEY"
#: An OpenSSH key file has some 500 bytes; stops a wrong path from being read into memory.
MAX_KEY_FILE_BYTES = 65_536


def operator_key(path: Path | None, *, environment: Mapping[str, str], descriptor: int | None) -> Signer:
    """Whoever signs. Raises Refused: OPERATOR_KEY_MISSING where none is named, FILE_UNREADABLE,
    PASSPHRASE_MISSING, SSH_IDENTITY_MISSING; Malformed: KEY_INVALID, KEY_UNREADABLE.
    """
    named = path or _named(environment)
    content = read_key_file(named)
    if content.startswith(b"ssh-"):
        from controller.channels.ssh_identity import from_ssh_agent

        return from_ssh_agent(public_key(content).keyid)
    try:
        return PrivateKey.from_openssh(content, passphrase=None)
    except Malformed:
        passphrase = read_key_passphrase(named.name, descriptor=descriptor)
    return PrivateKey.from_openssh(content, passphrase=passphrase)


def public_key(content: bytes) -> PublicKey:
    """The key in an OpenSSH public key file. Raises Malformed(KEY_INVALID)."""
    return PublicKey.from_ssh_line(content.decode(errors="replace"))


def read_key_file(path: Path) -> bytes:
    """Raises Refused(FILE_UNREADABLE)."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_KEY_FILE_BYTES)
    except OSError as error:
        raise Refused(CertificateCode.FILE_UNREADABLE, f"{path}: {error.strerror}") from None


def _named(environment: Mapping[str, str]) -> Path:
    named = environment.get(KEY_VARIABLE)
    if not named:
        raise Refused(Code.OPERATOR_KEY_MISSING, f"neither --key nor {KEY_VARIABLE} names one")
    return Path(named)
