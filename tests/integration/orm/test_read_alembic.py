"""Alembic's autogenerate: encrypted columns are written so that the migration runs by itself."""

from __future__ import annotations

from types import SimpleNamespace

import alembic.op
import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata, produce_migrations, render_python_code
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Column, Integer, MetaData, Table, create_engine, inspect

from vaultdb import Encrypted, Equality
from vaultdb.orm import render_item

SQLALCHEMY = ("postgresql://", "postgresql+psycopg://", 1)


@pytest.fixture
def metadata() -> MetaData:
    metadata = MetaData()
    Table(
        "note",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("body", Encrypted(str, index=Equality(unique=True)), nullable=False),
        Column("extra", Encrypted(dict)),
    )
    return metadata


@pytest.fixture
def connection(database):
    engine = create_engine(database.migrate_url.replace(*SQLALCHEMY))
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def context(connection, metadata) -> MigrationContext:
    options = {"target_metadata": metadata, "compare_type": True, "render_item": render_item}
    return MigrationContext.configure(connection, opts=options)


def test_a_generated_migration_runs_and_leaves_nothing_to_do(connection, metadata, monkeypatch):
    migration = context(connection, metadata)
    produced = produce_migrations(migration, metadata)
    body = render_python_code(produced.upgrade_ops, render_item=render_item)
    assert "vaultdb.orm.Envelope()" in body
    assert "vaultdb.orm.IndexValue()" in body
    assert "Encrypted" not in body

    source = "\n".join(
        ["import vaultdb.orm", "def upgrade():", *(f"    {line}" for line in body.splitlines())]
    )
    with Operations.context(migration):
        names = {"op": alembic.op, "sa": sqlalchemy}
        exec(source, names)
        names["upgrade"]()
    assert compare_metadata(migration, metadata) == []
    (index,) = inspect(connection).get_indexes("note")
    assert (index["column_names"], index["unique"]) == (["body_index"], True)
    storage = connection.exec_driver_sql(
        "SELECT attstorage::text FROM pg_attribute"
        " WHERE attrelid = 'note'::regclass AND attname = 'body'"
    )
    assert storage.scalar() == "e"


def test_the_import_is_added_where_a_type_is_written(metadata):
    columns = metadata.tables["note"].c
    generating = SimpleNamespace(imports=set())
    assert render_item("type", columns.id.type, generating) is False
    assert render_item("column", columns.body, generating) is False
    assert not generating.imports
    assert render_item("type", columns.body.type, generating) == "vaultdb.orm.Envelope()"
    assert render_item("type", columns.body_index.type, generating) == "vaultdb.orm.IndexValue()"
    assert generating.imports == {"import vaultdb.orm"}


def test_tables_made_by_the_metadata_show_no_difference(connection, metadata):
    metadata.create_all(connection)
    assert compare_metadata(context(connection, metadata), metadata) == []
