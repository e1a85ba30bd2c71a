"""`vaultdb keys`: the data keys, which are never shown, only counted and named."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from vaultdb.audit.kinds import KEY_CREATED, KEY_ROTATED
from vaultdb.cli import key_backup, key_life, keys_shred
from vaultdb.cli.opening import key_store, key_table, open_provider
from vaultdb.cli.options import Json, options_of
from vaultdb.cli.progress import progress_bar
from vaultdb.cli.report import FAILURE, plural, print_json, print_table
from vaultdb.jobs.keys import create_all, summarise
from vaultdb.jobs.recording import recorded
from vaultdb.jobs.rewrap import plan
from vaultdb.jobs.verify import verify as verify_keys
from vaultdb.keys.wrapped_key import KeyScope, KeyState, Purpose

if TYPE_CHECKING:
    from vaultdb.jobs.keys import ScopeSummary
    from vaultdb.keys.wrapped_key import WrappedKey

app = typer.Typer(help="List, create and verify data keys.", no_args_is_help=True)
key_backup.add_to(app)
key_life.add_to(app)
keys_shred.add_to(app)

Tenant = Annotated[
    str | None, typer.Option("--tenant", help="Tenant; default: the one of the settings.")
]
Keyset = Annotated[str, typer.Option("--keyset", help="Keyset that columns name.")]


class Purposes(StrEnum):
    """What `--purpose` takes."""

    DATA = "data"
    INDEX = "index"
    BOTH = "both"

    def all(self) -> tuple[Purpose, ...]:
        """Return the purposes to create a key for."""
        return tuple(Purpose) if self is Purposes.BOTH else (Purpose(self.value),)


@app.command("list")
def list_keys(context: typer.Context, as_json: Json = False) -> None:
    """List every data key: whose it is, its version, its state, the KEK's version."""
    settings = options_of(context).settings()
    with key_store(settings) as store:
        keys = store.all(settings.realm)
    if as_json:
        print_json([_as_json(key) for key in keys])
    else:
        rows = [
            (
                key.scope.tenant or "-",
                key.scope.keyset,
                key.scope.purpose,
                key.scope.subject or "-",
                key.version,
                key.state,
                key.kek_version,
                key.key_id.hex(),
            )
            for key in keys
        ]
        titles = ("tenant", "keyset", "purpose", "subject", "version", "state", "kek", "key id")
        print_table(titles, rows, nothing="there are no data keys; run: vaultdb keys create")


@app.command()
def status(context: typer.Context, as_json: Json = False) -> None:
    """Show per tenant, keyset and purpose which version is active and what remains to be done."""
    settings = options_of(context).settings()
    own = settings.tenant_keysets
    with open_provider(settings) as provider, key_store(settings) as store:
        found = plan(provider, key_table(store, settings), rotate=False)
        versions = {kek.tenant: kek.version for kek in found.tenants}
        scopes = summarise(
            store.all(settings.realm),
            lambda scope: (
                versions.get(scope.tenant, 0) if scope.keyset in own else found.kek_version
            ),
        )
    lost = [kek for kek in found.tenants if kek.problem]
    if as_json:
        print_json(
            {
                "kek_version": found.kek_version,
                "scopes": scopes,
                "unverified": found.unverified,
                "tenant_keks": [
                    {"tenant": kek.tenant, "version": kek.version, "problem": kek.problem or None}
                    for kek in found.tenants
                ],
            }
        )
        return
    also = f", {plural(len(found.tenants), 'tenant')} with KEKs of their own" if own else ""
    print(f"the KEK is at version {found.kek_version}{also}, {plural(found.keys, 'data key')}")
    if found.stale:
        print(f"{plural(found.stale, 'key')} under an older KEK; run: vaultdb rotate")
    if found.unverified:
        print(f"{plural(found.unverified, 'key')} not verified; run: vaultdb keys verify")
    for kek in lost:
        print(f"tenant {kek.tenant or '-'}: {plural(kek.keys, 'key')} lost, {kek.problem}")
    titles = ("tenant", "keyset", "purpose", "active version", "versions", "oldest kek")
    rows = [(s["tenant"] or "-", s["keyset"], s["purpose"], _writes(s), *_ages(s)) for s in scopes]
    print_table(titles, rows, nothing="there are no data keys; run: vaultdb keys create")


