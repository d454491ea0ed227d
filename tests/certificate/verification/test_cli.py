"""`expunge verify` as a stranger uses it: files in, one calm screen and an exit code out."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from certificate import cli, trust
from certificate.assurance import START_LIMIT
from certificate.errors import Code
from certificate.policy import Policy

Story = Any
ROOT = Path(__file__).parents[3]


class Auditor:
    """A folder with a bundle, its trust root and a policy, and the command in it."""

    def __init__(self, folder: Path, story: Story, keys: Any, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.story, self.keys, self.capsys = folder, story, keys, capsys
        self.trust = folder / "trust-root.json"
        self.trust.write_bytes(trust.sign(story.root, keys.root).write())

    def file(self, name: str, data: bytes) -> str:
        (self.folder / name).write_bytes(data)
        return str(self.folder / name)

    def bundle(self, name: str = "a.bundle.json") -> str:
        return self.file(name, self.story.build().write())

    def verify(self, *arguments: str) -> tuple[int, str]:
        code = cli.main(["verify", *arguments, "--trust", str(self.trust)])
        self.err = ""
        out, self.err = self.capsys.readouterr()
        return code, out

    def ask(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        code, out = self.verify(*arguments, "--json")
        told: dict[str, Any] = json.loads(out)
        assert told["exit"] == code
        return code, told


@pytest.fixture
def auditor(
    tmp_path: Path, story: Story, tools: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> Auditor:
    return Auditor(tmp_path, story, tools["keys"], capsys)


@pytest.fixture
def visitor(
    tmp_path: Path, demonstration: Story, tools: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> Auditor:
    """Who holds the demonstration's output."""
    return Auditor(tmp_path, demonstration, tools["keys"], capsys)


# --- the verdict and its exit code ---


def test_a_valid_certificate_is_one_calm_screen_and_exit_0(auditor: Auditor) -> None:
    code, screen = auditor.verify(auditor.bundle())
    assert code == 0
    for title in (
        "VALID",
        "What was erased",
        "What is claimed",
        "How it is known",
        "What is not covered",
        "Checked, one by one",
    ):
        assert title in screen
    assert "erased, purge (NIST SP 800-88r2), marker-proven" in screen
    assert "no witness: the operator could show others another log" in screen
    assert trust.fingerprint(auditor.trust.read_bytes()) in screen
    assert "DEMONSTRATION" not in screen
    assert max(len(line) for line in screen.splitlines()) <= 100
    assert len(screen.splitlines()) < 60


def test_each_check_and_each_limit_is_shown(auditor: Auditor) -> None:
    told = auditor.ask(auditor.bundle())[1]["files"][0]
    screen = " ".join(auditor.verify(auditor.bundle())[1].split())
    for sentence in (*told["checks"].values(), *told["claim"]["limits"]):
        assert sentence in screen
    assert told["levels"] == ["L1 signed", "L2 logged"]
    assert told["verdict"] == "valid"


def test_how_the_machine_was_started_is_told_as_the_providers_word(auditor: Auditor) -> None:
    _, screen = auditor.verify(auditor.bundle())
    words = " ".join(screen.split())
    assert "started from virtual_media, as the provider declares; observed on_host" in words
    assert START_LIMIT in words


def test_a_demonstration_without_its_policy_is_no_physical_device_and_exit_1(visitor: Auditor) -> None:
    code, told = visitor.ask(visitor.bundle())
    assert (code, told["files"][0]["code"]) == (1, "NOT_A_PHYSICAL_DEVICE")
    code, screen = visitor.verify(visitor.bundle())
    assert code == 1
    assert "NOT_A_PHYSICAL_DEVICE" in screen
    assert Code.NOT_A_PHYSICAL_DEVICE.remedy in " ".join(screen.split())


