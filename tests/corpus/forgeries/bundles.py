"""Bundles: whole stories in which one thing is not so. Each is signed by whoever could have signed it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from certificate.bundle import MAX_BUNDLE_BYTES, MEDIA_TYPE
from certificate.log import checkpoint as log_checkpoint
from certificate.log.checkpoint import Checkpoint
from certificate.log.entry import LogKind
from tests.certificate.verification.conftest import Story
from tests.corpus.case import Case
from tests.corpus.forgeries.json_texts import spoilt
from tests.corpus.forgeries.stories import (
    allotted,
    by_person,
    case,
)
from tests.corpus.papers import (
    KEYS,
    documents,
    flipped,
    parts,
    root_file,
    story,
    written,
)


def cases() -> Iterator[Case]:
    yield from _honest()
    yield from _files()
    yield from _signatures()
    yield from _log()
    yield from _links()


def _honest() -> Iterator[Case]:
    bob, both = KEYS.bob, (KEYS.alice, KEYS.bob)
    rows: tuple[tuple[str, str, Any], ...] = (
        ("bundle", "A drive that was cryptographically erased, from order to summary.", story()),
        (
            "bundle_by_hand",
            "A wipe by hand that one person requested and another approved.",
            story().by_hand(bob),
        ),
        (
            "bundle_in_stock",
            "A host that was never let, as two operators declared.",
            story().by_hand(bob, declared_by=both),
        ),
        (
            "bundle_by_person",
            "A result that the table escalated and Carol, enrolled by both, accepted.",
            by_person(KEYS.carol),
        ),
        ("bundle_with_allocation", "The drive was handed out by a receipt.", allotted()),
    )
    for name, sentence, told in rows:
        data = written(parts(told))
        yield Case(file=f"valid/{name}.json.gz", kind="bundle", code=None, sentence=sentence, data=data)


# --- the file itself ----------------------------------------------------------------------------------------


def _files() -> Iterator[Case]:
    fields = parts(story())
    for name, code, sentence, data in spoilt({"number": 1} | {"format": MEDIA_TYPE}, "number"):
        yield case(f"json_{name}", code, sentence, data)
    yield case("no_bundle", "MALFORMED", "An outcome instead of its bundle.", fields["outcome"].encode())
    yield case("other_format", "MALFORMED", "Of another format.", fields | {"format": "application/json"})
    yield case("with_annex", "UNKNOWN_FIELD", "The annex inside the bundle.", fields | {"annex": "{}"})
    yield case(
        "no_evidence", "INCOMPLETE_SET", "An order without what came of it.", fields | {"evidence": None}
    )
    yield case(
        "outcome_an_object",
        "MALFORMED",
        "An envelope as an object: no longer the exact text.",
        fields | {"outcome": json.loads(fields["outcome"])},
    )
    yield case("no_trust_root", "MALFORMED", "No trust root.", fields | {"trust_roots": []})
    yield case(
        "two_proofs",
        "MALFORMED",
        "Two proofs for one document.",
        fields | {"proofs": fields["proofs"] + fields["proofs"][:1]},
    )
    yield case(
        "proof_of_annex",
        "MALFORMED",
        "A proof of something that is never logged.",
        fields | {"proofs": [*fields["proofs"], {"document": "annex", "proof": "x"}]},
    )
    yield case("many_approvals", "MALFORMED", "Seventeen approvals.", fields | {"approvals": ["{}"] * 17})
    yield case(
        "too_large",
        "LIMIT_EXCEEDED",
        "More than any bundle has.",
        written(fields),
        padded_to_bytes=MAX_BUNDLE_BYTES + 1,
    )
    yield case(
        "two_roots",
        "UNSUPPORTED",
        "A chain of two trust roots.",
        fields | {"trust_roots": fields["trust_roots"] * 2},
    )
    other = root_file(documents.build_trust(nonce="00" * 16)).decode()
    yield case(
        "other_trust_root",
        "KEY_UNTRUSTED",
        "Its own trust root, which is not the verifier's.",
        fields | {"trust_roots": [other]},
    )
    twice = json.loads(fields["outcome"])
    twice["signatures"] *= 2
    yield case(
        "two_signatures",
        "SIGNATURE_COUNT",
        "An outcome with two signatures.",
        fields | {"outcome": json.dumps(twice)},
    )
    none = json.loads(fields["outcome"]) | {"signatures": []}
    yield case(
        "no_signature",
        "SIGNATURE_COUNT",
        "An outcome that nobody signed.",
        fields | {"outcome": json.dumps(none)},
    )


# --- who signed ---------------------------------------------------------------------------------------------


def _signatures() -> Iterator[Case]:
    fields = parts(story())
    for name in ("outcome", "order", "summary", "validation"):
        yield case(
            f"{name}_edited",
            "SIGNATURE_INVALID",
            f"One digit of the {name} is another.",
            fields | {name: flipped(fields[name])},
        )
        yield case(
            f"{name}_signature_edited",
            "SIGNATURE_INVALID",
            f"One bit of the signature of the {name} is another.",
            fields | {name: flipped(fields[name], "signature")},
        )
    for name, key in (("outcome", "order"), ("order", "issuer"), ("summary", "boot")):
        told = story(signers={name: getattr(KEYS, key)})
        yield case(f"{name}_by_the_{key}_key", "KEY_UNTRUSTED", f"The {key} key signs the {name}.", told)
    yield case(
        "order_as_outcome",
        "KEY_UNTRUSTED",
        "The order, shown where the outcome belongs: its key signs no outcome.",
        fields | {"outcome": fields["order"], "proofs": _proofs(fields, outcome="order")},
    )
    yield case(
        "summary_as_outcome",
        "TYPE_MISMATCH",
        "The summary, by the same key, shown where the outcome belongs.",
        fields | {"outcome": fields["summary"], "proofs": _proofs(fields, outcome="summary")},
    )
    retyped = json.loads(fields["outcome"]) | {"payloadType": "application/vnd.expunge.trust-root+json"}
    yield case(
        "outcome_retyped",
        "TYPE_MISMATCH",
        "The outcome under another payload type.",
        fields | {"outcome": json.dumps(retyped)},
    )
    for name, path, value, sentence in (
        ("issuer_revoked", "valid_until_seq", 4, "The issuer's key was withdrawn before this entry."),
        ("issuer_too_early", "valid_from_seq", 9, "The issuer's key counts only from a later entry on."),
    ):
        root = documents.with_field(documents.build_trust(), f"keys.1.{path}", value)
        told = story()
        told.root = root
        under = f"valid/trust_root_{name}.json"
        yield Case(
            file=under,
            kind="trust_root",
            code=None,
            sentence=f"A trust root. {sentence}",
            data=root_file(root),
        )
        yield case(name, "KEY_REVOKED_AT_INDEX", sentence, told, under=under)


def _proofs(fields: dict[str, Any], **of: str) -> list[dict[str, str]]:
    """The proofs, each document with the proof of another where `of` says so."""
    texts = {each["document"]: each["proof"] for each in fields["proofs"]}
    return [{"document": name, "proof": texts[of.get(name, name)]} for name in texts]


# --- the log ------------------------------------------------------------------------------------------------


def _log() -> Iterator[Case]:
    fields = parts(story())
    for name in ("outcome", "order", "summary"):
        rest = [each for each in fields["proofs"] if each["document"] != name]
        yield case(f"{name}_not_logged", "NOT_LOGGED", f"No proof of the {name}.", fields | {"proofs": rest})
    yield case(
        "proof_of_another_entry",
        "PROOF_INVALID",
        "The order's proof beside the outcome.",
        fields | {"proofs": _proofs(fields, outcome="order")},
    )
    yield case(
        "proof_truncated",
        "PROOF_INVALID",
        "The outcome's proof lost its last hash.",
        _reproven(lambda head, note: (head.rpartition("\n")[0], note)),
    )
    yield case(
        "proof_extended",
        "PROOF_INVALID",
        "A hash too many.",
        _reproven(lambda head, note: (head + "\n" + "A" * 43 + "=", note)),
    )
    origin = story().root.log.origin
    elsewhere = Checkpoint(
        origin=log_checkpoint.origin("evil.example", KEYS.log.public), size=6, root=bytes(32)
    )
    yield case(
        "checkpoint_of_another_origin",
        "CHECKPOINT_INVALID",
        "A checkpoint of another log.",
        _reproven(lambda head, _: (head, log_checkpoint.sign(elsewhere, KEYS.log).decode())),
    )
    forged = Checkpoint(origin=origin, size=6, root=bytes(32))
    yield case(
        "checkpoint_by_a_stranger",
        "CHECKPOINT_INVALID",
        "A checkpoint that a stranger signed.",
        _reproven(lambda head, _: (head, log_checkpoint.sign(forged, KEYS.stranger).decode())),
    )
    yield case(
        "checkpoint_of_another_tree",
        "PROOF_INVALID",
        "The log signed another tree of that size.",
        _reproven(lambda head, _: (head, log_checkpoint.sign(forged, KEYS.log).decode())),
    )
    yield case(
        "two_logs",
        "SPLIT_VIEW",
        "Two logs of one size, both signed and both proven: a split view.",
        _split_view(),
    )
    yield case(
        "order_after_outcome",
        "NOT_LOGGED",
        "The order was logged after its outcome.",
        story(logged=("outcome", "order", "summary")),
    )
    yield case(
        "summary_before_outcome",
        "NOT_LOGGED",
        "The host was summed up before the outcome.",
        story(logged=("order", "summary", "outcome")),
    )
    yield case(
        "logged_as_another_kind", "PROOF_INVALID", "Logged as a withdrawal.", _logged_as(LogKind.WITHDRAWAL)
    )
    invalid = "CHECKPOINT_INVALID"
    yield case(
        "anchor_in_its_future",
        invalid,
        "The outcome is anchored behind itself.",
        story().said("anchor.size", 99),
    )
    yield case(
        "anchor_in_another_log",
        invalid,
        "The outcome is anchored in another log.",
        story().said("anchor.origin", "evil.example/log"),
    )
    two = story().said("anchor.size", 4).summed("anchor.size", 4).summed("anchor.root", "00" * 32)
    yield case("two_anchors", invalid, "Outcome and summary tell two roots of one size.", two)
    yield case(
        "summary_anchored_in_its_future",
        invalid,
        "The summary is anchored behind itself.",
        story().summed("anchor.size", 999),
    )


def _reproven(change: Callable[[str, str], tuple[str, str]]) -> dict[str, Any]:
    """The outcome's proof, split at its first empty line and changed."""
    fields = parts(story())
    for each in fields["proofs"]:
        if each["document"] == "outcome":
            head, _, note = each["proof"].partition("\n\n")
            each["proof"] = "\n\n".join(change(head, note))
    return fields


