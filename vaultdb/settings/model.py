"""What can be set: one pydantic model per section of `vaultdb.toml`.

Every field names its environment variable (`Env`); the file key is its path in the model.
Secrets are `SecretStr`; validation errors never quote an input.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args
from uuid import UUID

from pydantic import Field, PrivateAttr, SecretStr, field_validator, model_validator

from vaultdb.errors import ConfigurationError
from vaultdb.keys.key_cache import CAPACITY
from vaultdb.keys.lifetimes import HARD_TTL, SOFT_TTL
from vaultdb.settings import sources
from vaultdb.settings.audit import AUDIT_MODE, UNAUDITED, AuditMode, AuditSettings
from vaultdb.settings.env import Env
from vaultdb.settings.section import Section

MEMORY_REALM = UUID("00000000-0000-8000-8000-6d656d6f7279")
"""The realm of `keys = "memory"` when none is set: its keys die with the process anyway."""

TRANSIT_MOUNT = "vaultdb-transit"
"""The transit mount unless the settings name another: one of vaultdb's own."""

KEK = "vaultdb"
"""The name of the key-encryption key in it unless the settings name another."""

CONNECT_TIMEOUT = 10
"""Seconds to wait for a new connection to PostgreSQL, with name resolution and TLS."""

VAULT_TIMEOUT = 5.0
"""Seconds that one call to Vault may take in all, with its retries and a login."""

LEASE_MOUNT = "vaultdb-database"
"""The mount of Vault's database engine unless the settings name another."""

PKI_MOUNT = "vaultdb-pki"
"""The mount of Vault's certificate authority for logins unless the settings name another."""

ROLE_PREFIX = "vaultdb_"
"""What the names of the capability roles in PostgreSQL begin with, unless the settings differ."""

BACKUP_DAYS = 35
"""Days that a backup of the key table is kept: a month, and a few days to notice."""

LEASE_OVERLAP = 60.0
"""Seconds that a replaced login still works: longer than the application's longest transaction."""

Role = Literal[
    "app", "reader", "officer", "rotator", "reencryptor", "shredder", "auditor", "sequencer",
    "backup", "migrator", "admin",
]  # fmt: skip
"""Whose login a command uses: `[role.NAME]` in the file, `VAULTDB_NAME_*` variables."""


def _read_secret(path: Path, setting: str) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigurationError(f"setting {setting}: cannot read {path}: {reason}") from None
    return text.rstrip("\r\n")


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """Read `a=1,b=2`, as variables have it."""
    for item in text.split(","):
        if item.strip():
            name, _, value = item.partition("=")
            yield name.strip(), value.strip()


class DatabaseSettings(Section):
    """How to reach PostgreSQL."""

    url: Annotated[SecretStr | None, Env("URL")] = Field(
        None, description="SQLAlchemy or libpq URL of the login that runs the command or the app"
    )
    password: Annotated[SecretStr | None, Env("PASSWORD")] = Field(
        None, description="password of that login; a file is better"
    )
    password_file: Annotated[Path | None, Env("PASSWORD_FILE")] = Field(
        None, description="file that holds the password, read at every new connection"
    )
    migrate_url: Annotated[SecretStr | None, Env("MIGRATE_URL")] = Field(
        None, description="URL of the migrator's login; `vaultdb migrate` uses no other"
    )
    migrate_password_file: Annotated[Path | None, Env("MIGRATE_PASSWORD_FILE")] = Field(
        None, description="file that holds the migrator's password"
    )
    sslrootcert: Annotated[Path | None, Env("SSLROOTCERT")] = Field(
        None, description="CA certificate of the server, PEM; `system` for the machine's own CAs"
    )
    sslcert: Annotated[Path | None, Env("SSLCERT")] = Field(
        None, description="client certificate, PEM; without a password it is the login itself"
    )
    sslkey: Annotated[Path | None, Env("SSLKEY")] = Field(
        None, description="key of the client certificate, PEM, mode 0600"
    )
    allow_insecure: Annotated[bool, Env("ALLOW_INSECURE")] = Field(
        False, description="accept what the URL says about TLS although it is weaker; warns"
    )
    pooler: Annotated[Literal["none", "pgbouncer"], Env("POOLER")] = Field(
        "none", description="`pgbouncer` gives up what a pooler cannot do; warns"
    )
    primary_url: Annotated[SecretStr | None, Env("PRIMARY_URL")] = Field(
        None,
        description="the primary, for data keys and audit, where `url` is a replica or a pooler",
    )
    role_prefix: Annotated[str, Env("ROLE_PREFIX")] = Field(
        ROLE_PREFIX, description="what the names of the capability roles begin with"
    )
    lease: Annotated[str | None, Env("LEASE")] = Field(
        None, description="role of Vault's database engine that leases the login; no user in `url`"
    )
    lease_kind: Annotated[Literal["dynamic", "static"], Env("LEASE_KIND")] = Field(
        "dynamic", description="`static` reads a Vault static role: one user, a rotated password"
    )
    lease_mount: Annotated[str, Env("LEASE_MOUNT")] = Field(
        LEASE_MOUNT, min_length=1, description="mount of Vault's database engine"
    )
    lease_overlap: Annotated[float, Env("LEASE_OVERLAP")] = Field(
        LEASE_OVERLAP, ge=0, description="seconds that a replaced login still works"
    )
    certificate_role: Annotated[str | None, Env("CERTIFICATE_ROLE")] = Field(
        None, description="role of Vault's PKI that issues the client certificate, kept in memory"
    )
    certificate_mount: Annotated[str, Env("CERTIFICATE_MOUNT")] = Field(
        PKI_MOUNT, min_length=1, description="mount of Vault's PKI"
    )
    allow_excess_rights: Annotated[bool, Env("ALLOW_EXCESS_RIGHTS")] = Field(
        False, description="let the application run with a login that could do harm; warns"
    )
    connect_timeout: Annotated[int, Env("CONNECT_TIMEOUT")] = Field(
        CONNECT_TIMEOUT, ge=1, le=600, description="seconds to wait for a new connection"
    )

    def read_password(self) -> str | None:
        """Return the login's password from `password` or `password_file`."""
        if self.password is not None:
            return self.password.get_secret_value()
        if self.password_file is not None:
            return _read_secret(self.password_file, "database.password_file")
        return None


