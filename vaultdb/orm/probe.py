"""A value that is searched for: secret, on its way to become blind-index values."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, final

from sqlalchemy.types import UserDefinedType

from vaultdb.crypto.blind_index import EQUALITY
from vaultdb.errors import ConfigurationError, VaultDBError
from vaultdb.orm.companion import index_input
from vaultdb.orm.key_asking import index_keys
from vaultdb.orm.runtime import runtime_of
from vaultdb.orm.unwrapped import unwrapped

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect

    from vaultdb.orm.types import Encrypted


@final
class Probe:
    """What is searched for, as the input of the blind index; hidden from repr, logs and pickles.

    Args:
        inputs: from `index_input`, one for each alternative; None for NULL.

    """

    __slots__ = ("_inputs",)

    def __init__(self, inputs: Sequence[bytes | None]) -> None:
        self._inputs = tuple(inputs)

    def digests(self, digest: Callable[[bytes], bytes]) -> list[bytes | None]:
        """Return the blind-index value of each alternative under one key.

        NULL stays NULL: left out, it would make `!=` and `not_in` find every row, where SQL says
        that nothing is known to differ from NULL.
        """
        return [None if value is None else digest(value) for value in self._inputs]

    def __repr__(self) -> str:
        return "<searched value>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a searched value is secret and cannot be pickled")

    def __deepcopy__(self, _memo: object) -> Probe:
        return self


@final
class ProbeType(UserDefinedType[Any]):
    """The type of the parameter that a search binds: an array of blind-index values.

    Args:
        searched: the type of the encrypted column.
        several: whether a plain value is a list of alternatives, as for `in_`.

    """

    cache_ok = True

    def __init__(self, searched: Encrypted[Any], several: bool) -> None:
        self.searched = searched
        self.several = several

    @property
    def python_type(self) -> type[Any]:
        """The type of the values searched for."""
        return self.searched.python_type

    def probe(self, value: Any) -> Probe:
        """Prepare what is searched for.

        Raises:
            ValueRefused: a value is not of the column's type; does not show it.

        """
        values = value if self.several else (value,)
        return Probe([None if v is None else index_input(self.searched, v) for v in values])

    def get_col_spec(self, **_: Any) -> str:
        """Name the parameter's type; only PostgreSQL casts to it."""
        return "BYTEA[]"

    def bind_processor(self, dialect: Dialect) -> Any:
        """Compute the blind-index values under all live index keys of the tenant."""
        pack = _PACKERS.get(dialect.name, _refuse_dialect)

        def bind(value: Any) -> Any:
            try:
                return pack(self._digests(value, dialect))
            except VaultDBError as error:
                # SQLAlchemy would wrap it in an error that shows all parameters.
                raise unwrapped(error) from None

        return bind

    def _digests(self, value: Any, dialect: Dialect) -> list[bytes | None]:
        probe = value if isinstance(value, Probe) else self.probe(value)
        runtime, domain = runtime_of(dialect), self.searched.index_domain
        keys = index_keys(runtime.keyring, runtime.tenant_now(), self.searched.keyset)
        return [
            digest
            for key in keys
            for digest in probe.digests(
                lambda message, key=key: key.index_digest(domain, EQUALITY, message)  # type: ignore[misc]
            )
        ]


def _refuse_dialect(_: list[bytes | None]) -> NoReturn:
    raise ConfigurationError("blind indexes work on PostgreSQL, and on SQLite in tests")


def _json(digests: list[bytes | None]) -> str:
    return json.dumps([digest and digest.hex() for digest in digests])


_PACKERS: dict[str, Callable[[list[bytes | None]], Any]] = {"postgresql": list, "sqlite": _json}
