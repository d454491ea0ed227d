"""A validation table as an editable JSON file: closed, strict, unsigned.

    {"schema": 1, "version": 2, "rules": [...], "rows": [...], "otherwise": "escalate"}

Rules: as for every signed statement, nothing has a default and nothing unknown is read; each class and each
case is named once, and the reason says which one is not. `version` is the number it will have when signed.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from certificate.errors import Malformed
from certificate.statements import Purpose, ValidationTable
from certificate.statements.statement import Model, SchemaOne, read_model
from certificate.statements.validation import DataClassRule, ValidationRow
from certificate.statements.vocabulary import ValidationDecision
from controller.errors import Code

#: A thousand rows, written with a line a field, have about 250 kilobytes; stops a wrong file early.
MAX_DRAFT_BYTES = 500_000


class Draft(Model):
    """What a person edits: everything of a table but what signing adds (purpose, nonce, time)."""

    schema_version: SchemaOne
    version: Annotated[int, Field(ge=1, le=999_999_999)]
    rules: Annotated[tuple[DataClassRule, ...], Field(min_length=1, max_length=1000)]
    rows: Annotated[tuple[ValidationRow, ...], Field(max_length=10_000)]
    otherwise: Literal[ValidationDecision.ESCALATE]

    @model_validator(mode="after")
    def _names_each_once(self) -> Self:
        classes = Counter(rule.data_class for rule in self.rules)
        cases = Counter(case_words(row) for row in self.rows)
        twice = [name for name, count in (*classes.items(), *cases.items()) if count > 1]
        if twice:
            raise ValueError(f"{twice[0]!r} is decided {(classes + cases)[twice[0]]} times")
        return self

    @classmethod
    def of(cls, table: ValidationTable, *, version: int) -> Draft:
        """The same table under another number."""
        return cls(
            schema_version=1,
            version=version,
            rules=table.rules,
            rows=table.rows,
            otherwise=table.otherwise,
        )

    @classmethod
    def read(cls, data: bytes) -> Draft:
        """The draft in a file. Raises Malformed(DRAFT_INVALID), with the place that is wrong."""
        try:
            return read_model(data, cls, what="draft", max_bytes=MAX_DRAFT_BYTES)
        except Malformed as error:
            raise Malformed(Code.DRAFT_INVALID, error.reason) from None

    def write(self) -> bytes:
        """The draft as a file: a line a field, so that versions can be compared by `diff` too."""
        return json.dumps(self.model_dump(mode="json", by_alias=True), indent=1).encode() + b"\n"

    def table(self, *, purpose: Purpose, nonce: str, issued_at: datetime) -> ValidationTable:
        """What is signed."""
        return ValidationTable(
            schema_version=1,
            purpose=purpose,
            nonce=nonce,
            issued_at=issued_at,
            version=self.version,
            rules=self.rules,
            rows=self.rows,
            otherwise=self.otherwise,
        )


def case_words(row: ValidationRow) -> str:
    """The case a row decides, in the words of the table."""
    return f"{row.data_class}, {row.media.value}, {row.technique.value}, {row.grade.value}"