class VaultSettings(Section):
    """How to reach and log in to HashiCorp Vault or OpenBao."""

    addr: Annotated[str | None, Env("VAULT_ADDR")] = Field(
        None, description="address of the server, https://host:port"
    )
    ca_cert: Annotated[Path | None, Env("VAULT_CACERT")] = Field(
        None, description="CA certificate of the server, PEM; default: the machine's own CAs"
    )
    namespace: Annotated[str | None, Env("VAULT_NAMESPACE")] = Field(
        None, description="namespace, when the server has them"
    )
    auth: Annotated[Literal["approle", "jwt", "cert", "kubernetes", "token"], Env("VAULT_AUTH")] = (
        Field("approle", description="login method")
    )
    auth_mount: Annotated[str | None, Env("VAULT_AUTH_MOUNT")] = Field(
        None, description="where the login method is mounted; default: its own name"
    )
    role: Annotated[str | None, Env("VAULT_ROLE")] = Field(
        None, description="role name for jwt, cert and kubernetes"
    )
    role_id: Annotated[str | None, Env("VAULT_ROLE_ID")] = Field(
        None, description="AppRole role id (a name, not a secret)"
    )
    secret_id: Annotated[SecretStr | None, Env("VAULT_SECRET_ID")] = Field(
        None, description="AppRole secret id; a file is better"
    )
    secret_id_file: Annotated[Path | None, Env("VAULT_SECRET_ID_FILE")] = Field(
        None, description="file that holds the AppRole secret id"
    )
    wrapped_secret_id_file: Annotated[Path | None, Env("VAULT_WRAPPED_SECRET_ID_FILE")] = Field(
        None, description="file that holds a response-wrapping token of the secret id"
    )
    jwt_file: Annotated[Path | None, Env("VAULT_JWT_FILE")] = Field(
        None, description="file that holds the JWT for jwt and kubernetes"
    )
    client_cert: Annotated[Path | None, Env("VAULT_CLIENT_CERT")] = Field(
        None, description="client certificate, PEM"
    )
    client_key: Annotated[Path | None, Env("VAULT_CLIENT_KEY")] = Field(
        None, description="key of the client certificate, PEM"
    )
    token: Annotated[SecretStr | None, Env("VAULT_TOKEN")] = Field(
        None, description="token; a plain VAULT_TOKEN in the environment is never read"
    )
    token_file: Annotated[Path | None, Env("VAULT_TOKEN_FILE")] = Field(
        None, description="file that holds the token"
    )
    timeout: Annotated[float, Env("VAULT_TIMEOUT")] = Field(
        VAULT_TIMEOUT, gt=0, le=300, description="seconds that one call may take in all"
    )
    transit_mount: Annotated[str, Env("TRANSIT_MOUNT")] = Field(
        TRANSIT_MOUNT, min_length=1, description="mount of the transit engine"
    )
    kek: Annotated[str, Env("KEK")] = Field(
        KEK, min_length=1, description="name of the key-encryption key in that mount"
    )


class LocalSettings(Section):
    """The KEK file of `keys = "local"`, for development."""

    kek_file: Annotated[Path | None, Env("LOCAL_KEK_FILE")] = Field(
        None, description="file that holds the key-encryption key, mode 0600"
    )


