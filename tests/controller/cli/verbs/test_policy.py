"""`expunge policy` over a founded home: shown, drafted, checked, signed, refused where something is wrong."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controller.wiring import read_documents

Expunge = Callable[..., Any]


@pytest.fixture
def policy(founded: Any, expunge: Expunge) -> Expunge:
    """Runs `expunge policy` on the founded home."""

    def run(*arguments: object, as_json: bool = True) -> Any:
        more: tuple[object, ...] = ("--json",) if as_json else ()
        return expunge("policy", *arguments, "--home", founded.home.path, *more)

    return run


@pytest.fixture
def passphrase(founded: Any) -> Callable[[], int]:
    """A descriptor that holds the passphrase of the keys."""

    def given(content: bytes | None = None) -> int:
        reader, writer = os.pipe()
        os.write(writer, founded.passphrase if content is None else content)
        os.close(writer)
        return reader

    return given


def code(said: Any) -> str:
    """Of the refusal, the last thing on standard error."""
    return str(json.loads(said.err[said.err.index('{"refused"') :])["refused"]["code"])


def test_the_table_in_force_is_shown_with_what_the_own_verification_asks(
    founded: Any, policy: Expunge
) -> None:
    told = policy("show")
    documents = read_documents(founded.home)
    assert told.code == 0
    assert (told.json["version"], told.json["digest"]) == (1, documents.table_digest)
    assert told.json["verify"]["device_classes"] == ["emulated", "image_file"]
    text = policy("show", as_json=False).out
    for words in ("CLASS", "self_encrypting_nvme", "every other case: escalate", "minimum_method: purge"):
        assert words in text


def test_whether_copies_of_keys_are_kept_is_unknown_until_the_provider_says_it_and_is_explained(
    tmp_path: Path, founded: Any, policy: Expunge
) -> None:
    assert [rule.escrow.value for rule in read_documents(founded.home).table.rules] == ["unknown"]
    drafted = policy("draft", tmp_path / "draft.json", as_json=False)
    assert json.loads((tmp_path / "draft.json").read_text())["rules"][0]["escrow"] == "unknown"
    for told in (policy("show", as_json=False).out, drafted.out):
        assert "whether copies of media keys, or LUKS header backups, are kept outside the drive" in told


def test_a_draft_is_written_once_and_changes_nothing(tmp_path: Path, policy: Expunge) -> None:
    file = tmp_path / "draft.json"
    assert policy("draft", file).json == {"file": str(file), "version": 2}
    checked = policy("check", file)
    assert (checked.code, checked.json["changes"], checked.json["doubts"]) == (0, [], [])
    again = policy("draft", file)
    assert (again.code, code(again)) == (3, "DRAFT_EXISTS")
    assert policy("show").json["version"] == 1


def edited(policy: Expunge, file: Path, **changes: Any) -> Path:
    """A draft with another rule."""
    assert policy("draft", file).code == 0
    fields = json.loads(file.read_text())
    fields["rules"][0] |= changes
    file.write_text(json.dumps(fields))
    return file


def test_what_is_weaker_and_what_is_doubtful_is_said(tmp_path: Path, policy: Expunge) -> None:
    file = edited(policy, tmp_path / "draft.json", floor="clear", approvals_required=2)
    told = policy("check", file, as_json=False)
    assert told.code == 0
    assert "weaker: class default, floor: purge -> clear" in told.out
    assert "stricter: class default, approvals: 0 -> 2" in told.out
    assert "DOUBT: class default" in told.out


def test_a_signed_table_is_in_force_for_the_next_start_and_the_old_one_is_kept(
    founded: Any, tmp_path: Path, policy: Expunge, passphrase: Callable[..., int]
) -> None:
    first = read_documents(founded.home)
    file = edited(policy, tmp_path / "draft.json", approvals_required=1)
    told = policy("sign", file, "--passphrase-fd", passphrase())
    assert told.code == 0
    assert "stricter: class default, approvals: 0 -> 1" in told.err
    documents = read_documents(founded.home)
    assert (documents.table.version, documents.table_digest) == (2, told.json["digest"])
    assert documents.table.rules[0].approvals_required == 1
    assert documents.earlier_tables == (first.present_table,)
    assert Path(told.json["kept"]).name == "validation.1.dsse.json"
    shown = policy("show").json
    assert [each["version"] for each in shown["earlier"]] == [1]
    assert shown["version"] == 2


def test_the_files_are_the_owners_alone(
    founded: Any, tmp_path: Path, policy: Expunge, passphrase: Callable[..., int]
) -> None:
    file = edited(policy, tmp_path / "draft.json", approvals_required=1)
    policy("sign", file, "--passphrase-fd", passphrase())
    folder = founded.home.validation_table.parent
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_a_root_key_that_was_carried_away_signs_from_there(
    founded: Any, tmp_path: Path, policy: Expunge, passphrase: Callable[..., int]
) -> None:
    file = edited(policy, tmp_path / "draft.json", approvals_required=1)
    elsewhere = (founded.home.keys / "root").rename(tmp_path / "root")
    missing = policy("sign", file, "--passphrase-fd", passphrase())
    assert (missing.code, code(missing)) == (3, "FILE_UNREADABLE")
    told = policy("sign", file, "--root-key", elsewhere, "--passphrase-fd", passphrase())
    assert told.code == 0


def test_a_wrong_passphrase_signs_nothing(
    founded: Any, tmp_path: Path, policy: Expunge, passphrase: Callable[..., int]
) -> None:
    file = edited(policy, tmp_path / "draft.json", approvals_required=1)
    before = founded.home.validation_table.read_bytes()
    told = policy("sign", file, "--passphrase-fd", passphrase(b"guess"))
    assert (told.code, code(told)) == (3, "KEY_UNREADABLE")
    assert founded.home.validation_table.read_bytes() == before


def test_another_key_of_the_home_signs_nothing(
    founded: Any, tmp_path: Path, policy: Expunge, passphrase: Callable[..., int]
) -> None:
    file = edited(policy, tmp_path / "draft.json", approvals_required=1)
    key = founded.home.keys / "issuer"
    told = policy("sign", file, "--root-key", key, "--passphrase-fd", passphrase())
    assert (told.code, code(told)) == (3, "KEY_UNTRUSTED")


def test_a_draft_of_an_older_table_is_signed_over_no_newer_one(
    tmp_path: Path, policy: Expunge, passphrase: Callable[..., int]
) -> None:
    file = edited(policy, tmp_path / "draft.json", approvals_required=1)
    assert policy("sign", file, "--passphrase-fd", passphrase()).code == 0
    for command in (("check", file), ("sign", file, "--passphrase-fd", passphrase())):
        told = policy(*command)
        assert (told.code, code(told)) == (3, "TABLE_VERSION_WRONG")


@pytest.mark.parametrize("content", ["", "{}", '{"schema": 1, "schema": 1}', "[1]", "x" * 600_000])
@pytest.mark.parametrize("command", ["check", "sign"])
def test_a_file_that_is_no_draft_is_refused_before_a_passphrase_is_asked_for(
    tmp_path: Path, policy: Expunge, command: str, content: str
) -> None:
    file = tmp_path / "draft.json"
    file.write_text(content)
    told = policy(command, file)
    assert (told.code, code(told)) == (3, "DRAFT_INVALID")


@pytest.mark.parametrize("command", ["check", "sign"])
def test_a_file_that_is_not_there_is_refused(tmp_path: Path, policy: Expunge, command: str) -> None:
    told = policy(command, tmp_path / "nothing.json")
    assert (told.code, code(told)) == (3, "FILE_UNREADABLE")


@pytest.mark.parametrize("command", [("show",), ("draft", "x.json")])
def test_a_folder_that_is_no_home_has_no_policy(
    tmp_path: Path, expunge: Expunge, command: tuple[str, ...]
) -> None:
    told = expunge("policy", *command, "--home", tmp_path, "--json")
    assert (told.code, code(told)) == (3, "HOME_MISSING")
    assert not (tmp_path / "x.json").exists()