def _split_view() -> dict[str, Any]:
    """The summary stands in a second log of that length, where another entry takes the order's place."""
    told = story()
    fields = parts(told)
    other = documents.SampleLog(told.root)
    other.append(documents.signed_as(documents.build_withdrawal(), KEYS.order), LogKind.WITHDRAWAL)
    for name in ("outcome", "summary"):
        seq = other.append(told.envelopes[name], LogKind(name)).seq
    for each in fields["proofs"]:
        if each["document"] == "summary":
            each["proof"] = other.proof(seq).write().decode()
    return fields


def _logged_as(kind: LogKind) -> dict[str, Any]:
    told = story()
    fields = parts(told)
    log = documents.SampleLog(told.root)
    log.append(told.envelopes["order"], LogKind.ORDER)
    seq = log.append(told.envelopes["outcome"], kind).seq
    for each in fields["proofs"]:
        if each["document"] == "outcome":
            each["proof"] = log.proof(seq).write().decode()
    return fields


# --- outcome, order and evidence: one story -----------------------------------------------------------------


def _links() -> Iterator[Case]:
    subject, mismatch = "SUBJECT_MISMATCH", "EVIDENCE_MISMATCH"
    fields = parts(story())
    swapped = parts(story().seen("nonce", "ab" * 16))["evidence"]
    yield case(
        "evidence_swapped",
        subject,
        "Evidence of another run, by the same agent.",
        fields | {"evidence": swapped},
    )
    yield case(
        "evidence_edited",
        subject,
        "One digit of the evidence is another.",
        fields | {"evidence": flipped(fields["evidence"])},
    )
    spaced = json.dumps(json.loads(fields["evidence"]), indent=1)
    yield case(
        "evidence_rewritten", subject, "The same evidence as another file.", fields | {"evidence": spaced}
    )
    yield case(
        "evidence_of_another_boot",
        "KEY_UNTRUSTED",
        "Evidence of the agent's next boot, by its key.",
        _next_boot(),
    )
    yield case(
        "evidence_by_a_stranger",
        "SIGNATURE_INVALID",
        "Evidence that names the boot's key and was signed by another.",
        story(signers={"evidence": KEYS.stranger}),
    )
    yield case(
        "evidence_of_another_digest",
        subject,
        "The outcome names other evidence.",
        story().said("evidence_digest", "00" * 32),
    )
    yield case(
        "evidence_of_another_order",
        subject,
        "Evidence that answers another order.",
        story().seen("order_digest", "00" * 32),
    )
    rows: tuple[tuple[str, str, str, Any, str], ...] = (
        (
            "outcome_of_another_order",
            subject,
            "order",
            "ord_" + "00" * 16,
            "The outcome names another order.",
        ),
        (
            "outcome_of_another_deprovision",
            subject,
            "deprovision",
            "dep_" + "00" * 16,
            "The outcome is of another deprovision.",
        ),
        ("outcome_of_another_host", subject, "host_commitment", "00" * 32, "The outcome is of another host."),
        (
            "outcome_of_another_tenancy",
            subject,
            "custody.tenancy_ref",
            "00" * 32,
            "The outcome is another customer's.",
        ),
        (
            "outcome_of_another_class",
            subject,
            "custody.data_class",
            "secret",
            "The outcome is of another class of data.",
        ),
        (
            "outcome_of_another_attempt",
            subject,
            "attempt",
            2,
            "The outcome is of a second attempt that never was.",
        ),
        (
            "outcome_of_another_medium",
            subject,
            "medium.commitment",
            "00" * 32,
            "The outcome is of a drive that nobody ordered.",
        ),
        (
            "raw_words_edited",
            mismatch,
            "sanitization.commands.0.completion_status",
            "0001",
            "The raw status of the command is another.",
        ),
        (
            "status_log_edited",
            mismatch,
            "verification.status_log_digest",
            "00" * 32,
            "The digest of the status log is another.",
        ),
        (
            "markers_counted_up",
            mismatch,
            "verification.markers_committed",
            99,
            "More markers than there were.",
        ),
        (
            "standard_of_another",
            mismatch,
            "sanitization.standard",
            "IEEE 2883",
            "Another clause than the technique's.",
        ),
        (
            "key_scope_widened",
            mismatch,
            "cryptographic_erase.0.key_scope",
            "all keys of everything",
            "More keys than the command destroys.",
        ),
        (
            "escrow_denied",
            mismatch,
            "cryptographic_erase.0.escrow",
            "none",
            "That nobody keeps the keys, which nobody said.",
        ),
        (
            "errors_left_out",
            mismatch,
            "sanitization.errors",
            ["READ_FAILED"],
            "Other errors than the agent recorded.",
        ),
        ("agent_of_another_key", mismatch, "agent_keyid", "SHA256:" + "A" * 43, "Another agent."),
        ("attested_by_hardware", mismatch, "attestation", "SPDM", "An attestation that nobody saw."),
        ("model_of_another", mismatch, "medium.model", "ANOTHER MODEL", "Another model."),
        ("destination_of_another", mismatch, "destination", "not_observed", "Another destination."),
    )
    for name, code, path, value, sentence in rows:
        yield case(name, code, sentence, story().said(path, value))
    yield case(
        "receipt_absent",
        "INCOMPLETE_SET",
        "A receipt is named and not here.",
        story().said("custody.allocation_ref", "00" * 32),
    )
    yield case(
        "receipt_of_another",
        subject,
        "Another receipt than the one named.",
        allotted().said("custody.allocation_ref", "00" * 32),
    )
    yield case(
        "receipt_of_another_tenancy",
        subject,
        "The receipt of another customer.",
        allotted(tenancy_ref="00" * 32),
    )


def _next_boot() -> Story:
    key = KEYS.stranger.public
    told = story(signers={"evidence": KEYS.stranger})
    told.seen("agent_key", key.raw.hex()).seen("agent_keyid", key.keyid)
    return told.seen("boot_id", key.boot_id)
