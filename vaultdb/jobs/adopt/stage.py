"""How far the adoption of a column has come, and what comes next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg import sql

from vaultdb.alembic.covering import covers
from vaultdb.alembic.operations.invalidation import trigger_name
from vaultdb.db.shipped_sql import shipped_sql
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.adopt.reading import driver_of
from vaultdb.jobs.adopt.task import count_rows
from vaultdb.jobs.work.row_keys import column

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from vaultdb.jobs.adopt.adoption import Adoption

_STAGE = shipped_sql("vaultdb.jobs.adopt", "stage").encode()


@dataclass(frozen=True, slots=True)
class Stage:
    """What is there.

    Args:
        has_plain: whether the old column is there.
        plain_not_null: whether it must hold something.
        has_encrypted: whether the encrypted column is there.
        has_trigger: whether a change of the old column alone empties the encrypted one.
        is_checked: whether a validated CHECK says that nothing is left unencrypted.
        held: rows that hold something in the old column.
        missing: of these, rows whose encrypted column is empty.
        mode: what the models say of the old column: `allow`, `empty`, `forbid` or `gone`.

    """

    has_plain: bool
    plain_not_null: bool
    has_encrypted: bool
    has_trigger: bool
    is_checked: bool
    held: int
    missing: int
    mode: str


def stage_of(connection: Connection, adoption: Adoption) -> Stage:
    """Look how far an adoption has come.

    Args:
        connection: by a login with the rotator capability.
        adoption: the column.

    """
    driver = driver_of(connection)
    found = driver.execute(
        _STAGE,
        {
            "table": adoption.keys.table.as_string(driver),
            "plain": adoption.plain,
            "encrypted": adoption.encrypted,
            "trigger": trigger_name(adoption.table.name, adoption.plain),
        },
    ).fetchone()
    assert found is not None
    not_null, has_encrypted, has_trigger, _, definitions, validated = found
    has_plain = not_null is not None
    checked = any(
        valid and covers(definition, adoption.plain, adoption.encrypted)
        for definition, valid in zip(definitions, validated, strict=True)
    )
    return Stage(
        has_plain=has_plain,
        plain_not_null=bool(not_null),
        has_encrypted=has_encrypted,
        has_trigger=has_trigger,
        is_checked=checked,
        held=_held(connection, adoption) if has_plain else 0,
        missing=_missing(connection, adoption) if has_plain and has_encrypted else 0,
        mode=adoption.mode,
    )


def next_step(stage: Stage, adoption: Adoption) -> str:
    """Return what is to be done next, in one line."""
    place = f"{adoption.table.fullname} {adoption.encrypted}"
    steps = (
        (not stage.has_encrypted, "expand: vaultdb migrate new, then vaultdb migrate up"),
        (not stage.has_plain, f"the old column is gone; look: vaultdb adopt status {place}"),
        (stage.missing, f"vaultdb adopt backfill {place}"),
        (
            not stage.is_checked,
            f"vaultdb adopt verify {place}, then vaultdb adopt check {place} --apply",
        ),
        (stage.mode == "allow", 'release the models with plaintext="empty"'),
        (stage.held or stage.has_trigger, f"vaultdb adopt null {place} --drop-trigger"),
    )
    last = f"take {adoption.plain} out of the models, vaultdb migrate new, vaultdb migrate up"
    return next((step for is_due, step in steps if is_due), last)


def refuse_emptying(stage: Stage, adoption: Adoption, *, drops_trigger: bool) -> None:
    """Refuse to empty the old column while somebody still needs it.

    Raises:
        ConfigurationError: names what is in the way, and the remedy.

    """
    place = f"{adoption.table.fullname} {adoption.encrypted}"
    if not stage.has_plain:
        raise ConfigurationError(f"{adoption.target} is gone already")
    if stage.missing:
        raise ConfigurationError(
            f"{adoption.target}: {stage.missing:,} of its values not encrypted yet; run: vaultdb"
            f" adopt backfill {place}"
        )
    if not stage.is_checked:
        raise ConfigurationError(
            "no validated check says that every value is encrypted; run:"
            f" vaultdb adopt check {place} --apply"
        )
    if stage.mode == "allow":
        raise ConfigurationError(
            'the models still write and read the old column: release them with plaintext="empty"'
        )
    if stage.plain_not_null:
        raise ConfigurationError(
            f"{adoption.target} is NOT NULL; let a migration allow NULL:"
            f" op.alter_column({adoption.table.name!r}, {adoption.plain!r}, nullable=True)"
        )
    if stage.has_trigger and not drops_trigger:
        raise ConfigurationError(
            "the trigger that empties the ciphertext when the old value changes is still there,"
            " and would empty it now; say --drop-trigger, or drop it by a migration:"
            " op.drop_invalidation_trigger"
        )


def _held(connection: Connection, adoption: Adoption) -> int:
    return count_rows(
        connection, adoption, sql.SQL("{} IS NOT NULL").format(column(adoption.plain))
    )


def _missing(connection: Connection, adoption: Adoption) -> int:
    condition = sql.SQL("{} IS NOT NULL AND {} IS NULL").format(
        column(adoption.plain), column(adoption.encrypted)
    )
    return count_rows(connection, adoption, condition)
