"""One event of the log as an auditor reads it; its JSON is not believed to be any."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final
from uuid import UUID

from vaultdb.audit.chain import Record
from vaultdb.audit.kinds import DATA_READ, DATA_READ_FINISHED

MALFORMED: Final = "malformed"
"""Stands for the name of an event whose body is not a JSON object."""


@dataclass(frozen=True)
class Entry:
    """One event, and for a read how it ended.

    Args:
        record: as it is stored.
        finished: of a read: the record that tells rows and keys; None if none was found.

    """

    record: Record
    finished: Entry | None = field(default=None, repr=False)

    @property
    def chain(self) -> UUID:
        """The chain that it is part of."""
        return self.record.chain

    @property
    def at(self) -> str:
        """When it happened, as authenticated."""
        return self.record.at

    @cached_property
    def said(self) -> Mapping[str, Any]:
        """What the body says; empty if it is not a JSON object."""
        try:
            said = json.loads(self.record.body)
        except (ValueError, RecursionError):
            return {}
        return said if isinstance(said, dict) else {}

    @property
    def is_malformed(self) -> bool:
        """Whether the body is not a JSON object that names an event."""
        return not isinstance(self.said.get("event"), str)

    @property
    def event(self) -> str:
        """The name of the event."""
        return MALFORMED if self.is_malformed else self.said["event"]

    @property
    def number(self) -> int | None:
        """The number of the event."""
        number = self.said.get("no")
        return number if type(number) is int else None

    @property
    def is_read(self) -> bool:
        """Whether it announces a read."""
        return self.event == DATA_READ.name

    @property
    def is_end_of_read(self) -> bool:
        """Whether it tells how a read ended."""
        return self.event == DATA_READ_FINISHED.name

    @property
    def tables(self) -> list[str]:
        """The tables that it is about."""
        return [*texts(self.said.get("tables")), *texts(self.said.get("table"))]

    @property
    def columns(self) -> list[str]:
        """The columns that it is about, those that were searched too."""
        return [
            *texts(self.said.get("columns")),
            *texts(self.said.get("searched")),
            *texts(self.said.get("column")),
        ]

    @property
    def rows(self) -> int | None:
        """How many rows it is about; None if it does not say."""
        rows = (self.finished or self).said.get("rows")
        return rows if type(rows) is int else None

    @property
    def keys(self) -> list[str]:
        """The keys of rows as the log names them."""
        said = (self.finished or self).said
        return [*texts(said.get("keys")), *texts(said.get("key"))]

    @property
    def has_more_keys(self) -> bool:
        """Whether it is about rows that it does not name."""
        if self.is_read and self.finished is None:
            return True
        return bool((self.finished or self).said.get("more"))

    def text(self, name: str) -> str:
        """Return a field as text; empty if it is not there."""
        value = self.said.get(name)
        return "" if value is None else value if isinstance(value, str) else json.dumps(value)


def texts(value: Any) -> Sequence[str]:
    """Return the texts in a field that holds one or a list of them."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [each if isinstance(each, str) else json.dumps(each) for each in value]
    return []
