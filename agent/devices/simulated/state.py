"""What a simulated drive remembers besides its blocks: state.json, read and written whole.

Rules: one format for every kind of drive, which `kind` names; a field that is missing, too many or no fault
of ours is refused, because a drive that is not what a test asked for proves nothing. What a field means to a
command is `core`'s and `erasing`'s business.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Self, get_args, get_type_hints

from agent.devices.simulated.faults import FAILURES, Fault, read_faults
from agent.errors import Code
from certificate import strict_json
from certificate.errors import Malformed

FORMAT = "expunge-simulated-drive/2"
NVME, PLAIN = "nvme", "plain"
#: A state file is about 2 kB; stops reading something else whole.
MAX_STATE_BYTES = 65_536
#: How many times its own estimate a slow drive takes.
SLOWNESS = 40


@dataclass(frozen=True, kw_only=True)
class Namespace:
    """One namespace; they lie one after the other in media.bin, in order of nsid."""

    nsid: int
    blocks: int
    is_attached: bool = True
    is_write_protected: bool = False
    #: Index into the controller's LBA formats; None until `create` takes the plain one of the drive's blocks.
    lba_format: int | None = None
    has_extended_metadata: bool = False
    #: DPS: type 2:0, first bytes of the metadata 3.
    protection: int = 0


@dataclass(frozen=True, kw_only=True)
class Sanitize:
    """The latest sanitize. `status`: never, running, success, success_deallocated or failed."""

    status: str = "never"
    action: str = ""
    command_dword: int = 0
    is_no_deallocate: bool = False
    may_exit_failure: bool = False
    polls_done: int = 0
    #: Of an overwrite.
    pattern: int = 0
    passes: int = 0
    is_inverted: bool = False


@dataclass(frozen=True, kw_only=True)
class State:
    """All that a drive remembers. A plain one has no sanitize and announces nothing."""

    kind: str
    serial: str
    model: str
    firmware: str
    #: As `vocabulary.Attachment`.
    attachment: str
    block_bytes: int
    namespaces: tuple[Namespace, ...]
    unallocated_bytes: int
    has_crypto_erase: bool
    has_block_erase: bool
    has_overwrite: bool
    has_format: bool
    #: FNA, as announced.
    format_attributes: int
    #: NDI: the drive refuses to keep blocks mapped.
    inhibits_no_deallocate: bool
    #: Where it may deallocate after an erase, it does.
    deallocates: bool
    #: How many status polls see a sanitize running before it ends.
    sanitize_polls: int
    sanitize: Sanitize
    #: How many were ever begun: what a test counts when it looks for a second erasure.
    sanitizes_begun: int
    #: How many Format commands were ever carried out, for the same reason.
    formats_begun: int
    #: No user data was written since manufacture or since the latest successful sanitize.
    is_global_data_erased: bool
    #: Counted only while a fault waits for them.
    blocks_written: int
    is_powered: bool
    power_cycles: int
    power_losses: int
    faults: frozenset[Fault]

    @property
    def blocks(self) -> int:
        return sum(namespace.blocks for namespace in self.namespaces)

    @property
    def capacity_bytes(self) -> int:
        return self.blocks * self.block_bytes + self.unallocated_bytes

    @property
    def polls_needed(self) -> int:
        return self.sanitize_polls * SLOWNESS if Fault.SLOW in self.faults else self.sanitize_polls

    @property
    def is_kept_out(self) -> bool:
        """A sanitize failed, and nothing was done since that leads out of it (Base 2.0, 8.21)."""
        return self.sanitize.status == "failed" and Fault.FAILURE_LEFT not in self.faults

    @property
    def bad_blocks(self) -> frozenset[int]:
        """Where nothing can be read or written: at a third and at three quarters."""
        is_bad = Fault.BAD_BLOCKS in self.faults
        return frozenset({self.blocks // 3, self.blocks * 3 // 4}) if is_bad else frozenset()

    def has_protected(self, namespace: Namespace) -> bool:
        return namespace.is_write_protected or Fault.WRITE_PROTECTED in self.faults

    def misbehaving(self, faults: Iterable[Fault]) -> Self:
        """The same drive with these faults instead. A failure is at once the state that it is found in, where
        there is a sanitize that may have failed.
        """
        wanted = frozenset(faults)
        found = replace(self, faults=wanted, blocks_written=0)
        if self.kind == PLAIN or not wanted & FAILURES:
            return found
        may_exit = Fault.UNRESTRICTED_FAILURE in wanted
        failed = Sanitize(status="failed", action="crypto", command_dword=4, may_exit_failure=may_exit)
        return replace(found, sanitize=failed, is_global_data_erased=False)

    def write(self) -> bytes:
        fields = {**asdict(self), "faults": sorted(self.faults)}
        return json.dumps({"format": FORMAT, **fields}, indent=1).encode() + b"\n"

    @classmethod
    def read(cls, data: bytes) -> Self:
        """Raises Malformed: IMAGE_INVALID for anything that `write` does not make, or as `strict_json`."""
        raw = strict_json.load_object(data, max_bytes=MAX_STATE_BYTES, what="state.json")
        if raw.pop("format", None) != FORMAT:
            raise Malformed(Code.IMAGE_INVALID, f"state.json is not of format {FORMAT}")
        try:
            namespaces = tuple(Namespace(**each) for each in raw.pop("namespaces"))
            sanitize, faults = Sanitize(**raw.pop("sanitize")), read_faults(raw.pop("faults"))
            state = cls(namespaces=namespaces, sanitize=sanitize, faults=faults, **raw)
            _require_types(state)
            _require_types(sanitize)
            for namespace in namespaces:
                _require_types(namespace)
        except (TypeError, KeyError, AttributeError):
            raise Malformed(
                Code.IMAGE_INVALID, "state.json lacks a field, has one too many, or of another type"
            ) from None
        if state.kind not in (NVME, PLAIN):
            raise Malformed(Code.IMAGE_INVALID, f"no drive is of kind {str(state.kind)[:20]!r}")
        return state


def _require_types(part: State | Sanitize | Namespace) -> None:
    """A text, a flag or a number that is no less than 0, where one belongs. Raises TypeError."""
    for name, hint in get_type_hints(type(part)).items():
        value, kinds = getattr(part, name), get_args(hint) or (hint,)
        is_plain = set(kinds) <= {str, bool, int, type(None)}
        if is_plain and (type(value) not in kinds or (isinstance(value, int) and value < 0)):
            raise TypeError(f"{name} is no {hint}")
