"""`vaultdb keys manifest`: which backups of the database exist, and which keys they need."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vaultdb.cli.opening import key_store
from vaultdb.cli.options import Json, options_of
from vaultdb.cli.report import plural, print_json, print_table
from vaultdb.db import manifests
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.keybackup.manifest import manifest_of_today
from vaultdb.jobs.keybackup.manifest_file import read_manifest, write_manifest

if TYPE_CHECKING:
    from vaultdb.db.manifests import Manifest

app = typer.Typer(no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Of the backup, unique for ever.")]


@app.command("record")
def record_manifest(
    context: typer.Context,
    name: Name,
    days: Annotated[
        int | None,
        typer.Option("--days", min=1, help="Days that the backup is kept; default: until released"),
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", help="Write the manifest into this new file, too.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Record that a backup of the database is taken now, and which data keys it will need.

    Run it just before the backup. `vaultdb keys retire` then leaves these keys alone.
    """
    settings = options_of(context).settings("rotator")
    doing = "record a manifest"
    with key_store(settings) as store, store.connection(settings.realm, doing) as connection:
        manifest = manifest_of_today(connection, settings, name, days=days)
        manifests.record(connection, manifest)
        if to is not None:
            write_manifest(to, settings.realm, manifest)
    _print(manifest, as_json=as_json)


@app.command("add")
def add_manifest(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Written by `record --to`.")],
    as_json: Json = False,
) -> None:
    """Record a manifest from its file, such as in a database that was restored."""
    settings = options_of(context).settings("rotator")
    manifest = read_manifest(file, settings.realm)
    doing = "record a manifest"
    with key_store(settings) as store, store.connection(settings.realm, doing) as connection:
        manifests.record(connection, manifest)
    _print(manifest, as_json=as_json)


@app.command("list")
def list_manifests(context: typer.Context, as_json: Json = False) -> None:
    """List the recorded backups, and which of them may still exist."""
    settings = options_of(context).settings("rotator")
    doing = "read the manifests"
    with key_store(settings) as store, store.connection(settings.realm, doing) as connection:
        found = manifests.manifests(connection)
    if as_json:
        print_json([_as_json(manifest) for manifest in found])
        return
    titles = ("name", "taken at", "expires at", "keys", "still needed")
    now = datetime.now(UTC)
    rows = [
        (
            each.name,
            f"{each.taken_at:%Y-%m-%d %H:%M}",
            f"{each.expires_at:%Y-%m-%d %H:%M}" if each.expires_at else "-",
            len(each.key_ids),
            "yes" if each.holds(now) else "no",
        )
        for each in found
    ]
    print_table(titles, rows, nothing="no backup is recorded; run: vaultdb keys manifest record")


@app.command("release")
def release_manifest(context: typer.Context, name: Name) -> None:
    """Record that every copy of a backup is gone, so that its keys may be retired."""
    settings = options_of(context).settings("rotator")
    doing = "release a manifest"
    with key_store(settings) as store, store.connection(settings.realm, doing) as connection:
        if not manifests.release(connection, name):
            raise ConfigurationError(
                f"no backup named {name!r} is recorded as existing; look at: vaultdb keys manifest"
                " list"
            )
    print(f"released {name}")


def _print(manifest: Manifest, *, as_json: bool) -> None:
    if as_json:
        print_json(_as_json(manifest))
        return
    until = f"until {manifest.expires_at:%Y-%m-%d}" if manifest.expires_at else "until released"
    print(f"recorded {manifest.name}: it needs {plural(len(manifest.key_ids), 'key')} {until}")


def _as_json(manifest: Manifest) -> dict[str, object]:
    return {
        "name": manifest.name,
        "taken_at": manifest.taken_at.isoformat(),
        "expires_at": manifest.expires_at and manifest.expires_at.isoformat(),
        "released_at": manifest.released_at and manifest.released_at.isoformat(),
        "key_ids": [key_id.hex() for key_id in sorted(manifest.key_ids)],
        "kek_versions": manifest.kek_versions,
    }
