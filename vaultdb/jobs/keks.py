"""The KEKs in use: the realm's, and those of tenants; which is whose, and how old its keys are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from vaultdb.db.rewraps import KekUse, RewrapTable
from vaultdb.keys.provider import KekMissing, KeyProvider
from vaultdb.keys.wrapped_key import KeyScope, Purpose

R = TypeVar("R")

WORKERS = 8
"""KEKs looked at, or rotated, at once: each takes a few calls to Vault, which wait for each other
otherwise."""


@dataclass(frozen=True, slots=True)
class Kek:
    """A KEK and the keys under it."""

    tenant: str | None
    """Whose it is; None for the realm's."""
    version: int
    """Its newest version; 0 when it is missing."""
    rotates: bool
    """Whether a new version is made first."""
    keys: int
    stale: int
    """Keys under older versions."""
    unverified: int
    problem: str = ""
    """Why nothing can be done with it."""

    @property
    def rewraps(self) -> int:
        """How many keys will be rewrapped."""
        if self.problem:
            return 0
        return self.keys if self.rotates else self.stale


@dataclass(frozen=True, slots=True)
class Keks:
    """How to find the KEK of a key.

    Args:
        provider: of the realm's KEK, which knows those of tenants.
        tenant_keysets: the keysets in use in which each tenant has a KEK of its own.

    """

    provider: KeyProvider
    tenant_keysets: frozenset[str]

    @classmethod
    def of(cls, provider: KeyProvider, table: RewrapTable) -> Keks:
        """Ask the provider about each keyset that has keys."""
        scopes = [KeyScope("", keyset, Purpose.DATA) for keyset in table.keysets()]
        own = (scope.keyset for scope in scopes if provider.for_scope(scope) is not provider)
        return cls(provider, frozenset(own))

    def provider_of(self, tenant: str | None) -> KeyProvider:
        """Return the provider of a tenant's KEK, of the realm's for None."""
        if tenant is None:
            return self.provider
        keyset = min(self.tenant_keysets)  # any of them: a tenant has one KEK for all
        return self.provider.for_scope(KeyScope(tenant, keyset, Purpose.DATA))


def survey(
    keks: Keks, uses: Mapping[str | None, KekUse], rotate: bool | None, *, realms: bool
) -> list[Kek]:
    """Look at every KEK in use, and decide which of them to rotate.

    Args:
        keks: where they are.
        uses: the keys under each.
        rotate: True and False decide for all; None rotates those without keys from an earlier
            rotation.
        realms: whether the realm's KEK may be rotated.

    """

    def look(tenant: str | None) -> Kek:
        use = uses.get(tenant) or KekUse()
        try:
            version = keks.provider_of(tenant).latest_version()
        except KekMissing as error:
            if tenant is None:
                raise
            return Kek(tenant, 0, False, use.keys, 0, use.unverified, str(error))
        stale = use.stale(version)
        wanted = stale == 0 if rotate is None else rotate
        rotates = wanted and (realms or tenant is not None)
        return Kek(tenant, version, rotates, use.keys, stale, use.unverified)

    return each([partial(look, tenant) for tenant in (None, *(t for t in uses if t is not None))])


def rotated(keks: Keks, agreed: Sequence[Kek]) -> list[tuple[Kek, int, bool]]:
    """Rotate KEKs as agreed, and return the newest version of each and whether it is new."""

    def work(kek: Kek) -> tuple[Kek, int, bool]:
        provider = keks.provider_of(kek.tenant)
        version = provider.latest_version()
        # Somebody else may have rotated since the plan was made: one rotation serves both.
        if kek.rotates and version == kek.version:
            return kek, provider.rotate(), True
        return kek, version, False

    return each([partial(work, kek) for kek in agreed if not kek.problem])


def each(work: Sequence[Callable[[], R]]) -> list[R]:
    """Do all of it, some at once; the first failure ends it."""
    if len(work) == 1:
        return [work[0]()]
    workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="vaultdb-keks")
    try:
        return list(workers.map(lambda one: one(), work))
    finally:
        workers.shutdown(cancel_futures=True)
