"""`expunge wipe`: show what a wipe by hand would do, or request it.

Rules: without --request nothing is stored but the source's answers. With it the command begins the wipe where
none is under way, waits until the drives were listed, and signs a request over exactly the plan it printed;
whatever ends it in between, it is run again and continues where it stopped. While grace or dwell outlast the
waiting it says until when, and names the command that then goes on.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from certificate.errors import Refused
from certificate.statements.people import DecisionKind
from certificate.statements.statement import time_text
from controller.api.wipe_documents import PlanShown, TenancySaid, WipeAsked, WipeProspect
from controller.cli.approving import request_plan
from controller.cli.client import Client
from controller.cli.command import EXIT_NEEDS_APPROVAL, application
from controller.cli.deciding import checked_reason, decided
from controller.cli.options import (
    READ_BY_STRANGERS_HELP,
    ConfirmOption,
    HomeOption,
    JsonOption,
    KeyOption,
    KeyPassphraseOption,
    located,
)
from controller.duration import parse_duration
from controller.errors import Code
from controller.states import State

app = application("Show what a wipe by hand would do, or request it.")

#: Between two looks at whether the plan stands.
LOOK_SECONDS = 1.0


@app.command()
def wipe(
    host: Annotated[str, typer.Argument(help="The host's asset tag.")],
    request: Annotated[
        bool, typer.Option("--request", help="Begin it, and request its plan with your key.")
    ] = False,
    reason: Annotated[
        str | None,
        typer.Option("--reason", help=f"Why, in one line; signed with the request. {READ_BY_STRANGERS_HELP}"),
    ] = None,
    key: KeyOption = None,
    key_passphrase_fd: KeyPassphraseOption = None,
    confirm: ConfirmOption = None,
    wait: Annotated[str, typer.Option("--wait", help="How long to wait for the plan.")] = "PT10M",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """What a wipe of this host would destroy, what the source says, and what stands in the way.

    Exit 0: shown; with --request 4: requested, so that another operator approves; or begun, and not planned
    before grace and dwell are over: then the same command is run again.
    """
    if not request:
        with Client.of(located(home)) as client:
            shown = client.post("/v1/wipes", WipeProspect, WipeAsked(host=host, reason=_checked(reason)))
        typer.echo(shown.to_json() if as_json else text(shown))
        return 0
    if reason is None:
        raise typer.BadParameter("a request names its reason", param_hint="--reason")
    patience = _patience(wait)
    _begin(host, home=home, reason=reason, key=key, key_passphrase_fd=key_passphrase_fd, confirm=confirm)
    shown = _planned(host, home=home, patience=patience)
    if shown.plan is None:
        typer.echo(
            shown.to_json()
            if as_json
            else _not_yet(shown, again=_again(host, reason=reason, key=key, home=home))
        )
        return EXIT_NEEDS_APPROVAL
    if shown.plan.requested_by:
        typer.echo(shown.to_json() if as_json else _requested(shown.plan))
        return EXIT_NEEDS_APPROVAL
    typer.echo(text(shown), err=True)
    return request_plan(
        shown.plan.digest,
        home=home,
        reason=reason,
        key=key,
        key_passphrase_fd=key_passphrase_fd,
        confirm=confirm,
        as_json=as_json,
    )


def _checked(reason: str | None) -> str | None:
    return None if reason is None else checked_reason(reason)


def _patience(wait: str) -> timedelta:
    try:
        return parse_duration(wait)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--wait") from None


def _begin(
    host: str,
    *,
    home: Path | None,
    reason: str,
    key: Path | None,
    key_passphrase_fd: int | None,
    confirm: str | None,
) -> None:
    """One signed decision, unless a wipe by hand of this host is under way. Raises Refused."""
    with Client.of(located(home)) as client:
        shown = client.post("/v1/wipes", WipeProspect, WipeAsked(host=host, reason=checked_reason(reason)))
    if shown.deprovision is not None and shown.deprovision.trigger == "manual":
        return
    taken = decided(
        home=home,
        kind=DecisionKind.WIPE,
        about={"host": host},
        reason=reason,
        key=key,
        key_passphrase_fd=key_passphrase_fd,
        confirm=confirm,
    )
    typer.echo(taken.done or "the decision is stored", err=True)


def _planned(host: str, *, home: Path | None, patience: timedelta) -> WipeProspect:
    """The prospect once its plan stands, or as it is when the time is over.

    Raises Refused(PERSON_MUST_DECIDE) where the wipe needs an operator, or is over.
    """
    gives_up_at = time.monotonic() + patience.total_seconds()
    with Client.of(located(home)) as client:
        while True:
            shown = client.get("/v1/wipes", WipeProspect, host=host)
            live = shown.deprovision
            if live is None or live.state == State.NEEDS_OPERATOR:
                reason = "the wipe is over" if live is None else f"{live.deprovision}: {live.waits_for}"
                raise Refused(Code.PERSON_MUST_DECIDE, reason)
            if shown.plan is not None or time.monotonic() >= gives_up_at:
                return shown
            time.sleep(LOOK_SECONDS)


def _not_yet(shown: WipeProspect, *, again: str) -> str:
    return "\n".join(
        [*_progress(shown), "not planned yet; run it again: it continues where it stopped", again]
    )


def _progress(shown: WipeProspect) -> Iterator[str]:
    live = shown.deprovision
    if live is not None:
        yield f"{live.deprovision} is {live.state}: {live.waits_for or '-'}"
    if shown.grace_until is not None:
        yield f"  grace until {time_text(shown.grace_until)}: nothing is touched before"
    if shown.dwell_until is not None:
        earliest = "" if shown.grace_until is None else " at the earliest"
        yield f"  dwell until {time_text(shown.dwell_until)}{earliest}: then the drives are read and planned"


def _again(host: str, *, reason: str, key: Path | None, home: Path | None) -> str:
    """The command that goes on, as a shell takes it."""
    words = ["expunge", "wipe", host, "--request", "--reason", reason]
    words += [] if key is None else ["--key", str(key)]
    words += [] if home is None else ["--home", str(home)]
    return f"  {shlex.join(words)}"


def _requested(plan: PlanShown) -> str:
    by = ", ".join(plan.requested_by)
    return f"requested by {by}; another operator runs: expunge approve {plan.digest}"


def text(shown: WipeProspect) -> str:
    """The dry run for people."""
    return "\n".join(
        [
            *_host(shown),
            *_source(shown),
            *(f"in the way: {each}" for each in shown.in_the_way),
            *_refusals(shown),
            *(f"=> {consequence}" for consequence in shown.consequences),
            *_plan(shown.plan),
        ]
    )


def _host(shown: WipeProspect) -> Iterator[str]:
    yield f"{shown.host}, {shown.site}, rack {shown.rack}, data class {shown.data_class}"
    declared = f", declared by {', '.join(shown.declared_by)}" if shown.declared_by else ""
    yield f"  disposition: {shown.disposition}{declared}"
    for drive in shown.drives:
        size = "size unknown" if drive.capacity_bytes is None else f"{drive.capacity_bytes} bytes"
        yield (
            f"  drive ...{drive.serial_ends_in}: {drive.model or 'model unknown'}, {size}, {drive.basis},"
            f" medium {drive.medium}"
        )
    if not shown.drives:
        yield "  no drive is on record"
    if shown.deprovision is not None:
        live = shown.deprovision
        yield f"  {live.deprovision} ({live.trigger}) is {live.state}: {live.waits_for or '-'}"


def _source(shown: WipeProspect) -> Iterator[str]:
    asked = "never" if shown.list_asked_at is None else time_text(shown.list_asked_at)
    count = "-" if shown.list_count is None else str(shown.list_count)
    yield f"the source lists {count} tenancies; complete: {shown.list_is_complete}; asked {asked}"
    for tenancy in shown.tenancies:
        yield f"  {_tenancy(tenancy)}"


def _tenancy(tenancy: TenancySaid) -> str:
    since = "unknown" if tenancy.starts_at is None else time_text(tenancy.starts_at)
    changed = "" if tenancy.changed_at is None else f", changed {time_text(tenancy.changed_at)}"
    asked = "never asked" if tenancy.asked_at is None else f"asked {time_text(tenancy.asked_at)}"
    doubt = "" if tenancy.counts_as == tenancy.answer else f", counts as {tenancy.counts_as}"
    return f"{tenancy.tenancy} since {since}: {tenancy.answer}{changed}, {asked}{doubt}"


def _refusals(shown: WipeProspect) -> Iterator[str]:
    if not shown.refusals:
        yield "nothing refuses it now"
    for refusal in shown.refusals:
        yield f"refuses: {refusal.code}: {refusal.reason}"
        yield f"    {refusal.remedy}"


def _plan(plan: PlanShown | None) -> Iterator[str]:
    if plan is None:
        yield "no plan yet: it needs the drives' own words, read in the erase environment"
        return
    yield f"plan of {plan.deprovision}, floor {plan.floor}, data class {plan.data_class}"
    for medium in plan.media:
        size = "size unknown" if medium.capacity_bytes is None else f"{medium.capacity_bytes} bytes"
        yield f"  medium {medium.medium}, {size}: {', '.join(medium.techniques)}"
    yield f"  boot {plan.boot_id}"
    yield f"  requested by {', '.join(plan.requested_by) or 'nobody'}"
    yield f"  approved by {', '.join(plan.approved_by) or 'nobody'}"
    yield f"  DIGEST {plan.digest}"
