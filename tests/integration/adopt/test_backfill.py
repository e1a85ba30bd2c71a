"""The backfill fills what is empty, and a writer who comes in between wins."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from psycopg import sql

from tests.fixtures.postgres import Database
from tests.foreign_packages import FernetEngine
from tests.integration.adopt.conftest import open_tools, run
from vaultdb.jobs.adopt.adoption import Adoption, Foreign, find_adoption
from vaultdb.jobs.adopt.comparison import compare
from vaultdb.jobs.adopt.foreign.formats import Format
from vaultdb.jobs.adopt.reading import OldRows
from vaultdb.jobs.adopt.secrets import KeySource
from vaultdb.keys.keyring import Keyring
from vaultdb.orm.indexes import Equality
from vaultdb.orm.types import Encrypted

SCHEMA, TABLE = "Odd schema", "select"


class Kind(enum.Enum):
    DOG = "d"
    CAT = "c"


def models(**encrypted: Any) -> sa.MetaData:
    """A table whose names all need quotes, keyed by two columns; one tenant per row."""
    metadata = sa.MetaData()
    sa.Table(
        TABLE,
        metadata,
        sa.Column("Group", sa.Text, primary_key=True),
        sa.Column("order", sa.BigInteger, primary_key=True),
        sa.Column("Practice", sa.Text, nullable=False),
        sa.Column("Ssn", sa.Text),
        sa.Column(
            "Ssn_encrypted",
            Encrypted(
                str,
                index=Equality(unique=True),
                tenant_column="Practice",
                validate=lambda value: value != "refused",
            ),
            nullable=True,
        ),
        sa.Column("kind", sa.Enum(Kind, native_enum=False)),
        sa.Column("kind_encrypted", Encrypted(Kind), nullable=True),
        schema=SCHEMA,
    )
    return metadata


@pytest.fixture
def metadata(database: Database) -> sa.MetaData:
    found = models()
    with database.connect() as connection:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(SCHEMA)))
        connection.execute(
            sql.SQL("ALTER SCHEMA {} OWNER TO vaultdb_owner").format(sql.Identifier(SCHEMA))
        )
    database.create_all(found)
    with database.connect() as connection:
        name = sql.Identifier(SCHEMA, TABLE)
        connection.execute(
            sql.SQL("GRANT USAGE ON SCHEMA {} TO vaultdb_rotator").format(sql.Identifier(SCHEMA))
        )
        connection.execute(sql.SQL("GRANT SELECT, UPDATE ON {} TO vaultdb_rotator").format(name))
        with connection.cursor() as cursor:
            cursor.executemany(
                sql.SQL(
                    'INSERT INTO {} ("Group", "order", "Practice", "Ssn", kind)'
                    " VALUES (%s, %s, %s, %s, %s)"
                ).format(name),
                [
                    (f"g{n % 3}", n, f"p{n % 2}", None if n % 10 == 0 else f"ssn-{n}", "DOG")
                    for n in range(1, 101)
                ],
            )
    return found


def scalar(database: Database, text: str) -> Any:
    with database.connect() as connection:
        query = sql.SQL(text).format(table=sql.Identifier(SCHEMA, TABLE))
        return connection.execute(query).fetchone()[0]


def adoption_of(metadata: sa.MetaData) -> Adoption:
    return find_adoption([metadata], f"{SCHEMA}.{TABLE}", "Ssn")


def difference(tools: Any, metadata: sa.MetaData, keyring: Keyring, **options: Any) -> Any:
    adoption = adoption_of(metadata)
    rows = OldRows(adoption, reader=None, tenant="")
    with tools.engine.connect() as connection:
        return compare(connection, adoption, rows, keyring, **options)


def test_every_value_is_encrypted_for_its_rows_tenant_and_compares_equal(
    database: Database, metadata: sa.MetaData, keyring: Keyring
) -> None:
    with open_tools(database, metadata, keyring) as tools:
        result, quarantine = run(tools, "adopt-backfill", f"{SCHEMA}.{TABLE}", "Ssn")
        found = difference(tools, metadata, keyring)
        sampled = difference(tools, metadata, keyring, sample=10)

    assert (result.changed, result.remaining, list(quarantine)) == (90, 0, [])
    assert (found.compared, found.different) == (90, 0)
    assert 0 <= sampled.compared < 60
    assert (
        scalar(database, 'SELECT count(*) FROM {table} WHERE "Ssn_encrypted_index" IS NULL') == 10
    )


def test_an_enum_is_encrypted_as_the_models_read_it(
    database: Database, metadata: sa.MetaData, keyring: Keyring
) -> None:
    with open_tools(database, metadata, keyring) as tools:
        result, _ = run(tools, "adopt-backfill", f"{SCHEMA}.{TABLE}", "kind_encrypted")

    assert (result.changed, result.remaining) == (100, 0)


def test_values_that_the_column_refuses_are_quarantined_by_key_and_the_others_go_on(
    database: Database, metadata: sa.MetaData, keyring: Keyring
) -> None:
    scalar(
        database,
        """WITH u AS (UPDATE {table} SET "Ssn" = 'refused' WHERE "order" = 7 RETURNING 1) SELECT 1""",
    )
    scalar(
        database,
        """WITH u AS (UPDATE {table} SET "Ssn" = 'ssn-3' WHERE "order" = 5 RETURNING 1) SELECT 1""",
    )
    with open_tools(database, metadata, keyring) as tools:
        result, quarantine = run(tools, "adopt-backfill", f"{SCHEMA}.{TABLE}", "Ssn_encrypted")
        found = difference(tools, metadata, keyring)

    assert result.changed == 88
    assert {bad.reason for bad in quarantine} == {
        "refused by the column",
        "not unique, or another constraint refuses it",
    }
    assert ("g1", "7") in {bad.key for bad in quarantine}
    assert [reason for _, reason in found.keys] == ["not encrypted yet"] * 2


def test_a_writer_who_changes_the_old_value_meanwhile_is_not_overwritten(
    database: Database, metadata: sa.MetaData, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vaultdb.jobs.adopt.backfill import Backfill

    stale = 'WITH u AS (UPDATE {table} SET "Ssn" = \'new\' WHERE "order" = 1 RETURNING 1) SELECT 1'
    read = OldRows.read

    def read_without_locks(self: Any, *arguments: Any, **options: Any) -> Any:
        return read(self, *arguments, **options | {"lock": False})

    update = Backfill._update
    changed: list[int] = []

    def change_first(self: Any, driver: Any, made: Any) -> int:
        if not changed:
            changed.append(scalar(database, stale))
        return update(self, driver, made)

    monkeypatch.setattr(OldRows, "read", read_without_locks)
    monkeypatch.setattr(Backfill, "_update", change_first)
    with open_tools(database, metadata, keyring, batch=1000) as tools:
        result, _ = run(tools, "adopt-backfill", f"{SCHEMA}.{TABLE}", "Ssn")
        found = difference(tools, metadata, keyring)

    assert result.conflicts >= 1
    assert (found.compared, found.different) == (90, 0)


def test_a_wrong_ciphertext_is_found_by_its_key_and_never_emptied(
    database: Database, metadata: sa.MetaData, keyring: Keyring
) -> None:
    with open_tools(database, metadata, keyring) as tools:
        run(tools, "adopt-backfill", f"{SCHEMA}.{TABLE}", "Ssn")
        scalar(
            database,
            """WITH u AS (UPDATE {table} SET "Ssn" = 'another' WHERE "order" = 1 RETURNING 1) SELECT 1""",
        )
        found = difference(tools, metadata, keyring)
        result, quarantine = run(tools, "adopt-null", f"{SCHEMA}.{TABLE}", "Ssn")

    assert [(key, reason) for key, reason in found.keys] == [
        (("g1", "1"), "the ciphertext is of another value")
    ]
    assert (result.changed, result.remaining) == (89, 1)
    assert [(bad.key, bad.column) for bad in quarantine] == [(("g1", "1"), "Ssn")]
    assert scalar(database, 'SELECT count("Ssn") FROM {table}') == 1
    assert scalar(database, 'SELECT count("Ssn_encrypted") FROM {table}') == 90


def test_what_another_package_encrypted_is_imported(
    database: Database, metadata: sa.MetaData, keyring: Keyring, tmp_path: Path
) -> None:
    engine = FernetEngine()
    engine._update_key("their secret")
    with database.connect() as connection, connection.cursor() as cursor:
        name = sql.Identifier(SCHEMA, TABLE)
        cursor.executemany(
            sql.SQL('UPDATE {} SET "Ssn" = %s WHERE "order" = %s').format(name),
            [(engine.encrypt(f"theirs-{n}"), n) for n in range(1, 50)],
        )
        connection.execute(sql.SQL('UPDATE {} SET "Ssn" = NULL WHERE "order" > 50').format(name))
        connection.execute(sql.SQL('UPDATE {} SET "Ssn" = \'gAAA\' WHERE "order" = 9').format(name))
    key_file = tmp_path / "key"
    key_file.write_text("their secret\n")
    foreign = Foreign(Format.SQLALCHEMY_UTILS_FERNET, KeySource(key_file))
    with open_tools(database, metadata, keyring) as tools:
        result, quarantine = run(tools, "adopt-backfill", f"{SCHEMA}.{TABLE}", "Ssn", foreign)
        rows = OldRows(
            adoption_of(metadata), reader=foreign.format.reader(b"their secret"), tenant=""
        )
        with tools.engine.connect() as connection:
            found = compare(connection, adoption_of(metadata), rows, keyring)

    assert result.changed == 48
    assert [(bad.key, bad.reason) for bad in quarantine] == [(("g0", "9"), "wrong key or altered")]
    assert (found.compared, found.different) == (49, 1)


def test_subjects_have_their_own_keys_and_both_companions_are_filled(
    database: Database, keyring: Keyring
) -> None:
    metadata = sa.MetaData()
    index = Equality(rekey_into="body_index_2")
    note = sa.Table(
        "note",
        metadata,
        sa.Column("id", sa.Uuid, primary_key=True, server_default=sa.text("gen_random_uuid()")),
        sa.Column("patient", sa.BigInteger, nullable=False),
        sa.Column("old_body", sa.LargeBinary),
        sa.Column(
            "body",
            Encrypted(bytes, subject="patient", adopts="old_body", index=index),
            nullable=True,
        ),
    )
    database.create_all(metadata)
    with database.connect() as connection:
        connection.execute("GRANT SELECT, UPDATE ON note TO vaultdb_rotator")
        connection.execute(
            "INSERT INTO note (patient, old_body)"
            " SELECT n % 4, decode('00ff', 'hex') || n::text::bytea FROM generate_series(1, 40) AS n"
        )
    adoption = find_adoption([metadata], "note", "old_body")
    with open_tools(database, metadata, keyring) as tools:
        result, _ = run(tools, "adopt-backfill", "note", "body")
        with tools.engine.connect() as connection:
            rows = OldRows(adoption, reader=None, tenant="")
            found = compare(connection, adoption, rows, keyring)
    with database.connect() as connection:
        keys, both = connection.execute(
            "SELECT count(DISTINCT substr(body::bytea, 3, 16)),"
            " count(*) FILTER (WHERE body_index IS NOT NULL AND body_index_2 IS NOT NULL) FROM note"
        ).fetchone()

    assert adoption.column.column is note.c.body
    assert (result.changed, result.remaining) == (40, 0)
    assert (found.compared, found.different) == (40, 0)
    assert (keys, both) == (4, 40)
