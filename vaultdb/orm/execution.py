"""The execution context: says which tenant each execution is for, and has its keys loaded.

SQLAlchemy makes one context per execution. It is the only object that knows the compiled statement
before its parameters are bound, and that lives until the last row is fetched.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from vaultdb.orm.key_loading import keysets_of, load_keys
from vaultdb.orm.runtime import runtime_of
from vaultdb.orm.scope import tenant_for
from vaultdb.orm.tenant import tenant_in_use


class EncryptionContext:
    """Mixin for a dialect's execution context."""

    vaultdb_tenant: str | None = None
    """the tenant of an execution that touches encrypted columns"""

    @classmethod
    def _init_compiled(  # its last parameters differ between versions of SQLAlchemy
        cls,
        dialect: Any,
        connection: Any,
        dbapi_connection: Any,
        execution_options: Any,
        compiled: Any,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        tenant = None
        uses = keysets_of(compiled)
        if uses:
            runtime = runtime_of(dialect)
            tenant = tenant_for(connection, runtime)
            load_keys(runtime.keyring, tenant, uses)
            tenant_in_use.switch_to(tenant)
        context = super()._init_compiled(  # type: ignore[misc]
            dialect, connection, dbapi_connection, execution_options, compiled, *args, **kwargs
        )
        context.vaultdb_tenant = tenant
        return context

    def _setup_result_proxy(self) -> Any:
        tenant = self.vaultdb_tenant
        if tenant is None:
            return super()._setup_result_proxy()  # type: ignore[misc]
        tenant_in_use.switch_to(tenant)
        result = super()._setup_result_proxy()  # type: ignore[misc]
        if result.returns_rows:
            result.cursor_strategy = TenantFetch(result.cursor_strategy, tenant)
        return result


class TenantFetch:
    """A cursor's fetch strategy that says, after each fetch, whose rows are processed next.

    Afterwards, not before: under asyncio the fetch itself may let other tasks run.

    Args:
        inner: the strategy that fetches.
        tenant: the tenant of the execution.

    """

    __slots__ = ("_inner", "_tenant")

    def __init__(self, inner: Any, tenant: str) -> None:
        self._inner = inner
        self._tenant = tenant

    def fetchone(self, *args: Any, **kwargs: Any) -> Any:
        """Fetch a row."""
        row = self._inner.fetchone(*args, **kwargs)
        tenant_in_use.switch_to(self._tenant)
        return row

    def fetchmany(self, *args: Any, **kwargs: Any) -> Any:
        """Fetch some rows."""
        rows = self._inner.fetchmany(*args, **kwargs)
        tenant_in_use.switch_to(self._tenant)
        return rows

    def fetchall(self, *args: Any, **kwargs: Any) -> Any:
        """Fetch all rows."""
        rows = self._inner.fetchall(*args, **kwargs)
        tenant_in_use.switch_to(self._tenant)
        return rows

    def yield_per(self, result: Any, *args: Any) -> None:
        """Let the strategy replace itself by a buffering one, and wrap that."""
        self._inner.yield_per(result, *args)
        result.cursor_strategy = TenantFetch(result.cursor_strategy, self._tenant)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@cache
def encrypting(base: type[Any]) -> type[Any]:
    """Return a dialect's execution context class with the mixin; for each class the same one."""
    if issubclass(base, EncryptionContext):
        return base
    return type(f"Encrypting{base.__name__}", (EncryptionContext, base), {})
