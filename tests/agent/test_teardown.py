"""What stands on the drives of an order is let go: in which order, what refuses, and who is believed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import teardown
from agent.devices import stack
from agent.devices.mapper import Mapper
from agent.devices.stack import Stacked
from agent.errors import Code
from agent.teardown import KernelTeardown, NothingStacked
from certificate.errors import Refused
from certificate.statements.statement import Seen
from certificate.statements.vocabulary import StackedKind
from tests.machine import FakeMachine


@pytest.fixture
def machine(tmp_path: Path) -> FakeMachine:
    made = FakeMachine(tmp_path)
    made.device("vdb", "254:16")
    made.device("vdc", "254:32")
    return made


def teardown_of(machine: FakeMachine, *, own_paths: Sequence[str] = (), **nodes: str) -> KernelTeardown:
    def look() -> tuple[Stacked, ...]:
        return stack.read(sys_root=machine.sys_root, proc_root=machine.proc_root, dev_root=machine.dev_root)

    mapper = Mapper(
        sys_root=machine.sys_root,
        dev_root=machine.dev_root,
        open_path=machine.open_path,
        ioctl=machine.ioctl,
        path_call=machine.path_call,
    )
    return KernelTeardown(
        nodes={serial: tuple(names.split()) for serial, names in nodes.items()},
        look=look,
        let_go=mapper.let_go,
        own_paths=lambda: tuple(own_paths),
        pause=machine.pause,
    )


def build_everything(machine: FakeMachine) -> None:
    """Two drives in an array, LVM on dm-crypt on it; a mount, a file in it behind a loop device, swap."""
    machine.partition("vdb", "vdb1", "254:17")
    machine.partition("vdc", "vdc1", "254:33")
    machine.device("md0", "9:0", on=("vdb1", "vdc1"), md__level="raid1")
    machine.mapped("dm-0", "253:0", "crypt", "CRYPT-LUKS2-x", "md0")
    machine.mapped("dm-1", "253:1", "vg-home", "LVM-a", "dm-0")
    machine.mapped("dm-2", "253:2", "vg-swap", "LVM-b", "dm-0")
    machine.mount("/srv", "253:1")
    machine.swap("/dev/dm-2")
    machine.loop("loop0", "7:0", "/srv/disk.img")
    machine.mount("/srv/inner", "7:0")
    machine.mount("/srv/proc", "0:5", "proc", "proc")


# --- the whole way, through the drivers and a kernel of files -----------------------------------------------


def test_everything_on_two_drives_is_let_go_from_the_top(machine: FakeMachine) -> None:
    build_everything(machine)
    released = teardown_of(machine, one="vdb", two="vdc").release(["one", "two"])
    order = machine.asked
    assert set(order) == {
        "umount /srv/inner",
        "umount /srv/proc",
        "umount /srv",
        "loop loop0",
        "swapoff /dev/dm-2",
        "remove dm-1",
        "remove dm-2",
        "remove dm-0",
        "stop md0",
    }
    assert order.index("umount /srv/inner") < order.index("loop loop0") < order.index("umount /srv")
    assert order.index("umount /srv/proc") < order.index("umount /srv") < order.index("remove dm-1")
    assert order.index("swapoff /dev/dm-2") < order.index("remove dm-2")
    assert order[-2:] == ["remove dm-0", "stop md0"]
    assert released["one"] == released["two"]
    assert {seen for _, seen in released["one"]} == {Seen.YES}
    assert len(released["one"]) == 9, "partitions hold nothing and are not listed"
    assert not machine.is_held("vdb")
    assert not machine.is_held("vdc")


def test_what_could_be_let_go_is_not_touched_by_asking(machine: FakeMachine) -> None:
    build_everything(machine)
    teardown_of(machine, one="vdb", two="vdc").require_possible(["one", "two"])
    assert machine.asked == []


def test_only_what_stands_on_the_named_drive_is_touched(machine: FakeMachine) -> None:
    machine.mount("/b", "254:16")
    machine.mount("/c", "254:32")
    released = teardown_of(machine, one="vdb", two="vdc").release(["one"])
    assert machine.asked == ["umount /b"]
    assert released == {"one": ((StackedKind.MOUNT, Seen.YES),)}
    assert [each.point for each in machine.mounts] == ["/", "/c"]


def test_a_drive_with_nothing_on_it_has_its_entry(machine: FakeMachine) -> None:
    assert teardown_of(machine, one="vdb").release(["one", "unknown"]) == {"one": (), "unknown": ()}


# --- what refuses, before anything is let go ----------------------------------------------------------------


def refused(each: KernelTeardown, serials: Sequence[str], machine: FakeMachine) -> Code:
    with pytest.raises(Refused) as by_asking:
        each.require_possible(serials)
    with pytest.raises(Refused) as by_doing:
        each.release(serials)
    assert by_asking.value.code is by_doing.value.code
    assert machine.asked == []
    code = by_doing.value.code
    assert isinstance(code, Code)
    return code


def test_an_array_that_also_lies_on_a_drive_not_named_refuses(machine: FakeMachine) -> None:
    build_everything(machine)
    assert refused(teardown_of(machine, one="vdb", two="vdc"), ["one"], machine) is Code.TEARDOWN_SHARED


def test_a_btrfs_over_a_drive_not_named_refuses(machine: FakeMachine) -> None:
    machine.btrfs["1234"] = ["vdb", "vdc"]
    machine.mount("/srv", "0:44", "btrfs", "/dev/vdb")
    assert refused(teardown_of(machine, one="vdc"), ["one"], machine) is Code.TEARDOWN_SHARED


def test_a_strangers_mount_in_the_tree_refuses(machine: FakeMachine) -> None:
    machine.mount("/srv", "254:16")
    machine.mount("/srv/strange", "254:32")
    assert refused(teardown_of(machine, one="vdb"), ["one"], machine) is Code.TEARDOWN_SHARED


def test_a_mount_in_a_strangers_tree_is_let_go_alone(machine: FakeMachine) -> None:
    machine.mount("/srv", "254:16")
    machine.mount("/srv/ours", "254:32")
    teardown_of(machine, one="vdc").release(["one"])
    assert machine.asked == ["umount /srv/ours"]


def test_the_root_file_system_refuses(machine: FakeMachine) -> None:
    machine.mounts.clear()
    machine.mount("/", "254:16")
    machine.mount("/srv", "254:32")
    each = teardown_of(machine, one="vdb", two="vdc")
    assert refused(each, ["one"], machine) is Code.TEARDOWN_OWN_SYSTEM
    assert each.release(["two"]) == {"two": ((StackedKind.MOUNT, Seen.YES),)}


def test_what_this_program_runs_from_refuses_even_through_a_loop_device(machine: FakeMachine) -> None:
    machine.mount("/live", "254:16")
    machine.loop("loop0", "7:0", "/live/root.squashfs")
    machine.mount("/opt/agent", "7:0", "squashfs")
    each = teardown_of(machine, own_paths=["/opt/agent/bin/python"], one="vdb")
    assert refused(each, ["one"], machine) is Code.TEARDOWN_OWN_SYSTEM
    assert teardown_of(machine, own_paths=["/opt/agents"], one="vdb").release(["one"])["one"]


def test_a_holder_that_nothing_lets_go_refuses(machine: FakeMachine) -> None:
    machine.mount("/srv", "254:16")
    machine.device("bcache0", "251:0", on=("vdb",))
    assert refused(teardown_of(machine, one="vdb"), ["one"], machine) is Code.TEARDOWN_UNSUPPORTED


def test_more_than_evidence_can_name_refuses() -> None:
    crowd = [
        Stacked(
            key=f"mount {n}", kind=StackedKind.MOUNT, name=f"/{n}", path=f"/{n}", on=("vdb",), placed_in=None
        )
        for n in range(teardown.MAX_STACKED + 1)
    ]
    with pytest.raises(Refused) as refusal:
        teardown.steps(crowd, named={"vdb"}, own_paths=())
    assert refusal.value.code is Code.TEARDOWN_UNSUPPORTED
    assert len(teardown.steps(crowd[1:], named={"vdb"}, own_paths=())) == teardown.MAX_STACKED


# --- who is believed ----------------------------------------------------------------------------------------


def seen_of(released: tuple[tuple[StackedKind, Seen], ...]) -> dict[StackedKind, Seen]:
    return dict(released)


def test_a_mount_in_use_holds_and_nothing_below_it_is_asked(machine: FakeMachine) -> None:
    machine.mapped("dm-0", "253:0", "home", "LVM-a", "vdb")
    machine.mount("/srv", "253:0")
    machine.stuck.add("/srv")
    released = teardown_of(machine, one="vdb").release(["one"])["one"]
    assert seen_of(released) == {StackedKind.MOUNT: Seen.NO, StackedKind.LVM: Seen.NO}
    assert machine.asked == ["umount /srv"]


def test_a_kernel_that_says_yes_and_holds_on_is_not_believed(machine: FakeMachine) -> None:
    machine.loop("loop0", "7:0", "/dev/vdb")
    machine.lying.add("loop0")
    released = teardown_of(machine, one="vdb").release(["one"])["one"]
    assert released == ((StackedKind.LOOP, Seen.NO),)
    assert machine.asked == ["loop loop0"], "asked once, looked at several times"


def test_what_lets_go_a_little_later_is_seen_to(machine: FakeMachine) -> None:
    machine.mapped("dm-0", "253:0", "home", "LVM-a", "vdb")
    machine.loop("loop0", "7:0", "/dev/dm-0")
    machine.late["loop0"] = 3
    released = teardown_of(machine, one="vdb").release(["one"])["one"]
    assert {seen for _, seen in released} == {Seen.YES}
    assert machine.asked == ["loop loop0", "remove dm-0"]


def test_an_error_with_the_thing_gone_is_gone(machine: FakeMachine) -> None:
    machine.mount("/srv", "254:16")
    each = teardown_of(machine, one="vdb")
    calls = each.let_go

    def gone_and_angry(one: Stacked) -> None:
        calls(one)
        raise OSError("too late")

    angry = KernelTeardown(
        nodes=each.nodes, look=each.look, let_go=gone_and_angry, own_paths=each.own_paths, pause=each.pause
    )
    assert angry.release(["one"]) == {"one": ((StackedKind.MOUNT, Seen.YES),)}


def test_what_is_built_anew_meanwhile_counts_as_held(machine: FakeMachine) -> None:
    machine.mount("/srv", "254:16")
    each = teardown_of(machine, one="vdb")
    calls = each.let_go

    def rebuilt(one: Stacked) -> None:
        calls(one)
        machine.mapped("dm-7", "253:7", "again", "LVM-a", "vdb")

    automatic = KernelTeardown(
        nodes=each.nodes, look=each.look, let_go=rebuilt, own_paths=each.own_paths, pause=each.pause
    )
    assert automatic.release(["one"])["one"] == (
        (StackedKind.MOUNT, Seen.YES),
        (StackedKind.LVM, Seen.NO),
    )


def test_on_images_nothing_stands() -> None:
    nothing = NothingStacked()
    nothing.require_possible(["a"])
    assert nothing.release(["a", "b"]) == {"a": (), "b": ()}


# --- under every shape of a stack ---------------------------------------------------------------------------

HOLDERS = [kind for kind in StackedKind if kind is not StackedKind.OTHER]
DISKS = ("vda", "vdb", "vdc")


@st.composite
def stacks(draw: st.DrawFn) -> tuple[Stacked, ...]:
    """Things on disks and on each other, in any order; mounts may also hang in mounts."""
    made: list[Stacked] = []
    for number in range(draw(st.integers(0, 9))):
        kind = draw(st.sampled_from(HOLDERS))
        below = [*DISKS, *(each.key for each in made)]
        on = draw(st.lists(st.sampled_from(below), min_size=1, max_size=3, unique=True))
        mounts = [each.key for each in made if each.kind is StackedKind.MOUNT]
        is_placed = kind is StackedKind.MOUNT and mounts and draw(st.booleans())
        made.append(
            Stacked(
                key=f"{kind.value} {number}",
                kind=kind,
                name=f"/{number}",
                path=f"/{number}",
                on=tuple(on),
                placed_in=draw(st.sampled_from(mounts)) if is_placed else None,
            )
        )
    return tuple(draw(st.permutations(made)))


@given(stacks())
def test_nothing_is_let_go_before_what_stands_on_it(stacked: tuple[Stacked, ...]) -> None:
    ordered = teardown.steps(stacked, named=set(DISKS), own_paths=())
    assert sorted(each.key for each in ordered) == sorted(each.key for each in stacked)
    place = {each.key: index for index, each in enumerate(ordered)}
    for each in ordered:
        for lower in (*each.on, each.placed_in):
            assert lower not in place or place[each.key] < place[lower]


@given(stacks(), st.sets(st.sampled_from(DISKS)))
def test_nothing_outside_the_named_drives_is_ever_a_step(
    stacked: tuple[Stacked, ...], named: set[str]
) -> None:
    on = {each.key: each.on for each in stacked}

    def disks_below(key: str) -> set[str]:
        return {key} if key in DISKS else {disk for lower in on[key] for disk in disks_below(lower)}

    going = stack.above(stacked, named)
    if any(not disks_below(each.key) <= named for each in going):
        with pytest.raises(Refused) as refusal:
            teardown.steps(stacked, named=named, own_paths=())
        assert refusal.value.code is Code.TEARDOWN_SHARED
    else:
        ordered = teardown.steps(stacked, named=named, own_paths=())
        assert {each.key for each in ordered} == {each.key for each in going}


def test_a_circle_that_no_kernel_allows_ends() -> None:
    circle = [
        Stacked(key=one, kind=StackedKind.LVM, name=one, path=one, on=(two, "vdb"), placed_in=None)
        for one, two in (("dm-0", "dm-1"), ("dm-1", "dm-0"))
    ]
    assert len(teardown.steps(circle, named={"vdb"}, own_paths=())) == 2


@given(stacks(), st.data())
def test_whatever_holds_on_nothing_is_pulled_from_under_it(
    stacked: tuple[Stacked, ...], data: st.DataObject
) -> None:
    """The kernel here holds on to what it likes, and complains when something is taken from under it."""
    standing = list(stacked)
    stuck = data.draw(st.sets(st.sampled_from([each.key for each in stacked] or ["none"])))

    def let_go(one: Stacked) -> None:
        above = stack.above(standing, (one.key,))
        assert all(each.kind is StackedKind.PARTITION for each in above), f"{one.key} was asked under {above}"
        if one.key in stuck:
            raise OSError("busy")
        for each in (one, *above):
            standing.remove(each)

    each = KernelTeardown(
        nodes={"all": DISKS},
        look=lambda: tuple(standing),
        let_go=let_go,
        own_paths=lambda: (),
        pause=lambda seconds: None,
    )
    released = each.release(["all"])["all"]
    gone = sum(1 for one in stacked if one not in standing and one.kind is not StackedKind.PARTITION)
    assert sum(1 for _, seen in released if seen is Seen.YES) == gone
    held = [one for one in stacked if one in standing and one.kind is not StackedKind.PARTITION]
    assert sum(1 for _, seen in released if seen is Seen.NO) == len(held)
    for one in held:
        above = [each.key for each in stack.above(stacked, (one.key,))]
        assert one.key in stuck or any(key in stuck for key in above), f"{one.key} was forgotten"
