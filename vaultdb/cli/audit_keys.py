"""`vaultdb audit keys`: the public keys that checkpoints are verified with."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from vaultdb.audit.note import VerifierKey, origin_of
from vaultdb.cli.options import Json, options_of
from vaultdb.cli.report import print_json, print_table
from vaultdb.db.login.credentials import Credentials
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.audit.sequencer_opening import vault_signer


def add_to(app: typer.Typer) -> None:
    """Add the command to `vaultdb audit`."""
    app.command("keys")(keys)


def keys(
    context: typer.Context,
    export_key: Annotated[
        Path | None,
        typer.Option("--export-key", metavar="FILE", help="Write them to a file, for offline use."),
    ] = None,
    epoch: Annotated[
        int, typer.Option("--epoch", min=1, help="Of the log since its Nth beginning.")
    ] = 1,
    as_json: Json = False,
) -> None:
    """Show the public keys of checkpoints in the form of C2SP, a line for each version in Vault.

    Keep them where no administrator of the database can replace them: who verifies trusts nothing
    else.
    """
    settings = options_of(context).settings("auditor")
    with closing(Credentials(settings)) as credentials:
        versions = vault_signer(settings, credentials).read()
    origin = origin_of(str(settings.realm), epoch)
    found = [(number, VerifierKey(origin, key)) for number, key in sorted(versions.items())]
    if export_key is not None:
        _write(export_key, "".join(f"{key}\n" for _, key in found))
    if as_json:
        print_json([{"version": number, "key": str(key)} for number, key in found])
    else:
        print_table(("version", "key"), found, nothing="there is no key")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="ascii")
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror}") from None
