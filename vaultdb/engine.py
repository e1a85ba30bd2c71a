"""Engines that encrypt: make one, or prepare one that exists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from vaultdb.orm.execution import encrypting
from vaultdb.orm.redaction import install_redaction
from vaultdb.orm.refusals import install_refusals
from vaultdb.orm.runtime import ATTRIBUTE, Runtime
from vaultdb.orm.scope import follow_sessions
from vaultdb.orm.writing import intercept_writes

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from vaultdb.keys.keyring import Keyring


def install(engine: Any, *, keyring: Keyring, tenant: str = "") -> Any:
    """Prepare an engine that exists (first cut)."""
    sync: Engine = getattr(engine, "sync_engine", engine)
    sync = getattr(sync, "_proxied", sync)
    dialect: Any = sync.dialect
    if getattr(dialect, ATTRIBUTE, None) is not None:
        return engine
    install_refusals(dialect)
    install_redaction(sync)
    dialect.execution_ctx_cls = encrypting(dialect.execution_ctx_cls)
    setattr(dialect, ATTRIBUTE, Runtime(keyring, tenant))
    intercept_writes(sync)
    follow_sessions()
    return engine


def create_engine(url: Any, *, keyring: Keyring, **options: Any) -> Engine:
    """Make an engine (first cut)."""
    return install(sa.create_engine(url, **options), keyring=keyring)
