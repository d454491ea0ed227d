"""`expunge policy`: the validation table. It reads and writes the signed files of the home, no database.

What it signs is in force from the next start of `serve` on; a running one ends its work under its own table.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from certificate.errors import Code as CertificateCode
from certificate.errors import Refused
from certificate.policy import MAX_POLICY_BYTES, Policy
from certificate.statements.statement import time_text
from controller.api.policy_documents import (
    ChangeLine,
    DraftWritten,
    KeptTableLine,
    PolicyChecked,
    PolicyShown,
    PolicySigned,
)
from controller.cli import text
from controller.cli.command import application
from controller.cli.options import HomeOption, JsonOption, PassphraseOption, located
from controller.errors import Code
from controller.home import Home
from controller.passphrase import read_passphrase
from controller.policy import signing
from controller.policy.changes import compare
from controller.policy.doubts import doubts
from controller.policy.draft import MAX_DRAFT_BYTES, Draft
from controller.tables import Tables, kept_path, read_tables

app = application("The validation table: show it, draft, check and sign the next version.")

#: What `escrow` of a class means, wherever the table is shown or drafted.
ESCROW_EXPLAINED = (
    "escrow: whether copies of media keys, or LUKS header backups, are kept outside the drive: none, known or"
    " unknown. It is your signed statement, and every order and certificate repeats it: known makes a"
    " cryptographic erase inconclusive, unknown is said as a limit of the claim."
)

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The draft.", dir_okay=False)]


@app.command()
def show(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """The table in force, rule by rule and row by row, and what your own verification asks."""
    tables, own = _tables(located(home)), _own_policy(located(home))
    table = tables.present.table
    told = PolicyShown(
        version=table.version,
        digest=tables.present.digest,
        issued_at=table.issued_at,
        rules=table.rules,
        rows=table.rows,
        otherwise=table.otherwise.value,
        earlier=tuple(
            KeptTableLine(version=each.table.version, digest=each.digest, issued_at=each.table.issued_at)
            for each in tables.earlier
        ),
        verify=own.model_dump(mode="json", by_alias=True),
    )
    typer.echo(told.to_json() if as_json else shown_text(told))


@app.command()
def draft(file: FileArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Write the table in force into FILE, for editing, under its next version. Never over a file."""
    present = _tables(located(home)).present.table
    new = Draft.of(present, version=present.version + 1)
    try:
        with file.open("xb") as written:
            written.write(new.write())
    except FileExistsError:
        raise Refused(Code.DRAFT_EXISTS, f"{file} is there already") from None
    except OSError as error:
        raise Refused(CertificateCode.FILE_UNREADABLE, f"{file}: {error.strerror}") from None
    told = DraftWritten(file=str(file), version=new.version)
    typer.echo(
        told.to_json()
        if as_json
        else f"{file} holds version {new.version}, unsigned: edit it, then expunge policy check {file}\n"
        f"  {ESCROW_EXPLAINED}"
    )


@app.command()
def check(file: FileArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """What FILE would change, what in it is weaker than now, and what is probably not meant.

    Exit 0: it can be signed; 3: it cannot, and why.
    """
    told = _checked(located(home), _draft(file))
    typer.echo(told.to_json() if as_json else checked_text(told))


@app.command()
def sign(
    file: FileArgument,
    root_key: Annotated[
        Path | None,
        typer.Option("--root-key", help="The root key's file [keys/root of the home].", dir_okay=False),
    ] = None,
    passphrase_fd: PassphraseOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sign FILE as the next version. It is in force when serve is started again; plans that were made before
    and not sent are then made anew, and their approvals are void.
    """
    place, new = located(home), _draft(file)
    checked = _checked(place, new)
    typer.echo(checked_text(checked), err=True)
    passphrase = read_passphrase(environment=os.environ, descriptor=passphrase_fd)
    key = signing.read_root_key(root_key or place.keys / "root", passphrase=passphrase)
    signed = signing.sign(place, new, root_key=key, now=datetime.now(UTC), randomness=os.urandom)
    kept = kept_path(place.validation_table, checked.present_version)
    told = PolicySigned(
        version=signed.table.version,
        digest=signed.digest,
        file=str(place.validation_table),
        kept=str(kept),
        checked=checked,
    )
    typer.echo(told.to_json() if as_json else signed_text(told))


def _tables(home: Home) -> Tables:
    home.require_initialised()
    return read_tables(home.validation_table, signing.read_trust(home))


def _own_policy(home: Home) -> Policy:
    """policy/verify.json. Raises Refused(FILE_UNREADABLE), Malformed(POLICY_INVALID)."""
    return Policy.read(_content(home.verify_policy, MAX_POLICY_BYTES + 1))


def _draft(file: Path) -> Draft:
    return Draft.read(_content(file, MAX_DRAFT_BYTES + 1))


def _content(file: Path, most: int) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(most)
    except OSError as error:
        raise Refused(CertificateCode.FILE_UNREADABLE, f"{file}: {error.strerror}") from None


def _checked(home: Home, new: Draft) -> PolicyChecked:
    """Raises Refused(TABLE_VERSION_WRONG)."""
    present = _tables(home).present
    signing.require_next(new, present)
    return PolicyChecked(
        present_version=present.table.version,
        version=new.version,
        changes=tuple(
            ChangeLine(tendency=each.tendency.value, where=each.where, before=each.before, after=each.after)
            for each in compare(present.table, new)
        ),
        doubts=doubts(new, _own_policy(home)),
    )


def shown_text(told: PolicyShown) -> str:
    rules = [
        (
            rule.data_class,
            rule.floor.value,
            str(rule.approvals_required),
            rule.overwrite.value,
            rule.read_back.value,
            rule.escrow.value,
        )
        for rule in told.rules
    ]
    rows = [
        (row.data_class, row.media.value, row.technique.value, row.grade.value, row.decision.value)
        for row in told.rows
    ]
    parts = [
        f"validation table {told.version}, signed {time_text(told.issued_at)}, digest {told.digest}",
        "",
        text.table(("CLASS", "FLOOR", "APPROVALS", "OVERWRITE", "READ BACK", "ESCROW"), rules),
        ESCROW_EXPLAINED,
        "",
        text.table(("CLASS", "MEDIA", "TECHNIQUE", "GRADE", "DECISION"), rows),
        f"every other case: {told.otherwise}",
        "",
        "your own verification (policy/verify.json)",
        *(f"  {name}: {_value(value)}" for name, value in told.verify.items()),
    ]
    parts += [
        f"before it: table {each.version}, signed {time_text(each.issued_at)}, digest {each.digest}"
        for each in told.earlier
    ]
    return "\n".join(parts)


def _value(value: object) -> str:
    return ", ".join(str(each) for each in value) if isinstance(value, list) else str(value)


def checked_text(told: PolicyChecked) -> str:
    lines = [f"version {told.version} beside version {told.present_version}, which is in force"]
    lines += [f"  {each.tendency}: {each.where}: {each.before} -> {each.after}" for each in told.changes] or [
        "  it decides everything as before"
    ]
    lines += [f"  DOUBT: {doubt}" for doubt in told.doubts]
    return "\n".join(lines)


def signed_text(told: PolicySigned) -> str:
    return (
        f"validation table {told.version} is signed, digest {told.digest}\n"
        f"  {told.file}; the one before is {told.kept}\n"
        "Next: start serve again. Until then it works under the table that it started with."
    )
