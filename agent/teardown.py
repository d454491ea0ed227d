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

What stands where is read by `devices.stack`, the calls are `devices.mapper`. Mounts of other mount namespaces
are not seen: they show as rule 4's failure to open.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from certificate.statements.statement import Seen
from certificate.statements.vocabulary import StackedKind

#: For each drive by serial number: what stood on it, what was let go first coming first, and whether it did.
Released = dict[str, tuple[tuple[StackedKind, Seen], ...]]


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
