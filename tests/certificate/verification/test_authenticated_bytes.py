"""Every byte of a bundle that says something is covered by a signature or a hash: change it, and it fails.

The bytes that may change are `free_positions`: white space between the bundle's own tokens, and the `keyid`
of an envelope, which is a hint. What else may be written otherwise, in more than a byte, is the table
`OTHERWISE` (docs/verify-by-hand.md has it too). None of it alters what is verified: the `Verified` is equal,
claim, people, log and all. Of the evidence nothing is free, because the outcome names its file and not only
what was signed in it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from certificate import envelope as dsse
from certificate.bundle import Bundle
from certificate.errors import Refused
from certificate.policy import Policy
from certificate.statements import Evidence, Order, Outcome, Predicate, Summary, ValidationTable
from certificate.trust import TrustRoot
from certificate.verify import Verified, verify

Fields = dict[str, Any]
#: How many positions of the file are changed and verified as a whole; each of them costs about 10 ms.
SAMPLED_POSITIONS = 3000
SEED = 20261122
KINDS: dict[str, type[Predicate]] = {
    "outcome": Outcome,
    "summary": Summary,
    "order": Order,
    "validation": ValidationTable,
}
WHITE_SPACE = b" \t\n\r"


@dataclass(frozen=True)
class Honest:
    """A bundle as a file, under its root, and what it says."""

    data: bytes
    root: TrustRoot
    said: Verified

    @property
    def fields(self) -> Fields:
        found: Fields = json.loads(self.data)
        return found

    def verified(self, data: bytes) -> Verified:
        return verify(Bundle.read(data), self.root, Policy.production())


@pytest.fixture(scope="module")
def honest(tools: dict[str, Any], make_story: Callable[..., Any]) -> Honest:
    """With two people behind it, so that approvals are there too."""
    story = make_story().by_hand(tools["keys"].bob)
    data = story.build().write()
    return Honest(data, story.root, verify(Bundle.read(data), story.root, Policy.production()))


# --- which bytes are free -----------------------------------------------------------------------------------


def free_positions(data: bytes) -> set[int]:
    """Positions whose byte may become another of the same sort without changing what the file says."""
    text = data.decode("ascii")
    found: set[int] = set()
    for match in re.finditer(r'"(?:[^"\\]|\\.)*"|\s', text):
        token = match.group()
        if token in " \t\r\n":
            found.add(match.start())
    for match in re.finditer(r'"(?:[^"\\]|\\.)*"', text):
        if '\\"payloadType\\"' in match.group() and not _is_evidence(text, match.start()):
            found |= _hints(text, match.start(), match.end())
    return found


def _is_evidence(text: str, start: int) -> bool:
    return text[:start].rstrip().endswith('"evidence":')


def _hints(text: str, start: int, end: int) -> set[int]:
    """The characters of an envelope's keyid."""
    keyid = re.compile(r'\\"keyid\\":\\"([^\\"]*)\\"').search(text, start, end)
    assert keyid is not None
    return set(range(keyid.start(1), keyid.end(1)))


def changed(data: bytes, at: int, byte: int) -> bytes:
    return data[:at] + bytes([byte]) + data[at + 1 :]


def others(data: bytes, at: int, choose: random.Random, count: int) -> Iterator[int]:
    """Bytes that do not stand there: a near one, and any."""
    yield data[at] ^ 1
    for _ in range(count - 1):
        yield choose.choice([byte for byte in range(256) if byte != data[at]])


def is_same_sort(data: bytes, at: int, byte: int) -> bool:
    """White space for white space; in a keyid, a printable character that ends no text."""
    if data[at : at + 1] in (b" ", b"\t", b"\n", b"\r"):
        return byte in WHITE_SPACE
    return 0x20 <= byte < 0x7F and byte not in b'"\\'


# --- each byte of the file, and each of what is signed ------------------------------------------------------


