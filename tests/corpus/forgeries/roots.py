"""Trust roots, policies, policy drafts and annexes: what a stranger hands to whoever verifies."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from typing import Any

from certificate import envelope as dsse
from certificate.envelope import TRUST_ROOT_PAYLOAD_TYPE
from certificate.policy import MAX_POLICY_BYTES, Policy
from controller.policy.draft import Draft
from tests.corpus.case import Case
from tests.corpus.forgeries.json_texts import spoilt
from tests.corpus.papers import KEYS, documents, put, root_file

INVALID = "TRUST_ROOT_INVALID"
#: y = 1: the neutral element. y = 0: a point of order four.
NEUTRAL, ORDER_FOUR = "01" + "00" * 31, "00" * 32
#: p + 1, another encoding of 1.
NOT_CANONICAL = (2**255 - 18).to_bytes(32, "little").hex()
NOT_ON_THE_CURVE = "02" + "00" * 31
MEDIUM = documents.MEDIUM


def cases() -> Iterator[Case]:
    yield from _trust_roots()
    yield from _policies()
    yield from _drafts()
    yield from _annexes()


def _case(kind: str, name: str, code: str, sentence: str, data: Any, **fields: Any) -> Case:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    file = f"forged/{kind}/{name}.json"
    return Case(file=file, kind=kind, code=code, sentence=sentence, data=raw, **fields)


def _signed(fields: dict[str, Any], signer: Any = KEYS.root) -> bytes:
    """A trust root's payload, however wrong, signed."""
    return dsse.sign(json.dumps(fields).encode(), signer, payload_type=TRUST_ROOT_PAYLOAD_TYPE).write()


