"""The write interceptor: encrypts the parameters of INSERT and UPDATE for the rows they go to."""

from __future__ import annotations

from vaultdb.orm.writing.flush import follow_flushes
from vaultdb.orm.writing.interceptor import intercept_writes

__all__ = ["follow_flushes", "intercept_writes"]
