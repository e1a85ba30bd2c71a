"""What the server says to the sequencer, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg.errors import UniqueViolation
from sqlalchemy.exc import IntegrityError

from vaultdb.db.failures import plain_failures
from vaultdb.errors import AuditUnavailable, SchemaError
from vaultdb.jobs.audit.signing import VERIFY, CheckpointRefused


@contextmanager
def log_failures(doing: str) -> Iterator[None]:
    """Turn errors of the driver into vaultdb's own.

    Args:
        doing: what was attempted, as in "cannot {doing}: …".

    Raises:
        AuditUnavailable: the server cannot be reached, or a lock is held for long.
        CheckpointRefused: a record that shall get a leaf has one.
        SchemaError: the log's tables are not there.

    """
    try:
        with plain_failures(doing, unavailable=AuditUnavailable):
            try:
                yield
            except (IntegrityError, UniqueViolation):
                raise CheckpointRefused(
                    f"a record of the audit log has a leaf already, or its place is taken: {VERIFY}"
                ) from None
    except SchemaError:
        raise SchemaError(
            f"cannot {doing}: the tables of the audit log are not there; run: vaultdb roles apply"
        ) from None
