"""Check a set-up from end to end; every finding says what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from vaultdb.alembic import own as migrations
from vaultdb.db.connect import new_engine
from vaultdb.db.failures import plain_failures
from vaultdb.db.keystore import PostgresKeyStore
from vaultdb.db.login.credentials import Credentials
from vaultdb.db.realm import check_realm
from vaultdb.db.rights import excess_rights, refusal
from vaultdb.db.role_names import RoleNames
from vaultdb.errors import ConfigurationError, SchemaError, VaultDBError, VaultDenied
from vaultdb.jobs.audit.health import check_signing, check_writing
from vaultdb.keys.fault import Fault
from vaultdb.keys.provider import KeyProvider
from vaultdb.keys.unwrapping import unwrap_rows
from vaultdb.keys.wrapped_key import KeyScope, Purpose
from vaultdb.settings import Settings
from vaultdb.vault.leases import irrevocable_leases

OLDEST_SERVER = 15
NEWEST_SERVER = 18
"""Major versions of PostgreSQL that vaultdb is tested with."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check."""

    check: str
    ok: bool
    detail: str


class Doctor:
    """The checks of one set-up.

    Args:
        settings: of the role to check for, normally the application's.
        open_provider: makes the key provider; closed by the checks that use it.
        auditor: settings of the auditor, to look whether the audit log is signed; None does not.

    """

    def __init__(
        self,
        settings: Settings,
        open_provider: Callable[[], KeyProvider],
        auditor: Settings | None = None,
    ) -> None:
        self._settings = settings
        self._auditor = auditor
        self._open_provider = open_provider
        self._credentials = Credentials(settings)

    def examine(self) -> Iterator[Finding]:
        """Run every check whose groundwork is sound; yield each finding as it is made."""
        with closing(self._credentials):
            yield from self._examine()

    def _examine(self) -> Iterator[Finding]:
        yield (provider := _run("keys", self._provider))
        yield (database := _run("database", self._database))
        if not database.ok:
            return
        if self._settings.database.lease is not None:
            yield _run("lease", self._lease)
        yield _run("transport", self._transport)
        yield (schema := _run("schema", self._schema))
        if not schema.ok:
            return
        yield (realm := _run("realm", self._realm))
        yield _run("login", self._login)
        if provider.ok and realm.ok:
            yield _run("data keys", self._data_keys)
        yield (log := _run("audit log", self._audit_log))
        if log.ok and self._auditor is not None and self._settings.audit_mode != "off":
            yield _run("signing", self._signing)

    def _provider(self) -> str:
        with closing(self._open_provider()) as provider:
            provider.check()
            return f"{provider.name}, the KEK is derived and at version {provider.latest_version()}"

    def _database(self) -> str:
        with self._connection() as connection:
            version = int(connection.scalar(text("SHOW server_version_num")) or 0) // 10000
        if not OLDEST_SERVER <= version <= NEWEST_SERVER:
            raise ConfigurationError(
                f"PostgreSQL {version} is not supported; use {OLDEST_SERVER} to {NEWEST_SERVER}"
            )
        return f"PostgreSQL {version}"

    def _lease(self) -> str:
        database = self._settings.database
        given = f"{database.lease} of {database.lease_mount}"
        try:
            lost = irrevocable_leases(self._credentials.client)
        except VaultDenied:
            return f"{given}; irrevocable leases are not this role's to see"
        if lost:
            raise ConfigurationError(
                f"vault could not revoke {lost} leases, whose logins may still exist: see"
                " sys/leases?type=irrevocable, drop the logins, and repair the database engine's"
                " connection (vaultdb provision vault --plan)"
            )
        return f"{given}; every lease that ended was revoked"

    def _transport(self) -> str:
        ssl = "SELECT version FROM pg_catalog.pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl"
        with self._connection() as connection:
            # A role set at login may not see the session's own row.
            connection.execute(text("SET LOCAL ROLE NONE"))
            protocol = connection.scalar(text(ssl))
            is_socket = connection.scalar(text("SELECT inet_server_addr() IS NULL"))
        if protocol is None and is_socket:
            return "a Unix socket"
        if protocol is None:
            raise ConfigurationError(
                "the connection is not encrypted; switch TLS on at the server, and unset"
                " VAULTDB_ALLOW_INSECURE"
            )
        return str(protocol)

    def _schema(self) -> str:
        with self._connection() as connection:
            found = migrations.status(connection)
        if found.pending:
            raise SchemaError(
                f"revision {found.current or 'none'}, newest {found.head}; run: vaultdb migrate up"
            )
        return f"revision {found.current}"

    def _realm(self) -> str:
        with self._connection() as connection:
            check_realm(connection, self._settings.realm)
        return str(self._settings.realm)

    def _login(self) -> str:
        settings = self._settings
        names = RoleNames.of(settings.database)
        with self._connection() as connection:
            login = connection.scalar(text("SELECT session_user"))
            driver: Any = connection.connection
            rights = excess_rights(driver, names, may_add_keys=settings.create_keys)
        if rights and not settings.database.allow_excess_rights:
            raise ConfigurationError(refusal(rights, names))
        if rights:
            return f"{login}, allowed to do more than the application needs"
        return f"{login}, which cannot change the schema or the keys"

    def _data_keys(self) -> str:
        settings = self._settings
        scope = KeyScope(settings.tenant, "default", Purpose.DATA)
        with closing(PostgresKeyStore(settings, credentials=self._credentials)) as store:
            rows = store.by_scopes(settings.realm, [scope])
        if not rows and settings.create_keys:
            return "none yet; made at first use, because create_keys is set"
        if not rows:
            raise ConfigurationError(
                f"tenant {settings.tenant or '-'} has no data key in keyset default;"
                " run: vaultdb keys create"
            )
        with closing(self._open_provider()) as provider:
            opened = unwrap_rows(provider, settings.realm, rows)
        for fault in opened.values():
            if isinstance(fault, Fault):
                raise fault.error()
        return f"{len(rows)} in keyset default, all open"

    def _audit_log(self) -> str:
        with self._connection() as connection:
            return check_writing(connection, self._settings, self._credentials)

    def _signing(self) -> str:
        assert self._auditor is not None
        failures = plain_failures("look at the audit log", unavailable=ConfigurationError)
        with closing(Credentials(self._auditor)) as credentials:
            engine = new_engine(self._auditor, credentials=credentials)
            try:
                with failures, engine.connect() as connection:
                    return check_signing(connection, self._auditor, credentials)
            finally:
                engine.dispose()

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        engine = new_engine(self._settings, credentials=self._credentials)
        failures = plain_failures("use the database", unavailable=ConfigurationError)
        with failures, engine.connect() as connection:
            yield connection


def _run(check: str, examine: Callable[[], str]) -> Finding:
    try:
        return Finding(check, True, examine())
    except VaultDBError as error:
        return Finding(check, False, str(error))
