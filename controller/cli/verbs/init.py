"""`expunge init`: make a home, and print what belongs on paper."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from certificate.errors import Code as CertificateCode
from certificate.errors import Refused
from certificate.keys import PublicKey
from certificate.statements.statement import Purpose
from controller.api.documents import HomeFounded
from controller.cli.command import application
from controller.cli.options import HomeOption, JsonOption, PassphraseOption, located
from controller.cli.progress import sign_of_life
from controller.errors import Code
from controller.passphrase import read_passphrase

app = application("Make a home: keys, trust root, policy, database.")

#: One line of OpenSSH; stops a wrong path from being read into memory.
MAX_PUBLIC_KEY_BYTES = 4096
#: By `--demonstration`.
PURPOSES = {False: Purpose.PRODUCTION, True: Purpose.DEMONSTRATION}


@app.command()
def init(
    domain: Annotated[str, typer.Option(help="The provider's own domain; it names the log for ever.")],
    operator: Annotated[
        list[Path], typer.Option(help="Public key file (ssh-ed25519) of an operator; give two.")
    ],
    demonstration: Annotated[
        bool, typer.Option("--demonstration", help="Everything signed will say DEMONSTRATION.")
    ] = False,
    home: HomeOption = None,
    passphrase_fd: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a home. Refuses, with exit 3, to touch one that is there."""
    from controller.founding import Founding, found

    place = located(home)
    founding = Founding(
        domain=domain,
        purpose=PURPOSES[demonstration],
        operators=_two(operator),
    )
    passphrase = read_passphrase(environment=os.environ, descriptor=passphrase_fd, is_new=True)
    with sign_of_life("making keys"):
        founded = found(place, founding, passphrase=passphrase, now=datetime.now(UTC), randomness=os.urandom)
    told = HomeFounded(
        home=str(founded.home.path),
        fingerprint=founded.fingerprint,
        origin=founded.origin,
        purpose=founded.purpose,
        operators=founded.operators,
    )
    typer.echo(told.to_json() if as_json else text(told))


def _two(files: list[Path]) -> tuple[PublicKey, PublicKey]:
    if len(files) != 2:
        raise Refused(Code.OPERATORS_NOT_TWO, f"{len(files)} operators were named")
    return _public_key(files[0]), _public_key(files[1])


def _public_key(path: Path) -> PublicKey:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_PUBLIC_KEY_BYTES)
    except OSError as error:
        raise Refused(CertificateCode.FILE_UNREADABLE, f"{path}: {error.strerror}") from None
    return PublicKey.from_ssh_line(content.decode(errors="replace"))


def text(told: HomeFounded) -> str:
    digits = " ".join(told.fingerprint[start : start + 8] for start in range(0, 64, 8))
    return (
        f"{told.home} is a home, {told.purpose.value.upper()}; its log is {told.origin}\n"
        f"operators {told.operators[0]} and {told.operators[1]}\n"
        f"\n"
        f"fingerprint of the trust root, for paper and for every erase image:\n"
        f"  {digits}\n"
        f"\n"
        f"Next: carry keys/root to another place (nothing here needs it again), edit expunge.toml, run serve."
    )
