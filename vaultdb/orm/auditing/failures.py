"""What went wrong, for the audit log: values that do not decrypt, and what was refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from vaultdb.audit.auditor import AuditMode
from vaultdb.audit.event import Event, Json
from vaultdb.audit.kinds import DATA_DENIED, DECRYPTION_FAILED
from vaultdb.audit.row_name import RowName
from vaultdb.errors import AuditUnavailable, DecryptionError, VaultDBError
from vaultdb.guard.principal import current
from vaultdb.logs import AUDIT
from vaultdb.orm.scope import acting_for
from vaultdb.orm.selected_value import key_id_of_value, row_key_of_value
from vaultdb.orm.tenant import tenant_in_use

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from vaultdb.orm.runtime import Runtime
    from vaultdb.orm.types import Encrypted

E = TypeVar("E", bound=VaultDBError)


def noted_failure(error: E, runtime: Runtime, type_: Encrypted[Any], value: object) -> E:
    """Record that a value was not read, and return the error to raise.

    Args:
        error: why; its code goes to the log, which the reader never sees.
        runtime: of the engine.
        type_: of the column.
        value: as it was selected; untrusted, and not recorded.

    """
    auditor = runtime.auditor
    if auditor.mode is AuditMode.OFF:
        return error
    name = type_.identity.logical_name
    table = name.rpartition(".")[0]
    row_key = row_key_of_value(value)
    key_id = key_id_of_value(value) if isinstance(value, bytes) else None
    fields: dict[str, Json] = {
        "table": table,
        "column": name,
        "key": RowName(table, row_key) if row_key else None,
        "reason": error.reason if isinstance(error, DecryptionError) else type(error).__name__,
        "key_id": None if key_id is None else key_id.hex(),
    }
    acting = tenant_in_use.acting or current()
    _add(runtime, Event(DECRYPTION_FAILED, fields, acting, tenant_in_use.value or None))
    return error


def note_denial(error: VaultDBError, connection: Connection, runtime: Runtime, what: str) -> None:
    """Record that somebody was refused; never the message, only the kind of refusal."""
    if runtime.auditor.mode is AuditMode.OFF or isinstance(error, AuditUnavailable):
        return
    fields: dict[str, Json] = {"what": what, "reason": type(error).__name__}
    _add(runtime, Event(DATA_DENIED, fields, acting_for(connection)))


def _add(runtime: Runtime, event: Event) -> None:
    try:
        runtime.auditor.add(event)
    except VaultDBError as error:  # what failed is raised anyway, and releases nothing
        AUDIT.error("%s was not recorded: %s", event.kind.name, error)
