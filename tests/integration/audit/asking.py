"""A log with reads by several people, and the auditor who asks it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from vaultdb.audit.auditor import Auditor
from vaultdb.audit.event import Event
from vaultdb.audit.keys import EscrowOpener
from vaultdb.audit.kinds import DATA_DENIED, DATA_READ, DATA_READ_FINISHED
from vaultdb.audit.row_name import RowName
from vaultdb.crypto.row_binding import KeyTag, encode_key_part, row_binding
from vaultdb.engine.auditing import open_auditor
from vaultdb.guard.principal import Acting
from vaultdb.jobs.audit.query import Log as Asked
from vaultdb.jobs.audit.query import open_log
from vaultdb.settings import Settings


def name_of(table: str, key: int | str) -> RowName:
    tag = KeyTag.INTEGER if isinstance(key, int) else KeyTag.TEXT
    return RowName(table, row_binding([(tag, encode_key_part(tag, key))]))


def write_read(
    auditor: Auditor,
    who: str,
    keys: list[int | str],
    *,
    id_: str,
    table: str = "patient",
    purpose: str | None = None,
    more: bool | None = None,
) -> None:
    """Record a read as the ORM does: the intent, then its end."""
    acting = Acting(who, purpose=purpose)
    auditor.commit(
        Event(
            DATA_READ,
            {"id": id_, "tables": [table], "columns": [f"{table}.name"], "statement": "0" * 16},
            acting,
        )
    )
    names = [name_of(table, key) for key in keys]
    auditor.commit(
        Event(
            DATA_READ_FINISHED,
            {"of": id_, "rows": len(keys), "keys": names, "more": more},
            acting,
        )
    )


def write_day(settings: Settings) -> None:
    """Record what happens in a day."""
    with open_auditor(settings) as auditor:
        write_read(auditor, "dr-jones", [7, 8], id_="a", purpose="treatment")
        write_read(auditor, "dr-jones", ["Ann Lee"], id_="b", table="clinic.visit")
        write_read(auditor, "billing", list(range(20, 30)), id_="c", more=True)
        auditor.commit(
            Event(DATA_DENIED, {"what": "SELECT", "reason": "StatementRefused"}, Acting("mallory"))
        )


@contextmanager
def asked(settings: Settings, escrow: EscrowOpener | None = None, **change: Any) -> Iterator[Asked]:
    """Open the log as its auditor, who opens chains by `escrow`."""
    with open_log(settings) as log:
        yield replace(log, escrow=escrow, **change)
