"""The controller's own key towards hosts: Ed25519, in a file or in ssh-agent.

Rules: Ed25519 only; the private half never leaves what holds it: paramiko is handed something that signs. A
key in ssh-agent is chosen by its fingerprint, never by being the first.
Sources: RFC 8709, section 6 (signature format); draft-ietf-sshm-ssh-agent, section 4.5 (sign request).
"""

from __future__ import annotations

from typing import Any

import paramiko  # type: ignore[import-untyped]

from certificate.errors import Malformed, Refused
from certificate.keys import PublicKey, Signer
from controller.errors import Code

KIND = "ssh-ed25519"


class SigningKey(paramiko.PKey):  # type: ignore[misc]
    """A `Signer` as paramiko wants to see a key."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self.public_blob = None

    def get_name(self) -> str:
        return KIND

    def asbytes(self) -> bytes:
        return self._signer.public.ssh_blob

    def can_sign(self) -> bool:
        return True

    def sign_ssh_data(self, data: bytes, algorithm: str | None = None) -> Any:
        message = paramiko.Message()
        message.add_string(KIND)
        message.add_string(self._signer.sign(data))
        return message


class SshAgentSigner:
    """A `Signer` whose key rests in ssh-agent."""

    def __init__(self, *, public: PublicKey, key: Any) -> None:
        self.public = public
        self._key = key

    def sign(self, message: bytes) -> bytes:
        """64 bytes. Raises Refused(SSH_IDENTITY_MISSING) when the agent does not sign (any more)."""
        try:
            answer = paramiko.Message(self._key.sign_ssh_data(message))
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise Refused(Code.SSH_IDENTITY_MISSING, f"ssh-agent does not sign: {error}") from None
        kind, signature = answer.get_text(), bytes(answer.get_binary())
        if kind != KIND or len(signature) != 64:
            raise Refused(Code.SSH_IDENTITY_MISSING, f"ssh-agent answered with a signature of kind {kind!r}")
        return signature


def from_ssh_agent(keyid: str) -> SshAgentSigner:
    """The key with this fingerprint (`SHA256:...`) in the ssh-agent of SSH_AUTH_SOCK.

    Raises Refused(SSH_IDENTITY_MISSING).
    """
    try:
        keys = paramiko.Agent().get_keys()
    except (paramiko.SSHException, OSError) as error:
        raise Refused(Code.SSH_IDENTITY_MISSING, f"ssh-agent does not answer: {error}") from None
    for key in keys:
        if key.get_name() != KIND:
            continue
        try:
            public = PublicKey.from_ssh_line(f"{KIND} {key.get_base64()}")
        except Malformed:
            continue
        if public.keyid == keyid:
            return SshAgentSigner(public=public, key=key)
    raise Refused(Code.SSH_IDENTITY_MISSING, f"ssh-agent does not hold {keyid}")
