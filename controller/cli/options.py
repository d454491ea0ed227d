"""The options that every command shares."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from certificate.errors import Malformed
from certificate.identifiers import DeprovisionId
from controller.home import Home

HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home",
        help="The controller's folder [$EXPUNGE_HOME, else /var/lib/expunge or ~/.local/share/expunge].",
        show_default=False,
        file_okay=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="The same answer as JSON.")]
PassphraseOption = Annotated[
    int | None,
    typer.Option(
        "--passphrase-fd",
        help="Read the keys' passphrase from this file descriptor [systemd credential, else a prompt].",
        show_default=False,
        min=0,
    ),
]

KeyOption = Annotated[
    Path | None,
    typer.Option(
        "--key",
        help="Your private key file, or its .pub while ssh-agent holds it [$EXPUNGE_OPERATOR_KEY].",
        show_default=False,
        dir_okay=False,
    ),
]
KeyPassphraseOption = Annotated[
    int | None,
    typer.Option(
        "--key-passphrase-fd",
        help="Read your key's passphrase from this file descriptor [a prompt].",
        show_default=False,
        min=0,
    ),
]
#: For every reason that may travel in a certificate (`people.disclosure`).
READ_BY_STRANGERS_HELP = "Strangers may read it: name no customer, person or serial number."
ReasonOption = Annotated[
    str, typer.Option("--reason", help=f"Why, in one line; it is signed with it. {READ_BY_STRANGERS_HELP}")
]
ConfirmOption = Annotated[
    str | None,
    typer.Option("--confirm", help="The words that are asked for [a prompt].", show_default=False),
]


def deprovision_id(text: str) -> DeprovisionId:
    """Raises typer.BadParameter for text that is no such id."""
    try:
        return DeprovisionId.parse(text)
    except Malformed as error:
        raise typer.BadParameter(error.reason) from None


def located(home: Path | None) -> Home:
    """The home that the option and the environment name."""
    return Home.locate(home, environment=os.environ, user_id=os.geteuid())
