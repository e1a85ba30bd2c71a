"""Whether the audit log can be written, and whether somebody signs it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Connection, text

from vaultdb.audit.opening import Writer
from vaultdb.db.login.credentials import Credentials
from vaultdb.engine.auditing import audit_keys
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.audit.sequencer_opening import vault_signer
from vaultdb.settings import Settings
from vaultdb.settings.audit import UNAUDITED

SIGNED_AFTER: Final = 60.0
"""Seconds that a record may wait for its leaf before somebody has to look."""

_PARTITIONS = text("""
    SELECT c.relname FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'vaultdb_audit' AND starts_with(c.relname, 'event')
""")
_MAY_WRITE = text("""
    SELECT pg_catalog.has_any_column_privilege(c.oid, 'INSERT')
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'vaultdb_audit' AND c.relname = 'event'
""")
_CHECKPOINT = text("""
    SELECT size, extract(epoch FROM clock_timestamp() - signed_at)::float8
    FROM vaultdb_audit.checkpoint ORDER BY epoch DESC, size DESC LIMIT 1
""")
_OUTSIDE = text("""
    WITH months AS MATERIALIZED (
        SELECT to_date(substr(c.relname, 7), 'YYYY_MM')::timestamp AS month
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'vaultdb_audit' AND c.relkind = 'r'
          AND c.relname ~ '^event_[0-9]{4}_[0-9]{2}$')
    SELECT count(*) FROM vaultdb_audit.event
    WHERE recorded_at < (SELECT min(month) AT TIME ZONE 'UTC' FROM months)
       OR recorded_at >= (SELECT (max(month) + interval '1 month') AT TIME ZONE 'UTC' FROM months)
""")
_GAP = text("""
    SELECT c.chain, c.sequenced + 1
    FROM vaultdb_audit.chain c
    WHERE NOT c.done
      AND EXISTS (
        SELECT FROM vaultdb_audit.event e WHERE e.chain = c.chain AND e.seq > c.sequenced + 1)
      AND NOT EXISTS (
        SELECT FROM vaultdb_audit.event e WHERE e.chain = c.chain AND e.seq = c.sequenced + 1)
    LIMIT 1
""")
_WAITING = text("""
    SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(e.recorded_at)), 0)::float8
    FROM vaultdb_audit.chain c
    JOIN vaultdb_audit.event e ON e.chain = c.chain AND e.seq > c.sequenced
    WHERE NOT c.done
""")


def check_writing(connection: Connection, settings: Settings, credentials: Credentials) -> str:
    """Say how reads are recorded; the tables are there, and Vault certifies this role.

    Args:
        connection: of the role's login.
        settings: of the role.
        credentials: of these settings.

    Raises:
        ConfigurationError: something is missing; says what to do.
        VaultError: Vault does not certify the role.

    """
    mode = settings.audit_mode
    if mode == "off":
        return "off: nobody can tell who saw what; set mode in [audit]"
    if not connection.scalar(_MAY_WRITE):
        raise ConfigurationError(
            "the tables of the audit log are missing, or the login may not add to them; run:"
            " vaultdb roles apply"
        )
    now = datetime.now(UTC)
    wanted = {f"event_{day:%Y_%m}" for day in (now, now + timedelta(days=7))}
    if missing := wanted - set(connection.scalars(_PARTITIONS)):
        raise ConfigurationError(
            f"the audit log has no partition {min(missing)}; run: vaultdb audit checkpoint, or"
            " vaultdb audit partitions"
        )
    keys = audit_keys(settings, credentials)
    Writer.certified(str(settings.realm), keys).open("doctor", keys.escrow())
    service = settings.audit.principal
    nobody = f"as {service}" if service else "refused"
    return f"{mode}, certified as {keys.role}; outside of acting_as {nobody}"


def check_signing(connection: Connection, settings: Settings, credentials: Credentials) -> str:
    """Say how far the log is signed.

    Args:
        connection: of the auditor.
        settings: of the auditor.
        credentials: of these settings.

    Raises:
        ConfigurationError: records wait for their leaves, are missing, or are in no month.
        VaultError: there is no key to sign with.

    """
    if settings.keys not in UNAUDITED:
        vault_signer(settings, credentials).read()
    if gap := connection.execute(_GAP).first():
        raise ConfigurationError(
            f"the chain {gap[0]} waits for its record {gap[1]}, and later ones are there: somebody"
            " removed it; run: vaultdb audit verify"
        )
    if outside := connection.scalar(_OUTSIDE):
        raise ConfigurationError(
            f"{outside:,} records are in no month of the audit log, so none of them can be"
            " dropped; run: vaultdb audit partitions"
        )
    found = connection.execute(_CHECKPOINT).first()
    waiting, oldest = connection.execute(_WAITING).one()
    if waiting and oldest > SIGNED_AFTER:
        since = (
            "and there is no checkpoint" if found is None else f"the newest is {found[1]:.0f} s old"
        )
        raise ConfigurationError(
            f"{waiting:,} records wait for a checkpoint, the first of them for {oldest:.0f} s,"
            f" {since}: let vaultdb audit checkpoint run; if it does, run: vaultdb audit verify"
        )
    if found is None:
        return "nothing to sign yet"
    outside = "" if settings.audit.checkpoints else "; none is exported, set checkpoints in [audit]"
    return f"{found[0]:,} records signed, {waiting:,} wait{outside}"
