"""Walk all revisions, and then look at what they lead to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData

from vaultdb.alembic.lints.allowing import Source
from vaultdb.alembic.lints.catalogue import is_safe_to_drop, problems_in_the_database
from vaultdb.alembic.lints.finding import Finding, Place, Problem
from vaultdb.alembic.lints.models import Models
from vaultdb.alembic.lints.reading import events_of
from vaultdb.alembic.lints.recording import Recorded, record
from vaultdb.alembic.lints.rules import REMEDIES
from vaultdb.alembic.lints.rules.access import problems_in_the_end as access_in_the_end
from vaultdb.alembic.lints.rules.access import problems_of_access
from vaultdb.alembic.lints.rules.columns import problems_in_the_end as columns_in_the_end
from vaultdb.alembic.lints.rules.columns import problems_of_columns
from vaultdb.alembic.lints.schema import Schema
from vaultdb.db.role_names import RoleNames


def check(
    scripts: ScriptDirectory | Path | str | Iterable[Path | str],
    metadata: MetaData | Sequence[MetaData] | None = None,
    connection: Connection | None = None,
    *,
    names: RoleNames | None = None,
) -> list[Finding]:
    """Return what the migrations do that they should not.

    Every `upgrade()` is run without a database; what it would send is read. A statement may be
    allowed by a comment on it or right above it: `# vaultdb: allow <rule> because <why>`.

    Args:
        scripts: Alembic's folder, or several of them.
        metadata: the models, for tables without declared access and for bound keys.
        connection: to a migrated database, whose catalogues are looked at too.
        names: the capability roles.

    """
    metadatas = [metadata] if isinstance(metadata, MetaData) else list(metadata or ())
    check = _Check(Models(metadatas), names or RoleNames(), connection)
    for script in _directories(scripts):
        for recorded in record(script):
            check.revision(recorded)
    check.end()
    if connection is not None:
        check.found += [
            Finding("", 0, each.rule, each.message, REMEDIES[each.rule])
            for each in problems_in_the_database(connection)
        ]
    return sorted(set(check.found))


class _Check:
    """One run: the schema so far, and what has been found."""

    def __init__(self, models: Models, names: RoleNames, connection: Connection | None) -> None:
        self.found: list[Finding] = []
        self._models = models
        self._names = names
        self._connection = connection
        self._schema = Schema()
        self._sources: dict[str, Source] = {}

    def revision(self, recorded: Recorded) -> None:
        """Look at one revision."""
        file = str(recorded.path)
        self._sources[file] = Source(recorded.path)
        for sent in recorded.sent:
            for event in events_of(sent.sql):
                self._add(problems_of_columns(event, self._schema, self._models), sent.place)
                self._add(problems_of_access(event, self._schema, self._names), sent.place)
                self._schema.apply(event, sent.place)
        if recorded.failure is not None:
            message = f"upgrade() stops here without a database: {recorded.failure}"
            self._add([Problem("not-inspected", message)], recorded.failed_at)
        self._check_allowances(file)

    def end(self) -> None:
        """Look at what all revisions lead to."""
        self._add(columns_in_the_end(self._schema, self._models), Place())
        self._add(access_in_the_end(self._schema, self._models), Place())

    def _check_allowances(self, file: str) -> None:
        for each in self._sources[file].allowances:
            place = Place(file, each.line)
            if each.rule not in REMEDIES:
                self._report(Problem("unknown-rule", f"there is no rule {each.rule}"), place)
            elif not each.reason:
                message = f"{each.rule} is allowed and nobody says why"
                self._report(Problem("allowed-without-reason", message), place)

    def _add(self, problems: Iterable[Problem], place: Place) -> None:
        for problem in problems:
            at = problem.place or place
            source = self._sources.get(at.file)
            allowance = None if source is None else source.allowed(problem.rule, at.line)
            if (allowance is None or not allowance.reason) and not self._is_covered(problem):
                self._report(problem, at)

    def _is_covered(self, problem: Problem) -> bool:
        """Tell whether the database has the check that the revisions do not make."""
        if problem.pair is None or self._connection is None:
            return False
        return is_safe_to_drop(self._connection, problem.pair)

    def _report(self, problem: Problem, place: Place) -> None:
        remedy = REMEDIES[problem.rule]
        self.found.append(Finding(place.file, place.line, problem.rule, problem.message, remedy))


def _directories(
    scripts: ScriptDirectory | Path | str | Iterable[Path | str],
) -> Iterator[ScriptDirectory]:
    if isinstance(scripts, ScriptDirectory):
        yield scripts
    elif isinstance(scripts, Path | str):
        yield ScriptDirectory(str(scripts))
    else:
        for each in scripts:
            yield from _directories(each)
