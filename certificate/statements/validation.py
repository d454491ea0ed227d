"""Validation table: which result of which technique on which media is accepted, for which class of data.

Signed by the root key, logged by digest, named in every plan and outcome. Whatever no row names is
*escalated*: a person decides. Source: NIST SP 800-88r2, 4.5.2 (validation) and 4.2 (the organisation's choice
of a floor).
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from certificate.statements.statement import Count, Model, Predicate, Word
from certificate.statements.vocabulary import (
    Escrow,
    Grade,
    MediaKind,
    Method,
    OverwritePattern,
    ReadBackMode,
    Technique,
    ValidationDecision,
)


class ValidationRow(Model):
    data_class: Word
    media: MediaKind
    technique: Technique
    grade: Grade
    decision: ValidationDecision


class DataClassRule(Model):
    """What a class of data asks before anything is known of the result."""

    data_class: Word
    floor: Literal[Method.CLEAR, Method.PURGE]
    approvals_required: Annotated[int, Field(ge=0, le=2)]
    #: Where a medium is overwritten: with what, and how much is read back (SP 800-88r2, 4.5.1: the
    #: organisation's choice; a full read-back is not required).
    overwrite: OverwritePattern
    read_back: ReadBackMode
    #: Whether copies of media keys, or backups of LUKS headers, are kept outside the drive, as the provider
    #: says over its signature; nothing else can say it (SP 800-88r2, 3.2.2).
    escrow: Escrow


class ValidationTable(Predicate):
    statement_name: ClassVar[str] = "validation"

    version: Count
    rules: Annotated[tuple[DataClassRule, ...], Field(min_length=1)]
    rows: tuple[ValidationRow, ...]
    otherwise: Literal[ValidationDecision.ESCALATE]

    @model_validator(mode="after")
    def _decides_once(self) -> Self:
        keys = [(row.data_class, row.media, row.technique, row.grade) for row in self.rows]
        classes = [rule.data_class for rule in self.rules]
        if len(set(keys)) != len(keys) or len(set(classes)) != len(classes):
            raise ValueError("a table decides each case once")
        return self

    def rule(self, data_class: str) -> DataClassRule | None:
        """The rule of this class of data; None where the table has none (nothing may be wiped then)."""
        return next((rule for rule in self.rules if rule.data_class == data_class), None)

    def decide(
        self, *, data_class: str, media: MediaKind, technique: Technique, grade: Grade
    ) -> ValidationDecision:
        """The row's decision, or `escalate`."""
        row = self.row(data_class=data_class, media=media, technique=technique, grade=grade)
        return self.otherwise if row is None else row.decision

    def row(
        self, *, data_class: str, media: MediaKind, technique: Technique, grade: Grade
    ) -> ValidationRow | None:
        """The row that names this case; None where none does."""
        case = (data_class, media, technique, grade)
        found = (row for row in self.rows if (row.data_class, row.media, row.technique, row.grade) == case)
        return next(found, None)