def _trust_roots() -> Iterator[Case]:
    root = documents.build_trust()

    def fields() -> dict[str, Any]:
        found: dict[str, Any] = root.model_dump(mode="json", by_alias=True)
        return found

    yield Case(
        file="valid/trust_root.json",
        kind="trust_root",
        code=None,
        sentence="The provider's trust root.",
        data=root_file(root),
    )
    stranger = KEYS.stranger.public
    rows: tuple[tuple[str, str, str, str, Any], ...] = (
        (
            "small_order_operator",
            INVALID,
            "An operator's key of order four, under which anybody signs.",
            "operators.1",
            _named(ORDER_FOUR),
        ),
        (
            "neutral_operator",
            INVALID,
            "An operator's key that is the neutral element.",
            "operators.1",
            _named(NEUTRAL),
        ),
        ("not_canonical_key", INVALID, "A key in its second encoding.", "operators.1", _named(NOT_CANONICAL)),
        ("key_off_the_curve", INVALID, "A key that is no point.", "operators.1", _named(NOT_ON_THE_CURVE)),
        (
            "keyid_lies",
            INVALID,
            "A stranger's key under an operator's fingerprint.",
            "operators.1.public_key",
            stranger.raw.hex(),
        ),
        (
            "one_operator_twice",
            INVALID,
            "One person as both operators.",
            "operators.1",
            fields()["operators"][0],
        ),
        ("one_operator", INVALID, "Only one operator.", "operators", fields()["operators"][:1]),
        (
            "operator_is_order_key",
            INVALID,
            "The order key as an operator: one key, two purposes.",
            "operators.1",
            {name: fields()["keys"][0][name] for name in ("keyid", "public_key")},
        ),
        (
            "issuer_may_order",
            INVALID,
            "The issuer's key may sign orders too.",
            "keys.1.statements",
            ["outcome", "order"],
        ),
        (
            "stranger_validates",
            INVALID,
            "A key that is no root key signs tables.",
            "keys.3",
            fields()["keys"][3] | {"keyid": stranger.keyid, "public_key": stranger.raw.hex()},
        ),
        (
            "other_origin",
            INVALID,
            "A log that is not the domain's.",
            "log.origin",
            "evil.example/expunge-log/00000000",
        ),
        ("no_log_key", INVALID, "A log without a key.", "log.keys", []),
        (
            "expired_before_made",
            INVALID,
            "It expires before it was made.",
            "expires_at",
            "2020-01-01T00:00:00Z",
        ),
        ("threshold_too_high", INVALID, "More signatures than keys.", "root_threshold", 2),
        ("threshold_zero", INVALID, "No signature at all is enough.", "root_threshold", 0),
        ("second_version_alone", INVALID, "Version 2 without a predecessor.", "version", 2),
        ("domain_with_plus", INVALID, "A domain that a key file would split.", "domain", "hoster.example+x"),
        (
            "asks_for_witnesses",
            "UNSUPPORTED",
            "It asks for witnesses, which this release cannot check.",
            "witnesses",
            {"quorum": 1, "witnesses": [{"name": "w", "signature_type": 4, "public_key": "00" * 32}]},
        ),
        ("unknown_field", "UNKNOWN_FIELD", "A field that no trust root has.", "skip_checks", True),
        ("witnesses_null", INVALID, "null where `none` has to be said.", "witnesses", None),
    )
    for name, code, sentence, path, value in rows:
        yield _case("trust_root", name, code, sentence, _signed(put(fields(), path, value)))
    later = put(put(fields(), "version", 2), "previous_fingerprint", "00" * 32)
    yield _case(
        "trust_root",
        "second_version",
        "UNSUPPORTED",
        "A second version, whose first nobody checked.",
        _signed(later),
    )
    yield _case(
        "trust_root",
        "by_a_stranger",
        "SIGNATURE_INVALID",
        "Signed by no key of its own.",
        root_file_by_stranger(),
    )
    yield _case(
        "trust_root",
        "as_statement",
        "TYPE_MISMATCH",
        "The right payload under a statement's type.",
        dsse.sign(root.canonical(), KEYS.root).write(),
    )
    edited = json.loads(root_file(root))
    other = dsse.sign(
        json.dumps(put(fields(), "domain", "evil.example")).encode(),
        KEYS.root,
        payload_type=TRUST_ROOT_PAYLOAD_TYPE,
    )
    edited["payload"] = json.loads(other.write())["payload"]
    yield _case(
        "trust_root",
        "domain_edited",
        INVALID,
        "The domain is another, and the origin does not follow.",
        edited,
    )
    for name, code, sentence, data in spoilt(fields() | {"number": 1}, "number"):
        if name in ("duplicate_key", "not_a_number", "deep", "trailing_bytes"):
            mapped = INVALID if code == "MALFORMED" else code
            payload = dsse.sign(data, KEYS.root, payload_type=TRUST_ROOT_PAYLOAD_TYPE).write()
            yield _case("trust_root", name, mapped, sentence, payload)


def root_file_by_stranger() -> bytes:
    return dsse.sign(
        documents.build_trust().canonical(), KEYS.stranger, payload_type=TRUST_ROOT_PAYLOAD_TYPE
    ).write()


def _named(raw_hex: str) -> dict[str, str]:
    """A key under its own right fingerprint, whatever the key is."""
    raw = bytes.fromhex(raw_hex)
    blob = b"\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20" + raw
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    return {"keyid": f"SHA256:{digest}", "public_key": raw_hex}


def _policies() -> Iterator[Case]:
    policy = Policy.production()
    fields = json.loads(policy.write())
    invalid = "POLICY_INVALID"
    yield Case(
        file="valid/policy.json",
        kind="policy",
        code=None,
        sentence="The policy of a provider's production.",
        data=policy.write(),
    )
    rows: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("log_waived", "The log is not required.", {"log": "optional"}),
        ("accepts_nothing", "No purpose is accepted: over nothing, every loop passes.", {"purposes": []}),
        ("no_device_class", "No device class is accepted.", {"device_classes": []}),
        ("method_none", "No method is asked for.", {"minimum_method": "none"}),
        ("grade_none", "No grade is asked for.", {"minimum_grade": "none"}),
        ("device_class_any", "A wildcard where names belong.", {"device_classes": ["*"]}),
        ("schema_zero", "No schema is known.", {"maximum_schema": 0}),
        ("newer_schema", "A policy of tomorrow.", {"schema": 2}),
        ("unknown_field", "A switch that no policy has.", {"skip_signatures": True}),
        ("null", "null where a list belongs.", {"purposes": None}),
    )
    for name, sentence, change in rows:
        yield _case("policy", name, invalid, sentence, fields | change)
    for name, _, sentence, data in spoilt(fields, "maximum_schema"):
        if name in ("duplicate_key", "float", "byte_order_mark", "very_deep"):
            yield _case("policy", name, invalid, sentence, data)
    yield _case(
        "policy",
        "too_large",
        invalid,
        "A film instead of a policy.",
        policy.write(),
        padded_to_bytes=MAX_POLICY_BYTES + 1,
    )


