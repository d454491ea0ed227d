"""Requesting and approving a plan from the command's side: recompute its digest, show it, sign it here.

Rules: the digest that was asked for must be the digest of the text that came and of the plan read from it;
the plan, and the reason with a word on who reads it, go to standard error before anything is typed; the words
are read off the machine, so they are not shown; exit 0 when enough people stand behind the plan, 4 while more
are needed.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from datetime import timedelta
from pathlib import Path
from typing import Literal

import typer

from certificate import envelope as dsse
from certificate.delivery import APPROVAL_LIFE
from certificate.errors import Refused
from certificate.keys import Signer
from certificate.statements import Approval, Plan, make, subject
from certificate.statements.statement import read_model, time_text
from controller.api.approvals_documents import ApprovalTaken, NewApproval, PlanAsked, PlanToSign
from controller.cli.client import Client
from controller.cli.command import EXIT_DONE, EXIT_NEEDS_APPROVAL
from controller.cli.confirming import typed
from controller.cli.deciding import NONCE_BYTES, checked_reason, reason_text
from controller.cli.operator_key import operator_key
from controller.cli.options import located
from controller.errors import Code
from controller.people.confirmation import confirmation_digest

Kind = Literal["request", "approve"]
#: A commitment is shown by so many characters; the digest that is signed is shown whole.
SHORT = 16


def request_plan(
    digest: str,
    *,
    home: Path | None,
    reason: str,
    key: Path | None,
    key_passphrase_fd: int | None,
    confirm: str | None,
    as_json: bool,
) -> int:
    """Signs a request of the plan with this digest and answers with the exit code. Raises Refused: what
    `serve` refuses, SERVE_DISAGREES, CONFIRMATION_MISSING, and what `operator_key` refuses.
    """
    return _sign_plan(
        "request",
        digest,
        home=home,
        reason=reason,
        key=key,
        key_passphrase_fd=key_passphrase_fd,
        confirm=confirm,
        as_json=as_json,
    )


def approve_plan(
    digest: str,
    *,
    home: Path | None,
    reason: str,
    key: Path | None,
    key_passphrase_fd: int | None,
    confirm: str | None,
    as_json: bool,
) -> int:
    """As `request_plan`, saying yes to it."""
    return _sign_plan(
        "approve",
        digest,
        home=home,
        reason=reason,
        key=key,
        key_passphrase_fd=key_passphrase_fd,
        confirm=confirm,
        as_json=as_json,
    )


def _sign_plan(
    kind: Kind,
    digest: str,
    *,
    home: Path | None,
    reason: str,
    key: Path | None,
    key_passphrase_fd: int | None,
    confirm: str | None,
    as_json: bool,
) -> int:
    said = checked_reason(reason)
    with Client.of(located(home)) as client:
        shown = client.post("/v1/plans", PlanToSign, PlanAsked(digest=digest, reason=said))
        plan = checked_plan(shown, digest)
        typer.echo(f"{plan_text(shown, plan, digest)}\n{reason_text(said, None)}", err=True)
        words = typed(confirm, ask="Asset tag, and the last four characters of one of these")
        signer = operator_key(key, environment=os.environ, descriptor=key_passphrase_fd)
        envelope = signed(kind, shown, plan, words=words, reason=said, signer=signer)
        taken = client.post("/v1/approvals", ApprovalTaken, NewApproval(envelope=envelope.decode()))
    typer.echo(taken.to_json() if as_json else _taken_text(kind, taken))
    return EXIT_NEEDS_APPROVAL if taken.missing else EXIT_DONE


def checked_plan(shown: PlanToSign, digest: str) -> Plan:
    """The plan, if what came is what was asked for. Raises Refused(SERVE_DISAGREES) or Malformed."""
    text = shown.plan.encode()
    plan = read_model(text, Plan, what="plan")
    if not hashlib.sha256(text).hexdigest() == plan.canonical_digest() == digest:
        raise Refused(Code.SERVE_DISAGREES, f"serve showed another plan than {digest}")
    return plan


def signed(kind: Kind, shown: PlanToSign, plan: Plan, *, words: str, reason: str, signer: Signer) -> bytes:
    """The envelope of a request or yes, as a file."""
    digest = plan.canonical_digest()
    answers = shown.request if kind == "approve" and shown.request is not None else "not_applicable"
    life: timedelta = APPROVAL_LIFE
    approval = Approval.model_validate(
        {
            "schema": 1,
            "purpose": shown.purpose,
            "nonce": secrets.token_hex(NONCE_BYTES),
            "issued_at": shown.time,
            "kind": kind,
            "deprovision": plan.deprovision,
            "plan_digest": digest,
            "operator": signer.public.keyid,
            "confirmation_digest": confirmation_digest(plan.deprovision, words),
            "request_digest": answers,
            "reason": checked_reason(reason),
            "expires_at": shown.time + life,
        }
    )
    return dsse.sign(make(approval, (subject("plan", digest),)).payload(), signer).write()


def plan_text(shown: PlanToSign, plan: Plan, digest: str) -> str:
    """The plan for people."""
    seen = shown.prospect
    lines = [
        f"plan {digest}",
        f"  of {plan.deprovision}, attempt {shown.attempt}, {shown.state}",
        f"  host {seen.host} at {seen.site}, rack {seen.rack}, {seen.disposition}",
        f"  class of data {plan.data_class}, floor {plan.floor.value}",
    ]
    lines += [
        f"  drive {medium.commitment[:SHORT]}…: {medium.capacity_bytes} bytes, {medium.firmware}, by "
        + " else ".join(technique.value for technique in medium.techniques)
        for medium in plan.media
    ]
    lines += [f"  => {consequence}" for consequence in seen.consequences]
    lines.append(f"  the source's list of tenancies is complete: {seen.list_is_complete}")
    lines += [f"  tenancy {each.tenancy}: {each.answer}, as {each.counts_as}" for each in seen.tenancies]
    lines += [f"  in the way: {each}" for each in seen.in_the_way]
    lines += [
        f"  {each.kind} by {each.keyid} until {time_text(each.expires_at)}: {each.reason}"
        for each in shown.people
    ]
    lines += [f"  still missing: {each}" for each in shown.missing]
    kinds = ", ".join(shown.confirmed_by) or "none on record: nobody can confirm this host"
    lines.append(f"  confirmed by the asset tag and the last four characters of: {kinds}")
    return "\n".join(lines)


def _taken_text(kind: Kind, taken: ApprovalTaken) -> str:
    said = {"request": "requested", "approve": "approved"}[kind]
    if not taken.missing:
        return f"{said}; enough people stand behind this plan"
    return f"{said}; still missing: {'; '.join(taken.missing)}"
