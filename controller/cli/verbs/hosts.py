"""`expunge hosts add | list | declare`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from pydantic import ValidationError

from certificate.statements.people import DecisionKind
from controller.api.documents import HostFact, HostLine, HostList, NewDrive, NewHost
from controller.cli import host_drives, host_records, text
from controller.cli.client import Client
from controller.cli.command import application
from controller.cli.deciding import decide
from controller.cli.options import (
    ConfirmOption,
    HomeOption,
    JsonOption,
    KeyOption,
    KeyPassphraseOption,
    ReasonOption,
    located,
)
from controller.records.drive_text import read_drive

app = application("Enter hosts, list those on record, and see what is missing.")
app.command("import")(host_records.import_file)
app.command("gaps")(host_records.gaps)
app.add_typer(host_drives.app, name="drive")


class DriveBasisWord(StrEnum):
    """What may be asserted when a host is entered."""

    DECLARED = "declared"
    INTAKE = "intake"


@app.command()
def add(
    asset_tag: Annotated[str, typer.Argument(help="The host's name at the provider and in the source.")],
    address: Annotated[str, typer.Option(help="Where its agent answers, HOST:PORT.")],
    site: Annotated[str, typer.Option()],
    rack: Annotated[str, typer.Option()],
    disposition: Annotated[
        str, typer.Option(help="rented | unknown; stock and internal are declared by two operators.")
    ],
    customer: Annotated[str | None, typer.Option(help="Kept in the private tables only.")] = None,
    data_class: Annotated[str, typer.Option(help="A class of the validation table.")] = "default",
    fact: Annotated[list[str] | None, typer.Option(help="KIND=VALUE, a sign of the host's identity.")] = None,
    drive: Annotated[list[str] | None, typer.Option(help="serial=S,model=M[,capacity_bytes=N].")] = None,
    basis: Annotated[
        DriveBasisWord, typer.Option(help="How the drives are known: your own list, or read at intake.")
    ] = DriveBasisWord.DECLARED,
    parameter: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE, for the commands of quarantine and boot.")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a host on record. Its drives are declared: the agent's inventory is compared with them later."""
    try:
        new = NewHost.model_validate(
            {
                "asset_tag": asset_tag,
                "site": site,
                "rack": rack,
                "customer": customer,
                "data_class": data_class,
                "disposition": disposition,
                "address": address,
                "parameters": dict(_pair(item, "--parameter") for item in parameter or ()),
                "facts": tuple(_fact(item) for item in fact or ()),
                "drives": tuple(_drive(item, basis) for item in drive or ()),
            }
        )
    except ValidationError as error:
        raise _usage(error) from None
    with Client.of(located(home)) as client:
        line = client.post("/v1/hosts", HostLine, new)
    typer.echo(line.to_json() if as_json else text.host(line))


@app.command("list")
def list_hosts(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Every host on record."""
    with Client.of(located(home)) as client:
        listed = client.get("/v1/hosts", HostList)
    typer.echo(listed.to_json() if as_json else text.hosts(listed))


@app.command()
def declare(
    asset_tag: Annotated[str, typer.Argument(help="The host's asset tag.")],
    disposition: Annotated[str, typer.Argument(help="rented | stock | internal | unknown")],
    reason: ReasonOption,
    key: KeyOption = None,
    key_passphrase_fd: KeyPassphraseOption = None,
    confirm: ConfirmOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Say what a host is; two operators sign. stock and internal need the source's complete, empty list."""
    return decide(
        home=home,
        kind=DecisionKind.DISPOSITION,
        about={"host": asset_tag, "disposition": disposition},
        reason=reason,
        key=key,
        key_passphrase_fd=key_passphrase_fd,
        confirm=confirm,
        as_json=as_json,
    )


def _pair(item: str, option: str) -> tuple[str, str]:
    name, separator, value = item.partition("=")
    if not separator or not value:
        raise typer.BadParameter(f"{item!r} is not NAME=VALUE", param_hint=option)
    return name, value


def _fact(item: str) -> HostFact:
    kind, value = _pair(item, "--fact")
    try:
        return HostFact.model_validate_json(_json(kind=kind, value=value))
    except ValidationError as error:
        raise _usage(error, "--fact") from None


def _drive(item: str, basis: DriveBasisWord) -> NewDrive:
    try:
        drive = read_drive(item)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--drive") from None
    return NewDrive(
        serial=drive.serial, model=drive.model, capacity_bytes=drive.capacity_bytes, basis=basis.value
    )


def _json(**fields: str) -> str:
    import json

    return json.dumps(fields)


def _usage(error: ValidationError, option: str | None = None) -> typer.BadParameter:
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return typer.BadParameter(f"{place}: {first['msg']}", param_hint=option)
