"""The folder that is a simulated drive: ciphertext, its key, what is mapped, and what the drive remembers.

    state.json    identity, capability, sanitize state, faults; replaced whole, fsynced
    media.bin     every logical block, AES-XTS-256 under the media key, tweak = block number
    media.key     the media encryption key: 64 bytes, two AES-256 keys
    mapped.bin    one byte a block: 0 reads as zero (never written or deallocated), 1 reads through the key
    hidden.bin    blocks that no command addresses, under hidden.key; empty without the fault `keeps_hidden`
    hidden.key    as media.key
    lock          flock around every access, so that several processes see one drive
    claim         flock of whoever works on the drive exclusively

Rules: no plaintext ever rests in the folder; destroying the key overwrites it in place before it is replaced,
so that no file of the folder holds it afterwards; every change is on disk before the call returns, because a
drive's answer survives power. What a command means is `core`'s business.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from agent.devices.simulated.state import State
from agent.errors import Code
from certificate.errors import Malformed

#: IEEE 1619 XTS-AES-256: two 256-bit keys.
KEY_BYTES = 64
MAPPED, UNMAPPED = 1, 0
FILES = (
    "state.json",
    "media.bin",
    "media.key",
    "mapped.bin",
    "hidden.bin",
    "hidden.key",
    "lock",
    "claim",
)
#: How many blocks the hidden cells hold: an eighth of the drive, and at least these.
MIN_HIDDEN_BLOCKS = 16
#: How much is decrypted at a time when the whole drive is read.
CHUNK_BLOCKS = 256

Random = Callable[[int], bytes]


class Media:
    """The folder, opened by one process among several. Use everything but `claim` inside `locked()`."""

    def __init__(self, folder: Path, *, random: Random) -> None:
        self.folder = folder
        self._random = random

    @classmethod
    def create(cls, folder: Path, state: State, *, random: Random) -> Self:
        """A new drive: all blocks unmapped, a fresh key. Raises FileExistsError when the folder exists."""
        folder.mkdir(parents=True)
        media = cls(folder, random=random)
        (folder / "lock").touch()
        (folder / "claim").touch()
        with (folder / "media.bin").open("wb") as cells:
            cells.truncate(state.blocks * state.block_bytes)
        (folder / "mapped.bin").write_bytes(bytes(state.blocks))
        (folder / "hidden.bin").touch()
        _replace(folder / "media.key", random(KEY_BYTES))
        _replace(folder / "hidden.key", random(KEY_BYTES))
        media.save(state)
        return media

    def refuse_strangers(self) -> None:
        """Raises Malformed(IMAGE_INVALID) unless every file is a plain file here: a link or a device node
        would lead a simulated drive to a real one.
        """
        for name in FILES:
            try:
                mode = (self.folder / name).lstat().st_mode
            except FileNotFoundError:
                raise Malformed(Code.IMAGE_INVALID, f"{self.folder.name} has no {name}") from None
            if not stat.S_ISREG(mode):
                raise Malformed(Code.IMAGE_INVALID, f"{self.folder.name}/{name} is not a plain file")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else reads or changes the drive meanwhile."""
        try:
            descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            raise Malformed(Code.IMAGE_INVALID, f"{self.folder.name} holds no simulated drive") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def claim(self) -> int | None:
        """A descriptor that holds the drive exclusively until it is closed, or None: somebody else has it."""
        descriptor = os.open(self.folder / "claim", os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor

    def load(self) -> State:
        try:
            return State.read((self.folder / "state.json").read_bytes())
        except FileNotFoundError:
            raise Malformed(Code.IMAGE_INVALID, f"{self.folder.name} holds no simulated drive") from None

    def save(self, state: State) -> None:
        _replace(self.folder / "state.json", state.write())

    def change(self, state: State, **fields: Any) -> State:
        """`state` with other fields, saved."""
        changed = replace(state, **fields)
        self.save(changed)
        return changed

    def read_blocks(self, state: State, first: int, count: int) -> bytes:
        """The logical view: zero where unmapped, else what the ciphertext means under the present key."""
        size = state.block_bytes
        key = self._key()
        with (self.folder / "mapped.bin").open("rb") as file:
            file.seek(first)
            mapped = file.read(count)
        with (self.folder / "media.bin").open("rb") as cells:
            cells.seek(first * size)
            ciphertext = cells.read(count * size)
        if len(mapped) != count or len(ciphertext) != count * size:
            raise OSError(errno.EIO, "the drive ends here")
        view = bytearray(count * size)
        for index in range(count):
            if mapped[index] == MAPPED:
                place = slice(index * size, (index + 1) * size)
                view[place] = _xts(key, first + index).decryptor().update(ciphertext[place])
        return bytes(view)

    def write_blocks(self, state: State, first: int, data: bytes) -> None:
        """Encrypts whole blocks into their places, and maps them."""
        self._write_cells(state, first, data)
        _overwrite(self.folder / "mapped.bin", first, bytes([MAPPED]) * (len(data) // state.block_bytes))

    def destroy_key(self, state: State, *, kept: Iterable[range] = ()) -> None:
        """Nothing that was written before can be read again: old key overwritten in place, then replaced.
        Blocks of `kept` are put back under the new key, as a drive would that has a key for each part.
        """
        saved = [(run, self.read_blocks(state, run.start, len(run))) for run in kept if run]
        _overwrite(self.folder / "media.key", 0, self._random(KEY_BYTES))
        _replace(self.folder / "media.key", self._random(KEY_BYTES))
        for run, data in saved:
            self._write_cells(state, run.start, data)

    def erase_cells(self, state: State, blocks: range) -> None:
        """Cells as a block erase leaves them: all ones."""
        chunk = b"\xff" * (CHUNK_BLOCKS * state.block_bytes)
        length = len(blocks) * state.block_bytes
        with (self.folder / "media.bin").open("r+b") as cells:
            cells.seek(blocks.start * state.block_bytes)
            for start in range(0, length, len(chunk)):
                cells.write(chunk[: length - start])
            cells.flush()
            os.fsync(cells.fileno())

    def unmap(self, first: int, count: int) -> None:
        """Blocks that read zero from now on; their cells stay as they are."""
        _overwrite(self.folder / "mapped.bin", first, bytes([UNMAPPED]) * count)

    # --- cells that no command addresses --------------------------------------------------------------------

    def hide(self, state: State, blocks: range) -> None:
        """Copies the mapped ones among `blocks` into hidden cells, while there is room."""
        size, key = state.block_bytes, self._key("hidden.key")
        used = (self.folder / "hidden.bin").stat().st_size // size
        with (self.folder / "mapped.bin").open("rb") as file:
            file.seek(blocks.start)
            mapped = file.read(len(blocks))
        old = [block for block, flag in zip(blocks, mapped, strict=True) if flag == MAPPED]
        with (self.folder / "hidden.bin").open("ab") as cells:
            room = max(MIN_HIDDEN_BLOCKS, state.blocks // 8) - used
            for place, block in enumerate(old[:room], start=used):
                cells.write(_xts(key, place).encryptor().update(self.read_blocks(state, block, 1)))

    def read_hidden(self, state: State) -> bytes:
        """What the hidden cells hold."""
        size, key = state.block_bytes, self._key("hidden.key")
        cells = (self.folder / "hidden.bin").read_bytes()
        return b"".join(
            _xts(key, place).decryptor().update(cells[place * size : (place + 1) * size])
            for place in range(len(cells) // size)
        )

    def destroy_hidden(self) -> None:
        """Nothing of the hidden cells can be read again."""
        _overwrite(self.folder / "hidden.key", 0, self._random(KEY_BYTES))
        _replace(self.folder / "hidden.key", self._random(KEY_BYTES))
        _replace(self.folder / "hidden.bin", b"")

    def _write_cells(self, state: State, first: int, data: bytes) -> None:
        size, key = state.block_bytes, self._key()
        ciphertext = b"".join(
            _xts(key, first + index).encryptor().update(data[index * size : (index + 1) * size])
            for index in range(len(data) // size)
        )
        _overwrite(self.folder / "media.bin", first * size, ciphertext)

    def _key(self, name: str = "media.key") -> bytes:
        key = (self.folder / name).read_bytes()
        if len(key) != KEY_BYTES:
            raise Malformed(Code.IMAGE_INVALID, f"{name} has {len(key)} bytes")
        return key


def _xts(key: bytes, block: int) -> Cipher[modes.XTS]:
    """IEEE 1619: the tweak is the block's number, little-endian, 16 bytes. 32 MiB takes 0.25 s this way."""
    return Cipher(algorithms.AES(key), modes.XTS(block.to_bytes(16, "little")))


def _overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _replace(path: Path, data: bytes) -> None:
    """The whole file or the one before, also after a power cut."""
    temporary = path.with_name(path.name + ".new")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
