"""What an overwrite leaves at each place of a medium: the content a marker is compared with afterwards.

Rules: it follows from the technique and its aim alone, never from what was read; a technique that leaves
nothing one could say beforehand has none; the namespaces of a medium are one stream (`devices.layout`), and
the drive's own overwrite repeats its 32-bit pattern from the start of each.
"""

from __future__ import annotations

from collections.abc import Callable

from agent.devices.layout import Layout
from agent.journal_bodies import OverwriteRead
from agent.techniques.technique import Aim, Facts
from certificate import keystream
from certificate.statements import Seen
from certificate.statements.vocabulary import OverwritePattern, Technique

#: What stands at (nsid, offset in bytes from its start, length in bytes).
Content = Callable[[int, int, int], bytes]


def pattern_of(technique: Technique | None) -> OverwritePattern | None:
    """The pattern that a technique of the host's writes, None for every other."""
    match technique:
        case Technique.OVERWRITE_KEYSTREAM:
            return OverwritePattern.KEYSTREAM
        case Technique.OVERWRITE_ZERO:
            return OverwritePattern.ZERO
        case _:
            return None


def content_after(technique: Technique | None, aim: Aim) -> Content | None:
    """The content after `technique`, None where nobody can say it."""
    match technique:
        case Technique.OVERWRITE_ZERO:
            return lambda nsid, offset_bytes, length_bytes: bytes(length_bytes)
        case Technique.OVERWRITE_KEYSTREAM:
            return _keystream(aim)
        case Technique.NVME_SANITIZE_OVERWRITE:
            return _repeated(keystream.sanitize_pattern(aim.key))
        case _:
            return None


def read_of(facts: Facts) -> OverwriteRead | None:
    """What the host's pass did, as the journal keeps it; None where it wrote nothing."""
    done = facts.overwrite
    if done is None:
        return None
    return OverwriteRead(
        pattern=done.pattern.value,
        bytes_written=done.bytes_written,
        bytes_failed=done.bytes_failed,
        was_flushed=done.was_flushed.value,
    )


def is_whole(read: OverwriteRead | None, aim: Aim) -> bool:
    """The host's pass wrote every byte of the layout, and the drive said that nothing waits in a cache."""
    if read is None:
        return False
    capacity_bytes = sum(size_bytes for _, size_bytes in aim.layout)
    is_complete = (read.bytes_written, read.bytes_failed) == (capacity_bytes, 0)
    return is_complete and read.was_flushed == Seen.YES.value


def _keystream(aim: Aim) -> Content | None:
    try:
        layout = Layout(aim.layout)
    except ValueError:
        # No pass can have been made over what is no stream.
        return None

    def content(nsid: int, offset_bytes: int, length_bytes: int) -> bytes:
        return keystream.read(
            aim.key,
            capacity_bytes=layout.capacity_bytes,
            offset_bytes=layout.offset_of(nsid, offset_bytes),
            length_bytes=length_bytes,
        )

    return content


def _repeated(dword11: int) -> Content:
    """As the drive lays dword 11: its bytes in the order of the submission, least significant first."""
    pattern = dword11.to_bytes(4, "little")

    def content(nsid: int, offset_bytes: int, length_bytes: int) -> bytes:
        phase = offset_bytes % len(pattern)
        return (pattern * (length_bytes // len(pattern) + 2))[phase : phase + length_bytes]

    return content
