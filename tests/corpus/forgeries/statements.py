"""Statements of every kind, as payloads: what pydantic and the rules of each document refuse."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from certificate.statements import Statement, make, subject
from certificate.statements.statement import MAX_STATEMENT_BYTES
from tests.corpus.case import Case
from tests.corpus.forgeries.json_texts import spoilt
from tests.corpus.papers import KEYS, TECHNIQUES, documents, put

#: kind, forgery's name, code, path in the statement, value, sentence
Row = tuple[str, str, str, str, Any, str]

ROWS: tuple[Row, ...] = (
    (
        "order",
        "other_statement_type",
        "TYPE_MISMATCH",
        "_type",
        "https://in-toto.io/Statement/v0.1",
        "Of in-toto's version 0.1.",
    ),
    (
        "order",
        "shown_as_outcome",
        "TYPE_MISMATCH",
        "predicateType",
        "urn:expunge:statement:outcome:v1",
        "An order that calls itself an outcome.",
    ),
    ("order", "newer_schema", "UNSUPPORTED", "predicate.schema", 2, "A schema of tomorrow."),
    (
        "order",
        "schema_is_true",
        "MALFORMED",
        "predicate.schema",
        True,
        "true, which many languages take for 1.",
    ),
    (
        "order",
        "lives_for_ever",
        "MALFORMED",
        "predicate.valid_for_s",
        901,
        "Good for longer than an order may be.",
    ),
    ("order", "life_is_text", "MALFORMED", "predicate.valid_for_s", "600", "A number as a text."),
    ("order", "negative_fence", "MALFORMED", "predicate.fence", -1, "A fence below zero."),
    (
        "order",
        "time_with_fraction",
        "MALFORMED",
        "predicate.issued_at",
        "2026-11-22T10:00:00.5Z",
        "Half a second.",
    ),
    (
        "order",
        "time_with_offset",
        "MALFORMED",
        "predicate.issued_at",
        "2026-11-22T10:00:00+00:00",
        "UTC in another spelling.",
    ),
    ("order", "time_is_a_number", "MALFORMED", "predicate.issued_at", 1795341600, "Seconds since 1970."),
    (
        "order",
        "time_at_the_end_of_days",
        "MALFORMED",
        "predicate.issued_at",
        "9999-12-31T23:59:59Z",
        "The last second there is, after which no day can be counted.",
    ),
    (
        "order",
        "time_before_all",
        "MALFORMED",
        "predicate.issued_at",
        "0001-01-01T00:00:00Z",
        "The first second there is.",
    ),
    (
        "order",
        "hour_twenty_four",
        "MALFORMED",
        "predicate.issued_at",
        "2026-11-22T24:00:00Z",
        "The next day's midnight in another spelling.",
    ),
    (
        "order",
        "time_that_never_was",
        "MALFORMED",
        "predicate.issued_at",
        "2026-02-30T10:00:00Z",
        "The thirtieth of February.",
    ),
    (
        "order",
        "two_host_facts",
        "MALFORMED",
        "predicate.host.facts",
        [],
        "A host without any sign of its identity.",
    ),
    ("order", "no_drive", "MALFORMED", "predicate.plan.media", [], "A plan without a medium."),
    (
        "order",
        "floor_destroy",
        "MALFORMED",
        "predicate.plan.floor",
        "destroy",
        "A floor that no technique can reach.",
    ),
    (
        "order",
        "unknown_technique",
        "MALFORMED",
        "predicate.plan.media.0.techniques",
        ["trim"],
        "Discard, sold as an erasure.",
    ),
    (
        "order",
        "no_technique",
        "MALFORMED",
        "predicate.plan.media.0.techniques",
        [],
        "A medium without a technique.",
    ),
    (
        "order",
        "three_approvals_asked",
        "MALFORMED",
        "predicate.basis.approvals_required",
        3,
        "More people than any table can ask.",
    ),
    (
        "order",
        "disposition_unknown",
        "MALFORMED",
        "predicate.basis.disposition",
        "unknown",
        "A host of which nobody knows whose it is.",
    ),
    (
        "order",
        "nonce_upper_case",
        "MALFORMED",
        "predicate.nonce",
        "AB" * 16,
        "A nonce in capitals, a second spelling.",
    ),
    (
        "order",
        "nonce_with_line_feed",
        "MALFORMED",
        "predicate.token",
        "ab" * 16 + "\n",
        "A line feed behind a token.",
    ),
    (
        "order",
        "smuggled_field",
        "UNKNOWN_FIELD",
        "predicate.password",
        "hunter2",
        "A secret inside what is logged.",
    ),
    ("order", "no_subject", "MALFORMED", "subject", [], "A statement about nothing."),
    (
        "order",
        "subject_by_md5",
        "UNKNOWN_FIELD",
        "subject.0.digest",
        {"sha256": "00" * 32, "md5": "00" * 16},
        "A second, weaker digest.",
    ),
    (
        "evidence",
        "fact_is_true",
        "MALFORMED",
        "predicate.media.0.was_present",
        True,
        "true where three values exist.",
    ),
    (
        "evidence",
        "fact_is_missing",
        "MALFORMED",
        "predicate.media.0.was_present",
        None,
        "null where nobody may say nothing.",
    ),
    (
        "evidence",
        "words_upper_case",
        "MALFORMED",
        "predicate.media.0.commands.0.completion_status",
        "00FF",
        "Raw words in capitals.",
    ),
    (
        "evidence",
        "words_of_half_a_byte",
        "MALFORMED",
        "predicate.media.0.commands.0.completion_status",
        "000",
        "Raw words of one byte and a half.",
    ),
    (
        "evidence",
        "unknown_reading",
        "MALFORMED",
        "predicate.media.0.markers.markers.0.reading_after",
        "erased",
        "A reading that no agent has a word for.",
    ),
    (
        "evidence",
        "namespace_zero",
        "MALFORMED",
        "predicate.media.0.namespaces.0.nsid",
        0,
        "Namespace 0, which no drive has.",
    ),
    (
        "evidence",
        "serial_in_clear",
        "UNKNOWN_FIELD",
        "predicate.media.0.medium.serial",
        "S64GNE0R500123",
        "A serial number in what is published.",
    ),
    ("evidence", "key_too_short", "MALFORMED", "predicate.agent_key", "00" * 31, "A key of 31 bytes."),
    ("outcome", "result_passed", "MALFORMED", "predicate.claim.result", "PASS", "A word of another product."),
    (
        "outcome",
        "destruction_beside_an_attempt",
        "MALFORMED",
        "predicate.destruction",
        {
            "attested": {
                "medium": "00" * 32,
                "method": "shred",
                "destroyed_on": "2026-11-22",
                "document_digest": "00" * 32,
                "shown_digest": "00" * 32,
            },
            "decisions": ["00" * 32, "11" * 32],
        },
        "An attempt and a destruction in one.",
    ),
    (
        "outcome",
        "claims_destroy",
        "MALFORMED",
        "predicate.claim.method",
        "destroy",
        "Method destroy for a medium that was sent a command.",
    ),
    (
        "outcome",
        "no_order_named",
        "MALFORMED",
        "predicate.order",
        "not_applicable",
        "An attempt without an order.",
    ),
    (
        "outcome",
        "limit_with_line_feed",
        "MALFORMED",
        "predicate.claim.limits",
        ["fine\nVALID"],
        "A limit that writes a line of its own on the screen.",
    ),
    (
        "outcome",
        "limit_with_escape",
        "MALFORMED",
        "predicate.claim.limits",
        ["\u001b[2Jfine"],
        "A limit that clears the terminal.",
    ),
    (
        "summary",
        "place_missing",
        "MALFORMED",
        "predicate.residue",
        [],
        "No other place that holds data is named.",
    ),
    ("summary", "no_media", "MALFORMED", "predicate.media", [], "A host without media."),
    (
        "summary",
        "no_order",
        "MALFORMED",
        "predicate.order_digests",
        [],
        "A host on which nothing was ordered.",
    ),
    (
        "approval",
        "kind_veto",
        "MALFORMED",
        "predicate.kind",
        "veto",
        "An answer that the format has no word for.",
    ),
    (
        "decision",
        "kind_erase",
        "MALFORMED",
        "predicate.kind",
        "erase",
        "A decision that no person can make alone.",
    ),
    ("decision", "enrols_nothing", "MALFORMED", "predicate.enrols", "", "An empty key."),
    (
        "validation",
        "otherwise_accept",
        "MALFORMED",
        "predicate.otherwise",
        "accept",
        "A table that accepts what it does not know.",
    ),
    ("validation", "no_rule", "MALFORMED", "predicate.rules", [], "A table without a class of data."),
    (
        "withdrawal",
        "reason_in_prose",
        "MALFORMED",
        "predicate.reason",
        "changed my mind",
        "A reason that is no code.",
    ),
    (
        "allocation",
        "no_drive_at_all",
        "MALFORMED",
        "predicate.media.0.commitment",
        "",
        "A drive without its commitment.",
    ),
    (
        "boot",
        "trust_unknown",
        "MALFORMED",
        "predicate.boot_trust",
        "certain",
        "A way of booting that nobody rated.",
    ),
    (
        "absence",
        "final_is_text",
        "MALFORMED",
        "predicate.is_final",
        "yes",
        "A text where only true or false is read.",
    ),
)


def cases() -> Iterator[Case]:
    for name, payload in payloads().items():
        kind = f"{name}_statement"
        sentence = f"A sample {name}."
        yield Case(file=f"valid/{kind}.json", kind=kind, code=None, sentence=sentence, data=payload)
        yield _removed(kind, name, payload)
    for name, forgery, code, path, value, sentence in ROWS:
        document = json.loads(payloads()[name])
        data = json.dumps(put(document, path, value)).encode()
        yield _case(f"{name}_statement", forgery, code, sentence, data)
    yield from _doubled()
    yield from _texts()
    yield from _judged()


def payloads() -> dict[str, bytes]:
    """One honest payload a kind."""
    built = (
        documents.build_order(),
        TECHNIQUES.honest("nvme_sanitize_crypto").evidence,
        documents.build_outcome(),
        documents.build_summary(),
        documents.build_table(),
        documents.build_withdrawal(),
        documents.build_absence(),
        documents.build_boot(),
        documents.build_allocation(),
    )
    made: list[Statement[Any]] = [make(each, (subject("sample", "ab" * 32),)) for each in built]
    found = {each.predicate.statement_name: each.payload() for each in made}
    found["approval"] = documents.build_approval(KEYS.alice).payload
    found["decision"] = documents.build_decision(KEYS.alice).payload
    return found


def _case(kind: str, name: str, code: str, sentence: str, data: bytes, **fields: Any) -> Case:
    file = f"forged/{kind}/{name}.json"
    return Case(file=file, kind=kind, code=code, sentence=sentence, data=data, **fields)


def _removed(kind: str, name: str, payload: bytes) -> Case:
    """No field has a default."""
    document = json.loads(payload)
    del document["predicate"]["nonce"]
    sentence = f"A {name} without its nonce: nothing stands in for a missing field."
    return _case(kind, "field_missing", "MALFORMED", sentence, json.dumps(document).encode())


def _doubled() -> Iterator[Case]:
    order = json.loads(payloads()["order"])
    text = json.dumps(order).replace('"fence": ', '"fence": 1, "fence": ', 1)
    yield _case(
        "order_statement",
        "fence_twice",
        "DUPLICATE_KEY",
        "Two fences, of which each reader may take another.",
        text.encode(),
    )
    row = json.loads(payloads()["validation"])["predicate"]["rows"][0]
    table = json.loads(payloads()["validation"])
    put(table, "predicate.rows", [row, row | {"decision": "reject"}])
    sentence = "One case decided twice, in two ways."
    yield _case("validation_statement", "case_twice", "MALFORMED", sentence, json.dumps(table).encode())
    summary = json.loads(payloads()["summary"])
    summary["predicate"]["residue"][1] = summary["predicate"]["residue"][0]
    sentence = "One place stands twice, so that another is missing."
    yield _case("summary_statement", "place_twice", "MALFORMED", sentence, json.dumps(summary).encode())


def _texts() -> Iterator[Case]:
    outcome = json.loads(payloads()["outcome"]) | {"number": 1}
    for name, code, sentence, data in spoilt(outcome, "number"):
        if name in ("duplicate_key", "float", "deep", "byte_order_mark", "lone_surrogate"):
            yield _case("outcome_statement", name, code, sentence, data)
    yield _case(
        "outcome_statement",
        "too_large",
        "LIMIT_EXCEEDED",
        "White space up to one byte more than any statement has.",
        payloads()["outcome"],
        padded_to_bytes=MAX_STATEMENT_BYTES + 1,
    )


def _judged() -> Iterator[Case]:
    """An agent may sign what it likes; what may be claimed of it is computed, and never fails."""
    evidence = payloads()["evidence"]
    yield Case(
        file="valid/judged_evidence.json",
        kind="judged_evidence",
        code=None,
        sentence="Evidence of an honest agent, from which a claim is computed.",
        data=evidence,
    )
    document = put(json.loads(evidence), "predicate.media.0.commands.0.status_log_after", "")
    yield _case(
        "judged_evidence",
        "empty_words",
        "MALFORMED",
        "A status log of no bytes.",
        json.dumps(document).encode(),
    )
