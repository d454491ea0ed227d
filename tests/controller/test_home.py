"""The home folder: where it is, who may read it, and who holds it."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from certificate.errors import Refused
from controller.errors import Code
from controller.home import Home, socket_address, write_durably


@pytest.mark.parametrize(
    ("given", "environment", "user_id", "expected"),
    [
        (Path("/srv/a"), {"EXPUNGE_HOME": "/srv/b"}, 0, "/srv/a"),
        (None, {"EXPUNGE_HOME": "/srv/b"}, 0, "/srv/b"),
        (None, {}, 0, "/var/lib/expunge"),
        (None, {"HOME": "/home/ada"}, 1000, "/home/ada/.local/share/expunge"),
    ],
)
def test_the_home_is_the_option_then_the_environment_then_the_users_own(
    given: Path | None, environment: dict[str, str], user_id: int, expected: str
) -> None:
    assert Home.locate(given, environment=environment, user_id=user_id).path == Path(expected)


def test_every_folder_is_for_its_owner_only_whatever_the_umask(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    before = os.umask(0)
    try:
        home.create_folders()
    finally:
        os.umask(before)
    folders = [home.path, *(path for path in home.path.rglob("*") if path.is_dir())]
    assert {path.name for path in folders} >= {"keys", "trust", "policy", "state", "spool", "run"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}


def test_a_folder_that_was_open_to_others_is_narrowed(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.path.mkdir(mode=0o755)
    home.create_folders()
    assert stat.S_IMODE(home.path.stat().st_mode) == 0o700


def test_a_second_process_is_refused_while_the_first_holds_the_home(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.create_folders()
    script = (
        "import sys\nfrom pathlib import Path\nfrom certificate.errors import Refused\n"
        "from controller.home import Home\n"
        "try:\n    with Home(Path(sys.argv[1])).locked():\n        print('held')\n"
        "except Refused as refusal:\n    print(refusal.code)\n"
    )

    def attempt() -> str:
        command = [sys.executable, "-c", script, str(home.path)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    with home.locked():
        assert attempt() == "HOME_IN_USE"
    assert attempt() == "held"


def test_a_home_can_be_held_after_its_run_folder_was_cleared(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.create_folders()
    home.run.rmdir()
    with home.locked():
        assert stat.S_IMODE(home.run.stat().st_mode) == 0o700


def test_a_file_is_replaced_whole_and_private_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    before = os.umask(0)
    try:
        write_durably(path, b"new")
    finally:
        os.umask(before)
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("controller.home.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_durably(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_home_without_a_trust_root_is_refused_as_missing(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with pytest.raises(Refused) as refused:
        home.require_initialised()
    assert refused.value.code is Code.HOME_MISSING


def test_a_socket_may_lie_deeper_than_a_socket_address_is_long(tmp_path: Path) -> None:
    folder = tmp_path / ("deep" * 20) / ("deeper" * 20)
    folder.mkdir(parents=True)
    path = folder / "serve.sock"
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as caller:
        with socket_address(path) as address:
            listener.bind(address)
        listener.listen()
        with socket_address(path) as address:
            caller.connect(address)
        assert stat.S_ISSOCK(path.stat().st_mode)
