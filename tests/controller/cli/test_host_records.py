"""`hosts import | gaps | drive` and `media list`: what is printed, and with which exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from controller.states import State
from controller.store import hosts

HEAD = "asset_tag,site,rack,customer,data_class,disposition,address,drives\n"
SAME = "host-1,s,r,,default,rented,127.0.0.1:1,\n"
OTHER_RACK = SAME.replace(",r,", ",r9,")
NEW = "host-2,s,r,Ada,default,rented,127.0.0.1:2,S2|M|5\n"


@pytest.fixture
def home(served_program: Any) -> tuple[str, Any]:
    return ("--home", served_program.home.path)


def written(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "hosts.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_a_file_is_shown_first_and_applied_under_its_digest_by_two_keys(
    served_program: Any, home: Any, expunge: Any, tmp_path: Path
) -> None:
    file = written(tmp_path, b"\xef\xbb\xbf" + (HEAD + OTHER_RACK + NEW).encode())
    shown = expunge("hosts", "import", file, *home)
    assert shown.code == 0, shown.err
    assert "+ host-2" in shown.out
    assert "    rack: r -> r9" in shown.out
    assert "1 added, 1 changed, 0 unchanged, 0 not in the file" in shown.out
    assert "nothing was applied" in shown.out
    told = expunge("hosts", "import", file, *home, "--json").json
    assert told["digest"] in shown.out
    alice, bob = served_program.keys
    arguments = (file, "--apply", told["digest"], "--reason", "moved", "--confirm", "1 changed", *home)
    first = expunge("hosts", "import", *arguments, "--key", alice)
    assert (first.code, racks(served_program)) == (4, {"host-1": "r"}), first.err
    assert "rack: r -> r9" in first.err
    assert expunge("hosts", "import", *arguments, "--key", alice).code == 4, "the same key is one person"
    done = expunge("hosts", "import", *arguments, "--key", bob)
    assert done.code == 0, done.err
    assert f"applied {told['digest']}" in done.out
    assert racks(served_program) == {"host-1": "r9", "host-2": "r"}
    again = expunge("hosts", "import", *arguments, "--key", bob)
    assert (again.code, again.err.split(":")[0]) == (3, "IMPORT_CHANGED")
    assert served_program.wakes


def racks(served_program: Any) -> dict[str, str]:
    with served_program.world.program.store.snapshot() as tx:
        return {host.asset_tag: host.rack for host in hosts.all_hosts(tx)}


def test_a_file_that_only_adds_hosts_is_applied_by_one_key_and_by_none_not(
    served_program: Any, home: Any, expunge: Any, tmp_path: Path
) -> None:
    file = written(tmp_path, HEAD + SAME + NEW)
    digest = expunge("hosts", "import", file, *home, "--json").json["digest"]
    assert expunge("hosts", "import", file, "--apply", digest, *home).code == 2
    assert expunge("hosts", "import", file, "--apply", digest, "--reason", "new", *home).code == 3
    assert racks(served_program) == {"host-1": "r"}
    arguments = (file, "--apply", digest, "--reason", "new", "--key", served_program.keys[0], *home)
    done = expunge("hosts", "import", *arguments)
    assert done.code == 0, done.err
    assert racks(served_program) == {"host-1": "r", "host-2": "r"}


def test_hosts_that_the_file_does_not_name_are_said_to_stay(home: Any, expunge: Any, tmp_path: Path) -> None:
    said = expunge("hosts", "import", written(tmp_path, HEAD + NEW), *home)
    assert "? host-1 is on record and not in the file; it stays" in said.out


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (HEAD + SAME.replace("rented", ""), "line 2, column disposition: is blank"),
        (b"\xff\xfe", "not UTF-8 at byte 0"),
        ("", "the file is empty"),
    ],
)
def test_a_wrong_file_is_refused_with_its_place(
    home: Any, expunge: Any, tmp_path: Path, content: str | bytes, told: str
) -> None:
    said = expunge("hosts", "import", written(tmp_path, content), *home)
    assert (said.code, said.out) == (3, "")
    assert said.err.startswith("IMPORT_INVALID")
    assert told in said.err


def test_a_file_that_is_not_there_and_a_digest_that_is_none(home: Any, expunge: Any, tmp_path: Path) -> None:
    assert expunge("hosts", "import", tmp_path / "none.csv", *home).code == 3
    assert (
        expunge(
            "hosts", "import", written(tmp_path, HEAD + SAME), "--apply", "yes", "--reason", "r", *home
        ).code
        == 2
    )


def test_gaps_are_told_with_their_remedy_and_exit_0(home: Any, expunge: Any) -> None:
    said = expunge("hosts", "gaps", *home)
    assert said.code == 0, said.err
    assert "  blocks: TENANCY_LIST_UNKNOWN: " in said.out
    assert "  look at: HOST_NEVER_SEEN: " in said.out
    assert "nothing blocks 0 of 1 hosts" in said.out
    (host,) = expunge("hosts", "gaps", *home, "--json").json["hosts"]
    assert all(gap["remedy"] for gap in host["gaps"])


def test_a_drive_leaves_by_two_keys_and_stands_in_the_register(
    served_program: Any, home: Any, expunge: Any
) -> None:
    arguments = (
        *("drive", "replace", "host-1", "--old", "SABOTAGE1", "--new", "serial=S2,model=M"),
        *("--by", "Ada", "--why", "dead", "--seal", "4711", "--place", "safe 2"),
        *("--confirm", "host-1 AGE1", *home),
    )
    assert expunge("media", "list", *home).out == "no drive ever left its host\n"
    alice, bob = served_program.keys
    first = expunge("hosts", *arguments, "--key", alice)
    assert first.code == 4, first.err
    assert "SABOTAGE1" in first.err
    second = expunge("hosts", *arguments, "--key", bob)
    assert second.code == 0, second.err
    listed = expunge("media", "list", *home)
    assert "OPEN: SABOTAGE1" in listed.out, "the host is rented, and nobody knows to whom"
    assert "removed by Ada; seal 4711; kept at safe 2" in listed.out
    assert "in its place: S2" in listed.out
    (line,) = expunge("media", "list", *home, "--json").json["media"]
    assert (line["serial"], line["replaced_by"]) == ("SABOTAGE1", "S2")


def test_a_new_drive_that_is_no_drive_is_a_usage_error(home: Any, expunge: Any) -> None:
    arguments = ("--by", "A", "--why", "w", "--seal", "s", "--place", "p", "--new", "S2")
    assert expunge("hosts", "drive", "replace", "host-1", "--old", "X", *arguments, *home).code == 2


def test_an_inspected_list_is_accepted_by_two_keys(served_program: Any, home: Any, expunge: Any) -> None:
    world = served_program.world
    with world.program.store.transaction() as tx:
        tx.execute(hosts.drive.delete())
    world.end_subscription()
    world.run(until=lambda world: world.state is State.STAGED)
    arguments = ("drive", "accept", "host-1", "--reason", "on the label", "--confirm", "host-1 1 drives")
    codes = [expunge("hosts", *arguments, *home, "--key", key).code for key in served_program.keys]
    assert codes == [4, 0]


def test_how_drives_are_known_is_said_with_the_host(served_program: Any, home: Any, expunge: Any) -> None:
    common = ("--address", "127.0.0.1:2222", "--site", "s", "--rack", "r", "--disposition", "rented")
    for tag, basis in (("host-7", ("--basis", "intake")), ("host-8", ())):
        added = expunge("hosts", "add", tag, *common, *basis, "--drive", f"serial=S-{tag},model=M", *home)
        assert added.code == 0, added.err
    assert expunge("hosts", "add", "host-9", *common, "--basis", "observed_during_tenancy", *home).code == 2
    with served_program.world.program.store.snapshot() as tx:
        bases = {
            host.asset_tag: {drive.basis.value for drive in hosts.drives_of(tx, host.id)}
            for host in hosts.all_hosts(tx)
        }
    assert (bases["host-7"], bases["host-8"]) == ({"intake"}, {"declared"})