def test_a_changed_byte_of_the_file_fails_unless_it_is_free(honest: Honest) -> None:
    choose = random.Random(SEED)
    free = free_positions(honest.data)
    positions = choose.sample(range(len(honest.data)), SAMPLED_POSITIONS)
    passed = 0
    for at in positions:
        byte = next(others(honest.data, at, choose, 1)) if at % 2 else choose.randrange(256)
        if byte == honest.data[at]:
            continue
        try:
            said = honest.verified(changed(honest.data, at, byte))
        except Refused:
            assert not (at in free and is_same_sort(honest.data, at, byte)), f"byte {at} should be free"
            continue
        assert at in free, f"byte {at} ({honest.data[at : at + 1]!r}) may change to {byte:#x}"
        assert said == honest.said
        passed += 1
    assert passed, "no free byte was among them"


def test_every_free_byte_of_the_file_is_free(honest: Honest) -> None:
    """All of them at once, so that no sampling is needed."""
    data = bytearray(honest.data)
    free = free_positions(honest.data)
    for at in free:
        data[at] = ord("\t") if data[at : at + 1] in (b" ", b"\t", b"\n", b"\r") else ord("x")
    assert len(free) > 300
    assert honest.verified(bytes(data)) == honest.said


@pytest.mark.parametrize("name", sorted(KINDS))
def test_each_changed_byte_of_an_envelope_breaks_it_or_is_a_hint(honest: Honest, name: str) -> None:
    """Every position, not a sample: payload, signature, type, names of fields and punctuation."""
    choose = random.Random(SEED)
    text: bytes = honest.fields[name].encode()
    honest_envelope = dsse.read(text)
    seq = 0 if name != "outcome" else 4
    keyid = re.search(rb'"keyid":"([^"]*)"', text)
    assert keyid is not None
    for at in range(len(text)):
        for byte in others(text, at, choose, 2):
            try:
                data = changed(text, at, byte)
                found = dsse.read(data)
                honest.root.open_statement(data, KINDS[name], seq=seq)
            except Refused:
                continue
            is_hint = keyid.start(1) <= at < keyid.end(1) or text[at] in WHITE_SPACE
            assert is_hint, f"byte {at} of the {name} may change to {byte:#x}"
            assert (found.payload, found.signature) == (honest_envelope.payload, honest_envelope.signature)


def test_each_changed_byte_of_the_evidence_makes_it_another_file(honest: Honest) -> None:
    text = honest.fields["evidence"].encode()
    named = honest.said.outcome.evidence_digest
    digest = hashlib.sha256(text).hexdigest()
    choose = random.Random(SEED)
    for at in range(len(text)):
        (byte,) = others(text, at, choose, 1)
        data = changed(text, at, byte)
        assert hashlib.sha256(data).hexdigest() != digest
        try:
            statement, found = honest.root.open_evidence(data, boot_id=honest.said.order.boot_id)
        except Refused:
            continue
        assert found == named
        assert isinstance(statement.predicate, Evidence)


@pytest.mark.parametrize("index", range(3))
def test_each_changed_byte_of_a_proof_fails(honest: Honest, index: int) -> None:
    fields = honest.fields
    text = fields["proofs"][index]["proof"]
    choose = random.Random(SEED)
    for at in range(len(text)):
        byte = choose.choice([byte for byte in range(0x20, 0x7F) if byte != ord(text[at])])
        fields["proofs"][index]["proof"] = text[:at] + chr(byte) + text[at + 1 :]
        with pytest.raises(Refused):
            honest.verified(json.dumps(fields).encode())


# --- what else may be written otherwise ---------------------------------------------------------------------

Spelling = Callable[[Fields], bytes]


def _spaced(fields: Fields) -> bytes:
    return json.dumps(fields, indent=7).encode() + b"\r\n \t"


def _reordered(fields: Fields) -> bytes:
    return json.dumps(dict(reversed(fields.items()))).encode()