@app.command("create")
def create_keys(  # noqa: PLR0917  # typer passes them by name
    context: typer.Context,
    tenant: Tenant = None,
    keyset: Keyset = "default",
    purpose: Annotated[
        Purposes, typer.Option("--purpose", help="For values, for blind indexes, or both.")
    ] = Purposes.BOTH,
    subject: Annotated[
        list[str] | None,
        typer.Option("--subject", help="A data subject that gets a key of its own, repeatable."),
    ] = None,
    new_version: Annotated[
        bool, typer.Option("--new-version", help="Add a version although there is one.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Create the data keys of a tenant and keyset, as the key officer; keys that exist stay.

    Where the keyset has kek = "tenant", the tenant's key-encryption key is made first.
    """
    settings = options_of(context).settings("officer")
    owner = settings.tenant if tenant is None else tenant
    if subject:
        purposes = (Purpose.DATA,) if purpose is Purposes.BOTH else purpose.all()
        scopes = [KeyScope(owner, keyset, each, name) for each in purposes for name in subject]
    else:
        scopes = [KeyScope(owner, keyset, each) for each in purpose.all()]
    with (
        recorded(settings, "keys create", f"tenant {owner or '-'}, keyset {keyset}") as record,
        open_provider(settings) as provider,
        key_store(settings) as store,
    ):
        provider.check()
        results = create_all(
            provider, store, settings.realm, scopes, new_version=new_version, incoming=True
        )
        made = [key.key_id.hex() for key, created in results if created]
        if made:
            scope = f"{owner or '-'}/{keyset}"
            record(KEY_ROTATED if new_version else KEY_CREATED, key_ids=made, scope=scope)
    if as_json:
        print_json([{**_as_json(key), "created": created} for key, created in results])
        return
    for key, created in results:
        word = "created" if created else "exists already:"
        whose = f" subject {key.scope.subject}," if key.scope.subject else ""
        print(
            f"{word} {key.scope.purpose} key of tenant {owner or '-'}, keyset {keyset},{whose}"
            f" version {key.version}, id {key.key_id.hex()}"
        )
        if key.state is KeyState.INCOMING:
            print("it is incoming, and searched for only; go on with: vaultdb rotate --dek")


@app.command()
def verify(context: typer.Context, as_json: Json = False) -> None:
    """Open every rewrapped key once, then drop its previous wrapping.

    Opens with the Vault login of the role reencryptor, which may decrypt and nothing else, and
    changes the table with the database login of the role rotator.
    """
    options = options_of(context)
    opening, changing = options.settings("reencryptor"), options.settings("rotator")
    with (
        recorded(opening, "keys verify"),
        open_provider(opening) as provider,
        key_store(changing) as store,
    ):
        provider.check()
        table = key_table(store, changing)
        waiting = table.survey(0).unverified
        with progress_bar("verifying", waiting, hidden=as_json) as progress:
            found = verify_keys(provider, table, progress=progress)
    if as_json:
        print_json(
            {
                "verified": found.verified,
                "taken_back": found.taken_back,
                "broken": found.broken,
            }
        )
    else:
        print(f"verified {plural(found.verified, 'data key')}")
        for key_id in found.taken_back:
            print(f"key {key_id}: the new wrapping did not open, the previous one is back")
        for key_id in found.broken:
            print(f"key {key_id}: no wrapping opens; restore vaultdb.data_key from a backup")
    if found.taken_back or found.broken:
        raise typer.Exit(FAILURE)


def _writes(scope: ScopeSummary) -> object:
    """Show the active version, or how many data subjects there are."""
    return scope["active"] if scope["subjects"] is None else plural(scope["subjects"], "subject")


def _ages(scope: ScopeSummary) -> tuple[int, int]:
    return scope["versions"], scope["oldest_kek"]


def _as_json(key: WrappedKey) -> dict[str, object]:
    return {
        "key_id": key.key_id.hex(),
        "tenant": key.scope.tenant,
        "keyset": key.scope.keyset,
        "purpose": key.scope.purpose,
        "subject": key.scope.subject,
        "version": key.version,
        "state": key.state,
        "kek_version": key.kek_version,
    }
