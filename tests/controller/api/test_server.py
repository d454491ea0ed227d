"""The socket: whom it lets in, how it refuses, and what a command hears of it."""

from __future__ import annotations

import stat
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog

from certificate.errors import Code as CertificateCode
from certificate.errors import Refused
from controller.api.documents import HintTold, LedgerChecked, Status, Story
from controller.api.listener import Served, unix_socket
from controller.api.server import MAX_BODY_BYTES, application
from controller.cli.client import Client
from controller.cli.command import Failed
from controller.errors import Code, NeedsApproval
from controller.home import Home
from controller.spool import make_hint
from demo.disclosure import says

HINT = make_hint(
    event="ended",
    subscription="sub-1",
    now=datetime(2026, 11, 20, 12, tzinfo=UTC),
    random_16_bytes=bytes(16),
)


class Answering:
    """A desk that answers every question with one value, or raises it."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def __getattr__(self, name: str) -> Any:
        def answer(*_: Any, **__: Any) -> Any:
            if isinstance(self._answer, Exception):
                raise self._answer
            return self._answer

        return answer


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home as far as a client looks: folders and a trust root that nobody reads."""
    home = Home(tmp_path / "home")
    home.create_folders()
    home.trust_root.write_bytes(b"there")
    return home


def served(home: Home, answer: Any) -> Served:
    return Served(application(Answering(answer)), unix_socket(home.socket), name="test", ended=lambda: None)


def refusal_of(home: Home, answer: Any) -> Refused:
    running = served(home, answer)
    try:
        with Client.of(home) as client, pytest.raises(Refused) as refused:
            client.get("/v1/status", Status)
    finally:
        running.stop()
    return refused.value


def test_only_the_owner_can_open_the_socket(served_desk: Any) -> None:
    mode = served_desk.home.socket.lstat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


def test_a_question_is_answered_with_the_desks_own_words(served_desk: Any) -> None:
    with Client.of(served_desk.home) as client:
        assert client.get("/v1/status", Status) == served_desk.desk.status()
        assert client.post("/v1/hints", HintTold, HINT).to == "serve"
        assert client.get("/v1/ledger/check", LedgerChecked) == served_desk.desk.check_ledger()


@pytest.mark.parametrize(
    "refusal",
    [
        Refused(Code.FROZEN, "two do not agree"),
        Refused(CertificateCode.NOT_LOGGED, "not yet", remedy="Wait."),
        NeedsApproval(Code.APPROVALS_REQUIRED, "one of two"),
    ],
)
def test_a_refusal_comes_out_as_it_went_in(home: Home, refusal: Refused) -> None:
    heard = refusal_of(home, refusal)
    assert (heard.code, heard.reason, heard.remedy) == (refusal.code, refusal.reason, refusal.remedy)
    assert isinstance(heard, NeedsApproval) is isinstance(refusal, NeedsApproval)


def logged_of(home: Home, refusal: Refused, path: str) -> dict[str, Any]:
    """What the log says of one refusal."""
    running = served(home, refusal)
    try:
        with structlog.testing.capture_logs() as lines, Client.of(home) as client, pytest.raises(Refused):
            client.get(path, Story)
    finally:
        running.stop()
    (line,) = (line for line in lines if line["event"] == "refused")
    return dict(line)


def test_the_log_tells_of_a_refusal_by_code_and_id_and_repeats_nothing_that_was_typed(home: Home) -> None:
    key = "dep_" + "0" * 32
    typed = Refused(Code.DRIVE_NOT_IN_HOST, "no drive 'S64GNE0R500123' is on record in host-1")
    line = logged_of(home, typed, f"/v1/deprovisions/{key}")
    assert (line["code"], line["deprovision"]) == ("DRIVE_NOT_IN_HOST", key)
    assert (line["method"], line["route"]) == ("GET", "/v1/deprovisions/{key}")
    assert not says(repr(line).encode(), "S64GNE0R500123")


def test_what_was_typed_into_a_path_is_not_logged_either(home: Home) -> None:
    line = logged_of(home, Refused(Code.NOT_IN_STORE, "x"), "/v1/deprovisions/host-1/certificate")
    assert (line["route"], line["deprovision"]) == ("/v1/deprovisions/{key}/certificate", None)
    assert "host-1" not in repr(line)


