"""docs/verify-by-hand.md does what it says: its shell blocks run, on honest and on altered files."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from certificate import trust as trust_module
from certificate.policy import Policy

PAGE = Path(__file__).parents[3] / "docs" / "verify-by-hand.md"
Story = Any

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(story: Story, tools: dict[str, Any], tmp_path: Path) -> Path:
    """What an auditor holds."""
    (tmp_path / "sample.bundle.json").write_bytes(story.build().write())
    (tmp_path / "sample.dsse.json").write_bytes(story.envelopes["outcome"].write())
    (tmp_path / "sample.evidence.dsse.json").write_bytes(story.envelopes["evidence"].write())
    root = trust_module.sign(story.root, tools["keys"].root)
    (tmp_path / "trust-root.json").write_bytes(root.write())
    return tmp_path


def by_hand(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", "\n".join(blocks("sh"))],
        cwd=folder,
        env=os.environ | {"NAME": "sample"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@needs_openssl
def test_the_commands_of_the_page_verify_an_honest_certificate(folder: Path, story: Story) -> None:
    done = by_hand(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    fingerprint = trust_module.fingerprint((folder / "trust-root.json").read_bytes())
    for line in (
        f"fingerprint of the trust root: {fingerprint}",
        "('urn:expunge:statement:outcome:v1', 'production', 'physical')",
        "('erased', 'purge', 'marker-proven')",
        "the evidence file is the one named",
        "one order, one boot, one agent",
        "logged: order at 3, outcome at 4",
        "opcode 84 action 4 completion 0000 status 1 erased 1 ours True",
        "markers: 18 pseudorandom",
    ):
        assert line in done.stdout.splitlines()
    assert done.stdout.count("Signature Verified Successfully") == 5


@needs_openssl
@pytest.mark.parametrize(
    ("file", "reached"),
    [
        ("sample.dsse.json", "fingerprint of the trust root"),
        ("sample.evidence.dsse.json", "Signature Verified Successfully"),
    ],
)
def test_the_commands_of_the_page_stop_at_an_altered_file(folder: Path, file: str, reached: str) -> None:
    envelope = json.loads((folder / file).read_text())
    payload = envelope["payload"]
    envelope["payload"] = payload[:100] + ("A" if payload[100] != "A" else "B") + payload[101:]
    (folder / file).write_text(json.dumps(envelope, separators=(",", ":")) + "\n")
    done = by_hand(folder)
    assert done.returncode != 0
    assert reached in done.stdout
    assert "the evidence file is the one named" not in done.stdout


@needs_openssl
def test_the_commands_of_the_page_stop_at_a_proof_that_leads_elsewhere(folder: Path) -> None:
    path = folder / "sample.bundle.json"
    bundle = json.loads(path.read_text())
    for each in bundle["proofs"]:
        head, note = each["proof"].split("\n\n", 1)
        each["proof"] = "\n".join(head.split("\n")[:-1]) + "\n\n" + note
    path.write_text(json.dumps(bundle))
    done = by_hand(folder)
    assert done.returncode != 0
    assert "one order, one boot, one agent" in done.stdout
    assert "logged:" not in done.stdout


def test_the_policy_of_the_page_is_the_one_without_a_file() -> None:
    (example,) = blocks("json")
    assert Policy.read(example.encode()) == Policy.production()
