"""What commands leave in the audit log: that they began, what they did, how they ended."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.pool import NullPool

from vaultdb.audit.auditor import AuditMode, Auditor, NullAuditor
from vaultdb.audit.event import Event, Json
from vaultdb.audit.kinds import (
    DATA_READ,
    DATA_READ_FINISHED,
    JOB_FINISHED,
    JOB_STARTED,
    SIGNED_IN,
    EventKind,
)
from vaultdb.db.connect import new_engine
from vaultdb.db.failures import plain_failures
from vaultdb.engine.auditing import open_auditor, operator
from vaultdb.errors import AuditUnavailable, VaultDBError
from vaultdb.guard.principal import Acting
from vaultdb.settings import Settings

_PLAIN = re.compile(r"-?[0-9]{1,19}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""An integer or a UUID: a key that says nothing by itself."""

_HAS_LOG = text("""
    SELECT EXISTS (
        SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'vaultdb_audit' AND c.relname = 'event')
""")


@dataclass(frozen=True, slots=True)
class Recorder:
    """Records what a command does, each event committed before the call returns.

    Args:
        auditor: by the login of the command's role.
        acting: the operator.

    """

    auditor: Auditor
    acting: Acting

    def __call__(self, kind: EventKind, **fields: Json) -> None:
        """Record an event.

        Raises:
            AuditUnavailable: it could not be recorded.

        """
        self.auditor.commit(Event(kind, fields, self.acting))


@contextmanager
def recorded(
    settings: Settings, job: str, what: str | None = None, *, may_lack_log: bool = False
) -> Iterator[Recorder]:
    """Record that a command begins, before it acts, and how it ended.

    Args:
        settings: of the role that acts.
        job: the command, such as `keys retire`.
        what: what it acts on; never a value.
        may_lack_log: whether it may run before `roles apply` has made the log.

    Raises:
        AuditUnavailable: nothing can be recorded, so nothing may be done.

    """
    with open_auditor(settings) as opened:
        auditor = opened
        if may_lack_log and opened.mode is not AuditMode.OFF and not _has_log(settings):
            auditor = NullAuditor()
        acting = operator()
        auditor.commit(
            Event(SIGNED_IN, {"by": "command"}, acting),
            Event(JOB_STARTED, {"job": job, "what": what}, acting),
        )
        outcome = "interrupted"
        try:
            yield Recorder(auditor, acting)
            outcome = "done"
        except VaultDBError as error:
            outcome = type(error).__name__
            raise
        finally:
            finished = Event(JOB_FINISHED, {"job": job, "what": what, "outcome": outcome}, acting)
            if outcome == "done":
                auditor.commit(finished)
            else:
                with suppress(AuditUnavailable):  # the first error is the one to be told
                    auditor.commit(finished)


def _has_log(settings: Settings) -> bool:
    engine = new_engine(settings, poolclass=NullPool)
    try:
        with (
            plain_failures("look for the audit log", unavailable=AuditUnavailable),
            engine.connect() as connection,
        ):
            return bool(connection.scalar(_HAS_LOG))
    finally:
        engine.dispose()


@contextmanager
def recorded_read(
    settings: Settings, acting: Acting, table: str, column: str, key: Mapping[str, str]
) -> Iterator[None]:
    """Record that one value is about to be decrypted for support, and that it was.

    Args:
        settings: of the role whose keys are used.
        acting: who asks, and why.
        table: with its schema when it has one.
        column: its name.
        key: the primary key as it was typed; shown if it is made of integers and UUIDs.

    Raises:
        AuditUnavailable: it cannot be recorded, so nothing may be read.

    """
    with open_auditor(settings) as auditor:
        read = secrets.token_hex(8)
        what: dict[str, Json] = {"id": read, "tables": [table], "columns": [f"{table}.{column}"]}
        auditor.commit(Event(SIGNED_IN, {"by": "command"}, acting), Event(DATA_READ, what, acting))
        yield
        values = list(key.values())
        shown: list[Json] = [",".join(values)] if all(map(_says_nothing, values)) else []
        auditor.commit(Event(DATA_READ_FINISHED, {"of": read, "rows": 1, "keys": shown}, acting))


def _says_nothing(text: str) -> bool:
    return _PLAIN.fullmatch(text) is not None
