"""One channel: who the agent is, what it answers, and what a bad line costs."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import os
import subprocess
import sys
from typing import Any

import pytest

from agent import session, wiring
from certificate import messages
from certificate.messages import AskInventory, Hello, HelloAnswer, Refusal
from certificate.statements.vocabulary import ResidueName

NONCE = "0c" * 32
#: What `hello` has no use for, and what would make it slow to start.
HEAVY = ("pydantic", "rfc8785", "cryptography", "certificate.selection", "certificate.statements")


def serve(lab: Any, data: bytes) -> tuple[int, list[bytes]]:
    answers = io.BytesIO()
    code = session.serve(lab.run_directory, request=io.BytesIO(data), answers=answers)
    return code, answers.getvalue().splitlines(keepends=True)


def refusal(lab: Any, data: bytes) -> str:
    code, lines = serve(lab, data)
    assert (code, len(lines)) == (0, 1)
    answer = messages.read_answer(lines[0])
    assert isinstance(answer, Refusal)
    assert answer.remedy
    return answer.code


def test_hello_proves_the_secret_over_both_keys_and_the_nonce(make_lab: Any) -> None:
    """FORMATS.md, "Keys", written out: raw bytes one after the other."""
    lab = make_lab()
    answer = lab.ask(Hello(controller_nonce=NONCE, purpose="pin"))
    assert isinstance(answer, HelloAnswer)
    config = (lab.run_directory.path / "config.dsse.json").read_bytes()
    told = b"expunge-boot/v1\n" + hashlib.sha256(config).digest()
    told += bytes.fromhex(answer.ssh_host_key_blob) + bytes.fromhex(answer.evidence_key)
    secret = (lab.run_directory.path / "secret").read_bytes()
    expected = hmac.new(secret, told + bytes.fromhex(NONCE), hashlib.sha256).hexdigest()
    assert answer.proof == expected
    assert answer.boot_id == hashlib.sha256(bytes.fromhex(answer.evidence_key)).hexdigest()
    assert answer.config_digest == hashlib.sha256(config).hexdigest()


def test_a_hello_for_an_order_leaves_its_nonce_and_time(make_lab: Any) -> None:
    lab = make_lab()
    answer = lab.hello("order")
    kept = lab.run_directory.hello()
    assert (kept.nonce, kept.boottime_ms) == (answer.hello_nonce, answer.boottime_ms)


def test_a_hello_for_anything_else_replaces_no_nonce(make_lab: Any) -> None:
    lab = make_lab()
    ordered = lab.hello("order")
    pinned = lab.hello("pin")
    assert pinned.hello_nonce != ordered.hello_nonce
    assert lab.run_directory.hello().nonce == ordered.hello_nonce


def test_two_hellos_never_give_one_nonce(make_lab: Any) -> None:
    lab = make_lab()
    assert len({lab.hello().hello_nonce for _ in range(20)}) == 20


@pytest.mark.parametrize("nonce", ["", "0c" * 31, "0C" * 32, "zz" * 32])
def test_a_hello_without_a_proper_nonce_is_refused(make_lab: Any, nonce: str) -> None:
    line = Hello(controller_nonce=nonce, purpose="pin").write()
    assert refusal(make_lab(), line) == "LINE_INVALID"


def test_a_hello_with_an_unknown_purpose_is_refused(make_lab: Any) -> None:
    assert refusal(make_lab(), Hello(controller_nonce=NONCE, purpose="erase").write()) == "LINE_INVALID"


def test_a_session_before_any_boot_is_refused(make_lab: Any) -> None:
    lab = make_lab(is_booted=False)
    assert refusal(lab, Hello(controller_nonce=NONCE, purpose="pin").write()) == "NOT_BOOTED"


def test_a_configuration_changed_after_the_boot_answers_no_hello(make_lab: Any) -> None:
    lab = make_lab()
    lab.run_directory.config_file.write_bytes(b"{}")
    assert refusal(lab, Hello(controller_nonce=NONCE, purpose="pin").write()) == "RUN_DIRECTORY_BROKEN"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "LINE_INVALID"),
        (b'{"line":"inventory"}', "LINE_INVALID"),
        (b"not json\n", "MALFORMED"),
        (b'{"line":"reboot"}\n', "LINE_INVALID"),
        (b'{"line":"inventory","line":"hello"}\n', "DUPLICATE_KEY"),
        (b'{"line":"inventory","force":true}\n', "UNKNOWN_FIELD"),
        (b'{"line":"status","token":"../../x","finalise":true}\n', "TOKEN_UNKNOWN"),
        (b'{"line":"follow","token":"","from_seq":0}\n', "TOKEN_UNKNOWN"),
        (b'{"line":"accepted","token":"x"}\n', "LINE_INVALID"),
        (b'{"line":"inventory"' + b" " * messages.MAX_LINE_BYTES + b"}\n", "LINE_INVALID"),
    ],
)
def test_a_bad_line_is_answered_with_what_is_wrong(make_lab: Any, data: bytes, code: str) -> None:
    assert refusal(make_lab(), data) == code


def test_a_fault_of_ours_is_answered_and_says_nothing_of_its_inside(
    make_lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(boot: object) -> None:
        raise RuntimeError("the secret is hunter2")

    monkeypatch.setattr(wiring, "take_inventory", broken)
    code, lines = serve(make_lab(), AskInventory().write())
    answer = messages.read_answer(lines[0])
    assert isinstance(answer, Refusal)
    assert (code, answer.code) == (1, "AGENT_FAILED")
    assert "hunter2" not in str(lines)


def test_the_inventory_names_every_drive_and_every_other_place(make_lab: Any) -> None:
    lab = make_lab("SN-1", "SN-2")
    answer = lab.inventory()
    assert [drive.serial for drive in answer.drives] == ["SN-1", "SN-2"]
    assert {drive.device_class for drive in answer.drives} == {"emulated"}
    assert {place.kind for place in answer.residue} == {name.value for name in ResidueName}
    assert len(answer.host_facts) == 4


def test_an_agent_on_images_only_opens_no_block_device_even_as_root(make_lab: Any) -> None:
    """Run as whoever runs the tests, root included: an audit hook sees every file that is opened."""
    lab = make_lab("SN-1")
    program = (
        "import sys, json\n"
        "opened = []\n"
        "sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == 'open' else None)\n"
        "from agent.cli import run\n"
        "run(sys.argv[1:])\n"
        "json.dump([p for p in opened if p.startswith(('/dev/', '/sys/'))], sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "session", "--run-dir", str(lab.run_directory.path)],
        input=AskInventory().write(),
        capture_output=True,
        check=True,
    )
    answer = messages.read_answer(done.stdout)
    assert isinstance(answer, messages.InventoryAnswer)
    assert [drive.serial for drive in answer.drives] == ["SN-1"]
    assert [path for path in json.loads(done.stderr) if path != os.devnull] == []


def test_a_session_cannot_open_more_than_the_boot_was_given(make_lab: Any) -> None:
    lab = make_lab("SN-1")
    for option in (["--only-images", "/"], ["--host-facts", "/etc/passwd"]):
        done = subprocess.run(
            [sys.executable, "-m", "agent.cli", "session", "--run-dir", lab.run_directory.path, *option],
            input=b"",
            capture_output=True,
        )
        assert done.returncode == 2


def test_hello_starts_without_pydantic_or_cryptography(make_lab: Any) -> None:
    lab = make_lab()
    program = (
        "import sys, json\n"
        "from agent.cli import run\n"
        "code = run(sys.argv[1:])\n"
        "json.dump([code, sorted(sys.modules)], sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "session", "--run-dir", str(lab.run_directory.path)],
        input=Hello(controller_nonce=NONCE, purpose="order").write(),
        capture_output=True,
        check=True,
    )
    assert isinstance(messages.read_answer(done.stdout), HelloAnswer)
    code, modules = json.loads(done.stderr)
    assert code == 0
    assert [name for name in modules if name.startswith(HEAVY)] == []
