"""A rotation that is killed again and again converges, and loses nothing."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.bulk_keys import store_many, wrap_many
from tests.fixtures.openbao import OpenBao
from tests.fixtures.postgres import Database
from tests.integration.cli.conftest import write_settings
from tests.killed_rotation import Rotation

KEYS = 8_000
KILLS = 10


@pytest.mark.chaos
@pytest.mark.slow
def test_a_rotation_killed_at_ten_random_points_converges(
    own_openbao: OpenBao, database: Database, tmp_path: Path
) -> None:
    settings_file = tmp_path / "vaultdb.toml"
    write_settings(settings_file, database, own_openbao)
    keys = wrap_many(own_openbao.admin, database.realm, KEYS)
    with database.connect() as connection:
        store_many(connection, keys)
    rotation = Rotation(database, settings_file, keys)
    points = sorted(random.sample(range(KEYS // 2), KILLS))  # pytest-randomly prints the seed
    for point in points:
        rotation.run_and_kill_at(point)
    rotation.run_to_the_end()
    rotation.assert_nothing_is_lost(kek_version=2)
