"""A host leaves a tenancy: state, boots, plans and effects."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

DIGEST = sa.String(length=64)
AT = sa.DateTime(timezone=True)
DEPROVISION_TRIGGER_WORDS = (
    "ended",
    "manual",
)
DEPROVISION_STATES = (
    "scheduled",
    "quarantined",
    "staged",
    "planned",
    "approved",
    "intended",
    "erasing",
    "verified",
    "validated",
    "certified",
    "released",
    "cancelled",
    "destroyed",
    "closed",
    "needs_operator",
)
BOOT_BOOT_TRUST_WORDS = (
    "tenant_os",
    "network",
    "installed",
    "virtual_media",
)
EFFECT_BEGUN_EFFECT_WORDS = (
    "isolate",
    "boot",
    "inspect",
    "make_plan",
    "withdraw_order",
    "dispatch",
    "collect",
    "judge",
    "certify",
    "restore",
)


def words(values: tuple[str, ...], name: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=40)


def upgrade() -> None:
    _create_deprovision()
    _create_boot()
    _create_inventory()
    _create_plan()
    _create_approval()
    _create_effect_begun()


def downgrade() -> None:
    raise NotImplementedError("a store never goes back: restore a backup and reconcile")


def _create_deprovision() -> None:
    op.create_table(
        "deprovision",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("host", sa.String(length=36), nullable=False),
        sa.Column("tenancy", sa.String(length=36), nullable=True),
        sa.Column("trigger", words(DEPROVISION_TRIGGER_WORDS, "trigger"), nullable=False),
        sa.Column("data_class", sa.String(length=120), nullable=False),
        sa.Column("policy_version", sa.Integer(), nullable=False),
        sa.Column("policy_digest", DIGEST, nullable=False),
        sa.Column("state", words(DEPROVISION_STATES, "state"), nullable=False),
        sa.Column("previous_state", words(DEPROVISION_STATES, "previous_state"), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("lease_owner", sa.String(length=120), nullable=True),
        sa.Column("lease_until", AT, nullable=True),
        sa.Column("created_at", AT, nullable=False),
        sa.Column("entered_at", AT, nullable=False),
        sa.Column("grace_until", AT, nullable=False),
        sa.Column("dwell_seconds", sa.Integer(), nullable=False),
        sa.Column("next_due_at", AT, nullable=True),
        sa.Column("deadline_at", AT, nullable=True),
        sa.Column("wait_reason", sa.Text(), nullable=True),
        sa.Column("operator_code", sa.String(length=60), nullable=True),
        sa.Column("operator_reason", sa.Text(), nullable=True),
        sa.CheckConstraint("attempt >= 1", name=op.f("ck_deprovision_attempt_from_one")),
        sa.ForeignKeyConstraint(["host"], ["host.id"], name=op.f("fk_deprovision_host_host")),
        sa.ForeignKeyConstraint(["tenancy"], ["tenancy.id"], name=op.f("fk_deprovision_tenancy_tenancy")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deprovision")),
    )
    op.create_index("ix_deprovision_next_due_at", "deprovision", ["next_due_at"], unique=False)
    op.create_index(
        "uq_deprovision_live_host",
        "deprovision",
        ["host"],
        unique=True,
        sqlite_where=sa.text("(state NOT IN ('released', 'cancelled', 'destroyed', 'closed'))"),
        postgresql_where=sa.text("(state NOT IN ('released', 'cancelled', 'destroyed', 'closed'))"),
    )


def _create_boot() -> None:
    op.create_table(
        "boot",
        sa.Column("deprovision", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("config_envelope", sa.LargeBinary(), nullable=False),
        sa.Column("config_digest", DIGEST, nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=True),
        sa.Column("boot_trust", words(BOOT_BOOT_TRUST_WORDS, "boot_trust"), nullable=False),
        sa.Column("prepared_at", AT, nullable=False),
        sa.Column("boot_id", DIGEST, nullable=True),
        sa.Column("evidence_key", DIGEST, nullable=True),
        sa.Column("host_key_blob", sa.String(length=2000), nullable=True),
        sa.Column("proven_at", AT, nullable=True),
        sa.ForeignKeyConstraint(
            ["deprovision"], ["deprovision.id"], name=op.f("fk_boot_deprovision_deprovision")
        ),
        sa.PrimaryKeyConstraint("deprovision", "number", name=op.f("pk_boot")),
        sa.UniqueConstraint("boot_id", name=op.f("uq_boot_boot_id")),
    )


def _create_inventory() -> None:
    op.create_table(
        "inventory",
        sa.Column(
            "number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("deprovision", sa.String(length=36), nullable=False),
        sa.Column("boot_id", DIGEST, nullable=False),
        sa.Column("line", sa.LargeBinary(), nullable=False),
        sa.Column("line_digest", DIGEST, nullable=False),
        sa.Column("taken_at", AT, nullable=False),
        sa.ForeignKeyConstraint(
            ["deprovision"], ["deprovision.id"], name=op.f("fk_inventory_deprovision_deprovision")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_inventory")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_inventory_deprovision"), "inventory", ["deprovision"], unique=False)


def _create_plan() -> None:
    op.create_table(
        "plan",
        sa.Column(
            "number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("deprovision", sa.String(length=36), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("boot_id", DIGEST, nullable=False),
        sa.Column("text", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", AT, nullable=False),
        sa.ForeignKeyConstraint(
            ["deprovision"], ["deprovision.id"], name=op.f("fk_plan_deprovision_deprovision")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_plan")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_plan_deprovision_attempt", "plan", ["deprovision", "attempt"], unique=False)


def _create_approval() -> None:
    op.create_table(
        "approval",
        sa.Column("payload_digest", DIGEST, nullable=False),
        sa.Column("deprovision", sa.String(length=36), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("plan_digest", DIGEST, nullable=False),
        sa.Column("keyid", sa.String(length=60), nullable=False),
        sa.Column("is_request", sa.Boolean(create_constraint=True, name="is_request"), nullable=False),
        sa.Column("request_digest", DIGEST, nullable=True),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", AT, nullable=False),
        sa.Column("received_at", AT, nullable=False),
        sa.PrimaryKeyConstraint("payload_digest", name=op.f("pk_approval")),
    )
    op.create_index(op.f("ix_approval_deprovision"), "approval", ["deprovision"], unique=False)


def _create_effect_begun() -> None:
    op.create_table(
        "effect_begun",
        sa.Column(
            "number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("deprovision", sa.String(length=36), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("effect", words(EFFECT_BEGUN_EFFECT_WORDS, "effect"), nullable=False),
        sa.Column("begun_at", AT, nullable=False),
        sa.ForeignKeyConstraint(
            ["deprovision"], ["deprovision.id"], name=op.f("fk_effect_begun_deprovision_deprovision")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_effect_begun")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_effect_begun_deprovision", "effect_begun", ["deprovision", "effect"], unique=False)