def test_a_demonstration_with_its_policy_says_so_in_capitals(visitor: Auditor, demo_policy: Policy) -> None:
    policy = visitor.file("demo-policy.json", demo_policy.write())
    code, screen = visitor.verify(visitor.bundle(), "--policy", policy)
    assert code == 0
    assert screen.startswith("DEMONSTRATION")
    assert "EMULATED" in screen


def test_one_flipped_byte_is_invalid(auditor: Auditor) -> None:
    path = Path(auditor.bundle())
    data = bytearray(path.read_bytes())
    at = data.index(b'"outcome"') + 400
    data[at] = ord("A") if data[at] != ord("A") else ord("B")
    path.write_bytes(bytes(data))
    code, told = auditor.ask(str(path))
    assert (code, told["files"][0]["verdict"]) == (1, "invalid")


def test_a_record_of_a_failure_is_never_exit_0(auditor: Auditor) -> None:
    auditor.story.seen("media.0.markers.markers.0.reading_after", "unchanged")
    code, told = auditor.ask(auditor.bundle())
    assert (code, told["files"][0]["code"]) == (1, "NOT_ERASED")


def test_a_record_of_doubt_is_exit_3(auditor: Auditor) -> None:
    auditor.story.seen("media.0.was_present", "not_observed")
    code, told = auditor.ask(auditor.bundle())
    assert (code, told["files"][0]["code"], told["files"][0]["verdict"]) == (
        3,
        "INCONCLUSIVE",
        "inconclusive",
    )
    assert "INCONCLUSIVE" in auditor.verify(auditor.bundle())[1]


def test_of_several_files_the_worst_decides(auditor: Auditor, tools: dict[str, Any]) -> None:
    auditor.story.log = tools["make_log"](auditor.story.root)
    good = auditor.bundle("good.bundle.json")
    broken = auditor.file("broken.bundle.json", b"{}")
    missing = str(auditor.folder / "missing.bundle.json")
    auditor.story.seen("media.0.was_present", "not_observed")
    doubtful = auditor.bundle("doubtful.bundle.json")
    assert auditor.verify(good, good)[0] == 0
    assert auditor.verify(good, doubtful)[0] == 3
    assert auditor.verify(good, doubtful, missing)[0] == 2
    assert auditor.verify(missing, broken, doubtful, good)[0] == 1
    told = auditor.ask(good, doubtful, missing, broken)[1]
    assert [each["verdict"] for each in told["files"]] == ["valid", "inconclusive", "unreadable", "invalid"]


def test_an_envelope_alone_is_told_to_come_with_its_bundle(auditor: Auditor) -> None:
    auditor.story.build()
    alone = auditor.file("a.dsse.json", auditor.story.envelopes["outcome"].write())
    code, told = auditor.ask(alone)
    assert (code, told["files"][0]["code"]) == (1, "INCOMPLETE_SET")
    assert "bundle.json" in told["files"][0]["reason"]


# --- usage ---


def test_a_file_that_cannot_be_read_is_a_usage_error(auditor: Auditor) -> None:
    code, told = auditor.ask(str(auditor.folder / "nothing.json"))
    assert (code, told["files"][0]["code"]) == (2, "FILE_UNREADABLE")
    assert auditor.verify(str(auditor.folder))[0] == 2


@pytest.mark.parametrize("arguments", [[], ["a.json"], ["--trust", "b"], ["a", "--trust", "b", "--what"]])
def test_wrong_arguments_are_exit_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["verify", *arguments]) == 2
    assert "usage: expunge verify" in capsys.readouterr().err


def test_without_a_trust_root_nothing_is_judged(auditor: Auditor) -> None:
    bundle = auditor.bundle()
    assert cli.main(["verify", bundle, "--trust", str(auditor.folder / "none")]) == 2
    assert "FILE_UNREADABLE" in auditor.capsys.readouterr().err
    auditor.trust.write_bytes(b"{}")
    code, told = auditor.ask(bundle)
    assert (code, told["files"], told["code"]) == (1, [], "MALFORMED")


