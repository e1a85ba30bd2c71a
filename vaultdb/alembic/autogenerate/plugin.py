"""The plugin: what Alembic calls while it compares the database with the models."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import UpgradeOps
from alembic.runtime.plugins import Plugin
from alembic.util import DispatchPriority, PriorityDispatchResult
from sqlalchemy import Column, Table

from vaultdb.alembic.autogenerate.rendering import is_envelope
from vaultdb.alembic.autogenerate.rewrite import rewrite
from vaultdb.alembic.autogenerate.seen import Seen
from vaultdb.db.role_names import RoleNames

NAME = "vaultdb.encryption"
PATTERN = "vaultdb.*"
"""What `autogenerate_plugins` names it by; a pattern without a dot would not match."""

ROLE_NAMES = "vaultdb_role_names"
"""The key of the capability roles among the context's options."""

_seen: WeakKeyDictionary[AutogenContext, Seen] = WeakKeyDictionary()
"""What the comparison of each context has come across."""


def register() -> None:
    """Tell Alembic; importing a module twice under two names does no harm."""
    try:
        plugin = Plugin(NAME)
    except ValueError:
        return
    plugin.add_autogenerate_comparator(_note_tables, "table", "vaultdb")
    plugin.add_autogenerate_comparator(
        _leave_encrypted, "column", "types", priority=DispatchPriority.FIRST
    )
    plugin.add_autogenerate_comparator(
        _finish, "autogenerate", "vaultdb", priority=DispatchPriority.LAST, qualifier="postgresql"
    )


def _note_tables(
    context: AutogenContext,
    _operations: Any,
    schema: str | None,
    name: str,
    live: Table | None,
    declared: Table | None,
) -> PriorityDispatchResult:
    _seen.setdefault(context, Seen()).note(schema, name, live, declared)
    return PriorityDispatchResult.CONTINUE


def _leave_encrypted(
    _context: AutogenContext,
    _operation: Any,
    _schema: str | None,
    _table: str,
    _name: str,
    _live: Column[Any],
    declared: Column[Any],
) -> PriorityDispatchResult:
    """Keep Alembic from comparing the types of encrypted columns: it would say ALTER TYPE."""
    if is_envelope(declared.type):
        return PriorityDispatchResult.STOP
    return PriorityDispatchResult.CONTINUE


def _finish(context: AutogenContext, operations: UpgradeOps) -> PriorityDispatchResult:
    seen = _seen.pop(context, Seen())
    names = context.opts.get(ROLE_NAMES) or RoleNames()
    rewrite(context, operations, seen, names)
    return PriorityDispatchResult.CONTINUE
