"""From settings to what is wanted: the names are the same on both sides."""

from __future__ import annotations

import re
from pathlib import Path

from sqlalchemy.engine import URL

from vaultdb.db.url import normalise_url
from vaultdb.errors import ConfigurationError
from vaultdb.provision.vault_spec import DAY, HOUR, JwtSpec
from vaultdb.settings import DatabaseSettings
from vaultdb.vault.policies import Role

_UNITS = {"s": 1, "m": 60, "h": HOUR, "d": DAY}
_DURATION = re.compile(r"(\d{1,9})([smhd])")


def engine_url(settings: DatabaseSettings, *, given: str | None, authority: Path | None) -> str:
    """Return the URL by which Vault reaches the database: no user, verify-full.

    Args:
        settings: the administrator's; its host and database are taken unless `given` has others.
        given: `postgresql://host:port/database` as Vault sees it.
        authority: the server's CA in a file on Vault's machine; the settings' own unless given.

    Raises:
        ConfigurationError: no URL, or one without a host.

    """
    text = given
    if text is None and settings.url is not None:
        text = settings.url.get_secret_value()
    if text is None:
        raise ConfigurationError(
            "vault must know the database to lease logins: give --database-url, set"
            " VAULTDB_ADMIN_URL, or say --no-leases"
        )
    url = normalise_url(text)
    if not url.host or not url.database:
        raise ConfigurationError("--database-url needs a host and a database's name")
    query = {"sslmode": "verify-full"}
    file = authority or settings.sslrootcert
    if file is not None and str(file) != "system":
        query["sslrootcert"] = str(file)
    made = URL.create(
        "postgresql", host=url.host, port=url.port, database=url.database, query=query
    )
    return made.render_as_string(hide_password=False)


def seconds_of(text: str, option: str) -> int:
    """Return the seconds of a duration such as 30s, 5m, 1h or 2d.

    Raises:
        ConfigurationError: it is none, or zero.

    """
    match = _DURATION.fullmatch(text)
    if match is None or not int(match[1]):
        raise ConfigurationError(f"{option}: write a duration as 30s, 5m, 1h or 2d")
    return int(match[1]) * _UNITS[match[2]]


def lease_times(ttl: str, max_ttl: str) -> tuple[int, int]:
    """Return the seconds of a lease until it is renewed, and in all.

    Raises:
        ConfigurationError: one is no duration, or the first is longer than the second.

    """
    seconds = seconds_of(ttl, "--lease-ttl"), seconds_of(max_ttl, "--lease-max-ttl")
    if seconds[0] > seconds[1]:
        raise ConfigurationError(
            f"--lease-ttl {ttl} is longer than --lease-max-ttl {max_ttl}, after which it is revoked"
        )
    return seconds


def role_of(text: str) -> Role:
    """Return the role of a name.

    Raises:
        ConfigurationError: there is no such role; names those there are.

    """
    if text not in set(Role):
        raise ConfigurationError(f"there is no role {text!r}; the roles are {', '.join(Role)}")
    return Role(text)


def jwt_of(subjects: list[str], *, audience: str, mount: str) -> JwtSpec | None:
    """Return the logins by JWT, None when there are none.

    Args:
        subjects: each as `role=subject`.
        audience: the `aud` claim.
        mount: of the method.

    Raises:
        ConfigurationError: not of that form, or an unknown role.

    """
    pairs = [each.partition("=") for each in subjects]
    if not all(subject for _, _, subject in pairs):
        raise ConfigurationError("--jwt: write ROLE=SUBJECT, such as app=system:clinic:app")
    found = tuple((role_of(role), subject) for role, _, subject in pairs)
    return JwtSpec(found, audience=audience, mount=mount) if found else None


def read_file(path: Path, option: str) -> str:
    """Return the text of a file without the line break at its end.

    Raises:
        ConfigurationError: it cannot be read.

    """
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise ConfigurationError(f"{option}: cannot read {path}: {reason}") from None
