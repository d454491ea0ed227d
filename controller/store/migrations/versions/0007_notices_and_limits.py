"""What customers are told of an ending, and for what a person is called."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

DIGEST = sa.String(length=64)
CODE = sa.String(length=60)
AT = sa.DateTime(timezone=True)
NOTICE_KIND_WORDS = (
    "ending_announced",
    "wipe_imminent",
    "returned_too_late",
)
NOTICE_SETTLED_WORDS = (
    "delivered",
    "waived",
    "nobody",
)
ALARM_KIND_WORDS = (
    "store_frozen",
    "clock_untrusted",
    "source_silent",
    "breaker_tripped",
    "freeze_stands",
    "customer_returned_too_late",
    "needs_operator",
    "hold_endangers_deadline",
    "hold_past_review",
    "deadline_near",
    "approval_awaited",
    "limit_reached",
    "waiting_long",
    "notice_undelivered",
    "command_failing",
)


def words(values: tuple[str, ...], name: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=40)


def counted(name: str) -> sa.Column[int]:
    kind = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column(name, kind, autoincrement=True, nullable=False)


def upgrade() -> None:
    _create_notice()
    _create_alarm()


def downgrade() -> None:
    raise NotImplementedError("a store never goes back: restore a backup and reconcile")


def _create_notice() -> None:
    op.create_table(
        "notice",
        counted("number"),
        sa.Column("deprovision", sa.String(length=36), nullable=False),
        sa.Column("kind", words(NOTICE_KIND_WORDS, "kind"), nullable=False),
        sa.Column("due_at", AT, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_try_at", AT, nullable=False),
        sa.Column("last_code", CODE, nullable=True),
        sa.Column("settled", words(NOTICE_SETTLED_WORDS, "settled"), nullable=True),
        sa.Column("settled_at", AT, nullable=True),
        sa.Column("record_digest", DIGEST, nullable=True),
        sa.Column("waived_by", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["deprovision"], ["deprovision.id"], name=op.f("fk_notice_deprovision_deprovision")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_notice")),
        sa.UniqueConstraint("deprovision", "kind", name=op.f("uq_notice_deprovision_kind")),
        sqlite_autoincrement=True,
    )


def _create_alarm() -> None:
    op.create_table(
        "alarm",
        counted("number"),
        sa.Column("kind", words(ALARM_KIND_WORDS, "kind"), nullable=False),
        sa.Column("about", sa.String(length=120), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("remedy", CODE, nullable=False),
        sa.Column("since", AT, nullable=False),
        sa.Column("raised_at", AT, nullable=False),
        sa.Column("over_at", AT, nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_try_at", AT, nullable=False),
        sa.Column("last_code", CODE, nullable=True),
        sa.Column("called_at", AT, nullable=True),
        sa.Column("record_digest", DIGEST, nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_alarm")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_alarm_standing",
        "alarm",
        ["kind", "about"],
        unique=True,
        sqlite_where=sa.text("over_at IS NULL"),
        postgresql_where=sa.text("over_at IS NULL"),
    )
