"""Notes, checkpoints, proofs and log entries: the line formats of the log."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

from certificate.envelope import Envelope
from certificate.log import checkpoint as log_checkpoint
from certificate.log import note as log_note
from certificate.log.checkpoint import Checkpoint
from certificate.log.entry import Entry, LogKind
from certificate.log.note import MAX_NOTE_BYTES
from certificate.log.proof import MAX_PROOF_BYTES
from tests.corpus.case import Case
from tests.corpus.papers import KEYS, documents

ROOT = documents.build_trust()
ORIGIN = ROOT.log.origin
HONEST = Checkpoint(origin=ORIGIN, size=5, root=hashlib.sha256(b"root").digest())
OTHER_ORIGIN = log_checkpoint.origin("evil.example", KEYS.log.public)
INVALID = "CHECKPOINT_INVALID"


def cases() -> Iterator[Case]:
    yield from _notes()
    yield from _checkpoints()
    yield from _proofs()
    yield from _entries()


def _case(kind: str, name: str, code: str, sentence: str, data: bytes, **fields: Any) -> Case:
    file = f"forged/{kind}/{name}.txt"
    return Case(file=file, kind=kind, code=code, sentence=sentence, data=data, **fields)


def _valid(kind: str, sentence: str, data: bytes) -> Case:
    return Case(file=f"valid/{kind}.txt", kind=kind, code=None, sentence=sentence, data=data)


def _notes() -> Iterator[Case]:
    text = b"a text of two lines\nand nothing else\n"
    honest = log_note.sign(text, name=ORIGIN, signer=KEYS.log)
    _, _, below = honest.partition(b"\n\n")
    stranger = log_note.sign(text, name=ORIGIN, signer=KEYS.stranger).partition(b"\n\n")[2]
    yield _valid("note", "A note of two lines, signed by the log's key.", honest)
    yield _case(
        "note", "edited", INVALID, "One letter of the text is another.", honest.replace(b"two", b"twO")
    )
    yield _case("note", "no_signature", INVALID, "The text alone.", text + b"\n")
    yield _case("note", "no_empty_line", INVALID, "Text and signature run together.", text + below)
    yield _case(
        "note", "by_a_stranger", INVALID, "A stranger's key under the log's name.", text + b"\n" + stranger
    )
    yield _case("note", "line_cut", INVALID, "The last line feed is missing.", honest[:-1])
    yield _case(
        "note",
        "hyphen_for_dash",
        INVALID,
        "A hyphen where the dash belongs.",
        honest.replace("—".encode(), b"-"),
    )
    yield _case(
        "note", "carriage_return", INVALID, "Lines that end as on Windows.", honest.replace(b"\n", b"\r\n")
    )
    yield _case("note", "not_utf8", INVALID, "A byte that no UTF-8 has.", honest.replace(b"two", b"t\xffo"))
    yield _case(
        "note", "base64_spare", INVALID, "A signature with its padding gone.", honest.rstrip(b"=\n") + b"\n"
    )
    yield _case(
        "note",
        "name_with_plus",
        INVALID,
        "A name that a key file would read as a key.",
        text + b"\n" + below.replace(ORIGIN.encode(), b"a+b"),
    )
    yield _case(
        "note",
        "second_line_lies",
        INVALID,
        "Two signatures under the known key's name and id, one of them wrong.",
        honest
        + below.replace(_body(below), base64.b64encode(base64.b64decode(_body(below))[:4] + bytes(64))),
    )
    yield _case(
        "note",
        "short_signature",
        INVALID,
        "A known key's id and three bytes.",
        text + b"\n" + below.replace(_body(below), base64.b64encode(base64.b64decode(_body(below))[:7])),
    )
    many = b"".join("— other.example AAAAAAAA\n".encode() for _ in range(101))
    yield _case("note", "many_signatures", INVALID, "A hundred and one signature lines.", text + b"\n" + many)
    smuggled = text + b"\n" + b"a second text\n\n" + below
    yield _case("note", "text_split_earlier", INVALID, "An empty line put into the text.", smuggled)
    yield _case(
        "note", "too_large", INVALID, "A megabyte of spaces.", honest, padded_to_bytes=MAX_NOTE_BYTES + 1
    )


def _body(line: bytes) -> bytes:
    return line.rstrip(b"\n").rpartition(b" ")[2]


def _signed(text: bytes, *, name: str = ORIGIN, signer: Any = KEYS.log) -> bytes:
    """Text that a log would never sign, signed by it."""
    line = log_note.signature_of(text, name=name, signer=signer)
    return log_note.Note(text=text, signatures=(line,)).write()


def _checkpoints() -> Iterator[Case]:
    body = HONEST.body()
    root = base64.b64encode(HONEST.root)
    yield _valid("checkpoint", "A checkpoint of the trusted log.", log_checkpoint.sign(HONEST, KEYS.log))
    other = Checkpoint(origin=OTHER_ORIGIN, size=5, root=HONEST.root)
    yield _case(
        "checkpoint",
        "other_origin",
        INVALID,
        "Of another log, under its own name.",
        log_checkpoint.sign(other, KEYS.log),
    )
    yield _case(
        "checkpoint",
        "other_origin_our_name",
        INVALID,
        "Of another log, signed under ours.",
        _signed(other.body()),
    )
    yield _case(
        "checkpoint",
        "by_the_issuer_key",
        INVALID,
        "Signed by a key that is not the log's.",
        log_checkpoint.sign(HONEST, KEYS.issuer),
    )
    yield _case(
        "checkpoint",
        "size_edited",
        INVALID,
        "The size is one more than was signed.",
        log_checkpoint.sign(HONEST, KEYS.log).replace(b"\n5\n", b"\n6\n"),
    )
    yield _case(
        "checkpoint",
        "leading_zero",
        INVALID,
        "A size with a leading zero.",
        _signed(body.replace(b"\n5\n", b"\n05\n")),
    )
    yield _case(
        "checkpoint", "plus_sign", INVALID, "A size with a sign.", _signed(body.replace(b"\n5\n", b"\n+5\n"))
    )
    yield _case(
        "checkpoint",
        "arabic_digit",
        INVALID,
        "A size in other digits.",
        _signed(body.replace(b"\n5\n", "\n٥\n".encode())),
    )
    yield _case(
        "checkpoint",
        "size_beyond",
        INVALID,
        "A tree larger than 2^63.",
        _signed(body.replace(b"\n5\n", b"\n9223372036854775808\n")),
    )
    yield _case(
        "checkpoint",
        "extension_line",
        INVALID,
        "A fourth line, which no ML-DSA signature would cover.",
        _signed(body + b"time 1\n"),
    )
    yield _case(
        "checkpoint",
        "short_root",
        INVALID,
        "A root of 31 bytes.",
        _signed(body.replace(root, base64.b64encode(bytes(31)))),
    )
    yield _case(
        "checkpoint",
        "root_urlsafe",
        INVALID,
        "A root in the other alphabet.",
        _signed(body.replace(root, b"_" + root[1:])),
    )
    yield _case(
        "checkpoint",
        "empty_tree",
        INVALID,
        "An empty tree with a root.",
        _signed(body.replace(b"\n5\n", b"\n0\n")),
    )
    yield _case(
        "checkpoint",
        "no_origin",
        INVALID,
        "A checkpoint without its origin.",
        _signed(body.replace(ORIGIN.encode(), b"", 1)),
    )


def _order_log() -> tuple[Any, bytes]:
    log = documents.SampleLog(ROOT)
    log.append(documents.sign_order(documents.build_order()), LogKind.ORDER)
    log.append(documents.signed_as(documents.build_withdrawal(), KEYS.order), LogKind.WITHDRAWAL)
    return log, log.proof(3).write()


def _proofs() -> Iterator[Case]:
    log, honest = _order_log()
    head, _, note = honest.partition(b"\n\n")
    lines = head.split(b"\n")
    invalid = "PROOF_INVALID"

    def of(*new: bytes, below: bytes = note) -> bytes:
        return b"\n".join(new) + b"\n\n" + below

    yield _valid("proof", "That the sample order stands in the log.", honest)
    yield _case(
        "proof", "of_another_entry", invalid, "The proof of the entry behind it.", log.proof(4).write()
    )
    yield _case(
        "proof",
        "index_edited",
        invalid,
        "The right path under another index.",
        honest.replace(b"index 3", b"index 2"),
    )
    yield _case("proof", "hash_missing", invalid, "The last hash is cut off.", of(*lines[:-1]))
    yield _case("proof", "hash_too_many", invalid, "One hash more than the path has.", of(*lines, lines[-1]))
    yield _case(
        "proof",
        "hashes_swapped",
        invalid,
        "Two hashes changed places.",
        of(*lines[:-2], lines[-1], lines[-2]),
    )
    yield _case(
        "proof", "hash_altered", invalid, "A hash of zeros.", of(*lines[:-1], base64.b64encode(bytes(32)))
    )
    yield _case(
        "proof", "hash_short", invalid, "A hash of 31 bytes.", of(*lines[:-1], base64.b64encode(bytes(31)))
    )
    yield _case(
        "proof",
        "hash_unpadded",
        invalid,
        "A hash without its padding.",
        of(*lines[:-1], lines[-1].rstrip(b"=")),
    )
    yield _case(
        "proof", "many_hashes", invalid, "A path of two hundred hashes.", of(*lines, *[lines[-1]] * 200)
    )
    yield _case("proof", "index_missing", invalid, "No index.", of(lines[0], *lines[2:]))
    yield _case(
        "proof",
        "index_zero_padded",
        invalid,
        "An index with a leading zero.",
        honest.replace(b"index 3", b"index 03"),
    )
    yield _case(
        "proof",
        "index_of_sixty_digits",
        invalid,
        "An index that no tree has.",
        honest.replace(b"index 3", b"index " + b"9" * 60),
    )
    yield _case("proof", "other_version", invalid, "Of a later version.", honest.replace(b"@v1", b"@v2"))
    yield _case(
        "proof",
        "two_extras",
        invalid,
        "Two extra lines.",
        of(lines[0], b"extra AAAA", b"extra AAAA", *lines[1:]),
    )
    yield _case("proof", "no_checkpoint", INVALID, "The checkpoint is missing.", of(*lines, below=b""))
    forged = Checkpoint(origin=ORIGIN, size=5, root=bytes(32))
    yield _case(
        "proof",
        "checkpoint_by_a_stranger",
        INVALID,
        "A checkpoint of a stranger's.",
        of(*lines, below=log_checkpoint.sign(forged, KEYS.stranger)),
    )
    yield _case(
        "proof",
        "root_of_another_log",
        invalid,
        "A true checkpoint over another tree.",
        of(*lines, below=log_checkpoint.sign(forged, KEYS.log)),
    )
    smaller = Checkpoint(origin=ORIGIN, size=3, root=bytes(32))
    yield _case(
        "proof",
        "checkpoint_too_small",
        invalid,
        "A checkpoint from before the entry.",
        of(*lines, below=log_checkpoint.sign(smaller, KEYS.log)),
    )
    yield _case(
        "proof", "too_large", invalid, "A megabyte of spaces.", honest, padded_to_bytes=MAX_PROOF_BYTES + 1
    )


def _entries() -> Iterator[Case]:
    order: Envelope = documents.sign_order(documents.build_order())
    honest = Entry.of(order, kind=LogKind.ORDER, seq=3).write()
    invalid = "ENTRY_INVALID"
    rows = (
        ("kind_unknown", "A kind that nobody declared.", honest.replace(b"kind order", b"kind erasure")),
        ("genesis_elsewhere", "A second genesis.", honest.replace(b"kind order", b"kind genesis")),
        ("order_at_zero", "An order where genesis stands.", honest.replace(b"seq 3", b"seq 0")),
        (
            "digest_upper_case",
            "A digest in capitals.",
            honest.replace(b"sha256:", b"sha256:A", 1).replace(
                b"A" + honest.split(b"sha256:")[1][:1], b"A", 1
            ),
        ),
        ("seq_padded", "A leading zero.", honest.replace(b"seq 3", b"seq 03")),
        ("seq_huge", "A place beyond 2^63.", honest.replace(b"seq 3", b"seq 9999999999999999999")),
        ("seventh_line", "A line behind the last.", honest + b"note x\n"),
        (
            "line_order",
            "Two lines changed places.",
            b"".join(honest.splitlines(keepends=True)[index] for index in (0, 2, 1, 3, 4, 5)),
        ),
        ("carriage_return", "Lines that end as on Windows.", honest.replace(b"\n", b"\r\n")),
        ("no_last_line_feed", "The last line feed is missing.", honest[:-1]),
        ("other_header", "Another version.", honest.replace(b"log/v1", b"log/v2")),
        ("key_md5", "A fingerprint of another kind.", honest.replace(b"key SHA256:", b"key MD5:")),
        ("json", "JSON instead of lines.", b'{"kind":"order"}'),
        ("too_long", "Three hundred and one bytes.", b"x" * 301),
    )
    yield _valid("log_entry", "The entry of an order.", honest)
    for name, sentence, data in rows:
        yield _case("log_entry", name, invalid, sentence, data)
