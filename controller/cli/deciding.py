"""A signed decision from the command's side: show the matter, have the words typed, sign here, hand it in.

Rules: what is signed is computed from what was printed, never taken from `serve`; the matter goes to standard
error, the answer alone to standard output; exit 0 when it was carried out, 4 while more people are needed.
Where strangers will read the reason, the person is told so beside it, before anything is typed or signed.
The signing time is `serve`'s, because it compares it with its own clock; this command shows it.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from certificate import envelope as dsse
from certificate.errors import Refused
from certificate.keys import Signer
from certificate.statements import Decision, make, subject
from certificate.statements.people import DecisionKind
from certificate.statements.statement import time_text
from controller.api.decisions_documents import DecisionTaken, MatterAsked, MatterShown, NewDecision
from controller.cli.client import Client
from controller.cli.command import EXIT_DONE, EXIT_NEEDS_APPROVAL
from controller.cli.confirming import require_words
from controller.cli.operator_key import operator_key
from controller.cli.options import located
from controller.errors import Code
from controller.people.disclosure import READ_BY_STRANGERS, WARNING
from controller.people.matter import Matter

NONCE_BYTES = 16


def decide(
    *,
    home: Path | None,
    kind: DecisionKind,
    about: dict[str, str],
    reason: str,
    key: Path | None,
    key_passphrase_fd: int | None,
    confirm: str | None,
    as_json: bool,
) -> int:
    """Decides on what `about` names and answers with the exit code. Raises Refused: what `serve` refuses,
    CONFIRMATION_MISSING, CONFIRMATION_WRONG, and what `operator_key` refuses.
    """
    taken = decided(
        home=home,
        kind=kind,
        about=about,
        reason=reason,
        key=key,
        key_passphrase_fd=key_passphrase_fd,
        confirm=confirm,
    )
    typer.echo(taken.to_json() if as_json else taken_text(taken))
    return EXIT_DONE if taken.done is not None else EXIT_NEEDS_APPROVAL


def decided(
    *,
    home: Path | None,
    kind: DecisionKind,
    about: dict[str, str],
    reason: str,
    key: Path | None,
    key_passphrase_fd: int | None,
    confirm: str | None,
) -> DecisionTaken:
    """As `decide`, for a command that goes on after it: nothing is written to standard output."""
    said = checked_reason(reason)
    with Client.of(located(home)) as client:
        asked = MatterAsked(kind=kind, about=about, reason=said)
        shown = client.post("/v1/matters", MatterShown, asked)
        matter = shown.matter()
        if matter.on != shown.on:
            raise Refused(Code.SERVE_DISAGREES, "serve names another digest than what it showed has")
        typer.echo(f"{shown_text(shown)}\n{reason_text(said, kind)}", err=True)
        require_words(confirm, matter.words)
        signer = operator_key(key, environment=os.environ, descriptor=key_passphrase_fd)
        envelope = signed(shown, matter, reason=said, signer=signer)
        new = NewDecision(kind=kind, about=about, envelope=envelope.decode())
        return client.post("/v1/decisions", DecisionTaken, new)


def signed(shown: MatterShown, matter: Matter, *, reason: str, signer: Signer) -> bytes:
    """The envelope of a decision on `matter`, as a file. Raises typer.BadParameter for a reason that no
    statement holds.
    """
    on = matter.on
    enrols = matter.key.raw.hex() if matter.kind is DecisionKind.ENROL and matter.key else "not_applicable"
    decision = Decision.model_validate(
        {
            "schema": 1,
            "purpose": shown.purpose,
            "nonce": secrets.token_hex(NONCE_BYTES),
            "issued_at": shown.time,
            "kind": matter.kind,
            "operator": signer.public.keyid,
            "on": on,
            "choice": matter.choice,
            "reason": checked_reason(reason),
            "document_digest": matter.signed_document or "not_applicable",
            "enrols": enrols,
            "effective_at": shown.time + matter.inert_for,
            "ledger_seq": shown.ledger_seq,
        }
    )
    return dsse.sign(make(decision, (subject("decided", on),)).payload(), signer).write()


def checked_reason(reason: str) -> str:
    """One line of at most 1000 printable characters. Raises typer.BadParameter."""
    text = reason.strip()
    if not text or len(text) > 1000 or not text.isprintable():
        raise typer.BadParameter("one line of printable text, at most 1000 characters", param_hint="--reason")
    return text


def shown_text(shown: MatterShown) -> str:
    """The matter for people."""
    lines = [f"{shown.kind.value}: {shown.choice}", *facts_text(shown.facts)]
    if shown.document_digest is not None:
        lines.append(f"  document: SHA-256 {shown.document_digest}")
    lines += [f"  => {consequence}" for consequence in shown.consequences]
    behind = f"{len(shown.signed)} of {shown.people_needed} signed so far"
    lines.append(f"  {behind}; signed at {time_text(shown.time)} by the controller's clock")
    return "\n".join(lines)


def reason_text(reason: str, kind: DecisionKind | None) -> str:
    """What was typed, as it is signed, and who reads it. `kind` is None for a request or yes to a plan."""
    lines = [f"  your reason: {reason}"]
    if kind is None or kind in READ_BY_STRANGERS:
        lines.append(f"  {WARNING}")
    return "\n".join(lines)


def facts_text(facts: Mapping[str, Any], indent: str = "  ") -> list[str]:
    """One line a fact, lists and objects below their name."""
    lines: list[str] = []
    for name, value in facts.items():
        if isinstance(value, Mapping):
            lines += [f"{indent}{name}:", *facts_text(value, indent + "  ")]
        elif isinstance(value, list | tuple):
            lines.append(f"{indent}{name}: {len(value)}")
            for item in value:
                lines += (
                    facts_text(item, indent + "  - ")
                    if isinstance(item, Mapping)
                    else [f"{indent}  - {item}"]
                )
        else:
            lines.append(f"{indent}{name}: {value}")
    return lines


def taken_text(taken: DecisionTaken) -> str:
    if taken.done is not None:
        return taken.done
    return f"{len(taken.signed)} of {taken.people_needed}: stored; another operator must sign the same"
