"""Asking for the keys of one scope, without holding up an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy.util import await_only
from sqlalchemy.util.concurrency import in_greenlet

from vaultdb.keys.wrapped_key import KeyScope, Purpose

if TYPE_CHECKING:
    from vaultdb.keys.data_key import DataKey
    from vaultdb.keys.keyring import Keyring

T = TypeVar("T")


def active_key(keyring: Keyring, tenant: str, keyset: str, *, subject: str = "") -> DataKey:
    """Ask for the DEK that writes, as `Keyring.active`, and off the event loop if that may take."""
    ask = partial(keyring.active, tenant, keyset, subject=subject)
    return _off_the_loop(keyring, KeyScope(tenant, keyset, Purpose.DATA, subject), ask)


def ensure_keys(keyring: Keyring, scopes: Sequence[KeyScope]) -> None:
    """Have these keys at hand, as `Keyring.ensure`, and off the event loop if that may take."""
    if in_greenlet() and not keyring.is_warm(scopes):
        await_only(asyncio.to_thread(keyring.ensure, scopes))
    else:
        keyring.ensure(scopes)


def index_keys(keyring: Keyring, tenant: str, keyset: str) -> Sequence[DataKey]:
    """Ask for the index DEKs, as `Keyring.index_keys`, and off the event loop if that may take."""
    ask = partial(keyring.index_keys, tenant, keyset)
    return _off_the_loop(keyring, KeyScope(tenant, keyset, Purpose.INDEX), ask)


def _off_the_loop(keyring: Keyring, scope: KeyScope, ask: Callable[[], T]) -> T:
    # A key that is refused stays refused while it is loaded, and is asked for again here.
    if in_greenlet() and not keyring.answers_at_once(scope):
        return await_only(asyncio.to_thread(ask))
    return ask()
