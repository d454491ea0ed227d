"""A plain drive that is a file: `<name>.img` beside `<name>.json`, in the folder of a demonstration or test.

Rules: what is opened is a regular file with one name, found out before it is opened, so that no link leads
out of the folder and no device node is ever touched; the JSON names serial and model and nothing else; the
drive is claimed by a lock on its file, so that two executions never work on one; from then on the name must
lead to the file that was claimed, or the drive is another one; the device class says `image_file`, whatever
the file lies on, and no certificate about one is valid in production.

Reads and writes go past the cache where the file system knows O_DIRECT. Where it does not, `flush` writes
everything out and has the cached pages dropped, which the kernel is asked for and does not promise.
KNOWN GAP: a file system that copies on write, or keeps snapshots, leaves the old bytes elsewhere: an image
shows how the agent works and nothing about what it lies on.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from pathlib import Path
from typing import Final

from agent.devices.block import KernelBlockIo
from agent.devices.drive import WHOLE, DriveIdentity
from agent.devices.layout import SECTOR_BYTES
from agent.errors import Code
from certificate import strict_json
from certificate.errors import Malformed
from certificate.statements.vocabulary import Attachment, DeviceClass, Transport

SUFFIX: Final = ".img"
#: Room for markers and for something between them.
MIN_IMAGE_BYTES: Final = 1 << 20
#: Two short words; stops reading something else whole.
MAX_JSON_BYTES: Final = 4096
#: As long as an NVMe model number, twice.
MAX_WORD_CHARACTERS: Final = 80
#: Of every image.
LOGICAL_BLOCK_BYTES: Final = SECTOR_BYTES


class ImageFileDrive:
    """One image. It has one namespace, `drive.WHOLE`."""

    transport_name: Final = Transport.IMAGE
    attachment: Final = Attachment.INTERNAL
    device_class: Final = DeviceClass.IMAGE_FILE

    def __init__(self, path: Path) -> None:
        """Opens nothing; `open_drive` is how to get one."""
        self._path = path
        self.name = path.stem
        #: Device and inode of the file that was claimed last; what is read and written is that one.
        self._claimed: tuple[int, int] | None = None
        self.blocks = KernelBlockIo({WHOLE: path}, open_path=self._open, ioctl=_forget_pages)

    def identity(self) -> DriveIdentity:
        """As the two files say now. Raises Malformed: IMAGE_INVALID; IDENTITY_CHANGED where the name
        leads to another file than the one that was claimed.
        """
        serial, model = _read_names(self._path.with_suffix(".json"))
        found = _look(self._path)
        if self._claimed not in (None, (found.st_dev, found.st_ino)):
            raise Malformed(Code.IDENTITY_CHANGED, f"{self._path.name} is another file than was claimed")
        return DriveIdentity(serial_number=serial, model_number=model, capacity_bytes=found.st_size)

    def is_write_protected(self) -> bool:
        """Nobody may write to the file. (Root could; it is asked not to.) Raises Malformed(IMAGE_INVALID)."""
        return not _look(self._path).st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH)

    def _open(self, path: Path, flags: int) -> int:
        descriptor = _open_block_file(path, flags)
        if flags & os.O_ACCMODE != os.O_RDONLY:
            claimed = os.fstat(descriptor)
            self._claimed = (claimed.st_dev, claimed.st_ino)
        return descriptor


def open_drive(path: Path) -> ImageFileDrive:
    """The image at `path`, found to be one. Raises Malformed(IMAGE_INVALID) for whatever is not."""
    if path.suffix != SUFFIX:
        raise Malformed(Code.IMAGE_INVALID, f"{path.name} does not end in {SUFFIX}")
    drive = ImageFileDrive(path)
    size_bytes = drive.identity().capacity_bytes
    if size_bytes < MIN_IMAGE_BYTES or size_bytes % LOGICAL_BLOCK_BYTES:
        raise Malformed(
            Code.IMAGE_INVALID,
            f"{path.name} has {size_bytes} bytes; an image has {MIN_IMAGE_BYTES} at least, in whole sectors",
        )
    return drive


def _open_regular(path: Path, flags: int) -> int:
    """A descriptor of a regular file with one name. Raises OSError, with ELOOP for anything else.

    The file is looked at through a descriptor that opens nothing, and opened through that one, so that nobody
    can put something else in its place in between.
    """
    pointer = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = os.fstat(pointer)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.ELOOP, f"{path.name} is no regular file")
        if found.st_nlink != 1:
            raise OSError(errno.ELOOP, f"{path.name} has {found.st_nlink} names")
        return os.open(f"/proc/self/fd/{pointer}", flags | os.O_CLOEXEC)
    finally:
        os.close(pointer)


def _open_block_file(path: Path, flags: int) -> int:
    """As `KernelBlockIo` wants it: locked when it is opened to be written, past the cache where that can be.
    Raises OSError, with EBUSY when another holds the lock.
    """
    flags &= ~os.O_EXCL
    try:
        descriptor = _open_regular(path, flags)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        descriptor = _open_regular(path, flags & ~os.O_DIRECT)
    if flags & os.O_ACCMODE == os.O_RDONLY:
        return descriptor
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        is_held = error.errno in (errno.EAGAIN, errno.EACCES)
        raise OSError(errno.EBUSY if is_held else error.errno, f"{path.name} cannot be locked") from error
    return descriptor


def _forget_pages(descriptor: int, _request: int, _argument: int) -> None:
    """What BLKFLSBUF is to a block device."""
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def _look(path: Path) -> os.stat_result:
    try:
        descriptor = _open_regular(path, os.O_RDONLY)
    except OSError as error:
        raise Malformed(Code.IMAGE_INVALID, f"{path.name}: {error.strerror}") from error
    try:
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)


def _read_names(path: Path) -> tuple[str, str]:
    """Serial and model."""
    try:
        with os.fdopen(_open_regular(path, os.O_RDONLY), "rb") as file:
            data = file.read(MAX_JSON_BYTES + 1)
    except OSError as error:
        raise Malformed(Code.IMAGE_INVALID, f"{path.name}: {error.strerror}") from error
    try:
        fields = strict_json.load_object(data, max_bytes=MAX_JSON_BYTES, what=path.name)
    except Malformed as error:
        raise Malformed(Code.IMAGE_INVALID, error.reason) from None
    if set(fields) != {"serial", "model"}:
        raise Malformed(Code.IMAGE_INVALID, f"{path.name} says something else than serial and model")
    return _word(path, fields["serial"]), _word(path, fields["model"])


def _word(path: Path, value: object) -> str:
    is_word = isinstance(value, str) and 0 < len(value) <= MAX_WORD_CHARACTERS
    if not (isinstance(value, str) and is_word and value.isascii() and value.isprintable()):
        raise Malformed(Code.IMAGE_INVALID, f"{path.name} holds something else than words")
    if value != value.strip():
        raise Malformed(Code.IMAGE_INVALID, f"{path.name} holds a word with spaces around it")
    return value
