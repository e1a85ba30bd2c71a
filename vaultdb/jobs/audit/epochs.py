"""A new tree for a database that was restored from an older state than what was exported.

Its leaves stay, and the new tree begins with them. But it has a name of its own, so that nobody
who holds a newer checkpoint of the old tree has to believe that both are one log.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine

from vaultdb.audit.auditor import Auditor
from vaultdb.audit.event import Event, Json
from vaultdb.audit.kinds import EPOCH_BEGUN
from vaultdb.engine.auditing import operator
from vaultdb.jobs.audit import sequencer_rows as rows
from vaultdb.jobs.audit.sequencer_failures import log_failures
from vaultdb.jobs.audit.signing import CheckpointRefused, LogState, NoteSigner, Signed
from vaultdb.jobs.audit.sinks.exporter import Exporter


@dataclass(frozen=True, slots=True)
class EpochPlan:
    """What a new epoch begins from.

    Args:
        state: the tree in the database.
        exported: the newest checkpoint that a sink has kept from there on; None if none can tell.

    """

    state: LogState
    exported: Signed | None

    @property
    def epoch(self) -> int:
        """The number of the new epoch."""
        return max(self.state.epoch, self.exported.epoch if self.exported else 0) + 1


def plan_epoch(engine: Engine, signer: NoteSigner, exporter: Exporter) -> EpochPlan:
    """Find out whether the database is older than what was exported.

    Raises:
        CheckpointRefused: it is not, or it is not what was signed at all.
        AuditUnavailable: the database or a sink cannot be reached.

    """
    with (
        log_failures("read the audit log"),
        engine.begin() as connection,
    ):
        state = rows.read_state(connection, signer)
    exported = exporter.newest(signer, state.place)
    if exported and state.newest and _goes_on(state.newest, exported):
        raise CheckpointRefused(
            f"the database is not older than what was exported, {exported}: it needs no new epoch;"
            " run: vaultdb audit checkpoint"
        )
    return EpochPlan(state, exported)


def begin_epoch(
    engine: Engine, signer: NoteSigner, auditor: Auditor, exporter: Exporter, plan: EpochPlan
) -> Signed:
    """Sign the tree under the name of the new epoch, and export that.

    Raises:
        CheckpointRefused: another sequencer is at work, or the log changed since the plan.
        VaultError: Vault does not sign now.
        AuditUnavailable: the database cannot be reached.

    """
    frontier = plan.state.frontier
    said: dict[str, Json] = {
        "epoch": plan.epoch,
        "size": frontier.size,
        "root": frontier.root().hex(),
    }
    auditor.commit(Event(EPOCH_BEGUN, said, operator()))
    with (
        log_failures("begin a new epoch"),
        engine.begin() as connection,
    ):
        if not rows.is_alone(connection):
            raise CheckpointRefused("another sequencer is at work; stop it first")
        if rows.read_state(connection, signer).place != plan.state.place:
            raise CheckpointRefused("the log has grown meanwhile; stop the other sequencer first")
        signed = signer.sign(plan.epoch, frontier)
        rows.store_checkpoint(connection, signed, frontier.dump())
    exporter.offer(signed)
    exporter.flush(everything=True)
    return signed


def _goes_on(newest: Signed, exported: Signed) -> bool:
    if exported.place == newest.place:
        return exported.checkpoint == newest.checkpoint
    return exported.place < newest.place
