"""The server's own files, read by an administrator over the connection."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vaultdb.db.shipped_sql import shipped_sql

if TYPE_CHECKING:
    import psycopg

CHUNK = 4 << 20
"""Bytes that are fetched at a time; whole pages of the WAL."""

_READ = "SELECT pg_catalog.pg_read_binary_file(%s, %s, %s, true)"
_SIZE = "SELECT size FROM pg_catalog.pg_stat_file(%s, true)"
_WAL = (
    "SELECT 'pg_wal/' || name FROM pg_catalog.pg_ls_waldir()"
    " WHERE name ~ '^[0-9A-F]{24}' ORDER BY 1"
)
_LOGS = (
    "SELECT pg_catalog.current_setting('log_directory') || '/' || name"
    " FROM pg_catalog.pg_ls_logdir() ORDER BY 1"
)
_RELATIONS = shipped_sql("vaultdb.jobs.adopt", "relations").encode()
_STATISTICS = shipped_sql("vaultdb.jobs.adopt", "statistics").encode()


@dataclass(frozen=True, slots=True)
class Place:
    """Something that is looked into.

    Args:
        kind: table, toast, index, statistics, wal, log or elsewhere.
        name: of the relation, or of all files together.
        files: their paths, as the server knows them.

    """

    kind: str
    name: str
    files: tuple[str, ...]


class ServerFiles:
    """Finds and reads the files that may hold values of a table.

    Args:
        driver: by an administrator's login, who may read files.

    """

    def __init__(self, driver: psycopg.Connection[Any]) -> None:
        self._driver = driver

    def places(self, table: str, *, everywhere: bool = False) -> Iterator[Place]:
        """Return every place on this server.

        Args:
            table: its name, quoted.
            everywhere: look into every relation of the database.

        """
        found = {"table": table, "everywhere": everywhere}
        for kind, name, path in self._driver.execute(_RELATIONS, found).fetchall():
            yield Place(kind, name, tuple(self._segments(path)))
        yield Place("wal", "pg_wal", tuple(self.wal()))
        logs = self._column(_LOGS) if self._collects_logs() else []
        if logs:
            yield Place("log", "server log", tuple(logs))

    def wal(self) -> list[str]:
        """Return the segments of the WAL, also those that are kept to be used again."""
        return self._column(_WAL)

    def read(self, path: str) -> Iterator[bytes]:
        """Return a file in chunks; one that has gone meanwhile holds nothing."""
        at = 0
        while True:
            found = self._driver.execute(_READ, [path, at, CHUNK], binary=True).fetchone()
            chunk = bytes(found[0]) if found and found[0] is not None else b""
            if chunk:
                yield chunk
            if len(chunk) < CHUNK:
                return
            at += CHUNK

    def statistics(self, table: str) -> bytes:
        """Return what the planner knows, as text: in the file it may be compressed."""
        return "\n".join(self._column(_STATISTICS, {"table": table})).encode()

    def _segments(self, path: str) -> Iterator[str]:
        number, segment = 0, path
        while self._driver.execute(_SIZE, [segment]).fetchone() != (None,):
            yield segment
            number += 1
            segment = f"{path}.{number}"

    def _collects_logs(self) -> bool:
        return self._column("SELECT pg_catalog.current_setting('logging_collector')") == ["on"]

    def _column(self, query: Any, parameters: Any = None) -> list[str]:
        return [row[0] for row in self._driver.execute(query, parameters).fetchall() if row[0]]
