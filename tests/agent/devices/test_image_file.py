from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.devices import image_file
from agent.devices.drive import WHOLE, Drive, Protectable
from agent.devices.image_file import ImageFileDrive, open_drive
from agent.errors import Code
from certificate.errors import Malformed
from certificate.statements import Seen
from certificate.statements.vocabulary import Attachment, DeviceClass, Transport

MIB = 1 << 20
NAMES = {"serial": "IMG-1", "model": "Image of a plain drive"}

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """An image and its JSON; what is `None` is left out."""

    def make(
        name: str = "one", size: int | None = 2 * MIB, names: object = NAMES, text: str | None = None
    ) -> Path:
        path = tmp_path / f"{name}.img"
        if size is not None:
            path.write_bytes(b"t" * size)
        if names is not None:
            path.with_suffix(".json").write_text(json.dumps(names) if text is None else text)
        return path

    return make


def refused(path: Path) -> str:
    with pytest.raises(Malformed) as error:
        open_drive(path)
    assert error.value.code is Code.IMAGE_INVALID
    return error.value.reason


def test_an_image_says_what_it_is_and_what_its_json_names(make: Make) -> None:
    drive: Drive = open_drive(make())
    assert (drive.name, drive.transport_name) == ("one", Transport.IMAGE)
    assert drive.device_class is DeviceClass.IMAGE_FILE
    assert drive.attachment is Attachment.INTERNAL
    identity = drive.identity()
    assert (identity.serial_number, identity.model_number) == ("IMG-1", "Image of a plain drive")
    assert identity.capacity_bytes == 2 * MIB


def test_what_is_written_and_flushed_stands_in_the_file(make: Make) -> None:
    path = make()
    blocks = open_drive(path).blocks
    assert blocks.open_exclusively() is Seen.YES
    blocks.write(WHOLE, MIB, b"w" * 4096)
    blocks.flush()
    assert blocks.read(WHOLE, MIB - 4096, 3 * 4096) == b"t" * 4096 + b"w" * 4096 + b"t" * 4096
    blocks.close()
    assert path.read_bytes()[MIB : MIB + 4096] == b"w" * 4096


def test_an_image_is_looked_at_without_being_claimed(make: Make) -> None:
    path = make()
    holder = open_drive(path)
    assert holder.blocks.open_exclusively() is Seen.YES
    assert open_drive(path).blocks.peek(WHOLE, 0, 512) == b"t" * 512
    holder.blocks.close()


def test_two_executions_never_hold_one_image(make: Make) -> None:
    path = make()
    one, other = open_drive(path), open_drive(path)
    assert one.blocks.open_exclusively() is Seen.YES
    assert other.blocks.open_exclusively() is Seen.NO
    with pytest.raises(OSError, match="namespace 1 is not open"):
        other.blocks.write(WHOLE, 0, bytes(512))
    one.blocks.close()
    assert other.blocks.open_exclusively() is Seen.YES
    other.blocks.close()


