"""`vaultdb adopt`: a column of plaintext, or of another package's ciphertext, becomes ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from vaultdb.cli import adopt_output as output
from vaultdb.cli.adopt_leftovers import erase, status
from vaultdb.cli.adopt_opening import Pace, Setup, foreign_of, setup
from vaultdb.cli.adopt_options import (
    ColumnName,
    From,
    Key,
    KeyFile,
    KeyVault,
    MaxLag,
    MaxRows,
    PaddingOption,
    PlanOnly,
    TableName,
    Tenant,
    Workers,
)
from vaultdb.cli.asking import confirm
from vaultdb.cli.options import Json, Models, Yes
from vaultdb.cli.progress import progress_bar
from vaultdb.cli.report import FAILURE, plural, print_json, print_table
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.adopt import backfill as backfilling
from vaultdb.jobs.adopt import emptying
from vaultdb.jobs.adopt.adoption import Adoption, adoptions, declared_source
from vaultdb.jobs.adopt.comparison import compare
from vaultdb.jobs.adopt.foreign.padding import Padding
from vaultdb.jobs.adopt.proving import add_check, check_statements, drop_trigger
from vaultdb.jobs.adopt.running import run_adoption
from vaultdb.jobs.adopt.stage import Stage, next_step, refuse_emptying, stage_of

if TYPE_CHECKING:
    from vaultdb.jobs.work.job import Progress

app = typer.Typer(help="Encrypt a column that holds plaintext.", no_args_is_help=True)


@app.command()
def plan(context: typer.Context, model: Models = None, as_json: Json = False) -> None:
    """Show every column that is on its way, how far it has come, and the next step."""
    found = setup(context, model)
    shown = []
    with found.rows("look at the columns") as connection:
        for adoption in adoptions(found.models):
            stage = stage_of(connection, adoption)
            if not stage.has_plain and declared_source(adoption.column.column) is None:
                continue  # it is over; only the column's name is left of it
            shown.append((adoption, stage, next_step(stage, adoption)))
    if as_json:
        print_json(
            [
                {"column": str(each.column.column), "replaces": each.plain, **asdict(stage)}
                | {"next": step}
                for each, stage, step in shown
            ]
        )
        return
    rows = [
        (each.target, stage.held, stage.missing, stage.mode, step) for each, stage, step in shown
    ]
    titles = ("column", "values", "not encrypted", "models", "next step")
    print_table(titles, rows, nothing="no column of the models replaces another")


@app.command()
def backfill(  # noqa: PLR0917  # typer passes them by name
    context: typer.Context,
    table: TableName,
    column: ColumnName,
    source: From = None,
    padding: PaddingOption = Padding.NAIVE,
    key_file: KeyFile = None,
    key_vault: KeyVault = None,
    key: Key = None,
    tenant: Tenant = None,
    workers: Workers = 1,
    max_lag: MaxLag = None,
    max_rows: MaxRows = None,
    model: Models = None,
    plan: PlanOnly = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Encrypt what the old column holds and the encrypted one does not; run again to go on.

    Whoever writes a row meanwhile wins. Keys come from the role reencryptor, rows are read and
    written by the role rotator.
    """
    found = setup(context, model)
    adoption = found.find(table, column)
    foreign = foreign_of(source, padding, key_file, key_vault, key)
    pace = Pace(workers, max_lag, max_rows)
    with found.rows("look at the column") as connection:
        stage = stage_of(connection, adoption)
    if not stage.has_plain or not stage.has_encrypted:
        raise ConfigurationError(f"{adoption.target}: {next_step(stage, adoption)}")
    if not as_json:
        print(f"encrypt {plural(stage.missing, 'value')} of {adoption.target}")
        if not stage.has_trigger:
            print("warning: there is no trigger that notices releases which write plaintext only")
    if plan:
        if as_json:
            print_json(asdict(stage))
        return
    if not yes:
        confirm("go on?")
    opener = found.tools(adoption, pace)
    with (
        found.recorded("backfill", adoption),
        opener() as tools,
        _bar("encrypting", stage.missing, as_json) as progress,
    ):
        result, bad = run_adoption(
            tools,
            backfilling.KIND,
            adoption,
            foreign,
            tenant=found.tenant(tenant),
            workers=workers,
            progress=progress,
            opener=opener if workers > 1 else None,
        )
    if as_json:
        print_json(output.result_as_json(result, bad))
    else:
        output.print_result("encrypted", result, bad)
    if result.remaining:
        raise typer.Exit(FAILURE)


