"""What this home handed out: the largest log that its own certificates show.

Rules: only checkpoints that a log key of the trust root signed count; a file that is no bundle is passed
over, because people keep other files there too; the newest files are read, because a log only grows. What
strangers hold nobody here can read; these are the copies of it that we kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from certificate.bundle import MAX_BUNDLE_BYTES, Bundle
from certificate.errors import Refused
from certificate.log import proof as log_proof
from certificate.log.checkpoint import Checkpoint
from certificate.trust import TrustRoot

#: A few seconds of reading; each file is of a log as large as the one before, or larger.
MAX_FILES = 200


def largest_shown(folders: Iterable[Path], trust: TrustRoot) -> Checkpoint | None:
    """The largest checkpoint in the bundles of these folders; None where there is none."""
    found = [path for folder in folders if folder.is_dir() for path in folder.rglob("*.bundle.json")]
    newest = sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)[:MAX_FILES]
    shown = [checkpoint for path in newest for checkpoint in _shown(path, trust)]
    return max(shown, key=lambda checkpoint: checkpoint.size, default=None)


def _shown(path: Path, trust: TrustRoot) -> list[Checkpoint]:
    try:
        with path.open("rb") as file:
            bundle = Bundle.read(file.read(MAX_BUNDLE_BYTES + 1))
        notes = [log_proof.read(entry.proof.encode()).checkpoint_note for entry in bundle.proofs]
        return [trust.open_checkpoint(note) for note in notes]
    except (OSError, Refused):
        return []