def test_a_lock_that_cannot_be_had_for_another_reason_is_not_observed(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    drive = open_drive(make())
    before = len(list(Path("/proc/self/fd").iterdir()))
    monkeypatch.setattr(fcntl, "flock", no_locks)
    assert drive.blocks.open_exclusively() is Seen.NOT_OBSERVED
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_without_direct_access_the_image_still_works_and_a_flush_drops_its_pages(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[int] = []
    forgotten: list[int] = []
    whole = os.open

    def no_direct(path: object, flags: int, *rest: object, **more: object) -> int:
        if flags & os.O_DIRECT:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        opened.append(flags)
        return whole(path, flags, *rest, **more)  # type: ignore[arg-type]

    def forget(descriptor: int, _start: int, _length: int, advice: int) -> None:
        forgotten.append(advice)

    drive = open_drive(make())
    monkeypatch.setattr(os, "open", no_direct)
    monkeypatch.setattr(os, "posix_fadvise", forget)
    assert drive.blocks.open_exclusively() is Seen.YES
    drive.blocks.write(WHOLE, 0, b"n" * 512)
    drive.blocks.flush()
    assert drive.blocks.read(WHOLE, 0, 512) == b"n" * 512
    drive.blocks.close()
    assert forgotten == [os.POSIX_FADV_DONTNEED]


def test_direct_access_is_asked_for_first(make: Make) -> None:
    drive = open_drive(make())
    drive.blocks.open_exclusively()
    if not _is_direct():
        pytest.fail("the file system of the temporary folder has no O_DIRECT")
    drive.blocks.close()
    assert not _is_direct()


def _is_direct() -> bool:
    """Whether this process has any file open past the cache."""
    for entry in Path("/proc/self/fdinfo").iterdir():
        try:
            flags = next(line for line in entry.read_text().splitlines() if line.startswith("flags:"))
        except (OSError, StopIteration):
            continue
        if int(flags.split()[1], 8) & os.O_DIRECT:
            return True
    return False


def test_identity_is_read_anew(make: Make) -> None:
    path = make()
    drive = open_drive(path)
    path.with_suffix(".json").write_text(json.dumps({**NAMES, "serial": "IMG-2"}))
    os.truncate(path, 3 * MIB)
    assert (drive.identity().serial_number, drive.identity().capacity_bytes) == ("IMG-2", 3 * MIB)
    path.unlink()
    with pytest.raises(Malformed, match=r"one\.img"):
        drive.identity()


def test_an_image_replaced_after_it_was_claimed_is_another_drive(make: Make) -> None:
    path = make()
    drive = open_drive(path)
    assert drive.blocks.open_exclusively() is Seen.YES
    assert drive.identity().capacity_bytes == 2 * MIB
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    copy.replace(path)
    with pytest.raises(Malformed) as error:
        drive.identity()
    assert error.value.code is Code.IDENTITY_CHANGED
    drive.blocks.close()
    assert drive.blocks.open_exclusively() is Seen.YES, "claimed anew, it is the file that is there"
    assert drive.identity().serial_number == "IMG-1"
    drive.blocks.close()


def test_an_image_that_nobody_may_write_to_is_write_protected(make: Make) -> None:
    path = make()
    drive = open_drive(path)
    assert isinstance(drive, Protectable)
    assert not drive.is_write_protected()
    path.chmod(0o400)
    assert drive.is_write_protected()


def test_a_link_is_no_image(make: Make, tmp_path: Path) -> None:
    elsewhere = make("elsewhere")
    link = make("link", size=None)
    link.symlink_to(elsewhere)
    assert "no regular file" in refused(link)


def test_a_link_is_no_description(make: Make, tmp_path: Path) -> None:
    path = make(names=None)
    (tmp_path / "outside").write_text(json.dumps(NAMES))
    path.with_suffix(".json").symlink_to(tmp_path / "outside")
    assert "no regular file" in refused(path)


def test_a_file_with_a_second_name_is_no_image(make: Make, tmp_path: Path) -> None:
    path = make()
    os.link(path, tmp_path / "outside")
    assert "2 names" in refused(path)


def test_a_link_put_in_an_images_place_later_is_never_written_to(make: Make, tmp_path: Path) -> None:
    path = make()
    drive = open_drive(path)
    victim = tmp_path / "victim"
    victim.write_bytes(b"v" * (2 * MIB))
    path.unlink()
    path.symlink_to(victim)
    assert drive.blocks.open_exclusively() is Seen.NOT_OBSERVED
    with pytest.raises(OSError, match="no regular file"):
        drive.blocks.peek(WHOLE, 0, 512)


@pytest.mark.parametrize("kind", ["folder", "pipe", "socket", "absent"])
def test_what_is_no_file_is_no_image(make: Make, tmp_path: Path, kind: str) -> None:
    path = make("strange", size=None)
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
    assert refused(path)


def test_a_device_node_is_never_opened(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make(size=None)
    path.symlink_to("/dev/full")
    opened: list[tuple[str, int]] = []
    whole = os.open

    def remember(name: object, flags: int, *rest: object, **more: object) -> int:
        opened.append((str(name), flags))
        return whole(name, flags, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", remember)
    drive = ImageFileDrive(path)
    assert drive.blocks.open_exclusively() is Seen.NOT_OBSERVED
    assert [flags & os.O_PATH for name, flags in opened if name == str(path)] == [os.O_PATH]
    assert not [name for name, _ in opened if name.startswith("/proc")]


@pytest.mark.parametrize("size", [0, 512, MIB - 512, MIB + 1, 2 * MIB + 511])
def test_a_size_that_no_drive_has_is_refused(make: Make, size: int) -> None:
    assert f"has {size} bytes" in refused(make(size=size))


@pytest.mark.parametrize("size", [MIB, MIB + 512])
def test_the_smallest_images_are_drives(make: Make, size: int) -> None:
    assert open_drive(make(size=size)).identity().capacity_bytes == size


@pytest.mark.parametrize(
    "names",
    [
        {},
        {"serial": "S"},
        {"model": "M"},
        {**NAMES, "device_class": "physical"},
        {**NAMES, "serial": ""},
        {**NAMES, "serial": " S"},
        {**NAMES, "serial": 7},
        {**NAMES, "serial": None},
        {**NAMES, "model": "line\nbreak"},
        {**NAMES, "model": "Größe"},
        {**NAMES, "model": "m" * 81},
        ["serial", "model"],
        "serial",
    ],
)
def test_a_description_says_serial_and_model_in_words_and_nothing_else(make: Make, names: object) -> None:
    refused(make(names=names))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"serial": "A", "serial": "B", "model": "M"}',
        '{"serial": "A", "model": "M"} {}',
        '{"serial": "A", "model": "M"' + " " * 4096 + "}",
    ],
)
def test_a_description_is_strict_json(make: Make, text: str) -> None:
    refused(make(text=text))


def test_an_image_without_a_description_is_refused(make: Make) -> None:
    assert "one.json" in refused(make(names=None))


def test_only_the_suffix_makes_an_image(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text(json.dumps(NAMES))
    (tmp_path / "one.raw").write_bytes(bytes(2 * MIB))
    assert image_file.SUFFIX in refused(tmp_path / "one.raw")
