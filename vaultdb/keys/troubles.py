"""Saying once that keys cannot be had, and once that they can be had again."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from vaultdb.errors import KeyUnavailable, VaultDBError
from vaultdb.keys.naming import describe_for_log as describe
from vaultdb.keys.wrapped_key import KeyScope
from vaultdb.logs import KEYS

REMEMBERED = 10_000
"""Scopes in trouble that are remembered, at most; beyond that they are reported again."""

Kind = type[VaultDBError]


class Troubles:
    """What was said last of each scope. An outage of many scopes is one line, not one for each."""

    def __init__(self) -> None:
        self._said: dict[KeyScope, Kind] = {}

    def found(
        self, scopes: Collection[KeyScope], faults: Mapping[KeyScope, tuple[Kind, str]]
    ) -> None:
        """Note how a read of scopes ended.

        Args:
            scopes: what was read.
            faults: the kind and text of an error, for those that are in trouble.

        """
        new = [scope for scope, (kind, _) in faults.items() if self._said.get(scope) is not kind]
        over = [scope for scope in scopes if scope not in faults and scope in self._said]
        if len(self._said) > REMEMBERED:
            self._said.clear()
        self._said.update((scope, faults[scope][0]) for scope in new)
        for scope in over:
            self._said.pop(scope, None)
        if new:
            kind, text = faults[new[0]]
            then = "; those in memory serve for a while" if issubclass(kind, KeyUnavailable) else ""
            KEYS.warning("cannot read the %s%s: %s%s", describe(new[0]), _others(new), text, then)
        if over:
            KEYS.warning("can read the %s%s again", describe(over[0]), _others(over))


def _others(scopes: Collection[KeyScope]) -> str:
    return f" and {len(scopes) - 1} more" if len(scopes) > 1 else ""
