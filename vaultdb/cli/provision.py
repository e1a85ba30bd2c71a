"""`vaultdb provision`: set a Vault and a PostgreSQL up, as their administrators."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vaultdb.cli.opening import open_connection
from vaultdb.cli.options import Json, options_of
from vaultdb.cli.provision_output import Report
from vaultdb.cli.report import print_json
from vaultdb.db.role_names import RoleNames
from vaultdb.errors import ConfigurationError
from vaultdb.provision import from_settings as given
from vaultdb.provision.passwords import read_or_generate, write_secret
from vaultdb.provision.pki import authority, read_signed
from vaultdb.provision.postgres_setup import postgres as set_up_postgres
from vaultdb.provision.postgres_spec import PostgresSpec, all_logins
from vaultdb.provision.secret_ids import WRAP_TTL, issue_secret_id
from vaultdb.provision.step import Progress
from vaultdb.provision.vault_objects import VaultObjects
from vaultdb.provision.vault_setup import vault as set_up_vault
from vaultdb.provision.vault_spec import CertificateSpec, LeaseSpec, VaultSpec
from vaultdb.roles.static_logins import engine_login
from vaultdb.vault.factory import new_client
from vaultdb.vault.policies import ALL_TENANTS, render_policy
from vaultdb.vault.tenant_kek import tenant_kek

if TYPE_CHECKING:
    from vaultdb.settings import Settings

app = typer.Typer(
    help="Set a Vault and a PostgreSQL up, as their administrators (role admin).",
    no_args_is_help=True,
)

KEY_TIMEOUT = 60.0
"""Seconds that Vault may take to make an RSA key of 4096 bits, on a busy machine."""

PlanOnly = Annotated[bool, typer.Option("--plan", help="Show what would change; exit 2 then.")]


@app.command("vault")
def vault_command(  # noqa: PLR0917  # typer passes them by name
    context: typer.Context,
    plan: PlanOnly = False,
    as_json: Json = False,
    leases: Annotated[bool, typer.Option(help="Lease logins in PostgreSQL.")] = True,
    certificates: Annotated[bool, typer.Option(help="Sign client certificates.")] = True,
    database_url: Annotated[
        str | None, typer.Option(metavar="URL", help="The database as Vault sees it, no user.")
    ] = None,
    database_ca: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Its CA, a file on Vault's machine.")
    ] = None,
    engine_password_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="First password of the engine's login.")
    ] = None,
    rotate_root: Annotated[
        bool, typer.Option("--rotate-root", help="Then let Vault alone know that password.")
    ] = False,
    static: Annotated[
        bool, typer.Option("--static", help="Rotate passwords of static logins; make no users.")
    ] = False,
    lease_ttl: Annotated[
        str,
        typer.Option(metavar="DURATION", help="Life of a lease until renewed: 30s, 5m, 1h, 2d."),
    ] = "1h",
    lease_max_ttl: Annotated[
        str, typer.Option(metavar="DURATION", help="Life of a lease in all.")
    ] = "24h",
    replace_connection: Annotated[
        bool, typer.Option("--replace-connection", help="Leave the database leased from before.")
    ] = False,
    intermediate: Annotated[
        bool, typer.Option("--intermediate", help="Have the authority signed by yours.")
    ] = False,
    request_out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where its request goes.")
    ] = None,
    authority_certificate: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Its certificate, once signed.")
    ] = None,
    authority_out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the authority for ssl_ca_file.")
    ] = None,
    reader_decrypts: Annotated[
        bool, typer.Option("--reader-decrypts", help="Let the reader unwrap data keys.")
    ] = False,
    jwt: Annotated[
        list[str] | None, typer.Option(metavar="ROLE=SUBJECT", help="Login by JWT, repeatable.")
    ] = None,
    jwt_audience: Annotated[str, typer.Option(help="Their audience.")] = "vaultdb",
    jwt_mount: Annotated[str, typer.Option(help="Mount of the JWT login.")] = "jwt",
) -> None:
    """Set up keys, policies, logins, leased logins and client certificates in Vault.

    Logs in as the role admin of the settings. What is right stays; run it again after any
    interruption.
    """
    settings = options_of(context).settings("admin")
    database, names = settings.database, RoleNames.of(settings.database)
    password = (
        given.read_file(engine_password_file, "--engine-password-file")
        if engine_password_file
        else None
    )
    signed = (
        read_signed(given.read_file(authority_certificate, "--authority-certificate"))
        if authority_certificate
        else None
    )
    if intermediate and request_out is None and signed is None:
        raise ConfigurationError("--intermediate: say where the request goes with --request-out")
    ttl, max_ttl = given.lease_times(lease_ttl, lease_max_ttl)
    spec = VaultSpec(
        transit_mount=settings.vault.transit_mount.strip("/"),
        kek=settings.vault.kek,
        leases=LeaseSpec(
            url=given.engine_url(
                _reachable(context, settings).database, given=database_url, authority=database_ca
            ),
            password=password,
            names=names,
            mount=database.lease_mount.strip("/"),
            default_ttl=ttl,
            max_ttl=max_ttl,
            static=static,
            replace=replace_connection,
        )
        if leases
        else None,
        certificates=CertificateSpec(
            names=names,
            mount=database.certificate_mount.strip("/"),
            intermediate=intermediate,
            signed=signed,
        )
        if certificates
        else None,
        create_keys=settings.create_keys,
        reader_decrypts=reader_decrypts,
        tenant_keks=bool(settings.tenant_keysets),
        jwt=given.jwt_of(jwt or [], audience=jwt_audience, mount=jwt_mount),
    )
    report = Report(plan=plan, as_json=as_json)
    patient = {"timeout": max(settings.vault.timeout, KEY_TIMEOUT)}
    with closing(new_client(settings.vault.model_copy(update=patient))) as client:
        done = set_up_vault(client, spec, plan=plan, rotate=rotate_root, tell=report)
        if authority_out is not None and not plan:
            found = authority(VaultObjects(client, Progress()), database.certificate_mount)
            _write(authority_out, found, "--authority-out")
    if done.certificate_request is not None and request_out is not None:
        _write(request_out, done.certificate_request, "--request-out")
    report.end(done.steps)


@app.command("postgres")
def postgres_command(  # noqa: PLR0917  # typer passes them by name
    context: typer.Context,
    plan: PlanOnly = False,
    as_json: Json = False,
    logins: Annotated[bool, typer.Option(help="Make the static logins.")] = True,
    engine: Annotated[bool, typer.Option(help="Make the login of Vault's engine.")] = True,
    passwords: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Set passwords, from LOGIN.password there.")
    ] = None,
    generate: Annotated[
        bool, typer.Option("--generate", help="Write a file, mode 0600, for each that has none.")
    ] = False,
    static: Annotated[
        bool, typer.Option("--static", help="The engine only changes static logins' passwords.")
    ] = False,
    accept_createrole: Annotated[
        bool, typer.Option("--accept-createrole", help="Accept it on PostgreSQL 15.")
    ] = False,
    reset_engine_password: Annotated[
        bool, typer.Option("--reset-engine-password", help="Although Vault may have changed it.")
    ] = False,
) -> None:
    """Set up roles, logins and the login of Vault's database engine in one database.

    Logs in as the role admin of the settings, or by VAULTDB_ADMIN_URL. All is done, or nothing.
    """
    settings = options_of(context).settings("admin")
    if settings.database.url is None:
        raise ConfigurationError(
            "this needs an administrator's login: set VAULTDB_ADMIN_URL, or url in"
            " [role.admin.database] of vaultdb.toml"
        )
    names = RoleNames.of(settings.database)
    chosen = all_logins(names) if logins else ()
    everybody = (*chosen, *([engine_login(names)] if engine else []))
    found: dict[str, str] = {}
    if passwords is not None:
        if not generate and not passwords.is_dir():
            raise ConfigurationError(
                f"--passwords: there is no folder {passwords}; correct it, or say --generate, too"
            )
        found = read_or_generate(passwords, everybody, generate=generate and not plan)
    elif generate:
        raise ConfigurationError("--generate: say where the passwords go with --passwords")
    spec = PostgresSpec(
        names=names,
        logins=chosen,
        passwords=found,
        engine=engine,
        static=static,
        accept_createrole=accept_createrole,
        reset_engine=reset_engine_password,
    )
    report = Report(plan=plan, as_json=as_json)
    with open_connection(settings, "set the database up", searches_models=False) as connection:
        steps = set_up_postgres(connection, spec, plan=plan, tell=report)
    report.end(steps)


@app.command("secret-id")
def secret_id_command(  # noqa: PLR0917  # typer passes them by name
    context: typer.Context,
    role: Annotated[str, typer.Argument(help="Whose login.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where it goes, mode 0600.")],
    wrap_ttl: Annotated[
        str, typer.Option(metavar="DURATION", help="How long it waits for the role.")
    ] = f"{WRAP_TTL}s",
    plain: Annotated[
        bool, typer.Option("--plain", help="Not wrapped: no trace if somebody else reads it.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Issue a secret id to a role, in a wrapping token that can be opened exactly once."""
    settings = options_of(context).settings("admin")
    chosen, seconds = given.role_of(role), given.seconds_of(wrap_ttl, "--wrap-ttl")
    _write(out, "", "--out")  # a secret id that cannot be written should not exist
    with closing(new_client(settings.vault)) as client:
        issued = issue_secret_id(client, chosen, wrap_ttl=None if plain else seconds)
    _write(out, issued.secret_id, "--out")
    key = "secret_id_file" if plain else "wrapped_secret_id_file"
    if as_json:
        print_json({"role": chosen, "role_id": issued.role_id, key: str(out)})
        return
    print(f'role_id = "{issued.role_id}"')
    print(f'{key} = "{out}"')


