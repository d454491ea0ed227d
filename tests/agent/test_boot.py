"""A start of the agent: what it believes, what it makes, what it destroys."""

from __future__ import annotations

import hashlib
import stat
import subprocess
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from paramiko import Ed25519Key

from agent import boot, durable
from agent.run_directory import RunDirectory
from certificate import envelope, trust
from certificate.errors import Refused
from certificate.keys import PrivateKey, PublicKey
from certificate.statements import Boot, Purpose


def codes_of(lab: Any, **boot: Any) -> str:
    with pytest.raises(Refused) as caught:
        lab.boot(**boot)
    return caught.value.code.value


def test_every_boot_has_keys_of_its_own(make_lab: Any) -> None:
    lab = make_lab()
    first, second = lab.record, lab.boot()
    assert first.boot_id != second.boot_id
    assert first.ssh_host_key_blob != second.ssh_host_key_blob
    assert second.boot_id == hashlib.sha256(bytes.fromhex(second.evidence_key)).hexdigest()


def test_the_run_directory_is_private_and_so_is_what_is_in_it(make_lab: Any) -> None:
    lab = make_lab()
    run = lab.run_directory
    assert stat.S_IMODE(run.path.stat().st_mode) == 0o700
    for secret in (run.secret_file, run.evidence_key_file, run.ssh_host_key_file):
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600


def test_a_directory_others_can_read_is_refused(make_lab: Any) -> None:
    lab = make_lab(is_booted=False)
    lab.run_directory.path.mkdir(mode=0o755)
    assert codes_of(lab) == "RUN_DIRECTORY_UNSAFE"


def test_a_real_machines_identity_never_comes_from_a_file(make_lab: Any) -> None:
    lab = make_lab(is_booted=False)
    files = replace(lab.boot_files(), only_images=None)
    with pytest.raises(Refused, match="BOOT_CONFIG_INVALID"):
        boot.boot(lab.run_directory, files, now=instant_of("2026-01-01T00:00:00Z"), session=("s",))
    assert not lab.run_directory.path.exists()


def test_a_link_is_no_run_directory(make_lab: Any, tmp_path: Path) -> None:
    lab = make_lab(is_booted=False)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    lab.run_directory.path.symlink_to(elsewhere)
    assert codes_of(lab) == "RUN_DIRECTORY_UNSAFE"


def test_ssh_keygen_and_paramiko_read_the_host_key(make_lab: Any) -> None:
    lab = make_lab()
    file = lab.run_directory.ssh_host_key_file
    blob = bytes.fromhex(lab.record.ssh_host_key_blob)
    printed = subprocess.run(["ssh-keygen", "-y", "-f", file], check=True, capture_output=True, text=True)
    assert PublicKey.from_ssh_line(printed.stdout).ssh_blob == blob
    assert Ed25519Key.from_private_key_file(str(file)).asbytes() == blob


def test_a_controller_key_may_start_a_session_of_this_boot_and_nothing_else(make_lab: Any) -> None:
    lab = make_lab()
    line = lab.run_directory.authorized_keys_file.read_text()
    assert line.startswith('restrict,command="expunge-agent session --run-dir ')
    assert str(lab.run_directory.path) in line
    assert line.count("\n") == line.count("ssh-ed25519 ") == 1


def test_a_path_that_could_break_out_of_the_forced_command_is_refused(make_lab: Any) -> None:
    lab = make_lab(is_booted=False)
    lab.run_directory = RunDirectory(lab.folder / 'run" ssh-ed25519')
    assert codes_of(lab) == "RUN_DIRECTORY_UNSAFE"


def test_the_secret_is_read_once_and_removed(make_lab: Any) -> None:
    lab = make_lab()
    assert not (lab.folder / "secret").exists()
    assert hashlib.sha256(lab.run_directory.secret_file.read_bytes()).hexdigest() == _secret_digest(lab)


def _secret_digest(lab: Any) -> str:
    statement, _ = lab.root.open_statement(lab.run_directory.config_file.read_bytes(), Boot)
    return statement.predicate.secret_digest


def test_another_secret_than_the_configuration_names_is_refused(make_lab: Any) -> None:
    assert codes_of(make_lab(is_booted=False), secret=b"x" * 32) == "BOOT_CONFIG_INVALID"


def test_an_empty_secret_is_refused_even_when_it_is_named(make_lab: Any) -> None:
    lab = make_lab(is_booted=False)
    config = lab.config(secret_digest=hashlib.sha256(b"").hexdigest())
    assert codes_of(lab, config=config, secret=b"") == "BOOT_CONFIG_INVALID"


