"""Agreement: outcome, order, evidence and summary tell one story. Their signatures were verified before.

Rules:
1. Outcome and evidence name this order by id and digest; outcome and order are of one deprovision, attempt,
   host, tenancy and class of data; the outcome's subjects are the evidence file and the medium; the order and
   the evidence both know the medium.
2. What the outcome tells of medium, boot, layers, commands, tool, keys, markers and read-back is what the
   evidence tells, word for word, or what `outcome_words` computes from it.
3. The summary is of this order's deprovision and host, names the order and this outcome (or, for an attempt
   that was followed by another, a later one), covers every medium of the order, says of the medium what its
   claim says or that it left, and claims of the host what `departures.require_claim_of_host` allows: never
   more than of its worst medium, and nothing where one left unerased. Of a medium that was tried in vain and
   destroyed afterwards it names the destruction.
4. The summary names each medium once, no outcome for two of them, and one for every medium of which it says
   how it was erased, tried or destroyed. It speaks of the outcome's tenancy and class of data; of the same
   site, asset and tenant as the outcome that it names, and of no other receipt.
5. Where the order is the summary's last, a medium that no order names has left, and of each place besides
   drives the summary says what the evidence says or that it was not covered. What an earlier order's evidence
   says of these, a later one may have made obsolete.

6. Of an attempt whose evidence never came the outcome's one subject is the medium, the medium is told as the
   order names it and no other way, and no place was covered.

Pure; each function is silent or raises. What may be claimed at all is `assurance`'s.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from certificate import assurance, departures, outcome_words
from certificate.delivery import Obeyable
from certificate.errors import Code, Untrusted
from certificate.statements import Evidence, Order, Outcome, Statement, Summary
from certificate.statements.evidence import MediumEvidence
from certificate.statements.outcome import Claim, Custody, Sanitization, Verification
from certificate.statements.statement import NOT_OBSERVED
from certificate.statements.summary import MediumSummary
from certificate.statements.vocabulary import Method, ResidueState, Result, Role, WhatBecame


def require_one_story(outcome: Statement[Outcome], obeyable: Obeyable, evidence: Evidence) -> MediumEvidence:
    """The evidence's entry of the outcome's medium. Raises Untrusted(SUBJECT_MISMATCH, EVIDENCE_MISMATCH)."""
    said, order = outcome.predicate, obeyable.order
    commitment = said.medium.commitment
    if len(outcome.subject) != 2 or outcome.subject[1].digest.sha256 != commitment:
        raise Untrusted(Code.SUBJECT_MISMATCH, "the outcome's second subject is another medium")
    if evidence.order_digest != obeyable.order_digest:
        raise Untrusted(Code.SUBJECT_MISMATCH, "outcome, order and evidence name another order digest")
    _require_of_order(said, obeyable)
    entry = next((each for each in evidence.media if each.medium.commitment == commitment), None)
    if entry is None:
        raise Untrusted(Code.EVIDENCE_MISMATCH, "the evidence does not speak of this medium")
    _require_words(entry, said, order, evidence)
    return entry


def require_unseen_story(outcome: Statement[Outcome], obeyable: Obeyable) -> None:
    """Rules 1 and 6, where no evidence came. Raises Untrusted(SUBJECT_MISMATCH, EVIDENCE_MISMATCH)."""
    said, order = outcome.predicate, obeyable.order
    commitment = said.medium.commitment
    if [each.digest.sha256 for each in outcome.subject] != [commitment]:
        raise Untrusted(Code.SUBJECT_MISMATCH, "the outcome's one subject is another medium")
    _require_of_order(said, obeyable)
    planned = next(each for each in order.plan.media if each.commitment == commitment)
    words = (
        ("medium", said.medium, outcome_words.never_opened(planned)),
        ("kind of medium", said.media_kind, planned.kind),
        ("boot trust", said.boot_trust, order.boot_trust),
        ("attestation", said.attestation, NOT_OBSERVED),
        ("destination", said.destination, NOT_OBSERVED),
    )
    if differing := _differing(words):
        raise Untrusted(Code.EVIDENCE_MISMATCH, f"the outcome tells a {differing} that nobody saw")


def _require_of_order(said: Outcome, obeyable: Obeyable) -> None:
    """Rule 1, without the evidence."""
    order = obeyable.order
    links = (
        ("order", said.order, order.order),
        ("order digest", said.order_digest, obeyable.order_digest),
        ("deprovision", said.deprovision, order.deprovision),
        ("attempt", said.attempt, order.attempt),
        ("host", said.host_commitment, order.host.commitment),
        ("tenancy", said.custody.tenancy_ref, order.plan.tenancy_ref),
        ("class of data", said.custody.data_class, order.plan.data_class),
    )
    if differing := _differing(links):
        raise Untrusted(Code.SUBJECT_MISMATCH, f"outcome, order and evidence name another {differing}")
    if said.medium.commitment not in {medium.commitment for medium in order.plan.media}:
        raise Untrusted(Code.SUBJECT_MISMATCH, "the order does not name this medium")


def _require_words(entry: MediumEvidence, said: Outcome, order: Order, evidence: Evidence) -> None:
    """Rule 2."""
    done, seen = said.sanitization, said.verification
    if not isinstance(done, Sanitization) or not isinstance(seen, Verification):
        raise Untrusted(Code.EVIDENCE_MISMATCH, "the outcome tells of no attempt, or of none that was seen")
    planned = next(each for each in order.plan.media if each.commitment == said.medium.commitment)
    words = (
        ("medium", said.medium, entry.medium),
        ("boot trust", said.boot_trust, order.boot_trust),
        ("observer", said.observer, evidence.observer),
        ("agent", said.agent_keyid, evidence.agent_keyid),
        ("attestation", said.attestation, NOT_OBSERVED),
        ("list of layers", done.layers, entry.layers),
        ("list of commands", done.commands, entry.commands),
        ("start", done.started_at, entry.commands[0].started_at if entry.commands else NOT_OBSERVED),
        ("finish", done.finished_at, entry.commands[-1].finished_at if entry.commands else NOT_OBSERVED),
        ("standard", done.standard, outcome_words.clause(entry)),
        (
            "list of techniques given up",
            done.fallback_from,
            outcome_words.fallback_from(entry, planned.techniques),
        ),
        ("kind of medium", said.media_kind, planned.kind),
        ("destination", said.destination, outcome_words.destination(said.claim)),
        (
            "list of keys",
            said.cryptographic_erase,
            outcome_words.cryptographic_erases(entry, escrow=order.escrow),
        ),
        ("verifier", (seen.verified_by, seen.role), (evidence.agent_keyid, Role.AGENT)),
        ("list of unaddressed areas", done.unaddressed_areas, entry.unaddressed_areas),
        ("list of errors", done.errors, entry.errors),
        ("tool", done.tool, evidence.tool),
        ("status log", seen.status_log_digest, _status_log_digest(entry)),
        ("number of markers", seen.markers_committed, entry.markers.committed_count),
        ("number of markers as expected", seen.markers_as_expected, outcome_words.markers_as_expected(entry)),
        ("read-back", seen.read_back, entry.read_back),
    )
    if differing := _differing(words):
        raise Untrusted(Code.EVIDENCE_MISMATCH, f"the outcome tells another {differing} than the evidence")


def _differing(pairs: Iterable[tuple[str, object, object]]) -> str | None:
    return next((name for name, left, right in pairs if left != right), None)


def _status_log_digest(entry: MediumEvidence) -> str:
    log = entry.commands[-1].status_log_after if entry.commands else NOT_OBSERVED
    return (
        NOT_OBSERVED
        if log in (NOT_OBSERVED, "not_applicable")
        else hashlib.sha256(bytes.fromhex(log)).hexdigest()
    )


def require_of_order(said: Summary, obeyable: Obeyable, evidence: Evidence | None) -> None:
    """Rules 3, 5 and 6, against the order. Raises Untrusted(SUBJECT_MISMATCH, INCOMPLETE_SET,
    EVIDENCE_MISMATCH).
    """
    order = obeyable.order
    if (said.deprovision, said.host_commitment) != (order.deprovision, order.host.commitment):
        raise Untrusted(Code.SUBJECT_MISMATCH, "the summary is of another deprovision or host")
    if obeyable.order_digest not in said.order_digests:
        raise Untrusted(Code.SUBJECT_MISMATCH, "the summary does not name this order")
    planned = {each.commitment for each in order.plan.media}
    missing = planned - {each.commitment for each in said.media}
    if missing:
        raise Untrusted(Code.INCOMPLETE_SET, f"the summary lacks {len(missing)} of the order's media")
    if obeyable.order_digest != said.order_digests[-1]:
        return
    for each in said.media:
        if each.commitment not in planned and each.became not in departures.HAVE_LEFT:
            raise Untrusted(
                Code.SUBJECT_MISMATCH, f"a medium that the order does not name is said to be {each.became}"
            )
    _require_residue(said, evidence)


def _require_residue(said: Summary, evidence: Evidence | None) -> None:
    """Rule 5. A place of which the evidence says nothing, or two things, was not covered."""
    told = () if evidence is None else evidence.residue
    for place in said.residue:
        seen = [each.state for each in told if each.name is place.name]
        if place.state is not ResidueState.NOT_COVERED and seen != [place.state]:
            raise Untrusted(
                Code.EVIDENCE_MISMATCH, f"the summary says more of {place.name} than the evidence"
            )


def require_in_summary(outcome: Outcome, outcome_digest: str, said: Summary) -> None:
    """Rules 3 and 4, against the outcome. Raises SUBJECT_MISMATCH, SUPERSEDED, EVIDENCE_MISMATCH."""
    is_erased = outcome.claim.result is Result.ERASED
    entry = require_listed(outcome, said)
    if entry.outcome_digest != outcome_digest:
        is_earlier = outcome.order_digest in said.order_digests[:-1]
        is_gone_since = not is_erased and entry.became is WhatBecame.DESTROYED
        if not (is_earlier or is_gone_since):
            raise Untrusted(Code.SUBJECT_MISMATCH, "the summary names another outcome for this medium")
        if is_erased:
            raise Untrusted(Code.SUPERSEDED, "the host was tried again after this outcome")
        return  # a failure stays one, whatever became of the medium later
    if is_erased and not _is_newest(outcome, said) and entry.became not in departures.HAVE_LEFT:
        # Every order names each medium in the host, so a later one tried this medium again.
        raise Untrusted(Code.SUPERSEDED, "the host was tried again after this outcome, with the medium")
    became = assurance.what_became(outcome.claim)
    left = WhatBecame.REMOVED if is_erased else WhatBecame.OPEN_EXCEPTION
    if entry.became not in (became, left) or (outcome.claim.method is Method.DESTROY) != (
        entry.became is WhatBecame.DESTROYED
    ):
        raise Untrusted(Code.EVIDENCE_MISMATCH, f"the summary says {entry.became.value} of this medium")
    if outcome.destruction == "not_applicable":
        _require_whereabouts(said.custody, outcome.custody)
    require_host_claim(said, {entry.commitment: outcome.claim})


def _is_newest(outcome: Outcome, said: Summary) -> bool:
    """Whether no later attempt followed; a destroyed medium's outcome is of no attempt."""
    return outcome.destruction != "not_applicable" or outcome.order_digest == said.order_digests[-1]


