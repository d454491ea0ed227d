"""The largest inputs that a reader still reads: none of them takes long, or more memory than it has to.

Each of these took seconds, some of them gigabytes, or would in a reader without its limits. Processor time is
counted, not the clock's, and the bound is far above what is measured (0.5 s at most).
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest

from certificate.keys import PrivateKey
from certificate.operators import MAX_ENROLMENTS, enrolled_operators
from certificate.statements.statement import MAX_STATEMENT_BYTES
from tests.corpus import readers
from tests.corpus.case import unpacked
from tests.corpus.forgeries.neighbours import HEAD
from tests.corpus.papers import KEYS, documents, parts, put, story

MAX_SECONDS = 4.0
#: Of address space, for the interpreter, the libraries and one reader of a megabyte.
MAX_MEMORY_BYTES = 1 << 30
ROW = "host-%d,s1,r1,Ada,default,rented,127.0.0.1:22,%s,e7,4c4c\n"
MANY_DRIVES = ";".join(f"{number}|M|" for number in range(13_000))


def written(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def filled(kind: str, path: str, member: Any, *, to_bytes: int = MAX_STATEMENT_BYTES - 1000) -> bytes:
    """The valid item of this kind with as many of `member` at `path` as it may hold."""
    document = json.loads(unpacked(f"valid/{kind}.json"))
    count = (to_bytes - len(written(document))) // (len(written(member)) + 1)
    return written(put(document, path, [member] * count))


def decisions(*, kind: str, count: int) -> bytes:
    """An honest bundle with decisions that nobody asked for, by a stranger."""
    made = documents.build_decision(KEYS.stranger, kind=kind, enrols="not_applicable").write().decode()
    return written(parts(story().by_hand(KEYS.bob)) | {"decisions": [made] * count})


def signed_by_many(signature: bytes, count: int) -> bytes:
    fields = parts(story())
    lines = "".join(f"— a {base64.b64encode(signature).decode()}\n" for _ in range(count))
    return written(
        fields | {"proofs": [each | {"proof": each["proof"] + lines} for each in fields["proofs"]]}
    )


LARGEST: dict[str, tuple[str, Callable[[], bytes]]] = {
    "empty objects where answers belong": (
        "order_statement",
        lambda: filled("order_statement", "predicate.basis.answers", {}),
    ),
    "numbers where answers belong": (
        "order_statement",
        lambda: filled("order_statement", "predicate.basis.answers", 0),
    ),
    "empty objects where media belong": (
        "evidence_statement",
        lambda: filled("evidence_statement", "predicate.media", {}),
    ),
    "capabilities without end": (
        "judged_evidence",
        lambda: filled("evidence_statement", "predicate.media.0.capabilities", {"field": "A", "raw": "00"}),
    ),
    "unknown fields without end": (
        "order_statement",
        lambda: written(
            json.loads(unpacked("valid/order_statement.json")) | {f"k{number}": 0 for number in range(70_000)}
        ),
    ),
    "brackets without end": ("order_statement", lambda: b"[" * 999_000),
    "digits without end": ("order_statement", lambda: b'{"a":' + b"1" * 990_000 + b"}"),
    "an exponent without end": ("order_statement", lambda: b'{"a":1e' + b"1" * 990_000 + b"}"),
    "signatures without end": ("envelope", lambda: b'{"signatures":[' + b"0," * 600_000 + b"0]}"),
    "empty lines without end": ("checkpoint", lambda: b"\n" * 990_000),
    "signature lines without end": ("checkpoint", lambda: b"a\n\n" + "— a AAAAAAAA\n".encode() * 60_000),
    "proof lines without end": (
        "proof",
        lambda: b"c2sp.org/tlog-proof@v1\nindex 1\n" + b"A\n" * 480_000 + b"\nx",
    ),
    "decisions that nobody asked for": ("bundle", lambda: decisions(kind="freeze", count=540)),
    "removals that nobody asked for": ("bundle", lambda: decisions(kind="remove", count=540)),
    "ninety-nine long signatures": ("bundle", lambda: signed_by_many(bytes(6000), 99)),
    "approvals without end": (
        "request_line",
        lambda: written(
            {
                "line": "execute",
                "delivery": json.loads(unpacked("valid/delivery.json")) | {"approvals": ["x"] * 200_000},
                "host_salt": "",
                "media_salts": [],
            }
        ),
    ),
    "rows without cells": ("hosts_file", lambda: (HEAD + "\n" + "a\n" * 1_990_000).encode()),
    "drives without end": (
        "hosts_file",
        lambda: (HEAD + "\n" + "".join(ROW % (n, MANY_DRIVES) for n in range(20))).encode(),
    ),
    "lines without end": ("journal", lambda: b"x\n" * 2_000_000),
    "an annex of four megabytes": (
        "annex",
        lambda: filled("annex", "media", {"commitment": "x", "salt": "", "serial": ""}, to_bytes=3_990_000),
    ),
    "a policy draft of wrong rows": (
        "policy_draft",
        lambda: filled("policy_draft", "rows", 0, to_bytes=499_000),
    ),
}


@pytest.mark.parametrize("name", sorted(LARGEST))
def test_the_largest_input_is_read_in_no_time(name: str) -> None:
    kind, make = LARGEST[name]
    data, under = make(), readers.under(unpacked("valid/trust_root.json"))
    begun = time.process_time()
    readers.code_of(kind, data, under)
    assert time.process_time() - begun < MAX_SECONDS


def test_a_chain_of_sixty_newcomers_is_followed_in_no_time() -> None:
    """Each vouched for by the two before, told in the worst order."""
    people = [KEYS.alice, KEYS.bob]
    chain: list[bytes] = []
    for number in range(MAX_ENROLMENTS // 2):
        newcomer = PrivateKey.from_seed(sha256(b"newcomer %d" % number).digest())
        fields = {
            "enrols": newcomer.public.raw.hex(),
            "on": sha256(newcomer.public.raw).hexdigest(),
            "effective_at": "2026-11-15T09:00:00Z",
        }
        chain += [documents.build_decision(each, **fields).write() for each in people[-2:]]
        people.append(newcomer)
    begun = time.process_time()
    found = enrolled_operators(documents.build_trust(), chain[::-1], documents.NOW)
    assert time.process_time() - begun < MAX_SECONDS
    assert len(found.keys) == len(people)


SCRIPT = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (%d, %d))
from tests.corpus.test_bounds import LARGEST
from tests.corpus import readers
from tests.corpus.case import unpacked
kind, make = LARGEST[sys.argv[1]]
print(readers.code_of(kind, make(), readers.under(unpacked("valid/trust_root.json"))))
"""


@pytest.mark.parametrize(
    "name", ["empty objects where answers belong", "empty objects where media belong", "rows without cells"]
)
def test_a_flood_of_wrong_members_takes_no_gigabytes(name: str) -> None:
    """Pydantic kept every error of every member; 31 s and 2.6 GB for one megabyte."""
    script = SCRIPT % (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES)
    done = subprocess.run([sys.executable, "-c", script, name], capture_output=True, text=True, check=False)
    assert done.stdout.strip() in ("MALFORMED", "IMPORT_INVALID"), done.stderr[-400:]
