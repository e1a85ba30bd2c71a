"""The tenant whose values this thread is processing just now.

SQLAlchemy memoises the functions that process values per type and dialect, and caches result
metadata per compiled statement: neither can hold a tenant. So each execution says which tenant it
is for immediately before its values are processed: before its parameters are bound, and whenever
rows have been fetched for it (`vaultdb.orm.execution`). Between the saying and the processing
nothing else runs in the thread, also not under asyncio; so results of several tenants can be read
in turns.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vaultdb.guard.principal import Acting
    from vaultdb.keys.data_key import DataKey


LastKey = tuple[bytes | None, "Callable[[], DataKey | None]"]


def _no_key() -> None:
    """Stand for a weak reference to a key that is gone."""


_NO_KEY: LastKey = (None, _no_key)


class TenantInUse(threading.local):
    """One tenant per thread, and the DEK that the last value of the fetched rows was read with.

    The rows of one fetch are processed in one go and mostly under one DEK: remembering it until the
    next fetch saves the keyring's look-up for each value. Weakly, so that it does not outlive the
    keyring's own copy.
    """

    value: str | None = None
    """None before the first statement that touches encrypted columns"""
    acting: Acting | None = None
    """who reads the values, where an audit log is kept"""
    last_key: LastKey = _NO_KEY
    """the key's id, and a weak reference to it"""

    def switch_to(self, tenant: str) -> None:
        """Say whose values are processed next."""
        self.value = tenant
        self.last_key = _NO_KEY


tenant_in_use = TenantInUse()
