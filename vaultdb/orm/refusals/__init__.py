"""Refuse statements that cannot work on encrypted columns, before anything reaches the server."""

from __future__ import annotations

from sqlalchemy.engine import Dialect

from vaultdb.orm.refusals.compiler import refusing

__all__ = ["install_refusals"]


def install_refusals(dialect: Dialect) -> None:
    """Make every statement that `dialect` compiles pass the walk; a second call changes nothing.

    The walk is the compilation itself, so its verdict lives exactly as long as the compiled
    object: a statement from SQLAlchemy's cache pays nothing, and a refused one is never cached.
    Clear the compiled cache of an engine that has run statements before.
    """
    dialect.statement_compiler = refusing(dialect.statement_compiler)
