"""Starting a host by command and simulated: one promise; and how the secret travels."""

import os
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from certificate.errors import Refused
from certificate.statements.vocabulary import BootTrust
from controller.boot import BootDriver, StartRequest
from controller.boot.command import CommandBoot
from controller.boot.simulated import SimulatedBoot
from controller.command_template import CommandTemplate
from controller.errors import Code, Unanswered
from controller.target import Target

SECRET = bytes(range(32))
#: A management controller: `bmc.py FOLDER start CONFIG SECRET` and `bmc.py FOLDER stop`.
BMC = """
import os, sys
from pathlib import Path
folder, verb = Path(sys.argv[1]), sys.argv[2]
if (folder / "silent").exists():
    (folder / "silent").unlink()
    sys.exit("the management controller does not answer")
if verb == "start":
    for name in sys.argv[3:5]:
        file = Path(name)
        (folder / file.name).write_bytes(file.read_bytes())
        (folder / (file.name + ".mode")).write_text(oct(file.stat().st_mode & 0o777))
    (folder / "running").touch()
else:
    (folder / "running").unlink(missing_ok=True)
"""
HOST = Target(host="host-1", site="fsn", rack="r1", parameters={"bmc": "10.0.0.7"})


@dataclass(kw_only=True)
class World:
    driver: BootDriver
    directory: Path
    is_running: Callable[[], bool]
    falls_silent_once: Callable[[], object]

    def request(self, **changes: Any) -> StartRequest:
        fields = {"target": HOST, "configuration": b"config\n", "secret": SECRET, "directory": self.directory}
        return StartRequest(**{**fields, **changes})


def _command_world(tmp_path: Path) -> World:
    folder, directory = tmp_path / "bmc", tmp_path / "start-1"
    folder.mkdir()
    directory.mkdir(mode=0o700)
    program = folder / "bmc.py"
    program.write_text(BMC)
    begin = (sys.executable, "-I", str(program), str(folder))
    return World(
        driver=CommandBoot(
            start_command=CommandTemplate(
                arguments=(*begin, "start", "{config}", "{secret}", "{bmc}"), timeout_seconds=10
            ),
            stop_command=CommandTemplate(arguments=(*begin, "stop", "{host}"), timeout_seconds=10),
            boot_trust=BootTrust.VIRTUAL_MEDIA,
        ),
        directory=directory,
        is_running=(folder / "running").exists,
        falls_silent_once=(folder / "silent").touch,
    )


@pytest.fixture
def commands(tmp_path: Path) -> World:
    return _command_world(tmp_path)


@pytest.fixture(params=["command", "simulated"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    if request.param == "command":
        return _command_world(tmp_path)
    room = SimulatedBoot(boot_trust=BootTrust.VIRTUAL_MEDIA)
    return World(
        driver=room,
        directory=tmp_path,
        is_running=lambda: "host-1" in room.running,
        falls_silent_once=lambda: setattr(room, "fails_next", True),
    )


def test_a_host_is_started_and_stopped(world: World) -> None:
    assert not world.is_running()
    world.driver.start(world.request())
    assert world.is_running()
    world.driver.stop(HOST)
    assert not world.is_running()


def test_starting_and_stopping_may_be_repeated(world: World) -> None:
    for _ in range(2):
        world.driver.start(world.request())
    assert world.is_running()
    for _ in range(2):
        world.driver.stop(HOST)
    assert not world.is_running()


def test_a_silent_management_controller_leaves_it_unknown_what_happened(world: World) -> None:
    world.falls_silent_once()
    with pytest.raises(Unanswered):
        world.driver.start(world.request())
    world.driver.start(world.request())
    world.falls_silent_once()
    with pytest.raises(Unanswered):
        world.driver.stop(HOST)


def test_the_boot_trust_is_the_drivers_own(world: World) -> None:
    assert world.driver.boot_trust is BootTrust.VIRTUAL_MEDIA


# --- by command ---------------------------------------------------------------------------------------------


def test_configuration_and_secret_arrive_byte_for_byte_in_files_for_us_alone(
    commands: World, tmp_path: Path
) -> None:
    old = os.umask(0)
    try:
        commands.driver.start(commands.request())
    finally:
        os.umask(old)
    folder = tmp_path / "bmc"
    assert (folder / "boot.secret").read_bytes() == SECRET
    assert (folder / "boot.secret.mode").read_text() == "0o600"
    assert (folder / "boot.dsse.json").read_bytes() == b"config\n"
    assert (folder / "boot.dsse.json.mode").read_text() == "0o600"


def test_the_secret_is_gone_when_the_command_has_ended(commands: World) -> None:
    commands.driver.start(commands.request())
    assert [each.name for each in commands.directory.iterdir()] == ["boot.dsse.json"]


def test_the_secret_is_gone_when_the_command_has_failed(commands: World) -> None:
    commands.falls_silent_once()
    with pytest.raises(Unanswered):
        commands.driver.start(commands.request())
    assert not (commands.directory / "boot.secret").exists()


def test_the_secret_is_gone_when_the_command_has_a_hole(commands: World) -> None:
    target = Target(host="host-1", site="fsn", rack="r1", parameters={})
    with pytest.raises(Refused) as refused:
        commands.driver.start(commands.request(target=target))
    assert refused.value.code is Code.PLACEHOLDER_UNKNOWN
    assert not (commands.directory / "boot.secret").exists()
    assert not commands.is_running()


def test_a_link_laid_where_the_secret_goes_is_not_followed(commands: World, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    trap.write_text("before")
    for name in ("boot.secret", "boot.dsse.json"):
        (commands.directory / name).symlink_to(trap)
    commands.driver.start(commands.request())
    assert trap.read_text() == "before"


def test_an_old_file_does_not_lend_its_mode_to_the_secret(commands: World, tmp_path: Path) -> None:
    old = commands.directory / "boot.secret"
    old.write_bytes(b"old")
    old.chmod(0o644)
    commands.driver.start(commands.request())
    assert (tmp_path / "bmc" / "boot.secret.mode").read_text() == "0o600"
    assert stat.S_IMODE((commands.directory / "boot.dsse.json").stat().st_mode) == 0o600


def test_a_parameter_of_the_record_cannot_point_the_command_at_another_secret(
    commands: World, tmp_path: Path
) -> None:
    parameters = {"bmc": "10.0.0.7", "secret": "/etc/shadow", "config": "/etc/passwd"}
    target = Target(host="host-1", site="fsn", rack="r1", parameters=parameters)
    commands.driver.start(commands.request(target=target))
    assert (tmp_path / "bmc" / "boot.secret").read_bytes() == SECRET


def test_a_secret_of_another_length_is_our_own_mistake(commands: World) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        commands.driver.start(commands.request(secret=b"short"))


@pytest.mark.parametrize(
    ("start", "stop"),
    [
        (("boot", "{config}"), ("off",)),
        (("boot", "{secret}"), ("off",)),
        (("boot", "{config}", "{secret}"), ("off", "{secret}")),
    ],
)
def test_a_template_that_loses_or_leaks_a_file_is_refused(
    start: tuple[str, ...], stop: tuple[str, ...]
) -> None:
    with pytest.raises(Refused) as refused:
        CommandBoot(
            start_command=CommandTemplate(arguments=start, timeout_seconds=1),
            stop_command=CommandTemplate(arguments=stop, timeout_seconds=1),
            boot_trust=BootTrust.NETWORK,
        )
    assert refused.value.code is Code.TEMPLATE_INVALID