@app.command("policy")
def policy_command(
    context: typer.Context,
    role: Annotated[str, typer.Argument(help="Whose policy.")],
    kek: Annotated[str | None, typer.Option(help="For another key than vault.kek.")] = None,
    tenant: Annotated[
        str | None,
        typer.Option(help="For the key of this tenant alone, in keysets with their own."),
    ] = None,
) -> None:
    """Print the policy of a role, for somebody else to read and apply; no connection."""
    settings = options_of(context).settings("admin")
    database = settings.database
    realm_kek = kek or settings.vault.kek
    tenants = ALL_TENANTS if settings.tenant_keysets else None
    if tenant is not None:
        tenants = tenant_kek(realm_kek, settings.realm, tenant)
    text = render_policy(
        given.role_of(role),
        mount=settings.vault.transit_mount,
        kek=realm_kek,
        lease_mount=database.lease_mount,
        lease_kind=database.lease_kind,
        certificate_mount=database.certificate_mount,
        create_keys=settings.create_keys,
        tenant_keks=tenants,
    )
    print(text, end="")


def _reachable(context: typer.Context, settings: Settings) -> Settings:
    """Return settings that know where the database is: the administrator's, else the app's."""
    return settings if settings.database.url is not None else options_of(context).settings()


def _write(path: Path, text: str, option: str) -> None:
    try:
        write_secret(path, text)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise ConfigurationError(f"{option}: cannot write {path}: {reason}") from None
