"""A place of its own on the shared OpenBao, and roles of its own on the shared servers."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

import pytest
from psycopg import sql
from sqlalchemy import Connection

from tests.fixtures.openbao import OpenBao
from tests.fixtures.postgres import Database
from vaultdb.db.role_names import RoleNames
from vaultdb.dev.databases import ENGINE, administrator
from vaultdb.dev.ports import LOOPBACK
from vaultdb.dev.vault_api import VaultApi
from vaultdb.provision.postgres_setup import postgres
from vaultdb.provision.postgres_spec import PostgresSpec
from vaultdb.provision.step import Step
from vaultdb.provision.vault_setup import VaultSetup, vault
from vaultdb.provision.vault_spec import CertificateSpec, LeaseSpec, VaultSpec
from vaultdb.vault.client import VaultClient


@dataclass
class Place:
    """A Vault to set up: mounts with names of this test, the roles' own names."""

    bao: OpenBao
    admin: VaultApi
    client: VaultClient
    mark: str = field(default_factory=lambda: secrets.token_hex(4))

    def spec(self, **changes: Any) -> VaultSpec:
        certificates = CertificateSpec(mount=f"pki-{self.mark}")
        return replace(
            VaultSpec(transit_mount=f"keys-{self.mark}", certificates=certificates), **changes
        )

    def leases(self, database: Database, **changes: Any) -> LeaseSpec:
        spec = LeaseSpec(
            url_of(database),
            password=database.postgres.passwords[ENGINE],
            mount=f"db-{self.mark}",
        )
        return replace(spec, **changes)

    def set_up(self, spec: VaultSpec, **options: Any) -> VaultSetup:
        return vault(self.client, spec, **options)

    def differing(self, spec: VaultSpec, **options: Any) -> list[Step]:
        return [step for step in self.set_up(spec, **options).steps if step.differs]


def url_of(database: Database) -> str:
    """The database as Vault sees it."""
    authority = quote(database.postgres.sslrootcert, safe="/")
    address = f"{LOOPBACK}:{database.postgres.port}/{quote(database.name)}"
    return f"postgresql://{address}?sslmode=verify-full&sslrootcert={authority}"


@pytest.fixture
def place(openbao: OpenBao) -> Iterator[Place]:
    admin = openbao.admin
    with closing(admin.client()) as client:
        place = Place(openbao, admin, client)
        yield place
        for mount in admin.read("sys/mounts")["data"]:
            if place.mark in mount:
                if mount.startswith("db-"):
                    admin.write(f"sys/leases/revoke-force/{mount[:-1]}")
                admin._call("DELETE", f"sys/mounts/{mount}", None)
        # the policies are everybody's
        vault(client, VaultSpec(certificates=CertificateSpec(), tenant_keks=True))


@dataclass
class OwnRoles:
    """Roles under a prefix of this test in one database."""

    database: Database
    names: RoleNames

    def connect(self) -> Any:
        return administrator(self.database.postgres.server.conninfo(self.database.name))

    def spec(self, **changes: Any) -> PostgresSpec:
        return PostgresSpec(self.names, accept_createrole=True, **changes)

    def set_up(self, spec: PostgresSpec, **options: Any) -> list[Step]:
        with self.connect() as connection:
            return postgres(connection, spec, **options)

    def differing(self, spec: PostgresSpec, **options: Any) -> list[Step]:
        return [step for step in self.set_up(spec, **options) if step.differs]


@pytest.fixture
def prefix() -> str:
    """A prefix with everything that needs quoting; the servers of the fixtures have the plain one."""
    return f'Odd "{secrets.token_hex(3)}" %s:x\'_'


@pytest.fixture
def own_roles(any_database: Database, prefix: str) -> Iterator[OwnRoles]:
    yield OwnRoles(any_database, RoleNames(prefix))
    drop_roles(any_database, prefix)


def drop_roles(database: Database, prefix: str) -> None:
    """Drop the roles of a prefix, with all that they own in the database."""
    with database.connect() as connection:
        found = connection.execute(
            "SELECT rolname FROM pg_roles WHERE starts_with(rolname, %s)", [prefix]
        ).fetchall()
        for verb in ("DROP OWNED BY {} CASCADE", "DROP ROLE {}"):
            for (name,) in found:
                connection.execute(sql.SQL(verb).format(sql.Identifier(name)))


def scalar(connection: Connection, statement: str) -> Any:
    return connection.exec_driver_sql(statement).scalar_one()
