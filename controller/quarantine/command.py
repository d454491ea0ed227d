"""Quarantine by three commands of the provider's.

The read-back command prints one line of JSON and nothing else, and ends with exit code 0:

    {"tenant_side": "cut" | "open", "our_side": "reachable" | "unreachable"}

Anything else (another word, a field more or less, a second line, a time-out, another exit code) is unknown on
both sides: a command that is half wrong is not half believed.
"""

from __future__ import annotations

from dataclasses import dataclass

from certificate import strict_json
from certificate.errors import Malformed
from controller.command_template import CommandTemplate
from controller.errors import Unanswered
from controller.quarantine import IsolationAnswer, Known, Target

#: A line of two words; more is not this answer.
MAX_ANSWER_BYTES = 1024
TENANT_SIDE = {"cut": Known.YES, "open": Known.NO}
OUR_SIDE = {"reachable": Known.YES, "unreachable": Known.NO}


@dataclass(frozen=True, kw_only=True)
class CommandQuarantine:
    """A `Quarantine` whose three acts are commands."""

    isolate_command: CommandTemplate
    read_back_command: CommandTemplate
    restore_command: CommandTemplate

    def isolate(self, target: Target) -> None:
        self.isolate_command.run(target.values)

    def read_back(self, target: Target) -> IsolationAnswer:
        try:
            raw = self.read_back_command.run(target.values)
        except Unanswered as silence:
            return _unknown(b"", silence.reason)
        try:
            return _answer(raw)
        except Malformed as error:
            return _unknown(raw, error.reason)

    def restore(self, target: Target) -> None:
        self.restore_command.run(target.values)


def _answer(raw: bytes) -> IsolationAnswer:
    """Raises Malformed for JSON that is none."""
    if raw.rstrip(b"\r\n").count(b"\n"):
        return _unknown(raw, "the read-back wrote more than one line")
    fields = strict_json.load_object(raw, max_bytes=MAX_ANSWER_BYTES, what="read-back")
    if set(fields) != {"tenant_side", "our_side"}:
        return _unknown(raw, f"the read-back has the fields {sorted(fields)[:4]}")
    tenant_side, our_side = fields["tenant_side"], fields["our_side"]
    if not isinstance(tenant_side, str) or not isinstance(our_side, str):
        return _unknown(raw, "the read-back's fields are not text")
    if tenant_side not in TENANT_SIDE or our_side not in OUR_SIDE:
        return _unknown(raw, f"the read-back says {tenant_side[:20]!r} and {our_side[:20]!r}")
    return IsolationAnswer(
        tenant_side_cut=TENANT_SIDE[tenant_side], our_side_reachable=OUR_SIDE[our_side], raw=raw, doubt=""
    )


def _unknown(raw: bytes, doubt: str) -> IsolationAnswer:
    return IsolationAnswer(
        tenant_side_cut=Known.UNKNOWN, our_side_reachable=Known.UNKNOWN, raw=raw, doubt=doubt
    )
