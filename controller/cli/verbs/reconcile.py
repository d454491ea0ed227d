"""`expunge reconcile`: see how the store stands to its anchor, or sign, as one of two, that it works again.

It opens the database itself, with `serve` stopped: whoever holds the home's lock is alone with it.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from certificate.statements.statement import time_text
from controller.api.decisions_documents import DecisionTaken
from controller.api.reconcile_documents import HeadShown, StoreStanding
from controller.cli.command import EXIT_DONE, EXIT_NEEDS_APPROVAL, EXIT_REFUSED, application
from controller.cli.confirming import require_words
from controller.cli.deciding import shown_text, signed, taken_text
from controller.cli.operator_key import operator_key
from controller.cli.options import (
    ConfirmOption,
    HomeOption,
    JsonOption,
    KeyOption,
    KeyPassphraseOption,
    PassphraseOption,
    located,
)
from controller.cli.progress import sign_of_life
from controller.home import Home
from controller.passphrase import read_passphrase

app = application("Let a restored or copied store work again; two operators.")


@app.command()
def reconcile(
    decide: Annotated[bool, typer.Option("--decide", help="Sign it; without, nothing is changed.")] = False,
    reason: Annotated[
        str | None, typer.Option("--reason", help="Why, in one line; it is signed with it.")
    ] = None,
    key: KeyOption = None,
    key_passphrase_fd: KeyPassphraseOption = None,
    confirm: ConfirmOption = None,
    passphrase_fd: PassphraseOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Show why the store is frozen and what stands in the way; with --decide, sign that it works again.

    Two operators sign the same. The second signature counts once no older order can be obeyed any more: the
    answer names the instant. Exit 0 done or current, 4 while frozen, 3 where it cannot be reconciled.
    """
    place = located(home)
    place.require_initialised()
    if not decide:
        standing = _standing(place)
        typer.echo(standing.to_json() if as_json else text(standing))
        return _exit_code(standing)
    if reason is None:
        raise typer.BadParameter("a decision has a reason", param_hint="--reason")
    taken = _decided(
        place,
        reason=reason,
        key=key,
        key_passphrase_fd=key_passphrase_fd,
        confirm=confirm,
        passphrase_fd=passphrase_fd,
    )
    typer.echo(taken.to_json() if as_json else taken_text(taken))
    return EXIT_DONE if taken.done is not None else EXIT_NEEDS_APPROVAL


def _standing(place: Home) -> StoreStanding:
    """The database is opened for reading, under the home's lock."""
    from controller import machine, published, taking_over
    from controller.configuration import configuration_at
    from controller.store import AnchorKeeper, open_store
    from controller.wiring import read_documents

    with place.locked():
        keeper = AnchorKeeper(configuration_at(place).anchor_path(place), machine_id=machine.machine_id())
        trust = read_documents(place).trust
        shown = published.largest_shown((place.certificates, place.failures), trust)
        store = open_store(place.database, is_read_only=True)
        try:
            with store.snapshot() as tx:
                return taking_over.standing(tx, keeper, trust, shown=shown, now=datetime.now(UTC))
        finally:
            store.close()


def _decided(
    place: Home,
    *,
    reason: str,
    key: Path | None,
    key_passphrase_fd: int | None,
    confirm: str | None,
    passphrase_fd: int | None,
) -> DecisionTaken:
    from controller import taking_over
    from controller.api.decisions import shown_document, taken_document
    from controller.configuration import configuration_at
    from controller.keyring import Keyring
    from controller.wiring import wire

    with place.locked():
        passphrase = read_passphrase(environment=os.environ, descriptor=passphrase_fd)
        with sign_of_life("opening keys"):
            keyring = Keyring.open(place.keys, passphrase=passphrase)
        program = wire(place, configuration_at(place), keyring)
        try:
            shown = shown_document(taking_over.show(program))
            matter = shown.matter()
            typer.echo(shown_text(shown), err=True)
            require_words(confirm, matter.words)
            signer = operator_key(key, environment=os.environ, descriptor=key_passphrase_fd)
            envelope = signed(shown, matter, reason=reason, signer=signer)
            return taken_document(taking_over.take(program, envelope))
        finally:
            program.store.close()


def _exit_code(standing: StoreStanding) -> int:
    if standing.because is None:
        return EXIT_DONE
    return EXIT_NEEDS_APPROVAL if standing.refused is None else EXIT_REFUSED


def text(standing: StoreStanding) -> str:
    """How the store stands, for people."""
    lines = [f"{standing.standing}" + (f": {standing.because}" if standing.because else "")]
    lines.append(f"  here:   {_head(standing.here)}")
    lines.append(f"  anchor: {_head(standing.anchor) if standing.anchor else 'missing or damaged'}")
    lines.append(f"  this machine: {standing.this_machine[:16]}")
    for each in standing.orders:
        until = "answered finally" if each.is_answered else f"until {time_text(each.stands_until)}"
        lines.append(f"  {each.order} of {each.host}, {each.was}: {until}")
    if standing.refused is not None:
        lines.append(f"{standing.refused['code']}: {standing.refused['reason']}")
        lines.append(f"  {standing.refused['remedy']}")
    elif standing.because is not None:
        lines.append(f"{len(standing.signed)} of 2 operators signed that it works again")
        if standing.not_before is not None:
            lines.append(f"  the second signature counts from {time_text(standing.not_before)} on")
    return "\n".join(lines)


def _head(head: HeadShown) -> str:
    return (
        f"store {head.store_id[:16]}, epoch {head.epoch}, machine {head.machine_id[:16]}, "
        f"{head.ledger_seq} events ending in {head.head[:16]}, {head.log_size} log entries"
    )
