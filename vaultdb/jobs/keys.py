"""Create data keys by hand, and tell how they stand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from typing import TypedDict
from uuid import UUID

from vaultdb.errors import ConfigurationError
from vaultdb.keys.creation import create_keys, next_version
from vaultdb.keys.provider import KeyProvider
from vaultdb.keys.store import KeyStore
from vaultdb.keys.wrapped_key import KeyScope, KeyState, Purpose, WrappedKey


class ScopeSummary(TypedDict):
    """The keys of one tenant, keyset and purpose, or those of its data subjects together."""

    tenant: str
    keyset: str
    purpose: str
    subjects: int | None
    """How many data subjects have keys of their own; None for the keyset's own keys."""
    active: int | None
    """The highest version when it may encrypt, else None; None for data subjects."""
    versions: int
    oldest_kek: int
    stale: int


def create(
    provider: KeyProvider, store: KeyStore, realm: UUID, scope: KeyScope, *, new_version: bool
) -> tuple[WrappedKey, bool]:
    """Create the key of a scope unless it has one, as `create_all`."""
    return create_all(provider, store, realm, [scope], new_version=new_version)[0]


def create_all(
    provider: KeyProvider,
    store: KeyStore,
    realm: UUID,
    scopes: Sequence[KeyScope],
    *,
    new_version: bool,
    incoming: bool = False,
) -> list[tuple[WrappedKey, bool]]:
    """Create the keys of scopes that have none; return the newest of each and whether it is new.

    All are stored in one transaction. A tenant's own KEK is made first where it is missing.

    Args:
        provider: of a role that may make data keys.
        store: the key table, by a login that may add to it.
        realm: the realm of the settings.
        scopes: each tenant, keyset, purpose and data subject once.
        new_version: create the next versions although there are some.
        incoming: processes that do not know a new index key yet would miss what is written with
            it, so one beside an active one is searched for only, until it is promoted.

    Raises:
        ConfigurationError: a keyset has no name, or a data subject was to have an index key.

    """
    for scope in scopes:
        _check(scope)
    there: defaultdict[KeyScope, list[WrappedKey]] = defaultdict(list)
    for row in store.by_scopes(realm, scopes):
        there[row.scope].append(row)
    wanted = [
        (scope, next_version(there[scope]))
        for scope in dict.fromkeys(scopes)
        if new_version or not there[scope]
    ]
    if wanted:
        ensure_keks(provider, [scope for scope, _ in wanted])
        waiting = {scope for scope, _ in wanted if incoming and _has_writing_index(there[scope])}
        created = create_keys(provider, store, realm, wanted, incoming=waiting)
        there.update((row.scope, [row]) for row in created)
    new = {scope for scope, _ in wanted}
    return [(max(there[s], key=lambda row: row.version), s in new) for s in scopes]


def _check(scope: KeyScope) -> None:
    if not scope.keyset:
        raise ConfigurationError("--keyset is empty: name the keyset as the columns do")
    if scope.subject and scope.purpose is not Purpose.DATA:
        raise ConfigurationError(
            "a data subject has no index key, that is the tenant's; leave --purpose out"
        )


def _has_writing_index(keys: Sequence[WrappedKey]) -> bool:
    return any(key.scope.purpose is Purpose.INDEX and key.state is KeyState.ACTIVE for key in keys)


def ensure_keks(provider: KeyProvider, scopes: Collection[KeyScope]) -> None:
    """Make the tenants' own KEKs of scopes where they are missing; the realm's is left alone.

    The officer may not read a tenant's KEK, and learns its properties by making it.
    """
    holders = {id(holder): holder for holder in map(provider.for_scope, scopes)}
    for holder in holders.values():
        if holder is not provider:  # the realm's is made by: vaultdb provision vault
            holder.ensure_kek()


def summarise(
    keys: Sequence[WrappedKey], kek_version: Callable[[KeyScope], int]
) -> list[ScopeSummary]:
    """Summarise keys by scope, in order; data subjects are counted and not listed.

    Args:
        keys: all keys of the realm.
        kek_version: returns the newest version of the KEK of a scope.

    """
    groups: defaultdict[tuple[KeyScope, bool], list[WrappedKey]] = defaultdict(list)
    for key in keys:
        if key.state is not KeyState.DESTROYED:
            whole = key.scope._replace(subject="")
            groups[whole, bool(key.scope.subject)].append(key)
    return [
        _summary(scope, rows, kek_version(scope), of_subjects=of_subjects)
        for (scope, of_subjects), rows in groups.items()
    ]


def _summary(
    scope: KeyScope, rows: Sequence[WrappedKey], kek_version: int, *, of_subjects: bool
) -> ScopeSummary:
    writing = [row for row in rows if row.state is not KeyState.INCOMING]
    newest = max(writing, key=lambda row: row.version, default=None)
    active = newest is not None and newest.state is KeyState.ACTIVE and not of_subjects
    return {
        "tenant": scope.tenant,
        "keyset": scope.keyset,
        "purpose": scope.purpose.value,
        "subjects": len({row.scope.subject for row in rows}) if of_subjects else None,
        "active": newest.version if newest is not None and active else None,
        "versions": len(rows),
        "oldest_kek": min(row.kek_version for row in rows),
        "stale": sum(row.kek_version < kek_version for row in rows),
    }
