"""The distribution's cryptsetup, with the weakest stirring there is: how long a passphrase is stirred is not
what is tried. It works on plain files as far as no mapping is opened; that needs the kernel's device-mapper.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

PASSPHRASE = b"correct horse"
_ITERATIONS = ("--pbkdf-force-iterations", "1000")
STIRRED = {"luks1": _ITERATIONS, "luks2": ("--pbkdf", "pbkdf2", *_ITERATIONS)}


def cryptsetup(*arguments: str, passphrase: bytes = PASSPHRASE) -> subprocess.CompletedProcess[bytes]:
    """`passphrase` is what it reads where it is told `--key-file -`."""
    return subprocess.run(
        ["cryptsetup", "--batch-mode", *arguments],
        input=passphrase,
        capture_output=True,
        timeout=120,
        check=False,
    )


def must(*arguments: str, passphrase: bytes = PASSPHRASE) -> str:
    """What it says when it succeeds; it has to."""
    done = cryptsetup(*arguments, passphrase=passphrase)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def format_luks(path: Path, *options: str, kind: str = "luks2") -> None:
    must("luksFormat", "--type", kind, *STIRRED[kind], *options, str(path), "--key-file", "-")


def opens(path: Path, passphrase: bytes = PASSPHRASE, *, data: Path | None = None) -> bool:
    """Whether the passphrase opens a key slot; `data`: what the header at `path` belongs to, elsewhere."""
    where = [str(path)] if data is None else ["--header", str(path), str(data)]
    done = cryptsetup("open", "--test-passphrase", "--key-file", "-", *where, passphrase=passphrase)
    return done.returncode == 0


def volume_key(path: Path, key_file: Path) -> bytes | None:
    """With what the data themselves are encrypted, or None where the passphrase is refused. `key_file` is
    written.
    """
    key_file.unlink(missing_ok=True)
    done = cryptsetup(
        "luksDump", "--dump-volume-key", "--volume-key-file", str(key_file), "--key-file", "-", str(path)
    )
    return key_file.read_bytes() if done.returncode == 0 else None
