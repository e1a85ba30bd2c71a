"""`vaultdb doctor`: is everything there, and if not, what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from vaultdb.cli.opening import provider_of
from vaultdb.cli.options import Json, options_of
from vaultdb.cli.report import FAILURE, one_line, print_json
from vaultdb.errors import VaultDBError
from vaultdb.jobs.doctor import Doctor, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vaultdb.settings import Settings


def command(context: typer.Context, as_json: Json = False) -> None:
    """Check settings, Vault, KEK, database, TLS, schema, realm, login, keys and the audit log."""
    findings: list[Finding] = []
    for finding in _findings(context):
        findings.append(finding)
        if not as_json:
            word = "ok  " if finding.ok else "FAIL"
            print(f"{word}  {finding.check.ljust(10)}  {one_line(finding.detail)}")
    if as_json:
        print_json([{"check": f.check, "ok": f.ok, "detail": f.detail} for f in findings])
    if not all(finding.ok for finding in findings):
        raise typer.Exit(FAILURE)


def _findings(context: typer.Context) -> Iterator[Finding]:
    try:
        settings = options_of(context).settings()
    except VaultDBError as error:
        yield Finding("settings", False, str(error))
        return
    yield Finding("settings", True, f"keys from {settings.keys}, realm {settings.realm}")
    yield from Doctor(settings, lambda: provider_of(settings), _auditor(context)).examine()


def _auditor(context: typer.Context) -> Settings | None:
    """Return the settings of the auditor, if this machine has a login for it."""
    options = options_of(context)
    try:
        own, auditor = options.settings().database, options.settings("auditor")
    except VaultDBError:
        return None
    database = auditor.database
    is_same = (database.url, database.lease) == (own.url, own.lease)
    return None if is_same else auditor
