"""How long a rotation of 100,000 data keys takes, on private servers over TLS."""

from __future__ import annotations

from contextlib import closing
from time import perf_counter

import psycopg

from tests.bench.report import Measurement
from tests.bulk_keys import store_many, wrap_many
from vaultdb.alembic.own import upgrade
from vaultdb.db.connect import new_engine
from vaultdb.db.keystore import PostgresKeyStore
from vaultdb.db.rewraps import RewrapTable
from vaultdb.dev.settings_file import DATABASE
from vaultdb.dev.temporary import temporary_stack
from vaultdb.jobs.rewrap import plan
from vaultdb.jobs.rewrap import run as rotate
from vaultdb.jobs.verify import verify
from vaultdb.settings import Settings
from vaultdb.vault.factory import new_provider

KEYS = 100_000
PROMISED_SECONDS = 30.0


def run(repetitions: int = 1, keys: int = KEYS) -> list[Measurement]:
    """Rotate the KEK and rewrap *keys* data keys, then verify them."""
    del repetitions  # a rotation is long enough to time once
    with temporary_stack() as stack:
        state = stack.up()
        file = stack.folder.settings
        migrator = Settings.load(file=file, role="migrator")
        rotator = Settings.load(file=file, role="rotator")
        upgrade(new_engine(migrator.database), realm=migrator.realm)
        admin = stack.openbao(state).admin()
        with psycopg.connect(stack.postgres(state).conninfo(DATABASE), autocommit=True) as db:
            store_many(db, wrap_many(admin, rotator.realm, keys))
        opener = Settings.load(file=file, role="reencryptor")
        with closing(PostgresKeyStore(rotator.database)) as store:
            table = RewrapTable(store, rotator.realm)
            with closing(new_provider(rotator)) as provider:
                agreed = plan(provider, table)
                assert agreed.rewraps == keys
                start = perf_counter()
                done = rotate(agreed, provider, table)
                rewrapping = perf_counter() - start
            assert done.rewrapped == keys, done.failures[:3]
            with closing(new_provider(opener)) as provider:
                start = perf_counter()
                assert verify(provider, table).verified == keys
                verifying = perf_counter() - start
    promised = PROMISED_SECONDS if keys == KEYS else None
    return [
        Measurement(f"rotate and rewrap {keys:,} keys", rewrapping, "s", target=promised),
        Measurement(f"verify {keys:,} keys", verifying, "s"),
    ]
