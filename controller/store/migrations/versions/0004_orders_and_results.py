"""Orders, the agent's journal, evidence, verdicts, outcomes and summaries."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

DIGEST = sa.String(length=64)
AT = sa.DateTime(timezone=True)
#: Tables the database itself refuses to change.
APPEND_ONLY = (
    "journal_line",
    "acknowledgement",
    "dispatch_place",
)
ERASE_ORDER_STATES = (
    "intended",
    "dispatched",
    "withdrawn",
    "answered",
)
ERASE_ORDER_ANSWER_WORDS = (
    "done",
    "absent",
)
VERDICT_RESULT_WORDS = (
    "not_erased",
    "inconclusive",
    "erased",
)
VERDICT_DECISION_WORDS = (
    "accept",
    "reject",
    "escalate",
)


def words(values: tuple[str, ...], name: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=40)


def upgrade() -> None:
    _create_erase_order()
    _create_dispatch_place()
    _create_withdrawal()
    _create_absence()
    _create_journal_line()
    _create_acknowledgement()
    _create_evidence()
    _create_verdict()
    _create_outcome()
    _create_summary()
    _refuse_changes()


def downgrade() -> None:
    raise NotImplementedError("a store never goes back: restore a backup and reconcile")


def _create_erase_order() -> None:
    op.create_table(
        "erase_order",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("deprovision", sa.String(length=36), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("token", sa.String(length=32), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("plan_digest", DIGEST, nullable=False),
        sa.Column("boot_id", DIGEST, nullable=False),
        sa.Column("hello_nonce", DIGEST, nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("payload_digest", DIGEST, nullable=False),
        sa.Column("log_seq", sa.BigInteger(), nullable=False),
        sa.Column("state", words(ERASE_ORDER_STATES, "state"), nullable=False),
        sa.Column("intended_at", AT, nullable=False),
        sa.Column("expires_at", AT, nullable=False),
        sa.Column("dispatched_at", AT, nullable=True),
        sa.Column("withdrawn_at", AT, nullable=True),
        sa.Column("answered_at", AT, nullable=True),
        sa.Column("answer", words(ERASE_ORDER_ANSWER_WORDS, "answer"), nullable=True),
        sa.ForeignKeyConstraint(
            ["deprovision"], ["deprovision.id"], name=op.f("fk_erase_order_deprovision_deprovision")
        ),
        sa.ForeignKeyConstraint(
            ["log_seq"], ["log_entry.seq"], name=op.f("fk_erase_order_log_seq_log_entry")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erase_order")),
        sa.UniqueConstraint("fence", name=op.f("uq_erase_order_fence")),
        sa.UniqueConstraint("log_seq", name=op.f("uq_erase_order_log_seq")),
        sa.UniqueConstraint("payload_digest", name=op.f("uq_erase_order_payload_digest")),
        sa.UniqueConstraint("token", name=op.f("uq_erase_order_token")),
    )
    op.create_index(
        "uq_erase_order_attempt",
        "erase_order",
        ["deprovision", "attempt"],
        unique=True,
        sqlite_where=sa.text("state != 'withdrawn'"),
        postgresql_where=sa.text("state != 'withdrawn'"),
    )


def _create_dispatch_place() -> None:
    op.create_table(
        "dispatch_place",
        sa.Column("erase_order", sa.String(length=36), nullable=False),
        sa.Column("site", sa.String(length=120), nullable=False),
        sa.Column("rack", sa.String(length=120), nullable=False),
        sa.Column("customer_ref", DIGEST, nullable=True),
        sa.ForeignKeyConstraint(
            ["erase_order"], ["erase_order.id"], name=op.f("fk_dispatch_place_erase_order_erase_order")
        ),
        sa.PrimaryKeyConstraint("erase_order", name=op.f("pk_dispatch_place")),
    )


def _create_withdrawal() -> None:
    op.create_table(
        "withdrawal",
        sa.Column("erase_order", sa.String(length=36), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("payload_digest", DIGEST, nullable=False),
        sa.Column("log_seq", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=60), nullable=False),
        sa.ForeignKeyConstraint(
            ["erase_order"], ["erase_order.id"], name=op.f("fk_withdrawal_erase_order_erase_order")
        ),
        sa.ForeignKeyConstraint(["log_seq"], ["log_entry.seq"], name=op.f("fk_withdrawal_log_seq_log_entry")),
        sa.PrimaryKeyConstraint("erase_order", name=op.f("pk_withdrawal")),
        sa.UniqueConstraint("log_seq", name=op.f("uq_withdrawal_log_seq")),
    )


def _create_absence() -> None:
    op.create_table(
        "absence",
        sa.Column("erase_order", sa.String(length=36), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("payload_digest", DIGEST, nullable=False),
        sa.Column("received_at", AT, nullable=False),
        sa.ForeignKeyConstraint(
            ["erase_order"], ["erase_order.id"], name=op.f("fk_absence_erase_order_erase_order")
        ),
        sa.PrimaryKeyConstraint("erase_order", name=op.f("pk_absence")),
    )


def _create_journal_line() -> None:
    op.create_table(
        "journal_line",
        sa.Column("erase_order", sa.String(length=36), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("step", sa.String(length=200), nullable=False),
        sa.Column("needs_ack", sa.Boolean(create_constraint=True, name="needs_ack"), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.LargeBinary(), nullable=False),
        sa.Column("line_digest", DIGEST, nullable=False),
        sa.Column("received_at", AT, nullable=False),
        sa.ForeignKeyConstraint(
            ["erase_order"], ["erase_order.id"], name=op.f("fk_journal_line_erase_order_erase_order")
        ),
        sa.PrimaryKeyConstraint("erase_order", "seq", name=op.f("pk_journal_line")),
    )


def _create_acknowledgement() -> None:
    op.create_table(
        "acknowledgement",
        sa.Column("erase_order", sa.String(length=36), nullable=False),
        sa.Column("step", sa.String(length=200), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("requested_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("granted_at", AT, nullable=False),
        sa.ForeignKeyConstraint(
            ["erase_order"], ["erase_order.id"], name=op.f("fk_acknowledgement_erase_order_erase_order")
        ),
        sa.PrimaryKeyConstraint("erase_order", "step", name=op.f("pk_acknowledgement")),
        sa.UniqueConstraint("erase_order", "seq", name=op.f("uq_acknowledgement_erase_order_seq")),
    )


def _create_evidence() -> None:
    op.create_table(
        "evidence",
        sa.Column("erase_order", sa.String(length=36), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("payload_digest", DIGEST, nullable=False),
        sa.Column("annex", sa.LargeBinary(), nullable=False),
        sa.Column("annex_digest", DIGEST, nullable=False),
        sa.Column("received_at", AT, nullable=False),
        sa.ForeignKeyConstraint(
            ["erase_order"], ["erase_order.id"], name=op.f("fk_evidence_erase_order_erase_order")
        ),
        sa.PrimaryKeyConstraint("erase_order", name=op.f("pk_evidence")),
    )


def _create_verdict() -> None:
    op.create_table(
        "verdict",
        sa.Column("erase_order", sa.String(length=36), nullable=False),
        sa.Column("medium", DIGEST, nullable=False),
        sa.Column("result", words(VERDICT_RESULT_WORDS, "result"), nullable=False),
        sa.Column("decision", words(VERDICT_DECISION_WORDS, "decision"), nullable=False),
        sa.Column("claim", sa.Text(), nullable=False),
        sa.Column("computed_at", AT, nullable=False),
        sa.ForeignKeyConstraint(
            ["erase_order"], ["evidence.erase_order"], name=op.f("fk_verdict_erase_order_evidence")
        ),
        sa.PrimaryKeyConstraint("erase_order", "medium", name=op.f("pk_verdict")),
    )


def _create_outcome() -> None:
    op.create_table(
        "outcome",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("deprovision", sa.String(length=36), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("medium", DIGEST, nullable=False),
        sa.Column("issuer_seq", sa.BigInteger(), nullable=False),
        sa.Column("result", words(VERDICT_RESULT_WORDS, "result"), nullable=False),
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


def _create_summary() -> None:
    op.create_table(
        "summary",
        sa.Column("deprovision", sa.String(length=36), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("payload_digest", DIGEST, nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=True),
        sa.Column("log_seq", sa.BigInteger(), nullable=True),
        sa.Column("drafted_at", AT, nullable=False),
        sa.Column("issued_at", AT, nullable=True),
        sa.Column("verified_under", DIGEST, nullable=True),
        sa.Column("verified_at", AT, nullable=True),
        sa.ForeignKeyConstraint(
            ["deprovision"], ["deprovision.id"], name=op.f("fk_summary_deprovision_deprovision")
        ),
        sa.ForeignKeyConstraint(["log_seq"], ["log_entry.seq"], name=op.f("fk_summary_log_seq_log_entry")),
        sa.PrimaryKeyConstraint("deprovision", name=op.f("pk_summary")),
        sa.UniqueConstraint("log_seq", name=op.f("uq_summary_log_seq")),
        sa.UniqueConstraint("payload_digest", name=op.f("uq_summary_payload_digest")),
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
