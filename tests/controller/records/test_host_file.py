"""A provider's file of hosts: every wrong place is named, and one of them refuses the file."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from certificate.errors import Refused
from certificate.statements.vocabulary import HostFactKind
from controller.errors import Code
from controller.facts import Disposition
from controller.records import host_file
from controller.records.host_file import FileDrive, read_hosts

HEAD = "asset_tag,site,rack,customer,data_class,disposition,address,drives,parameter.port,fact.dmi_uuid"
ROW = "host-1,s1,r1,Ada,default,rented,127.0.0.1:22,S1|MODEL 1|1000; S2|M|,e7,4c4c"


def reason_of(text: str) -> str:
    with pytest.raises(Refused) as refused:
        read_hosts(text)
    assert refused.value.code is Code.IMPORT_INVALID
    return refused.value.reason


def test_a_row_is_read_as_it_was_written() -> None:
    (row,) = read_hosts(f"{HEAD}\n{ROW}\n").rows
    assert (row.line, row.asset_tag, row.site, row.rack, row.customer) == (2, "host-1", "s1", "r1", "Ada")
    assert (row.address, row.port, row.disposition) == ("127.0.0.1", 22, Disposition.RENTED)
    assert row.drives == (
        FileDrive(serial="S1", model="MODEL 1", capacity_bytes=1000),
        FileDrive(serial="S2", model="M", capacity_bytes=None),
    )
    assert dict(row.parameters) == {"port": "e7"}
    assert dict(row.facts) == {HostFactKind.DMI_UUID: "4c4c"}


def test_a_byte_order_mark_and_empty_lines_change_nothing() -> None:
    plain, marked = read_hosts(f"{HEAD}\n{ROW}\n"), read_hosts(f"\ufeff{HEAD}\n{ROW}\n")
    assert plain == marked
    assert len(read_hosts(f"{HEAD}\r\n{ROW}\r\n\r\n").rows) == 1


def test_columns_may_stand_in_any_order() -> None:
    names, cells = HEAD.split(","), ROW.split(",")
    turned = f"{','.join(reversed(names))}\n{','.join(reversed(cells))}\n"
    assert read_hosts(turned).rows[0] == read_hosts(f"{HEAD}\n{ROW}\n").rows[0]


def test_quoted_cells_hold_commas_and_the_line_of_a_row_is_the_editors() -> None:
    second = ROW.replace("host-1", "host-2").replace("Ada", '"Ada, Countess"')
    rows = read_hosts(f"{HEAD}\n{ROW}\n\n{second}\n").rows
    assert (rows[1].line, rows[1].customer) == (4, "Ada, Countess")


@pytest.mark.parametrize("column", host_file.REQUIRED_COLUMNS)
def test_a_missing_column_is_named(column: str) -> None:
    names = HEAD.split(",")
    place = names.index(column)
    cells = ROW.split(",")
    text = "\n".join(",".join(line[:place] + line[place + 1 :]) for line in (names, cells))
    assert f"line 1, column {column}: is missing" in reason_of(text)


@pytest.mark.parametrize(
    "column", ["colour", "Asset_tag", "parameter.", "parameter.UP", "fact.shoe_size", ""]
)
def test_an_unknown_column_is_named(column: str) -> None:
    reason = reason_of(f"{HEAD},{column}\n{ROW},x\n")
    assert f"column {column or '(blank)'}: is not a column of this format" in reason


def test_a_doubled_column_is_named() -> None:
    assert "column rack: stands more than once" in reason_of(f"{HEAD},rack\n{ROW},r2\n")


@pytest.mark.parametrize(
    "column", ["asset_tag", "site", "rack", "data_class", "disposition", "address"], ids=str
)
def test_a_blank_cell_that_decides_anything_is_wrong_and_has_no_default(column: str) -> None:
    cells = dict(zip(HEAD.split(","), ROW.split(","), strict=True)) | {column: ""}
    reason = reason_of(f"{HEAD}\n{','.join(cells.values())}\n")
    assert f"line 2, column {column}: is blank, and nothing stands for it" in reason


@pytest.mark.parametrize("column", ["customer", "drives", "parameter.port", "fact.dmi_uuid"])
def test_a_blank_cell_elsewhere_says_nothing(column: str) -> None:
    cells = dict(zip(HEAD.split(","), ROW.split(","), strict=True)) | {column: ""}
    (row,) = read_hosts(f"{HEAD}\n{','.join(cells.values())}\n").rows
    said = {"customer": row.customer, "drives": row.drives, "parameter.port": row.parameters}
    assert not said.get(column, row.facts)


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("asset_tag", "host 1"),
        ("asset_tag", "-host"),
        ("site", "s\u00e9"),
        ("site", " s1"),
        ("rack", "r1 "),
        ("data_class", "x" * 121),
        ("disposition", "Rented"),
        ("disposition", "free"),
        ("address", "127.0.0.1"),
        ("address", "127.0.0.1:0"),
        ("address", "127.0.0.1:65536"),
        ("address", "a b:22"),
        ("drives", "S1"),
        ("drives", "S1|M"),
        ("drives", "S1|M|1e3"),
        ("drives", "S1|M|-1"),
        ("drives", "S1|M|99999999999999999999"),
        ("drives", "S1|M|\u0661"),
        ("drives", "|M|1"),
        ("drives", "S1||1"),
        ("drives", "S1|M|1|2"),
        ("drives", "S1|M|1; S1|M|1"),
        ("drives", "S1|M|1;"),
        ("parameter.port", "a\tb"),
        ("fact.dmi_uuid", "a\x7fb"),
    ],
)
def test_a_wrong_value_is_named_with_its_line_and_column(column: str, cell: str) -> None:
    cells = dict(zip(HEAD.split(","), ROW.split(","), strict=True)) | {column: cell}
    assert f"line 3, column {column}: " in reason_of(f"{HEAD}\n{ROW}x\n{','.join(cells.values())}\n")


def test_an_asset_tag_stands_once() -> None:
    assert "line 3, column asset_tag: 'host-1' stands in line 2 already" in reason_of(f"{HEAD}\n{ROW}\n{ROW}")


@pytest.mark.parametrize("row", ["host-1,s1", f"{ROW},more"])
def test_a_row_of_another_length_is_wrong(row: str) -> None:
    assert "line 2, column (all): the row has" in reason_of(f"{HEAD}\n{row}\n")


@pytest.mark.parametrize("text", ["", "\n", "\ufeff", HEAD, f"{HEAD}\n\n"])
def test_a_file_without_a_host_is_refused(text: str) -> None:
    assert reason_of(text)


@pytest.mark.parametrize("text", [f'{HEAD}\n"host-1\n', f'{HEAD}\n"a"b,c\n', f"{HEAD}\n{'x' * 200_000}\n"])
def test_what_is_no_csv_is_refused_with_its_line(text: str) -> None:
    assert reason_of(text).startswith("line ")


def test_every_problem_is_told_at_once_and_twenty_at_most() -> None:
    wrong = "\n".join(ROW.replace("host-1", f"h-{n}").replace(",s1,", ",,") for n in range(25))
    reason = reason_of(f"{HEAD}\n{wrong}\n")
    assert reason.count("column site: is blank") == 20
    assert reason.endswith("and 5 more")


def test_a_file_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_file, "MAX_FILE_CHARACTERS", 300)
    assert "more than 300 characters" in reason_of(f"{HEAD}\n{ROW}\n" + "#" * 300)
    monkeypatch.setattr(host_file, "MAX_HOSTS", 1)
    assert "more than 1 hosts" in reason_of(f"{HEAD}\n{ROW}\n{ROW.replace('host-1', 'h')}\n")
    drives = ";".join(f"S{n}|M|" for n in range(201))
    monkeypatch.undo()
    assert "more than 200" in reason_of(f"{HEAD}\n{ROW.replace('S1|MODEL 1|1000; S2|M|', drives)}\n")


@given(text=st.text(alphabet=st.sampled_from('a1,"|;\n\r\ufeff .\x00'), max_size=200))
@example(text='"')
@example(text="\x00")
def test_any_text_is_read_or_refused(text: str) -> None:
    for given_text in (text, f"{HEAD}\n{text}", f"{HEAD}\n{ROW}{text}"):
        code, rows = _outcome(given_text)
        assert code is Code.IMPORT_INVALID or rows


def _outcome(text: str) -> tuple[Any, int]:
    try:
        return None, len(read_hosts(text).rows)
    except Refused as refusal:
        return refusal.code, 0
