"""What somebody with the database in hands sees: `psql` and `pg_dump`, without vaultdb."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from vaultdb.dev.binaries import find_postgres
from vaultdb.errors import DevStackError

COPY: LiteralString = "COPY patient TO STDOUT"


@dataclass(frozen=True, slots=True, repr=False)
class Clients:
    """PostgreSQL's own client programs, logged in as the superuser; psycopg where they lack.

    Args:
        conninfo: a libpq connection string with a password, secret.

    """

    conninfo: str

    def show(self, patient: UUID, columns: Sequence[str]) -> list[str]:
        """Return columns of one patient as `psql` prints them."""
        query = sql.SQL("SELECT {} FROM patient WHERE id = {}").format(
            sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Literal(str(patient))
        )
        program = _program("psql")
        if program is None:
            with psycopg.connect(self.conninfo) as connection:
                row = connection.execute(query).fetchone() or ()
            return [f"\\x{value.hex()}" for value in row]
        printed = self._run(
            program, "--no-psqlrc", "--tuples-only", "--no-align", "-c", query.as_string()
        )
        return printed.decode().strip().split("|")

    def schema(self) -> bytes:
        """Return the database without its rows, as `pg_dump` writes it."""
        program = _program("pg_dump")
        return self._run(program, "--schema-only") if program is not None else b""

    def dump(self) -> bytes:
        """Return the whole database as `pg_dump` writes it."""
        program = _program("pg_dump")
        if program is not None:
            return self._run(program)
        with (
            psycopg.connect(self.conninfo) as connection,
            connection.cursor() as cursor,
            cursor.copy(COPY) as copy,
        ):
            return b"".join(bytes(block) for block in copy)

    def _run(self, program: Path, *arguments: str) -> bytes:
        # A password among the arguments would be in the process list.
        options: dict[str, Any] = conninfo_to_dict(self.conninfo)
        environment = os.environ | {"PGPASSWORD": str(options.pop("password", ""))}
        done = subprocess.run(
            [str(program), *arguments, "--dbname", make_conninfo(**options)],
            env=environment,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise DevStackError(f"{program.name} failed: {done.stderr.decode().strip()}")
        return done.stdout


def _program(name: str) -> Path | None:
    """Prefer the server's own version: an older pg_dump refuses a newer server."""
    beside_server = find_postgres().folder / name
    if beside_server.exists():
        return beside_server
    found = shutil.which(name)
    return Path(found) if found else None
