"""Column types refuse what must not be stored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, Table, create_engine, insert, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import StatementError
from sqlalchemy.schema import CreateIndex, CreateTable

from certificate.identifiers import HostId, TenancyId
from controller.store import METADATA
from controller.store.columns import CanonicalJson, IdentifierType, UtcDateTime

ROWS = Table(
    "thing",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("at", UtcDateTime),
    Column("document", CanonicalJson),
    Column("host", IdentifierType(HostId)),
)


@pytest.fixture
def connection(tmp_path: Path) -> Any:
    engine = create_engine(f"sqlite:///{tmp_path / 'things.db'}")
    ROWS.metadata.create_all(engine)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def there_and_back(connection: Any, **values: Any) -> Any:
    connection.execute(insert(ROWS).values(**values))
    row = connection.execute(select(ROWS).order_by(ROWS.c.id.desc())).first()
    return [row._mapping[name] for name in values]


def test_a_naive_time_is_refused(connection: Any) -> None:
    with pytest.raises(StatementError, match="no time zone"):
        connection.execute(insert(ROWS).values(at=datetime(2030, 1, 1)))  # noqa: DTZ001


def test_a_time_of_another_zone_comes_back_as_the_same_instant_in_utc(connection: Any) -> None:
    told = datetime(2030, 1, 1, 2, 30, 0, 123456, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    (read,) = there_and_back(connection, at=told)
    assert read == told
    assert read.tzinfo is UTC
    assert read.hour == 21


def test_times_of_different_zones_compare_by_their_instant_in_sql(connection: Any) -> None:
    early = datetime(2030, 1, 1, 23, tzinfo=timezone(timedelta(hours=12)))
    late = datetime(2030, 1, 1, 12, tzinfo=UTC)
    there_and_back(connection, at=early)
    query = select(ROWS.c.id).where(ROWS.c.at < late)
    assert len(connection.execute(query).all()) == 1


@given(
    st.datetimes(
        min_value=datetime(1000, 1, 2),  # noqa: DTZ001
        max_value=datetime(9998, 1, 1),  # noqa: DTZ001
        timezones=st.timezones(),
        allow_imaginary=False,
    )
)
def test_every_aware_instant_survives(told: datetime) -> None:
    engine = create_engine("sqlite://")
    ROWS.metadata.create_all(engine)
    with engine.connect() as connection:
        assert there_and_back(connection, at=told) == [told.astimezone(UTC)]
    engine.dispose()


def test_json_is_stored_as_one_canonical_text(connection: Any) -> None:
    document = {"b": [1, None, True], "a": {"z": "é", "y": ""}}
    assert there_and_back(connection, document=document) == [document]
    text = connection.exec_driver_sql("SELECT document FROM thing").scalar_one()
    assert text == '{"a":{"y":"","z":"é"},"b":[1,null,true]}'


def test_a_python_object_is_not_pickled_but_refused(connection: Any) -> None:
    with pytest.raises(StatementError):
        connection.execute(insert(ROWS).values(document={"at": object()}))


def test_a_tenancy_is_never_stored_as_a_host(connection: Any) -> None:
    host, tenancy = HostId.from_random(b"h" * 16), TenancyId.from_random(b"t" * 16)
    assert there_and_back(connection, host=host) == [host]
    with pytest.raises(StatementError, match="expected a HostId, got a TenancyId"):
        connection.execute(insert(ROWS).values(host=tenancy))
    with pytest.raises(StatementError, match="expected a HostId, got a str"):
        connection.execute(insert(ROWS).values(host=str(host)))


def test_an_identifier_comes_back_as_its_own_kind(connection: Any) -> None:
    (read,) = there_and_back(connection, host=HostId.from_random(b"h" * 16))
    assert type(read) is HostId


def test_every_constraint_of_every_table_has_a_name() -> None:
    for table in METADATA.tables.values():
        for constraint in table.constraints:
            assert constraint.name, f"{table.name}: {constraint!r}"
        for index in table.indexes:
            assert index.name, f"{table.name}: {index!r}"


def test_the_same_metadata_compiles_for_postgresql() -> None:
    dialect = postgresql.dialect()
    texts = [str(CreateTable(table).compile(dialect=dialect)) for table in METADATA.sorted_tables]
    indexes = [
        str(CreateIndex(index).compile(dialect=dialect))
        for table in METADATA.sorted_tables
        for index in table.indexes
    ]
    assert any("TIMESTAMP WITH TIME ZONE" in text for text in texts)
    live = next(text for text in indexes if "uq_deprovision_live_host" in text)
    assert "WHERE (state NOT IN ('released', 'cancelled', 'destroyed', 'closed')" in live
