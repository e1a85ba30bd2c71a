"""What vaultdb's operations have in common: how they run, how they are written, how they differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from alembic.autogenerate import render, renderers
from alembic.operations import MigrateOperation, Operations
from sqlalchemy import Column
from sqlalchemy.types import TypeEngine

from vaultdb.alembic.operations.statement import run

if TYPE_CHECKING:
    from alembic.autogenerate.api import AutogenContext

IMPORT = "import vaultdb.alembic.operations  # noqa: F401"
"""What a revision needs so that `op.grant` and the others exist, whoever runs it."""


class VaultOperation(MigrateOperation):
    """An operation that is a call with arguments, and runs as a list of statements."""

    opname: ClassVar[str]

    def arguments(self) -> tuple[Any, ...]:
        """Return the positional arguments of the call."""
        raise NotImplementedError

    def options(self) -> dict[str, Any]:
        """Return the keyword arguments of the call that are not their defaults."""
        raise NotImplementedError

    def statements(self) -> list[str]:
        """Return the SQL."""
        raise NotImplementedError

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Return what `alembic check` shows."""
        return (self.opname, *self.arguments(), self.options())

    def __repr__(self) -> str:
        shown = [repr(value) for value in self.arguments()]
        shown += [f"{name}={value!r}" for name, value in self.options().items()]
        return f"op.{self.opname}({', '.join(shown)})"


@Operations.implementation_for(VaultOperation)
def _run(operations: Operations, operation: VaultOperation) -> None:
    for sql in operation.statements():
        run(operations, sql)


@renderers.dispatch_for(VaultOperation)
def _write(context: AutogenContext, operation: VaultOperation) -> str:
    context.imports.add(IMPORT)
    shown = [_source(context, value) for value in operation.arguments()]
    shown += [f"{name}={_source(context, value)}" for name, value in operation.options().items()]
    prefix = context.opts.get("alembic_module_prefix") or ""
    return f"{prefix}{operation.opname}({', '.join(shown)})"


def _source(context: AutogenContext, value: Any) -> str:
    if isinstance(value, TypeEngine):
        return str(render._repr_type(value, context))  # noqa: SLF001  # no public way to write one
    if isinstance(value, Column):
        return str(render._render_column(value, context))  # noqa: SLF001
    if isinstance(value, str):
        return repr(str(value))  # not a quoted_name
    return repr(value)


def given(**options: Any) -> dict[str, Any]:
    """Return the options that are not None."""
    return {name: value for name, value in options.items() if value is not None}
