"""Which tables a migration locks, and whom each lock keeps out."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

from vaultdb.alembic.statements import shipped

# PostgreSQL's modes, weakest first, and what each keeps others from (section 13.3 of its manual).
STRENGTH = {
    "AccessShareLock": "keeps out nothing but DDL that rewrites",
    "RowShareLock": "keeps out nothing but DDL that rewrites",
    "RowExclusiveLock": "keeps out nothing but DDL",
    "ShareUpdateExclusiveLock": "keeps out vacuum and other DDL; reads and writes go on",
    "ShareLock": "keeps out writes",
    "ShareRowExclusiveLock": "keeps out writes",
    "ExclusiveLock": "keeps out writes and SELECT FOR UPDATE",
    "AccessExclusiveLock": "keeps out reads and writes",
}
_RANK = {mode: rank for rank, mode in enumerate(STRENGTH)}
_WORTH_TELLING = _RANK["ShareUpdateExclusiveLock"]
_LOCKS = shipped("locks")
_RELATIONS = text("SELECT oid::bigint FROM pg_catalog.pg_class WHERE relkind IN ('r','p','v','m')")


@dataclass(frozen=True, slots=True)
class TableLock:
    """The strongest lock on one table."""

    relation: str
    """Schema and name, quoted where they need it."""
    mode: str
    is_new: bool
    """The table was made by the migration itself, so nobody waits for it."""

    @property
    def effect(self) -> str:
        """What it keeps others from."""
        return "nobody waits: the table is new" if self.is_new else STRENGTH[self.mode]


class LockWatch:
    """Tells which locks the current transaction took since it was last asked."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._before = set(connection.scalars(_RELATIONS))
        self._told: dict[str, int] = {}

    def taken(self) -> tuple[TableLock, ...]:
        """Return new or stronger locks, strongest first; those of plain reads and writes not."""
        strongest: dict[str, tuple[int, str, bool]] = {}
        for row in self._connection.execute(_LOCKS):
            found = (_RANK.get(row.mode, 0), row.mode, row.oid not in self._before)
            strongest[row.relation] = max(found, strongest.get(row.relation, found))
        fresh = [
            (rank, TableLock(relation, mode, is_new))
            for relation, (rank, mode, is_new) in strongest.items()
            if rank >= _WORTH_TELLING and rank > self._told.get(relation, -1)
        ]
        self._told |= {lock.relation: rank for rank, lock in fresh}
        fresh.sort(key=lambda pair: (pair[1].is_new, -pair[0], pair[1].relation))
        return tuple(lock for _, lock in fresh)
