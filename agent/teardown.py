"""Letting go of everything that a system built on the drives an order names: mounts, swap, mappings, arrays.

Rules:
1. Nothing is let go before everything that stands on it; a thing whose upper part held is not touched.
2. Only what stands on a named drive is touched. What also lies on a device that the order does not name
   refuses the whole order, and so does what this program itself runs from, and what no driver of ours can
   let go; all of that before the first thing is let go.
3. Each thing is asked once to let go, and then the kernel is asked whether it did: an answer to our own call
   is no evidence. What is built anew meanwhile counts as not let go.
4. A partition holds nothing by itself and is not listed; a drive that is still held by anything fails to
   open exclusively, whatever was seen here.

What stands where is read by `devices.stack`, the calls are `devices.mapper`; this module is pure. Mounts of
other mount namespaces are not seen: they show as rule 4's failure to open.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from agent.devices.stack import Stacked, above, is_below
from agent.errors import Code
from certificate.errors import Refused
from certificate.statements.statement import Seen
from certificate.statements.vocabulary import StackedKind

#: For each drive by serial number: what stood on it, what was let go first coming first, and whether it did.
Released = dict[str, tuple[tuple[StackedKind, Seen], ...]]

#: Waits seconds.
Pause = Callable[[float], None]

#: Of things that do not stand on each other, which goes first.
ORDER: Final = (
    StackedKind.MOUNT,
    StackedKind.SWAP,
    StackedKind.LOOP,
    StackedKind.CRYPT,
    StackedKind.LVM,
    StackedKind.MAPPER,
    StackedKind.RAID,
    StackedKind.PARTITION,
    StackedKind.OTHER,
)
#: One medium's evidence lists no more; a drive with more stands in a system that is in use.
MAX_STACKED = 256
#: A kernel lets go of a loop device or an array a little after it was asked.
LOOKS = 10
LOOK_SECONDS = 0.1


class Teardown(Protocol):
    """Everything stacked on the drives of one machine. Drives are named by serial number."""

    def require_possible(self, serials: Sequence[str]) -> None:
        """Reads only. Raises Refused: TEARDOWN_SHARED, TEARDOWN_OWN_SYSTEM, TEARDOWN_UNSUPPORTED."""
        ...

    def release(self, serials: Sequence[str]) -> Released:
        """Lets everything on these drives go; each serial has its entry. What holds on is `no`.

        Raises as `require_possible`, before anything was let go.
        """
        ...


class NothingStacked:
    """The teardown of images and simulated drives: no system stands on them."""

    def require_possible(self, serials: Sequence[str]) -> None:
        return

    def release(self, serials: Sequence[str]) -> Released:
        return {serial: () for serial in serials}


def steps(
    stack: Sequence[Stacked], *, named: Collection[str], own_paths: Collection[str]
) -> tuple[Stacked, ...]:
    """What has to be let go, in order, so that nothing stands on the `named` devices. Partitions included.

    `own_paths`: what this program runs from. Raises Refused: TEARDOWN_OWN_SYSTEM, TEARDOWN_SHARED,
    TEARDOWN_UNSUPPORTED.
    """
    for node in sorted(named):
        if (count := len(above(stack, (node,)))) > MAX_STACKED:
            raise Refused(Code.TEARDOWN_UNSUPPORTED, f"{count} things stand on {node}")
    going = above(stack, named)
    ours, lower = _own_mounts(stack, own_paths), {each.key: each.on for each in stack}
    for each in going:
        if each.kind is StackedKind.MOUNT and each.path in ours:
            raise Refused(Code.TEARDOWN_OWN_SYSTEM, f"{ours[each.path]} of this program lies on {each.path}")
        if strangers := _bottoms(each, lower, named) - set(named):
            on = ", ".join(sorted(strangers))
            raise Refused(Code.TEARDOWN_SHARED, f"{each.kind.value} {each.name} also lies on {on}")
        if each.kind is StackedKind.OTHER:
            raise Refused(Code.TEARDOWN_UNSUPPORTED, f"{each.name} holds {', '.join(each.on)}")
    return _topmost_first(going)


@dataclass(frozen=True, kw_only=True)
class KernelTeardown:
    """The teardown of a running kernel. `nodes`: the block devices of each drive, by serial number.

    `look`: what stands on what now; `let_go`: asks the kernel once, raises OSError when it refuses; `pause`:
    waits seconds.
    """

    nodes: Mapping[str, tuple[str, ...]]
    look: Callable[[], tuple[Stacked, ...]]
    let_go: Callable[[Stacked], None]
    own_paths: Callable[[], tuple[str, ...]]
    pause: Pause

    def require_possible(self, serials: Sequence[str]) -> None:
        steps(self.look(), named=self._named(serials), own_paths=self.own_paths())

    def release(self, serials: Sequence[str]) -> Released:
        stack = self.look()
        going = steps(stack, named=self._named(serials), own_paths=self.own_paths())
        for each in (one for one in going if one.kind is not StackedKind.PARTITION):
            held_by = [one.kind for one in above(self.look(), (each.key,))]
            if all(kind is StackedKind.PARTITION for kind in held_by):
                self._release(each)
        after = self.look()
        return {serial: self._seen(serial, stack, after) for serial in serials}

    def _named(self, serials: Sequence[str]) -> frozenset[str]:
        return frozenset(node for serial in serials for node in self.nodes.get(serial, ()))

    def _release(self, each: Stacked) -> None:
        try:
            self.let_go(each)
        except OSError:
            # Whether it let go is read from the kernel below, whatever it answered.
            return
        for _ in range(LOOKS):
            if all(one.key != each.key for one in self.look()):
                return
            self.pause(LOOK_SECONDS)

    def _seen(
        self, serial: str, before: tuple[Stacked, ...], after: tuple[Stacked, ...]
    ) -> tuple[tuple[StackedKind, Seen], ...]:
        """What stood on the drive and whether it is gone, then what stands there that did not before."""
        nodes = self.nodes.get(serial, ())
        stood = _topmost_first(above(before, nodes))
        standing = {each.key for each in after}
        known = {each.key for each in stood}
        new = [each for each in above(after, nodes) if each.key not in known]
        listed = [(each.kind, Seen.that(each.key not in standing)) for each in stood]
        listed += [(each.kind, Seen.NO) for each in new]
        return tuple(entry for entry in listed if entry[0] is not StackedKind.PARTITION)[:MAX_STACKED]


def _own_mounts(stack: Sequence[Stacked], own_paths: Collection[str]) -> dict[str, str]:
    """The mount points this program runs from, each with a path of the program's in its tree."""
    points = {one.path for one in stack if one.kind is StackedKind.MOUNT}
    ours: dict[str, str] = {}
    for path in ("/", *own_paths):
        holding = max((point for point in points if is_below(path, point)), key=len, default=None)
        if holding is not None:
            ours.setdefault(holding, path)
    return ours


