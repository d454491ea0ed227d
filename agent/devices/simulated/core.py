"""What every simulated drive does, whatever interface asks: read, write, lose its power, misbehave.

Rules: a write is durable when it returns; only whole blocks of an attached namespace can be touched; a drive
without power, or a silent one, answers nothing, and remembers everything; nothing here sleeps. Erasing is
`erasing`, which plain drives do not have.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import Path

from agent.devices.simulated.faults import Fault
from agent.devices.simulated.media import CHUNK_BLOCKS, Media, Random
from agent.devices.simulated.state import PLAIN, Namespace, State


class Verdict(Enum):
    """A drive's answer to a command, before an interface turns it into its own status word."""

    DONE = "done"
    INVALID_FIELD = "invalid field"
    INVALID_FORMAT = "invalid format"
    INVALID_NAMESPACE = "invalid namespace"
    INTERNAL_ERROR = "internal error"
    SANITIZE_RUNNING = "sanitize running"
    SANITIZE_FAILED = "sanitize failed"
    WRITE_PROTECTED = "write protected"


class MediaRefused(OSError):
    """A read or write that the drive refused. `verdict` says why; to the host it is an input/output error."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        super().__init__(errno.EIO, verdict.value)


class Unanswered(OSError):
    """No answer came: what was asked may or may not have been done."""

    def __init__(self, why: str) -> None:
        super().__init__(errno.EIO, why)


class DriveCore:
    """One drive in one folder."""

    def __init__(self, media: Media) -> None:
        self._media = media
        self._claim: int | None = None

    # --- around the drive -----------------------------------------------------------------------------------

    @property
    def folder(self) -> Path:
        return self._media.folder

    def state(self) -> State:
        """All that it remembers, whatever it would answer."""
        with self._media.locked():
            return self._media.load()

    def set_faults(self, faults: Iterable[Fault]) -> None:
        with self._media.locked():
            self._media.save(self._media.load().misbehaving(faults))

    def power_cycle(self) -> None:
        """Power goes and comes back. All that a drive knows is on disk; a running sanitize goes on."""
        with self._media.locked():
            state = self._media.load()
            self._media.change(state, is_powered=True, power_cycles=state.power_cycles + 1)

    def claim(self) -> bool:
        """Takes the drive for this process; false when another holds it. Taking it twice is harmless."""
        if self._claim is None:
            self._claim = self._media.claim()
        return self._claim is not None

    def release(self) -> None:
        if self._claim is not None:
            os.close(self._claim)
            self._claim = None

    # --- blocks ---------------------------------------------------------------------------------------------

    def read(self, nsid: int, offset_bytes: int, length_bytes: int) -> bytes:
        """Raises MediaRefused, Unanswered, or OSError(EINVAL) outside the namespace or off its blocks."""
        with self._media.locked():
            state = self._answering()
            self._refuse_access(state)
            asked = _blocks(state, nsid, offset_bytes, length_bytes)
            if not state.bad_blocks.isdisjoint(asked):
                raise MediaRefused(Verdict.INTERNAL_ERROR)
            return self._media.read_blocks(state, asked.start, len(asked))

    def write(self, nsid: int, offset_bytes: int, data: bytes) -> None:
        """Raises as `read`. What lies before a bad block is written all the same."""
        with self._media.locked():
            state = self._answering()
            self._refuse_access(state)
            asked = _blocks(state, nsid, offset_bytes, len(data))
            if state.has_protected(namespace_of(state, nsid)):
                raise MediaRefused(Verdict.WRITE_PROTECTED)
            if state.is_global_data_erased:
                state = self._media.change(state, is_global_data_erased=False)
            good = _until_bad(state, asked)
            powered = self._until_power_goes(state, good)
            self._store(state, powered, data)
            if powered != good:
                raise self._lose_power(state)
            self._count(state, len(good))
            if good != asked:
                raise MediaRefused(Verdict.INTERNAL_ERROR)

    def flush(self) -> None:
        """Every write was already durable when it returned; a drive that refuses access refuses this too."""
        with self._media.locked():
            self._refuse_access(self._answering())

    # --- from outside, past everything the drive would answer -----------------------------------------------

    def logical_view(self) -> Iterator[bytes]:
        """All blocks of all namespaces as they would read, whatever the drive says of itself. Chunks of whole
        blocks, in order.
        """
        with self._media.locked():
            state = self._media.load()
            for first in range(0, state.blocks, CHUNK_BLOCKS):
                yield self._media.read_blocks(state, first, min(CHUNK_BLOCKS, state.blocks - first))

    def hidden_view(self) -> bytes:
        """What lies in cells that no command addresses."""
        with self._media.locked():
            return self._media.read_hidden(self._media.load())

    # --- for the interfaces, inside the lock ----------------------------------------------------------------

    def _answering(self) -> State:
        """The state of a drive that answers. Raises Unanswered."""
        state = self._media.load()
        if not state.is_powered:
            raise Unanswered("the drive has no power")
        if Fault.SILENT in state.faults:
            raise Unanswered("the drive is silent")
        return state

    def _lose_power(self, state: State) -> Unanswered:
        """The drive stops here, once; the answer on its way is lost with it."""
        faults = state.faults - {Fault.POWER_LOST}
        self._media.change(state, is_powered=False, power_losses=state.power_losses + 1, faults=faults)
        return Unanswered("the drive lost its power")

    def _renamed(self, state: State) -> State:
        """Another serial number, where the drive gives one after it was erased."""
        if Fault.IDENTITY_CHANGES not in state.faults:
            return state
        other = state.serial[:-1] + ("X" if state.serial[-1:] != "X" else "Y")
        faults = state.faults - {Fault.IDENTITY_CHANGES}
        return self._media.change(state, serial=other, faults=faults)

    @staticmethod
    def _refuse_access(state: State) -> None:
        if Fault.DEAD in state.faults:
            raise MediaRefused(Verdict.INTERNAL_ERROR)
        if state.sanitize.status == "running":
            raise MediaRefused(Verdict.SANITIZE_RUNNING)
        if state.is_kept_out:
            raise MediaRefused(Verdict.SANITIZE_FAILED)

    def _store(self, state: State, blocks: range, data: bytes) -> None:
        """Writes what the drive's faults let through."""
        stored = _storable(state, blocks)
        if not stored:
            return
        if Fault.KEEPS_HIDDEN in state.faults:
            self._media.hide(state, stored)
        self._media.write_blocks(state, stored.start, data[: len(stored) * state.block_bytes])

    def _until_power_goes(self, state: State, blocks: range) -> range:
        """All of them, or those up to the half of a pass, where the power goes. Only what is written by who
        claimed the drive is a pass.
        """
        if Fault.POWER_LOST not in state.faults or self._claim is None:
            return blocks
        left = state.blocks // 2 - state.blocks_written
        return blocks if len(blocks) < left else blocks[: max(left, 0)]

    def _count(self, state: State, blocks: int) -> None:
        """Counts a pass where something waits for its end. Only a drive without an erase command of its own
        changes its name after a pass.
        """
        is_renamed = Fault.IDENTITY_CHANGES in state.faults and state.kind == PLAIN
        if self._claim is None or not (is_renamed or Fault.POWER_LOST in state.faults):
            return
        state = self._media.change(state, blocks_written=state.blocks_written + blocks)
        if is_renamed and state.blocks_written >= state.blocks:
            self._renamed(state)


