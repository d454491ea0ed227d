"""The folder that is a simulated drive: ciphertext, its key, what is mapped, and what the drive remembers.

    state.json    identity, capability, sanitize state, faults; replaced whole, fsynced
    media.bin     every logical block, AES-XTS-256 under the media key, tweak = block number
    media.key     the media encryption key: 64 bytes, two AES-256 keys
    mapped.bin    one byte a block: 0 reads as zero (never written or deallocated), 1 reads through the key
    lock          flock around every access, so that several processes see one drive
    claim         flock of whoever works on the drive exclusively

Rules: no plaintext ever rests in the folder; destroying the key overwrites it in place before it is replaced,
so that no file of the folder holds it afterwards; every change is on disk before the call returns, because a
drive's answer survives power. What a command means is `core`'s business.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from agent.devices.simulated.faults import Fault, read_faults
from agent.errors import Code
from certificate import strict_json
from certificate.errors import Malformed

FORMAT = "expunge-simulated-drive/1"
#: IEEE 1619 XTS-AES-256: two 256-bit keys.
KEY_BYTES = 64
#: A state file is about 1 kB; stops reading something else whole.
MAX_STATE_BYTES = 65_536
MAPPED, UNMAPPED = 1, 0
FILES = ("state.json", "media.bin", "media.key", "mapped.bin", "lock", "claim")
#: How much is decrypted at a time when the whole drive is read.
CHUNK_BLOCKS = 256

Random = Callable[[int], bytes]


@dataclass(frozen=True, kw_only=True)
class Namespace:
    """One namespace; they lie one after the other in media.bin, in order of nsid."""

    nsid: int
    blocks: int
    is_attached: bool = True
    is_write_protected: bool = False


@dataclass(frozen=True, kw_only=True)
class Sanitize:
    """The latest sanitize. `status`: never, running, success, success_deallocated or failed."""

    status: str = "never"
    action: str = ""
    command_dword: int = 0
    is_no_deallocate: bool = False
    may_exit_failure: bool = False
    polls_done: int = 0


@dataclass(frozen=True, kw_only=True)
class State:
    """All that a drive remembers besides its blocks."""

    serial: str
    model: str
    firmware: str
    block_bytes: int
    namespaces: tuple[Namespace, ...]
    unallocated_bytes: int
    has_crypto_erase: bool
    has_block_erase: bool
    #: NDI: the drive refuses to keep blocks mapped.
    inhibits_no_deallocate: bool
    #: Where it may deallocate after a sanitize, it does.
    deallocates: bool
    #: How many status polls see a sanitize running before it ends.
    sanitize_polls: int
    sanitize: Sanitize
    #: How many were ever begun: what a test counts when it looks for a second erasure.
    sanitizes_begun: int
    #: No user data was written since manufacture or since the latest successful sanitize.
    is_global_data_erased: bool
    power_cycles: int
    faults: frozenset[Fault]

    @property
    def blocks(self) -> int:
        return sum(namespace.blocks for namespace in self.namespaces)

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
            return cls(namespaces=namespaces, sanitize=sanitize, faults=faults, **raw)
        except (TypeError, KeyError, AttributeError):
            raise Malformed(Code.IMAGE_INVALID, "state.json lacks a field or has one too many") from None


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
        _replace(folder / "media.key", random(KEY_BYTES))
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
        size, key = state.block_bytes, self._key()
        count = len(data) // size
        ciphertext = b"".join(
            _xts(key, first + index).encryptor().update(data[index * size : (index + 1) * size])
            for index in range(count)
        )
        _overwrite(self.folder / "media.bin", first * size, ciphertext)
        _overwrite(self.folder / "mapped.bin", first, bytes([MAPPED]) * count)

    def destroy_key(self) -> None:
        """Nothing that was written before can be read again: old key overwritten in place, then replaced."""
        _overwrite(self.folder / "media.key", 0, self._random(KEY_BYTES))
        _replace(self.folder / "media.key", self._random(KEY_BYTES))

    def erase_cells(self, state: State) -> None:
        """Every cell as a block erase leaves it: all ones."""
        chunk = b"\xff" * (CHUNK_BLOCKS * state.block_bytes)
        length = state.blocks * state.block_bytes
        with (self.folder / "media.bin").open("r+b") as cells:
            for start in range(0, length, len(chunk)):
                cells.write(chunk[: length - start])
            cells.flush()
            os.fsync(cells.fileno())

    def unmap(self, first: int, count: int) -> None:
        """Blocks that read zero from now on; their cells stay as they are."""
        _overwrite(self.folder / "mapped.bin", first, bytes([UNMAPPED]) * count)

    def _key(self) -> bytes:
        key = (self.folder / "media.key").read_bytes()
        if len(key) != KEY_BYTES:
            raise Malformed(Code.IMAGE_INVALID, f"media.key has {len(key)} bytes")
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
