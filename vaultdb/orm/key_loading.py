"""Having a statement's keys at hand before its cursor executes: one call, off the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy.util import await_only
from sqlalchemy.util.concurrency import in_greenlet

from vaultdb.keys.wrapped_key import KeyScope, Purpose
from vaultdb.orm.probe import ProbeType
from vaultdb.orm.types import Encrypted

if TYPE_CHECKING:
    from vaultdb.keys.keyring import Keyring

KeysetUse = tuple[str, Purpose]
"""The name of a keyset, and whether its data keys or its index keys are used."""

_ATTRIBUTE = "_vaultdb_keysets"


def load_keys(keyring: Keyring, tenant: str, uses: Sequence[KeysetUse]) -> None:
    """Have the live DEKs of these keysets cached; returns at once when they are.

    Under asyncio SQLAlchemy runs this in a greenlet: the loop goes on while a thread fetches.

    Raises:
        KeyUnavailable: a DEK is not cached and cannot be had now.

    """
    scopes = [KeyScope(tenant, keyset, purpose) for keyset, purpose in uses]
    if in_greenlet() and not keyring.is_warm(scopes):
        await_only(asyncio.to_thread(keyring.load, scopes))
    else:
        keyring.load(scopes)


def keysets_of(compiled: Any) -> tuple[KeysetUse, ...]:
    """Return the keysets that a compiled statement binds or returns values of.

    Kept on the compiled object, which SQLAlchemy caches: found once per statement.
    """
    try:
        found: tuple[KeysetUse, ...] = compiled.__dict__[_ATTRIBUTE]
    except KeyError:
        found = tuple(dict.fromkeys(_walk(compiled)))
        setattr(compiled, _ATTRIBUTE, found)
    return found


def _walk(compiled: Any) -> list[KeysetUse]:
    types = [entry.type for entry in getattr(compiled, "_result_columns", None) or ()]
    types += [bind.type for bind in getattr(compiled, "binds", {}).values()]
    uses: list[KeysetUse] = []
    for type_ in types:
        if isinstance(type_, Encrypted):
            uses.append((type_.keyset, Purpose.DATA))
            if type_.index is not None:  # found rows are verified against their index values
                uses.append((type_.keyset, Purpose.INDEX))
        elif isinstance(type_, ProbeType):
            uses.append((type_.searched.keyset, Purpose.INDEX))
    return uses
