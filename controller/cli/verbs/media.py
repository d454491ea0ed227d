"""`expunge media out | destroy | list`: drives that leave their host, and what becomes of them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from certificate.statements.people import DecisionKind
from certificate.statements.statement import time_text
from certificate.statements.vocabulary import DestroyMethod
from controller.api.host_records_documents import MediaRegister, MediumLeft
from controller.cli.client import Client
from controller.cli.command import application
from controller.cli.deciding import decide
from controller.cli.drive_leaving import drive_leaves
from controller.cli.options import (
    READ_BY_STRANGERS_HELP,
    ConfirmOption,
    HomeOption,
    JsonOption,
    KeyOption,
    KeyPassphraseOption,
    ReasonOption,
    located,
)
from controller.cli.verbs.destroy import digest_of

app = application("Drives that leave their host: take out, attest as destroyed, list.")


@app.callback()
def callback() -> None:
    """Drives that leave their host: take out, attest as destroyed, list."""


@app.command()
def out(
    asset_tag: Annotated[str, typer.Argument(metavar="HOST", help="The host.")],
    serial: Annotated[str, typer.Argument(help="Of the drive that leaves, as its label says.")],
    by: Annotated[
        str, typer.Option(help="Who took it out. Kept in the private tables only, as are the next three.")
    ],
    why: Annotated[str, typer.Option(help=f"Why; it is signed with it. {READ_BY_STRANGERS_HELP}")],
    seal: Annotated[str, typer.Option(help="Number of the seal on it.")],
    place: Annotated[str, typer.Option(help="Where it is kept.")],
    key: KeyOption = None,
    key_passphrase_fd: KeyPassphraseOption = None,
    confirm: ConfirmOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Enter a drive that was taken out of its host into the register; two operators sign.

    Take it out first: while the next inspection still shows it, nothing goes on.
    Exit 0: it left; 4: one more person is needed; 3: refused.
    """
    return drive_leaves(
        asset_tag,
        serial,
        in_its_place=None,
        words=(by, why, seal, place),
        home=home,
        key=key,
        key_passphrase_fd=key_passphrase_fd,
        confirm=confirm,
        as_json=as_json,
    )


@app.command()
def destroy(
    medium: Annotated[
        str, typer.Argument(help="Its commitment as `media list` prints it, the first digits, or the serial.")
    ],
    method: Annotated[DestroyMethod, typer.Option(help="How it was destroyed.")],
    by: Annotated[
        str, typer.Option(help="Who destroyed it. Kept in the private tables only, as are the next two.")
    ],
    witness: Annotated[str, typer.Option(help="Who saw it.")],
    place: Annotated[str, typer.Option(help="Where.")],
    on: Annotated[str, typer.Option(metavar="YYYY-MM-DD", help="On which day.")],
    document: Annotated[
        Path, typer.Option(help="The destroyer's record; its SHA-256 is signed, the file stays with you.")
    ],
    reason: ReasonOption,
    key: KeyOption = None,
    key_passphrase_fd: KeyPassphraseOption = None,
    confirm: ConfirmOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Attest that a drive that left was physically destroyed; two operators sign, over the same file.

    An outcome by destroy is then signed and logged; its grade is that people say so.
    Exit 0: attested; 4: one more person is needed; 3: refused.
    """
    return decide(
        home=home,
        kind=DecisionKind.DESTROY,
        about={
            "medium": medium,
            "method": method.value,
            "by": by,
            "witness": witness,
            "place": place,
            "destroyed_on": on,
            "document_digest": digest_of(document),
        },
        reason=reason,
        key=key,
        key_passphrase_fd=key_passphrase_fd,
        confirm=confirm,
        as_json=as_json,
    )


@app.command("list")
def list_media(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Every drive that left, open exceptions first: those that left with a tenancy's data unerased."""
    with Client.of(located(home)) as client:
        told = client.get("/v1/media", MediaRegister)
    typer.echo(told.to_json() if as_json else text(told))


def text(told: MediaRegister) -> str:
    if not told.media:
        return "no drive ever left its host"
    return "\n".join(_medium(medium) for medium in told.media)


def _medium(medium: MediumLeft) -> str:
    size = "capacity unknown" if medium.capacity_bytes is None else f"{medium.capacity_bytes} bytes"
    days = timedelta(seconds=medium.age_seconds).days
    lines = [
        f"{medium.standing.upper()}: {medium.serial} ({medium.model or 'model unknown'}, {size}) "
        f"left {medium.host} at {time_text(medium.left_at)}, {days} days ago",
        f"  medium {medium.medium}",
        f"  removed by {_said(medium.removed_by)}; seal {_said(medium.seal)}; kept at {_said(medium.place)}",
        f"  why: {_said(medium.why)}",
    ]
    if medium.tenancies:
        lines.append(f"  may hold data of {', '.join(medium.tenancies)}")
    if medium.replaced_by is not None:
        lines.append(f"  in its place: {medium.replaced_by}")
    if (gone := medium.destruction) is not None:
        lines += [
            f"  destroyed ({gone.method}) on {gone.destroyed_on} by {_said(gone.by)} at {_said(gone.place)}, "
            f"before {_said(gone.witness)}",
            f"  document: SHA-256 {gone.document_digest}",
            f"  {gone.outcome}, {'logged' if gone.is_logged else 'not logged yet'}",
        ]
    return "\n".join(lines)


def _said(text: str | None) -> str:
    return "(forgotten)" if text is None else text
