"""Who saw what: the log says it, and says so when somebody with every right changes it."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection, TextClause, text

from vaultdb.demo.model import Patient
from vaultdb.demo.stage import Stage, expect
from vaultdb.guard.principal import acting_as
from vaultdb.jobs.audit.sequencer import Sequencer
from vaultdb.jobs.audit.sequencer_opening import open_sequencer
from vaultdb.jobs.audit.verify.findings import Problem
from vaultdb.jobs.audit.verify.run import Verification, open_verification, vault_trust, verify

DOCTOR = "dr-jones"
"""Who looks, and would rather not have been there."""

TRIGGERS_OFF = text("SET LOCAL session_replication_role = replica")
"""What only a superuser may: no trigger that guards the log fires."""

READ = text("""
    SELECT chain, seq FROM vaultdb_audit.event
    WHERE strpos(body, '"event":"data.read",') > 0 AND strpos(body, '"principal":"dr-jones"') > 0
""")
CHANGE = text("""
    UPDATE vaultdb_audit.event SET body = replace(body, 'dr-jones', 'dr-smith')
    WHERE chain = :chain AND seq = :seq
""")
FINISHED = text("""
    SELECT chain, seq FROM vaultdb_audit.event
    WHERE strpos(body, '"event":"data.read-finished"') > 0
      AND strpos(body, '"principal":"dr-jones"') > 0
""")
DELETE = text("DELETE FROM vaultdb_audit.event WHERE chain = :chain AND seq = :seq")


class Auditing:
    """The steps about the audit log; each returns what came of it."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.problems: list[Problem] = []
        """What verification said about the superuser's work: set by `change` and `delete`."""

    def look(self) -> str:
        """Read one patient as somebody."""
        with acting_as(DOCTOR, purpose="treatment"), self._stage.session() as session:
            found = session.get(Patient, self._stage.one["id"])
            expect(found is not None, "the patient is gone")
        with self._stage.superuser() as connection:
            expect(connection.execute(READ).one() is not None, "nobody recorded the look")
        return "recorded before it was shown"

    def sign(self) -> str:
        """Give every record its leaf, and have Vault sign the tree."""
        self._stage.close()  # what waits in memory goes to the log
        with open_sequencer(self._stage.settings("sequencer")) as opened:
            sequencer = Sequencer(opened.engine, opened.signer)
            step = sequencer.step()
            while step.is_behind:
                step = sequencer.step()
        expect(step.signed is not None, "nothing was signed")
        return f"size {step.signed.checkpoint.size:,}" if step.signed else ""

    def verify(self) -> str:
        """Verify all of it, and believe nothing that the database says."""
        found = self._verified()
        expect(found.is_good, f"a false alarm: {found.findings.first}")
        return f"{found.events:,} records, all as written"

    def change(self) -> str:
        """Put somebody else's name into the record of a look."""
        with self._stage.superuser() as connection:
            chain, seq = _attack(connection, READ, CHANGE)
        return self._named("changed", chain, seq)

    def delete(self) -> str:
        """Remove the record of what was seen."""
        with self._stage.superuser() as connection:
            chain, seq = _attack(connection, FINISHED, DELETE)
        return self._named("missing", chain, seq)

    def _named(self, kind: str, chain: UUID, seq: int) -> str:
        found = self._verified()
        named = [
            each
            for each in found.findings.problems
            if (each.kind, each.chain, each.seq) == (kind, chain, seq)
        ]
        expect(bool(named), f"verification did not name the {kind} record")
        self.problems.append(named[0])
        return f"verify names it: {kind}, seq {seq}"

    def _verified(self) -> Verification:
        settings = self._stage.settings("auditor")
        with open_verification(settings) as opened:
            trust = vault_trust(settings, opened.credentials)
            return verify(opened.connection, trust, lambda _what, _total: lambda _count: None)


def _attack(connection: Connection, which: TextClause, how: TextClause) -> tuple[UUID, int]:
    connection.execute(TRIGGERS_OFF)
    chain, seq = connection.execute(which).first() or (UUID(int=0), 0)
    expect(connection.execute(how, {"chain": chain, "seq": seq}).rowcount == 1, "no such record")
    connection.commit()
    return chain, int(seq)
