"""Copies of the log for other programs: JSON lines as authenticated, OCSF, OpenTelemetry."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from importlib.metadata import version

from vaultdb.audit.chain import Record
from vaultdb.jobs.audit.export_ocsf import as_ocsf
from vaultdb.jobs.audit.query_entry import Entry


def raw_lines(records: Iterable[Record]) -> Iterator[str]:
    """Yield records as JSON lines: `at` and `body` are the texts that the MAC is over."""
    for record in records:
        yield json.dumps(
            {
                "chain": str(record.chain),
                "seq": record.seq,
                "at": record.at,
                "body": record.body,
                "mac": record.mac.hex(),
            },
            separators=(",", ":"),
        )


def ocsf_lines(entries: Iterable[Entry], realm: str) -> Iterator[str]:
    """Yield entries as JSON lines in the shape of OCSF."""
    own_version = version("vaultdb-sqlalchemy")
    for entry in entries:
        yield json.dumps(as_ocsf(entry, version=own_version, realm=realm), separators=(",", ":"))
