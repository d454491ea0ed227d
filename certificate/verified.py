"""What verification proves: values that only `verify` makes; each check a sentence, never one tick."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from enum import StrEnum

from certificate import departures
from certificate.log.checkpoint import Checkpoint
from certificate.logged import LogView
from certificate.policy import Checked, Policy
from certificate.statements import Evidence, Order, Outcome, Purpose, Summary
from certificate.statements.outcome import Claim
from certificate.statements.vocabulary import WhatBecame
from certificate.trust import TrustRoot

NO_WITNESS = "no witness: the operator could show others another log"


class Level(StrEnum):
    """How far the proof reaches, each level including those before it; never one tick for all."""

    SIGNED = "L1 signed"
    LOGGED = "L2 logged"


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was verified, as a sentence."""

    name: str
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Examined:
    """What a bundle proves under a trust root, a failure's as well: no verdict, because nobody's policy was
    asked yet. Only `verify.examine` makes one.
    """

    claim: Claim
    purpose: Purpose
    outcome: Outcome
    outcome_digest: str
    outcome_seq: int
    #: None of these two for a destroyed medium, no evidence for an attempt of which none came.
    order: Order | None
    evidence: Evidence | None
    #: None for a failure, which may be told before its host is done, and for a medium that was destroyed and
    #: whose host has none.
    summary: Summary | None
    #: Fingerprints of the operators who attest a destruction; none otherwise.
    attested_by: tuple[str, ...]
    checkpoint: Checkpoint
    levels: tuple[Level, ...]
    #: What the levels reached do not give.
    cautions: tuple[str, ...]
    checks: tuple[Check, ...]
    #: What a policy is asked about.
    checked: Checked
    #: What is held of the log, to be compared with what other bundles show of it.
    view: LogView


@dataclass(frozen=True, kw_only=True)
class Verified(Examined):
    """What a bundle proves under a trust root, and a policy accepts. Only `accepted` makes one."""

    policy_digest: str


def accepted(examined: Examined, policy: Policy) -> Verified:
    """The verdict. Raises as `Policy.check`, which no failure passes whatever the policy says."""
    policy.check(examined.checked)
    told = {each.name: getattr(examined, each.name) for each in fields(Examined)}
    return Verified(**told, policy_digest=policy.digest())


def cautions_of(root: TrustRoot, summary: Summary | None) -> Iterable[str]:
    """What the levels reached do not give, and what a reader of one certificate must not overlook."""
    if root.witnesses == "none":
        yield NO_WITNESS
    if summary is None:
        return
    if count := departures.count_of(summary, WhatBecame.OPEN_EXCEPTION):
        yield f"{count} of the host's media left it with data that nobody erased, and stand open"
    in_doubt = (WhatBecame.NOT_ERASED, WhatBecame.INCONCLUSIVE)
    if count := sum(departures.count_of(summary, became) for became in in_doubt):
        yield f"{count} of the host's media were not erased, or nobody can say that they were"
    if count := departures.count_of(summary, WhatBecame.DESTROYED):
        yield f"{count} of the host's media left it and were destroyed, as people say"
