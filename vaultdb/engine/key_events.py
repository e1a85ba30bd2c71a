"""What an engine's keyring does with data keys, told to its audit log."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vaultdb.audit.auditor import AuditMode, Auditor
from vaultdb.audit.event import Event, Json
from vaultdb.audit.kinds import DATA_DENIED, KEY_CREATED, KEY_UNWRAPPED, EventKind
from vaultdb.guard.principal import current
from vaultdb.keys.wrapped_key import KeyScope, WrappedKey


class AuditedKeys:
    """The `KeyListener` of an engine whose reads and writes are recorded.

    Args:
        auditor: returns the engine's auditor.

    """

    def __init__(self, auditor: Callable[[], Auditor]) -> None:
        self._auditor = auditor

    def created(self, keys: Sequence[WrappedKey]) -> None:
        """Record that keys were made."""
        for key in keys:
            self._add(KEY_CREATED, _ids([key]), scope=_name(key.scope), version=key.version)

    def unwrapped(self, whole: KeyScope, keys: Sequence[WrappedKey]) -> None:
        """Record that Vault unwrapped keys, by which its own log can be compared."""
        self._add(KEY_UNWRAPPED, _ids(keys), scope=_name(whole))

    def denied(self, keys: Sequence[WrappedKey], reason: str) -> None:
        """Record that keys were refused."""
        self._add(DATA_DENIED, _ids(keys), what="unwrap", reason=reason)

    def rolled_back(self, scope: KeyScope, newest: int, floor: int) -> None:
        """Record that the key table is older than what was seen before."""
        reason = f"version {newest} of the keys of {_name(scope)} is below {floor}"
        self._add(DATA_DENIED, [], what="key table", reason=reason)

    def _add(self, kind: EventKind, key_ids: Sequence[str], **fields: Json) -> None:
        auditor = self._auditor()
        if auditor.mode is not AuditMode.OFF:
            auditor.add(Event(kind, {"key_ids": list(key_ids), **fields}, current()))


def _ids(keys: Sequence[WrappedKey]) -> list[str]:
    return [key.key_id.hex() for key in keys]


def _name(scope: KeyScope) -> str:
    """Return tenant, keyset and purpose; a data subject is not named."""
    return "/".join([scope.tenant or "-", scope.keyset, str(scope.purpose)])
