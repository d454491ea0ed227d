"""How a simulated drive erases itself when it is told to: Sanitize and Format, whatever the interface.

Rules, as the standards have them: one sanitize at a time; it is started at once and ends later, and only
status polls move it on, so nothing here sleeps; while it runs, and after it failed, blocks cannot be read or
written; it goes on after a power cycle; data is destroyed when it ends, so a drive that fails before has
destroyed nothing; a user's write ends "global data erased". A Format is over when it is answered, and never
touches a namespace that is not attached (QEMU does so: test-rig.md, 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from agent.devices.simulated.core import DriveCore, Unanswered, Verdict, blocks_of, namespace_of
from agent.devices.simulated.faults import Fault
from agent.devices.simulated.media import CHUNK_BLOCKS
from agent.devices.simulated.state import Namespace, Sanitize, State

CRYPTO, BLOCK, OVERWRITE = "crypto", "block", "overwrite"
WORD_MASK = 0xFFFFFFFF


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The format that a Format gives its namespaces."""

    lba_format: int
    has_extended_metadata: bool
    protection: int


class ErasingCore(DriveCore):
    """A drive with erase commands of its own."""

    def start_sanitize(
        self,
        action: str,
        *,
        command_dword: int,
        is_no_deallocate: bool,
        may_exit_failure: bool,
        pattern: int = 0,
        passes: int = 0,
        is_inverted: bool = False,
    ) -> Verdict:
        """Starts a sanitize of all blocks and returns at once. Raises Unanswered."""
        with self._media.locked():
            state = self._answering()
            refusal = _sanitize_refusal(state, action, is_no_deallocate=is_no_deallocate)
            if refusal is not None:
                return refusal
            started = Sanitize(
                status="running",
                action=action,
                command_dword=command_dword,
                is_no_deallocate=is_no_deallocate,
                may_exit_failure=may_exit_failure,
                pattern=pattern,
                passes=passes,
                is_inverted=is_inverted,
            )
            self._media.change(state, sanitize=started, sanitizes_begun=state.sanitizes_begun + 1)
            return Verdict.DONE

    def exit_failure(self) -> Verdict:
        """Leaves the failed state, which only a sanitize that was told it may be left allows."""
        with self._media.locked():
            state = self._answering()
            match state.sanitize:
                case Sanitize(status="running"):
                    return Verdict.SANITIZE_RUNNING
                case Sanitize(status="failed", may_exit_failure=False):
                    return Verdict.SANITIZE_FAILED
                case Sanitize(status="failed"):
                    self._media.change(state, sanitize=Sanitize())
            return Verdict.DONE

    def poll(self) -> State:
        """What a status question sees; asking is what moves a running sanitize on. Raises Unanswered."""
        with self._media.locked():
            state = self._answering()
            if state.sanitize.status != "running":
                return state
            done = state.sanitize.polls_done
            is_amid = done > 0 and done >= state.polls_needed // 2
            if Fault.POWER_LOST in state.faults and is_amid:
                raise self._lose_power(state)
            if Fault.FAILS in state.faults and is_amid:
                return self._media.change(state, sanitize=replace(state.sanitize, status="failed"))
            if done >= state.polls_needed and Fault.HANGS not in state.faults:
                return self._finish(state)
            advance = 0 if Fault.HANGS in state.faults else 1
            self._media.change(state, sanitize=replace(state.sanitize, polls_done=done + advance))
            return state

    def _finish(self, state: State) -> State:
        """Destroys first and says so last: after a power cut in between, the next poll does it again."""
        sanitize = state.sanitize
        is_mapped_kept = sanitize.is_no_deallocate and sanitize.action != BLOCK
        status = "success"
        if Fault.LIES not in state.faults:
            self._erase(
                state,
                (range(state.blocks),),
                sanitize,
                is_unmapped=not is_mapped_kept and (state.deallocates or sanitize.action == BLOCK),
            )
            if sanitize.is_no_deallocate and not is_mapped_kept:
                status = "success_deallocated"
        ended = self._media.change(
            state, sanitize=replace(sanitize, status=status), is_global_data_erased=True
        )
        return self._renamed(ended)

    def format(
        self,
        *,
        erased: Sequence[int],
        formatted: Sequence[int],
        erase: str | None,
        layout: Layout,
    ) -> Verdict:
        """Erases the blocks of `erased` (crypto, block, or only deallocating), gives `formatted` another
        format, and answers when all is over. Raises Unanswered.
        """
        with self._media.locked():
            state = self._answering()
            refusal = _format_refusal(state, {*erased, *formatted}, erase)
            if refusal is not None:
                return refusal
            if Fault.HANGS in state.faults:
                raise Unanswered("the Format never ends")
            state = self._media.change(state, formats_begun=state.formats_begun + 1)
            runs = tuple(blocks_of(state, nsid) for nsid in erased)
            if Fault.POWER_LOST in state.faults:
                self._erase(state, tuple(_first_half(run) for run in runs), erase, is_unmapped=True)
                raise self._lose_power(state)
            if Fault.LIES not in state.faults:
                self._erase(state, runs, erase, is_unmapped=state.deallocates or erase != CRYPTO)
                state = self._media.change(state, namespaces=_formatted(state, formatted, layout))
            self._renamed(state)
            return Verdict.DONE

    def _erase(
        self, state: State, runs: Sequence[range], how: Sanitize | str | None, *, is_unmapped: bool
    ) -> None:
        """Erases the blocks of `runs`, as far as the drive's faults let it."""
        action = how.action if isinstance(how, Sanitize) else how
        if Fault.ERASES_PART in state.faults:
            runs = [_first_half(run) for run in runs]
        if action is not None and Fault.DEALLOCATES_ONLY not in state.faults:
            self._destroy_hidden(state, runs)
            self._destroy(state, runs, how)
        if is_unmapped or Fault.DEALLOCATES_ONLY in state.faults:
            for run in runs:
                self._media.unmap(run.start, len(run))

    def _destroy(self, state: State, runs: Sequence[range], how: Sanitize | str | None) -> None:
        match how:
            case Sanitize(action="crypto") | "crypto":
                self._media.destroy_key(state, kept=_others(state, runs))
            case Sanitize(action="overwrite"):
                for run in runs:
                    self._overwrite(state, run, _last_pattern(how))
            case _:
                for run in runs:
                    self._media.erase_cells(state, run)

    def _destroy_hidden(self, state: State, runs: Sequence[range]) -> None:
        if Fault.KEEPS_HIDDEN not in state.faults:
            self._media.destroy_hidden()
            return
        for run in runs:
            self._media.hide(state, run)

    def _overwrite(self, state: State, run: range, pattern: bytes) -> None:
        for first in range(run.start, run.stop, CHUNK_BLOCKS):
            count = min(CHUNK_BLOCKS, run.stop - first)
            self._media.write_blocks(state, first, pattern * (count * state.block_bytes // len(pattern)))


def _sanitize_refusal(state: State, action: str, *, is_no_deallocate: bool) -> Verdict | None:
    if state.sanitize.status == "running":
        return Verdict.SANITIZE_RUNNING
    able = {CRYPTO: state.has_crypto_erase, BLOCK: state.has_block_erase, OVERWRITE: state.has_overwrite}
    if not able.get(action, False) or Fault.CAPABILITY_WRONG in state.faults:
        return Verdict.INVALID_FIELD
    if is_no_deallocate and state.inhibits_no_deallocate:
        return Verdict.INVALID_FIELD
    if any(state.has_protected(namespace) for namespace in state.namespaces):
        return Verdict.WRITE_PROTECTED
    return Verdict.INTERNAL_ERROR if Fault.REFUSES in state.faults else None


def _format_refusal(state: State, nsids: set[int], erase: str | None) -> Verdict | None:
    if state.sanitize.status == "running":
        return Verdict.SANITIZE_RUNNING
    if state.is_kept_out:
        return Verdict.SANITIZE_FAILED
    if Fault.CAPABILITY_WRONG in state.faults and erase is not None:
        return Verdict.INVALID_FIELD
    if any(state.has_protected(namespace_of(state, nsid)) for nsid in nsids):
        return Verdict.WRITE_PROTECTED
    return Verdict.INTERNAL_ERROR if state.faults & {Fault.REFUSES, Fault.FAILS} else None


def _formatted(state: State, nsids: Sequence[int], layout: Layout) -> tuple[Namespace, ...]:
    return tuple(
        replace(
            namespace,
            lba_format=layout.lba_format,
            has_extended_metadata=layout.has_extended_metadata,
            protection=layout.protection,
        )
        if namespace.nsid in nsids
        else namespace
        for namespace in state.namespaces
    )


def _first_half(run: range) -> range:
    return run[: len(run) // 2]


def _others(state: State, runs: Sequence[range]) -> list[range]:
    """What lies outside `runs`, which are ascending and apart."""
    edges = [0, *(edge for run in runs for edge in (run.start, run.stop)), state.blocks]
    return [range(start, stop) for start, stop in zip(edges[::2], edges[1::2], strict=True) if start < stop]


def _last_pattern(sanitize: Sanitize) -> bytes:
    """What the last pass wrote: the pattern, inverted in every other pass where that was asked for."""
    is_odd_turn = sanitize.is_inverted and sanitize.passes % 2 == 0
    word = sanitize.pattern ^ WORD_MASK if is_odd_turn else sanitize.pattern
    return word.to_bytes(4, "little")
