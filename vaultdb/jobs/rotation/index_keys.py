"""Which index keys can be exchanged while queries go on, and how far each has come.

A new index key is `incoming`: every process searches for it before anything that is searched is
written with it. A unique index is exchanged through a second companion column.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from vaultdb.jobs.rotation.data_keys import ScopePlan, by_scope
from vaultdb.jobs.rotation.selection import keyset_of
from vaultdb.keys.wrapped_key import KeyState, Purpose, WrappedKey
from vaultdb.orm.attachment import encrypted_columns
from vaultdb.orm.companion import second_companion_of

if TYPE_CHECKING:
    from sqlalchemy import Column, MetaData

    from vaultdb.jobs.rotation.ages import Age
    from vaultdb.jobs.rotation.selection import Selection
    from vaultdb.jobs.rotation.usage import Usage


def index_plans(found: Usage, selection: Selection, keysets: Iterable[str]) -> list[ScopePlan]:
    """Decide for each scope of index keys of these keysets."""
    rows, wanted = found.by_key(), frozenset(keysets)
    plans = []
    for scope, (newest, *older) in sorted(by_scope(list(found.keys.values())).items()):
        if scope.purpose is not Purpose.INDEX or scope.keyset not in wanted:
            continue
        if not selection.covers(scope):
            continue
        behind = sum(rows.get(key.key_id, 0) for key in older)
        unfinished = (
            newest.state is KeyState.INCOMING
            or bool(behind)
            or any(key.state is KeyState.ACTIVE for key in older)
        )
        plans.append(ScopePlan(scope, newest, tuple(older), behind, not unfinished))
    return plans


def blocked_keysets(metadatas: Iterable[MetaData]) -> dict[str, str]:
    """Return the keysets whose index keys cannot be exchanged now, with reason and remedy."""
    blocked: dict[str, str] = {}
    domains: defaultdict[str, list[Column[Any]]] = defaultdict(list)
    for column in indexed_columns(metadatas):
        index: Any = column.type.index  # type: ignore[attr-defined]
        domains[column.type.index_domain].append(column)  # type: ignore[attr-defined]
        if index.unique and second_companion_of(column) is None:
            blocked[keyset_of(column)] = (
                f"{column} is unique, and uniqueness would be lost on the way: declare"
                f' Equality(unique=True, rekey_into="{column.name}_index_2"), migrate, and rotate'
                " again"
            )
    for domain, columns in domains.items():
        if len(columns) > 1:
            blocked.setdefault(
                keyset_of(columns[0]),
                f"columns are joined by the index domain {domain!r}, and joins would miss rows on"
                " the way: rotate the index key while the application does not join them",
            )
    return blocked


def seconds_until_known(keys: Iterable[WrappedKey], aged: Mapping[bytes, Age], ttl: float) -> float:
    """Return for how long a process may not have heard of the newest of these keys.

    Args:
        keys: made or changed lately.
        aged: by key id.
        ttl: the hard lifetime of keys in the keyring of every process, in seconds.

    """
    known = [aged[key.key_id] for key in keys if key.key_id in aged]
    return max([0.0, *(ttl - age.changed for age in known)])


def indexed_columns(metadatas: Iterable[MetaData]) -> Iterable[Column[Any]]:
    """Yield the encrypted columns that have a blind index."""
    for metadata in metadatas:
        for table in metadata.sorted_tables:
            for column in encrypted_columns(table):
                if column.type.index is not None:  # type: ignore[attr-defined]
                    yield column
