"""What people with tools find on a drive: files before, nothing after our overwrite, and what tools miss.

An ext4 file system with pictures, texts, archives and documents on an image drive; sleuthkit reads the file
system, photorec looks for files whatever the file system says. Each tool ends with success when it finds
nothing, so what it found is counted, and that it found everything before is always asserted first.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import shutil
import struct
import subprocess
import time
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent import readback
from agent.devices import image_file
from agent.devices.image_file import ImageFileDrive
from agent.readback import ReadBackFacts
from agent.techniques.overwrite import Overwrite
from agent.techniques.technique import Aim, Facts
from certificate import keystream
from certificate.statements.statement import Seen
from certificate.statements.vocabulary import OverwritePattern, ReadBackMode

pytestmark = pytest.mark.system

MIB = 1 << 20
SIZE = 96 * MIB
LAYOUT = ((1, SIZE),)
OF_EACH_KIND = 8
KINDS = ("png", "txt", "zip", "pdf")
KEY = keystream.key(order_digest="11" * 32, nonce=b"n" * 32, commitment="22" * 32)
SEED = "33" * 32
#: 22 of 96 MiB.
PART = 22 * MIB
#: Something without a beginning that any tool would know, in what the file system calls free.
LOOSE = hashlib.sha256(b"a tenant's database page").digest() * 2048
LOOSE_AT = 70 * MIB


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def picture(dice: random.Random) -> bytes:
    """64 x 64 points of noise (ISO/IEC 15948, 5)."""
    rows = b"".join(b"\x00" + dice.randbytes(64 * 3) for _ in range(64))
    header = struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def text(dice: random.Random) -> bytes:
    words = ("invoice", "customer", "secret", "of", "the", "tenant", "paid", "never", "told")
    return "\n".join(" ".join(dice.choices(words, k=9)) for _ in range(200)).encode() + b"\n"


def archive(dice: random.Random) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("letter.txt", text(dice))
        file.writestr("noise.bin", dice.randbytes(9000))
    return held.getvalue()


def document(dice: random.Random) -> bytes:
    """One page with a line on it (ISO 32000-1, 7.5)."""
    line = f"BT /F1 12 Tf 72 700 Td (customer {dice.random()}) Tj ET".encode()
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(line), line),
    )
    made, places = b"%PDF-1.4\n", []
    for number, each in enumerate(objects, start=1):
        places.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    table = b"0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"xref\n0 5\n%strailer\n<< /Size 5 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n"
    return made + end % (table, len(made))


MAKERS = dict(zip(KINDS, (picture, text, archive, document), strict=True))


@dataclass
class Disk:
    """An image drive, and what was put on it."""

    path: Path
    drive: ImageFileDrive
    files: dict[str, str]

    def overwrite(self, pattern: OverwritePattern) -> Facts:
        """The whole of it, as the agent does it."""
        technique = Overwrite(pattern)
        assert self.drive.blocks.open_exclusively() is Seen.YES
        prepared = technique.prepare(self.drive, Aim(key=KEY, layout=LAYOUT), step="")
        started = technique.start(self.drive, prepared)
        watched = technique.watch(
            self.drive,
            prepared,
            started,
            now_ms=lambda: time.monotonic_ns() // 1_000_000,
            pause=time.sleep,
            report=lambda _: None,
        )
        return technique.conclude(self.drive, prepared, started, watched)

    def overwrite_part(self, offsets: Iterable[int]) -> None:
        """These MiB of it and no others, with exactly what belongs there."""
        with self.path.open("r+b") as file:
            for offset in offsets:
                file.seek(offset)
                file.write(keystream.unit(KEY, offset // MIB, MIB))
            file.flush()
            os.fsync(file.fileno())

    def read_back(
        self, mode: ReadBackMode, pattern: OverwritePattern = OverwritePattern.KEYSTREAM
    ) -> ReadBackFacts:
        assert self.drive.blocks.open_exclusively() is Seen.YES
        return readback.read_back(self.drive.blocks, LAYOUT, key=KEY, pattern=pattern, mode=mode, seed=SEED)


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    folder = tmp_path / "files"
    folder.mkdir()
    files = {}
    for kind, make in MAKERS.items():
        for number in range(OF_EACH_KIND):
            data = make(random.Random(f"{kind} {number}"))
            (folder / f"{kind}-{number}.{kind}").write_bytes(data)
            files[hashlib.sha256(data).hexdigest()] = f"{kind}-{number}.{kind}"
    path = tmp_path / "disk.img"
    path.touch(mode=0o600)
    os.truncate(path, SIZE)
    subprocess.run(
        ["mke2fs", "-q", "-F", "-t", "ext4", "-d", str(folder), str(path)],
        check=True,
        capture_output=True,
        timeout=120,
        env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
    )
    shutil.rmtree(folder)
    with path.open("r+b") as file:
        file.seek(LOOSE_AT)
        assert file.read(len(LOOSE)) == bytes(len(LOOSE)), "the file system keeps something there"
        file.seek(LOOSE_AT)
        file.write(LOOSE)
    path.with_suffix(".json").write_text(json.dumps({"serial": "IMG-0001", "model": "An image"}))
    drive = image_file.open_drive(path)
    found = Disk(path, drive, files)
    assert len(files) == OF_EACH_KIND * len(KINDS)
    assert listed(found) == set(files.values()), "fls does not see what is there"
    assert recovered(found, tmp_path / "before") == set(files.values()), "tsk_recover misses something"
    assert len(carved(found, tmp_path / "before")) == len(files), "photorec misses something"
    assert LOOSE in path.read_bytes()
    return found


def run(*arguments: str, cwd: Path) -> str:
    """Whatever a tool says; that it fails where it finds no file system is as good as finding nothing."""
    done = subprocess.run(
        arguments, cwd=cwd, capture_output=True, text=True, timeout=300, check=False, errors="replace"
    )
    return done.stdout


def listed(disk: Disk) -> set[str]:
    """Names of files that sleuthkit sees in the file system."""
    lines = run("fls", "-r", "-p", "-F", str(disk.path), cwd=disk.path.parent).splitlines()
    return {line.split("\t", 1)[1] for line in lines if "\t" in line and "$" not in line}


def recovered(disk: Disk, folder: Path) -> set[str]:
    """Names of our files that sleuthkit brings back byte for byte, deleted ones too."""
    out = folder / "tsk"
    out.mkdir(parents=True)
    run("tsk_recover", "-e", str(disk.path), str(out), cwd=disk.path.parent)
    digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in out.rglob("*") if path.is_file()}
    return {name for digest, name in disk.files.items() if digest in digests}


def carved(disk: Disk, folder: Path) -> list[str]:
    """Files of our kinds that photorec finds anywhere, whatever they are worth."""
    out = folder / "photorec"
    out.mkdir(parents=True)
    kinds = ",".join(f"{kind},enable" for kind in KINDS)
    how = f"partition_none,options,paranoid,fileopt,everything,disable,{kinds},wholespace,search"
    run("photorec", "/log", "/d", str(out / "r"), "/cmd", str(disk.path), how, cwd=out)
    log = (out / "photorec.log").read_text(errors="replace")
    assert "PhotoRec exited normally" in log, "photorec did not look at all of it"
    return [path.name for path in out.glob("r.*/*") if path.suffix[1:] in KINDS]


@pytest.mark.parametrize("pattern", list(OverwritePattern))
def test_no_tool_finds_anything_after_an_overwrite(
    disk: Disk, tmp_path: Path, pattern: OverwritePattern
) -> None:
    facts = disk.overwrite(pattern)
    assert facts.overwrite is not None
    assert (facts.overwrite.bytes_written, facts.overwrite.bytes_failed) == (SIZE, 0)
    assert facts.overwrite.was_flushed is Seen.YES
    for mode in ReadBackMode:
        found = disk.read_back(mode, pattern)
        assert (found.bytes_mismatched, found.bytes_unreadable) == (0, 0)
    assert listed(disk) == set()
    assert recovered(disk, tmp_path / "after") == set()
    assert carved(disk, tmp_path / "after") == []
    assert LOOSE[:64] not in disk.path.read_bytes()


@pytest.mark.parametrize("mode", list(ReadBackMode))
def test_a_drive_of_which_23_percent_were_overwritten_is_found_out_although_tools_find_nothing(
    disk: Disk, tmp_path: Path, mode: ReadBackMode
) -> None:
    """What tools know to look for lies where file systems begin; what they know nothing of stays."""
    disk.overwrite_part(range(0, PART, MIB))
    assert 0.225 < PART / SIZE < 0.235
    assert listed(disk) == set()
    assert recovered(disk, tmp_path / "after") == set()
    assert carved(disk, tmp_path / "after") == []
    assert LOOSE in disk.path.read_bytes(), "there is something left to be found"
    assert disk.read_back(mode).bytes_mismatched > 0


@pytest.mark.parametrize("mode", list(ReadBackMode))
@pytest.mark.parametrize("where", ["scattered", "at the end"])
def test_23_percent_anywhere_are_found_out(
    disk: Disk, tmp_path: Path, mode: ReadBackMode, where: str
) -> None:
    scattered = range(4 * MIB, SIZE, 4 * MIB)
    offsets = range(SIZE - PART, SIZE, MIB) if where == "at the end" else scattered
    disk.overwrite_part(offsets)
    assert carved(disk, tmp_path / "after"), "files are still there"
    assert disk.read_back(mode).bytes_mismatched > 0


def test_one_mib_left_out_is_found_by_reading_everything(disk: Disk) -> None:
    disk.overwrite_part(offset for offset in range(0, SIZE, MIB) if offset != LOOSE_AT)
    assert LOOSE in disk.path.read_bytes()
    found = disk.read_back(ReadBackMode.FULL)
    assert 0 < found.bytes_mismatched <= MIB
