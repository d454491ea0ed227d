"""Answers: what `expunge verify` says of each file, alone and beside the others; screen, JSON and exit code.

Rules: 0 valid, 1 invalid or not erased, 2 unreadable, 3 inconclusive. A failure is told whole and is never 0,
whatever the policy; a certificate that a policy refuses for its weakness is told whole as well. Of a file
that is refused for any other reason nothing is told but the refusal. What several files say together can
only take a verdict away (`holdings`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from certificate import annex, holdings
from certificate.bundle import Bundle
from certificate.errors import Code, Malformed, RefusalCode, Refused, Untrusted
from certificate.holdings import Held
from certificate.logged import LogView, signed_view
from certificate.policy import Policy
from certificate.render import story, text
from certificate.trust import TrustRoot
from certificate.verified import Examined, accepted
from certificate.verify import examine

EXIT_VALID, EXIT_INVALID, EXIT_USAGE, EXIT_INCONCLUSIVE = 0, 1, 2, 3
#: From the best to the worst, for several files.
SEVERITY: Final = (EXIT_VALID, EXIT_INCONCLUSIVE, EXIT_USAGE, EXIT_INVALID)
VERDICTS: Final = {
    EXIT_VALID: "valid",
    EXIT_INVALID: "invalid",
    EXIT_USAGE: "unreadable",
    EXIT_INCONCLUSIVE: "inconclusive",
}
#: Refusals of genuine documents, whose story is worth telling.
TOLD: Final = (Code.NOT_ERASED, Code.INCONCLUSIVE, Code.POLICY_UNMET)
_NOTHING: Final = LogView(checkpoints=(), anchors=(), places=())


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What is said of one file: valid where `refusal` is None."""

    file: str
    examined: Examined | None
    view: LogView
    serial: str | None
    refusal: Refused | None
    cautions: tuple[str, ...]
    fingerprint: str
    policy_digest: str

    @property
    def exit_code(self) -> int:
        return EXIT_VALID if self.refusal is None else exit_code(self.refusal.code)

    @property
    def parts(self) -> tuple[story.Part, ...]:
        """The story; nothing for a refusal of documents that are not genuine, or not to be relied on."""
        if self.examined is None or (self.refusal is not None and self.refusal.code not in TOLD):
            return ()
        return story.parts(
            self.examined,
            serial=self.serial,
            root_fingerprint=self.fingerprint,
            policy_digest=self.policy_digest,
            cautions=self.cautions,
        )

    def screen(self) -> str:
        """For a terminal."""
        purpose = None if self.examined is None else self.examined.purpose
        if self.refusal is None and purpose is not None:
            return text.render(self.parts, file=self.file, purpose=purpose)
        refusal = self.refusal or Malformed(Code.MALFORMED, "no verdict")
        verdict = VERDICTS[exit_code(refusal.code)]
        return text.render_refusal(
            refusal, file=self.file, verdict=verdict, parts=self.parts, purpose=purpose
        )

    def as_dict(self) -> dict[str, Any]:
        """For `--json`: the same facts, and the parts of the screen under `story`."""
        shown: dict[str, Any] = {"file": self.file, "verdict": VERDICTS[self.exit_code]}
        if self.refusal is not None:
            shown |= self.refusal.as_dict()
        if self.examined is not None and self.parts:
            shown |= _facts(self.examined, self)
        return shown


def answers_to(
    files: Sequence[tuple[str, Callable[[], bytes]]],
    root: TrustRoot,
    policy: Policy,
    *,
    annexes: Sequence[bytes],
    fingerprint: str,
) -> tuple[Answer, ...]:
    """One answer a file, in order. `files`: names and how to read them (raising Refused); `annexes`: one a
    file, or none at all.
    """
    alone = []
    for place, (name, read) in enumerate(files):
        blank = Answer(
            file=name,
            examined=None,
            view=_NOTHING,
            serial=None,
            refusal=None,
            cautions=(),
            fingerprint=fingerprint,
            policy_digest=policy.digest(),
        )
        alone.append(_alone(blank, read, root, policy, annexes[place] if annexes else None))
    return _together(alone)


def exit_code(code: RefusalCode) -> int:
    """What a refusal with this code makes of the process."""
    if code is Code.INCONCLUSIVE:
        return EXIT_INCONCLUSIVE
    return EXIT_USAGE if code in (Code.FILE_UNREADABLE, Code.POLICY_INVALID) else EXIT_INVALID


def _alone(
    answer: Answer, read: Callable[[], bytes], root: TrustRoot, policy: Policy, annex_bytes: bytes | None
) -> Answer:
    try:
        bundle = _bundle(read())
    except Refused as refusal:
        return replace(answer, refusal=refusal)
    try:
        examined = examine(bundle, root)
    except Refused as refusal:
        return replace(answer, refusal=refusal, view=signed_view(bundle, root))
    answer = replace(answer, examined=examined, view=examined.view)
    try:
        if annex_bytes is not None:
            answer = replace(answer, serial=_serial(annex_bytes, examined))
        accepted(examined, policy)
    except Refused as refusal:
        return replace(answer, refusal=refusal)
    return answer


def _serial(annex_bytes: bytes, examined: Examined) -> str:
    if examined.evidence is None:
        raise Untrusted(Code.ANNEX_MISMATCH, "no evidence came along that names an annex")
    return annex.open_serial(annex_bytes, examined.evidence, examined.outcome.medium.commitment)


def _together(alone: Sequence[Answer]) -> tuple[Answer, ...]:
    held = [Held(view=answer.view, examined=answer.examined) for answer in alone]
    if contradiction := holdings.contradiction(held):
        return tuple(
            replace(answer, refusal=contradiction) if answer.refusal is None or answer.parts else answer
            for answer in alone
        )
    outdated = holdings.superseding(held)
    return tuple(
        replace(
            answer,
            # A failure stays what it is, whatever came later.
            refusal=answer.refusal or outdated.get(place),
            cautions=holdings.cautions(held, place),
        )
        for place, answer in enumerate(alone)
    )


def _bundle(data: bytes) -> Bundle:
    """A bundle; for one of its parts, the answer names what is missing instead of a wrong field."""
    try:
        return Bundle.read(data)
    except Malformed as malformed:
        if data.lstrip().startswith(b'{"payloadType"'):
            raise Untrusted(
                Code.INCOMPLETE_SET,
                "one signed document without its proof; give the *.bundle.json beside it",
            ) from malformed
        raise


def _facts(found: Examined, answer: Answer) -> dict[str, Any]:
    return {
        "purpose": found.purpose.value,
        "outcome": found.outcome.outcome,
        "outcome_digest": found.outcome_digest,
        "log_entry": found.outcome_seq,
        "medium": found.outcome.medium.model_dump(mode="json"),
        "serial": answer.serial,
        "claim": found.claim.model_dump(mode="json"),
        "host_claim": None if found.summary is None else found.summary.claim.model_dump(mode="json"),
        "levels": [level.value for level in found.levels],
        "cautions": [*found.cautions, *answer.cautions],
        "checks": {check.name: check.sentence for check in found.checks},
        "policy_digest": answer.policy_digest,
        "story": [
            {"title": part.title, "lines": [{"label": label, "text": text} for label, text in part.lines]}
            for part in answer.parts
        ],
    }
