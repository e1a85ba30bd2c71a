"""Sequencing and verifying a log whose keys are in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from pydantic import SecretStr

from tests.fixtures.postgres import Database
from vaultdb.audit.memory import MemoryAuditKeys
from vaultdb.db.connect import new_engine
from vaultdb.jobs.audit.sequencer import Sequencer
from vaultdb.jobs.audit.signing import NoteSigner
from vaultdb.jobs.audit.verify.findings import Problem
from vaultdb.jobs.audit.verify.run import Verification, verify
from vaultdb.jobs.audit.verify.trust import Kept, Trust
from vaultdb.settings import DatabaseSettings


@dataclass(frozen=True)
class Verifier:
    """The sequencer and the auditor of a database's log."""

    database: Database
    keys: MemoryAuditKeys

    @contextmanager
    def sequencer(self) -> Iterator[Sequencer]:
        url = SecretStr(self.database.url_for("vaultdb_audit_sequencer"))
        engine = new_engine(DatabaseSettings(url=url))
        try:
            yield Sequencer(engine, NoteSigner(str(self.database.realm), self.keys))
        finally:
            engine.dispose()

    def sequence(self) -> int:
        """Give all records their leaves; return how many there are new."""
        added = 0
        with self.sequencer() as sequencer:
            step = sequencer.step()
            while step.added:
                added += step.added
                step = sequencer.step()
        return added

    def trust(self, *kept: Kept, offline: bool = False) -> Trust:
        realm, keys = str(self.database.realm), (self.keys.public_key,)
        if offline:
            return Trust(realm, keys, kept=kept)
        return Trust(realm, keys, self.keys, self.keys, kept)

    def newest(self) -> Kept:
        """Take the newest checkpoint out of the database's reach."""
        with self.database.connect() as connection:
            row = connection.execute(
                "SELECT note FROM vaultdb_audit.checkpoint ORDER BY epoch DESC, size DESC LIMIT 1"
            ).fetchone()
        assert row is not None
        return self.trust().read(row[0])

    def verify(
        self, *kept: Kept, offline: bool = False, unsigned_after: float = 3600.0
    ) -> Verification:
        """Verify by the auditor's own login."""
        url = self.database.url_for("vaultdb_audit_reader")
        with psycopg.connect(url, autocommit=True) as connection:
            return verify(
                connection,
                self.trust(*kept, offline=offline),
                lambda _what, _total: lambda _count: None,
                unsigned_after=unsigned_after,
            )

    def problems(self, *kept: Kept, offline: bool = False) -> list[Problem]:
        return self.verify(*kept, offline=offline).findings.problems
