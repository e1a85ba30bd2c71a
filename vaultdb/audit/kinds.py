"""Every kind of audit event: its number, its name, what it says.

A number is stored for ever and never used again. Users declare kinds of their own from 10000 on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from vaultdb.errors import ConfigurationError

FIRST_OWN_NUMBER: Final = 10_000
"""The first number that an application may use for a kind of its own."""

COMMON_FIELDS: Final = (
    "v",
    "no",
    "event",
    "principal",
    "purpose",
    "tenant",
    "request",
    "login",
    "entity",
)
"""What every event may say, whatever its kind."""

_NAME = re.compile(r"[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)+")


@dataclass(frozen=True, slots=True)
class EventKind:
    """A kind of audit event.

    Args:
        number: what machines filter by; never reused.
        name: what people filter by, such as `data.read`; as stable as the number.
        meaning: one sentence for the catalogue.
        fields: the fields beside the common ones, each of which may be left out.

    """

    number: int
    name: str
    meaning: str
    fields: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        taken = sorted(set(self.fields) & set(COMMON_FIELDS))
        if taken:
            raise ConfigurationError(
                f"the audit event {self.name!r} cannot have a field {taken[0]!r}: "
                "every event has it already"
            )


def own_kind(number: int, name: str, meaning: str, fields: tuple[str, ...] = ()) -> EventKind:
    """Declare a kind of event of an application.

    Args:
        number: 10000 or above, unique in the application.
        name: lower-case words with a dot, such as `billing.exported`.
        meaning: one sentence.
        fields: the fields that its events may have.

    Raises:
        ConfigurationError: the number or the name belongs to vaultdb, or has the wrong form.

    Example:
        >>> own_kind(10001, "billing.exported", "An invoice left the house.", ("invoice",)).number
        10001

    """
    if number < FIRST_OWN_NUMBER:
        raise ConfigurationError(
            f"audit events below {FIRST_OWN_NUMBER} belong to vaultdb; take a larger number"
        )
    if _NAME.fullmatch(name) is None or name in BY_NAME:
        raise ConfigurationError(
            f"{name!r} cannot name an audit event: lower-case words with a dot between them, "
            "and none of vaultdb's own names"
        )
    return EventKind(number, name, meaning, fields)


CHAIN_OPENED: Final = EventKind(
    1000, "chain.opened", "A chain of records began; every chain starts with it.", ("opening",)
)
CHAIN_HEARTBEAT: Final = EventKind(
    1001,
    "chain.heartbeat",
    "The heads of all chains of one process, so that a cut tail contradicts another chain.",
    ("chains",),
)
CHAIN_CLOSED: Final = EventKind(
    1002, "chain.closed", "A chain ended as it should; nothing may follow.", ("reason",)
)
SIGNED_IN: Final = EventKind(
    1100, "session.signed-in", "Somebody began to work with the database.", ("by",)
)
DATA_READ: Final = EventKind(
    2000,
    "data.read",
    "Values are about to be decrypted; in strict mode this is committed before they are.",
    ("id", "tables", "columns", "searched", "statement"),
)
DATA_READ_FINISHED: Final = EventKind(
    2001,
    "data.read-finished",
    "How many rows a read gave out, and their keys up to the limit.",
    ("of", "rows", "keys", "more"),
)
DATA_SEARCHED: Final = EventKind(
    2002,
    "data.searched",
    "An encrypted column was searched, and nothing decrypted.",
    ("tables", "columns", "statement"),
)
DATA_WRITTEN: Final = EventKind(
    2100,
    "data.written",
    "Encrypted columns were written; before and after are ids of data keys, never values.",
    ("operation", "table", "columns", "rows", "keys", "more", "before", "after"),
)
DECRYPTION_FAILED: Final = EventKind(
    2200,
    "data.decryption-failed",
    "A stored value did not decrypt, and why.",
    ("table", "column", "key", "reason", "key_id"),
)
DATA_DENIED: Final = EventKind(
    2300, "data.denied", "Something was asked for and refused.", ("what", "reason", "key_ids")
)
BUDGET_EXCEEDED: Final = EventKind(
    2400, "budget.exceeded", "More was decrypted than the budget allows.", ("budget", "limit")
)
CANARY_TOUCHED: Final = EventKind(
    2500, "canary.touched", "A row that nobody has a reason to read was read.", ("table", "key")
)
KEY_CREATED: Final = EventKind(
    3000, "key.created", "Data keys were made.", ("key_ids", "scope", "version")
)
KEY_UNWRAPPED: Final = EventKind(
    3001, "key.unwrapped", "Vault unwrapped data keys for a process.", ("key_ids", "scope")
)
KEY_ROTATED: Final = EventKind(
    3002, "key.rotated", "New versions of data keys were made.", ("key_ids", "scope", "version")
)
KEY_REWRAPPED: Final = EventKind(
    3003, "key.rewrapped", "Data keys were wrapped anew under a newer KEK version.", ("rows",)
)
KEY_RESTRICTED: Final = EventKind(
    3004,
    "key.restricted",
    "Data keys were promoted, retired or disabled.",
    ("key_ids", "scope", "state"),
)
KEY_SHREDDED: Final = EventKind(
    3005,
    "key.shredded",
    "Data keys were destroyed, and with them what they encrypted.",
    ("key_ids", "scope", "reason"),
)
KEK_ROTATED: Final = EventKind(
    3006, "kek.rotated", "Vault made a new version of the KEK.", ("version",)
)
ROLES_CHANGED: Final = EventKind(
    4000, "roles.changed", "Database roles or grants were changed.", ("statements", "digest")
)
MIGRATION_APPLIED: Final = EventKind(
    4001, "migration.applied", "The schema was migrated.", ("branch", "revision", "direction")
)
BACKUP_MADE: Final = EventKind(4100, "backup.made", "A backup was made.", ("what", "digest"))
BACKUP_RESTORED: Final = EventKind(
    4101, "backup.restored", "A backup was restored.", ("what", "digest")
)
JOB_STARTED: Final = EventKind(4200, "job.started", "A job over many rows began.", ("job", "what"))
JOB_FINISHED: Final = EventKind(
    4201, "job.finished", "A job over many rows ended.", ("job", "what", "rows", "outcome")
)
AUDIT_GAP: Final = EventKind(
    5000,
    "audit.gap",
    "A chain waits for a record that does not come, so the rest of it is not signed.",
    ("chain", "seq", "waiting"),
)
PARTITION_DROPPED: Final = EventKind(
    5001,
    "audit.partition-dropped",
    "A month of the log is about to be dropped; its leaf hashes stay.",
    ("month", "events", "size"),
)
EPOCH_BEGUN: Final = EventKind(
    5002,
    "audit.epoch-begun",
    "The log begins a new tree, because the database was restored from an older state.",
    ("epoch", "size", "root"),
)
AUDIT_QUERIED: Final = EventKind(
    5003, "audit.queried", "Somebody read the audit log.", ("command", "filters", "rows")
)
AUDIT_VERIFIED: Final = EventKind(
    5004, "audit.verified", "Somebody verified the audit log.", ("size", "outcome")
)

KINDS: Final[tuple[EventKind, ...]] = tuple(
    sorted(
        (kind for kind in list(globals().values()) if isinstance(kind, EventKind)),
        key=lambda kind: kind.number,
    )
)
"""Every kind of vaultdb, by number."""

BY_NAME: Final[Mapping[str, EventKind]] = MappingProxyType({kind.name: kind for kind in KINDS})
