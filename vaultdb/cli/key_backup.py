"""`vaultdb keys backup` and `vaultdb keys restore`: the key table, apart from ordinary dumps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vaultdb.audit.kinds import BACKUP_MADE, BACKUP_RESTORED
from vaultdb.cli import key_manifest
from vaultdb.cli.asking import confirm
from vaultdb.cli.opening import key_store
from vaultdb.cli.options import Json, Yes, options_of
from vaultdb.cli.report import FAILURE, plural, print_json
from vaultdb.jobs.keybackup import restore
from vaultdb.jobs.keybackup.backup import back_up
from vaultdb.jobs.recording import recorded

if TYPE_CHECKING:
    from vaultdb.jobs.keybackup.folder import Written
    from vaultdb.jobs.keybackup.restore import Restore


def add_to(group: typer.Typer) -> None:
    """Add these commands, and those about manifests, to `vaultdb keys`."""
    group.command("backup")(backup_command)
    group.command("restore")(restore_command)
    group.add_typer(
        key_manifest.app, name="manifest", help="Record backups of the database and their keys."
    )


def backup_command(
    context: typer.Context,
    to: Annotated[
        Path | None,
        typer.Option("--to", help="Folder; default: the setting keyring.backup_folder."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write every row of the key table into a new file, tombstones included.

    The keys in it are wrapped, as in the table: it opens nothing without Vault.
    """
    settings = options_of(context).settings("backup")
    with recorded(settings, "keys backup") as record, key_store(settings) as store:
        written = back_up(store, settings, to)
        record(BACKUP_MADE, what="key table", digest=written.sha256)
    if as_json:
        print_json(backup_as_json(written))
    else:
        print_backup(written)


def restore_command(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A backup of the key table.")],
    plan: Annotated[bool, typer.Option("--plan", help="Show the plan and stop.")] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Add the keys of a backup that the key table lacks; what was destroyed stays destroyed.

    Adds with the database login of the role officer. What the file knows as more restricted, or
    under a newer KEK, is changed with the login of the role rotator.
    """
    options = options_of(context)
    settings = options.settings("officer")
    folder = settings.keyring.backup_folder
    with key_store(settings) as store:
        agreed = restore.plan(file, store, settings.realm, [folder] if folder else [])
        if not as_json:
            _print_plan(agreed)
        if plan:
            if as_json:
                print_json(_plan_as_json(agreed))
            return
        added = 0
        if not agreed.overlay.is_empty:
            if not yes:
                confirm("go on?")
            with recorded(settings, "keys restore") as record:
                added = restore.run(agreed, store, lambda: key_store(options.settings("rotator")))
                record(BACKUP_RESTORED, what="key table")
    if as_json:
        print_json({**_plan_as_json(agreed), "added": added})
    elif not agreed.overlay.is_empty:
        print(f"restored: {plural(added, 'key')} added; run: vaultdb doctor")
    if agreed.overlay.conflicts:
        raise typer.Exit(FAILURE)


def print_backup(written: Written) -> None:
    """Print what was written where."""
    print(f"wrote {written.path}")
    print(
        f"{plural(written.keys, 'key')}, {plural(written.tombstones, 'tombstone')} among them,"
        f" sha256 {written.sha256}"
    )
    if written.removed:
        print(f"removed {plural(len(written.removed), 'backup')} older than keyring.backup_days")


def backup_as_json(written: Written) -> dict[str, object]:
    """Return what was written, for another program."""
    return {
        "file": written.path,
        "sha256": written.sha256,
        "keys": written.keys,
        "tombstones": written.tombstones,
        "removed": [str(path) for path in written.removed],
    }


def _print_plan(agreed: Restore) -> None:
    what = agreed.overlay
    print(f"the backup was taken at {agreed.backup.taken_at:%Y-%m-%d %H:%M:%S%z}")
    print(f"add {plural(len(what.insert), 'key')}, leave {plural(what.same, 'key')} as they are")
    for state, key_ids in what.restrict.items():
        print(f"set {plural(len(key_ids), 'key')} of the table to {state}")
    if what.rewrap:
        print(f"take the newer wrapping of {plural(len(what.rewrap), 'key')}")
    if what.kept_destroyed:
        print(f"leave {plural(len(what.kept_destroyed), 'key')} of the file destroyed")
    for conflict in what.conflicts:
        print(f"conflict, left alone: {conflict}")


def _plan_as_json(agreed: Restore) -> dict[str, object]:
    what = agreed.overlay
    return {
        "taken_at": agreed.backup.taken_at.isoformat(),
        "insert": [row.key_id.hex() for row in what.insert],
        "rewrap": [live.key_id.hex() for live, _ in what.rewrap],
        "restrict": {
            str(state): [key_id.hex() for key_id in key_ids]
            for state, key_ids in what.restrict.items()
        },
        "kept_destroyed": [key_id.hex() for key_id in what.kept_destroyed],
        "conflicts": list(what.conflicts),
        "same": what.same,
    }
