"""What the provider's other systems send: webhooks of the billing system, files of hosts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from standardwebhooks import Webhook

from controller.api.webhook import MAX_HEADER_CHARACTERS
from controller.records.host_file import MAX_FILE_CHARACTERS
from tests.corpus.case import Case
from tests.corpus.forgeries.json_texts import spoilt
from tests.corpus.readers import WEBHOOK_AT, WEBHOOK_SECRET

EVENT = {"type": "subscription.ended", "data": {"subscription": "sub-1"}}
OTHER_SECRET = "whsec_b3RoZXJvdGhlcm90aGVyb3RoZXJvdGhlcm90aGVy"
HEAD = "asset_tag,site,rack,customer,data_class,disposition,address,drives,parameter.port,fact.dmi_uuid"
ROW = "host-1,s1,r1,Ada,default,rented,127.0.0.1:22,S1|MODEL 1|1000; S2|M|,e7,4c4c"


def cases() -> Iterator[Case]:
    yield from _webhooks()
    yield from _hosts()


# --- webhooks -----------------------------------------------------------------------------------------------


def _case(
    kind: str, name: str, code: str, sentence: str, data: bytes, suffix: str = "txt", **fields: Any
) -> Case:
    file = f"forged/{kind}/{name}.{suffix}"
    return Case(file=file, kind=kind, code=code, sentence=sentence, data=data, **fields)


def request(body: bytes, *, secret: str = WEBHOOK_SECRET, minutes: int = 0, **headers: str) -> bytes:
    """A signed webhook as a text: headers, an empty line, the body."""
    at = WEBHOOK_AT + timedelta(minutes=minutes)
    signature = Webhook(secret).sign("msg_1", at, body.decode("utf-8", "replace"))
    named = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signature,
    }
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = (f"{name}: {value}" for name, value in named.items() if value)
    return "\n".join(lines).encode("latin-1") + b"\n\n" + body


def _webhooks() -> Iterator[Case]:
    body = json.dumps(EVENT).encode()
    forged, malformed = "WEBHOOK_SIGNATURE_INVALID", "WEBHOOK_MALFORMED"
    yield Case(
        file="valid/webhook.txt",
        kind="webhook",
        code=None,
        sentence="A signed event: a subscription ended.",
        data=request(body),
    )
    renewed = body.replace(b"ended", b"renewed")
    rows: tuple[tuple[str, str, bytes], ...] = (
        ("unsigned", "No signature.", request(body, webhook_signature="")),
        ("no_id", "No id.", request(body, webhook_id="")),
        ("no_time", "No time.", request(body, webhook_timestamp="")),
        ("other_secret", "Signed with another secret.", request(body, secret=OTHER_SECRET)),
        (
            "body_edited",
            "Another event than was signed.",
            request(renewed).partition(b"\n\n")[0] + b"\n\n" + body,
        ),
        ("id_edited", "Another id than was signed.", request(body, webhook_id="msg_2")),
        (
            "time_edited",
            "Another time than was signed.",
            request(body, webhook_timestamp=str(int(WEBHOOK_AT.timestamp()) + 1)),
        ),
        ("too_old", "Six minutes old.", request(body, minutes=-6)),
        ("from_the_future", "Six minutes early.", request(body, minutes=6)),
        ("time_nan", "A time that is NaN.", request(body, webhook_timestamp="nan")),
        ("time_infinite", "A time without end.", request(body, webhook_timestamp="1e400")),
        (
            "version_two",
            "A signature of a version that nobody knows.",
            request(body, webhook_signature="v2,AAAA"),
        ),
        ("signature_no_comma", "A signature without its version.", request(body, webhook_signature="AAAA")),
        ("signature_no_base64", "A signature that is no base64.", request(body, webhook_signature="v1,é")),
        (
            "header_too_long",
            "Hundreds of signatures, the right one last.",
            request(body, webhook_signature="v1,AAAA " * MAX_HEADER_CHARACTERS),
        ),
        ("body_not_utf8", "A body that is no UTF-8.", request(b"\xff\xfe")),
    )
    for name, sentence, data in rows:
        yield _case("webhook", name, forged, sentence, data)
    events: tuple[tuple[str, str, Any], ...] = (
        ("no_type", "An event of no type.", {"data": EVENT["data"]}),
        ("type_is_a_list", "A type that is a list.", EVENT | {"type": ["subscription.ended"]}),
        ("no_data", "An ended subscription, and nobody says which.", {"type": EVENT["type"]}),
        ("data_is_a_list", "Data in a list.", EVENT | {"data": [EVENT["data"]]}),
        ("subscription_empty", "An empty subscription.", EVENT | {"data": {"subscription": ""}}),
        ("subscription_number", "A subscription that is a number.", EVENT | {"data": {"subscription": 1}}),
        (
            "subscription_long",
            "A subscription of 256 characters.",
            EVENT | {"data": {"subscription": "x" * 256}},
        ),
        (
            "subscription_unprintable",
            "A subscription with a line feed.",
            EVENT | {"data": {"subscription": "sub-1\nsub-2"}},
        ),
    )
    for name, sentence, event in events:
        yield _case("webhook", name, malformed, sentence, request(json.dumps(event).encode()))
    for name, _, sentence, data in spoilt(EVENT | {"number": 1}, "number"):
        if name in ("duplicate_key", "float", "very_deep", "byte_order_mark", "lone_surrogate", "empty"):
            yield _case("webhook", name, malformed, sentence, request(data))
    yield _case(
        "webhook", "id_unprintable", malformed, "An id with a space, signed.", _with_id("msg 1", body)
    )
    yield _case(
        "webhook", "id_long", malformed, "An id of 129 characters, signed.", _with_id("m" * 129, body)
    )


def _with_id(event_id: str, body: bytes) -> bytes:
    signature = Webhook(WEBHOOK_SECRET).sign(event_id, WEBHOOK_AT, body.decode())
    return request(body, webhook_id=event_id, webhook_signature=signature)


# --- files of hosts -----------------------------------------------------------------------------------------


def _hosts() -> Iterator[Case]:
    yield Case(
        file="valid/hosts_file.csv",
        kind="hosts_file",
        code=None,
        sentence="A file of one host.",
        data=f"{HEAD}\n{ROW}\n".encode(),
    )

    def row(old: str, new: str) -> bytes:
        changed = ROW.replace(old, new, 1)
        if changed == ROW:
            raise ValueError(f"{old} stands nowhere in the row")
        return f"{HEAD}\n{changed}\n".encode()

    rows: tuple[tuple[str, str, bytes], ...] = (
        ("empty", "An empty file.", b""),
        ("head_only", "No host.", f"{HEAD}\n".encode()),
        ("column_missing", "No disposition at all.", f"{HEAD.replace(',disposition', '')}\n".encode()),
        ("column_twice", "Two asset tags.", f"asset_tag,{HEAD}\nx,{ROW}\n".encode()),
        ("column_unknown", "A column that is misspelt.", f"{HEAD},data_clas\n{ROW},x\n".encode()),
        ("columns_many", "Thousands of columns.", (",".join(["x"] * 5000) + "\n").encode()),
        (
            "blank_disposition",
            "A blank disposition, which somebody would read as a default.",
            row("rented", ""),
        ),
        ("blank_data_class", "A blank class of data.", row("default", "")),
        ("in_stock", "A file that declares a host never let.", row("rented", "spare")),
        ("cell_too_few", "A row that slipped by one cell.", row("host-1,s1", "host-1")),
        ("cell_too_many", "A row with one cell more.", row("host-1", "host-1,x")),
        ("tag_twice", "One asset tag twice.", f"{HEAD}\n{ROW}\n{ROW}\n".encode()),
        ("spaces", "Spaces around a cell.", row("host-1", " host-1")),
        ("no_port", "An address without a port.", row("127.0.0.1:22", "127.0.0.1")),
        ("port_too_high", "Port 65536.", row("127.0.0.1:22", "127.0.0.1:65536")),
        (
            "address_option",
            "An address that a program would read as an option.",
            row("127.0.0.1:22", "-oProxyCommand=id:22"),
        ),
        ("drive_malformed", "A drive without its model.", row("S1|MODEL 1|1000", "S1")),
        ("drive_twice", "One serial twice.", row("S2|M|", "S1|M|")),
        ("capacity_text", "A capacity in gigabytes.", row("1000", "1GB")),
        ("capacity_other_digits", "A capacity in other digits.", row("1000", "١٠٠٠")),
        ("quote_open", "A quote that is never closed.", f'{HEAD}\n"{ROW}\n'.encode()),
        ("cell_endless", "A cell of two hundred kilobytes.", row("Ada", "A" * 200_000)),
        ("zero_byte", "A zero byte.", row("Ada", "A\x00da")),
        ("not_utf8", "Latin-1.", row("Ada", "Ad").replace(b"Ad", b"Ad\xe9")),
        ("formula_newline", "A line feed inside a quoted cell.", row("Ada", '"A\nda"')),
    )
    for name, sentence, data in rows:
        yield _case("hosts_file", name, "IMPORT_INVALID", sentence, data, "csv")
    yield _case(
        "hosts_file",
        "too_large",
        "IMPORT_INVALID",
        "More than four megabytes.",
        f"{HEAD}\n{ROW}\n".encode(),
        "csv",
        padded_to_bytes=MAX_FILE_CHARACTERS + 1,
    )
