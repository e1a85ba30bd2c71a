"""`vaultdb keys shred` and `vaultdb keys erase-subject`: destroy keys, with a certificate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vaultdb.audit.kinds import KEY_SHREDDED
from vaultdb.cli.asking import ask
from vaultdb.cli.models import load_models
from vaultdb.cli.opening import key_store
from vaultdb.cli.options import Json, Models, options_of
from vaultdb.cli.report import print_json
from vaultdb.cli.shred_output import plan_as_json, print_plan, print_result
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.recording import recorded
from vaultdb.jobs.shred.certificate import check_folder, write_certificate
from vaultdb.jobs.shred.destroy import Shredder
from vaultdb.jobs.shred.target import find
from vaultdb.vault.factory import new_client
from vaultdb.vault.kek_deletion import KekDeletion
from vaultdb.vault.tenant_kek import tenant_kek

if TYPE_CHECKING:
    from vaultdb.jobs.shred.destroy import Destroyed
    from vaultdb.jobs.shred.target import Target
    from vaultdb.settings import Settings

Plan = Annotated[bool, typer.Option("--plan", help="Show the plan and stop.")]
Certificate = Annotated[
    Path, typer.Option("--certificate", help="Folder that the certificate is written to.")
]


def add_to(group: typer.Typer) -> None:
    """Add these commands to `vaultdb keys`."""
    group.command("shred")(shred_command)
    group.command("erase-subject")(erase_subject_command)


def shred_command(  # noqa: PLR0917  # typer passes them by name
    context: typer.Context,
    tenant: Annotated[str, typer.Option("--tenant", help="Tenant to destroy.")],
    confirm: Annotated[
        str | None, typer.Option("--confirm", help="The tenant's name once more; else it is asked.")
    ] = None,
    plan: Plan = False,
    model: Models = None,
    certificate: Certificate = Path(),
    snapshot_days: Annotated[
        int | None,
        typer.Option(
            "--vault-snapshot-days", min=0, help="Days that snapshots of Vault's storage are kept."
        ),
    ] = None,
    accept_realm_kek: Annotated[
        bool,
        typer.Option(
            "--accept-realm-kek",
            help="Go on although older copies of the key table can still be opened.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Make every value of a tenant unreadable for ever, also in old backups, and certify it.

    Deletes the tenant's key-encryption key in Vault with the login of the role shredder, turns its
    data keys into tombstones and removes its blind-index values. It cannot be undone. Killed in
    the middle, run it again.
    """
    settings = options_of(context).settings("shredder")
    if not tenant:
        raise ConfigurationError("--tenant is empty: name the tenant to destroy")
    models = load_models(model, settings)
    check_folder(certificate)
    with key_store(settings) as store, _kek_of(tenant, settings) as kek:
        target = find(store, settings, models, tenant=tenant)
        is_there = None if kek is None else kek.exists()
        if not target.keys and not is_there:
            raise ConfigurationError(
                f"tenant {tenant!r} has neither data keys nor a key-encryption key; look at:"
                " vaultdb keys list"
            )
        own = settings.tenant_keysets
        if not as_json:
            print_plan(target, kek, own_keysets=own, is_there=bool(is_there))
        if plan:
            if as_json:
                print_json(plan_as_json(target, kek, own_keysets=own, is_there=bool(is_there)))
            return
        if target.of_keysets(own, other=True) and not accept_realm_kek:
            raise ConfigurationError(
                f"data keys of tenant {tenant!r} are wrapped by the realm's key-encryption key,"
                " which opens them in every older copy of the key table; to destroy what can be"
                " destroyed say --accept-realm-kek"
            )
        _confirm(confirm, tenant, "name of the tenant to destroy")
        with recorded(settings, "keys shred", f"tenant {tenant}") as record:
            done = Shredder(store, settings).tenant(target, kek, snapshot_days=snapshot_days)
            record(KEY_SHREDDED, key_ids=_ids(target), scope=tenant, reason="shred")
    _report(done, certificate, as_json=as_json)


def erase_subject_command(  # noqa: PLR0917  # typer passes them by name
    context: typer.Context,
    subject: Annotated[
        str, typer.Option("--subject", help="The data subject, as its column has it.")
    ],
    tenant: Annotated[
        str | None, typer.Option("--tenant", help="Tenant; default: the one of the settings.")
    ] = None,
    confirm: Annotated[
        str | None, typer.Option("--confirm", help="The subject once more; else it is asked.")
    ] = None,
    plan: Plan = False,
    model: Models = None,
    certificate: Certificate = Path(),
    as_json: Json = False,
) -> None:
    """Make every value of one data subject unreadable, and certify from when on that is final.

    For columns declared with subject=. Destroys the subject's data keys in every keyset and
    removes its blind-index values, with the database login of the role shredder. It cannot be
    undone.
    """
    settings = options_of(context).settings("shredder")
    if not subject:
        raise ConfigurationError("--subject is empty: name the data subject as its column does")
    owner = settings.tenant if tenant is None else tenant
    models = load_models(model, settings)
    check_folder(certificate)
    with key_store(settings) as store:
        target = find(store, settings, models, tenant=owner, subject=subject)
        if not target.keys:
            raise ConfigurationError(
                f"data subject {subject!r} of tenant {owner!r} has no data keys; look at: vaultdb"
                " keys list"
            )
        if not as_json:
            print_plan(target, None)
        if plan:
            if as_json:
                print_json(plan_as_json(target, None))
            return
        _confirm(confirm, subject, "data subject to erase")
        with recorded(settings, "keys erase-subject", f"tenant {owner or '-'}") as record:
            done = Shredder(store, settings).subject(target)
            record(KEY_SHREDDED, key_ids=_ids(target), scope=owner or "-", reason="erase-subject")
    _report(done, certificate, as_json=as_json)


@contextmanager
def _kek_of(tenant: str, settings: Settings) -> Iterator[KekDeletion | None]:
    """Give the tenant's own KEK, None when no keyset has such keys."""
    if not settings.tenant_keysets or settings.keys != "vault":
        yield None
        return
    vault = settings.vault
    with closing(new_client(vault)) as client:
        name = tenant_kek(vault.kek, settings.realm, tenant)
        yield KekDeletion(client, vault.transit_mount, name)


def _confirm(given: str | None, wanted: str, what: str) -> None:
    """Go on only if the name is typed once more; there is no --yes.

    Raises:
        ConfigurationError: it is another one, or nobody is there to type it.

    """
    typed = ask(what, option="--confirm") if given is None else given
    if typed != wanted:
        raise ConfigurationError(f"--confirm does not name {wanted!r}, so nothing was done")


def _ids(target: Target) -> list[str]:
    return [key.key_id.hex() for key in target.keys]


def _report(done: Destroyed, folder: Path, *, as_json: bool) -> None:
    files = write_certificate(folder, done.certificate)
    if as_json:
        print_json({"certificate": done.certificate, "files": [str(path) for path in files]})
    else:
        print_result(done, files)
