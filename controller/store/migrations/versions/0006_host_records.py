"""Where what is known of a host comes from, and the register of drives that left."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

DIGEST = sa.String(length=64)
ID = sa.String(length=36)
AT = sa.DateTime(timezone=True)
#: Tables the database itself refuses to change.
APPEND_ONLY = ("media_departure",)
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
SEEN_WORDS = (
    "asserted",
    "seen_by_bmc",
    "seen_in_trusted_boot",
)


def words(values: tuple[str, ...], name: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=40)


def upgrade() -> None:
    _create_host_fact_sighting()
    _create_drive_sighting()
    _create_host_field_provenance()
    _create_media_departure()
    _refuse_changes()


def downgrade() -> None:
    raise NotImplementedError("a store never goes back: restore a backup and reconcile")


def _create_host_fact_sighting() -> None:
    op.create_table(
        "host_fact_sighting",
        sa.Column("host", ID, nullable=False),
        sa.Column("kind", words(HOST_FACT_KIND_WORDS, "kind"), nullable=False),
        sa.Column("value", sa.String(length=2000), nullable=False),
        sa.Column("provenance", words(SEEN_WORDS, "provenance"), nullable=False),
        sa.Column("first_seen_at", AT, nullable=False),
        sa.Column("last_seen_at", AT, nullable=False),
        sa.ForeignKeyConstraint(["host"], ["host.id"], name=op.f("fk_host_fact_sighting_host_host")),
        sa.PrimaryKeyConstraint("host", "kind", "value", "provenance", name=op.f("pk_host_fact_sighting")),
    )


def _create_drive_sighting() -> None:
    op.create_table(
        "drive_sighting",
        sa.Column("host", ID, nullable=False),
        sa.Column("serial", sa.String(length=200), nullable=False),
        sa.Column("provenance", words(SEEN_WORDS, "provenance"), nullable=False),
        sa.Column("first_seen_at", AT, nullable=False),
        sa.Column("last_seen_at", AT, nullable=False),
        sa.ForeignKeyConstraint(["host"], ["host.id"], name=op.f("fk_drive_sighting_host_host")),
        sa.PrimaryKeyConstraint("host", "serial", "provenance", name=op.f("pk_drive_sighting")),
    )


def _create_host_field_provenance() -> None:
    op.create_table(
        "host_field_provenance",
        sa.Column("host", ID, nullable=False),
        sa.Column("field", sa.String(length=60), nullable=False),
        sa.Column("provenance", words(SEEN_WORDS, "provenance"), nullable=False),
        sa.Column("source_digest", DIGEST, nullable=False),
        sa.Column("at", AT, nullable=False),
        sa.ForeignKeyConstraint(["host"], ["host.id"], name=op.f("fk_host_field_provenance_host_host")),
        sa.PrimaryKeyConstraint("host", "field", name=op.f("pk_host_field_provenance")),
    )


def _create_media_departure() -> None:
    op.create_table(
        "media_departure",
        sa.Column("drive", ID, nullable=False),
        sa.Column("host", ID, nullable=False),
        sa.Column("left_at", AT, nullable=False),
        sa.Column("tenancies", sa.Text(), nullable=False),
        sa.Column("decisions", sa.Text(), nullable=False),
        sa.Column("replaced_by", ID, nullable=True),
        sa.ForeignKeyConstraint(["drive"], ["drive.id"], name=op.f("fk_media_departure_drive_drive")),
        sa.ForeignKeyConstraint(["host"], ["host.id"], name=op.f("fk_media_departure_host_host")),
        sa.ForeignKeyConstraint(
            ["replaced_by"], ["drive.id"], name=op.f("fk_media_departure_replaced_by_drive")
        ),
        sa.PrimaryKeyConstraint("drive", name=op.f("pk_media_departure")),
    )
    op.create_index(op.f("ix_media_departure_host"), "media_departure", ["host"], unique=False)


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
