"""What happens to values: they are written, found, stolen, exchanged, and outlive their key."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import Any

import psycopg
from sqlalchemy import insert, inspect, select

from vaultdb.db.keystore import PostgresKeyStore
from vaultdb.db.rewraps import RewrapTable
from vaultdb.demo.clients import Clients
from vaultdb.demo.model import Patient
from vaultdb.demo.plaintext import found_in, spellings
from vaultdb.demo.stage import BrokenPromiseError, Stage, expect, row_of
from vaultdb.demo.tampering import Tampering
from vaultdb.errors import DecryptionError
from vaultdb.jobs import keys, rewrap
from vaultdb.jobs.verify import verify
from vaultdb.keys.wrapped_key import KeyScope, Purpose
from vaultdb.orm.companion import companion_of
from vaultdb.vault.factory import new_provider

SHOWN = 10
"""Characters of an envelope that are shown."""


class Values:
    """The steps about values; each returns what came of it."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def create_keys(self) -> str:
        """Have Vault make a data key for values and one for blind indexes."""
        settings = self._stage.settings("officer")
        scopes = [KeyScope(settings.tenant, "default", purpose) for purpose in Purpose]
        with ExitStack() as opened:
            provider = opened.enter_context(closing(new_provider(settings)))
            store = opened.enter_context(closing(PostgresKeyStore(settings)))
            for scope in scopes:
                keys.create(provider, store, settings.realm, scope, new_version=False)
        return f"{len(scopes)} keys, wrapped by Vault"

    def load(self) -> str:
        """Insert every patient in one transaction."""
        patients = self._stage.patients
        with self._stage.session() as session:
            session.execute(insert(Patient).execution_options(render_nulls=True), patients)
            session.commit()
        return f"{len(patients):,} patients"

    def find(self) -> str:
        """Look one patient up by the encrypted, indexed SSN."""
        wanted = self._stage.one
        with self._stage.session() as session:
            found = session.scalars(select(Patient).where(Patient.ssn == wanted["ssn"])).one()
            expect(row_of(found) == wanted, "the patient that was found is not the one asked for")
        return "1 patient, all as loaded"

    def look(self) -> str:
        """Look at the row that was found without vaultdb."""
        (shown,) = Clients(self._stage.conninfo).show(self._stage.one["id"], ["ssn"])
        expect(shown.startswith(r"\xf601"), "psql does not show an envelope")
        return f"ssn = {shown[:SHOWN]}… ({len(shown) // 2 - 1} bytes)"

    def steal(self) -> str:
        """Look for every value that was loaded in a dump of the database."""
        thief = Clients(self._stage.conninfo)
        dump, values = thief.dump(), spellings(self._stage.patients)
        # "other" and "white" are words of the schema's own functions and comments.
        found = found_in(dump, values) - found_in(thief.schema(), values)
        expect(not found, f"{len(found)} plaintext values are in the dump")
        return f"0 of {len(values):,} values in {len(dump) / 1e6:.1f} MB"

    def exchange_ciphertexts(self) -> str:
        """Exchange the names of two patients behind the application's back, and read one."""
        query = select(Patient.last_name).where(Patient.id == self._stage.one["id"])
        return self._refused(Patient.last_name.name, query)

    def exchange_index_values(self) -> str:
        """Make a search for one patient's SSN find the other's row."""
        companion = companion_of(inspect(Patient).columns.ssn)
        assert companion is not None
        query = select(Patient).where(Patient.ssn == self._stage.one["ssn"])
        return self._refused(companion.name, query)

    def rotate(self) -> str:
        """Rotate the KEK, rewrap the data keys, and verify them as a role that may decrypt."""
        settings = self._stage.settings("rotator")
        with ExitStack() as opened:
            rotator = opened.enter_context(closing(new_provider(settings)))
            opener = new_provider(self._stage.settings("reencryptor"))
            opened.enter_context(closing(opener))
            store = opened.enter_context(closing(PostgresKeyStore(settings)))
            table = RewrapTable(store, settings.realm)
            done = rewrap.run(rewrap.plan(rotator, table, rotate=True), rotator, table)
            verified = verify(opener, table).verified
        expect(not done.failures and verified == done.rewrapped, "not every key was rewrapped")
        return f"KEK version {done.kek_version}, {verified} keys rewrapped"

    def _refused(self, column: str, query: Any) -> str:
        stage = self._stage
        with psycopg.connect(stage.conninfo, autocommit=True) as connection:
            tampering = Tampering(connection, stage.one["id"], stage.other["id"])
            with tampering.exchanged(column), stage.session() as session:
                try:
                    session.scalars(query).all()
                except DecryptionError as error:
                    return f"refused: {type(error).__name__}"
        raise BrokenPromiseError(
            "values that were exchanged behind the application's back were accepted"
        )
