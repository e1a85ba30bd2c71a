"""Rules about who gets at what."""

from __future__ import annotations

from collections.abc import Iterator

from vaultdb.alembic.lints import events
from vaultdb.alembic.lints.events import Event
from vaultdb.alembic.lints.finding import Problem
from vaultdb.alembic.lints.models import Models
from vaultdb.alembic.lints.schema import Schema, shown
from vaultdb.db.role_names import RoleNames


def problems_of_access(event: Event, schema: Schema, names: RoleNames) -> Iterator[Problem]:
    """Return what an event opens that must stay closed; `schema` is as it was before."""
    match event:
        case events.Granted(to_public=True, what=what):
            yield Problem("grant-to-public", f"{what} is granted to everybody")
        case events.RowSecuritySet(table=table, enabled=False):
            yield Problem("rls-disabled", f"{shown(table)} shows every row to everybody")
        case events.RowSecuritySet(table=table, forced=False) if schema.table(table) is None:
            yield Problem("rls-not-forced", f"{shown(table)} shows every row to its owner")
        case events.FunctionChanged():
            yield from _definer(event, schema)
        case events.ViewCreated():
            yield from _view(event, schema)
        case events.Published():
            yield from _published(event, schema)
        case events.PolicyCreated(is_permissive=True, shows_all=True):
            for role in sorted({names.rw, names.ro, "public"}.intersection(event.roles)):
                message = f"policy {event.name} shows all of {shown(event.table)} to {role}"
                yield Problem("policy-shows-all", message)
        case _:
            pass


def _definer(event: events.FunctionChanged, schema: Schema) -> Iterator[Problem]:
    is_known = any(name[-1] == event.name[-1] for name in schema.definers if event.name)
    is_definer = event.is_definer or (event.is_definer is None and is_known)
    says_path = event.search_path is not None
    if not is_definer or not (says_path or event.is_created or event.is_definer):
        return
    path = event.search_path or ()
    if not path or path[-1] != "pg_temp":
        message = f"{shown(event.name)} runs as its owner with whatever the caller puts in pg_temp"
        yield Problem("definer-search-path", message)


def _view(event: events.ViewCreated, schema: Schema) -> Iterator[Problem]:
    if event.is_invoker and not event.is_materialized:
        return
    guarded = {name[-1] for name, _ in schema.encrypted()}
    guarded |= {name[-1] for name, state in schema.tables.items() if state.secured is not None}
    for table in sorted(guarded.intersection(event.words)):
        message = f"view {shown(event.name)} reads {table} as its owner, past policies and grants"
        yield Problem("view-runs-as-owner", message)
    if not event.words:
        yield Problem(
            "view-runs-as-owner", f"view {shown(event.name)} reads as its owner from now on"
        )


def _published(event: events.Published, schema: Schema) -> Iterator[Problem]:
    if event.everything:
        for name, _ in schema.encrypted():
            yield Problem(
                "encrypted-table-published", f"{shown(name)} is published with all tables"
            )
        return
    for name, columns in event.tables:
        state = schema.table(name)
        if state is None or not state.encrypted:
            continue
        if columns is None or set(columns).intersection(state.encrypted):
            yield Problem(
                "encrypted-table-published", f"{shown(name)} is published with ciphertext"
            )


def problems_in_the_end(schema: Schema, models: Models) -> Iterator[Problem]:
    """Return what no later revision has put right."""
    for name, state in schema.tables.items():
        if state.secured is not None and not state.forced:
            message = f"{shown(name)} shows every row to its owner"
            yield Problem("rls-not-forced", message, state.secured)
    for name in sorted(models.undeclared):
        created = schema.tables[name].created if name in schema.tables else None
        message = f"nobody has said who may do what with {shown(name)}"
        yield Problem("undeclared-access", message, created)
