"""Right seals on wrong content: so that a mutation comes further than the first checksum or signature.

A stranger has none of these keys; somebody inside may have one, and a drive or a tenant's disk makes its own
checksums. Each function takes mutated bytes and returns them with digests, signatures, proofs or checksums
made again; where the bytes are too broken for that, they come back as they were.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import zlib
from collections.abc import Callable
from typing import Any

import rfc8785

from certificate import assurance
from certificate import envelope as dsse
from certificate.envelope import TRUST_ROOT_PAYLOAD_TYPE
from certificate.errors import Refused
from certificate.keys import PrivateKey
from certificate.log import note as log_note
from certificate.log.entry import Entry, LogKind
from certificate.statements import Evidence, Order
from certificate.statements import statement as statements
from tests.corpus.forgeries import neighbours
from tests.corpus.papers import KEYS, documents

Repair = Callable[[bytes], bytes]
Fields = dict[str, Any]
#: Whoever the people are.
_PEOPLE = {key.public.keyid: key for key in (KEYS.alice, KEYS.bob, KEYS.carol, KEYS.stranger)}
_SIGNERS = {
    "order": KEYS.order,
    "withdrawal": KEYS.order,
    "allocation": KEYS.issuer,
    "outcome": KEYS.issuer,
    "summary": KEYS.issuer,
    "boot": KEYS.boot,
    "validation": KEYS.root,
    "evidence": KEYS.agent,
    "absence": KEYS.agent,
}
#: What a mutated document may do to whoever takes it apart without reading it strictly.
_BROKEN = (
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    RecursionError,
    OverflowError,
    struct.error,
    Refused,
)


def tried(repair: Callable[[bytes], bytes]) -> Repair:
    """`repair`, or the bytes as they were."""

    def attempt(data: bytes) -> bytes:
        try:
            return repair(data)
        except _BROKEN:
            return data

    return attempt


def _signer(payload: bytes) -> PrivateKey:
    """Whose business this statement is."""
    statement = json.loads(payload)
    name = str(statement["predicateType"]).split(":")[-2]
    if name in _SIGNERS:
        return _SIGNERS[name]
    return _PEOPLE[statement["predicate"]["operator"]]


def _payload(envelope_text: str) -> bytes:
    return base64.b64decode(json.loads(envelope_text)["payload"])


def _signed(payload: bytes, kind: str = dsse.STATEMENT_PAYLOAD_TYPE) -> str:
    signer = KEYS.root if kind == TRUST_ROOT_PAYLOAD_TYPE else _signer(payload)
    return dsse.sign(payload, signer, payload_type=kind).write().decode()


def envelope(data: bytes) -> bytes:
    """The payload, signed by whoever signs such a thing."""
    return _signed(_payload(data.decode())).encode()


def trust_root(data: bytes) -> bytes:
    return _signed(_payload(data.decode()), TRUST_ROOT_PAYLOAD_TYPE).encode()


def note(data: bytes) -> bytes:
    """The text up to the last empty line, signed by the log."""
    text = data[: data.rindex(b"\n\n") + 1]
    name = documents.build_trust().log.origin
    return log_note.Note(
        text=text, signatures=(log_note.signature_of(text, name=name, signer=KEYS.log),)
    ).write()


def webhook(data: bytes) -> bytes:
    """The body, signed."""
    return neighbours.request(data.partition(b"\n\n")[2])


def luks2(data: bytes) -> bytes:
    """The checksum (LUKS2 1.1.1, 2.4) over whatever is there."""
    header = bytearray(data)
    (size,) = struct.unpack_from(">Q", header, 8)
    header = header[:size].ljust(min(size, 1 << 16), b"\x00")
    header[72:104] = b"sha256".ljust(32, b"\x00")
    header[448:512] = bytes(64)
    header[448:480] = hashlib.sha256(header).digest()
    return bytes(header)


def partition_table(data: bytes) -> bytes:
    """Both checksums of the first GPT header (UEFI 2.10, 5.3.2), for the numbers that stand there."""
    disk = bytearray(data)
    (entries_lba, count, size) = struct.unpack_from("<QII", disk, 512 + 72)
    table = disk[entries_lba * 512 : entries_lba * 512 + min(count * size, 1 << 20)]
    struct.pack_into("<I", disk, 512 + 88, zlib.crc32(table))
    (header_bytes,) = struct.unpack_from("<I", disk, 512 + 12)
    struct.pack_into("<I", disk, 512 + 16, 0)
    struct.pack_into("<I", disk, 512 + 16, zlib.crc32(disk[512 : 512 + min(header_bytes, 512)]))
    return bytes(disk)


def journal(data: bytes) -> bytes:
    """Each line names the one before, and its own place."""
    head, lines = "0" * 64, []
    for seq, raw in enumerate(data.splitlines()):
        fields = json.loads(raw) | {"previous": head, "seq": seq}
        line = json.dumps(fields, separators=(",", ":")).encode() + b"\n"
        lines.append(line)
        head = hashlib.sha256(line).hexdigest()
    return b"".join(lines)


# --- whole stories ------------------------------------------------------------------------------------------


def _digest(envelope_text: str) -> str:
    return hashlib.sha256(_payload(envelope_text)).hexdigest()


def _changed(envelope_text: str, change: Callable[[Fields], None]) -> str:
    """The statement inside, changed and signed again."""
    statement = json.loads(_payload(envelope_text))
    change(statement["predicate"])
    return _signed(_written(statement))


def _written(statement: Fields) -> bytes:
    """As the programs write it, so that what was not changed keeps its digest."""
    try:
        return rfc8785.dumps(statement)
    except rfc8785.CanonicalizationError:
        return json.dumps(statement).encode()


def _plan_again(order: Fields) -> None:
    order["plan_digest"] = hashlib.sha256(rfc8785.dumps(order["plan"])).hexdigest()


def _references(texts: list[str]) -> list[Fields]:
    return [
        {"digest": _digest(text), "keyid": json.loads(_payload(text))["predicate"]["operator"]}
        for text in texts
    ]


def _order(text: str, validation: str, approvals: list[str]) -> str:
    def change(order: Fields) -> None:
        order["plan"]["validation_digest"] = _digest(validation)
        order["basis"]["approvals"] = _references(approvals)
        _plan_again(order)

    return _changed(text, change)


def delivery(data: bytes) -> bytes:
    """Every part signed again, the order logged again."""
    fields = json.loads(data)
    fields["validation"] = _signed(_payload(fields["validation"]))
    fields["approvals"] = [_signed(_payload(text)) for text in fields["approvals"]]
    fields["order"] = _order(fields["order"], fields["validation"], fields["approvals"])
    log = documents.SampleLog(documents.build_trust())
    found = dsse.read(fields["order"].encode())
    entry = log.append(found, LogKind.ORDER)
    proof = log.proof(entry.seq)
    entry_text = Entry.of(found, kind=LogKind.ORDER, seq=entry.seq).write().decode()
    fields |= {
        "log_entry": entry_text,
        "proof": [node.hex() for node in proof.hashes],
        "checkpoint": proof.checkpoint_note.decode(),
    }
    return json.dumps(fields).encode()


def bundle(data: bytes) -> bytes:
    """Every document names the others as they are now, is signed by whoever would, and is logged; the claim
    is the one that the evidence gives, if it gives one.
    """
    fields = json.loads(data)
    fields["validation"] = _signed(_payload(fields["validation"]))
    fields["approvals"] = [_signed(_payload(text)) for text in fields["approvals"]]
    fields["decisions"] = [_signed(_payload(text)) for text in fields["decisions"]]
    fields["order"] = _order(fields["order"], fields["validation"], fields["approvals"])
    digest = _digest(fields["order"])
    fields["evidence"] = _changed(fields["evidence"], lambda evidence: evidence.update(order_digest=digest))
    fields["outcome"] = _outcome(fields, digest)
    fields["summary"] = _changed(fields["summary"], lambda summary: _summed(summary, fields, digest))
    log = documents.SampleLog(documents.build_trust())
    names = [name for name in ("allocation", "order", "outcome", "summary") if fields[name] is not None]
    seqs = {name: log.append(dsse.read(fields[name].encode()), LogKind(name)).seq for name in names}
    fields["proofs"] = [
        {"document": name, "proof": log.proof(seq).write().decode()} for name, seq in seqs.items()
    ]
    return json.dumps(fields).encode()


def _outcome(fields: Fields, order_digest: str) -> str:
    statement = json.loads(_payload(fields["outcome"]))
    statement["subject"][0]["digest"]["sha256"] = hashlib.sha256(fields["evidence"].encode()).hexdigest()
    said = statement["predicate"]
    evidence = json.loads(_payload(fields["evidence"]))["predicate"]
    entry = evidence["media"][0]
    statement["subject"][1]["digest"]["sha256"] = entry["medium"]["commitment"]
    said |= {
        "order_digest": order_digest,
        "evidence_digest": _digest(fields["evidence"]),
        "medium": entry["medium"],
    }
    said["sanitization"] |= {
        name: entry[name] for name in ("commands", "layers", "unaddressed_areas", "errors")
    }
    if said["validation"] != "not_applicable":
        said["validation"]["table_digest"] = _digest(fields["validation"])
    claim = _claim(fields, entry["medium"]["commitment"])
    if claim is not None:
        said["claim"] = claim
    return _signed(_written(statement))


def _claim(fields: Fields, medium: str) -> Fields | None:
    try:
        order = statements.read(_payload(fields["order"]), Order).predicate
        evidence = statements.read(_payload(fields["evidence"]), Evidence).predicate
        found: Fields = assurance.judge(order=order, evidence=evidence, commitment=medium).model_dump(
            mode="json"
        )
    except Refused:
        return None
    return found


def _summed(summary: Fields, fields: Fields, order_digest: str) -> None:
    summary["media"][0]["outcome_digest"] = _digest(fields["outcome"])
    summary["order_digests"][-1] = order_digest
