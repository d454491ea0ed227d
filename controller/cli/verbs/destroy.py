"""`expunge destroy`: two people attest that a host's media were destroyed."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from certificate.errors import Code as CertificateCode
from certificate.errors import Refused
from controller.cli.command import application
from controller.cli.leaving import GroupOption, TargetArgument, leave
from controller.cli.options import (
    ConfirmOption,
    HomeOption,
    JsonOption,
    KeyOption,
    KeyPassphraseOption,
    ReasonOption,
)
from controller.facts import Exit

app = application("Attest, with a second person, that a host's media were destroyed.")

#: Read at a time: a scanned record may have any size.
CHUNK_BYTES = 1_048_576


@app.command()
def destroy(
    reason: ReasonOption,
    document: Annotated[
        Path, typer.Option(help="The destruction record; its SHA-256 is signed, the file stays with you.")
    ],
    target: TargetArgument = None,
    group: GroupOption = None,
    key: KeyOption = None,
    key_passphrase_fd: KeyPassphraseOption = None,
    confirm: ConfirmOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Attest that every medium of the host was destroyed as the document says.

    Both people name the same file.
    Exit 0: commanded; 4: one more person is needed; 3: refused.
    """
    return leave(
        Exit.DESTROY,
        target,
        group,
        home=home,
        reason=reason,
        key=key,
        key_passphrase_fd=key_passphrase_fd,
        confirm=confirm,
        as_json=as_json,
        document_digest=digest_of(document),
    )


def digest_of(path: Path) -> str:
    """SHA-256 hex of the file. Raises Refused(FILE_UNREADABLE)."""
    found = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                found.update(chunk)
    except OSError as error:
        raise Refused(CertificateCode.FILE_UNREADABLE, f"{path}: {error.strerror}") from None
    return found.hexdigest()
