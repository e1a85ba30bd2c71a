"""Looking for values in the clear, wherever this server keeps bytes of a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from vaultdb.db.manifests import Manifest, holding
from vaultdb.db.schema import job_table
from vaultdb.db.shipped_sql import shipped_sql
from vaultdb.jobs.adopt.leftovers.files import Place, ServerFiles
from vaultdb.jobs.adopt.leftovers.searching import Matches, search, without_page_headers
from vaultdb.jobs.adopt.reading import driver_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from vaultdb.jobs.adopt.adoption import Adoption
    from vaultdb.jobs.adopt.leftovers.samples import Samples

ERASED = "adopt-erase"
"""The kind of the job that remembers when a column was erased."""

_SURROUNDINGS = shipped_sql("vaultdb.jobs.adopt", "surroundings").encode()


@dataclass(frozen=True, slots=True)
class Found:
    """What was found in one place.

    Args:
        kind: table, toast, index, statistics, wal, log or elsewhere.
        name: of the place.
        size: bytes that were read.
        values: how many of the samples are readable there.
        occurrences: of these.

    """

    kind: str
    name: str
    size: int
    values: int
    occurrences: int


@dataclass(frozen=True, slots=True)
class Status:
    """What is readable.

    Args:
        samples: values that were looked for.
        too_short: values that were not, because they would be found by chance.
        found: every place that was looked into.
        unseen: what may hold values and cannot be looked into from here, one line each.
        erased_at: when the column was erased.

    """

    samples: int
    too_short: int
    found: tuple[Found, ...]
    unseen: tuple[str, ...]
    erased_at: datetime | None

    @property
    def is_readable(self) -> bool:
        """Whether a value was found anywhere."""
        return any(each.values for each in self.found)


def look(
    connection: Connection,
    adoption: Adoption,
    samples: Samples,
    *,
    everywhere: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Status:
    """Look into every file, after a checkpoint: until then the disk holds what memory has changed.

    Args:
        connection: by an administrator's login; in autocommit.
        adoption: the column; the old one may be gone.
        samples: what to look for.
        everywhere: look into every relation of the database, for copies.
        progress: told about every place.

    """
    driver = driver_of(connection)
    driver.execute("CHECKPOINT")
    files = ServerFiles(driver)
    table = adoption.keys.table.as_string(driver)
    found = []
    for place in files.places(table, everywhere=everywhere):
        found.append(_found(place, _search(files, place, samples)))
        if progress is not None:
            progress(1)
    planner = search([files.statistics(table)], samples.patterns)
    found.append(_found(Place("statistics", "pg_stats", ()), planner))
    erased_at = erasure(connection, adoption)
    return Status(
        len(samples.patterns),
        samples.too_short,
        tuple(found),
        tuple(_unseen(connection, erased_at)),
        erased_at,
    )


def erasure(connection: Connection, adoption: Adoption) -> datetime | None:
    """Return when the column was erased last."""
    statement = select(func.max(job_table.c.changed_at)).where(
        job_table.c.kind == ERASED, job_table.c.target == adoption.target
    )
    found: datetime | None = connection.scalar(statement)
    return found


def _search(files: ServerFiles, place: Place, samples: Samples) -> Matches:
    chunks = (chunk for path in place.files for chunk in files.read(path))
    if place.kind == "wal":
        chunks = (page for page in without_page_headers(chunks))
    return search(chunks, samples.patterns)


def _found(place: Place, matches: Matches) -> Found:
    return Found(place.kind, place.name, matches.size, len(matches.values), matches.occurrences)


def _unseen(connection: Connection, erased_at: datetime | None) -> Iterator[str]:
    row = driver_of(connection).execute(_SURROUNDINGS).fetchone()
    assert row is not None
    archives, standbys, slots, collects_logs = row
    for name in standbys:
        yield f"standby {name}: it replays the rewrite; restart points there recycle its wal"
    for name in slots:
        yield f"replication slot {name}: it keeps wal; drop it, or let its reader catch up"
    if archives:
        yield "archived wal: expire what was archived before the erasure"
    if not collects_logs:
        yield "the server's log: it goes to stderr; look where its service manager keeps it"
    for manifest in holding(connection):
        if _is_older(manifest, erased_at):
            end = "until it is released"
            if manifest.expires_at is not None:
                end = f"until it expires on {manifest.expires_at:%Y-%m-%d}"
            yield f"backup {manifest.name} of {manifest.taken_at:%Y-%m-%d %H:%M}: {end}"


def _is_older(manifest: Manifest, erased_at: datetime | None) -> bool:
    return erased_at is None or manifest.taken_at < erased_at
