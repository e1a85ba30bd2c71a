"""The main job, step by step on real servers; each step says what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import psycopg
from sqlalchemy import insert, inspect, select, text
from sqlalchemy.orm import Session

from vaultdb.alembic import own as migrations
from vaultdb.db import catalogue
from vaultdb.db.keystore import PostgresKeyStore
from vaultdb.db.rewraps import RewrapTable
from vaultdb.demo.clients import Clients
from vaultdb.demo.model import Base, Patient
from vaultdb.demo.plaintext import found_in, spellings
from vaultdb.demo.tampering import Tampering
from vaultdb.dev.settings_file import DATABASE
from vaultdb.dev.stack import DevStack
from vaultdb.engine import create_engine
from vaultdb.errors import ConfigurationError, DecryptionError, VaultDBError
from vaultdb.jobs import keys, rewrap
from vaultdb.jobs.verify import verify
from vaultdb.keys.wrapped_key import KeyScope, Purpose
from vaultdb.orm.companion import companion_of
from vaultdb.settings import Settings
from vaultdb.settings.model import Role
from vaultdb.vault.factory import new_provider

GRANT = text("GRANT SELECT, INSERT, UPDATE, DELETE ON patient TO vaultdb_rw")
SHOWN = 10
"""Characters of an envelope that are shown."""

Row = Mapping[str, Any]


class BrokenPromiseError(VaultDBError):
    """Something did not turn out as the demo promises."""


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the report."""

    name: str
    result: str
    seconds: float


class Demo:
    """The main job on servers that run.

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
        self._engine = create_engine(settings=self._settings())

    def run(self, began: Callable[[str], None]) -> Iterator[Step]:
        """Take every step; `began` is told its name first.

        Raises:
            BrokenPromiseError: a promise is broken; says which.

        """
        try:
            for name, act in self._steps():
                began(name)
                start = perf_counter()
                result = act()
                yield Step(name, result, perf_counter() - start)
        finally:
            self.close()

    def close(self) -> None:
        """Close the application's connections and forget its keys."""
        self._engine.dispose()

    def _steps(self) -> Sequence[tuple[str, Callable[[], str]]]:
        return (
            ("migrate (migrator)", self.migrate),
            ("create data keys (key officer)", self.create_keys),
            ("load patients (application)", self.load),
            ("find one by SSN", self.find),
            ("look at the same row with psql", self.look),
            ("search a stolen dump", self.steal),
            ("exchange two ciphertexts", self.exchange_ciphertexts),
            ("exchange two index values", self.exchange_index_values),
            ("rotate the KEK (rotator)", self.rotate),
            ("read everything back", self.read_back),
        )

    def migrate(self) -> str:
        """Create vaultdb's schema and the demo's table, by a login that cannot decrypt."""
        settings = self._settings("migrator")
        engine = create_engine(settings=settings, role="migrator")
        migrations.upgrade(engine, realm=settings.realm)
        names = catalogue.declared_names([Base.metadata])
        with engine.begin() as connection:
            Base.metadata.create_all(connection)
            connection.execute(GRANT)
            catalogue.record(connection, names)
        engine.dispose()
        return f"{len(names)} encrypted columns"

    def create_keys(self) -> str:
        """Have Vault make a data key for values and one for blind indexes."""
        settings = self._settings("officer")
        scopes = [KeyScope(settings.tenant, "default", purpose) for purpose in Purpose]
        with ExitStack() as opened:
            provider = opened.enter_context(closing(new_provider(settings)))
            store = opened.enter_context(closing(PostgresKeyStore(settings)))
            for scope in scopes:
                keys.create(provider, store, settings.realm, scope, new_version=False)
        return f"{len(scopes)} keys, wrapped by Vault"

    def load(self) -> str:
        """Insert every patient in one transaction."""
        with self._session() as session:
            session.execute(insert(Patient).execution_options(render_nulls=True), self.patients)
            session.commit()
        return f"{len(self.patients):,} patients"

    def find(self) -> str:
        """Look one patient up by the encrypted, indexed SSN."""
        with self._session() as session:
            query = select(Patient).where(Patient.ssn == self.one["ssn"])
            found = session.scalars(query).one()
            _expect(_row(found) == self.one, "the patient that was found is not the one asked for")
        return "1 patient, all as loaded"

    def look(self) -> str:
        """Look at the row that was found without vaultdb."""
        (shown,) = Clients(self.conninfo).show(self.one["id"], ["ssn"])
        _expect(shown.startswith(r"\xf601"), "psql does not show an envelope")
        return f"ssn = {shown[:SHOWN]}… ({len(shown) // 2 - 1} bytes)"

    def steal(self) -> str:
        """Look for every value that was loaded in a dump of the database."""
        thief = Clients(self.conninfo)
        dump, values = thief.dump(), spellings(self.patients)
        # "other" and "white" are words of the schema's own functions and comments.
        found = found_in(dump, values) - found_in(thief.schema(), values)
        _expect(not found, f"{len(found)} plaintext values are in the dump")
        return f"0 of {len(values):,} values in {len(dump) / 1e6:.1f} MB"

    def exchange_ciphertexts(self) -> str:
        """Exchange the names of two patients behind the application's back, and read one."""
        query = select(Patient.last_name).where(Patient.id == self.one["id"])
        return self._refused(Patient.last_name.name, query)

    def exchange_index_values(self) -> str:
        """Make a search for one patient's SSN find the other's row."""
        companion = companion_of(inspect(Patient).columns.ssn)
        assert companion is not None
        return self._refused(companion.name, select(Patient).where(Patient.ssn == self.one["ssn"]))

    def rotate(self) -> str:
        """Rotate the KEK, rewrap the data keys, and verify them as a role that may decrypt."""
        settings = self._settings("rotator")
        with ExitStack() as opened:
            rotator = opened.enter_context(closing(new_provider(settings)))
            opener = opened.enter_context(closing(new_provider(self._settings("reencryptor"))))
            store = opened.enter_context(closing(PostgresKeyStore(settings)))
            table = RewrapTable(store, settings.realm)
            done = rewrap.run(rewrap.plan(rotator, table, rotate=True), rotator, table)
            verified = verify(opener, table).verified
        _expect(not done.failures and verified == done.rewrapped, "not every key was rewrapped")
        return f"KEK version {done.kek_version}, {verified} keys rewrapped"

    def read_back(self) -> str:
        """Read every patient with keys fetched anew and compare with what was loaded."""
        self._engine.dispose()
        with self._session() as session:
            found = {patient.id: _row(patient) for patient in session.scalars(select(Patient))}
        _expect(
            found == {patient["id"]: patient for patient in self.patients},
            "what was read is not what was loaded",
        )
        return f"{len(found):,} patients, all as loaded"

    def _refused(self, column: str, query: Any) -> str:
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            tampering = Tampering(connection, self.one["id"], self.other["id"])
            with tampering.exchanged(column), self._session() as session:
                try:
                    session.scalars(query).all()
                except DecryptionError as error:
                    return f"refused: {type(error).__name__}"
        raise BrokenPromiseError(
            "values that were exchanged behind the application's back were accepted"
        )

    def _session(self) -> Session:
        return Session(self._engine)

    def _settings(self, role: Role | None = None) -> Settings:
        return Settings.load(file=self._file, role=role)


def _row(patient: Patient) -> dict[str, Any]:
    return {key: value for key, value in vars(patient).items() if not key.startswith("_")}


def _expect(promise: bool, complaint: str) -> None:
    if not promise:
        raise BrokenPromiseError(complaint)
