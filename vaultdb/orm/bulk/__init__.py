"""Many rows at once: into a table by COPY, and out of it column by column."""

from __future__ import annotations

from vaultdb.orm.bulk.copying import copy_in
from vaultdb.orm.bulk.decrypting import DecryptedBatch, bulk_decrypt

__all__ = ["DecryptedBatch", "bulk_decrypt", "copy_in"]
