"""Drives are found by serial: one that two hosts have on record is wiped in neither."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(op.f("ix_drive_serial"), "drive", ["serial"], unique=False)


def downgrade() -> None:
    raise NotImplementedError("a store never goes back: restore a backup and reconcile")
