"""Operators at work in a `World`: what they are shown they sign with their own keys, as the commands do.

    people.decide(world, key, DecisionKind.WIPE, host="host-1")
    people.request(world, key); people.approve(world, other)

Loaded by the fixture `people`.
"""

from __future__ import annotations

from typing import Any

from certificate.identifiers import DeprovisionId
from certificate.keys import PrivateKey
from certificate.statements.people import DecisionKind
from controller import case as cases
from controller import manual
from controller.api.approvals import shown as plan_shown
from controller.api.decisions import shown_document
from controller.cli import approving as approving_command
from controller.cli import deciding as deciding_command
from controller.people import approving, deciding
from controller.store import commands, decisions

#: The asset tag of the world's host and the end of its DMI UUID.
WORDS = "host-1 a1a1"
REASON = "as discussed on the phone"


def sign_decision(
    world: Any, key: PrivateKey, kind: DecisionKind, *, reason: str = REASON, **about: str
) -> bytes:
    """What a command would hand in after it was shown the matter."""
    shown = shown_document(deciding.show(world.program, kind, about))
    return deciding_command.signed(shown, shown.matter(), reason=reason, signer=key)


def decide(
    world: Any, key: PrivateKey, kind: DecisionKind, *, reason: str = REASON, **about: str
) -> deciding.Taken:
    """Shown, signed and handed in."""
    envelope = sign_decision(world, key, kind, reason=reason, **about)
    return deciding.take(world.program, kind, about, envelope)


def both(world: Any, kind: DecisionKind, *, reason: str = REASON, **about: str) -> deciding.Taken:
    """Both of the trust root's operators."""
    decide(world, world.operators[0], kind, reason=reason, **about)
    return decide(world, world.operators[1], kind, reason=reason, **about)


def leave(world: Any, key: PrivateKey, exit: str, **about: str) -> deciding.Taken:
    """Commands a way out of the world's newest deprovision, unless `about` names another matter."""
    named = about if set(about) - {"document_digest"} else {"deprovisions": world.key, **about}
    return decide(world, key, DecisionKind.EXIT, exit=exit, **named)


def sign_plan(
    world: Any, key: PrivateKey, kind: Any, *, deprovision: DeprovisionId | None = None, words: str = WORDS
) -> bytes:
    """A request of, or yes to, the present plan, as the command makes it."""
    named = deprovision or world.key
    with world.program.store.snapshot() as tx:
        host = cases.load(tx, named).host
    manual.ask(world.program, host)
    with world.program.store.snapshot() as tx:
        case = cases.load(tx, named)
        shown = plan_shown(tx, world.program, case)
    plan = approving_command.checked_plan(shown, case.plan.digest if case.plan else "")
    return approving_command.signed(kind, shown, plan, words=words, reason=REASON, signer=key)


def request(world: Any, key: PrivateKey, **options: Any) -> approving.Taken:
    return approving.take(world.program, sign_plan(world, key, "request", **options))


def approve(world: Any, key: PrivateKey, **options: Any) -> approving.Taken:
    return approving.take(world.program, sign_plan(world, key, "approve", **options))


def commands_of(world: Any) -> list[str]:
    with world.program.store.snapshot() as tx:
        return [each.exit.value for each in commands.of_deprovision(tx, world.key)]


def used(world: Any, kind: DecisionKind) -> int:
    """How many decisions of this kind were carried out."""
    with world.program.store.snapshot() as tx:
        return len(decisions.used(tx, kind))
