"""Autogenerate that knows encrypted columns and declared access; importing this registers it.

It is a plugin of Alembic (1.18), switched on by `options()` for the environment that merges them:
nobody else's comparisons change. There is no entry point: it would make every `import alembic`
import SQLAlchemy's and vaultdb's modules, half of which import Alembic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import MetaData

import vaultdb.alembic.operations  # noqa: F401  # registers the operations
from vaultdb.alembic.autogenerate import plugin
from vaultdb.alembic.autogenerate.rendering import render_item
from vaultdb.db.role_names import RoleNames

__all__ = ["options", "render_item"]

plugin.register()


def options(metadata: MetaData, *, names: RoleNames | None = None) -> dict[str, Any]:
    """Return what `context.configure` needs for this metadata.

    Args:
        metadata: the application's, with declared access.
        names: the capability roles; by default with the usual prefix, or what the environment
            gives as `vaultdb_role_names`.

    Returns:
        Keyword arguments; whoever has a `render_item` or `include_name` of their own calls both.

    """
    schemas = {table.schema for table in metadata.tables.values()}
    return {
        "autogenerate_plugins": ["alembic.autogenerate.*", plugin.PATTERN],
        "render_item": render_item,
        "include_schemas": bool(schemas - {None}),
        "include_name": _names_in(schemas),
        **({} if names is None else {plugin.ROLE_NAMES: names}),
    }


def _names_in(schemas: set[str | None]) -> Callable[[str | None, str, Any], bool]:
    def include_name(name: str | None, kind: str, parents: Any) -> bool:
        """Look into the schemas of the metadata only; the default schema's name is None."""
        del parents
        return kind != "schema" or name is None or name in schemas

    return include_name