def open_media(folder: Path, *, random: Random) -> Media:
    """The media of an existing folder. Raises Malformed(IMAGE_INVALID)."""
    media = Media(folder, random=random)
    media.refuse_strangers()
    with media.locked():
        media.load()
    return media


def namespace_of(state: State, nsid: int) -> Namespace:
    """Raises OSError(EINVAL) where there is none of that number."""
    for namespace in state.namespaces:
        if namespace.nsid == nsid:
            return namespace
    raise OSError(errno.EINVAL, f"there is no namespace {nsid}")


def blocks_of(state: State, nsid: int) -> range:
    """The blocks of a namespace in media.bin."""
    first = sum(namespace.blocks for namespace in state.namespaces if namespace.nsid < nsid)
    return range(first, first + namespace_of(state, nsid).blocks)


def _blocks(state: State, nsid: int, offset_bytes: int, length_bytes: int) -> range:
    namespace = namespace_of(state, nsid)
    first, remainder = divmod(offset_bytes, state.block_bytes)
    count, tail = divmod(length_bytes, state.block_bytes)
    is_inside = first >= 0 and count > 0 and first + count <= namespace.blocks
    if remainder or tail or not is_inside or not namespace.is_attached:
        raise OSError(
            errno.EINVAL, f"{length_bytes} bytes at {offset_bytes} are no blocks of namespace {nsid}"
        )
    return blocks_of(state, nsid)[first : first + count]


def _until_bad(state: State, blocks: range) -> range:
    bad = [block for block in state.bad_blocks if block in blocks]
    return range(blocks.start, min(bad)) if bad else blocks


def _storable(state: State, blocks: range) -> range:
    """Those that a write changes on this drive."""
    if Fault.DROPS_WRITES in state.faults:
        return range(0)
    if Fault.ERASES_PART in state.faults and state.kind == PLAIN:
        return range(blocks.start, max(blocks.start, min(blocks.stop, state.blocks // 2)))
    return blocks
