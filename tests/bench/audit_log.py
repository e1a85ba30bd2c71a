"""A log as many processes would have written it, made fast: for benchmarks that read one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

import psycopg

from vaultdb.audit.chain import Chain, Record
from vaultdb.audit.event import Event, Identity, canonical, timestamp
from vaultdb.audit.keys import AuditKeys, CheckpointSigner
from vaultdb.audit.kinds import CHAIN_OPENED, DATA_READ, DATA_READ_FINISHED
from vaultdb.audit.merkle import Frontier, leaf_hash
from vaultdb.audit.opening import Writer, opening_digest
from vaultdb.guard.principal import Acting
from vaultdb.jobs.audit.signing import NoteSigner

LOGIN = "vaultdb_app"
ACTING = Acting("dr-jones", tenant="clinic", purpose="treatment", request="r-0123456789abcdef")
READ = {
    "id": "5f0c9f6a1b2c3d4e",
    "tables": ["public.patient"],
    "columns": ["public.patient.name", "public.patient.born", "public.patient.email"],
    "statement": "9a7c6c5b4e3d2f10",
}
FINISHED = {"of": "5f0c9f6a1b2c3d4e", "rows": 3, "keys": ["1041", "1042", "1043"]}
CHECKPOINT_EVERY = 1_000
"""Records below one checkpoint: those of a busy second."""


@dataclass(frozen=True, slots=True)
class Size:
    """How large a log is made: chains that were open one after another, and their records."""

    chains: int
    records: int

    @property
    def total(self) -> int:
        """How many records there are."""
        return self.chains * self.records


def fill(
    connection: psycopg.Connection[Any],
    realm: str,
    keys: AuditKeys,
    signer: CheckpointSigner,
    size: Size,
) -> None:
    """Write a log with its leaves and checkpoints, as the database's superuser.

    Eight chains are written at the same time, as by eight threads, so their records alternate.
    """
    writer = Writer.certified(realm, keys)
    log = _Filled(connection, NoteSigner(realm, signer))
    for first in range(0, size.chains, 8):
        chains = [writer.open(LOGIN, keys.escrow()) for _ in range(min(8, size.chains - first))]
        log.chains([(opening.id, opening.text(), size.records - 1) for _, opening in chains])
        records = _records(chains, size.records)
        while batch := list(islice(records, CHECKPOINT_EVERY)):
            log.add(batch)
    connection.execute("ANALYZE vaultdb_audit.event, vaultdb_audit.leaf, vaultdb_audit.chain")


def _records(chains: list[Any], count: int) -> Iterator[Record]:
    now = datetime.now(UTC)
    for number in range(count):
        for chain, opening in chains:
            now += timedelta(milliseconds=1)
            yield chain.link(timestamp(now), _body(chain, opening.text(), number))


def _body(chain: Chain, opening: str, number: int) -> str:
    if number == 0:
        return canonical({"event": CHAIN_OPENED.name, "opening": opening_digest(opening)})
    kind, fields = (DATA_READ, READ) if number % 2 else (DATA_READ_FINISHED, FINISHED)
    return Event(kind, fields, ACTING).body(Identity(LOGIN), chain)


class _Filled:
    def __init__(self, connection: psycopg.Connection[Any], signer: NoteSigner) -> None:
        self._connection = connection
        self._signer = signer
        self._frontier = Frontier()

    def chains(self, rows: list[tuple[UUID, str, int]]) -> None:
        with self._connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO vaultdb_audit.chain (chain, opening, sequenced) VALUES (%s, %s, %s)",
                rows,
            )

    def add(self, records: list[Record]) -> None:
        first = self._frontier.size
        with self._connection.cursor() as cursor:
            with cursor.copy(
                "COPY vaultdb_audit.event (chain, seq, at, body, mac) FROM STDIN"
            ) as copy:
                for each in records:
                    copy.write_row((each.chain, each.seq, each.at, each.body, each.mac))
            with cursor.copy(
                "COPY vaultdb_audit.leaf (index, chain, seq, hash) FROM STDIN"
            ) as copy:
                for number, each in enumerate(records, first):
                    leaf = leaf_hash(each)
                    self._frontier.add(leaf)
                    copy.write_row((number, each.chain, each.seq, leaf))
            signed = self._signer.sign(1, self._frontier)
            cursor.execute(
                "INSERT INTO vaultdb_audit.checkpoint (size, frontier, note) VALUES (%s, %s, %s)",
                [self._frontier.size, self._frontier.dump(), signed.note],
            )
