"""What a simulated drive does, whatever interface asks: erase, make progress, fail, read, write.

Rules, as the standards have them: one sanitize at a time; it is started at once and ends later, and only
status polls move it on, so nothing here sleeps; while it runs, and after it failed, blocks cannot be read or
written; it goes on after a power cycle; the key is destroyed when it ends, so a drive that fails before has
destroyed nothing; a user's write ends "global data erased".
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from enum import Enum
from pathlib import Path

from agent.devices.simulated.faults import Fault
from agent.devices.simulated.media import CHUNK_BLOCKS, Media, Namespace, Random, Sanitize, State

CRYPTO, BLOCK = "crypto", "block"


class Verdict(Enum):
    """A drive's answer to a command, before an interface turns it into its own status word."""

    DONE = "done"
    INVALID_FIELD = "invalid field"
    INTERNAL_ERROR = "internal error"
    SANITIZE_RUNNING = "sanitize running"
    SANITIZE_FAILED = "sanitize failed"
    WRITE_PROTECTED = "write protected"


class MediaRefused(OSError):
    """A read or write that the drive refused. `verdict` says why; to the host it is an input/output error."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        super().__init__(errno.EIO, verdict.value)


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
        with self._media.locked():
            return self._media.load()

    def set_faults(self, faults: Iterable[Fault]) -> None:
        with self._media.locked():
            self._media.change(self._media.load(), faults=frozenset(faults))

    def power_cycle(self) -> None:
        """Power goes and comes back. All that a drive knows is on disk; a running sanitize goes on."""
        with self._media.locked():
            state = self._media.load()
            self._media.change(state, power_cycles=state.power_cycles + 1)

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
        """Raises MediaRefused, or OSError(EINVAL) outside the namespace or off its blocks."""
        with self._media.locked():
            state = self._media.load()
            self._refuse_access(state)
            first, count = _blocks(state, nsid, offset_bytes, length_bytes)
            return self._media.read_blocks(state, first, count)

    def write(self, nsid: int, offset_bytes: int, data: bytes) -> None:
        """Raises as `read`."""
        with self._media.locked():
            state = self._media.load()
            self._refuse_access(state)
            first, _ = _blocks(state, nsid, offset_bytes, len(data))
            if _namespace(state, nsid).is_write_protected:
                raise MediaRefused(Verdict.WRITE_PROTECTED)
            if state.is_global_data_erased:
                state = self._media.change(state, is_global_data_erased=False)
            self._media.write_blocks(state, first, data)

    def flush(self) -> None:
        """Every write was already durable when it returned; a drive that refuses access refuses this too."""
        with self._media.locked():
            self._refuse_access(self._media.load())

    def logical_view(self) -> Iterator[bytes]:
        """All blocks of all namespaces as they would read, whatever the drive says of itself. Chunks of whole
        blocks, in order.
        """
        with self._media.locked():
            state = self._media.load()
            for first in range(0, state.blocks, CHUNK_BLOCKS):
                yield self._media.read_blocks(state, first, min(CHUNK_BLOCKS, state.blocks - first))

    @staticmethod
    def _refuse_access(state: State) -> None:
        if state.sanitize.status == "running":
            raise MediaRefused(Verdict.SANITIZE_RUNNING)
        if state.sanitize.status == "failed":
            raise MediaRefused(Verdict.SANITIZE_FAILED)

    # --- erasing --------------------------------------------------------------------------------------------

    def start_sanitize(
        self, action: str, *, command_dword: int, is_no_deallocate: bool, may_exit_failure: bool
    ) -> Verdict:
        """Starts a sanitize of all blocks and returns at once."""
        with self._media.locked():
            state = self._media.load()
            if state.sanitize.status == "running":
                return Verdict.SANITIZE_RUNNING
            able = {CRYPTO: state.has_crypto_erase, BLOCK: state.has_block_erase}
            if not able.get(action, False):
                return Verdict.INVALID_FIELD
            if is_no_deallocate and state.inhibits_no_deallocate:
                return Verdict.INVALID_FIELD
            if any(namespace.is_write_protected for namespace in state.namespaces):
                return Verdict.WRITE_PROTECTED
            if Fault.REFUSES in state.faults:
                return Verdict.INTERNAL_ERROR
            started = Sanitize(
                status="running",
                action=action,
                command_dword=command_dword,
                is_no_deallocate=is_no_deallocate,
                may_exit_failure=may_exit_failure,
            )
            self._media.change(state, sanitize=started, sanitizes_begun=state.sanitizes_begun + 1)
            return Verdict.DONE

    def exit_failure(self) -> Verdict:
        """Leaves the failed state, which only a sanitize that was told it may be left allows."""
        with self._media.locked():
            state = self._media.load()
            match state.sanitize:
                case Sanitize(status="running"):
                    return Verdict.SANITIZE_RUNNING
                case Sanitize(status="failed", may_exit_failure=False):
                    return Verdict.SANITIZE_FAILED
                case Sanitize(status="failed"):
                    self._media.change(state, sanitize=Sanitize())
            return Verdict.DONE

    def poll(self) -> State:
        """What a status question sees; asking is what moves a running sanitize on."""
        with self._media.locked():
            state = self._media.load()
            if state.sanitize.status != "running":
                return state
            done = state.sanitize.polls_done
            if Fault.FAILS in state.faults and done > 0 and done >= state.sanitize_polls // 2:
                return self._media.change(state, sanitize=replace(state.sanitize, status="failed"))
            if done >= state.sanitize_polls and Fault.HANGS not in state.faults:
                return self._finish(state)
            advance = 0 if Fault.HANGS in state.faults else 1
            self._media.change(state, sanitize=replace(state.sanitize, polls_done=done + advance))
            return state

    def _finish(self, state: State) -> State:
        """Destroys first and says so last: after a power cut in between, the next poll does it again."""
        is_mapped_kept = state.sanitize.is_no_deallocate and state.sanitize.action == CRYPTO
        status = "success"
        if Fault.DEALLOCATES_ONLY in state.faults:
            self._media.unmap(0, state.blocks)
        elif Fault.LIES not in state.faults:
            self._destroy(state, state.sanitize.action)
            if not is_mapped_kept and (state.deallocates or state.sanitize.action == BLOCK):
                self._media.unmap(0, state.blocks)
            if state.sanitize.is_no_deallocate and not is_mapped_kept:
                status = "success_deallocated"
        return self._media.change(
            state, sanitize=replace(state.sanitize, status=status), is_global_data_erased=True
        )

    def _destroy(self, state: State, action: str) -> None:
        if action == CRYPTO:
            self._media.destroy_key()
        else:
            self._media.erase_cells(state)

    def format(self, nsids: Iterable[int], erase: str | None) -> Verdict:
        """Deallocates the namespaces, after an erase of the whole drive (crypto or block) or none."""
        with self._media.locked():
            state = self._media.load()
            if state.sanitize.status == "running":
                return Verdict.SANITIZE_RUNNING
            if state.sanitize.status == "failed":
                return Verdict.SANITIZE_FAILED
            if state.faults & {Fault.REFUSES, Fault.FAILS}:
                return Verdict.INTERNAL_ERROR
            if Fault.LIES in state.faults:
                return Verdict.DONE
            if erase is not None:
                if Fault.DEALLOCATES_ONLY not in state.faults:
                    self._destroy(state, erase)
                nsids = [namespace.nsid for namespace in state.namespaces]
            for nsid in nsids:
                self._media.unmap(_start(state, nsid), _namespace(state, nsid).blocks)
            return Verdict.DONE


def open_media(folder: Path, *, random: Random) -> Media:
    """The media of an existing folder. Raises Malformed(IMAGE_INVALID)."""
    media = Media(folder, random=random)
    media.refuse_strangers()
    with media.locked():
        media.load()
    return media


def _namespace(state: State, nsid: int) -> Namespace:
    for namespace in state.namespaces:
        if namespace.nsid == nsid:
            return namespace
    raise OSError(errno.EINVAL, f"there is no namespace {nsid}")


def _start(state: State, nsid: int) -> int:
    """The first block of a namespace in media.bin."""
    return sum(namespace.blocks for namespace in state.namespaces if namespace.nsid < nsid)


def _blocks(state: State, nsid: int, offset_bytes: int, length_bytes: int) -> tuple[int, int]:
    namespace = _namespace(state, nsid)
    first, remainder = divmod(offset_bytes, state.block_bytes)
    count, tail = divmod(length_bytes, state.block_bytes)
    is_inside = first >= 0 and count > 0 and first + count <= namespace.blocks
    if remainder or tail or not is_inside or not namespace.is_attached:
        raise OSError(
            errno.EINVAL, f"{length_bytes} bytes at {offset_bytes} are no blocks of namespace {nsid}"
        )
    return _start(state, nsid) + first, count
