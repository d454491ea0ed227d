"""The store knows itself, remembers in a ledger and publishes in a log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

DIGEST = sa.String(length=64)
AT = sa.DateTime(timezone=True)
#: Tables the database itself refuses to change.
APPEND_ONLY = (
    "ledger_event",
    "log_entry",
    "log_checkpoint",
)
LOG_ENTRY_KIND_WORDS = (
    "genesis",
    "trust-root",
    "allocation",
    "order",
    "withdrawal",
    "outcome",
    "summary",
    "enrol-agent",
    "revoke-key",
)


def words(values: tuple[str, ...], name: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=40)


def upgrade() -> None:
    _create_store_identity()
    _create_ledger_event()
    _create_log_entry()
    _create_log_checkpoint()
    _create_private_subject()
    _create_private_text()
    _refuse_changes()


def downgrade() -> None:
    raise NotImplementedError("a store never goes back: restore a backup and reconcile")


def _create_store_identity() -> None:
    op.create_table(
        "store_identity",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("store_id", DIGEST, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("counter", sa.BigInteger(), nullable=False),
        sa.Column("machine_id", DIGEST, nullable=False),
        sa.Column("created_at", AT, nullable=False),
        sa.CheckConstraint("number = 1", name=op.f("ck_store_identity_only_row")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_store_identity")),
    )


def _create_ledger_event() -> None:
    op.create_table(
        "ledger_event",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.String(length=27), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("deprovision", sa.String(length=36), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("previous", DIGEST, nullable=False),
        sa.Column("digest", DIGEST, nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_ledger_event")),
        sa.UniqueConstraint("digest", name=op.f("uq_ledger_event_digest")),
    )
    op.create_index("ix_ledger_event_deprovision", "ledger_event", ["deprovision", "seq"], unique=False)


def _create_log_entry() -> None:
    op.create_table(
        "log_entry",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", words(LOG_ENTRY_KIND_WORDS, "kind"), nullable=False),
        sa.Column("entry", sa.LargeBinary(), nullable=False),
        sa.Column("leaf_hash", DIGEST, nullable=False),
        sa.Column("payload_digest", DIGEST, nullable=False),
        sa.Column("ledger_seq", sa.BigInteger(), nullable=False),
        sa.Column("logged_at", AT, nullable=False),
        sa.ForeignKeyConstraint(
            ["ledger_seq"], ["ledger_event.seq"], name=op.f("fk_log_entry_ledger_seq_ledger_event")
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_log_entry")),
        sa.UniqueConstraint("leaf_hash", name=op.f("uq_log_entry_leaf_hash")),
        sa.UniqueConstraint("ledger_seq", name=op.f("uq_log_entry_ledger_seq")),
    )


def _create_log_checkpoint() -> None:
    op.create_table(
        "log_checkpoint",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("root", DIGEST, nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.Column("stored_at", AT, nullable=False),
        sa.PrimaryKeyConstraint("size", name=op.f("pk_log_checkpoint")),
    )


def _create_private_subject() -> None:
    op.create_table(
        "private_subject",
        sa.Column("subject_ref", DIGEST, nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", AT, nullable=False),
        sa.Column("shredded_at", AT, nullable=True),
        sa.PrimaryKeyConstraint("subject_ref", name=op.f("pk_private_subject")),
    )


def _create_private_text() -> None:
    op.create_table(
        "private_text",
        sa.Column("subject_ref", DIGEST, nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("written_at", AT, nullable=False),
        sa.ForeignKeyConstraint(
            ["subject_ref"],
            ["private_subject.subject_ref"],
            name=op.f("fk_private_text_subject_ref_private_subject"),
        ),
        sa.PrimaryKeyConstraint("subject_ref", "kind", name=op.f("pk_private_text")),
    )


def _refuse_changes() -> None:
    # Spelled out, not imported: what a migration did must be readable when the package has changed.
    postgresql = op.get_bind().dialect.name == "postgresql"
    if postgresql:
        op.execute(
            "CREATE OR REPLACE FUNCTION expunge_refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$"
        )
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
