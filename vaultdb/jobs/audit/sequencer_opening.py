"""From the sequencer's settings to its connection, its signer and its sinks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import cast

from sqlalchemy import Engine, QueuePool

from vaultdb.audit.auditor import Auditor, NullAuditor
from vaultdb.db.connect import new_engine
from vaultdb.db.deadline import give_up_after
from vaultdb.db.login.credentials import Credentials
from vaultdb.db.primary import on_primary
from vaultdb.engine.auditing import auditor_for
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.audit.signing import NoteSigner
from vaultdb.jobs.audit.sinks.exporter import Exporter
from vaultdb.settings import Settings
from vaultdb.settings.audit import UNAUDITED
from vaultdb.vault.checkpoint_signer import VaultCheckpointSigner

ANSWER_TIMEOUT = 60.0
"""Seconds for one answer of the server; a batch takes less than one."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What sequencing needs.

    Args:
        settings: of the sequencer.
        engine: of its login, with one connection.
        signer: signs by its Vault login.
        exporter: has its sinks.
        auditor: records in its name; opens nothing before its first event.

    """

    settings: Settings
    engine: Engine
    signer: NoteSigner
    exporter: Exporter
    auditor: Auditor


@contextmanager
def open_sequencer(settings: Settings) -> Iterator[Opened]:
    """Open what the sequencer's settings name, and close it afterwards.

    Raises:
        ConfigurationError: a setting is missing, or the keys are not in Vault.

    """
    with ExitStack() as stack:
        credentials = stack.enter_context(closing(Credentials(settings)))
        signer = NoteSigner(str(settings.realm), vault_signer(settings, credentials))
        audit = settings.audit
        exporter = stack.enter_context(Exporter.opened(audit.checkpoints, audit.sinks))
        engine = new_engine(
            cast("Settings", on_primary(settings)),
            credentials=credentials,
            poolclass=QueuePool,
            pool_size=1,
            max_overflow=0,
            pool_pre_ping=True,
        )
        give_up_after(engine, ANSWER_TIMEOUT)
        stack.callback(engine.dispose)
        opener = auditor_for(settings, credentials, role="sequencer")
        auditor = stack.enter_context(opener()) if opener else NullAuditor()
        yield Opened(settings, engine, signer, exporter, auditor)


def vault_signer(settings: Settings, credentials: Credentials) -> VaultCheckpointSigner:
    """Return who signs checkpoints by the settings' Vault login.

    Raises:
        ConfigurationError: the keys are not in Vault.

    """
    if settings.keys in UNAUDITED:
        raise ConfigurationError(
            f'checkpoints of the audit log are signed by vault, and keys = "{settings.keys}" is'
            ' without one; set keys = "vault"'
        )
    vault = settings.vault
    return VaultCheckpointSigner(credentials.client, mount=vault.transit_mount, kek=vault.kek)
