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


class TenantInUse(threading.local):
    """One tenant per thread; None before the first statement that touches encrypted columns."""

    value: str | None = None


tenant_in_use = TenantInUse()