def require_listed(outcome: Outcome, said: Summary) -> MediumSummary:
    """Rule 4: the entry of the outcome's medium. Raises Untrusted(SUBJECT_MISMATCH)."""
    entries = [each for each in said.media if each.commitment == outcome.medium.commitment]
    if len(entries) != 1 or len({each.commitment for each in said.media}) != len(said.media):
        raise Untrusted(Code.SUBJECT_MISMATCH, "the summary does not name this medium once, and each other")
    named = [each.outcome_digest for each in said.media if each.outcome_digest != "not_applicable"]
    if len(set(named)) != len(named):
        raise Untrusted(Code.SUBJECT_MISMATCH, "the summary names one outcome for two media")
    for each in said.media:
        if each.outcome_digest == "not_applicable" and each.became is not WhatBecame.OPEN_EXCEPTION:
            raise Untrusted(
                Code.SUBJECT_MISMATCH,
                f"the summary says {each.became} of a medium, and names no outcome",
            )
    told, own = said.custody, outcome.custody
    pairs = (
        ("tenancy", told.tenancy_ref, own.tenancy_ref),
        ("subscription", told.subscription_ref, own.subscription_ref),
        ("class of data", told.data_class, own.data_class),
    )
    if differing := _differing(pairs):
        raise Untrusted(Code.SUBJECT_MISMATCH, f"the summary is of another {differing} than the outcome")
    return entries[0]


def _require_whereabouts(told: Custody, own: Custody) -> None:
    """Rule 4. Not of a destroyed medium, whose outcome may be years younger than its host's summary."""
    receipts = (own.allocation_ref, NOT_OBSERVED)
    pairs = (
        ("site", told.site_ref, own.site_ref),
        ("asset", told.asset_ref, own.asset_ref),
        ("tenant", told.tenant_ref, own.tenant_ref),
        ("receipt", told.allocation_ref in receipts or own.allocation_ref == NOT_OBSERVED, True),
    )
    if differing := _differing(pairs):
        raise Untrusted(Code.SUBJECT_MISMATCH, f"the summary is of another {differing} than the outcome")


def require_host_claim(said: Summary, claims: dict[str, Claim]) -> None:
    """Rule 3. `claims`: of the media whose outcome is here, by commitment. Raises
    Untrusted(EVIDENCE_MISMATCH).
    """
    media = [(each.became, claims.get(each.commitment)) for each in said.media]
    departures.require_claim_of_host(said.claim, media)
