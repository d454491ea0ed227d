"""The story of one deprovision, and its certificate as files: read from rows, one snapshot each.

Rules: nothing private and no plain serial stands in a story; why an order was made is told by `whys`; a
certificate holds the outcomes that say `erased` and that the host's summary names, and the one of a drive
that was destroyed later; failures, superseded outcomes and annexes only when asked for. It is asked for by
deprovision, or by medium: a drive may be destroyed under no deprovision.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection

from certificate.errors import RefusalCode, Refused
from certificate.identifiers import DeprovisionId
from certificate.statements import Outcome, Summary
from certificate.statements import statement as statements
from certificate.statements.vocabulary import Result, WhatBecame
from controller.api.documents import (
    CertificateFile,
    CertificateFiles,
    EventLine,
    MediumLine,
    RefusalLine,
    Story,
)
from controller.api.lines import deprovision_line, observation_line
from controller.api.whys import why
from controller.bundles import Assembled, SignedFiles, assemble
from controller.errors import Code
from controller.facts import Question
from controller.store import (
    deprovisions,
    hosts,
    ledger,
    log_rows,
    observations,
    orders,
    outcomes,
    plans,
    tenancies,
)
from controller.store.deprovisions import Deprovision
from controller.store.observations import StoredObservation
from controller.store.outcomes import StoredOutcome


def story(tx: Connection, key: DeprovisionId, *, source: str, policy: Mapping[str, Any]) -> Story:
    """`source`: the name of the source, whose clock is asked about; `policy`: as it is configured now. Raises
    Refused(NOT_IN_STORE).
    """
    row = deprovisions.load(tx, key)
    plan = plans.current(tx, key, attempt=row.attempt)
    told = orders.of_deprovision(tx, key)
    return Story(
        line=deprovision_line(tx, row, hosts.load(tx, row.host).asset_tag),
        needs=_needs(row),
        policy_version=row.policy_version,
        policy_digest=row.policy_digest,
        plan_digest=None if plan is None else plan.digest,
        media=tuple(_medium(tx, each) for each in outcomes.of_deprovision(tx, key)),
        events=tuple(
            EventLine(seq=event.seq, at=event.at, kind=event.kind, body=event.body)
            for event in ledger.events(tx, deprovision=key)
        ),
        observations=tuple(observation_line(each) for each in _observed(tx, row, source)),
        why=why(tx, told[-1], source=source, policy=policy) if told else None,
    )


def certificate(
    tx: Connection, key: DeprovisionId, files: SignedFiles, *, with_annex: bool, with_failures: bool = False
) -> CertificateFiles:
    """Every certificate as files, and with `with_failures` every other signed outcome. Raises Refused:
    NOT_IN_STORE, CERTIFICATE_NOT_READY.
    """
    deprovisions.load(tx, key)
    asked = _asked(tx, outcomes.of_deprovision(tx, key), with_failures=with_failures)
    if not asked:
        raise Refused(Code.CERTIFICATE_NOT_READY, f"no outcome of {key} says that a medium was erased")
    return CertificateFiles(deprovision=key, files=_written(tx, asked, files, with_annex=with_annex))


def certificate_of_medium(
    tx: Connection, named: str, files: SignedFiles, *, with_annex: bool, with_failures: bool = False
) -> CertificateFiles:
    """As `certificate`, over one medium, in any deprovision or none. `named`: its commitment, or as many of
    the first digits as name no other. Raises Refused(CERTIFICATE_NOT_READY).
    """
    media = outcomes.media_named(tx, named)
    if len(media) != 1:
        raise Refused(
            Code.CERTIFICATE_NOT_READY, f"{len(media)} media with an outcome are called {named[:16]}..."
        )
    asked = _asked(tx, outcomes.of_drive(tx, media[0]), with_failures=with_failures)
    if not asked:
        raise Refused(
            Code.CERTIFICATE_NOT_READY, f"no outcome of medium {media[0][:16]}... says that it was erased"
        )
    return CertificateFiles(deprovision=None, files=_written(tx, asked, files, with_annex=with_annex))


def _asked(
    tx: Connection, found: Iterable[StoredOutcome], *, with_failures: bool
) -> tuple[StoredOutcome, ...]:
    return tuple(each for each in found if _is_certificate(tx, each) or (with_failures and each.is_issued))


def _written(
    tx: Connection, asked: Iterable[StoredOutcome], files: SignedFiles, *, with_annex: bool
) -> tuple[CertificateFile, ...]:
    return tuple(
        file
        for outcome in asked
        for file in _files(outcome.id, assemble(tx, outcome, files), with_annex=with_annex)
    )


def _is_certificate(tx: Connection, stored: StoredOutcome) -> bool:
    """It says `erased`, and the host's summary says so too, naming it; or its medium was destroyed, which may
    be under no deprovision.
    """
    if stored.result is not Result.ERASED:
        return False
    if stored.attempt is None:
        return stored.is_issued
    if stored.deprovision is None:
        return False
    summary = outcomes.summary_of(tx, stored.deprovision)
    media = () if summary is None else statements.read(summary.payload, Summary).predicate.media
    return stored.payload_digest in {
        each.outcome_digest for each in media if each.became in (WhatBecame.ERASED, WhatBecame.REMOVED)
    }


def _files(name: str, assembled: Assembled, *, with_annex: bool) -> list[CertificateFile]:
    contents = assembled.files(name)
    if with_annex and assembled.evidence is not None:
        contents[f"{name}.annex.json"] = assembled.evidence.annex
    return [CertificateFile(name=name, content=content.decode()) for name, content in contents.items()]


def _needs(row: Deprovision) -> RefusalLine | None:
    if row.operator_code is None:
        return None
    known: dict[str, RefusalCode] = {**Code.__members__}
    remedy = known[row.operator_code].remedy if row.operator_code in known else ""
    return RefusalLine(code=row.operator_code, reason=row.operator_reason or "", remedy=remedy)


def _medium(tx: Connection, stored: StoredOutcome) -> MediumLine:
    claim = statements.read(stored.payload, Outcome).predicate.claim
    newest = log_rows.latest_checkpoint(tx)
    return MediumLine(
        medium=stored.medium,
        outcome=stored.id,
        result=claim.result.value,
        method=claim.method.value,
        technique=str(claim.technique),
        grade=claim.grade.value,
        is_logged=stored.log_seq is not None and newest is not None and newest.size > stored.log_seq,
    )


def _observed(tx: Connection, row: Deprovision, source: str) -> list[StoredObservation]:
    """The newest of every question about this deprovision, its host and orders, each tenancy of the host, and
    the source.
    """
    about = {str(row.id), str(row.host), source}
    about |= {str(tenancy.id) for tenancy in tenancies.of_host(tx, row.host)}
    about |= {str(order.id) for order in orders.of_deprovision(tx, row.id)}
    found = (observations.latest(tx, question, each) for question in Question for each in sorted(about))
    return sorted((latest.asked for latest in found if latest is not None), key=lambda one: one.sequence)
