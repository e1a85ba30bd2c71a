"""Whether the results of a statement may be fetched in binary.

In text PostgreSQL sends two hexadecimal digits for each byte of an encrypted value, and psycopg
turns them back. In binary psycopg must know how to load every type of the result: it returns the
raw bytes of an enum, citext or money. The types are known when a result is there, so a statement
with encrypted columns runs once in text, and then in binary if all its types are safe.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vaultdb.errors import SchemaError
from vaultdb.orm.types import Encrypted

SAFE_TYPES = frozenset(
    {
        16,  # bool
        17,  # bytea
        20,  # bigint
        21,  # smallint
        23,  # integer
        25,  # text
        701,  # double precision
        1043,  # varchar
        1082,  # date
        1114,  # timestamp
        1184,  # timestamptz
        2950,  # uuid
    }
)
"""OIDs of result types that load to the same Python value from text and from binary.

Fixed for ever in PostgreSQL's `pg_type.dat`. Not real: binary shows digits that text rounds.
`tests/integration/orm/test_read_binary.py` compares each.
"""

_VERDICT = "_vaultdb_binary"
"""On a compiled statement: whether it can be fetched in binary; absent before its first result."""


def wants_binary(context: Any) -> bool:
    """Tell whether a statement that is about to run may be fetched in binary.

    Args:
        context: the execution context.

    """
    return context.compiled is not None and vars(context.compiled).get(_VERDICT) is True


def wants_result_types(context: Any) -> bool:
    """Tell whether `note_result_types` has anything to learn from a statement that has run."""
    return context.compiled is not None and vars(context.compiled).get(_VERDICT) is not False


def note_result_types(context: Any, oids: Sequence[int], *, binary: bool) -> None:
    """Learn the types of a result, for the next execution of its statement.

    Args:
        context: the execution context.
        oids: the types of the result's columns.
        binary: whether the result was fetched in binary.

    Raises:
        SchemaError: it was, and a column's type has changed since to one that is not safe.

    """
    safe = SAFE_TYPES.issuperset(oids)
    setattr(context.compiled, _VERDICT, safe and _has_encrypted_results(context.compiled))
    if binary and not safe:
        raise SchemaError(
            "a result column has changed its type since this statement ran first; run it again"
        )


def _has_encrypted_results(compiled: Any) -> bool:
    results = getattr(compiled, "_result_columns", None) or ()
    return any(isinstance(entry.type, Encrypted) for entry in results)