def _drafts() -> Iterator[Case]:
    draft = Draft.of(documents.build_table(), version=2)
    fields = json.loads(draft.write())
    invalid = "DRAFT_INVALID"
    yield Case(
        file="valid/policy_draft.json",
        kind="policy_draft",
        code=None,
        sentence="A table as a person edits it.",
        data=draft.write(),
    )
    row = fields["rows"][0]
    rows: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("otherwise_accept", "What no row names is accepted.", {"otherwise": "accept"}),
        ("case_twice", "A case is decided twice.", {"rows": [row, row | {"decision": "reject"}]}),
        ("class_twice", "A class of data has two floors.", {"rules": fields["rules"] * 2}),
        ("no_rule", "No class of data.", {"rules": []}),
        ("version_zero", "Version 0.", {"version": 0}),
        ("version_true", "A version that is true.", {"version": True}),
        ("unknown_field", "A field that no draft has.", {"comment": "hello"}),
        ("grade_none_accepted", "A grade that does not exist.", {"rows": [row | {"grade": "certain"}]}),
    )
    for name, sentence, change in rows:
        yield _case("policy_draft", name, invalid, sentence, fields | change)
    for name, _, sentence, data in spoilt(fields, "version"):
        if name in ("duplicate_key", "exponent", "trailing_bytes"):
            yield _case("policy_draft", name, invalid, sentence, data)


def _annexes() -> Iterator[Case]:
    salt = documents.MEDIUM_SALT.hex()
    entry = {"commitment": MEDIUM, "salt": salt, "serial": "S64GNE0R500123"}
    fields = {"schema": 1, "order": documents.ORDER_ID, "media": [entry]}
    mismatch = "ANNEX_MISMATCH"
    yield Case(
        file="valid/annex.json",
        kind="annex",
        code=None,
        sentence="The annex that opens the sample medium's commitment.",
        data=json.dumps(fields).encode(),
    )
    yield _case("swapped_annex", "another", mismatch, "An annex that the evidence does not name.", fields)
    rows: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
        ("other_order", mismatch, "Of another order.", {"order": "ord_" + "00" * 16}),
        ("medium_absent", mismatch, "The medium is not in it.", {"media": []}),
        (
            "medium_twice",
            mismatch,
            "The medium stands twice, with two serials.",
            {"media": [entry, entry | {"serial": "X"}]},
        ),
        ("media_no_list", mismatch, "Media that are a text.", {"media": "none"}),
        (
            "serial_of_another",
            mismatch,
            "The serial of another drive.",
            {"media": [entry | {"serial": "S64GNE0R500124"}]},
        ),
        (
            "serial_not_observed",
            mismatch,
            "A serial that nobody read.",
            {"media": [entry | {"serial": "not_observed"}]},
        ),
        ("serial_number", mismatch, "A serial that is a number.", {"media": [entry | {"serial": 7}]}),
        ("salt_short", mismatch, "A salt of 31 bytes.", {"media": [entry | {"salt": salt[2:]}]}),
        (
            "salt_no_hex",
            "MALFORMED",
            "A salt that is no hexadecimal.",
            {"media": [entry | {"salt": "x" * 64}]},
        ),
        ("newer_schema", "UNSUPPORTED", "An annex of tomorrow.", {"schema": 2}),
    )
    for name, code, sentence, change in rows:
        yield _case("annex", name, code, sentence, fields | change)
    for name, code, sentence, data in spoilt(fields):
        if name in ("duplicate_key", "float", "lone_surrogate", "truncated"):
            yield _case("annex", name, code, sentence, data)
