"""What people decided: signed decisions, revoked keys, declared dispositions, commands, hosts of a hold."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

DIGEST = sa.String(length=64)
KEYID = sa.String(length=60)
AT = sa.DateTime(timezone=True)
DECISION_KIND_WORDS = (
    "enrol",
    "revoke",
    "disposition",
    "validate",
    "hold",
    "release_hold",
    "freeze",
    "thaw",
    "reconcile",
    "remove",
    "destroy",
    "waive_notice",
    "exit",
    "wipe",
    "drives",
    "import",
)
DISPOSITION_WORDS = (
    "rented",
    "stock",
    "internal",
    "unknown",
)
EXIT_WORDS = (
    "reprobe",
    "retry",
    "restore",
    "destroy",
    "close",
)


def words(values: tuple[str, ...], name: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=40)


def counted(name: str) -> sa.Column[int]:
    kind = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column(name, kind, autoincrement=True, nullable=False)


def upgrade() -> None:
    _create_decision()
    _create_revoked_key()
    _create_declaration()
    _create_operator_command()
    _create_hold_host()
    _refuse_changes("revoked_key")
    _refuse_changes("hold_host")


def downgrade() -> None:
    raise NotImplementedError("a store never goes back: restore a backup and reconcile")


def _create_decision() -> None:
    op.create_table(
        "decision",
        sa.Column("payload_digest", DIGEST, nullable=False),
        sa.Column("kind", words(DECISION_KIND_WORDS, "kind"), nullable=False),
        sa.Column("on_digest", DIGEST, nullable=False),
        sa.Column("choice", sa.String(length=120), nullable=False),
        sa.Column("document_digest", DIGEST, nullable=True),
        sa.Column("keyid", KEYID, nullable=False),
        sa.Column("newcomer", sa.String(length=64), nullable=True),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("issued_at", AT, nullable=False),
        sa.Column("effective_at", AT, nullable=False),
        sa.Column("received_at", AT, nullable=False),
        sa.Column("used_at", AT, nullable=True),
        sa.PrimaryKeyConstraint("payload_digest", name=op.f("pk_decision")),
    )
    op.create_index("ix_decision_kind_on_digest", "decision", ["kind", "on_digest"], unique=False)


def _create_revoked_key() -> None:
    op.create_table(
        "revoked_key",
        sa.Column("keyid", KEYID, nullable=False),
        sa.Column("decision", DIGEST, nullable=False),
        sa.Column("log_seq", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", AT, nullable=False),
        sa.ForeignKeyConstraint(
            ["decision"], ["decision.payload_digest"], name=op.f("fk_revoked_key_decision_decision")
        ),
        sa.ForeignKeyConstraint(
            ["log_seq"], ["log_entry.seq"], name=op.f("fk_revoked_key_log_seq_log_entry")
        ),
        sa.PrimaryKeyConstraint("keyid", name=op.f("pk_revoked_key")),
        sa.UniqueConstraint("log_seq", name=op.f("uq_revoked_key_log_seq")),
    )


def _create_declaration() -> None:
    op.create_table(
        "declaration",
        counted("number"),
        sa.Column("host", sa.String(length=36), nullable=False),
        sa.Column("disposition", words(DISPOSITION_WORDS, "disposition"), nullable=False),
        sa.Column("declared_at", AT, nullable=False),
        sa.ForeignKeyConstraint(["host"], ["host.id"], name=op.f("fk_declaration_host_host")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_declaration")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_declaration_host"), "declaration", ["host"], unique=False)
    _create_signers("declaration_signer", "declaration", "declaration")


def _create_operator_command() -> None:
    op.create_table(
        "operator_command",
        counted("number"),
        sa.Column("deprovision", sa.String(length=36), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("exit", words(EXIT_WORDS, "exit"), nullable=False),
        sa.Column("commanded_at", AT, nullable=False),
        sa.ForeignKeyConstraint(
            ["deprovision"], ["deprovision.id"], name=op.f("fk_operator_command_deprovision_deprovision")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_operator_command")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_operator_command_deprovision"), "operator_command", ["deprovision"], unique=False
    )
    _create_signers("operator_command_signer", "command", "operator_command")


def _create_hold_host() -> None:
    op.create_table(
        "hold_host",
        sa.Column("stop", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("host", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(["stop"], ["stop.number"], name=op.f("fk_hold_host_stop_stop")),
        sa.ForeignKeyConstraint(["host"], ["host.id"], name=op.f("fk_hold_host_host_host")),
        sa.PrimaryKeyConstraint("stop", "host", name=op.f("pk_hold_host")),
    )
    op.create_index(op.f("ix_hold_host_host"), "hold_host", ["host"], unique=False)


def _create_signers(name: str, column: str, of: str) -> None:
    """Whose decisions stand behind each row of `of`."""
    op.create_table(
        name,
        sa.Column(column, sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("keyid", KEYID, nullable=False),
        sa.Column("decision", DIGEST, nullable=False),
        sa.ForeignKeyConstraint([column], [f"{of}.number"], name=op.f(f"fk_{name}_{column}_{of}")),
        sa.ForeignKeyConstraint(
            ["decision"], ["decision.payload_digest"], name=op.f(f"fk_{name}_decision_decision")
        ),
        sa.PrimaryKeyConstraint(column, "keyid", name=op.f(f"pk_{name}")),
    )


def _refuse_changes(table: str) -> None:
    # Spelled out, not imported: what a migration did must be readable when the package has changed.
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            f"CREATE TRIGGER {table}_refuse_change BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION expunge_refuse_change()"
        )
        op.execute(
            f"CREATE TRIGGER {table}_refuse_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION expunge_refuse_change()"
        )
        return
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER {table}_refuse_{verb.lower()} BEFORE {verb} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )
