"""A user's project with a migrated database, and `vaultdb` run in it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.postgres import Database
from tests.integration.alembic.tree import Project
from tests.integration.cli.conftest import Run, run

__all__ = ["Run", "run"]


@pytest.fixture
def project(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Project]:
    """A project with models and a tree without a revision."""
    made = Project(tmp_path, database, f"models_{database.name}")
    made.write_models()
    made.write_env()
    made.write_settings(database.migrate_url)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield made
    sys.modules.pop(made.module, None)
