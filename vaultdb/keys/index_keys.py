"""Which of a scope's index DEKs writes which companion column while they are exchanged.

A blind index is re-keyed beside itself: an incoming index DEK fills a second companion column, and
today's fills the first one until the second is complete. Searches ask for the values of all.
"""

from __future__ import annotations

from collections.abc import Sequence

from vaultdb.keys.data_key import DataKey
from vaultdb.keys.wrapped_key import KeyState


def writing_index_key(keys: Sequence[DataKey]) -> DataKey:
    """Return the index DEK that fills the column which is searched: the highest not incoming.

    Args:
        keys: from `Keyring.index_keys`, which has none without such a DEK.

    """
    return next(key for key in keys if key.state is not KeyState.INCOMING)


def incoming_index_key(keys: Sequence[DataKey]) -> DataKey:
    """Return the index DEK that fills the second column: the incoming one, else the writing one.

    Args:
        keys: from `Keyring.index_keys`, newest first.

    """
    newest = keys[0]
    return newest if newest.state is KeyState.INCOMING else writing_index_key(keys)
