"""One execution of an INSERT or UPDATE, while it is being prepared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vaultdb.orm.key_loading import load_keys
from vaultdb.orm.runtime import Runtime, runtime_of
from vaultdb.orm.scope import tenant_for
from vaultdb.orm.tenant import tenant_in_use

if TYPE_CHECKING:
    from sqlalchemy import Table
    from sqlalchemy.engine import Connection

    from vaultdb.orm.writing.table import EncryptedTable
    from vaultdb.orm.writing.written import Written

Row = dict[str, Any]


class Write:
    """What is written, and where; the parameter sets are our own copies.

    Args:
        connection: where the statement will run.
        table: the target.
        statement: an INSERT or UPDATE; never changed, only replaced.
        parameters: the parameter sets; ours to change.
        options: the execution options.

    """

    __slots__ = (
        "_tenant",
        "connection",
        "options",
        "parameters",
        "runtime",
        "statement",
        "table",
        "written",
    )

    def __init__(
        self,
        connection: Connection,
        table: EncryptedTable,
        statement: Any,
        parameters: list[Row],
        options: Mapping[str, Any],
    ) -> None:
        self.connection = connection
        self.table = table
        self.statement = statement
        self.parameters = parameters
        self.options = options
        self.runtime: Runtime = runtime_of(connection.dialect)
        self._tenant: str | None = None
        self.written: Written | None = None
        """takes in what is written, where an audit log is kept"""

    @property
    def tenant(self) -> str:
        """The tenant; resolved once, and its keys loaded with it."""
        if self._tenant is None:
            self._tenant = tenant_for(self.connection, self.runtime)
            load_keys(self.runtime.keyring, self._tenant, self.table.keyset_uses)
            tenant_in_use.value = self._tenant
        return self._tenant

    def query(self, statement: Any, parameters: Row) -> Sequence[Any]:
        """Run a query of our own with the statement's view of schemas."""
        translate = self.options.get("schema_translate_map")
        options = {} if translate is None else {"schema_translate_map": translate}
        return self.connection.execute(statement, parameters, execution_options=options).all()

    def schema_of(self, table: Table) -> str | None:
        """Return the schema that the table is in for this statement."""
        translate = self.options.get("schema_translate_map") or {}
        schema: str | None = translate.get(table.schema, table.schema)
        return schema
