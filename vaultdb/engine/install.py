"""Preparing an engine: everything that vaultdb hangs on it, in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from vaultdb.db.auditlog.transactions import follow_transactions
from vaultdb.db.cursor import AsyncExtendedCursor, ExtendedCursor
from vaultdb.db.login.attach import attach_login, off_the_loop
from vaultdb.db.login.credentials import Credentials
from vaultdb.db.rights import refuse_excess_rights
from vaultdb.engine.auditing import auditor_for, warn_of_waiting
from vaultdb.engine.binary import fetch_in_binary
from vaultdb.engine.fork import separate_in_children
from vaultdb.engine.key_events import AuditedKeys
from vaultdb.engine.keyring import keyring_for
from vaultdb.errors import ConfigurationError
from vaultdb.orm.claims import send_claims
from vaultdb.orm.execution import encrypting
from vaultdb.orm.redaction import install_redaction
from vaultdb.orm.refusals import install_refusals
from vaultdb.orm.runtime import ATTRIBUTE, Runtime, find_runtime
from vaultdb.orm.scope import follow_sessions
from vaultdb.orm.sqlite import register_functions
from vaultdb.orm.writing import follow_flushes, intercept_writes
from vaultdb.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from vaultdb.keys.keyring import Keyring
    from vaultdb.settings.model import Role

AnyEngine = TypeVar("AnyEngine", "Engine", AsyncEngine)

_REGISTERED = "vaultdb.functions"


def install(
    engine: AnyEngine,
    *,
    settings: Settings | None = None,
    keyring: Keyring | None = None,
    tenant: str | None = None,
) -> AnyEngine:
    """Prepare an engine for encrypted columns; preparing it again changes nothing.

    Nothing is connected to: keys are fetched when a statement first needs them. Disposing of the
    engine closes what was opened for it. With `database.lease` an engine whose URL names no user
    gets its logins from Vault.

    Args:
        engine: an engine or async engine on PostgreSQL with psycopg 3, or on SQLite for tests.
        settings: by default `Settings.load()`: `vaultdb.toml` and `VAULTDB_*`.
        keyring: use this one, and no settings; the caller closes it.
        tenant: the tenant outside of `acting_as(tenant=)`; by default that of the settings.

    Returns:
        The same engine.

    Raises:
        ConfigurationError: another driver, or settings that cannot work; says which and the remedy.

    """
    root = _root(engine)
    _check_driver(root)
    if (runtime := find_runtime(root.dialect)) is not None:
        _check_same(runtime, keyring)
        return engine
    if keyring is not None:
        return prepare(engine, keyring=keyring, tenant=tenant)
    settings = settings or Settings.load()
    credentials = Credentials(settings)
    if settings.database.lease is not None and root.url.username is None:
        attach_login(root, credentials.login)
    refuse_excess_rights(root, settings)
    return prepare(engine, settings=settings, credentials=credentials, tenant=tenant)


def prepare(
    engine: AnyEngine,
    *,
    settings: Settings | None = None,
    credentials: Credentials | None = None,
    keyring: Keyring | None = None,
    tenant: str | None = None,
    role: Role | None = None,
) -> AnyEngine:
    """Prepare an engine whose login is in place.

    Args:
        engine: not prepared yet.
        settings: needed unless there is a keyring.
        credentials: of these settings; closed when the engine is disposed of.
        keyring: as for `install`.
        tenant: as for `install`.
        role: whose login it is; by default that of the settings.

    """
    auditor = None
    if settings is not None and credentials is not None:
        auditor = auditor_for(settings, credentials, role=role)
        if auditor is not None:
            warn_of_waiting(settings)
    if keyring is not None:
        runtime = Runtime(keyring, tenant or "", auditor=auditor)
    else:
        assert settings is not None
        default = settings.tenant if tenant is None else tenant
        heard = None if auditor is None else AuditedKeys(lambda: runtime.auditor)
        opening = keyring_for(settings, credentials, heard)
        runtime = Runtime(opening, default, auditor=auditor)
    root = _root(engine)
    _check_driver(root)
    _prepare(root, runtime)
    if auditor is not None:
        follow_transactions(root.dialect)
    if credentials is not None:
        close = credentials.close
        event.listen(root, "engine_disposed", lambda _engine: off_the_loop(close))
    return engine


def _root(engine: AnyEngine) -> Engine:
    """Return the engine that owns dialect and pool; `execution_options()` makes views of one."""
    sync: Any = getattr(engine, "sync_engine", engine)
    while hasattr(sync, "_proxied"):
        sync = sync._proxied  # noqa: SLF001  # SQLAlchemy has no public way back
    if not hasattr(sync, "dialect"):
        raise ConfigurationError(
            f"install() takes an Engine or an AsyncEngine, not {type(sync).__name__}"
        )
    root: Engine = sync
    return root


def _prepare(engine: Engine, runtime: Runtime) -> None:
    dialect: Any = engine.dialect
    install_refusals(dialect)
    install_redaction(engine)
    dialect.execution_ctx_cls = encrypting(dialect.execution_ctx_cls)
    setattr(dialect, ATTRIBUTE, runtime)
    intercept_writes(engine)
    send_claims(engine)
    follow_sessions()
    follow_flushes()
    event.listen(engine, "engine_disposed", lambda _engine: off_the_loop(runtime.close))
    if dialect.name == "sqlite":
        event.listen(engine, "checkout", _give_functions)
    else:
        event.listen(engine, "do_connect", _one_statement_at_a_time)
        separate_in_children(engine)
        fetch_in_binary(engine)
    engine.clear_compiled_cache()  # what was compiled before has not been checked


def _check_driver(engine: Engine) -> None:
    dialect = engine.dialect
    if dialect.name == "sqlite":
        return
    if dialect.name != "postgresql" or dialect.driver not in ("psycopg", "psycopg_async"):
        raise ConfigurationError(
            f"vaultdb does not work with {dialect.name}+{dialect.driver}: make the engine with "
            "postgresql+psycopg://, which is psycopg 3 (SQLite is for tests)"
        )


def _check_same(runtime: Runtime, keyring: Keyring | None) -> None:
    if keyring is not None and not runtime.uses(keyring):
        raise ConfigurationError(
            "this engine is prepared with another keyring: make another engine for this one"
        )


def _give_functions(connection: Any, record: Any, _proxy: Any) -> None:
    # At checkout and not at connect: a pool may hold connections from before.
    if record.info.get(_REGISTERED) is not connection:
        register_functions(connection)
        record.info[_REGISTERED] = connection


def _one_statement_at_a_time(
    dialect: Any, _record: Any, _args: list[Any], parameters: dict[str, Any]
) -> None:
    factory = AsyncExtendedCursor if dialect.is_async else ExtendedCursor
    parameters.setdefault("cursor_factory", factory)
