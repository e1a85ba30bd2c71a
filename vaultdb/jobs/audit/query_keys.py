"""Which entries are about one row: keys in plain, or digests under a secret of each chain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import date
from enum import Enum
from itertools import product
from typing import Any, Final
from uuid import UUID

import psycopg

from vaultdb.audit.chain import row_key_digest, row_key_secret
from vaultdb.audit.keys import EscrowOpener
from vaultdb.audit.opening import Opening, OpeningError
from vaultdb.audit.row_name import shown_key
from vaultdb.crypto.limits import MAX_KEY_COLUMNS
from vaultdb.crypto.row_binding import KeyTag, encode_key_part, row_binding
from vaultdb.errors import ValueRefused
from vaultdb.jobs.audit.query_entry import Entry

_DIGEST: Final = "h:"
_MAX_FORMS: Final = 256


class Match(Enum):
    """Whether an entry is about a row."""

    NO = "no"
    POSSIBLE = "possible"
    """It does not name all its rows."""
    YES = "yes"


class KeyFinder:
    """Says of entries whether they are about one row.

    Natural keys are digests in the log, and only who opens a chain's escrow can ask for one: that
    is done when the first digest of a chain is met, so integers and UUIDs need no Vault.

    Args:
        key: the row's key as text, the columns of a composite key joined by a comma; sensitive.
        connection: of the auditor; reads openings.
        escrow: the auditor's Vault login; None if there is none.

    """

    def __init__(
        self, key: str, connection: psycopg.Connection[Any], escrow: EscrowOpener | None
    ) -> None:
        self._forms = forms_of(key)
        self._plain = {key, *filter(None, map(shown_key, self._forms))}
        self._connection = connection
        self._escrow = escrow
        self._secrets: dict[UUID, bytes | None] = {}

    @property
    def unopened(self) -> int:
        """The number of chains whose digests could not be compared."""
        return sum(secret is None for secret in self._secrets.values())

    def prepare(self, entries: Iterable[Entry]) -> None:
        """Open the escrow of the chains of these entries, with as few calls as possible."""
        chains = {
            source.chain
            for entry in entries
            for source in (entry.finished or entry,)
            if any(key.startswith(_DIGEST) for key in source.keys)
        }
        self._open(sorted(chains - self._secrets.keys()))

    def match(self, entry: Entry, tables: Sequence[str]) -> Match:
        """Say whether the entry is about the row.

        Args:
            entry: that `prepare` was told of.
            tables: those of the entry that the row may be in.

        """
        source = entry.finished or entry
        keys = set(entry.keys)
        if keys & self._plain or keys & set(self._digests(source.chain, tables)):
            return Match.YES
        is_blind = self._secrets.get(source.chain, b"") is None
        return Match.POSSIBLE if entry.has_more_keys or is_blind else Match.NO

    def _digests(self, chain: UUID, tables: Sequence[str]) -> Iterator[str]:
        secret = self._secrets.get(chain)
        if secret is not None:
            for table, form in product(tables, self._forms):
                yield row_key_digest(secret, table, form)

    def _open(self, chains: list[UUID]) -> None:
        if not chains:
            return
        self._secrets.update(dict.fromkeys(chains))
        if self._escrow is None:
            return
        query = "SELECT chain, opening FROM vaultdb_audit.chain WHERE chain = ANY(%s)"
        sealed: dict[UUID, str] = {}
        with self._connection.transaction():
            openings = self._connection.execute(query, (chains,)).fetchall()
        for chain, text in openings:
            with suppress(OpeningError):
                sealed[chain] = Opening.parse(text).escrow
        keys = self._escrow.open(list(sealed.values()))
        for chain, first_key in zip(sealed, keys, strict=True):
            self._secrets[chain] = None if first_key is None else row_key_secret(first_key)


def forms_of(key: str) -> list[bytes]:
    """Return the row bindings that a key given as text may have.

    The types of the key columns are not known here, so `7` is an integer and a text, and `a,b`
    one column or two.
    """
    forms: list[bytes] = []
    for parts in ([key], key.split(",")):
        if len(parts) > MAX_KEY_COLUMNS or (parts == [key] and forms):
            continue
        for columns in product(*map(_column_forms, parts)):
            forms.append(row_binding(columns))
            if len(forms) >= _MAX_FORMS:
                return forms
    return forms


def _column_forms(text: str) -> list[tuple[KeyTag, bytes]]:
    found: list[tuple[KeyTag, bytes]] = []
    for tag, parse in _PARSERS:
        with suppress(ValueError, ValueRefused):
            found.append((tag, encode_key_part(tag, parse(text))))
    return found


_PARSERS: Final[tuple[tuple[KeyTag, Any], ...]] = (
    (KeyTag.INTEGER, int),
    (KeyTag.UUID, UUID),
    (KeyTag.DATE, date.fromisoformat),
    (KeyTag.TEXT, str),
    (KeyTag.BYTES, bytes.fromhex),
)
