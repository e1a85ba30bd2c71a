"""Make a folder of revisions from their upgrades, and look at it with the rules."""

from __future__ import annotations

import textwrap
from pathlib import Path

from sqlalchemy import MetaData

from vaultdb.alembic.lints import Finding, check

HEAD = """from alembic import op
import sqlalchemy as sa
import vaultdb.alembic.operations
import vaultdb.orm

revision = "{number:04d}"
down_revision = {before}


def upgrade():
"""
FIRST_LINE = HEAD.count("\n") + 1
"""Of an upgrade's body."""

PATIENT = """op.create_table(
    "patient",
    sa.Column("id", sa.BigInteger, primary_key=True),
    sa.Column("clinic_id", sa.BigInteger),
    sa.Column("city", sa.Text),
    sa.Column("ssn", vaultdb.orm.Envelope()),
)
"""


def write(folder: Path, *upgrades: str) -> Path:
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_text("")
    for number, upgrade in enumerate(upgrades, 1):
        before = repr(f"{number - 1:04d}") if number > 1 else None
        body = textwrap.indent(textwrap.dedent(upgrade), "    ")
        source = HEAD.format(number=number, before=before) + body
        (folder / "versions" / f"{number:04d}_step.py").write_text(source)
    return folder


def look_at(folder: Path, *upgrades: str, metadata: MetaData | None = None) -> list[Finding]:
    return check(write(folder, *upgrades), metadata)
