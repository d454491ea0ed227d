"""`expunge certificate`: the files that a customer or auditor is given."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from controller.api.documents import CertificateFiles
from controller.cli.client import Client
from controller.cli.command import application
from controller.cli.options import HomeOption, JsonOption, deprovision_id, located

app = application("Write the certificate of one deprovision as files.")


@app.command()
def certificate(
    deprovision: Annotated[str, typer.Argument(help="dep_..., as status prints it.")],
    out: Annotated[Path, typer.Option(help="The folder to write into; made if absent.")] = Path(),
    annex: Annotated[
        bool,
        typer.Option("--annex", help="Also serials and raw pages: for the customer, not for the public."),
    ] = False,
    failures: Annotated[
        bool,
        typer.Option("--failures", help="Also what failed, and what a later attempt superseded."),
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """*.bundle.json is all a stranger needs with the trust root; *.dsse.json and *.evidence.dsse.json are its
    parts for openssl or cosign. A file that is there already is written over only by the same bytes. The
    record of a failure is genuine and no certificate: expunge verify answers 1 or 3.
    """
    key = deprovision_id(deprovision)
    with Client.of(located(home)) as client:
        told = client.get(
            f"/v1/deprovisions/{key}/certificate", CertificateFiles, annex=int(annex), failures=int(failures)
        )
    written = write(told, out)
    if as_json:
        typer.echo(told.to_json())
    else:
        typer.echo("\n".join(str(path) for path in written))


def write(told: CertificateFiles, folder: Path) -> list[Path]:
    """The files in `folder`, each whole or not at all. Annexes are readable by their owner only."""
    from controller.home import write_durably

    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for file in told.files:
        path = folder / file.name
        write_durably(path, file.content.encode(), mode=0o600 if ".annex." in file.name else 0o644)
        paths.append(path)
    return paths
