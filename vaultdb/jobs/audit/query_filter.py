"""What an auditor looks for in the log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from vaultdb.audit.event import Json, timestamp
from vaultdb.audit.row_name import RowName
from vaultdb.crypto.row_binding import KeyTag, encode_key_part, row_binding
from vaultdb.jobs.audit.query_entry import Entry


@dataclass(frozen=True, slots=True)
class Filter:
    """What entries must have; None for anything. All of it must hold.

    Args:
        principal: who did it.
        table: with its schema or without.
        column: with its table or without.
        key: of a row, as text; columns of a composite key joined by a comma. Sensitive.
        since: the first time, in any zone.
        until: the first time that is too late.
        event: name or number of the kind.
        tenant: whose data.
        purpose: why.
        request: the id of a request.
        chain: id of a chain.

    """

    principal: str | None = None
    table: str | None = None
    column: str | None = None
    key: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    event: str | None = None
    tenant: str | None = None
    purpose: str | None = None
    request: str | None = None
    chain: UUID | None = None

    def accepts(self, entry: Entry) -> bool:
        """Whether an entry has all but the key."""
        return (
            all(
                wanted is None or entry.text(name) == wanted
                for name, wanted in (
                    ("principal", self.principal),
                    ("tenant", self.tenant),
                    ("purpose", self.purpose),
                    ("request", self.request),
                )
            )
            and self.event in {None, entry.event, str(entry.number)}
            and self.chain in {None, entry.chain}
            and (self.table is None or bool(self.tables(entry)))
            and (self.column is None or any(is_named(c, self.column) for c in entry.columns))
            and (self.since is None or entry.at >= timestamp(self.since))
            and (self.until is None or entry.at < timestamp(self.until))
        )

    def tables(self, entry: Entry) -> list[str]:
        """Return the tables of an entry that the filter is about."""
        return [t for t in entry.tables if self.table is None or is_named(t, self.table)]

    def said(self) -> dict[str, Json]:
        """Return the filter for the log itself; a key is named as rows are, never in plain."""
        said: dict[str, Json] = {
            name: getattr(self, name)
            for name in ("principal", "table", "column", "event", "tenant", "purpose", "request")
        }
        said["chain"] = None if self.chain is None else str(self.chain)
        said["since"] = None if self.since is None else timestamp(self.since)
        said["until"] = None if self.until is None else timestamp(self.until)
        if self.key is not None:
            form = row_binding([(KeyTag.TEXT, encode_key_part(KeyTag.TEXT, self.key))])
            said["key"] = RowName(self.table or "", form)
        return {name: value for name, value in said.items() if value is not None}


def is_named(full: str, wanted: str) -> bool:
    """Whether a full name is meant by a name without its schema or table."""
    return full == wanted or full.endswith("." + wanted)
