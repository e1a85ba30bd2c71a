"""`vaultdb adopt erase` and `vaultdb adopt status`: what the old column left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vaultdb.cli import adopt_output as output
from vaultdb.cli.adopt_opening import setup
from vaultdb.cli.adopt_options import ColumnName, PlanOnly, TableName, Tenant
from vaultdb.cli.asking import confirm
from vaultdb.cli.options import Json, Models, Yes
from vaultdb.cli.report import DIFFERS, plural, print_json
from vaultdb.jobs.adopt.leftovers import erasing
from vaultdb.jobs.adopt.leftovers.samples import SAMPLES, samples_in, samples_of
from vaultdb.jobs.adopt.leftovers.status import look


def erase(
    context: typer.Context,
    table: TableName,
    column: ColumnName,
    *,
    rewrite: Annotated[
        bool, typer.Option(help="Rewrite the table (VACUUM FULL); not after pg_repack.")
    ] = True,
    wal: Annotated[bool, typer.Option(help="Write over the WAL.")] = True,
    model: Models = None,
    plan: PlanOnly = False,
    yes: Yes = False,
) -> None:
    """Erase what the old column left in the table's files, the statistics and the WAL.

    Logs in as the administrator. The table is locked while it is rewritten.
    """
    found = setup(context, model)
    adoption = found.place(table, column)
    with found.changing("admin", "erase the old values") as connection:
        agreed = erasing.plan(connection, adoption)
        if rewrite:
            print(f"rewrite {agreed.table}, {agreed.size:,} bytes, locked for everybody meanwhile")
        if wal:
            size = agreed.segments * agreed.segment_size
            print(f"write over {plural(agreed.segments, 'segment')} of the WAL, {size:,} bytes")
        if plan:
            return
        if not yes:
            confirm("go on?")
        with found.recorded("erase", adoption):
            erasing.erase(connection, adoption, rewrites=rewrite, recycles=wal, progress=print)
    print(f"erased; look: vaultdb adopt status {adoption.table.fullname} {adoption.encrypted}")


def status(
    context: typer.Context,
    table: TableName,
    column: ColumnName,
    *,
    samples: Annotated[
        int, typer.Option("--samples", min=1, help="Values to decrypt and look for.")
    ] = SAMPLES,
    values: Annotated[
        Path | None, typer.Option("--values", metavar="FILE", help="Look for its lines instead.")
    ] = None,
    everywhere: Annotated[
        bool, typer.Option("--everywhere", help="Look into all relations of the database.")
    ] = False,
    tenant: Tenant = None,
    model: Models = None,
    as_json: Json = False,
) -> None:
    """Look for values of the column in the clear, in the server's own files; exit 2 if any is left.

    Decrypts some values as the role reencryptor and reads the files as the administrator, after a
    checkpoint. The values stay in this process.
    """
    found = setup(context, model)
    adoption = found.place(table, column)
    if values is not None:
        wanted = samples_in(values)
    else:
        with (
            found.recorded("status", adoption),
            found.keyring() as keyring,
            found.rows("choose values") as connection,
        ):
            owner = found.tenant(tenant)
            wanted = samples_of(connection, adoption, keyring, tenant=owner, count=samples)
    with found.changing("admin", "look into the server's files") as connection:
        seen = look(connection, adoption, wanted, everywhere=everywhere)
    if as_json:
        print_json(output.status_as_json(seen))
    else:
        output.print_status(seen)
    if seen.is_readable:
        raise typer.Exit(DIFFERS)
