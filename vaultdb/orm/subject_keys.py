"""Reading values of many data subjects: all their DEKs are loaded once for each fetch."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy.util import await_only
from sqlalchemy.util.concurrency import in_greenlet

from vaultdb.keys.helper_thread import call_in_thread
from vaultdb.keys.wrapped_key import KeyScope, Purpose
from vaultdb.orm.selected_value import key_id_of_value
from vaultdb.orm.types import Encrypted

if TYPE_CHECKING:
    from vaultdb.keys.keyring import Keyring

SubjectColumn = tuple[int, str]
"""The place of a column in the rows of a result, and its keyset."""

_ATTRIBUTE = "_vaultdb_subjects"


def subject_columns_of(compiled: Any) -> tuple[SubjectColumn, ...]:
    """Return the result columns whose values have DEKs by data subject; kept on the statement."""
    try:
        found: tuple[SubjectColumn, ...] = compiled.__dict__[_ATTRIBUTE]
    except KeyError:
        entries = getattr(compiled, "_result_columns", None) or ()
        found = tuple(
            (place, entry.type.keyset)
            for place, entry in enumerate(entries)
            if isinstance(entry.type, Encrypted) and entry.type.subject is not None
        )
        setattr(compiled, _ATTRIBUTE, found)
    return found


def load_subject_keys(
    keyring: Keyring, tenant: str, columns: Sequence[SubjectColumn], rows: Sequence[Sequence[Any]]
) -> None:
    """Have the DEKs of fetched rows cached; what cannot be had is told when it is used.

    Args:
        keyring: of the engine.
        tenant: of the execution.
        columns: from `subject_columns_of`.
        rows: as the driver fetched them; untrusted.

    """
    for place, keyset in columns:
        wanted = {*_key_ids(row[place] for row in rows if len(row) > place)}
        if not wanted:
            continue
        scope = KeyScope(tenant, keyset, Purpose.DATA)
        if in_greenlet():
            await_only(asyncio.to_thread(keyring.load_ids, wanted, scope))
        else:
            call_in_thread(partial(_load, keyring, wanted, scope))


def _load(keyring: Keyring, key_ids: Iterable[bytes], scope: KeyScope) -> None:
    keyring.load_ids(key_ids, scope)


def _key_ids(values: Iterable[Any]) -> Iterable[bytes]:
    for value in values:
        key_id = key_id_of_value(value) if isinstance(value, bytes) else None
        if key_id is not None:
            yield key_id
