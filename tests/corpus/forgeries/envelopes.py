"""Envelopes: the frame around what is signed, read as the envelope of an order."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

from certificate.envelope import MAX_ENVELOPE_BYTES, TRUST_ROOT_PAYLOAD_TYPE
from tests.corpus.case import Case
from tests.corpus.forgeries.json_texts import spoilt
from tests.corpus.papers import KEYS, TECHNIQUES, documents, put, root_file, signed_raw, unframed

KIND = "envelope"


def case(name: str, code: str, sentence: str, data: bytes | dict[str, Any], **fields: Any) -> Case:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    file = f"forged/{KIND}/{name}.json"
    return Case(file=file, kind=KIND, code=code, sentence=sentence, data=raw, **fields)


def cases() -> Iterator[Case]:
    order = documents.sign_order(documents.build_order())
    yield Case(
        file="valid/envelope.json",
        kind=KIND,
        code=None,
        sentence="An order, signed by the order key.",
        data=order.write(),
    )
    for name, code, sentence, data in spoilt(unframed(order) | {"schema": 1}):
        yield case(name, code, sentence, data)
    yield from _frames()
    yield from _encodings()
    yield from _signers()


def _frames() -> Iterator[Case]:
    order = documents.sign_order(documents.build_order())
    frame = unframed(order)
    (signature,) = frame["signatures"]
    yield case(
        "two_signatures",
        "SIGNATURE_COUNT",
        "A second signature, by a stranger, beside the right one.",
        frame | {"signatures": [signature, signature | {"keyid": KEYS.stranger.public.keyid}]},
    )
    yield case(
        "no_signature", "SIGNATURE_COUNT", "The list of signatures is empty.", frame | {"signatures": []}
    )
    yield case(
        "signatures_no_list",
        "SIGNATURE_COUNT",
        "One signature without its list.",
        frame | {"signatures": signature},
    )
    yield case(
        "signature_is_text",
        "MALFORMED",
        "A signature that is a text.",
        frame | {"signatures": [signature["sig"]]},
    )
    yield case("unknown_field", "UNKNOWN_FIELD", "A field that no envelope has.", frame | {"unsigned": {}})
    yield case(
        "unknown_signature_field",
        "UNKNOWN_FIELD",
        "A certificate chain inside the signature.",
        frame | {"signatures": [signature | {"x5c": []}]},
    )
    yield case(
        "no_payload_type",
        "MALFORMED",
        "The payload type is missing.",
        {k: v for k, v in frame.items() if k != "payloadType"},
    )
    yield case(
        "payload_type_no_text", "MALFORMED", "A payload type that is a number.", frame | {"payloadType": 1}
    )
    yield case(
        "keyid_no_text",
        "MALFORMED",
        "A keyid that is null.",
        put(unframed(order), "signatures.0.keyid", None),
    )
    yield case(
        "other_payload_type",
        "TYPE_MISMATCH",
        "The payload is announced as plain JSON; the signature was made for another type.",
        frame | {"payloadType": "application/json"},
    )
    yield case(
        "retyped_as_trust_root",
        "TYPE_MISMATCH",
        "An order announced as a trust root.",
        frame | {"payloadType": TRUST_ROOT_PAYLOAD_TYPE},
    )
    yield case(
        "trust_root_as_order",
        "TYPE_MISMATCH",
        "A trust root where an order belongs.",
        root_file(documents.build_trust()),
    )
    yield case(
        "too_large",
        "LIMIT_EXCEEDED",
        "White space up to one byte more than any envelope has.",
        order.write(),
        padded_to_bytes=MAX_ENVELOPE_BYTES + 1,
    )


def _encodings() -> Iterator[Case]:
    order = documents.sign_order(documents.build_order())
    frame = unframed(order)
    payload, sig = frame["payload"], frame["signatures"][0]["sig"]

    def with_payload(text: Any) -> dict[str, Any]:
        return frame | {"payload": text}

    def with_sig(text: Any) -> dict[str, Any]:
        return put(unframed(order), "signatures.0.sig", text)

    loose = payload.rstrip("=")[:-1] + _next_digit(payload.rstrip("=")[-1]) + "=" * payload.count("=")
    yield case(
        "base64_unpadded", "BASE64_INVALID", "The signature lost its padding.", with_sig(sig.rstrip("="))
    )
    yield case("base64_padded_twice", "BASE64_INVALID", "More padding than belongs.", with_sig(sig + "===="))
    yield case(
        "base64_spare_bits",
        "BASE64_INVALID",
        "Bits are set that stand for nothing.",
        with_sig(_spare_bits(sig)),
    )
    yield case(
        "base64_line_feed",
        "BASE64_INVALID",
        "A line feed amid the base64.",
        with_payload(payload[:76] + "\n" + payload[76:]),
    )
    yield case(
        "base64_mixed", "BASE64_INVALID", "Both alphabets in one text.", with_payload("+_" + payload[2:])
    )
    yield case("base64_not_ascii", "BASE64_INVALID", "A full-width letter.", with_payload("Ａ" + payload[1:]))
    yield case("base64_number", "BASE64_INVALID", "The payload is a number.", with_payload(7))
    yield case(
        "base64_altered_end",
        "BASE64_INVALID" if payload.endswith("=") else "SIGNATURE_INVALID",
        "The last digit is another.",
        with_payload(loose),
    )
    yield case("empty_payload", "SIGNATURE_INVALID", "A payload of no bytes.", with_payload(""))
    yield case(
        "short_signature",
        "MALFORMED",
        "A signature of 63 bytes.",
        with_sig(base64.b64encode(bytes(63)).decode()),
    )
    yield case(
        "long_signature",
        "MALFORMED",
        "The signature with a byte behind it.",
        with_sig(base64.b64encode(base64.b64decode(sig) + b"\x00").decode()),
    )
    yield case(
        "signature_s_not_reduced",
        "SIGNATURE_INVALID",
        "The group's order added to S: another signature where nobody checks (RFC 8032, 5.1.7).",
        with_sig(_unreduced(sig)),
    )
    yield case(
        "zero_signature",
        "SIGNATURE_INVALID",
        "Sixty-four zero bytes.",
        with_sig(base64.b64encode(bytes(64)).decode()),
    )


def _signers() -> Iterator[Case]:
    order = documents.build_order()
    honest = documents.sign_order(order)
    stranger = documents.sign_order(order, KEYS.stranger)
    yield case("by_a_stranger", "KEY_UNTRUSTED", "Signed by a key that nobody knows.", stranger.write())
    yield case(
        "keyid_lies",
        "SIGNATURE_INVALID",
        "A stranger's signature under the order key's name.",
        put(unframed(stranger), "signatures.0.keyid", KEYS.order.public.keyid),
    )
    yield case(
        "by_the_issuer_key",
        "KEY_UNTRUSTED",
        "The issuer key signs an order.",
        documents.sign_order(order, KEYS.issuer).write(),
    )
    yield case(
        "names_another_signer",
        "KEY_UNTRUSTED",
        "The order key signs, and the order says that another key did.",
        documents.sign_order(documents.with_field(order, "signer", KEYS.issuer.public.keyid)).write(),
    )
    payload = bytearray(honest.payload)
    at = payload.index(b'"fence":') + 8
    payload[at] = payload[at] ^ 1
    forged = unframed(honest) | {"payload": base64.b64encode(bytes(payload)).decode()}
    yield case("one_digit_altered", "SIGNATURE_INVALID", "One digit of the fence is another.", forged)
    spaced = json.dumps(json.loads(honest.payload)).encode()
    yield case(
        "payload_rewritten",
        "SIGNATURE_INVALID",
        "The same statement, written again with spaces: the signature is over bytes.",
        unframed(honest) | {"payload": base64.b64encode(spaced).decode()},
    )
    evidence = TECHNIQUES.honest("nvme_sanitize_crypto").evidence
    yield case(
        "evidence_as_order",
        "TYPE_MISMATCH",
        "Evidence, signed by the order key, shown as an order.",
        documents.signed_as(evidence, KEYS.order).write(),
    )
    yield case(
        "withdrawal_as_order",
        "TYPE_MISMATCH",
        "A withdrawal, which the order key may sign, shown as an order.",
        documents.signed_as(documents.build_withdrawal(), KEYS.order).write(),
    )
    yield case("not_a_statement", "MALFORMED", "A signed list.", signed_raw(b"[]", KEYS.order).write())
    yield case(
        "signed_text",
        "MALFORMED",
        "A signed text that is no JSON.",
        signed_raw(b"wipe it", KEYS.order).write(),
    )
    yield case(
        "demonstration",
        "PURPOSE_MISMATCH",
        "An order of a demonstration, by the production key.",
        documents.sign_order(documents.with_field(order, "purpose", "demonstration")).write(),
    )


def _next_digit(digit: str) -> str:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    return alphabet[alphabet.index(digit) ^ 1]


def _spare_bits(text: str) -> str:
    """Two `=` leave four bits of the last digit unused."""
    assert text.endswith("==")
    return text[:-3] + _next_digit(text[-3]) + "=="


def _unreduced(text: str) -> str:
    group_order = 2**252 + 27742317777372353535851937790883648493
    raw = base64.b64decode(text)
    scalar = int.from_bytes(raw[32:], "little") + group_order
    return base64.b64encode(raw[:32] + scalar.to_bytes(32, "little")).decode()
