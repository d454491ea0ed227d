"""Makes the corpus: `python -m tests.corpus.make` writes every file and the manifest again.

Keys come from fixed seeds (tests/certificate/conftest.py) and Ed25519 signs without randomness, so that the
same program makes the same bytes; a test holds that it still does. Whoever changes a signed format runs this
and reads the difference. `--check` writes nothing and names what differs.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator
from itertools import chain

from tests.corpus.case import FOLDER, MANIFEST, Case, unpacked
from tests.corpus.forgeries import (
    bundles,
    claims,
    deliveries,
    destructions,
    disks,
    envelopes,
    hosts,
    logs,
    neighbours,
    people,
    roots,
    sessions,
    statements,
)

FORGERIES = (
    envelopes,
    statements,
    bundles,
    claims,
    people,
    hosts,
    destructions,
    logs,
    roots,
    deliveries,
    sessions,
    disks,
    neighbours,
)


def cases() -> Iterator[Case]:
    """Every item, made now. Raises ValueError where two have one name."""
    seen: set[str] = set()
    for case in chain.from_iterable(each.cases() for each in FORGERIES):
        if case.file in seen:
            raise ValueError(f"two items are called {case.file}")
        seen.add(case.file)
        yield case


def manifest(made: list[Case]) -> bytes:
    """`cases.json`: a row a line, so that a difference names the item."""
    rows = ",\n".join(json.dumps(case.row(), ensure_ascii=True) for case in made)
    return f"[\n{rows}\n]\n".encode()


def write(made: list[Case]) -> None:
    for folder in ("valid", "forged"):
        shutil.rmtree(FOLDER / folder, ignore_errors=True)
    for case in made:
        path = FOLDER / case.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(case.stored)
    MANIFEST.write_bytes(manifest(made))


def differing(made: list[Case]) -> list[str]:
    """The items whose file is another than would be made now."""
    found = [
        case.file for case in made if not (FOLDER / case.file).exists() or unpacked(case.file) != case.data
    ]
    return found if MANIFEST.read_bytes() == manifest(made) else [*found, MANIFEST.name]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.corpus.make", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a file differs")
    made = list(cases())
    if not parser.parse_args().check:
        write(made)
        print(f"{len(made)} files, {sum(case.is_forged for case in made)} of them forged")
        return 0
    found = differing(made)
    print("\n".join(found) or "the same")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
