"""docs/standards.md maps every word of the signed documents, each once, and claims conformity to nothing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from certificate.outcome_words import CLAUSES
from certificate.statements import vocabulary as words
from certificate.statements.evidence import Evidence
from certificate.statements.outcome import Outcome
from certificate.statements.statement import Model
from certificate.statements.summary import Summary
from certificate.statements.validation import ValidationTable

PAGE = (Path(__file__).parents[2] / "docs" / "standards.md").read_text()
DOCUMENTS = (Outcome, Summary, Evidence, ValidationTable)
#: Closed lists that a standard has a term for, or an auditor looks for.
LISTS: tuple[type[StrEnum], ...] = (
    words.Technique,
    words.Method,
    words.Grade,
    words.Result,
    words.MarkerReading,
    words.ValidationDecision,
    words.DestroyMethod,
    words.Destination,
    words.Role,
    words.Escrow,
    words.MediaKind,
    words.OverwritePattern,
    words.ReadBackMode,
    words.ResidueName,
    words.ResidueState,
)


def models_in(annotation: object) -> Iterator[type[Model]]:
    if isinstance(annotation, type) and issubclass(annotation, Model):
        yield annotation
    for inner in get_args(annotation):
        yield from models_in(inner)


def models() -> set[type[Model]]:
    """The documents and whatever stands in them, however deep."""
    found: set[type[Model]] = set()
    waiting: list[type[Model]] = list(DOCUMENTS)
    while waiting:
        model = waiting.pop()
        if model not in found:
            found.add(model)
            waiting += [each for field in model.model_fields.values() for each in models_in(field.annotation)]
    return found


def prefix(kind: type[BaseModel] | type[StrEnum]) -> str:
    """`MediumEvidence` is `medium_evidence`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower()


def expected() -> set[str]:
    fields = {
        f"{prefix(model)}.{field.alias or name}"
        for model in models()
        for name, field in model.model_fields.items()
    }
    return fields | {f"{prefix(kind)}.{member.value}" for kind in LISTS for member in kind}


def rows() -> list[list[str]]:
    """The cells of every row that maps words of ours."""
    found = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in PAGE.splitlines()
        if line.startswith("| `")
    ]
    assert found
    return found


def mapped() -> Counter[str]:
    return Counter(name for row in rows() for name in re.findall(r"`([^`]+)`", row[0]))


def test_each_word_of_a_document_stands_in_the_page() -> None:
    assert not expected() - set(mapped())


def test_no_word_stands_in_the_page_twice() -> None:
    assert not [name for name, count in mapped().items() if count > 1]


def test_the_page_maps_no_word_that_no_document_has() -> None:
    assert not set(mapped()) - expected()


def test_documents_of_every_kind_are_looked_through() -> None:
    """What follows from annotations alone could silently find nothing."""
    names = {model.__name__ for model in models()}
    assert {"Claim", "Custody", "CryptographicErase", "Attested", "Marker", "ReadBack", "Anchor"} <= names


def test_each_row_names_a_term_a_clause_or_none_and_where_it_stands() -> None:
    for row in rows():
        assert len(row) == 4, row
        assert all(row), row
        cited = re.fullmatch(r"none|.*\b(88r[12]|2883|27040|NVMe|NVM Express|NIST|LUKS[12]|GDPR)\b.*", row[2])
        assert cited, row


@pytest.mark.parametrize("technique", words.Technique)
def test_a_technique_has_the_clause_that_its_outcomes_name(technique: words.Technique) -> None:
    (row,) = (row for row in rows() if row[0] == f"`technique.{technique.value}`")
    assert CLAUSES[technique] in row[2]


def test_the_page_says_of_every_text_it_cites_that_it_was_not_at_hand() -> None:
    section = PAGE.split("## What was not at hand")[1].split("\n## ")[0]
    found = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| ")][1:]
    assert [short.strip() for short, _, _ in found] == [
        "88r2",
        "88r1",
        "2883",
        "27040",
        "NVMe",
        "ATA",
        "LUKS",
    ]
    for _, text, known in found:
        assert known.strip().startswith("not at hand"), text


def test_no_page_says_that_something_conforms() -> None:
    assert "**conformity to any of these texts is claimed\nnowhere**" in PAGE
    for page in (Path(__file__).parents[2] / "docs").rglob("*.md"):
        boast = re.search(r"\b(compliant|complies|conforms? to|conforming to)\b", page.read_text(), re.I)
        assert boast is None, f"{page.name}: {boast}"