def _bottoms(each: Stacked, lower: Mapping[str, tuple[str, ...]], named: Collection[str]) -> set[str]:
    """The devices at the bottom of where its data lie; a named one is a bottom, whatever it stands on.

    `lower`: what each thing's data lie on. Only that counts: a mount in another drive's tree has no data
    there.
    """
    bottoms: set[str] = set()
    waiting, seen = list(each.on), {each.key}
    while waiting:
        key = waiting.pop()
        if key in named or key not in lower:
            bottoms.add(key)
        elif key not in seen:
            seen.add(key)
            waiting.extend(lower[key])
    return bottoms


def _topmost_first(going: Sequence[Stacked]) -> tuple[Stacked, ...]:
    """Each after all that stands on it, and among those that may go next by `ORDER`, newest first."""
    waiting = {each.key: each for each in reversed(going)}
    ordered: list[Stacked] = []
    while waiting:
        held = {lower for each in waiting.values() for lower in (*each.on, each.placed_in)}
        # A circle, which no kernel allows, has no top: one of it is tried, and holds.
        free = [each for each in waiting.values() if each.key not in held] or list(waiting.values())
        chosen = min(free, key=lambda each: ORDER.index(each.kind))
        ordered.append(waiting.pop(chosen.key))
    return tuple(ordered)
