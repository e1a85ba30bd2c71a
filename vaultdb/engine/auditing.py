"""The auditor of an engine's settings, opened at first use."""

from __future__ import annotations

import getpass
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from functools import cache
from typing import Final
from uuid import UUID

from vaultdb.audit.auditor import Auditor, NullAuditor
from vaultdb.audit.keys import AuditKeys
from vaultdb.audit.memory import MemoryAuditKeys
from vaultdb.db.auditlog.auditor import PostgresAuditor
from vaultdb.db.login.credentials import Credentials
from vaultdb.db.tls import TransportWarning
from vaultdb.db.url import normalise_url
from vaultdb.guard.principal import Acting
from vaultdb.settings import Settings
from vaultdb.settings.audit import UNAUDITED
from vaultdb.settings.model import Role
from vaultdb.vault.audit_keys import VaultAuditKeys

_WAITING: Final = (
    "audit.mode is strict behind a pooler: each read needs a second session while its transaction"
    " holds one, so as many transactions as the pooler has sessions can wait for each other until"
    " they are refused; set database.primary_url to sessions of their own, such as another database"
    " name of the pooler"
)

AuditorOpener = Callable[[], AbstractContextManager[Auditor]]


def auditor_for(
    settings: Settings, credentials: Credentials, *, role: Role | None = None
) -> AuditorOpener | None:
    """Return a function that opens the auditor of these settings, and closes it afterwards.

    Args:
        settings: of the role that reads and writes.
        credentials: of these settings; the caller closes them, later.
        role: the role, unless the settings were loaded for it; by default the app.

    Returns:
        None where no log is kept: by the mode, or because the database is SQLite.

    """
    if settings.audit_mode == "off" or _is_sqlite(settings):
        return None
    vault_role = role or settings.role or "app"

    @contextmanager
    def opened() -> Iterator[Auditor]:
        keys = audit_keys(settings, credentials, vault_role)
        with closing(PostgresAuditor(settings, keys, credentials)) as auditor:
            yield auditor

    return opened


def warn_of_waiting(settings: Settings) -> None:
    """Warn where transactions that read may wait for each other, and for nothing else."""
    database = settings.database
    if (
        settings.audit_mode == "strict"
        and database.pooler != "none"
        and database.primary_url is None
    ):
        warnings.warn(_WAITING, TransportWarning, stacklevel=2)


@contextmanager
def open_auditor(settings: Settings, role: Role | None = None) -> Iterator[Auditor]:
    """Open the auditor of a job or a command, and close it afterwards.

    Args:
        settings: of the role that works.
        role: the role, unless the settings were loaded for it; by default the app.

    """
    with closing(Credentials(settings)) as credentials:
        opener = auditor_for(settings, credentials, role=role)
        if opener is None:
            yield NullAuditor()
            return
        with opener() as auditor:
            yield auditor


def operator() -> Acting:
    """Return who runs a command, as the audit log shall name them: the user of the machine."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in a container
        name = "unknown"
    return Acting(f"operator:{name}")


def audit_keys(settings: Settings, credentials: Credentials, role: str | None = None) -> AuditKeys:
    """Return the keys of the log for a role; by default that of the settings."""
    role = role or settings.role or "app"
    if settings.keys in UNAUDITED:
        return memory_audit_keys(settings.realm, role)
    vault = settings.vault
    # A role without a section of its own in the settings logs in to Vault as the application.
    return VaultAuditKeys(
        credentials.client, mount=vault.transit_mount, kek=vault.kek, roles=(role, "app")
    )


@cache
def memory_audit_keys(_realm: UUID, role: str) -> MemoryAuditKeys:
    """Stand in for Vault, for logs that only this process can verify."""
    return MemoryAuditKeys(role)


def _is_sqlite(settings: Settings) -> bool:
    url = settings.database.url
    return url is not None and (
        normalise_url(url.get_secret_value()).get_backend_name() == "sqlite"
    )
