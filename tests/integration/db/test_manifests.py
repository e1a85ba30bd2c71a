"""Manifests of backups: which keys are needed, until the backup expires or is released."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import ProgrammingError

from tests.fixtures.postgres import Database
from vaultdb.db.manifests import Manifest, manifests, naming, needed_key_ids, record, release
from vaultdb.errors import ConfigurationError

NOW = datetime.now(UTC).replace(microsecond=0)
ONE, TWO, THREE = (bytes([n]) * 16 for n in (1, 2, 3))


def manifest(name: str, *key_ids: bytes, days: int | None = None) -> Manifest:
    expires = None if days is None else NOW + timedelta(days=days)
    return Manifest(
        name, NOW - timedelta(days=30), expires, frozenset(key_ids), {"vaultdb": (1, 3)}
    )


def connect(url: str) -> Iterator[Connection]:
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.begin() as connection:
        yield connection
    engine.dispose()


@pytest.fixture
def rotator(database: Database) -> Iterator[Connection]:
    yield from connect(database.rotator_url)


def test_a_key_is_needed_by_every_backup_that_neither_expired_nor_was_released(
    rotator: Connection,
) -> None:
    for each in (
        manifest('weekly "1"', ONE, TWO),
        manifest("monthly", TWO, days=5),
        manifest("expired", THREE, days=-1),
        manifest("released", THREE),
    ):
        assert record(rotator, each)
    assert release(rotator, "released")
    assert needed_key_ids(rotator) == {ONE: ['weekly "1"'], TWO: ["monthly", 'weekly "1"']}
    assert [each.name for each in naming(rotator, [ONE, THREE])] == ['weekly "1"']


def test_a_manifest_comes_back_as_it_was_recorded(rotator: Connection) -> None:
    recorded = manifest("weekly", ONE, TWO, days=5)
    record(rotator, recorded)
    assert manifests(rotator) == [recorded]
    assert recorded.holds(NOW)
    assert not recorded.holds(NOW + timedelta(days=5))


def test_the_same_manifest_twice_is_one_and_another_of_its_name_is_refused(
    rotator: Connection,
) -> None:
    assert record(rotator, manifest("weekly", ONE))
    assert not record(rotator, manifest("weekly", ONE))
    with pytest.raises(ConfigurationError, match="give each backup a name of its own"):
        record(rotator, manifest("weekly", TWO))
    assert needed_key_ids(rotator) == {ONE: ["weekly"]}


def test_what_is_released_stays_so_and_what_is_unknown_is_said(rotator: Connection) -> None:
    record(rotator, manifest("weekly", ONE))
    assert [release(rotator, name) for name in ("weekly", "weekly", "none")] == [True, False, False]
    assert not record(rotator, manifest("weekly", ONE))
    assert needed_key_ids(rotator) == {}


def test_the_application_neither_records_nor_reads_manifests(database: Database) -> None:
    for connection in connect(database.url):
        with pytest.raises(ProgrammingError, match="permission denied"):
            needed_key_ids(connection)
        connection.rollback()
