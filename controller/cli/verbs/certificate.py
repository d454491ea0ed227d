"""`expunge certificate`: the files that a customer or auditor is given."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from certificate.errors import Code as CertificateCode
from certificate.errors import Refused
from controller.api.documents import CertificateFiles
from controller.cli.client import Client
from controller.cli.command import application
from controller.cli.options import HomeOption, JsonOption, deprovision_id, located
from controller.errors import Code

app = application("Write the certificates of one deprovision, or of one medium, as files.")


@app.command()
def certificate(
    deprovision: Annotated[
        str | None, typer.Argument(metavar="[DEPROVISION]", help="dep_..., as status prints it.")
    ] = None,
    medium: Annotated[
        str | None,
        typer.Option(
            "--medium",
            metavar="COMMITMENT",
            help="Instead of a deprovision: all over one medium, also of a drive destroyed under none.",
        ),
    ] = None,
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
    parts for openssl or cosign. A file that is there already is written over only by the same bytes: other
    bytes are a refusal (3), and nothing is written. A bundle is made anew as the log grows, so ask into a
    new folder. The record of a failure is genuine and no certificate: expunge verify answers 1 or 3.
    """
    place = _place(deprovision, medium)
    with Client.of(located(home)) as client:
        told = client.get(place, CertificateFiles, annex=int(annex), failures=int(failures))
    written = write(told, out)
    if as_json:
        typer.echo(told.to_json())
    else:
        typer.echo("\n".join(str(path) for path in written))


def _place(deprovision: str | None, medium: str | None) -> str:
    """Raises typer.BadParameter unless exactly one is named, as it is written."""
    if (deprovision is None) == (medium is None):
        raise typer.BadParameter("name a deprovision, or one medium with --medium")
    if deprovision is not None:
        return f"/v1/deprovisions/{deprovision_id(deprovision)}/certificate"
    if re.fullmatch("[0-9a-f]{8,64}", medium or "") is None:
        raise typer.BadParameter(f"{medium!r} is no commitment: 64 digits 0-9a-f, or the first 8 at least")
    return f"/v1/media/{medium}/certificate"


def write(told: CertificateFiles, folder: Path) -> list[Path]:
    """The files in `folder`, each whole or not at all. Annexes are readable by their owner only. Raises
    Refused(FILE_DIFFERS) where one is there with other bytes, and then none is written.
    """
    from controller.home import write_durably

    folder.mkdir(parents=True, exist_ok=True)
    contents = {folder / file.name: file.content.encode() for file in told.files}
    absent = {path: content for path, content in contents.items() if not _is_there(path, content)}
    for path, content in absent.items():
        write_durably(path, content, mode=0o600 if ".annex." in path.name else 0o644)
    return list(contents)


def _is_there(path: Path, content: bytes) -> bool:
    """Whether the very file is there. Raises Refused: FILE_DIFFERS, FILE_UNREADABLE."""
    try:
        with path.open("rb") as file:
            found = file.read(len(content) + 1)
    except FileNotFoundError:
        # A link that leads nowhere is somebody's file, too.
        if path.is_symlink():
            raise Refused(Code.FILE_DIFFERS, f"{path} is a link that leads nowhere") from None
        return False
    except OSError as error:
        raise Refused(CertificateCode.FILE_UNREADABLE, f"{path}: {error.strerror}") from None
    if found != content:
        raise Refused(Code.FILE_DIFFERS, f"{path} holds other bytes; nothing was written")
    return True
