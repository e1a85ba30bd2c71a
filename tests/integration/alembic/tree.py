"""A user's project on disk: models, a tree of migrations, and the command line in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fixtures.postgres import Database
from vaultdb.alembic import scaffold

ENV = """
from alembic import context
from {module} import Base

import vaultdb.alembic

vaultdb.alembic.run(context, Base.metadata{options})
"""

MODELS = """
from __future__ import annotations

from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from vaultdb import encrypted


class Base(DeclarativeBase):
    pass


class Patient(Base):
    __tablename__ = "patient"
    id: Mapped[int] = mapped_column(primary_key=True)
    {column}: Mapped[str] = encrypted(str)
"""

REVISION = '''
"""{title}."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import vaultdb.orm

revision = {revision!r}
down_revision = {down!r}


def upgrade() -> None:
{up}


def downgrade() -> None:
{back}
'''


@dataclass
class Project:
    """A folder with `models`, `migrations` and `vaultdb.toml`."""

    folder: Path
    database: Database
    module: str
    revisions: list[str] = field(default_factory=list)

    @property
    def tree(self) -> Path:
        return self.folder / "migrations"

    @property
    def versions(self) -> Path:
        return self.tree / "versions"

    def write_models(self, column: str = "ssn") -> None:
        text = MODELS.replace("{column}", column)
        (self.folder / f"{self.module}.py").write_text(text)

    def write_env(self, options: str = "") -> None:
        self.versions.mkdir(parents=True, exist_ok=True)
        (self.tree / "env.py").write_text(ENV.format(module=self.module, options=options))
        mako = Path(scaffold.__file__).parent / "templates" / "script.py.mako"
        (self.tree / "script.py.mako").write_text(mako.read_text())
        (self.tree / "alembic.ini").write_text(
            "[alembic]\nscript_location = %(here)s\nprepend_sys_path = .\npath_separator = os\n"
        )

    def revise(self, name: str, up: str, back: str = "pass", *, down: Any = ...) -> None:
        """Write a revision whose id is `name`, after the last one unless told."""
        if down is ...:
            down = self.revisions[-1] if self.revisions else None
        text = REVISION.format(
            title=f"Do {name}",
            revision=name,
            down=down,
            up=textwrap.indent(textwrap.dedent(up).strip(), "    "),
            back=textwrap.indent(textwrap.dedent(back).strip(), "    "),
        )
        (self.versions / f"{name}.py").write_text(text.lstrip())
        self.revisions.append(name)

    def table(self, name: str = "one") -> None:
        """Write the revision that makes the models' table."""
        self.revise(
            name,
            """
            op.create_table(
                "patient", sa.Column("id", sa.Integer, primary_key=True),
                sa.Column("ssn", vaultdb.orm.Envelope(), nullable=False),
            )
            """,
            'op.drop_table("patient")',
        )

    def query(self, statement: str, user: str = "") -> list[tuple[Any, ...]]:
        connect = self.database.connect(user) if user else self.database.connect()
        with connect as connection:
            return connection.execute(statement.encode()).fetchall()

    @property
    def version(self) -> list[str]:
        """The revisions that the database says it has."""
        if self.query("SELECT to_regclass('vaultdb_migrations.alembic_version')") == [(None,)]:
            return []
        rows = self.query("SELECT version_num FROM vaultdb_migrations.alembic_version ORDER BY 1")
        return [row[0] for row in rows]

    def has(self, relation: str) -> bool:
        return self.query(f"SELECT to_regclass('{relation}')") != [(None,)]

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start Python in the project's folder."""
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def vaultdb(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `vaultdb` in a process of its own."""
        return self.start("-c", "from vaultdb.cli import main; main()", *arguments)

    def alembic(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run plain Alembic, which knows nothing of vaultdb."""
        command = ("-m", "alembic", "-c", "migrations/alembic.ini", *arguments)
        process = self.start(*command)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def write_settings(self, migrate_url: str) -> None:
        (self.folder / "vaultdb.toml").write_text(
            f'realm = "{self.database.realm}"\nmigrations = "migrations"\nkeys = "local"\n'
            "[database]\n"
            f"url = {json.dumps(self.database.url)}\nmigrate_url = {json.dumps(migrate_url)}\n"
        )
