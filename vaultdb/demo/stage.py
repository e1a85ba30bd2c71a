"""What every step of the demo works with: servers, logins, patients, and a promise to keep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from vaultdb.db.connect import new_engine
from vaultdb.demo.model import Patient
from vaultdb.dev.settings_file import DATABASE
from vaultdb.dev.stack import DevStack
from vaultdb.engine import create_engine
from vaultdb.errors import ConfigurationError, VaultDBError
from vaultdb.settings import Settings
from vaultdb.settings.model import Role

LEASED = "leased"
"""The profile of the dev stack without passwords: Vault leases each login."""

SOFT_TTL, HARD_TTL = 1.0, 2.0
"""Seconds that each process keeps data keys, in place of 300 and 900: a rotation waits until the
last process knows the new ones, and nobody watches a demo for a quarter of an hour."""

Row = Mapping[str, Any]


class BrokenPromiseError(VaultDBError):
    """Something did not turn out as the demo promises."""


class Stage:
    """Servers that run, the application on them, and the patients.

    Args:
        stack: a dev stack that is up, with an empty database.
        patients: at least two, from `vaultdb.demo.data.read_patients`.

    Raises:
        ConfigurationError: too few patients to exchange anything.

    """

    def __init__(self, stack: DevStack, patients: Sequence[Row]) -> None:
        state = stack.folder.read()
        assert state is not None
        if len(patients) < 2:  # noqa: PLR2004
            raise ConfigurationError("the demo exchanges values of two patients; give it two")
        self.patients = patients
        self.one, self.other = patients[0], patients[-1]
        self.conninfo = stack.postgres(state).conninfo(DATABASE)
        self._file = stack.folder.settings
        self._openbao = stack.openbao(state)
        self.engine = create_engine(settings=self.settings())

    def settings(self, role: Role | None = None) -> Settings:
        """Return the settings of a role; its login comes from Vault, but for the administrator."""
        found = Settings.load(file=self._file, role=role, profile=LEASED)
        brief = {"soft_ttl": SOFT_TTL, "hard_ttl": HARD_TTL}
        keyring = found.keyring.model_copy(update=brief)
        return found.model_copy(update={"keyring": keyring})

    def session(self) -> Session:
        """Return a session of the application."""
        return Session(self.engine)

    @contextmanager
    def superuser(self) -> Iterator[Connection]:
        """Give a connection of PostgreSQL's superuser."""
        engine = new_engine(self.settings("admin"), searches_models=False)
        try:
            with engine.connect() as connection:
                yield connection
        finally:
            engine.dispose()

    def revoke_leases(self, role: Role) -> None:
        """End every login that a role has from Vault, as an operator does who has seen enough."""
        database = self.settings(role).database
        path = f"sys/leases/revoke-prefix/{database.lease_mount}/creds/{database.lease}"
        self._openbao.admin().write(path, sync=True)

    def close(self) -> None:
        """Close the application's connections, give its login back and forget its keys."""
        self.engine.dispose()


def row_of(patient: Patient) -> dict[str, Any]:
    """Return the values of a patient that was loaded."""
    return {key: value for key, value in vars(patient).items() if not key.startswith("_")}


def expect(promise: bool, complaint: str) -> None:
    """Complain if a promise is not kept.

    Raises:
        BrokenPromiseError: says which.

    """
    if not promise:
        raise BrokenPromiseError(complaint)