@app.command()
def verify(  # noqa: PLR0917  # typer passes them by name
    context: typer.Context,
    table: TableName,
    column: ColumnName,
    sample: Annotated[
        int | None, typer.Option("--sample", min=1, help="Rows at random; default: all.")
    ] = None,
    source: From = None,
    padding: PaddingOption = Padding.NAIVE,
    key_file: KeyFile = None,
    key_vault: KeyVault = None,
    key: Key = None,
    tenant: Tenant = None,
    model: Models = None,
    as_json: Json = False,
) -> None:
    """Decrypt and compare with the old column; name rows that differ by their key."""
    found = setup(context, model)
    adoption = found.find(table, column)
    foreign = foreign_of(source, padding, key_file, key_vault, key)
    rows = found.old_rows(adoption, foreign, found.tenant(tenant))
    with (
        found.recorded("verify", adoption),
        found.keyring() as keyring,
        found.rows("compare the columns") as connection,
    ):
        total = sample or stage_of(connection, adoption).held
        connection.rollback()
        with progress_bar("comparing", total, hidden=as_json) as progress:
            different = compare(
                connection, adoption, rows, keyring, sample=sample, progress=progress
            )
    if as_json:
        print_json(output.comparison_as_json(different))
    else:
        output.print_comparison(different)
    if different.different:
        raise typer.Exit(FAILURE)


@app.command()
def check(
    context: typer.Context,
    table: TableName,
    column: ColumnName,
    apply: Annotated[
        bool, typer.Option("--apply", help="Do it now, by the migrator's login.")
    ] = False,
    model: Models = None,
) -> None:
    """Print, or add, the CHECK that proves that no value is left unencrypted."""
    found = setup(context, model)
    adoption = found.find(table, column)
    if not apply:
        for statement in check_statements(adoption):
            print(f"{statement.as_string(None)};")
        return
    with found.changing("migrator", "add the check") as connection:
        add_check(connection, adoption)
    print(f"every value of {adoption.target} is encrypted, and stays so: the check is validated")


@app.command()
def null(  # noqa: PLR0917  # typer passes them by name
    context: typer.Context,
    table: TableName,
    column: ColumnName,
    drops: Annotated[
        bool,
        typer.Option("--drop-trigger", help="Drop the trigger first, by the migrator's login."),
    ] = False,
    source: From = None,
    padding: PaddingOption = Padding.NAIVE,
    key_file: KeyFile = None,
    key_vault: KeyVault = None,
    key: Key = None,
    tenant: Tenant = None,
    workers: Workers = 1,
    max_lag: MaxLag = None,
    max_rows: MaxRows = None,
    model: Models = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Empty the old column, of rows whose ciphertext decrypts to the same value only."""
    found = setup(context, model)
    adoption = found.find(table, column)
    foreign = foreign_of(source, padding, key_file, key_vault, key)
    pace = Pace(workers, max_lag, max_rows)
    with found.rows("look at the column") as connection:
        stage = stage_of(connection, adoption)
    refuse_emptying(stage, adoption, drops_trigger=drops)
    if not as_json:
        print(f"compare and empty {plural(stage.held, 'value')} of {adoption.target}, for good")
    if not yes:
        confirm("go on?")
    opener = found.tools(adoption, pace)
    with (
        found.recorded("null", adoption),
        _without_trigger(found, adoption, stage),
        opener() as tools,
        _bar("emptying", stage.held, as_json) as progress,
    ):
        result, bad = run_adoption(
            tools,
            emptying.KIND,
            adoption,
            foreign,
            tenant=found.tenant(tenant),
            workers=workers,
            progress=progress,
            opener=opener if workers > 1 else None,
        )
    if as_json:
        print_json(output.result_as_json(result, bad))
    else:
        output.print_result("emptied", result, bad)
    if result.remaining:
        raise typer.Exit(FAILURE)


app.command()(erase)
app.command()(status)


@contextmanager
def _without_trigger(found: Setup, adoption: Adoption, stage: Stage) -> Iterator[None]:
    """Drop the trigger that notices writes of plaintext."""
    if stage.has_trigger:
        with found.changing("migrator", "drop the trigger") as connection:
            drop_trigger(connection, adoption)
    yield


@contextmanager
def _bar(what: str, total: int, hidden: bool) -> Iterator[Callable[[Progress], None]]:
    """Show how many rows were changed."""
    with progress_bar(what, total, hidden=hidden) as advance:
        before = 0

        def tell(progress: Progress) -> None:
            nonlocal before
            advance(progress.changed - before)
            before = progress.changed

        yield tell
