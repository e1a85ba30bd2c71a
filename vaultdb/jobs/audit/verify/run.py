"""One verification of the whole log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, cast

import psycopg
from sqlalchemy.pool import NullPool

from vaultdb.audit.auditor import Auditor, NullAuditor
from vaultdb.audit.event import Event
from vaultdb.audit.kinds import AUDIT_VERIFIED
from vaultdb.db.connect import new_engine
from vaultdb.db.failures import plain_failures
from vaultdb.db.login.credentials import Credentials
from vaultdb.db.primary import on_primary
from vaultdb.engine.auditing import auditor_for, operator
from vaultdb.errors import AuditUnavailable
from vaultdb.jobs.audit.sequencer_opening import vault_signer
from vaultdb.jobs.audit.verify.agreement import (
    UNSIGNED_AFTER,
    check_cuts,
    check_heads,
    check_waiting,
)
from vaultdb.jobs.audit.verify.chains import check_chains
from vaultdb.jobs.audit.verify.findings import Findings
from vaultdb.jobs.audit.verify.source import Source
from vaultdb.jobs.audit.verify.tree import check_tree
from vaultdb.jobs.audit.verify.trust import Trust
from vaultdb.settings import Settings
from vaultdb.vault.escrow_opener import VaultEscrowOpener, VaultWriterKeys

Tell = Callable[[str, int], Callable[[int], None]]
"""Told what is done next and how many items it has; returns what is told of items done."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found.

    Args:
        findings: problems and remarks.
        events: records that were read.
        leaves: the size of the tree.
        unsequenced: records without a leaf yet.
        offline: whether the chains' MACs were left out.
        seconds: how long it took.

    """

    findings: Findings
    events: int
    leaves: int
    unsequenced: int
    offline: bool
    seconds: float

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings.total


def verify(
    connection: psycopg.Connection[Any],
    trust: Trust,
    tell: Tell,
    *,
    unsigned_after: float = UNSIGNED_AFTER,
) -> Verification:
    """Verify the log in one snapshot.

    Args:
        connection: of the auditor, with no transaction under way.
        trust: what is believed; nothing in the database is.
        tell: shows progress.
        unsigned_after: seconds that a record may wait for its leaf.

    Raises:
        VaultError: Vault does not open the escrow now.

    """
    began = time.monotonic()
    findings = Findings()
    with Source.of(connection) as source:
        said = check_chains(source, trust, findings, tell("records", source.count("event")))
        leaves = check_tree(source, trust, findings, tell("leaves", source.count("leaf")))
        check_cuts(source, said, findings, offline=trust.is_offline)
        for problem in source.shapes.problems:
            findings.add(problem)
    check_heads(said, findings)
    check_waiting(said, findings, unsigned_after)
    if trust.is_offline:
        findings.remarks.append(
            "offline: the tree and its signatures were verified, not who wrote each record"
        )
    if not trust.kept:
        findings.remarks.append(
            "no exported checkpoints were given: whether the whole log was rolled back cannot be"
            " seen; say --checkpoints FILE"
        )
    if said.unsequenced:
        findings.remarks.append(
            f"{said.unsequenced:,} records have no leaf yet: whether more were removed from the"
            " end of a chain can only be seen by heartbeats; run vaultdb audit checkpoint"
        )
    seconds = time.monotonic() - began
    return Verification(findings, said.events, leaves, said.unsequenced, trust.is_offline, seconds)


@dataclass(frozen=True, slots=True)
class Opened:
    """What a verification needs of the settings.

    Args:
        connection: of the auditor.
        credentials: whose Vault login opens the escrow.
        auditor: records that the log was verified.

    """

    connection: psycopg.Connection[Any]
    credentials: Credentials
    auditor: Auditor


@contextmanager
def open_verification(settings: Settings) -> Iterator[Opened]:
    """Connect as the auditor, and close everything afterwards."""
    with closing(Credentials(settings)) as credentials:
        engine = new_engine(
            cast("Settings", on_primary(settings)), credentials=credentials, poolclass=NullPool
        )
        opener = auditor_for(settings, credentials, role="auditor")
        try:
            with plain_failures("read the audit log", unavailable=AuditUnavailable):
                lent = engine.raw_connection()
            try:
                connection = cast("psycopg.Connection[Any]", lent.driver_connection)
                with plain_failures("read the audit log", unavailable=AuditUnavailable):
                    if opener is None:
                        yield Opened(connection, credentials, NullAuditor())
                    else:
                        with opener() as auditor:
                            yield Opened(connection, credentials, auditor)
            finally:
                lent.close()
        finally:
            engine.dispose()


def vault_trust(
    settings: Settings, credentials: Credentials, *, public_keys: tuple[bytes, ...] | None = None
) -> Trust:
    """Believe Vault, by the auditor's login.

    Args:
        settings: of the auditor.
        credentials: of these settings.
        public_keys: that sign checkpoints, from outside; None asks Vault for them, too.

    Raises:
        VaultError: Vault does not answer, or the login is not the auditor's.

    """
    client, vault = credentials.client, settings.vault
    mount, kek = vault.transit_mount, vault.kek
    return Trust(
        str(settings.realm),
        public_keys or vault_signer(settings, credentials).public_keys,
        VaultEscrowOpener(client, mount=mount, kek=kek),
        VaultWriterKeys(client, mount=mount, kek=kek),
    )


def record_verification(auditor: Auditor, found: Verification) -> None:
    """Record that somebody verified the log, and how it ended."""
    outcome = "good" if found.is_good else f"{found.findings.total} problems"
    auditor.commit(Event(AUDIT_VERIFIED, {"size": found.leaves, "outcome": outcome}, operator()))
