"""The sample documents outside pytest: what `make` forges from.

`story()` is one honest erasure as tests/certificate/verification/conftest.py tells it; `parts` and
`written` take a bundle apart and put it together again with something else in it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from types import SimpleNamespace
from typing import Any

from certificate import envelope as dsse
from certificate import trust as trust_module
from certificate.bundle import Bundle
from certificate.envelope import Envelope
from certificate.keys import PrivateKey
from certificate.statements import ValidationTable
from certificate.trust import TrustRoot
from tests.certificate import conftest as documents
from tests.certificate.verification.conftest import Story
from tests.techniques import TECHNIQUES as TECHNIQUE_NAMES
from tests.techniques import Techniques

KEYS = documents.KEYS


def table_of(*, floor: str, overwrite: str, read_back: str) -> ValidationTable:
    """A table under which a plan of this kind is made, and which accepts whatever was erased."""
    rule = {"data_class": "default", "floor": floor, "approvals_required": 0}
    rows = [
        {
            "data_class": "default",
            "media": media,
            "technique": technique,
            "grade": grade,
            "decision": "accept",
        }
        for media in ("self_encrypting_nvme", "plain")
        for technique in TECHNIQUE_NAMES
        for grade in ("marker-proven", "device-reported")
    ]
    table: ValidationTable = documents.build_table(
        rules=[rule | {"overwrite": overwrite, "read_back": read_back, "escrow": "unknown"}], rows=rows
    )
    return table


def _plan(**changes: Any) -> Any:
    """A plan under the table that fits it."""
    named = {name: changes.get(name, usual) for name, usual in USUAL.items()}
    digest = documents.signed_as(table_of(**named), KEYS.root).payload_digest
    return documents.build_plan(**({"validation_digest": digest} | changes))


USUAL = {"floor": "purge", "overwrite": "keystream", "read_back": "full"}
TECHNIQUES = Techniques(SimpleNamespace(**(vars(documents) | {"build_plan": _plan})))
TOOLS: dict[str, Any] = {
    "make_trust": documents.build_trust,
    "make_table": documents.build_table,
    "make_plan": documents.build_plan,
    "make_order": documents.build_order,
    "make_evidence": documents.build_evidence,
    "make_outcome": documents.build_outcome,
    "make_summary": documents.build_summary,
    "make_log": documents.SampleLog,
    "make_approval": documents.build_approval,
    "make_request": documents.build_request,
    "make_decision": documents.build_decision,
    "make_declaration": documents.build_declaration,
    "references_to": documents.references_to,
    "make_allocation": documents.build_allocation,
    "keys": KEYS,
    "altered": documents.with_field,
    "signed": documents.signed_as,
    "signed_order": documents.sign_order,
    "signed_evidence": documents.sign_evidence,
    "signed_outcome": documents.sign_outcome,
    "digest_of_hex": lambda raw: "not_observed" if raw.startswith("not_") else _sha256(bytes.fromhex(raw)),
}


def story(**changes: Any) -> Story:
    return Story(TOOLS, **changes)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def parts(bundle: Bundle | Story) -> dict[str, Any]:
    """A bundle's fields as plain values."""
    built = bundle.build() if isinstance(bundle, Story) else bundle
    fields: dict[str, Any] = built.model_dump(mode="json")
    return fields


def written(fields: dict[str, Any], **replaced: Any) -> bytes:
    """Fields as a bundle's file, however wrong they are."""
    return json.dumps(fields | replaced, indent=1).encode() + b"\n"


def root_file(root: TrustRoot, signer: PrivateKey = KEYS.root) -> bytes:
    return trust_module.sign(root, signer).write()


def payload_of(envelope_text: str | bytes) -> dict[str, Any]:
    """The signed statement in an envelope, as plain values."""
    payload: dict[str, Any] = json.loads(base64.b64decode(json.loads(envelope_text)["payload"]))
    return payload


def put(document: Any, path: str, value: Any) -> Any:
    """`document` with the member at `path` replaced, in place."""
    *parents, last = path.split(".")
    place = document
    for part in parents:
        place = place[int(part)] if isinstance(place, list) else place[part]
    place[int(last) if isinstance(place, list) else last] = value
    return document


def signed_raw(payload: bytes, signer: PrivateKey, **kind: str) -> Envelope:
    """Any bytes, signed as if they were a statement."""
    return dsse.sign(payload, signer, **kind)


def unframed(envelope: Envelope) -> dict[str, Any]:
    """An envelope's JSON, to be spoilt."""
    fields: dict[str, Any] = json.loads(envelope.write())
    return fields


def flipped(text: str, field: str = "payload") -> str:
    """The envelope with one digit of its payload's nonce, or one bit of its signature, changed."""
    document = json.loads(text)
    place, name = (document, "payload") if field == "payload" else (document["signatures"][0], "sig")
    data = bytearray(base64.b64decode(place[name]))
    if field == "payload":
        at = data.index(b'"nonce":"') + 9
        data[at] = ord("f" if data[at] != ord("f") else "e")
    else:
        data[5] ^= 1
    place[name] = base64.b64encode(bytes(data)).decode()
    return json.dumps(document, separators=(",", ":")) + "\n"
