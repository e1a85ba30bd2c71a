"""A database URL means psycopg 3, or is refused in a line that does not quote it."""

from __future__ import annotations

import pytest

from vaultdb.db.url import normalise_url
from vaultdb.errors import ConfigurationError


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_bare_urls_mean_psycopg_3(scheme: str) -> None:
    assert normalise_url(f"{scheme}://app@db/clinic").drivername == "postgresql+psycopg"


@pytest.mark.parametrize(
    "driver", ["postgresql+psycopg2", "postgresql+asyncpg", "postgresql+pg8000", "mysql"]
)
def test_another_driver_is_refused(driver: str) -> None:
    with pytest.raises(ConfigurationError, match="works with psycopg 3; write postgresql://"):
        normalise_url(f"{driver}://app:hunter2@db/clinic")


@pytest.mark.parametrize("text", ["", "clinic", "postgresql://app:hunter2@db:port/clinic"])
def test_what_is_no_url_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"database\.url is not a URL") as caught:
        normalise_url(text)
    assert "hunter2" not in str(caught.value)


def test_sqlite_passes_for_users_tests() -> None:
    assert normalise_url("sqlite+aiosqlite:///x.db").drivername == "sqlite+aiosqlite"
