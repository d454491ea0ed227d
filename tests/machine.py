"""A machine made of files: sysfs, procfs and device nodes as a kernel shows them, and that kernel's answers
to the calls that let things go. Bytes in, and nothing of the drivers it serves to test is imported.

The kernel keeps its own list of what stands on what, refuses with EBUSY what is held, and shows the result by
writing its files anew. `stuck`: refuses whatever; `lying`: says yes and does nothing; `late`: lets go after
that many looks.
"""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


@dataclass
class Device:
    name: str
    number: str
    on: list[str]
    files: dict[str, str] = field(default_factory=dict)
    part_of: str = ""


@dataclass
class Mount:
    id: int
    parent: int
    number: str
    point: str
    filesystem: str
    source: str
    options: str


class FakeMachine:
    def __init__(self, folder: Path) -> None:
        self.sys_root, self.proc_root, self.dev_root = folder / "sys", folder / "proc", folder / "dev"
        self.devices: dict[str, Device] = {}
        self.mounts: list[Mount] = []
        self.swaps: list[str] = []
        self.btrfs: dict[str, list[str]] = {}
        self.asked: list[str] = []
        self.stuck: set[str] = set()
        self.lying: set[str] = set()
        self.late: dict[str, int] = {}
        self.opened: dict[int, str] = {}
        self.open_flags: list[int] = []
        self.mount("/", "0:1", "tmpfs", "rootfs")

    # --- building -------------------------------------------------------------------------------------------

    def device(self, name: str, number: str, *, on: tuple[str, ...] = (), **files: str) -> str:
        named = {key.replace("__", "/"): value for key, value in files.items()}
        self.devices[name] = Device(name, number, list(on), named)
        self.show()
        return name

    def partition(self, disk: str, name: str, number: str) -> str:
        self.devices[name] = Device(name, number, [], {"partition": "1"}, part_of=disk)
        self.show()
        return name

    def mapped(self, name: str, number: str, label: str, uuid: str, *on: str) -> str:
        return self.device(name, number, on=on, dm__name=label, dm__uuid=uuid)

    def loop(self, name: str, number: str, backing_file: str) -> str:
        return self.device(name, number, loop__backing_file=backing_file)

    def mount(
        self, point: str, number: str, filesystem: str = "ext4", source: str = "none", *, options: str = "rw"
    ) -> Mount:
        parent = self.holding(point.rsplit("/", 1)[0] or "/") if self.mounts else None
        covered = [each for each in self.mounts if each.point == point]
        above = covered[-1] if covered else parent
        made = Mount(
            id=20 + len(self.mounts),
            parent=above.id if above else 1,
            number=number,
            point=point,
            filesystem=filesystem,
            source=source,
            options=options,
        )
        self.mounts.append(made)
        self.show()
        return made

    def swap(self, path: str) -> None:
        self.swaps.append(path)
        self.show()

    # --- what the kernel knows ------------------------------------------------------------------------------

    def holding(self, path: str) -> Mount:
        inside = [each for each in self.mounts if (path + "/").startswith(each.point.rstrip("/") + "/")]
        return max(inside, key=lambda each: (len(each.point), each.id))

    def node_of(self, path: str) -> str | None:
        if path.startswith("/dev/mapper/"):
            label = path.removeprefix("/dev/mapper/")
            return next((n for n, d in self.devices.items() if d.files.get("dm/name") == label), None)
        name = path.removeprefix("/dev/")
        return name if path.startswith("/dev/") and name in self.devices else None

    def is_held(self, name: str) -> bool:
        device = self.devices[name]
        parts = [each.name for each in self.devices.values() if each.part_of == name]
        return (
            any(name in each.on for each in self.devices.values())
            or any(
                mount.number == device.number or self.node_of(mount.source) == name for mount in self.mounts
            )
            or any(self.node_of(path) == name for path in self.swaps)
            or any(self.is_held(part) for part in parts)
        )

    def is_busy(self, mount: Mount) -> bool:
        files = [
            each.files["loop/backing_file"]
            for each in self.devices.values()
            if "loop/backing_file" in each.files
        ]
        inside = [path for path in (*files, *self.swaps) if self.node_of(path) is None]
        return any(each.parent == mount.id for each in self.mounts) or any(
            self.holding(path) is mount for path in inside
        )

    def show(self) -> None:
        """Writes every file anew, as sysfs and procfs show what is."""
        shutil.rmtree(self.sys_root, ignore_errors=True)
        for device in self.devices.values():
            folder = self.folder_of(device)
            put(folder / "dev", device.number)
            for name, text in device.files.items():
                put(folder / name, text)
            for name in ("holders", "slaves"):
                (folder / name).mkdir()
        for device in self.devices.values():
            for lower in device.on:
                put(self.folder_of(device) / "slaves" / lower, "")
                if lower in self.devices:
                    put(self.folder_of(self.devices[lower]) / "holders" / device.name, "")
        for name, members in self.btrfs.items():
            for member in members:
                put(self.sys_root / "fs/btrfs" / name / "devices" / member, "")
        put(self.proc_root / "self/mountinfo", "\n".join(self.mount_line(each) for each in self.mounts))
        rows = [f"{path:<40}partition\t65532\t\t0\t\t-2" for path in self.swaps]
        put(self.proc_root / "swaps", "\n".join(["Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority", *rows]))

    def folder_of(self, device: Device) -> Path:
        block = self.sys_root / "block"
        return block / device.part_of / device.name if device.part_of else block / device.name

    @staticmethod
    def mount_line(each: Mount) -> str:
        point = each.point.replace("\\", "\\134").replace(" ", "\\040")
        first = f"{each.id} {each.parent} {each.number} / {point} rw,relatime shared:1"
        return f"{first} - {each.filesystem} {each.source} {each.options}"

    # --- what the kernel is asked ---------------------------------------------------------------------------

    def open_path(self, path: Path, flags: int) -> int:
        node = str(path.relative_to(self.dev_root))
        if node != "mapper/control" and node not in self.devices:
            raise OSError(errno.ENXIO, node)
        descriptor = os.open(os.devnull, os.O_RDONLY)
        self.opened[descriptor] = node
        self.open_flags.append(flags)
        return descriptor

    def ioctl(self, descriptor: int, request: int, argument: bytearray | int) -> object:
        node = self.opened[descriptor]
        if request == 0x4C01 and "loop/backing_file" in self.devices[node].files:
            # A loop device that is held says yes and waits for its last user.
            return self.remove(f"loop {node}", node, refuses=False)
        if request == 0x0932 and "md/level" in self.devices[node].files:
            return self.remove(f"stop {node}", node, refuses=True)
        if request == 0xC138FD04 and node == "mapper/control" and isinstance(argument, bytearray):
            found = self.mapped_by_number(argument)
            return self.remove(f"remove {found}", found, refuses=True)
        raise OSError(errno.ENOTTY, "no such request")

    def mapped_by_number(self, request: bytearray) -> str:
        """The device a struct dm_ioctl names: version at 0, data_size at 12, dev at 40, name at 48, uuid."""
        assert len(request) == 312
        assert int.from_bytes(request[0:4], "little") == 4
        assert int.from_bytes(request[12:16], "little") == 312
        assert not any(request[20:40])
        assert not any(request[48:])
        code = int.from_bytes(request[40:48], "little")
        number = f"{code >> 8 & 0xFFF}:{code & 0xFF | code >> 12 & 0xFFF00}"
        for name, device in self.devices.items():
            if device.number == number and "dm/name" in device.files:
                return name
        raise OSError(errno.ENXIO, f"no mapped device {number}")

    def remove(self, asked: str, name: str, *, refuses: bool) -> int:
        self.asked.append(asked)
        if name in self.stuck or (self.is_held(name) and refuses):
            raise OSError(errno.EBUSY, name)
        if name in self.lying or self.is_held(name):
            return 0
        if name not in self.late:
            self.forget(name)
        return 0

    def forget(self, name: str) -> None:
        for part in [each.name for each in self.devices.values() if each.part_of == name]:
            del self.devices[part]
        if name.startswith("loop"):
            self.devices[name].files.pop("loop/backing_file")
        else:
            del self.devices[name]
        self.show()

    def pause(self, seconds: float) -> None:
        """Time goes by: what lets go late comes nearer to it."""
        assert seconds > 0
        for name in list(self.late):
            self.late[name] -= 1
            if self.late[name] == 0:
                del self.late[name]
                self.forget(name)

    def path_call(self, name: str, path: str, flags: int | None) -> None:
        if name == "umount2":
            assert flags == 8, "neither forced, nor detached, nor following a link"
            self.asked.append(f"umount {path}")
            mount = [each for each in self.mounts if each.point == path][-1]
            if path in self.stuck or self.is_busy(mount):
                raise OSError(errno.EBUSY, path)
            if path not in self.lying:
                self.mounts.remove(mount)
        elif name == "swapoff":
            assert flags is None
            self.asked.append(f"swapoff {path}")
            if path in self.stuck or path not in self.swaps:
                raise OSError(errno.ENOMEM, path)
            self.swaps.remove(path)
        else:
            raise OSError(errno.ENOSYS, name)
        self.show()