def test_a_configuration_that_names_another_trust_root_is_refused(make_lab: Any) -> None:
    lab = make_lab(is_booted=False)
    assert codes_of(lab, config=lab.config(trust_root_digest="5" * 64)) == "BOOT_CONFIG_INVALID"


def test_an_expired_configuration_is_refused(make_lab: Any) -> None:
    lab = make_lab(is_booted=False)
    assert codes_of(lab, config=lab.config(expires_at="2026-01-01T00:00:00Z")) == "BOOT_CONFIG_INVALID"


def test_a_configuration_expires_at_its_second_and_not_after(make_lab: Any) -> None:
    lab = make_lab(is_booted=False)
    files = lab.boot_files()
    config = envelope.read(files.config.read_bytes()).payload.decode()
    expires_at = config.split('"expires_at":"')[1][:20]
    instant = instant_of(expires_at)
    with pytest.raises(Refused, match="BOOT_CONFIG_INVALID"):
        boot.boot(lab.run_directory, files, now=instant, session=("s",))
    boot.boot(lab.run_directory, files, now=instant - timedelta(seconds=1), session=("s",))


def instant_of(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z")


def test_a_configuration_by_a_key_that_may_not_sign_one_is_refused(make_lab: Any) -> None:
    lab = make_lab(is_booted=False)
    payload = envelope.read(lab.config()).payload
    order_key = PrivateKey.from_seed(hashlib.sha256(b"order").digest())
    forged = envelope.sign(payload, order_key).write()
    assert codes_of(lab, config=forged) == "KEY_UNTRUSTED"


def test_a_trust_root_that_does_not_vouch_for_itself_is_refused(make_lab: Any) -> None:
    lab = make_lab(is_booted=False)
    stranger = PrivateKey.generate()
    payload = envelope.read(lab.trust_root.read_bytes(), payload_type=trust.TRUST_ROOT_PAYLOAD_TYPE).payload
    forged = envelope.sign(payload, stranger, payload_type=trust.TRUST_ROOT_PAYLOAD_TYPE)
    lab.trust_root.write_bytes(forged.write())
    assert codes_of(lab) == "SIGNATURE_INVALID"


def test_a_demonstration_configuration_does_not_boot_under_a_production_root(make_lab: Any) -> None:
    lab = make_lab(is_booted=False)
    assert lab.root.purpose is Purpose.PRODUCTION
    assert codes_of(lab, config=lab.config(purpose="demonstration")) == "PURPOSE_MISMATCH"


def test_a_refused_boot_leaves_the_present_one_as_it_was(make_lab: Any) -> None:
    lab = make_lab()
    before = lab.run_directory.boot()
    assert codes_of(lab, secret=b"x" * 32) == "BOOT_CONFIG_INVALID"
    assert lab.run_directory.boot() == before


def test_a_restart_keeps_old_journals_apart_and_destroys_the_old_keys(make_lab: Any) -> None:
    lab = make_lab()
    order = lab.accept()
    lab.run(order)
    old = lab.run_directory.boot().boot_id
    key = lab.run_directory.evidence_key_file.read_bytes()
    lab.boot()
    kept = lab.run_directory.earlier_folder / old / order.token
    assert (kept / "journal.jsonl").exists()
    assert lab.run_directory.hello() is None
    found = [path.read_bytes() for path in lab.run_directory.path.rglob("*") if path.is_file()]
    assert key not in found


def test_a_boot_killed_at_any_write_is_no_boot_or_a_whole_one(
    make_lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at the n-th durable write, for every n: a session refuses, and a new boot succeeds."""

    class Killed(BaseException):
        pass

    written, original = [0], durable.write_whole

    def counting(path: Path, data: bytes, *, mode: int = durable.OWNER_ONLY) -> None:
        written[0] += 1
        if written[0] == dies_at:
            raise Killed
        original(path, data, mode=mode)

    monkeypatch.setattr(durable, "write_whole", counting)
    for dies_at in range(1, 30):
        lab = make_lab(is_booted=False)
        written[0] = 0
        try:
            lab.boot()
        except Killed:
            with pytest.raises(Refused, match="NOT_BOOTED"):
                lab.run_directory.boot()
            lab.boot()
            assert lab.run_directory.boot().boot_id == lab.record.boot_id
            continue
        assert dies_at > 5
        return
    pytest.fail("a boot writes fewer than 30 files")
