"""Tables with encrypted columns, filled by the application, and what is in them."""

from __future__ import annotations

from sqlalchemy import Column, MetaData, Table, insert, select

from tests.integration.jobs.conftest import open_to_rotator
from vaultdb import Encrypted, Equality


def table_of(*key, name="Odd table", metadata=None):
    return Table(
        name,
        metadata or MetaData(),
        *(Column(column, type_, primary_key=True, autoincrement=False) for column, type_ in key),
        Column("secret", Encrypted(str), nullable=False),
        Column("Odd column", Encrypted(dict, bind="column"), nullable=True, key="odd"),
        Column("ssn", Encrypted(str, index=Equality()), nullable=True),
    )


def fill(database, app, table, keys):
    database.create_all(table.metadata)
    open_to_rotator(database, table.name)
    names = [column.key for column in table.primary_key]
    rows = [
        dict(zip(names, key, strict=True))
        | {"secret": f"secret {n}", "odd": {"n": n} if n % 2 else None, "ssn": f"{n % 7}" or None}
        for n, key in enumerate(keys)
    ]
    with app.begin() as connection:
        connection.execute(insert(table), rows)
    return rows


def contents(app, table):
    with app.connect() as connection:
        rows = connection.execute(select(table).order_by(*table.primary_key)).mappings().all()
    return sorted(
        [tuple(row[c.name] for c in table.columns if c.name != "ssn_index") for row in rows],
        key=repr,
    )


def key_ids(database, table, column):
    with database.connect() as connection:
        rows = connection.execute(
            f'SELECT DISTINCT substr("{column}", 3, 16) FROM "{table.name}" WHERE "{column}" IS NOT NULL'
        )
        return {row[0] for row in rows}
