"""A provider's way of telling people, cut down to a file: what is told is appended, the record is printed.

python -m demo.postman --mailbox FILE WORD ...
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="demo.postman", description="Appends one message to a mailbox.")
    parser.add_argument("--mailbox", type=Path, required=True)
    parser.add_argument("words", nargs="+")
    arguments = parser.parse_args(argv)
    record = json.dumps({"at": datetime.now(UTC).isoformat(), "told": arguments.words})
    # one write of less than a page: two postmen at once do not mix their lines
    with arguments.mailbox.open("ab", buffering=0) as mailbox:
        mailbox.write(record.encode() + b"\n")
        os.fsync(mailbox.fileno())
    print(record)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