def test_a_policy_that_cannot_be_read_is_a_usage_error(auditor: Auditor) -> None:
    policy = auditor.file("policy.json", Policy.production().write().replace(b'"purge"', b'"perhaps"'))
    code, _ = auditor.verify(auditor.bundle(), "--policy", policy)
    assert code == 2
    assert "POLICY_INVALID" in auditor.err


def test_a_file_larger_than_any_bundle_is_read_no_further(
    auditor: Auditor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "MAX_BUNDLE_BYTES", 1000)
    code, told = auditor.ask(auditor.bundle())
    assert (code, told["files"][0]["code"]) == (1, "LIMIT_EXCEEDED")


# --- the annex ---


def annexed(auditor: Auditor, medium: str, salt: bytes, serial: str = "S64GNE0R500123") -> tuple[str, str]:
    """A bundle and the annex that its evidence was signed with."""
    order = auditor.story.order
    document = {
        "schema": 1,
        "order": order.order,
        "media": [{"commitment": medium, "salt": salt.hex(), "serial": serial, "identify_controller": "00"}],
    }
    data = json.dumps(document).encode()
    auditor.story.seen("annex_digest", hashlib.sha256(data).hexdigest())
    return auditor.bundle(), auditor.file("a.annex.json", data)


def test_the_annex_opens_the_serial_number(auditor: Auditor, medium: str, medium_salt: bytes) -> None:
    bundle, annex = annexed(auditor, medium, medium_salt)
    code, screen = auditor.verify(bundle, "--annex", annex)
    assert code == 0
    assert "S64GNE0R500123 (opened by the annex)" in screen
    assert "S64GNE0R500123" not in auditor.verify(bundle)[1]
    assert auditor.ask(bundle, bundle, "--annex", annex)[0] == 0


def test_another_annex_is_refused(auditor: Auditor, medium: str, medium_salt: bytes) -> None:
    bundle, annex = annexed(auditor, medium, medium_salt)
    other = auditor.file("b.annex.json", Path(annex).read_bytes() + b" ")
    code, told = auditor.ask(bundle, "--annex", other)
    assert (code, told["files"][0]["code"]) == (1, "ANNEX_MISMATCH")


def test_an_annex_with_another_serial_opens_nothing(
    auditor: Auditor, medium: str, medium_salt: bytes
) -> None:
    bundle, annex = annexed(auditor, medium, medium_salt, serial="S64GNE0R500124")
    code, told = auditor.ask(bundle, "--annex", annex)
    assert (code, told["files"][0]["code"]) == (1, "ANNEX_MISMATCH")


def test_two_annexes_for_three_files_are_a_usage_error(auditor: Auditor) -> None:
    bundle = auditor.bundle()
    assert auditor.verify(bundle, bundle, bundle, "--annex", bundle, "--annex", bundle)[0] == 2


# --- a hostile document cannot draw on the terminal ---


def test_control_characters_are_escaped(auditor: Auditor, medium: str, medium_salt: bytes) -> None:
    from certificate.commitment import medium_commitment
    from certificate.render import text

    assert text.printable("a\x1b[2Jb\n") == "a\\x1b[2Jb\\n"
    serial = "S\x1b[31m"
    assert medium_commitment(salt=medium_salt, serial=serial) != medium
    hostile = auditor.folder / "x\x1b[2J.json"
    assert "\x1b" not in auditor.verify(str(hostile))[1]


# --- the command itself ---


def loaded_by(*arguments: str) -> tuple[int, set[str]]:
    """The exit code of `expunge ARGUMENTS` in a fresh interpreter, and what it imported."""
    script = (
        "import sys, certificate.cli as cli\n"
        f"code = cli.main({list(arguments)!r})\n"
        "print('\\n' + ' '.join(sys.modules), file=sys.stderr)\nsys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=ROOT
    )
    return done.returncode, {name.partition(".")[0] for name in done.stderr.split()}


