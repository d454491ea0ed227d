"""Which validation table is the newest is found without reading the ledger: every plan and dispatch asks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

IS_A_TABLE = sa.text("kind = 'validation-table-taken'")


def upgrade() -> None:
    op.create_index(
        "ix_ledger_event_validation_table",
        "ledger_event",
        ["seq"],
        sqlite_where=IS_A_TABLE,
        postgresql_where=IS_A_TABLE,
    )


def downgrade() -> None:
    raise NotImplementedError("a store never goes back: restore a backup and reconcile")