def test_an_answer_of_another_release_is_no_answer(home: Home) -> None:
    class Other(HintTold):
        surprise: str

    heard = refusal_of(home, Other(event=HINT.event, subscription="s", to="serve", surprise="!"))
    assert heard.code is Code.SERVE_DISAGREES


def test_a_desk_that_breaks_is_a_failure_and_not_a_refusal(home: Home) -> None:
    running = served(home, RuntimeError("the disk is gone"))
    try:
        with Client.of(home) as client, pytest.raises(Failed, match="status 500"):
            client.get("/v1/status", Status)
    finally:
        running.stop()


def test_nobody_listening_is_unreachable_and_never_an_empty_answer(home: Home) -> None:
    with Client.of(home) as client, pytest.raises(Refused) as refused:
        client.get("/v1/status", Status)
    assert refused.value.code is Code.SERVE_UNREACHABLE


def test_a_socket_that_a_dead_process_left_is_unreachable(home: Home) -> None:
    unix_socket(home.socket).close()
    assert home.socket.exists()
    with Client.of(home) as client, pytest.raises(Refused) as refused:
        client.get("/v1/status", Status)
    assert refused.value.code is Code.SERVE_UNREACHABLE


def test_a_new_process_takes_over_the_name_of_a_dead_ones_socket(home: Home) -> None:
    unix_socket(home.socket).close()
    assert refusal_of(home, Refused(Code.FROZEN, "answered")).code is Code.FROZEN


def test_a_folder_that_is_no_home_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused, Client.of(Home(tmp_path / "nowhere")):
        pass
    assert refused.value.code is Code.HOME_MISSING


@pytest.fixture
def raw(served_desk: Any) -> Any:
    transport = httpx.HTTPTransport(uds=str(served_desk.home.socket))
    with httpx.Client(transport=transport, base_url="http://expunge") as client:
        yield client


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "MALFORMED"),
        (b"{", "MALFORMED"),
        (b"[]", "MALFORMED"),
        (b'{"event":"ended","event":"renewed"}', "DUPLICATE_KEY"),
        (HINT.model_dump_json().replace("}", ',"x":1}').encode(), "UNKNOWN_FIELD"),
        (HINT.model_dump_json().replace("ended", "deleted").encode(), "MALFORMED"),
        (b" " * (MAX_BODY_BYTES + 1), "LIMIT_EXCEEDED"),
    ],
)
def test_a_body_that_is_no_question_is_refused_and_stores_nothing(
    served_desk: Any, raw: httpx.Client, body: bytes, code: str
) -> None:
    before = served_desk.desk.status().ledger_seq
    response = raw.post("/v1/hints", content=body)
    assert (response.status_code, response.json()["code"]) == (409, code)
    assert served_desk.desk.status().ledger_seq == before


@pytest.mark.parametrize("key", ["x", "hst_" + "0" * 32, "dep_" + "0" * 31])
def test_another_kind_of_id_is_refused(raw: httpx.Client, key: str) -> None:
    assert raw.get(f"/v1/deprovisions/{key}").json()["code"] == "MALFORMED"


def test_an_unknown_deprovision_is_refused(served_desk: Any) -> None:
    with Client.of(served_desk.home) as client, pytest.raises(Refused) as refused:
        client.get("/v1/deprovisions/dep_" + "0" * 32, Story)
    assert refused.value.code is Code.NOT_IN_STORE


def test_there_are_no_pages_for_the_curious(raw: httpx.Client) -> None:
    assert {raw.get(path).status_code for path in ("/docs", "/openapi.json", "/redoc", "/")} == {404}


def test_a_listener_that_ends_by_itself_says_so(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(*_: Any, **__: Any) -> None:
        raise OSError("no more descriptors")

    monkeypatch.setattr("controller.api.listener.uvicorn.Server.run", dies)
    ended = threading.Event()
    running = Served(application(Answering(None)), unix_socket(home.socket), name="test", ended=ended.set)
    assert ended.wait(10)
    running.stop()
