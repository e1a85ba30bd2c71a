"""The execution context: says which tenant each execution is for, and has its keys loaded.

SQLAlchemy makes one context per execution. It is the only object that knows the compiled statement
before its parameters are bound, and that lives until the last row is fetched.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from typing import Any

from vaultdb.errors import KeyDenied, StatementRefused
from vaultdb.orm.auditing.failures import note_denial
from vaultdb.orm.auditing.reads import AuditFetch, Reading, announce
from vaultdb.orm.key_loading import KeysetUse, keysets_of, load_keys
from vaultdb.orm.runtime import runtime_of
from vaultdb.orm.scope import tenant_for
from vaultdb.orm.subject_keys import SubjectColumn, load_subject_keys, subject_columns_of
from vaultdb.orm.tenant import tenant_in_use


class EncryptionContext:
    """Mixin for a dialect's execution context."""

    vaultdb_tenant: str | None = None
    """the tenant of an execution that touches encrypted columns"""
    vaultdb_reading: Reading | None = None
    """what the audit log was told of an execution that decrypts"""

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
        tenant = reading = None
        uses = keysets_of(compiled)
        if uses:
            tenant, reading = _begin(dialect, connection, execution_options, compiled, uses)
            tenant_in_use.switch_to(tenant)
        context = super()._init_compiled(  # type: ignore[misc]
            dialect, connection, dbapi_connection, execution_options, compiled, *args, **kwargs
        )
        context.vaultdb_tenant = tenant
        context.vaultdb_reading = reading
        return context

    def _setup_result_proxy(self) -> Any:
        tenant = self.vaultdb_tenant
        if tenant is None:
            return super()._setup_result_proxy()  # type: ignore[misc]
        tenant_in_use.switch_to(tenant)
        result = super()._setup_result_proxy()  # type: ignore[misc]
        if result.returns_rows:
            subjects = subject_columns_of(self.compiled)  # type: ignore[attr-defined]
            fetch: Any = TenantFetch if not subjects else partial(SubjectFetch, self, subjects)
            result.cursor_strategy = fetch(result.cursor_strategy, tenant)
            if self.vaultdb_reading is not None:
                result.cursor_strategy = AuditFetch(result.cursor_strategy, self.vaultdb_reading)
        return result


def _begin(
    dialect: Any, connection: Any, options: Any, compiled: Any, uses: Sequence[KeysetUse]
) -> tuple[str, Reading | None]:
    """Find the tenant, load the keys, and tell the audit log what will be decrypted."""
    runtime = runtime_of(dialect)
    try:
        tenant = tenant_for(connection, runtime)
        load_keys(runtime.keyring, tenant, uses)
        return tenant, announce(connection, runtime.auditor, compiled, tenant, options)
    except (StatementRefused, KeyDenied) as error:
        note_denial(error, connection, runtime, "read")
        raise


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


class SubjectFetch(TenantFetch):
    """The same for values of data subjects: loads the DEKs of all rows of a fetch together.

    Args:
        context: the execution.
        columns: the result columns with such values.
        inner: the strategy that fetches.
        tenant: the tenant of the execution.

    """

    __slots__ = ("_columns", "_context")

    def __init__(
        self, context: Any, columns: Sequence[SubjectColumn], inner: Any, tenant: str
    ) -> None:
        super().__init__(inner, tenant)
        self._context = context
        self._columns = columns

    def fetchone(self, *args: Any, **kwargs: Any) -> Any:
        """Fetch a row."""
        row = super().fetchone(*args, **kwargs)
        self._load([] if row is None else [row])
        return row

    def fetchmany(self, *args: Any, **kwargs: Any) -> Any:
        """Fetch some rows."""
        rows = super().fetchmany(*args, **kwargs)
        self._load(rows)
        return rows

    def fetchall(self, *args: Any, **kwargs: Any) -> Any:
        """Fetch all rows."""
        rows = super().fetchall(*args, **kwargs)
        self._load(rows)
        return rows

    def yield_per(self, result: Any, *args: Any) -> None:
        """Let the strategy replace itself by a buffering one, and wrap that."""
        self._inner.yield_per(result, *args)
        inner = result.cursor_strategy
        result.cursor_strategy = SubjectFetch(self._context, self._columns, inner, self._tenant)

    def _load(self, rows: Any) -> None:
        keyring = runtime_of(self._context.dialect).keyring
        load_subject_keys(keyring, self._tenant, self._columns, rows)
        tenant_in_use.switch_to(self._tenant)


@cache
def encrypting(base: type[Any]) -> type[Any]:
    """Return a dialect's execution context class with the mixin; for each class the same one."""
    if issubclass(base, EncryptionContext):
        return base
    return type(f"Encrypting{base.__name__}", (EncryptionContext, base), {})
