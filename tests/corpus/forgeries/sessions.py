"""What controller and agent say to each other, and what an agent keeps of it in files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from agent.journal import JournalWriter, Kind
from agent.run_directory import BootRecord
from certificate.messages import (
    MAX_LINE_BYTES,
    Ack,
    AskInventory,
    AskStatus,
    Execute,
    Follow,
    Hello,
    HelloAnswer,
    Refusal,
    SaltedMedium,
)
from tests.corpus.case import Case
from tests.corpus.forgeries.deliveries import honest as honest_delivery
from tests.corpus.forgeries.json_texts import spoilt
from tests.corpus.papers import KEYS, documents

TOKEN = documents.nonce_of("token")
NONCE = "0c" * 32
LINE = "LINE_INVALID"


def cases() -> Iterator[Case]:
    yield from _requests()
    yield from _answers()
    yield from _inventories()
    yield from _files()


def _case(
    kind: str, name: str, code: str | None, sentence: str, data: Any, suffix: str = "json", **fields: Any
) -> Case:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    file = f"forged/{kind}/{name}.{suffix}"
    return Case(file=file, kind=kind, code=code, sentence=sentence, data=raw, **fields)


def _valid(kind: str, name: str, sentence: str, data: bytes, suffix: str = "json", **fields: Any) -> Case:
    file = f"valid/{name}.{suffix}"
    return Case(file=file, kind=kind, code=None, sentence=sentence, data=data, **fields)


def _requests() -> Iterator[Case]:
    kind = "request_line"
    execute = Execute(
        delivery=honest_delivery().to_line(),
        host_salt=documents.HOST_SALT.hex(),
        media_salts=(SaltedMedium(commitment=documents.MEDIUM, salt=documents.MEDIUM_SALT.hex()),),
    )
    lines = (
        Hello(controller_nonce=NONCE, purpose="order"),
        AskInventory(),
        execute,
        AskStatus(token=TOKEN, finalise=True),
        Follow(token=TOKEN, from_seq=0),
        Ack(token=TOKEN, boot_id=documents.BOOT_ID, seq=3, step="start:x"),
    )
    for line in lines:
        yield _valid(kind, f"request_{line.name}", f"A {line.name} line of the controller.", line.write())
    hello = json.loads(lines[0].write())
    status = json.loads(lines[3].write())
    rows: tuple[tuple[str, str, str, Any], ...] = (
        ("unknown_verb", LINE, "A verb that no agent has.", hello | {"line": "format"}),
        ("answer_as_request", LINE, "An answer sent as a request.", json.loads(_hello_answer().write())),
        ("verb_missing", LINE, "No verb.", {"controller_nonce": NONCE, "purpose": "order"}),
        ("verb_is_a_list", LINE, "A verb that is a list.", hello | {"line": ["hello"]}),
        ("part_as_request", LINE, "A part of a line sent as one.", hello | {"line": "delivery"}),
        ("unknown_field", "UNKNOWN_FIELD", "A field that no hello has.", hello | {"shell": "id"}),
        ("field_missing", LINE, "A hello without its nonce.", {"line": "hello", "purpose": "order"}),
        ("flag_is_a_number", LINE, "1 where true belongs.", status | {"finalise": 1}),
        ("flag_is_text", LINE, "A text where true belongs.", status | {"finalise": "true"}),
        ("token_is_null", LINE, "No token.", status | {"token": None}),
        (
            "number_is_true",
            LINE,
            "true where a number belongs.",
            json.loads(lines[4].write()) | {"from_seq": True},
        ),
        (
            "delivery_is_text",
            LINE,
            "A delivery that is a text.",
            json.loads(execute.write()) | {"delivery": "x"},
        ),
        (
            "salts_no_list",
            LINE,
            "Salts that are an object.",
            json.loads(execute.write()) | {"media_salts": {}},
        ),
    )
    for name, code, sentence, value in rows:
        yield _case(kind, name, code, sentence, value)
    for name, code, sentence, data in spoilt(json.loads(lines[4].write()), "from_seq"):
        yield _case(kind, name, code, sentence, data)
    yield from _request_streams(lines[0].write())


def _request_streams(hello: bytes) -> Iterator[Case]:
    kind = "request_stream"
    yield _case(kind, "no_line_feed", LINE, "A line that never ends.", hello.rstrip(b"\n"))
    yield _case(kind, "nothing", LINE, "The channel closes at once.", b"")
    yield _case(kind, "a_shell_command", "MALFORMED", "A command for a shell.", b"cat /etc/shadow\n")
    yield _case(
        kind,
        "two_lines_of_json",
        "MALFORMED",
        "JSON over two lines: the first is cut.",
        b'{"line":\n"hello"}\n',
    )
    endless = b'{"line":"hello","controller_nonce":"'
    yield _case(
        kind, "endless", LINE, "More than a line may have.", endless, padded_to_bytes=MAX_LINE_BYTES + 64
    )
    yield _case(
        kind, "http", "MALFORMED", "A browser at the wrong door.", b"GET / HTTP/1.1\r\nHost: agent\r\n\r\n"
    )
    yield _case(kind, "not_booted", "NOT_BOOTED", "An honest hello to an agent that was never booted.", hello)


def _hello_answer() -> HelloAnswer:
    return HelloAnswer(
        boot_id=documents.BOOT_ID,
        evidence_key=KEYS.agent.public.raw.hex(),
        ssh_host_key_blob=KEYS.stranger.public.ssh_blob.hex(),
        config_digest=documents.digest_of("boot configuration"),
        hello_nonce=documents.HELLO_NONCE,
        boottime_ms=documents.HELLO_AT_MS,
        agent_version="0.1.0",
        proof=documents.digest_of("proof"),
    )


def _answers() -> Iterator[Case]:
    kind = "answer_line"
    answer = _hello_answer().write()
    refusal = Refusal(code="BUSY", reason="An execution is running.", remedy="Ask again.").write()
    yield _valid(kind, "answer_hello", "An agent's answer to a hello.", answer)
    yield _valid(kind, "answer_refusal", "An agent's refusal.", refusal)
    fields = json.loads(answer)
    rows: tuple[tuple[str, str, str, Any], ...] = (
        (
            "request_as_answer",
            LINE,
            "A request sent as an answer.",
            {"line": "hello", "controller_nonce": NONCE, "purpose": "pin"},
        ),
        ("time_is_text", LINE, "A time as a text.", fields | {"boottime_ms": "61000"}),
        ("unknown_field", "UNKNOWN_FIELD", "A field that no answer has.", fields | {"is_trusted": True}),
        (
            "proof_missing",
            LINE,
            "No proof.",
            {name: value for name, value in fields.items() if name != "proof"},
        ),
        (
            "journal_body_nested",
            LINE,
            "A journal line whose body nests.",
            {
                "line": "journal",
                "token": TOKEN,
                "seq": 0,
                "kind": "sent",
                "step": "",
                "needs_ack": False,
                "at_ms": 1,
                "previous": "0" * 64,
                "body": {"a": {"b": "c"}},
            },
        ),
        (
            "drive_without_serial",
            LINE,
            "A drive that does not say which.",
            {"line": "inventory_answer", "boot_id": "x", "host_facts": [], "drives": [{}], "residue": []},
        ),
        (
            "drives_no_list",
            LINE,
            "Drives that are a number.",
            {"line": "inventory_answer", "boot_id": "x", "host_facts": [], "drives": 1, "residue": []},
        ),
    )
    for name, code, sentence, value in rows:
        yield _case(kind, name, code, sentence, value)
    for name, code, sentence, data in spoilt(fields, "boottime_ms"):
        if name in ("duplicate_key", "float", "huge_number", "deep", "lone_surrogate", "not_utf8"):
            yield _case(kind, name, code, sentence, data)
    yield from _answer_streams(answer, refusal)


def _inventories() -> Iterator[Case]:
    kind = "planned_inventory"
    drive = {
        "transport": "nvme",
        "attachment": "internal",
        "device_class": "physical",
        "manufacturer": "Samsung",
        "model": "SAMSUNG MZQL23T8HCLS-00A07",
        "firmware": "GDC5902Q",
        "serial": "S64GNE0R500123",
        "capacity_bytes": documents.CAPACITY_BYTES,
        "unallocated_capacity_bytes": 0,
        "is_write_protected": False,
        "namespaces": [
            {
                "nsid": 1,
                "capacity_bytes": documents.CAPACITY_BYTES,
                "logical_block_bytes": 512,
                "is_attached": True,
            }
        ],
        "capabilities": [
            {"field": "SANICAP", "raw": "03000000"},
            {"field": "OACS", "raw": "1e00"},
            {"field": "FNA", "raw": "04"},
        ],
        "layers": [],
        "stack": [],
        "status_log": documents.STATUS_BEFORE.hex(),
        "refused": None,
    }
    answer = {
        "line": "inventory_answer",
        "boot_id": documents.BOOT_ID,
        "host_facts": [],
        "drives": [drive],
        "residue": [],
    }
    layer = {
        "kind": "luks2",
        "nsid": 1,
        "offset_bytes": 1 << 20,
        "area_bytes": 16 << 20,
        "header_copies": 2,
        "key_slots": 1,
        "tokens": 0,
        "is_detached": False,
    }
    yield _valid(
        kind, "inventory", "The drives of a host, from which a plan is made.", json.dumps(answer).encode()
    )
    invalid, unavailable = "ANSWER_INVALID", "TECHNIQUE_UNAVAILABLE"
    rows: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
        ("transport_unknown", invalid, "A drive on a bus that nobody declared.", {"transport": "telepathy"}),
        ("attachment_unknown", invalid, "Attached in a way that nobody declared.", {"attachment": "glued"}),
        ("capacity_negative", invalid, "Fewer bytes than none.", {"capacity_bytes": -1}),
        ("firmware_escape", invalid, "A firmware that clears the screen.", {"firmware": "\u001b[2J"}),
        ("layer_unknown", invalid, "A layer of no known kind.", {"layers": [layer | {"kind": "bitlocker"}]}),
        ("layer_nowhere", invalid, "A layer before the drive.", {"layers": [layer | {"offset_bytes": -1}]}),
        ("layers_without_end", invalid, "Hundreds of layers.", {"layers": [layer] * 300}),
        (
            "word_short",
            LINE,
            "A capability word of one byte.",
            {"capabilities": [{"field": "SANICAP", "raw": "03"}]},
        ),
        (
            "word_no_hex",
            LINE,
            "A capability word that is no word.",
            {"capabilities": [{"field": "OACS", "raw": "zzzz"}]},
        ),
        ("word_twice", LINE, "A capability word twice.", {"capabilities": drive["capabilities"] * 2}),
        ("namespace_twice", LINE, "A namespace twice.", {"namespaces": drive["namespaces"] * 2}),
        ("capable_of_nothing", unavailable, "A drive that can nothing.", {"capabilities": []}),
    )
    for name, code, sentence, change in rows:
        yield _case(kind, name, code, sentence, answer | {"drives": [drive | change]})
    yield _case(kind, "no_drives", "DRIVES_UNKNOWN", "A host without drives.", answer | {"drives": []})
    yield _case(
        kind, "serial_twice", "DRIVES_DIFFER", "Two drives of one serial.", answer | {"drives": [drive] * 2}
    )
    yield _case(kind, "no_inventory", LINE, "Another answer.", {"line": "accepted", "token": TOKEN})


def _answer_streams(answer: bytes, refusal: bytes) -> Iterator[Case]:
    """To the controller every answer that is none is the same: nobody knows what was done."""
    kind, invalid = "answer_stream", "ANSWER_INVALID"
    yield _valid(kind, "answer_stream", "One answer and the end.", answer)
    yield _case(kind, "two_answers", invalid, "A second answer behind the first.", answer + answer)
    yield _case(kind, "cut", invalid, "The connection ends inside the line.", answer[:-20])
    yield _case(kind, "nothing", invalid, "The connection ends at once.", b"")
    yield _case(
        kind,
        "another_answer",
        invalid,
        "The answer to another question.",
        b'{"line":"accepted","token":"' + TOKEN.encode() + b'"}\n',
    )
    yield _case(
        kind,
        "login_page",
        invalid,
        "A login page instead of an agent.",
        b"<!DOCTYPE html>\n<title>Log in</title>\n",
    )
    yield _case(
        kind, "banner", invalid, "A banner of the machine before the answer.", b"Welcome to Linux\n" + answer
    )
    yield _case(
        kind,
        "endless",
        invalid,
        "A line that never ends.",
        answer.rstrip(b"\n"),
        padded_to_bytes=MAX_LINE_BYTES + 64,
    )
    yield _case(kind, "refused", "AGENT_REFUSED", "A refusal, and nothing was done.", refusal)
    fault = Refusal(code="AGENT_FAILED", reason="a fault", remedy="look").write()
    yield _case(kind, "agent_fault", "ANSWER_MISSING", "A fault of the agent, which promises nothing.", fault)


# --- files of the agent -------------------------------------------------------------------------------------


def _journal() -> bytes:
    with TemporaryDirectory(prefix="expunge-corpus-") as folder:
        path = Path(folder) / "journal.jsonl"
        writer = JournalWriter(path, token=TOKEN, clock=lambda: 61_000)
        for number in range(3):
            writer.append(Kind.PROGRESS, step="s", body={"medium": "m", "number": str(number)})
        writer.close()
        return path.read_bytes()


def _files() -> Iterator[Case]:
    whole = _journal()
    first, second, third = whole.splitlines(keepends=True)
    broken = "JOURNAL_BROKEN"
    kind = "journal"
    yield _valid(kind, "journal", "A journal of three lines.", whole, "jsonl")
    yield _valid(
        kind, "journal_torn", "The last line was torn by a kill: it was never sent.", whole[:-30], "jsonl"
    )
    for name, sentence, data in (
        ("line_removed", "A line is missing.", first + third),
        ("lines_swapped", "Two lines changed places.", first + third + second),
        (
            "line_edited",
            "A number in the first line is another.",
            whole.replace(b'"number":"0"', b'"number":"7"'),
        ),
        ("first_removed", "It begins in the middle.", second + third),
        ("line_twice", "A line stands twice.", first + second + second),
        ("not_a_journal", "Another kind of line.", AskInventory().write()),
        ("carriage_returns", "Lines that end as on Windows.", whole.replace(b"\n", b"\r\n")),
        ("binary", "Zeros after a crash of the file system.", first + bytes(64) + b"\n"),
    ):
        yield _case(kind, name, broken, sentence, data, "jsonl")
    yield from _records()


def _records() -> Iterator[Case]:
    record = BootRecord(
        boot_id=documents.BOOT_ID,
        evidence_key=KEYS.agent.public.raw.hex(),
        ssh_host_key_blob=KEYS.stranger.public.ssh_blob.hex(),
        config_digest=documents.digest_of("boot configuration"),
        purpose="production",
        deprovision=documents.DEPROVISION,
        boot_trust="virtual_media",
        booted_at_ms=60_000,
        only_images=None,
        host_facts=None,
    ).write()
    broken, fields = "RUN_DIRECTORY_BROKEN", json.loads(record)
    yield _valid("boot_record", "boot_record", "What one boot of the agent knows.", record)
    yield _case(
        "boot_record", "other_record", broken, "A record of another kind.", fields | {"line": "hello_record"}
    )
    yield _case(
        "boot_record",
        "no_images",
        broken,
        "Whether only images may be opened is missing.",
        {name: value for name, value in fields.items() if name != "only_images"},
    )
    yield _case(
        "boot_record",
        "images_false",
        broken,
        "false where a path or null belongs.",
        fields | {"only_images": False},
    )
    yield _case("boot_record", "torn", broken, "Half a file.", record[:80])
    facts = {
        "chassis_serial": "CH-4711",
        "board_serial": "BO-4711",
        "dmi_uuid": "4c4c4544-0031-4b10-8034-b7c04f4d3253",
    }
    invalid = "HOST_FACTS_INVALID"
    yield _valid(
        "host_facts", "host_facts", "The identity of a machine that is played.", json.dumps(facts).encode()
    )
    yield _case(
        "host_facts",
        "unknown_fact",
        invalid,
        "A kind of fact that nobody declared.",
        facts | {"colour": "blue"},
    )
    yield _case(
        "host_facts",
        "placeholder",
        invalid,
        "A board maker's placeholder.",
        facts | {"board_serial": "To be filled by O.E.M."},
    )
    yield _case(
        "host_facts",
        "zeros",
        invalid,
        "A UUID of zeros.",
        facts | {"dmi_uuid": "00000000-0000-0000-0000-000000000000"},
    )
    yield _case("host_facts", "number", invalid, "A serial that is a number.", facts | {"board_serial": 4711})
    yield _case(
        "host_facts",
        "fact_twice",
        "DUPLICATE_KEY",
        "A fact twice.",
        (json.dumps(facts)[:-1] + ', "dmi_uuid": "x"}').encode(),
    )
