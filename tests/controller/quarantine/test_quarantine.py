"""Quarantine by command and simulated: one promise; and a read-back that is believed whole or not at all."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certificate.errors import Refused
from controller.command_template import CommandTemplate
from controller.errors import Code, Unanswered
from controller.quarantine import Known, Quarantine, Target
from controller.quarantine.command import CommandQuarantine, _answer
from controller.quarantine.simulated import SimulatedQuarantine

#: A switch whose ports are files: `switch.py FOLDER isolate|restore|read-back HOST`.
SWITCH = """
import json, sys
from pathlib import Path
folder, verb, host = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
if (folder / "silent").exists():
    sys.exit("the switch does not answer")
port = folder / host
if verb == "isolate" and not (folder / "ignores").exists():
    port.touch()
if verb == "restore" and not (folder / "ignores").exists():
    port.unlink(missing_ok=True)
if verb == "read-back":
    ours = "unreachable" if (folder / f"{host}.dark").exists() else "reachable"
    print(json.dumps({"tenant_side": "cut" if port.exists() else "open", "our_side": ours}))
"""


def target(host: str = "host-1") -> Target:
    return Target(host=host, site="fsn", rack="r1", parameters={"port": "7"})


@dataclass(kw_only=True)
class World:
    quarantine: Quarantine
    ignores_commands: Callable[[], object]
    falls_silent: Callable[[], object]
    goes_dark: Callable[[str], object]


@pytest.fixture(params=["command", "simulated"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    if request.param == "simulated":
        switch = SimulatedQuarantine()
        return World(
            quarantine=switch,
            ignores_commands=lambda: setattr(switch, "ignores_commands", True),
            falls_silent=lambda: setattr(switch, "is_silent", True),
            goes_dark=switch.unreachable_hosts.add,
        )
    program = tmp_path / "switch.py"
    program.write_text(SWITCH)
    return World(
        quarantine=CommandQuarantine(
            isolate_command=_verb(program, "isolate"),
            read_back_command=_verb(program, "read-back"),
            restore_command=_verb(program, "restore"),
        ),
        ignores_commands=(tmp_path / "ignores").touch,
        falls_silent=(tmp_path / "silent").touch,
        goes_dark=lambda host: (tmp_path / f"{host}.dark").touch(),
    )


def _verb(program: Path, verb: str) -> CommandTemplate:
    arguments = (sys.executable, "-I", str(program), str(program.parent), verb, "{host}", "{port}")
    return CommandTemplate(arguments=arguments, timeout_seconds=10)


def test_a_host_is_cut_off_and_given_back(world: World) -> None:
    assert world.quarantine.read_back(target()).tenant_side_cut is Known.NO
    world.quarantine.isolate(target())
    answer = world.quarantine.read_back(target())
    assert answer.tenant_side_cut is Known.YES
    assert answer.our_side_reachable is Known.YES
    assert answer.doubt == ""
    assert json.loads(answer.raw) == {"tenant_side": "cut", "our_side": "reachable"}
    world.quarantine.restore(target())
    assert world.quarantine.read_back(target()).tenant_side_cut is Known.NO


def test_every_act_may_be_repeated(world: World) -> None:
    for act in (world.quarantine.isolate, world.quarantine.restore):
        act(target())
        before = world.quarantine.read_back(target())
        act(target())
        assert world.quarantine.read_back(target()) == before


def test_one_host_is_cut_off_and_not_its_neighbour(world: World) -> None:
    world.quarantine.isolate(target("host-1"))
    assert world.quarantine.read_back(target("host-2")).tenant_side_cut is Known.NO


def test_a_switch_that_obeys_in_words_only_is_found_out(world: World) -> None:
    world.ignores_commands()
    world.quarantine.isolate(target())
    assert world.quarantine.read_back(target()).tenant_side_cut is Known.NO


def test_a_host_that_we_lost_too_is_seen_as_lost(world: World) -> None:
    world.quarantine.isolate(target())
    world.goes_dark("host-1")
    answer = world.quarantine.read_back(target())
    assert (answer.tenant_side_cut, answer.our_side_reachable) == (Known.YES, Known.NO)


def test_silence_is_unknown_and_an_order_without_answer_is_not_done(world: World) -> None:
    world.quarantine.isolate(target())
    world.falls_silent()
    answer = world.quarantine.read_back(target())
    assert (answer.tenant_side_cut, answer.our_side_reachable) == (Known.UNKNOWN, Known.UNKNOWN)
    assert answer.doubt
    for act in (world.quarantine.isolate, world.quarantine.restore):
        with pytest.raises(Unanswered):
            act(target())


def test_an_answer_has_no_truth_of_its_own() -> None:
    with pytest.raises(TypeError):
        bool(Known.NO)


# --- the read-back command ----------------------------------------------------------------------------------

GOOD = b'{"tenant_side": "cut", "our_side": "reachable"}\n'


def printing(text: bytes, *, exit_code: int = 0, timeout_seconds: float = 10) -> CommandQuarantine:
    program = f"import sys; sys.stdout.buffer.write(bytes.fromhex('{text.hex()}')); sys.exit({exit_code})"
    template = CommandTemplate(
        arguments=(sys.executable, "-I", "-c", program), timeout_seconds=timeout_seconds
    )
    return CommandQuarantine(isolate_command=template, read_back_command=template, restore_command=template)


@pytest.mark.parametrize(
    "written",
    [
        b"",
        b"\n",
        b"cut\n",
        b"null\n",
        b"[]\n",
        GOOD[:-3],
        GOOD + GOOD,
        b"connected\n" + GOOD,
        GOOD + b"bye\n",
        b'{"tenant_side": "cut",\n "our_side": "reachable"}\n',
        b'{"tenant_side": "cut"}\n',
        b'{"our_side": "reachable"}\n',
        b'{"tenant_side": "cut", "our_side": "reachable", "port": 7}\n',
        b'{"tenant_side": "cut", "our_side": "reachable", "tenant_side": "open"}\n',
        b'{"tenant_side": "CUT", "our_side": "reachable"}\n',
        b'{"tenant_side": "closed", "our_side": "reachable"}\n',
        b'{"tenant_side": true, "our_side": true}\n',
        b'{"tenant_side": ["cut"], "our_side": "reachable"}\n',
        b'{"tenant_side": "cut", "our_side": null}\n',
        b"\xff\xfe\n",
        b" " * 2000 + GOOD,
    ],
    ids=repr,
)
def test_a_read_back_that_is_not_exactly_one_known_line_is_unknown_on_both_sides(written: bytes) -> None:
    answer = printing(written).read_back(target())
    assert (answer.tenant_side_cut, answer.our_side_reachable) == (Known.UNKNOWN, Known.UNKNOWN)
    assert answer.raw == written
    assert answer.doubt


def test_the_same_line_is_believed_when_nothing_is_wrong() -> None:
    for written in (GOOD, GOOD.rstrip(b"\n"), GOOD.replace(b"\n", b"\r\n")):
        assert printing(written).read_back(target()).tenant_side_cut is Known.YES


def test_a_right_answer_with_a_wrong_exit_code_is_unknown() -> None:
    assert printing(GOOD, exit_code=1).read_back(target()).tenant_side_cut is Known.UNKNOWN


def test_a_read_back_that_takes_too_long_is_unknown() -> None:
    template = CommandTemplate(
        arguments=(
            sys.executable,
            "-I",
            "-c",
            f"print({GOOD.decode()!r}); import time; time.sleep(30)".replace("{", "{{").replace("}", "}}"),
        ),
        timeout_seconds=0.5,
    )
    quarantine = CommandQuarantine(
        isolate_command=template, read_back_command=template, restore_command=template
    )
    answer = quarantine.read_back(target())
    assert answer.tenant_side_cut is Known.UNKNOWN
    assert "0.5 s" in answer.doubt


def test_a_question_with_a_hole_in_it_is_not_asked() -> None:
    template = CommandTemplate(arguments=("switch", "{vlan}"), timeout_seconds=1)
    quarantine = CommandQuarantine(
        isolate_command=template, read_back_command=template, restore_command=template
    )
    for act in (quarantine.isolate, quarantine.read_back, quarantine.restore):
        with pytest.raises(Refused) as refused:
            act(target())
        assert refused.value.code is Code.PLACEHOLDER_UNKNOWN


def test_a_parameter_never_replaces_the_hosts_own_fields() -> None:
    record = Target(host="host-1", site="fsn", rack="r1", parameters={"host": "host-2", "port": "7"})
    assert record.values == {"host": "host-1", "site": "fsn", "rack": "r1", "port": "7"}


@given(
    st.dictionaries(
        st.sampled_from(["tenant_side", "our_side", "x"]),
        st.sampled_from(["cut", "open", "reachable", "unreachable", "yes", ""]),
    )
)
def test_only_the_two_words_of_each_side_are_ever_believed(fields: dict[str, str]) -> None:
    answer = _answer(json.dumps(fields).encode())
    is_whole = set(fields) == {"tenant_side", "our_side"}
    is_known = (
        is_whole
        and fields["tenant_side"] in ("cut", "open")
        and fields["our_side"] in ("reachable", "unreachable")
    )
    assert (answer.tenant_side_cut is not Known.UNKNOWN) == is_known
    assert (answer.tenant_side_cut is Known.YES) == (is_known and fields["tenant_side"] == "cut")
    assert (answer.our_side_reachable is Known.YES) == (is_known and fields["our_side"] == "reachable")
