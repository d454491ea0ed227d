"""The home's own copies of what was certified: certificates in one folder, records of failures in the other.

Rules: a copy is written once its outcome is logged, and again as its bundle gains the host's summary; it is
whole or not at all. What says `erased` lies among the certificates only if its bundle verifies, under the
provider's own policy or, of a medium that was destroyed, with the grade of people's word. A process that died
between logging and writing left no copy, so whoever starts or takes over writes what is missing from the
store. It writes nothing that is there, and changes nothing: what lies in a folder of ours under that name may
be the older half of a story, or somebody's own file.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import structlog

from certificate import verify as verification
from certificate.bundle import Bundle
from certificate.errors import Refused
from certificate.policy import Policy
from certificate.statements import Summary
from certificate.statements import statement as statements
from certificate.statements.vocabulary import Grade, Result
from controller.bundles import Assembled, assemble
from controller.home import write_durably
from controller.program import Program
from controller.store import outcomes
from controller.store.outcomes import IssuedOutcome, StoredOutcome

logger = structlog.get_logger(__name__)


def write(program: Program, issued: Iterable[StoredOutcome]) -> None:
    """As their bundles are now, each file whole. That what says `erased` verifies is the caller's to know."""
    for outcome in issued:
        assembled = _assembled(program, outcome)
        folder = _folder(program, outcome.result)
        for name, content in assembled.files(outcome.id).items():
            write_durably(folder / name, content)


def write_missing(program: Program) -> tuple[str, ...]:
    """Every file of a logged outcome that this home should have and has not: their names. None while the
    store is older than its anchor. One that cannot be written is logged, and holds up no other.
    """
    with program.store.snapshot() as tx:
        if program.keeper.compare(tx).is_frozen:
            return ()
        logged = outcomes.all_issued(tx)
    there = {result: {path.name for path in _folder(program, result).iterdir()} for result in Result}
    written: list[str] = []
    for each in logged:
        if _names(each) <= there[each.result]:
            continue
        try:
            written += _write_absent(program, each)
        except (Refused, OSError) as failure:
            logger.warning("no copy of an outcome", outcome=each.id, failure=str(failure))
    return tuple(written)


def require_certificate(program: Program, outcome: StoredOutcome, bundle: Bundle) -> None:
    """Silent if this bundle, whose outcome says `erased`, is a certificate. Raises as `verify`."""
    policy = program.documents.policy
    if outcome.attempt is None:
        policy = _of_peoples_word(policy)
    verification.verify(bundle, program.documents.trust, policy)


def is_certificate(program: Program, outcome: StoredOutcome) -> bool:
    """Whether it says `erased`, its host's summary names it, and its bundle verifies."""
    if outcome.result is not Result.ERASED or not _is_named(program, outcome):
        return False
    try:
        require_certificate(program, outcome, _assembled(program, outcome).bundle)
    except Refused:
        return False
    return True


def _write_absent(program: Program, issued: IssuedOutcome) -> list[str]:
    with program.store.snapshot() as tx:
        outcome = outcomes.load(tx, issued.id)
    if outcome.result is Result.ERASED and not is_certificate(program, outcome):
        return []
    folder, written = _folder(program, outcome.result), []
    for name, content in _assembled(program, outcome).files(outcome.id).items():
        if not (folder / name).exists():
            write_durably(folder / name, content)
            written.append(name)
    if written:
        logger.info("copies written again", outcome=outcome.id, files=written)
    return written


def _names(issued: IssuedOutcome) -> set[str]:
    """The files that it may have; of an attempt without evidence there is one less."""
    names = {f"{issued.id}.bundle.json", f"{issued.id}.dsse.json"}
    return names | {f"{issued.id}.evidence.dsse.json"} if issued.is_of_attempt else names


def _is_named(program: Program, outcome: StoredOutcome) -> bool:
    """A destroyed medium stands for itself; any other needs its host's summary."""
    if outcome.attempt is None:
        return True
    if outcome.deprovision is None:
        return False
    with program.store.snapshot() as tx:
        summary = outcomes.summary_of(tx, outcome.deprovision)
    if summary is None or not summary.is_issued:
        return False
    media = statements.read(summary.payload, Summary).predicate.media
    return outcome.payload_digest in {each.outcome_digest for each in media}


def _assembled(program: Program, outcome: StoredOutcome) -> Assembled:
    with program.store.snapshot() as tx:
        return assemble(tx, outcomes.load(tx, outcome.id), program.documents.signed_files)


def _folder(program: Program, result: Result) -> Path:
    is_certificate = result is Result.ERASED
    folder = program.certificates_folder if is_certificate else program.failures_folder
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _of_peoples_word(policy: Policy) -> Policy:
    fields = policy.model_dump(by_alias=True) | {"minimum_grade": Grade.OPERATOR_ATTESTED}
    return Policy.model_validate(fields)
