"""The migrations of the package make exactly the schema that the code believes in."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from certificate.errors import Refused
from controller.errors import Code
from controller.store import METADATA, create_store, migration, open_store
from controller.store.engine import _store


def statements(path: Path) -> dict[str, str]:
    """Everything in a database's schema, by name."""
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    connection.close()
    return {name: " ".join(sql.split()) for name, sql in rows if name != "alembic_version"}


def members(sql: str) -> set[str]:
    """A CREATE TABLE as the set of its columns and constraints: their order means nothing."""
    parts, depth, part = set(), 0, ""
    for character in sql:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 1:
            parts.add(part.strip())
            part = ""
        else:
            part += character
    return {entry.split("( ", 1)[-1].strip("() ") for entry in parts | {part}}


def test_a_migrated_database_has_the_schema_of_the_metadata(tmp_path: Path) -> None:
    create_store(tmp_path / "migrated.db").close()
    engine = create_engine(f"sqlite:///{tmp_path / 'made.db'}")
    METADATA.create_all(engine)
    engine.dispose()
    migrated, made = statements(tmp_path / "migrated.db"), statements(tmp_path / "made.db")
    assert migrated.keys() == made.keys()
    assert any("RAISE(ABORT" in sql for sql in migrated.values())
    for name, sql in made.items():
        assert members(migrated[name]) == members(sql), name


def test_alembic_finds_nothing_left_to_migrate(tmp_path: Path) -> None:
    store = create_store(tmp_path / "expunge.db")
    with store.snapshot() as tx:
        context = MigrationContext.configure(tx, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
    store.close()


def test_the_revisions_are_one_line_without_branches() -> None:
    script = ScriptDirectory.from_config(migration._configuration())
    assert script.get_heads() == [migration.head()]
    assert [revision.revision for revision in script.walk_revisions()][-1] == "0001"


def test_a_store_is_made_at_the_head_and_opens(tmp_path: Path) -> None:
    path = tmp_path / "expunge.db"
    create_store(path).close()
    assert path.stat().st_mode & 0o777 == 0o600
    store = open_store(path)
    with store.snapshot() as tx:
        assert migration.current(tx) == migration.head()
    store.close()


def test_an_upgrade_of_a_database_at_the_head_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "expunge.db"
    store = create_store(path)
    before = statements(path)
    with store.transaction() as tx:
        migration.upgrade(tx)
    store.close()
    assert statements(path) == before


def test_a_failed_migration_leaves_the_database_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "expunge.db"
    path.touch()
    store = _store(path, is_read_only=False, anchoring=None, count_commit=None)
    with store.engine.connect() as tx:
        tx.begin()
        migration.upgrade(tx)
        assert migration.current(tx) == migration.head()
        tx.rollback()
    store.close()
    assert statements(path) == {}


@pytest.mark.parametrize("revision", ["9999", None])
def test_a_database_of_another_release_is_refused(tmp_path: Path, revision: str | None) -> None:
    path = tmp_path / "expunge.db"
    create_store(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM alembic_version")
        if revision is not None:
            connection.execute("INSERT INTO alembic_version VALUES (?)", (revision,))
    connection.close()
    with pytest.raises(Refused) as refused:
        open_store(path)
    assert refused.value.code is Code.STORE_FOREIGN


def test_a_missing_database_is_refused_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        open_store(tmp_path / "expunge.db")
    assert refused.value.code is Code.STORE_MISSING
    assert not (tmp_path / "expunge.db").exists()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "expunge.db"
    path.write_bytes(b"not a database, " * 512)
    with pytest.raises(Refused) as refused:
        open_store(path)
    assert refused.value.code is Code.STORE_FOREIGN


def test_a_store_is_never_made_over_another(tmp_path: Path) -> None:
    path = tmp_path / "expunge.db"
    create_store(path).close()
    with pytest.raises(Refused) as refused:
        create_store(path)
    assert refused.value.code is Code.STORE_EXISTS
