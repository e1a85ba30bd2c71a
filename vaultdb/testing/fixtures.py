"""The plugin's fixtures; what they need is imported inside them, so that loading them is free."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import pytest

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.ext.asyncio import AsyncEngine

    from vaultdb.dev.stack import DevStack
    from vaultdb.keys.keyring import Keyring
    from vaultdb.testing.auditing import RecordingAuditor

    AnyEngine = TypeVar("AnyEngine", Engine, AsyncEngine)


@pytest.fixture(scope="session")
def vaultdb_keyring() -> Iterator[Keyring]:
    """Return a keyring in memory that creates each key at its first use.

    It lives as long as the session, so that engines of any scope can share it. A test that needs
    one of its own, to rotate or to disable keys, makes it with `vaultdb.testing.memory_keyring`.
    """
    from vaultdb.testing.memory import memory_keyring  # noqa: PLC0415

    with closing(memory_keyring()) as keyring:
        yield keyring


@pytest.fixture(scope="session")
def vaultdb_install(vaultdb_keyring: Keyring) -> Callable[[AnyEngine], AnyEngine]:
    """Return a function that prepares an engine, sync or async, with `vaultdb_keyring`."""
    from vaultdb.engine import install  # noqa: PLC0415

    return partial(install, keyring=vaultdb_keyring)


@pytest.fixture
def vaultdb_url() -> str:
    """Return the URL that `vaultdb_engine` connects to.

    Override it in `conftest.py` to run on PostgreSQL. The login must be allowed to create the
    schema `vaultdb`.
    """
    return "sqlite://"


@pytest.fixture
def vaultdb_engine(
    vaultdb_url: str, vaultdb_install: Callable[[Engine], Engine]
) -> Iterator[Engine]:
    """Return a prepared engine on `vaultdb_url`; on PostgreSQL, vaultdb's schema is migrated."""
    from vaultdb.testing.memory import memory_engine  # noqa: PLC0415

    engine = vaultdb_install(memory_engine(vaultdb_url))
    try:
        yield engine
    finally:
        engine.dispose()


@pytest.fixture
def vaultdb_audit(vaultdb_engine: Engine) -> RecordingAuditor:
    """Return what keeps the audit events of `vaultdb_engine` in memory, in strict mode."""
    from vaultdb.orm.runtime import runtime_of  # noqa: PLC0415
    from vaultdb.testing.auditing import RecordingAuditor  # noqa: PLC0415

    auditor = RecordingAuditor()
    runtime_of(vaultdb_engine.dialect).audit_with(auditor)
    return auditor


@pytest.fixture(scope="session")
def vaultdb_dev_stack() -> Iterator[DevStack]:
    """Return a private OpenBao and PostgreSQL, as `vaultdb dev up` starts them.

    Settings for them: `Settings.load(file=vaultdb_dev_stack.folder.settings)`. They are stopped,
    and everything they stored is deleted, after the last test.
    """
    from vaultdb.dev.temporary import temporary_stack  # noqa: PLC0415

    with temporary_stack() as stack:
        yield stack
