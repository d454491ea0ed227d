"""Tables whose rows are written once: the database itself refuses to change or delete them.

The chain of the ledger shows an alteration afterwards; a trigger prevents the accidental one. Whoever owns
the file can drop a trigger: that is what the chain and the anchor are for.
"""

from __future__ import annotations

from sqlalchemy import DDL, Table, event

FUNCTION = "expunge_refuse_change"

POSTGRESQL_FUNCTION = (
    f"CREATE OR REPLACE FUNCTION {FUNCTION}() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$"
)


def sqlite_triggers(table: str) -> tuple[str, ...]:
    """One trigger for UPDATE and one for DELETE."""
    return tuple(
        f"CREATE TRIGGER {table}_refuse_{verb.lower()} BEFORE {verb} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        for verb in ("UPDATE", "DELETE")
    )


def postgresql_triggers(table: str) -> tuple[str, ...]:
    """The function they share, then one trigger for each row and one for TRUNCATE, which asks no row."""
    return (
        POSTGRESQL_FUNCTION,
        f"CREATE TRIGGER {table}_refuse_change BEFORE UPDATE OR DELETE ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION {FUNCTION}()",
        f"CREATE TRIGGER {table}_refuse_truncate BEFORE TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {FUNCTION}()",
    )


def refuse_changes(table: Table) -> None:
    """Has the triggers made together with `table`, on either database."""
    for dialect, statements in (
        ("sqlite", sqlite_triggers(table.name)),
        ("postgresql", postgresql_triggers(table.name)),
    ):
        for statement in statements:
            # DDL formats its text with %: the function's own percent sign is doubled.
            ddl = DDL(statement.replace("%", "%%")).execute_if(dialect=dialect)  # type: ignore[no-untyped-call]
            event.listen(table, "after_create", ddl)
