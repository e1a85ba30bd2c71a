"""What an audit event says, as the text that is authenticated and stored."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, TypeAlias

from vaultdb.audit.chain import Chain
from vaultdb.audit.kinds import EventKind
from vaultdb.audit.row_name import RowName
from vaultdb.errors import ConfigurationError
from vaultdb.guard.principal import Acting

Json: TypeAlias = "str | int | bool | RowName | Sequence[Json] | Mapping[str, Json] | None"
"""What a field may hold. No floats: their text differs from library to library."""

BODY_VERSION: Final = 1

_SCALARS: Final = frozenset({str, int, bool, type(None)})
"""Types of most values: looked up, for an abstract class takes 1 µs to say that it is none."""

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom the log's own connection belongs to.

    Args:
        login: the database login.
        entity: the id of the Vault entity, or None outside Vault.

    """

    login: str
    entity: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, before it is part of a chain.

    Args:
        kind: one of `vaultdb.audit.kinds`, or an application's own.
        fields: fields of that kind; never a value of an encrypted column.
        acting: who did it; None if nobody acts, as at the opening of a chain.
        tenant: whose data it was, where that differs from `acting.tenant`.

    Raises:
        ConfigurationError: a field that the kind does not have.

    """

    kind: EventKind
    fields: Mapping[str, Json] = field(default_factory=dict)
    acting: Acting | None = None
    tenant: str | None = None

    def __post_init__(self) -> None:
        unknown = [name for name in self.fields if name not in self.kind.fields]
        if unknown:
            raise ConfigurationError(
                f"the audit event {self.kind.name!r} has no field {min(unknown)!r}; "
                f"it has {', '.join(self.kind.fields) or 'none'}"
            )

    def body(self, identity: Identity, chain: Chain) -> str:
        """Return the event as canonical JSON: what the chain authenticates.

        Fields that are None are left out.

        Args:
            identity: whom the connection belongs to.
            chain: the chain that the event is going to be linked to; names rows.

        Raises:
            ConfigurationError: a field holds something that is not JSON, or a float.

        """
        acting = self.acting
        said: dict[str, Json] = {
            **self.fields,
            "v": BODY_VERSION,
            "no": self.kind.number,
            "event": self.kind.name,
            "login": identity.login,
            "entity": identity.entity,
        }
        if acting is not None:
            said["principal"] = acting.principal
            said["purpose"] = acting.purpose
            said["request"] = acting.request
        said["tenant"] = self.tenant or (acting.tenant if acting else None)
        return _encode(
            {
                name: value if type(value) in _SCALARS else _plain(value, chain)
                for name, value in said.items()
                if value is not None
            }
        )


def canonical(value: Json) -> str:
    r"""Return canonical JSON: sorted keys, no spaces, ASCII only, so that any encoding keeps it.

    Raises:
        ConfigurationError: something that is not JSON, or a float.

    Example:
        >>> canonical({"b": [1, True], "a": "ü"})
        '{"a":"\\u00fc","b":[1,true]}'

    """
    return _encode(_plain(value))


def timestamp(now: datetime | None = None) -> str:
    """Return a time (now, if None) as the log states it: RFC 3339, UTC, microseconds.

    Example:
        >>> timestamp(datetime(2026, 3, 1, 12, tzinfo=UTC))
        '2026-03-01T12:00:00.000000Z'

    """
    now = datetime.now(UTC) if now is None else now.astimezone(UTC)
    return now.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _plain(value: object, chain: Chain | None = None) -> object:
    """Return a value that is only JSON, with rows named as the chain names them."""
    if type(value) in _SCALARS:
        return value
    if isinstance(value, RowName) and chain is not None:
        return value.in_chain(chain)
    if isinstance(value, list | tuple):
        return [part if type(part) in _SCALARS else _plain(part, chain) for part in value]
    if isinstance(value, dict | Mapping):
        if not all(isinstance(key, str) for key in value):
            raise ConfigurationError("the keys of an audit field must be strings")
        return {
            key: part if type(part) in _SCALARS else _plain(part, chain)
            for key, part in value.items()
        }
    if isinstance(value, str | int):
        return value
    raise ConfigurationError(
        f"an audit field cannot hold a {type(value).__name__}; "
        "give a string, an int, a bool, or lists and dicts of them"
    )