class KeyringSettings(Section):
    """How long and how many data keys are cached."""

    soft_ttl: Annotated[float, Env("KEYRING_SOFT_TTL")] = Field(
        SOFT_TTL, gt=0, description="seconds after which a key is refreshed in the background"
    )
    hard_ttl: Annotated[float, Env("KEYRING_HARD_TTL")] = Field(
        HARD_TTL, gt=0, description="seconds after which a key that was not refreshed is dropped"
    )
    capacity: Annotated[int, Env("KEYRING_CAPACITY")] = Field(
        CAPACITY, ge=1, description="data keys kept in memory"
    )
    minimum_versions: Annotated[Mapping[str, int], Env("MINIMUM_VERSIONS")] = Field(
        default_factory=dict,
        description="oldest acceptable newest version per keyset; in the environment a=1,b=2",
    )

    backup_folder: Annotated[Path | None, Env("KEY_BACKUP_FOLDER")] = Field(
        None, description="folder for backups of the key table, one after every rewrap"
    )
    backup_days: Annotated[int, Env("KEY_BACKUP_DAYS")] = Field(
        BACKUP_DAYS, ge=1, description="days that such a backup is kept; the newest always is"
    )

    @field_validator("minimum_versions", mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return dict(_pairs(value))

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.hard_ttl < self.soft_ttl:
            raise ValueError("hard_ttl is shorter than soft_ttl")
        return self


class KeysetSettings(Section):
    """What holds for one keyset, by its name."""

    kek: Literal["realm", "tenant"] = Field(
        "realm",
        description="`tenant` wraps each tenant's data keys under a KEK of its own",
    )


class Settings(Section):
    """All settings of one process; make them with `load`."""

    realm: Annotated[UUID, Env("REALM")] = Field(
        description="UUID of this deployment, part of every ciphertext; never change it"
    )
    keys: Annotated[str, Env("KEYS")] = Field(
        "vault",
        min_length=1,
        description="key provider: vault, local, memory, or the name of an entry point",
    )
    create_keys: Annotated[bool, Env("CREATE_KEYS")] = Field(
        False, description="create a missing data key at first use instead of raising KeyMissing"
    )
    tenant: Annotated[str, Env("TENANT")] = Field("", description="tenant when the code names none")
    models: Annotated[str | None, Env("MODELS")] = Field(
        None, description="MODULE:NAME of the declarative base, for commands that read the models"
    )
    migrations: Annotated[Path | None, Env("MIGRATIONS")] = Field(
        None, description="folder of your own Alembic migrations, run after vaultdb's"
    )
    keysets: Annotated[Mapping[str, KeysetSettings], Env("KEYSETS")] = Field(
        default_factory=dict,
        description="`[keysets.NAME]` with `kek`, `realm` or `tenant`; in the environment a=tenant",
    )
    database: DatabaseSettings = Field(default_factory=lambda: DatabaseSettings.model_validate({}))
    vault: VaultSettings = Field(default_factory=lambda: VaultSettings.model_validate({}))
    local: LocalSettings = Field(default_factory=lambda: LocalSettings.model_validate({}))
    keyring: KeyringSettings = Field(default_factory=lambda: KeyringSettings.model_validate({}))
    audit: AuditSettings = Field(default_factory=lambda: AuditSettings.model_validate({}))
    _role: Role | None = PrivateAttr(None)

    @property
    def role(self) -> Role | None:
        """The role that they were loaded for; None is the app, and settings made by hand."""
        return self._role

    @property
    def audit_mode(self) -> AuditMode:
        """The audit mode that is set, or what goes with the key provider."""
        if self.audit.mode is not None:
            return self.audit.mode
        return "off" if self.keys in UNAUDITED else AUDIT_MODE

    @property
    def tenant_keysets(self) -> frozenset[str]:
        """The keysets in which each tenant has a KEK of its own."""
        return frozenset(name for name, keyset in self.keysets.items() if keyset.kek == "tenant")

    @field_validator("keysets", mode="before")
    @classmethod
    def _keysets_from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return {name: {"kek": kek} for name, kek in _pairs(value)}

    @model_validator(mode="before")
    @classmethod
    def _memory_has_a_realm(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("keys") == "memory":
            return {"realm": MEMORY_REALM, **values}
        return values

    @classmethod
    def load(
        cls,
        *,
        profile: str | None = None,
        role: Role | None = None,
        file: Path | str | None = None,
        **overrides: Any,
    ) -> Self:
        """Read the settings of this process.

        From strongest to weakest: `overrides` (nested as in the file), `VAULTDB_ROLE_*`
        variables, `[role.NAME]` of the profile, then of the file, `VAULTDB_*` variables,
        `[profile.NAME]`, and the top of the file. A role is the more specific: an app's
        variables in the environment do not replace what the file says for the officer. The
        migrator and the admin never get the app's login: the migrator's `database.url` is
        `migrate_url`, the admin's is `VAULTDB_ADMIN_URL` or `[role.admin.database]`.

        Args:
            profile: name of a `[profile.NAME]` table; default `VAULTDB_PROFILE`, else none.
            role: whose login to use; None is the app.
            file: path of the file; default `VAULTDB_CONFIG`, else the nearest `vaultdb.toml`
                from the working directory up to the home directory.
            **overrides: settings that win over everything else.

        Raises:
            ConfigurationError: names the setting, its variable and its key, never a value.

        """
        settings = sources.load(
            cls, profile=profile, role=role, roles=get_args(Role), file=file, overrides=overrides
        )
        settings._role = role  # noqa: SLF001
        return settings
