"""Media that were destroyed: an outcome need not be of an attempt, nor of a deprovision."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

DIGEST = sa.String(length=64)
ID = sa.String(length=36)
AT = sa.DateTime(timezone=True)
#: Tables the database itself refuses to change.
APPEND_ONLY = ("media_destruction",)
METHOD_WORDS = ("disintegrate", "incinerate", "melt", "pulverize", "shred")
RESULT_WORDS = ("not_erased", "inconclusive", "erased")


def words(values: tuple[str, ...], name: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=40)


def upgrade() -> None:
    _free_outcomes_of_attempts()
    _create_media_destruction()
    _refuse_changes()


def downgrade() -> None:
    raise NotImplementedError("a store never goes back: restore a backup and reconcile")


def _free_outcomes_of_attempts() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("outcome", "deprovision", existing_type=ID, nullable=True)
        op.alter_column("outcome", "attempt", existing_type=sa.Integer(), nullable=True)
        return
    # SQLite cannot change a column: the table is made again as 0004 made it, and its rows copied.
    with op.batch_alter_table("outcome", copy_from=_outcome(), recreate="always") as batch:
        batch.alter_column("deprovision", existing_type=ID, nullable=True)
        batch.alter_column("attempt", existing_type=sa.Integer(), nullable=True)


def _outcome() -> sa.Table:
    return sa.Table(
        "outcome",
        sa.MetaData(),
        sa.Column("id", ID, nullable=False),
        sa.Column("deprovision", ID, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("medium", DIGEST, nullable=False),
        sa.Column("issuer_seq", sa.BigInteger(), nullable=False),
        sa.Column("result", words(RESULT_WORDS, op.f("ck_outcome_result")), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("payload_digest", DIGEST, nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=True),
        sa.Column("log_seq", sa.BigInteger(), nullable=True),
        sa.Column("drafted_at", AT, nullable=False),
        sa.Column("issued_at", AT, nullable=True),
        sa.ForeignKeyConstraint(
            ["deprovision"], ["deprovision.id"], name=op.f("fk_outcome_deprovision_deprovision")
        ),
        sa.ForeignKeyConstraint(["log_seq"], ["log_entry.seq"], name=op.f("fk_outcome_log_seq_log_entry")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outcome")),
        sa.UniqueConstraint(
            "deprovision", "attempt", "medium", name=op.f("uq_outcome_deprovision_attempt_medium")
        ),
        sa.UniqueConstraint("issuer_seq", name=op.f("uq_outcome_issuer_seq")),
        sa.UniqueConstraint("log_seq", name=op.f("uq_outcome_log_seq")),
        sa.UniqueConstraint("payload_digest", name=op.f("uq_outcome_payload_digest")),
    )


def _create_media_destruction() -> None:
    op.create_table(
        "media_destruction",
        sa.Column("drive", ID, nullable=False),
        sa.Column("outcome", ID, nullable=False),
        sa.Column("decisions", sa.Text(), nullable=False),
        sa.Column("method", words(METHOD_WORDS, "method"), nullable=False),
        sa.Column("destroyed_on", sa.String(length=10), nullable=False),
        sa.Column("document_digest", DIGEST, nullable=False),
        sa.Column("recorded_at", AT, nullable=False),
        sa.ForeignKeyConstraint(["drive"], ["drive.id"], name=op.f("fk_media_destruction_drive_drive")),
        sa.ForeignKeyConstraint(
            ["outcome"], ["outcome.id"], name=op.f("fk_media_destruction_outcome_outcome")
        ),
        sa.PrimaryKeyConstraint("drive", name=op.f("pk_media_destruction")),
        sa.UniqueConstraint("outcome", name=op.f("uq_media_destruction_outcome")),
    )


def _refuse_changes() -> None:
    # Spelled out, not imported: what a migration did must be readable when the package has changed.
    postgresql = op.get_bind().dialect.name == "postgresql"
    for table in APPEND_ONLY:
        if postgresql:
            op.execute(
                f"CREATE TRIGGER {table}_refuse_change BEFORE UPDATE OR DELETE ON {table} "
                "FOR EACH ROW EXECUTE FUNCTION expunge_refuse_change()"
            )
            op.execute(
                f"CREATE TRIGGER {table}_refuse_truncate BEFORE TRUNCATE ON {table} "
                "FOR EACH STATEMENT EXECUTE FUNCTION expunge_refuse_change()"
            )
            continue
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_refuse_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