def _proofs_reordered(fields: Fields) -> bytes:
    return json.dumps(fields | {"proofs": fields["proofs"][::-1]}).encode()


def _approvals_reordered(fields: Fields) -> bytes:
    return json.dumps(fields | {"approvals": fields["approvals"][::-1]}).encode()


def _escaped(fields: Fields) -> bytes:
    """Letters as escapes: JSON's other spelling of the same text."""
    return re.sub(rb"payload", rb"\\u0070ayload", json.dumps(fields).encode())


def _each_envelope(change: Callable[[Fields], str]) -> Spelling:
    def spell(fields: Fields) -> bytes:
        for name in KINDS:
            fields[name] = change(json.loads(fields[name]))
        for name in ("approvals", "trust_roots"):
            fields[name] = [change(json.loads(text)) for text in fields[name]]
        return json.dumps(fields).encode()

    return spell


def _keyid(value: str) -> Callable[[Fields], str]:
    def change(envelope: Fields) -> str:
        envelope["signatures"][0]["keyid"] = value
        return json.dumps(envelope)

    return change


def _without_keyid(envelope: Fields) -> str:
    del envelope["signatures"][0]["keyid"]
    return json.dumps(envelope)


def _url_safe(envelope: Fields) -> str:
    for place, name in ((envelope, "payload"), (envelope["signatures"][0], "sig")):
        place[name] = base64.urlsafe_b64encode(base64.b64decode(place[name])).decode()
    return json.dumps(envelope)


def _turned(envelope: Fields) -> str:
    return json.dumps(dict(reversed(envelope.items())), indent=2)


def _each_proof(change: Callable[[str], str]) -> Spelling:
    def spell(fields: Fields) -> bytes:
        for proof in fields["proofs"]:
            proof["proof"] = change(proof["proof"])
        return json.dumps(fields).encode()

    return spell


def _with_extra(proof: str) -> str:
    head, line, rest = proof.partition("\n")
    return head + line + "extra " + base64.b64encode(b"believed by nobody").decode() + "\n" + rest


def _with_unknown_signature(proof: str) -> str:
    return proof + "— witness.example " + base64.b64encode(b"\x00\x01\x02\x03" + bytes(64)).decode() + "\n"


#: What docs/verify-by-hand.md lists under "What may change".
OTHERWISE: dict[str, Spelling] = {
    "white space between the tokens of the bundle": _spaced,
    "the order of the bundle's fields": _reordered,
    "the order of the proofs": _proofs_reordered,
    "the order of the approvals": _approvals_reordered,
    "JSON escapes for the same characters": _escaped,
    "spacing and order of an envelope's fields, not the evidence's": _each_envelope(_turned),
    "the keyid of an envelope, not the evidence's: emptied": _each_envelope(_keyid("")),
    "the keyid of an envelope, not the evidence's: another": _each_envelope(_keyid("SHA256:nobody")),
    "the keyid of an envelope, not the evidence's: left out": _each_envelope(_without_keyid),
    "base64 in its URL-safe alphabet, not the evidence's": _each_envelope(_url_safe),
    "the `extra` line of a proof": _each_proof(_with_extra),
    "signature lines of keys that the trust root does not name": _each_proof(_with_unknown_signature),
}


@pytest.mark.parametrize("name", sorted(OTHERWISE))
def test_another_spelling_alters_nothing_that_is_verified(honest: Honest, name: str) -> None:
    data = OTHERWISE[name](honest.fields)
    assert data != honest.data
    assert honest.verified(data) == honest.said


def test_the_same_spelling_of_the_evidence_is_another_file(honest: Honest) -> None:
    fields = honest.fields
    for change in (_turned, _keyid(""), _without_keyid, _url_safe):
        other = fields | {"evidence": change(json.loads(fields["evidence"]))}
        with pytest.raises(Refused):
            honest.verified(json.dumps(other).encode())
