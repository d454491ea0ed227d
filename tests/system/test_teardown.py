"""Real mounts, swap and loop devices, let go by the agent's own calls; only what this file made.

The drive is a loop device over a file, so that everything above it is the kernel's own. Kernels without
device-mapper and md (as where these tests were written) show nothing of LVM, dm-crypt and arrays: those are
played in tests/agent/test_teardown.py and were never tried on a running kernel.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from agent.devices import mapper, partitions, stack
from agent.errors import Code
from agent.teardown import KernelTeardown
from certificate.errors import Refused
from certificate.statements.statement import Seen
from certificate.statements.vocabulary import StackedKind

pytestmark = pytest.mark.system

SIZE_BYTES = 32 << 20
INNER_BYTES = 4 << 20
SERIAL = "DRIVE-1"


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


class Made:
    """What a test made, and takes away again, last first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.undo: list[tuple[str, ...]] = []

    def disk(self, path: Path, size_bytes: int = SIZE_BYTES) -> str:
        """A loop device over a new file without holes (swap wants none); its kernel name."""
        with path.open("wb") as file:
            file.write(bytes(size_bytes))
        node = run("losetup", "--find", "--show", str(path))
        self.undo.append(("losetup", "--detach", node))
        return node.removeprefix("/dev/")

    def mounted(self, name: str, point: Path) -> Path:
        run("mkfs.ext4", "-q", f"/dev/{name}")
        point.mkdir(parents=True)
        run("mount", f"/dev/{name}", str(point))
        self.undo.append(("umount", str(point)))
        return point

    def swap(self, name: str) -> None:
        run("mkswap", "-q", f"/dev/{name}")
        run("swapon", f"/dev/{name}")
        self.undo.append(("swapoff", f"/dev/{name}"))

    def take_away(self) -> None:
        for command in reversed(self.undo):
            with suppress(subprocess.CalledProcessError):
                run(*command)


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    each = Made(tmp_path)
    yield each
    each.take_away()


def teardown_of(*names: str) -> KernelTeardown:
    return KernelTeardown(
        nodes={SERIAL: names},
        look=stack.read,
        let_go=mapper.Mapper().let_go,
        own_paths=mapper.own_paths,
        pause=time.sleep,
    )


def on(name: str) -> list[StackedKind]:
    return [each.kind for each in stack.above(stack.read(), (name,))]


@pytest.fixture
def stacked(made: Made) -> tuple[str, Path]:
    """A drive with a file system, in it two files behind loop devices: one mounted, one swapped to."""
    drive = made.disk(made.folder / "drive.img")
    point = made.mounted(drive, made.folder / "outer")
    made.mounted(made.disk(point / "mounted.img", INNER_BYTES), point / "inner mount")
    made.swap(made.disk(point / "swapped.img", INNER_BYTES))
    return drive, point


def test_mounts_swap_and_loop_devices_are_let_go_and_the_kernel_says_so(
    stacked: tuple[str, Path],
) -> None:
    drive, point = stacked
    assert sorted(kind.value for kind in on(drive)) == ["loop", "loop", "mount", "mount", "swap"]
    released = teardown_of(drive).release([SERIAL])[SERIAL]
    assert {seen for _, seen in released} == {Seen.YES}
    kinds = [kind for kind, _ in released]
    assert len(kinds) == 5
    assert kinds[-1] is StackedKind.MOUNT
    assert on(drive) == []
    assert str(point) not in Path("/proc/self/mountinfo").read_text()
    assert (Path("/sys/block") / drive / "loop/backing_file").exists(), "the drive itself is not detached"
    os.close(os.open(f"/dev/{drive}", os.O_RDWR | os.O_EXCL))


def test_what_is_in_use_holds_and_what_lies_below_is_not_touched(
    stacked: tuple[str, Path],
) -> None:
    drive, point = stacked
    with (point / "inner mount" / "open").open("w"):
        # The file is this process's own, which the next test is about.
        forgetful = replace(teardown_of(drive), own_paths=lambda: ())
        released = forgetful.release([SERIAL])[SERIAL]
    held = [kind for kind, seen in released if seen is Seen.NO]
    assert held == [StackedKind.MOUNT, StackedKind.LOOP, StackedKind.MOUNT]
    assert str(point) in Path("/proc/self/mountinfo").read_text()
    assert {seen for _, seen in teardown_of(drive).release([SERIAL])[SERIAL]} == {Seen.YES}


def test_what_the_agent_itself_has_open_refuses_before_anything_is_let_go(
    stacked: tuple[str, Path],
) -> None:
    drive, point = stacked
    before = on(drive)
    with (point / "inner mount" / "open").open("w"):
        with pytest.raises(Refused) as refusal:
            teardown_of(drive).release([SERIAL])
    assert refusal.value.code is Code.TEARDOWN_OWN_SYSTEM
    assert on(drive) == before


def test_another_drives_mount_in_the_tree_refuses_before_anything_is_let_go(
    made: Made, stacked: tuple[str, Path]
) -> None:
    drive, point = stacked
    stranger = made.disk(made.folder / "stranger.img")
    made.mounted(stranger, point / "strange")
    before = on(drive)
    with pytest.raises(Refused) as refusal:
        teardown_of(drive).require_possible([SERIAL])
    assert refusal.value.code is Code.TEARDOWN_SHARED
    assert on(drive) == before
    assert {seen for _, seen in teardown_of(drive, stranger).release([SERIAL])[SERIAL]} == {Seen.YES}
    assert on(stranger) == []


def test_the_disk_of_the_running_system_is_refused(made: Made) -> None:
    roots = [each for each in stack.read() if each.kind is StackedKind.MOUNT and each.path == "/"]
    if not roots[0].on:
        pytest.fail("the root file system stands on no block device here; nothing would be shown")
    with pytest.raises(Refused) as refusal:
        teardown_of(*roots[0].on).require_possible([SERIAL])
    assert refusal.value.code is Code.TEARDOWN_OWN_SYSTEM


@pytest.mark.parametrize("script", ["label: gpt", "label: dos"])
def test_partitions_that_sfdisk_wrote_are_read(made: Made, script: str) -> None:
    image = made.folder / "table.img"
    with image.open("wb") as file:
        file.truncate(SIZE_BYTES)
    logical = "start=8192, type=5\nstart=10240, size=2048\nstart=16384\n"
    lines = f"{script}\nstart=2048, size=4096\n" + (logical if "dos" in script else "start=8192\n")
    subprocess.run(["sfdisk", "-q", str(image)], input=lines, text=True, check=True, timeout=60)
    data = image.read_bytes()
    found = partitions.starts(
        lambda offset, length: data[offset : offset + length], capacity_bytes=len(data), block_bytes=512
    )
    expected = {2048, 8192, 10240, 16384} if "dos" in script else {2048, 8192}
    assert {start // 512 for start in found} >= expected
    if "gpt" in script:
        assert {start // 512 for start in found} == expected
