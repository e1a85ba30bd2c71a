"""Reads: the intent before the statement is sent, the count when its last row was fetched."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vaultdb.audit.auditor import AuditMode
from vaultdb.audit.event import Event, Json
from vaultdb.audit.kinds import DATA_READ, DATA_READ_FINISHED, DATA_SEARCHED
from vaultdb.audit.row_name import RowName
from vaultdb.orm.auditing.plan import INTERNAL, OURS, ReadPlan, read_plan_of
from vaultdb.orm.auditing.sign_in import who_acts
from vaultdb.orm.selected_value import row_key_of_value
from vaultdb.orm.tenant import tenant_in_use

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from vaultdb.audit.auditor import Auditor
    from vaultdb.guard.principal import Acting


@dataclass(frozen=True, slots=True)
class Reading:
    """A read that was announced.

    Args:
        auditor: where its end is told.
        id: 16 hex digits, which connect the two events.
        acting: who reads.
        tenant: whose data.
        plan: what is read.

    """

    auditor: Auditor
    id: str
    acting: Acting
    tenant: str | None
    plan: ReadPlan


def announce(
    connection: Connection,
    auditor: Auditor,
    compiled: Any,
    tenant: str,
    options: Mapping[str, Any],
) -> Reading | None:
    """Record what a statement is going to decrypt; return when that may be released.

    In strict mode, or for a sensitive column, the event is committed before this returns.

    Returns:
        what `AuditFetch` needs; None if nothing is decrypted.

    Raises:
        PrincipalMissing: nobody acts, and no service principal is configured.
        AuditUnavailable: the event could not be recorded.

    """
    if auditor.mode is AuditMode.OFF or options.get(INTERNAL) is OURS:
        return None
    plan = read_plan_of(compiled)
    if plan is None:
        return None
    acting = who_acts(auditor, connection)
    reading = Reading(auditor, secrets.token_hex(8), acting, tenant or None, plan)
    event = _intent(reading) if plan.columns else _search(reading)
    if plan.columns and (auditor.mode is AuditMode.STRICT or plan.is_sensitive):
        auditor.commit(event)
    else:
        auditor.add(event)
    return reading if plan.columns else None


def _intent(reading: Reading) -> Event:
    plan = reading.plan
    fields: dict[str, Json] = {
        "id": reading.id,
        "tables": plan.tables,
        "columns": plan.columns,
        "searched": plan.searched or None,
        "statement": plan.fingerprint,
    }
    return Event(DATA_READ, fields, reading.acting, reading.tenant)


def _search(reading: Reading) -> Event:
    plan = reading.plan
    fields: dict[str, Json] = {
        "tables": plan.tables,
        "columns": plan.searched,
        "statement": plan.fingerprint,
    }
    return Event(DATA_SEARCHED, fields, reading.acting, reading.tenant)


class AuditFetch:
    """A cursor's fetch strategy that counts rows, and keeps the first keys of each table.

    Args:
        inner: the strategy that fetches.
        reading: what was announced.

    """

    __slots__ = ("_fetching", "_inner", "_is_closed", "_keys", "_reading", "_rows")

    def __init__(self, inner: Any, reading: Reading) -> None:
        self._inner = inner
        self._reading = reading
        self._keys: dict[RowName, None] = {}
        self._rows = 0
        self._fetching = False
        self._is_closed = False

    def fetchone(self, *args: Any, **kwargs: Any) -> Any:
        """Fetch a row."""
        row = self._fetch(self._inner.fetchone, args, kwargs)
        self._count([] if row is None else [row])
        return row

    def fetchmany(self, *args: Any, **kwargs: Any) -> Any:
        """Fetch some rows."""
        rows = self._fetch(self._inner.fetchmany, args, kwargs)
        self._count(rows)
        return rows

    def fetchall(self, *args: Any, **kwargs: Any) -> Any:
        """Fetch all rows."""
        rows = self._fetch(self._inner.fetchall, args, kwargs)
        self._count(rows)
        return rows

    def yield_per(self, result: Any, *args: Any) -> None:
        """Let the strategy replace itself by a buffering one, and wrap that."""
        self._inner.yield_per(result, *args)
        self._inner, result.cursor_strategy = result.cursor_strategy, self

    def soft_close(self, *args: Any) -> None:
        """Close; the last fetch does that before its rows are counted."""
        self._inner.soft_close(*args)
        self._close()

    def hard_close(self, *args: Any) -> None:
        """Close before the last row was fetched, or after."""
        self._inner.hard_close(*args)
        self._close()

    def _fetch(self, fetch: Any, args: Any, kwargs: Any) -> Any:
        self._fetching = True
        try:
            return fetch(*args, **kwargs)
        finally:
            self._fetching = False

    def _count(self, rows: Sequence[Sequence[Any]]) -> None:
        self._rows += len(rows)
        wanted = self._reading.auditor.key_limit - len(self._keys)
        for row in rows if wanted > 0 else ():
            for table, place in self._reading.plan.places:
                key = row_key_of_value(row[place])
                if key:
                    self._keys[RowName(table, key)] = None
            if len(self._keys) > self._reading.auditor.key_limit:
                break
        tenant_in_use.acting = self._reading.acting
        if self._is_closed:
            self._finish()

    def _close(self) -> None:
        was_closed, self._is_closed = self._is_closed, True
        if not was_closed and not self._fetching:
            self._finish()

    def _finish(self) -> None:
        reading, limit = self._reading, self._reading.auditor.key_limit
        keys = list(self._keys)
        fields: dict[str, Json] = {
            "of": reading.id,
            "rows": self._rows,
            "keys": keys[:limit],
            "more": len(keys) > limit or self._rows > max(limit, len(keys)) or None,
        }
        reading.auditor.add(Event(DATA_READ_FINISHED, fields, reading.acting, reading.tenant))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