HEAVY = {"paramiko", "sqlalchemy", "fastapi", "typer", "uvicorn", "httpx", "controller", "agent"}


def test_help_and_verify_start_without_the_controllers_libraries(auditor: Auditor) -> None:
    assert loaded_by("--help")[0] == 0
    assert not loaded_by("--help")[1] & HEAVY
    code, loaded = loaded_by("verify", auditor.bundle(), "--trust", str(auditor.trust))
    assert code == 0
    assert not loaded & HEAVY


def test_a_reader_who_leaves_early_sees_no_traceback(auditor: Auditor) -> None:
    command = [sys.executable, "-m", "certificate.cli", "verify", *[auditor.bundle()] * 40]
    with subprocess.Popen(
        [*command, "--trust", str(auditor.trust)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


def test_help_names_every_registered_verb_with_the_first_line_of_its_docstring(
    capsys: pytest.CaptureFixture[str],
) -> None:
    registered = cli._registered()
    assert set(registered) >= {"init", "serve", "hook", "hosts", "status", "show", "certificate", "ledger"}
    assert cli.main(["--help"]) == 0
    page = " ".join(capsys.readouterr().out.split())
    for name, command in registered.items():
        assert cli._summary(command)
        assert f"{name} {cli._summary(command)}" in page


def test_a_verb_whose_source_cannot_be_found_has_an_empty_line() -> None:
    for value in ("nowhere.at.all:run", "certificate.cli:nothing", "json.nothing:run", "sys:exit"):
        assert cli._summary(EntryPoint(name="x", value=value, group=cli.GROUP)) == ""


def test_no_verb_and_an_unknown_verb_are_usage_errors(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    assert cli.main(["conjure"]) == 2
    assert "conjure" in capsys.readouterr().err


def test_the_version_is_the_distributions(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("expunge ")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Registers one verb, `try`, whose function has this body."""

    def write(body: str) -> None:
        (tmp_path / "visiting").mkdir()
        (tmp_path / "visiting" / "__init__.py").write_text("")
        (tmp_path / "visiting" / "verbs.py").write_text(
            f'def attempt(argv):\n    """Does one thing at 100 %.\n\n    More.\n    """\n    {body}\n'
        )
        entry = EntryPoint(name="try", value="visiting.verbs:attempt", group=cli.GROUP)
        monkeypatch.setattr(cli, "entry_points", lambda *, group: (entry,))
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, "visiting", raising=False)
        monkeypatch.delitem(sys.modules, "visiting.verbs", raising=False)

    return write


def test_a_registered_verb_gets_its_arguments_and_gives_its_exit_code(
    package: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    package("print(argv)\n    return 4")
    assert cli.main(["try", "--loud", "x"]) == 4
    assert capsys.readouterr().out == "['--loud', 'x']\n"
    assert cli.main(["--help"]) == 0
    assert "Does one thing at 100 %." in capsys.readouterr().out


def test_a_verb_without_its_extra_names_the_extra_and_exits_2(
    package: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    package("import no_such_library")
    assert cli.main(["try"]) == 2
    told = capsys.readouterr().err
    assert "EXTRA_MISSING" in told
    assert "no_such_library" in told
    assert "expunge[visiting]" in told


def test_a_missing_module_of_ours_is_a_fault_and_no_missing_extra(package: Callable[[str], None]) -> None:
    package("import visiting.nothing")
    with pytest.raises(ModuleNotFoundError):
        cli.main(["try"])


def test_a_verb_of_a_package_that_is_not_here_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = EntryPoint(name="try", value="absent_package.verbs:attempt", group=cli.GROUP)
    monkeypatch.setattr(cli, "entry_points", lambda *, group: (entry,))
    assert cli.main(["try"]) == 2
    assert "expunge[absent_package]" in capsys.readouterr().err
