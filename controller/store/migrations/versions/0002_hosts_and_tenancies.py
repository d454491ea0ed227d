"""Hosts, what identifies them, to whom they are let, and what the world says of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

DIGEST = sa.String(length=64)
AT = sa.DateTime(timezone=True)
HOST_DISPOSITION_WORDS = (
    "rented",
    "stock",
    "internal",
    "unknown",
)
HOST_FACT_KIND_WORDS = (
    "bmc_mac",
    "nic_macs",
    "chassis_serial",
    "board_serial",
    "dmi_uuid",
    "tpm_ek",
    "switch_port",
    "mac_serial",
    "provisioning_udid",
    "ecid",
)
DRIVE_BASIS_WORDS = (
    "declared",
    "intake",
    "observed_during_tenancy",
)
HINT_EVENT_WORDS = (
    "ended",
    "renewed",
)
OBSERVATION_QUESTION_WORDS = (
    "subscription",
    "tenancies",
    "clock",
    "census",
    "isolation",
    "order_hello",
    "agent_status",
    "final_absence",
)
STOP_KIND_WORDS = (
    "hold",
    "freeze",
    "breaker",
)
STOP_SCOPE_WORDS = (
    "host",
    "site",
    "rack",
    "customer",
    "everything",
)


def words(values: tuple[str, ...], name: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=40)


def upgrade() -> None:
    _create_host()
    _create_host_fact()
    _create_drive()
    _create_tenancy()
    _create_allocation()
    _create_hint()
    _create_observation()
    _create_stop()


def downgrade() -> None:
    raise NotImplementedError("a store never goes back: restore a backup and reconcile")


def _create_host() -> None:
    op.create_table(
        "host",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("asset_tag", sa.String(length=120), nullable=False),
        sa.Column("site", sa.String(length=120), nullable=False),
        sa.Column("rack", sa.String(length=120), nullable=False),
        sa.Column("data_class", sa.String(length=120), nullable=False),
        sa.Column("disposition", words(HOST_DISPOSITION_WORDS, "disposition"), nullable=False),
        sa.Column("customer_ref", DIGEST, nullable=True),
        sa.Column("salt", sa.LargeBinary(length=32), nullable=False),
        sa.Column("address", sa.String(length=255), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("boot_parameters", sa.Text(), nullable=False),
        sa.Column("quarantine_parameters", sa.Text(), nullable=False),
        sa.Column("registered_at", AT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_host")),
        sa.UniqueConstraint("asset_tag", name=op.f("uq_host_asset_tag")),
    )


def _create_host_fact() -> None:
    op.create_table(
        "host_fact",
        sa.Column("host", sa.String(length=36), nullable=False),
        sa.Column("kind", words(HOST_FACT_KIND_WORDS, "kind"), nullable=False),
        sa.Column("value", sa.String(length=2000), nullable=False),
        sa.ForeignKeyConstraint(["host"], ["host.id"], name=op.f("fk_host_fact_host_host")),
        sa.PrimaryKeyConstraint("host", "kind", name=op.f("pk_host_fact")),
    )
    op.create_index(op.f("ix_host_fact_value"), "host_fact", ["value"], unique=False)


def _create_drive() -> None:
    op.create_table(
        "drive",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("host", sa.String(length=36), nullable=False),
        sa.Column("serial", sa.String(length=200), nullable=False),
        sa.Column("salt", sa.LargeBinary(length=32), nullable=False),
        sa.Column("commitment", DIGEST, nullable=False),
        sa.Column("basis", words(DRIVE_BASIS_WORDS, "basis"), nullable=False),
        sa.Column("model", sa.String(length=120), nullable=True),
        sa.Column("capacity_bytes", sa.BigInteger(), nullable=True),
        sa.Column("recorded_at", AT, nullable=False),
        sa.Column("left_at", AT, nullable=True),
        sa.ForeignKeyConstraint(["host"], ["host.id"], name=op.f("fk_drive_host_host")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_drive")),
        sa.UniqueConstraint("commitment", name=op.f("uq_drive_commitment")),
    )
    op.create_index(
        "uq_drive_in_host",
        "drive",
        ["host", "serial"],
        unique=True,
        sqlite_where=sa.text("left_at IS NULL"),
        postgresql_where=sa.text("left_at IS NULL"),
    )


def _create_tenancy() -> None:
    op.create_table(
        "tenancy",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("host", sa.String(length=36), nullable=False),
        sa.Column("subscription_ref", DIGEST, nullable=False),
        sa.Column("tenancy_ref", DIGEST, nullable=False),
        sa.Column("tenant_ref", DIGEST, nullable=True),
        sa.Column("data_class", sa.String(length=120), nullable=False),
        sa.Column("starts_at", AT, nullable=False),
        sa.Column("ends_at", AT, nullable=True),
        sa.Column("asserted_by", sa.String(length=120), nullable=False),
        sa.Column("recorded_at", AT, nullable=False),
        sa.Column("changed_at", AT, nullable=False),
        sa.ForeignKeyConstraint(["host"], ["host.id"], name=op.f("fk_tenancy_host_host")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenancy")),
        sa.UniqueConstraint(
            "host", "subscription_ref", "starts_at", name=op.f("uq_tenancy_host_subscription_ref_starts_at")
        ),
        sa.UniqueConstraint("tenancy_ref", name=op.f("uq_tenancy_tenancy_ref")),
    )
    op.create_index(op.f("ix_tenancy_host"), "tenancy", ["host"], unique=False)
    op.create_index(op.f("ix_tenancy_subscription_ref"), "tenancy", ["subscription_ref"], unique=False)


def _create_allocation() -> None:
    op.create_table(
        "allocation",
        sa.Column("tenancy", sa.String(length=36), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("payload_digest", DIGEST, nullable=False),
        sa.Column("log_seq", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["log_seq"], ["log_entry.seq"], name=op.f("fk_allocation_log_seq_log_entry")),
        sa.ForeignKeyConstraint(["tenancy"], ["tenancy.id"], name=op.f("fk_allocation_tenancy_tenancy")),
        sa.PrimaryKeyConstraint("tenancy", name=op.f("pk_allocation")),
        sa.UniqueConstraint("log_seq", name=op.f("uq_allocation_log_seq")),
    )


def _create_hint() -> None:
    op.create_table(
        "hint",
        sa.Column(
            "sequence",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("source", sa.String(length=120), nullable=False),
        sa.Column("event_id", sa.String(length=255), nullable=False),
        sa.Column("event", words(HINT_EVENT_WORDS, "event"), nullable=False),
        sa.Column("subscription_ref", DIGEST, nullable=False),
        sa.Column("received_at", AT, nullable=False),
        sa.Column("taken_at", AT, nullable=True),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_hint")),
        sa.UniqueConstraint("source", "event_id", name=op.f("uq_hint_source_event_id")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_hint_subscription_ref", "hint", ["subscription_ref", "received_at"], unique=False)


def _create_observation() -> None:
    op.create_table(
        "observation",
        sa.Column(
            "sequence",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("question", words(OBSERVATION_QUESTION_WORDS, "question"), nullable=False),
        sa.Column("about", sa.String(length=120), nullable=False),
        sa.Column("asked_at", AT, nullable=False),
        sa.Column("answered_at", AT, nullable=True),
        sa.Column("answer", sa.String(length=40), nullable=True),
        sa.Column("raw_digest", DIGEST, nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_observation")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_observation_question_about", "observation", ["question", "about", "sequence"], unique=False
    )


def _create_stop() -> None:
    op.create_table(
        "stop",
        sa.Column(
            "number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("kind", words(STOP_KIND_WORDS, "kind"), nullable=False),
        sa.Column("scope", words(STOP_SCOPE_WORDS, "scope"), nullable=False),
        sa.Column("host", sa.String(length=36), nullable=True),
        sa.Column("place", sa.String(length=120), nullable=True),
        sa.Column("customer_ref", DIGEST, nullable=True),
        sa.Column("author", sa.String(length=60), nullable=False),
        sa.Column("matter", sa.Text(), nullable=False),
        sa.Column("set_at", AT, nullable=False),
        sa.Column("review_at", AT, nullable=False),
        sa.Column("lifted_at", AT, nullable=True),
        sa.Column("lifted_by", DIGEST, nullable=True),
        sa.ForeignKeyConstraint(["host"], ["host.id"], name=op.f("fk_stop_host_host")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_stop")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_stop_host"), "stop", ["host"], unique=False)
