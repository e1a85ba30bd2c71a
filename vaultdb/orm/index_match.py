"""The search for values by their blind index, as a part of a statement."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BindParameter, Boolean, ColumnElement, FromClause, func
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.visitors import InternalTraversal

from vaultdb.errors import StatementRefused


class IndexMatch(ColumnElement[bool]):
    """`companion = ANY(:digests)`: the same SQL however many index keys are live.

    Args:
        companion: the companion column, as seen from the FROM element of the encrypted column.
        probe: the parameter.
        negated: whether the rows are wanted that do not match.

    """

    __visit_name__ = "vaultdb_index_match"
    inherit_cache = True
    _is_implicitly_boolean = True
    _traverse_internals = [  # noqa: RUF012  # as SQLAlchemy declares it
        ("companion", InternalTraversal.dp_clauseelement),
        ("probe", InternalTraversal.dp_clauseelement),
        ("negated", InternalTraversal.dp_boolean),
    ]

    def __init__(
        self, companion: ColumnElement[Any], probe: BindParameter[Any], *, negated: bool
    ) -> None:
        self.companion = companion
        self.probe = probe
        self.negated = negated
        self.type = Boolean()

    @property
    def _from_objects(self) -> list[FromClause]:
        # A condition brings its table into FROM: `select(func.count()).where(...)`, exists().
        tables: list[FromClause] = self.companion._from_objects  # noqa: SLF001
        return tables

    def _negate(self) -> IndexMatch:
        # ~match; NULL matches neither way, as with = and <>.
        return IndexMatch(self.companion, self.probe, negated=not self.negated)


@compiles(IndexMatch, "postgresql")
def _postgresql(element: IndexMatch, compiler: SQLCompiler, **kw: Any) -> str:
    companion = compiler.process(element.companion, **kw)
    probe = compiler.process(element.probe, **kw)
    return f"{companion} {'<> ALL' if element.negated else '= ANY'} ({probe})"


@compiles(IndexMatch, "sqlite")
def _sqlite(element: IndexMatch, compiler: SQLCompiler, **kw: Any) -> str:
    companion = compiler.process(element.companion, **kw)
    digests = compiler.process(func.json_each(element.probe), **kw)
    among = "NOT IN" if element.negated else "IN"
    found = f"lower(hex({companion})) {among} (SELECT value FROM {digests})"  # noqa: S608
    return f"({companion} IS NOT NULL AND {found})"


@compiles(IndexMatch)
def _elsewhere(element: IndexMatch, compiler: SQLCompiler, **kw: Any) -> str:
    if compiler.dialect.name == "default":  # for str(), and where SQLAlchemy looks at a statement
        return str(_postgresql(element, compiler, **kw))
    raise StatementRefused(
        f"blind indexes work on PostgreSQL, and on SQLite in tests, not on {compiler.dialect.name}"
    )
