"""One item of the corpus: bytes that somebody might send, what was forged in them, what the reader says.

Bundles and images of disks lie compressed (`gunzip -k FILE`); everything else lies as it is sent.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Where the corpus lies.
FOLDER = Path(__file__).parent
MANIFEST = FOLDER / "cases.json"
#: The trust root under which an item is read, unless it names another.
ROOT = "valid/trust_root.json"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One item. `file` is relative to the corpus; `code` is None where the reader takes it."""

    file: str
    kind: str
    code: str | None
    #: What was forged, or what is honest about it.
    sentence: str
    data: bytes
    #: The trust root that the reader holds.
    under: str = ROOT
    #: Spaces follow up to this many bytes: nobody stores megabytes of nothing.
    padded_to_bytes: int | None = None
    #: What the refusal's reason has to say, where the code alone could be for another fault.
    words: str | None = None
    #: What a reader that refuses nothing finds (partition tables): byte offsets.
    finds: tuple[int, ...] | None = None

    @property
    def is_forged(self) -> bool:
        return self.file.startswith("forged/")

    @property
    def whole(self) -> bytes:
        """The bytes as the reader gets them."""
        return self.data.ljust(self.padded_to_bytes or 0, b" ")

    @property
    def stored(self) -> bytes:
        """The bytes of its file. Without a time, so that the same item is the same file."""
        return gzip.compress(self.data, mtime=0) if self.file.endswith(".gz") else self.data

    def row(self) -> dict[str, Any]:
        """The item as it stands in the manifest."""
        row: dict[str, Any] = {
            "file": self.file,
            "kind": self.kind,
            "code": self.code,
            "sentence": self.sentence,
        }
        if self.under != ROOT:
            row["under"] = self.under
        if self.padded_to_bytes is not None:
            row["padded_to_bytes"] = self.padded_to_bytes
        if self.words is not None:
            row["words"] = self.words
        if self.finds is not None:
            row["finds"] = list(self.finds)
        return row

    @classmethod
    def of_row(cls, row: dict[str, Any]) -> Case:
        """The item as manifest and file have it."""
        finds = row.get("finds")
        return cls(
            file=row["file"],
            kind=row["kind"],
            code=row["code"],
            sentence=row["sentence"],
            data=unpacked(row["file"]),
            under=row.get("under", ROOT),
            padded_to_bytes=row.get("padded_to_bytes"),
            words=row.get("words"),
            finds=None if finds is None else tuple(finds),
        )


def unpacked(file: str) -> bytes:
    """What the file `file` of the corpus holds."""
    data = (FOLDER / file).read_bytes()
    return gzip.decompress(data) if file.endswith(".gz") else data
