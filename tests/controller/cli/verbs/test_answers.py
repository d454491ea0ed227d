"""`expunge status`, `show` and `certificate`: people and programs are told the same."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from certificate.identifiers import DeprovisionId, HostId
from controller.api.documents import (
    AlarmLine,
    CertificateFile,
    CertificateFiles,
    CommandLine,
    DeprovisionLine,
    EventLine,
    Ground,
    MediumLine,
    ObservationLine,
    PolicyLine,
    RefusalLine,
    SignedLine,
    Status,
    Story,
    Why,
)

KEY = DeprovisionId("dep_" + "1" * 32)
AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
OPERATOR = "SHA256:" + "A" * 43
LINE = DeprovisionLine(
    deprovision=KEY,
    host="host-1",
    state="needs_operator",
    sentence="A person must decide; only commands in the ledger lead out.",
    trigger="ended",
    attempt=2,
    scheduled_at=AT,
    changed_at=AT,
    waits_for="one drive more than on record",
    next_due_at=None,
    deadline_at=AT,
)
ALARM = AlarmLine(
    kind="needs_operator",
    about=KEY,
    sentence="host-1: one drive more than on record",
    code="PERSON_MUST_DECIDE",
    remedy="Only a command leads on.",
    since=AT,
    age_seconds=183_900,
    called_at=AT,
)
STATUS = Status(
    release="0.0.test",
    now=AT + timedelta(hours=3, minutes=5),
    is_frozen=True,
    ledger_seq=17,
    log_size=4,
    alarms=(ALARM,),
    deprovisions=(LINE,),
)
STORY = Story(
    line=LINE,
    needs=RefusalLine(code="DRIVES_DIFFER", reason="one more", remedy="Compare the drives."),
    policy_version=3,
    policy_digest="a" * 64,
    plan_digest="b" * 64,
    media=(
        MediumLine(
            medium="c" * 64,
            outcome="out_" + "2" * 32,
            result="erased",
            method="purge",
            technique="nvme_sanitize_crypto",
            grade="marker-proven",
            is_logged=False,
        ),
    ),
    events=(EventLine(seq=9, at="2026-11-20T12:00:00.000000Z", kind="plan-made", body={"attempt": 2}),),
    observations=(
        ObservationLine(
            sequence=5,
            question="subscription",
            answer=None,
            asked_at=AT,
            answered_at=None,
            answer_digest=None,
        ),
    ),
    why=Why(
        order="ord_" + "3" * 32,
        order_digest="d" * 64,
        order_seq=7,
        plan_digest="b" * 64,
        floor="purge",
        basis={"policy_version": 3, "tenancies": {"count": 1}},
        order_digest_recomputed="d" * 64,
        plan_digest_recomputed="5" * 64,
        grounds=(
            Ground(
                question="subscription",
                about="ten_" + "4" * 32,
                word="ended",
                asked_at=AT,
                answered_at=AT,
                answer_digest="6" * 64,
                sequence=5,
                mismatch="the row now says otherwise: answer: active",
            ),
        ),
        clock=None,
        policy=PolicyLine(version=3, digest="a" * 64, text={"lifecycle": {"grace": "P7D"}}),
        people=(SignedLine(what="request", digest="7" * 64, keyid=OPERATOR, mismatch="the row is gone"),),
        commands=(
            CommandLine(
                command="retry",
                attempt=1,
                at=AT,
                signed=(SignedLine(what="decision", digest="8" * 64, keyid=OPERATOR, mismatch=None),),
            ),
        ),
    ),
)
FILES = CertificateFiles(
    deprovision=KEY,
    files=(
        CertificateFile(name="out_1.bundle.json", content='{"b":1}\n'),
        CertificateFile(name="out_1.annex.json", content='{"a":1}\n'),
    ),
)


@pytest.fixture
def telling(served_desk: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The running desk, telling the answers above."""
    desk = type(served_desk.desk)
    monkeypatch.setattr(desk, "status", lambda self: STATUS)
    monkeypatch.setattr(desk, "story", lambda self, key: STORY)
    monkeypatch.setattr(desk, "certificate", lambda self, key, **options: FILES)
    return served_desk


def test_status_tells_the_same_as_text_and_as_json(telling: Any, expunge: Any) -> None:
    home = ("--home", telling.home.path)
    assert Status.model_validate_json(expunge("status", *home, "--json").out) == STATUS
    shown = expunge("status", *home).out
    told = ("FROZEN", "ledger 17", "log 4", "host-1", "needs_operator", LINE.waits_for, KEY)
    waits = ("3h 5m", "2026-11-20T12:00:00Z")
    alarm = ("ALARM needs_operator", "2d 3h", ALARM.sentence, ALARM.code, ALARM.remedy)
    for value in (*told, *waits, *alarm):
        assert value in shown


def test_a_story_tells_the_same_as_text_and_as_json(telling: Any, expunge: Any) -> None:
    home = ("--home", telling.home.path)
    assert Story.model_validate_json(expunge("show", KEY, *home, "--json").out) == STORY
    shown = expunge("show", KEY, "--why", *home).out
    needs, (medium,), why = STORY.needs, STORY.media, STORY.why
    assert needs is not None
    assert why is not None
    told = [KEY, "host-1", "attempt 2", LINE.sentence, needs.code, needs.reason, needs.remedy]
    told += [medium.result, medium.grade, "not yet logged", "a" * 64, "b" * 64, "d" * 64, why.order]
    told += ["log entry 7", "no answer", "plan-made", "2026-11-20T12:00:00Z"]
    told += ["MISMATCH: the row now says otherwise: answer: active", "MISMATCH: the row is gone"]
    told += ["ITS BYTES GIVE " + "5" * 64, "6" * 64, "7" * 64, "8" * 64, OPERATOR, "P7D", "retry commanded"]
    assert [value for value in told if value not in shown] == []


