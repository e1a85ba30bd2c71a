"""Workers in processes open everything for themselves; one that is killed is replaced."""

from __future__ import annotations

import base64
import os
import signal
from functools import partial

import pytest
from sqlalchemy import Integer

from tests.integration.jobs.keys import Keys
from tests.integration.jobs.people import contents, fill, key_ids, table_of
from vaultdb.jobs.reencrypt.target import reencrypt_spec
from vaultdb.jobs.work.job import JobState
from vaultdb.jobs.work.opening import OpenTools
from vaultdb.jobs.work.runner import run_job
from vaultdb.jobs.work.split import split_table
from vaultdb.jobs.work.throttle import NoThrottle
from vaultdb.jobs.work.worker import Patience
from vaultdb.settings import Settings
from vaultdb.vault.providers.local import LocalProvider


def metadata():
    """Return the models, in the worker."""
    return table_of(("id", Integer())).metadata


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_worker_that_is_killed_is_replaced_and_its_chunk_is_finished(
    database, store, engine, tmp_path
):
    file = tmp_path / "kek"
    file.touch(mode=0o600)
    file.write_bytes(base64.b64encode(os.urandom(32)) + b"\n")
    keys = Keys(database, LocalProvider(file))
    table = table_of(("id", Integer()))
    fill(database, keys.app(), table, [(n,) for n in range(240)])
    before = contents(keys.app(), table)
    new = keys.new()
    settings = Settings.model_validate(
        {
            "realm": database.realm,
            "keys": "local",
            "local": {"kek_file": file},
            "database": {"url": database.rotator_url},
        }
    )
    job = store.start(
        "reencrypt",
        "Odd table",
        reencrypt_spec(table),
        split=lambda c: split_table(c, table, chunk_rows=80),
    )
    killed = []

    def kill_one(progress):
        if not killed and 0 < progress.changed < 240:
            with database.connect() as connection:
                statement = "SELECT worker FROM vaultdb.job_chunk WHERE lease_until > now()"
                found = connection.execute(statement).fetchone()
            if found is not None and found[0] is not None:
                killed.append(int(found[0].split(":")[1]))
                os.kill(killed[0], signal.SIGKILL)

    opener = OpenTools(settings, metadata, partial(NoThrottle, 2))
    with opener() as tools:
        result = run_job(
            job.id, tools, workers=2, opener=opener, progress=kill_one, patience=Patience(lease=2.0)
        )
    assert killed
    assert (result.job.state, result.changed, result.remaining) == (JobState.FINISHED, 240, 0)
    assert key_ids(database, table, "secret") == {new.key_id}
    assert contents(keys.app(), table) == before
    keys.close()
