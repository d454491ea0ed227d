"""`expunge media list`: the register of drives that left their host."""

from __future__ import annotations

import typer

from certificate.statements.statement import time_text
from controller.api.host_records_documents import MediaRegister, MediumLeft
from controller.cli.client import Client
from controller.cli.command import application
from controller.cli.options import HomeOption, JsonOption, located

app = application("The register of drives that left their host.")


@app.callback()
def callback() -> None:
    """The register of drives that left their host."""


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
    lines = [
        f"{medium.standing.upper()}: {medium.serial} ({medium.model or 'model unknown'}, {size}) "
        f"left {medium.host} at {time_text(medium.left_at)}",
        f"  medium {medium.medium}",
        f"  removed by {_said(medium.removed_by)}; seal {_said(medium.seal)}; kept at {_said(medium.place)}",
        f"  why: {_said(medium.why)}",
    ]
    if medium.tenancies:
        lines.append(f"  may hold data of {', '.join(medium.tenancies)}")
    if medium.replaced_by is not None:
        lines.append(f"  in its place: {medium.replaced_by}")
    return "\n".join(lines)


def _said(text: str | None) -> str:
    return "(forgotten)" if text is None else text
