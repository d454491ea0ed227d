"""Encryption layers with LUKS headers on a drive: finding them, destroying their keys, looking again.

Rules: whatever bears a magic number of LUKS where a header may lie is a layer, readable or not; what is
destroyed is every key slot that any readable copy names, all places of headers, and everything up to the
data; nothing is compared that was not read before, nothing is `no` because it could not be read. A layer is
not a medium: a copy of its header may exist anywhere, so this never makes a medium erased
(`certificate.assurance`).

What was there is remembered as keyed digests in the memory of this process only; they stand in no journal
and no document, because they are digests of a tenant's content.

Where headers are looked for: at the start of each attached namespace and of each partition.
KNOWN GAP: dm-crypt without a header (plain), a header inside an LVM volume or behind the superblock of an md
array, and a header on another machine cannot be found so; their keys die with the medium or not at all.
KNOWN GAP: a header says where its data begin, not that they are there: only "on no place of this device" (0)
and "beyond the end" are seen as detached. Where the drive itself keeps a data key (hw-opal), destroying the
slots takes the way to that key and not the key.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from agent.devices import luks as headers
from agent.devices import partitions
from agent.devices.block import BlockIo
from agent.devices.luks import Luks1Header, Luks2BinaryHeader, Luks2Header
from agent.errors import Code
from certificate.errors import Malformed
from certificate.messages import LayerReport, NamespaceReport
from certificate.statements.medium import MAX_LAYERS
from certificate.statements.statement import Seen
from certificate.statements.vocabulary import LayerKind

#: A tenant who writes that his data begin at the end of the drive does not make us overwrite it twice. No key
#: lies that far behind its header: LUKS2 has room for 136 MiB, LUKS1's slots are destroyed each by itself.
MAX_AREA_BYTES: Final = 256 << 20
#: Of a header that cannot be read: as far as the keys of any header reach.
UNREADABLE_AREA_BYTES: Final = headers.MAX_HEADERS_BYTES + headers.MAX_KEYSLOTS_BYTES
CHUNK_BYTES: Final = 1 << 20
#: What is written at once where a chunk failed; a multiple of every logical block.
RETRIED_BYTES: Final = 4096
COMPARED_BYTES: Final = 512
DIGEST_BYTES: Final = 16
#: Writes that may fail before the rest is given up: a dead drive answers each after many seconds.
MAX_FAILED_WRITES: Final = 64


class Place(Protocol):
    """Where a layer lies; a planned, a reported and a found layer all say so."""

    @property
    def nsid(self) -> int: ...

    @property
    def offset_bytes(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Stretch:
    """Bytes of one namespace that are overwritten and compared: whole blocks."""

    offset_bytes: int
    length_bytes: int

    def chunks(self, size_bytes: int = CHUNK_BYTES) -> Iterator[Stretch]:
        end = self.offset_bytes + self.length_bytes
        for start in range(self.offset_bytes, end, size_bytes):
            yield Stretch(start, min(size_bytes, end - start))


@dataclass(frozen=True, kw_only=True)
class FoundLayer:
    """One layer as its headers say; where none can be read, `key_slots` and `tokens` are 0 and the area is as
    large as any. `offset_bytes`: where the first header belongs, from the start of its namespace.
    """

    kind: LayerKind
    nsid: int
    offset_bytes: int
    area_bytes: int
    header_copies: int
    key_slots: int
    tokens: int
    is_detached: bool
    #: The drive keeps a data key of this layer (TCG Opal): it outlives the slots.
    is_hw_opal: bool
    #: What is destroyed and compared: key slots first, then all from the first header on.
    stretches: tuple[Stretch, ...]


@dataclass(frozen=True, kw_only=True)
class Remembered:
    """What stood in a layer before, piece by piece of 512 bytes: for each chunk its keyed digests, or None
    where it could not be read. Shows nothing of itself, and dies with the process.
    """

    key: bytes = field(repr=False)
    chunks: tuple[tuple[Stretch, bytes | None], ...] = field(repr=False)


def find(blocks: BlockIo, layout: Iterable[NamespaceReport]) -> tuple[FoundLayer, ...]:
    """Every layer of a drive, ascending by namespace and offset. Reads only. A place that cannot be read
    holds no header that anybody could read.

    Raises Malformed(LAYERS_TOO_MANY).
    """
    found: list[FoundLayer] = []
    for room in _rooms(blocks, layout):
        starts = partitions.starts(
            room.read_or_zeros, capacity_bytes=room.capacity_bytes, block_bytes=room.block_bytes
        )
        implied = {layer for start in {0, *starts} for layer in room.layers_from(start)}
        if len(found) + len(implied) > MAX_LAYERS:
            raise Malformed(Code.LAYERS_TOO_MANY, f"more than {MAX_LAYERS} encryption headers on one drive")
        found.extend(_describe(room, start) for start in sorted(implied))
    return tuple(found)


def to_report(layer: FoundLayer) -> LayerReport:
    """The layer as a line of the inventory."""
    return LayerReport(
        kind=layer.kind.value,
        nsid=layer.nsid,
        offset_bytes=layer.offset_bytes,
        area_bytes=layer.area_bytes,
        header_copies=layer.header_copies,
        key_slots=layer.key_slots,
        tokens=layer.tokens,
        is_detached=layer.is_detached,
    )


def remember(blocks: BlockIo, layer: FoundLayer) -> Remembered:
    """What stands there now, for `compare`. Reads only, never raises for what cannot be read."""
    key = secrets.token_bytes(32)
    return Remembered(
        key=key,
        chunks=tuple(
            (chunk, _digests(blocks, layer.nsid, chunk, key))
            for stretch in layer.stretches
            for chunk in stretch.chunks()
        ),
    )


def destroy(blocks: BlockIo, layer: FoundLayer, *, random_bytes: Callable[[int], bytes]) -> None:
    """Overwrites the layer's key slots, its headers and all up to its data, once, and flushes. Irreversible.

    What cannot be written does not spare the rest: it goes on block by block, and raises OSError in the end.
    """
    failed: list[OSError] = []
    for stretch in layer.stretches:
        for chunk in stretch.chunks():
            _overwrite(blocks, layer.nsid, chunk, random_bytes, failed)
    blocks.flush()
    if failed:
        raise failed[0]


def compare(blocks: BlockIo, layer: FoundLayer, remembered: Remembered) -> Seen:
    """Whether no piece of 512 bytes of the layer reads as it did: `no` if one does, else `not_observed` if
    one could not be read, now or then.
    """
    answer = Seen.YES if remembered.chunks else Seen.NOT_OBSERVED
    for chunk, before in remembered.chunks:
        after = _digests(blocks, layer.nsid, chunk, remembered.key)
        if before is None or after is None:
            answer = Seen.NOT_OBSERVED
        elif any(old == new for old, new in zip(_split(before), _split(after), strict=True)):
            return Seen.NO
    return answer


def is_found(blocks: BlockIo, place: Place, layout: Iterable[NamespaceReport]) -> Seen:
    """Whether a header, readable or not, lies at that place or where its copies may lie. Reads only."""
    heads = [
        head
        for room in _rooms(blocks, layout)
        if room.nsid == place.nsid
        for head in room.heads(place.offset_bytes)
    ]
    if any(head.bears_magic for head in heads):
        return Seen.YES
    return Seen.NO if heads and all(head.data is not None for head in heads) else Seen.NOT_OBSERVED


@dataclass(frozen=True)
class _Head:
    """What stands where a header of a layer may begin: `relative` to the layer's start, and from the start of
    the namespace. `data` is None where it could not be read.
    """

    relative: int
    offset_bytes: int
    data: bytes | None

    @property
    def bears_magic(self) -> bool:
        if self.data is None:
            return False
        return (headers.has_secondary_magic if self.relative else headers.has_magic)(self.data)

    @property
    def is_luks1(self) -> bool:
        return self.data is not None and headers.has_magic(self.data) and headers.version(self.data) == 1

    @property
    def layer_offset_bytes(self) -> int:
        """Where its layer starts: a second copy says itself how far behind its first it lies, and is taken at
        its word where that can be believed.
        """
        near = self.offset_bytes - self.relative
        try:
            own = Luks2BinaryHeader.parse(self.data or b"").header_offset_bytes
        except Malformed:
            return near
        return self.offset_bytes - own if own <= self.offset_bytes else near


@dataclass(frozen=True)
class _Room:
    """One namespace, read without claiming it."""

    blocks: BlockIo
    nsid: int
    capacity_bytes: int
    block_bytes: int

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        """In whole blocks of the drive, whatever is asked for. Raises OSError."""
        whole = self.whole_blocks(offset_bytes, offset_bytes + length_bytes)
        inside = offset_bytes - whole.offset_bytes
        data = self.blocks.peek(self.nsid, whole.offset_bytes, whole.length_bytes)
        return data[inside : inside + length_bytes]

    def read_or_zeros(self, offset_bytes: int, length_bytes: int) -> bytes:
        """For a partition table: one that cannot be read is none, and its second copy may still be read."""
        try:
            return self.read(offset_bytes, length_bytes)
        except OSError:
            return bytes(length_bytes)

    def whole_blocks(self, start: int, end: int) -> Stretch:
        """The blocks that hold these bytes, as far as the namespace reaches."""
        low = start // self.block_bytes * self.block_bytes
        high = min(-(-end // self.block_bytes) * self.block_bytes, self.capacity_bytes)
        return Stretch(low, high - low)

    def heads(self, start: int) -> list[_Head]:
        """All places of headers of a layer at `start`, up to the end of the namespace."""
        return [
            _Head(relative, start + relative, self._head(start + relative))
            for relative in (0, *headers.SECONDARY_PLACES)
            if start + relative < self.capacity_bytes
        ]

    def layers_from(self, start: int) -> Iterator[int]:
        """Starts of the layers whose headers lie around `start`."""
        return (head.layer_offset_bytes for head in self.heads(start) if head.bears_magic)

    def header(self, head: _Head) -> Luks1Header | Luks2Header | None:
        """The header that begins with `head`, or None where it cannot be read or believed."""
        data = head.data or b""
        try:
            if head.is_luks1:
                return Luks1Header.parse(data[: headers.LUKS1_BYTES])
            return Luks2Header.parse(self.read(head.offset_bytes, Luks2BinaryHeader.parse(data).header_bytes))
        except (Malformed, OSError):
            return None

    def _head(self, offset_bytes: int) -> bytes | None:
        try:
            length_bytes = min(headers.BINARY_BYTES, self.capacity_bytes - offset_bytes)
            return self.read(offset_bytes, length_bytes)
        except OSError:
            return None


def _rooms(blocks: BlockIo, layout: Iterable[NamespaceReport]) -> Iterator[_Room]:
    """The namespaces that can be read at all, ascending."""
    for each in sorted(layout, key=lambda each: each.nsid):
        has_sectors = each.logical_block_bytes > 0 and each.logical_block_bytes % COMPARED_BYTES == 0
        if each.is_attached and has_sectors:
            yield _Room(blocks, each.nsid, each.capacity_bytes, each.logical_block_bytes)


def _describe(room: _Room, start: int) -> FoundLayer:
    copies = [head for head in room.heads(start) if head.bears_magic and head.layer_offset_bytes == start]
    known = [header for head in copies if (header := room.header(head)) is not None]
    newest = max(known, key=lambda header: header.sequence, default=None)
    left = room.capacity_bytes - start
    reach = max(
        (max(header.keys_end_bytes, header.data_offset_bytes) for header in known),
        default=UNREADABLE_AREA_BYTES,
    )
    area_bytes = min(reach, MAX_AREA_BYTES, left)
    return FoundLayer(
        kind=LayerKind.LUKS1 if any(head.is_luks1 for head in copies) else LayerKind.LUKS2,
        nsid=room.nsid,
        offset_bytes=start,
        area_bytes=area_bytes,
        header_copies=len(copies),
        key_slots=0 if newest is None else newest.slot_count,
        tokens=0 if newest is None else newest.token_count,
        is_detached=newest is not None and not 0 < newest.data_offset_bytes < left,
        is_hw_opal=any(header.is_hw_opal for header in known),
        stretches=_stretches(room, known, start=start, area_bytes=area_bytes),
    )


def _stretches(
    room: _Room, known: list[Luks1Header | Luks2Header], *, start: int, area_bytes: int
) -> tuple[Stretch, ...]:
    """Slots, then the area with all places of headers in it."""
    slots = {(slot.offset_bytes, slot.end_bytes) for header in known for slot in header.slots}
    wanted = [*sorted(slots), (0, max(area_bytes, headers.MAX_HEADERS_BYTES))]
    return tuple(
        room.whole_blocks(start + first, start + last)
        for first, last in wanted
        if start + first < room.capacity_bytes
    )


def _overwrite(
    blocks: BlockIo,
    nsid: int,
    chunk: Stretch,
    random_bytes: Callable[[int], bytes],
    failed: list[OSError],
) -> None:
    """One chunk, by itself or, where that fails, block by block; appends what failed to `failed`."""
    try:
        blocks.write(nsid, chunk.offset_bytes, random_bytes(chunk.length_bytes))
        return
    except OSError:
        pass
    for block in chunk.chunks(RETRIED_BYTES):
        try:
            blocks.write(nsid, block.offset_bytes, random_bytes(block.length_bytes))
        except OSError as error:
            failed.append(error)
            if len(failed) > MAX_FAILED_WRITES:
                raise


def _digests(blocks: BlockIo, nsid: int, chunk: Stretch, key: bytes) -> bytes | None:
    """A digest of each piece of the chunk, one after the other; None where it cannot be read."""
    try:
        data = blocks.peek(nsid, chunk.offset_bytes, chunk.length_bytes)
    except OSError:
        return None
    return b"".join(
        hashlib.blake2b(data[place : place + COMPARED_BYTES], digest_size=DIGEST_BYTES, key=key).digest()
        for place in range(0, len(data), COMPARED_BYTES)
    )


def _split(digests: bytes) -> Iterator[bytes]:
    return (digests[place : place + DIGEST_BYTES] for place in range(0, len(digests), DIGEST_BYTES))
