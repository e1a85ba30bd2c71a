"""How fast the audit log is verified: MACs, leaves, tree and every checkpoint's signature.

Real keys in OpenBao certify the writers, hold the escrow and sign; the log is read over TLS.
"""

from __future__ import annotations

from contextlib import closing

import psycopg

from tests.bench.audit_log import Size, fill
from tests.bench.report import Measurement
from vaultdb.alembic.own import upgrade
from vaultdb.audit.memory import MemoryAuditKeys
from vaultdb.db.connect import new_engine
from vaultdb.db.login.credentials import Credentials
from vaultdb.dev.settings_file import DATABASE
from vaultdb.dev.temporary import temporary_stack
from vaultdb.jobs.audit.verify.run import open_verification, verify
from vaultdb.jobs.audit.verify.trust import Trust
from vaultdb.settings import Settings
from vaultdb.vault.audit_keys import VaultAuditKeys
from vaultdb.vault.escrow_opener import VaultEscrowOpener, VaultWriterKeys

SIZE = Size(chains=96, records=2_500)
PROMISED = 1_000_000 / 30_000
"""Microseconds for one record: 30,000 a second."""


def run(repetitions: int = 1, size: Size = SIZE) -> list[Measurement]:
    """Verify a log of *size* by the auditor's logins, and the same without Vault."""
    del repetitions  # long enough to time once
    with temporary_stack() as stack:
        state = stack.up()
        file = stack.folder.settings
        migrator = Settings.load(file=file, role="migrator")
        upgrade(new_engine(migrator.database), realm=migrator.realm)
        realm, signer = str(migrator.realm), MemoryAuditKeys()
        app = Settings.load(file=file)
        with (
            closing(Credentials(app)) as credentials,
            psycopg.connect(stack.postgres(state).conninfo(DATABASE), autocommit=True) as database,
        ):
            vault = app.vault
            keys = VaultAuditKeys(
                credentials.client, mount=vault.transit_mount, kek=vault.kek, roles=("app",)
            )
            fill(database, realm, keys, signer, size)
        auditor = Settings.load(file=file, role="auditor")
        with open_verification(auditor) as opened:
            client, vault = opened.credentials.client, auditor.vault
            where = {"mount": vault.transit_mount, "kek": vault.kek}
            full = Trust(
                realm,
                (signer.public_key,),
                VaultEscrowOpener(client, **where),
                VaultWriterKeys(client, **where),
            )
            offline = Trust(realm, (signer.public_key,))
            found = [verify(opened.connection, trust, _quiet) for trust in (full, offline)]
    for each in found:
        assert each.is_good, each.findings.first
        assert each.events == size.total
    return [
        Measurement(
            f"verify {size.total:,} audit events in {size.chains} chains, each",
            found[0].seconds / size.total * 1e6,
            "µs",
            target=PROMISED,
        ),
        Measurement(
            "the same offline: tree and signatures", found[1].seconds / size.total * 1e6, "µs"
        ),
    ]


def _quiet(_what: str, _total: int):
    return lambda _count: None