def test_without_why_a_story_is_short(telling: Any, expunge: Any) -> None:
    shown = expunge("show", KEY, "--home", telling.home.path).out
    assert "Compare the drives." in shown
    assert "ledger" not in shown.replace(LINE.sentence, "")


@pytest.mark.parametrize("verb", ["show", "certificate"])
@pytest.mark.parametrize("key", ["dep_1", "host-1", HostId("hst_" + "1" * 32)])
def test_what_is_no_deprovision_is_a_usage_error(founded: Any, expunge: Any, verb: str, key: str) -> None:
    said = expunge(verb, key, "--home", founded.home.path)
    assert (said.code, said.out) == (2, "")


def test_a_certificate_is_written_as_files_and_named(telling: Any, expunge: Any, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "certificates"
    said = expunge("certificate", KEY, "--out", out, "--annex", "--home", telling.home.path)
    assert said.code == 0, said.err
    assert said.out.split() == [str(out / file.name) for file in FILES.files]
    assert (out / "out_1.bundle.json").read_text() == '{"b":1}\n'
    assert (out / "out_1.bundle.json").stat().st_mode & 0o777 == 0o644
    assert (out / "out_1.annex.json").stat().st_mode & 0o777 == 0o600


def test_a_file_with_other_bytes_is_refused_and_nothing_is_written(
    telling: Any, expunge: Any, tmp_path: Path
) -> None:
    """The last of them, so that the first would have been written before it was seen."""
    theirs = tmp_path / "out_1.annex.json"
    theirs.write_text("somebody's own")
    said = expunge("certificate", KEY, "--out", tmp_path, "--home", telling.home.path, "--json")
    assert (said.code, said.out) == (3, "")
    assert json.loads(said.err)["refused"]["code"] == "FILE_DIFFERS"
    assert {path.name: path.read_text() for path in tmp_path.glob("out_*")} == {theirs.name: "somebody's own"}


@pytest.mark.parametrize("theirs", ['{"b":1}', '{"b":1}\n\n', ""])
def test_a_file_that_only_begins_alike_is_another(
    telling: Any, expunge: Any, tmp_path: Path, theirs: str
) -> None:
    (tmp_path / "out_1.bundle.json").write_text(theirs)
    said = expunge("certificate", KEY, "--out", tmp_path, "--home", telling.home.path)
    assert said.code == 3
    assert "FILE_DIFFERS" in said.err
    assert (tmp_path / "out_1.bundle.json").read_text() == theirs


def test_the_same_bytes_again_are_no_matter(telling: Any, expunge: Any, tmp_path: Path) -> None:
    first = expunge("certificate", KEY, "--out", tmp_path, "--home", telling.home.path)
    again = expunge("certificate", KEY, "--out", tmp_path, "--home", telling.home.path)
    assert (again.code, again.out) == (0, first.out)


def test_a_link_that_leads_nowhere_is_not_replaced(telling: Any, expunge: Any, tmp_path: Path) -> None:
    (tmp_path / "out_1.bundle.json").symlink_to(tmp_path / "nowhere")
    said = expunge("certificate", KEY, "--out", tmp_path, "--home", telling.home.path)
    assert "FILE_DIFFERS" in said.err
    assert (tmp_path / "out_1.bundle.json").is_symlink()


def test_a_certificate_is_asked_for_by_medium_as_well(
    telling: Any, expunge: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def told(self: Any, named: str, **options: Any) -> CertificateFiles:
        asked.append((named, options))
        return CertificateFiles(deprovision=None, files=FILES.files)

    monkeypatch.setattr(type(telling.desk), "certificate_of_medium", told)
    said = expunge(
        "certificate", "--medium", "ab" * 32, "--failures", "--out", tmp_path, "--home", telling.home.path
    )
    assert said.code == 0, said.err
    assert asked == [("ab" * 32, {"with_annex": False, "with_failures": True})]
    assert said.out.split() == [str(tmp_path / file.name) for file in FILES.files]


@pytest.mark.parametrize(
    "named",
    [(), (KEY, "--medium", "ab" * 32), ("--medium", "ab"), ("--medium", "../host"), ("--medium", "AB" * 32)],
    ids=str,
)
def test_one_deprovision_or_one_medium_is_named(
    telling: Any, expunge: Any, tmp_path: Path, named: tuple[str, ...]
) -> None:
    said = expunge("certificate", *named, "--out", tmp_path / "none", "--home", telling.home.path)
    assert (said.code, said.out) == (2, "")
    assert not (tmp_path / "none").exists()


def test_json_of_a_certificate_is_the_files_themselves(telling: Any, expunge: Any, tmp_path: Path) -> None:
    said = expunge("certificate", KEY, "--out", tmp_path, "--home", telling.home.path, "--json")
    assert json.loads(said.out) == json.loads(FILES.to_json())


@pytest.mark.parametrize("name", ["../escape", "/etc/passwd", ".hidden", "a/b", ""])
def test_a_file_name_never_leads_out_of_the_folder(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        CertificateFile(name=name, content="")


def test_a_deprovision_that_is_not_there_is_refused(served_desk: Any, expunge: Any, tmp_path: Path) -> None:
    for verb, more in (("show", ()), ("certificate", ("--out", tmp_path / "out"))):
        said = expunge(verb, KEY, *more, "--home", served_desk.home.path, "--json")
        assert (said.code, said.out) == (3, "")
        assert json.loads(said.err)["refused"]["code"] == "NOT_IN_STORE"
    assert not (tmp_path / "out").exists()
