"""Agreement: outcome, order, evidence and summary tell one story. Their signatures were verified before.

Rules:
1. Outcome and evidence name this order by id and digest; outcome and order are of one deprovision, attempt,
   host, tenancy and class of data; the outcome's subjects are the evidence file and the medium; the order and
   the evidence both know the medium.
2. What the outcome tells of medium, boot, layers, commands, tool, keys, markers and read-back is what the
   evidence tells, word for word, or what `outcome_words` computes from it.
3. The summary is of this order's deprovision and host, names the order and this outcome (or, for an attempt
   that was followed by another, a later one), covers every medium of the order, says of the medium what its
   claim says or that it left, and claims no more of the host than of its worst medium: one that left unerased
   allows no claim at all.

Pure; each function is silent or raises. What may be claimed at all is `assurance`'s.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from certificate import assurance, outcome_words
from certificate.delivery import Obeyable
from certificate.errors import Code, Untrusted
from certificate.statements import Evidence, Order, Outcome, Statement, Summary
from certificate.statements.evidence import MediumEvidence
from certificate.statements.statement import NOT_OBSERVED
from certificate.statements.vocabulary import Escrow, Method, Result, Role, WhatBecame

#: What of a host allows no claim but `inconclusive`: an open exception may still hold data somewhere.
_LOST = (WhatBecame.NOT_ERASED, WhatBecame.INCONCLUSIVE, WhatBecame.OPEN_EXCEPTION)


def require_one_story(outcome: Statement[Outcome], obeyable: Obeyable, evidence: Evidence) -> MediumEvidence:
    """The evidence's entry of the outcome's medium. Raises Untrusted(SUBJECT_MISMATCH, EVIDENCE_MISMATCH)."""
    said, order = outcome.predicate, obeyable.order
    commitment = said.medium.commitment
    if len(outcome.subject) != 2 or outcome.subject[1].digest.sha256 != commitment:
        raise Untrusted(Code.SUBJECT_MISMATCH, "the outcome's second subject is another medium")
    links = (
        ("order", said.order, order.order),
        ("order digest", said.order_digest, obeyable.order_digest),
        ("order digest", evidence.order_digest, obeyable.order_digest),
        ("deprovision", said.deprovision, order.deprovision),
        ("attempt", said.attempt, order.attempt),
        ("host", said.host_commitment, order.host.commitment),
        ("tenancy", said.custody.tenancy_ref, order.plan.tenancy_ref),
        ("class of data", said.custody.data_class, order.plan.data_class),
    )
    if differing := _differing(links):
        raise Untrusted(Code.SUBJECT_MISMATCH, f"outcome, order and evidence name another {differing}")
    if commitment not in {medium.commitment for medium in order.plan.media}:
        raise Untrusted(Code.SUBJECT_MISMATCH, "the order does not name this medium")
    entry = next((each for each in evidence.media if each.medium.commitment == commitment), None)
    if entry is None:
        raise Untrusted(Code.EVIDENCE_MISMATCH, "the evidence does not speak of this medium")
    _require_words(entry, said, order, evidence)
    return entry


def _require_words(entry: MediumEvidence, said: Outcome, order: Order, evidence: Evidence) -> None:
    """Rule 2."""
    done, seen = said.sanitization, said.verification
    if done == "not_applicable" or seen == "not_applicable":
        raise Untrusted(Code.EVIDENCE_MISMATCH, "the outcome tells of no attempt")
    planned = next(each for each in order.plan.media if each.commitment == said.medium.commitment)
    escrow = order.escrow if order.escrow == NOT_OBSERVED else Escrow(order.escrow)
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
            outcome_words.cryptographic_erases(entry, escrow=escrow),
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


def require_of_order(said: Summary, obeyable: Obeyable) -> None:
    """Rule 3, against the order. Raises Untrusted(SUBJECT_MISMATCH, INCOMPLETE_SET)."""
    order = obeyable.order
    if (said.deprovision, said.host_commitment) != (order.deprovision, order.host.commitment):
        raise Untrusted(Code.SUBJECT_MISMATCH, "the summary is of another deprovision or host")
    if obeyable.order_digest not in said.order_digests:
        raise Untrusted(Code.SUBJECT_MISMATCH, "the summary does not name this order")
    missing = {each.commitment for each in order.plan.media} - {each.commitment for each in said.media}
    if missing:
        raise Untrusted(Code.INCOMPLETE_SET, f"the summary lacks {len(missing)} of the order's media")


def require_in_summary(outcome: Outcome, outcome_digest: str, said: Summary) -> None:
    """Rule 3, against the outcome. Raises Untrusted(SUBJECT_MISMATCH, SUPERSEDED, EVIDENCE_MISMATCH)."""
    is_erased = outcome.claim.result is Result.ERASED
    entries = [each for each in said.media if each.commitment == outcome.medium.commitment]
    if len(entries) != 1:
        raise Untrusted(Code.SUBJECT_MISMATCH, "the summary does not name this medium once")
    if entries[0].outcome_digest != outcome_digest:
        if outcome.order_digest not in said.order_digests[:-1]:
            raise Untrusted(Code.SUBJECT_MISMATCH, "the summary names another outcome for this medium")
        if is_erased:
            raise Untrusted(Code.SUPERSEDED, "the host was tried again after this outcome")
        return  # a failure stays one, whatever became of the medium later
    became = assurance.what_became(outcome.claim)
    left = WhatBecame.REMOVED if is_erased else WhatBecame.OPEN_EXCEPTION
    if entries[0].became not in (became, left) or (outcome.claim.method is Method.DESTROY) != (
        entries[0].became is WhatBecame.DESTROYED
    ):
        raise Untrusted(Code.EVIDENCE_MISMATCH, f"the summary says {entries[0].became.value} of this medium")
    is_spoilt = any(each.became in _LOST for each in said.media)
    worst = 0 if is_spoilt else assurance.strength(outcome.claim)
    if assurance.strength(said.claim) > worst:
        raise Untrusted(
            Code.EVIDENCE_MISMATCH, "the summary claims more of the host than of its worst medium"
        )
