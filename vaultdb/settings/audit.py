"""The section `[audit]`: what is recorded of reading and writing, and when."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from vaultdb.settings.env import Env
from vaultdb.settings.section import Section

AuditMode = Literal["strict", "relaxed", "off"]

AUDIT_MODE: AuditMode = "strict"
"""The audit mode of `keys = "vault"`, and of another provider's, unless the settings name one."""

UNAUDITED = frozenset({"memory", "local"})
"""Key providers for tests and development, without a Vault to prove who wrote the log."""

KEY_LIMIT = 20
"""Row keys that one audit event names; it counts the rest."""

FLUSH_AFTER = 0.2
"""Seconds that an audit event may wait in memory in relaxed mode."""

SPOOL = 10_000
"""Audit events that may wait in memory: a few megabytes."""

HEARTBEAT = 1.0
"""Seconds between two audit events that tell how long the chains of this process are."""

CHAIN_AGE = 86_400.0
"""Seconds after which a chain of audit events ends and another begins."""


class AuditSettings(Section):
    """What is recorded of reading and writing, and when."""

    mode: Annotated[AuditMode | None, Env("AUDIT_MODE")] = Field(
        None,
        description="`strict` commits what will be read before it is released, `relaxed` soon"
        " after, `off` records nothing",
    )
    principal: Annotated[str | None, Env("AUDIT_PRINCIPAL")] = Field(
        None, min_length=1, description="who acts outside of `acting_as`; without it nobody may"
    )
    key_limit: Annotated[int, Env("AUDIT_KEY_LIMIT")] = Field(
        KEY_LIMIT, ge=0, le=1000, description="row keys that one event names; it counts the rest"
    )
    flush_after: Annotated[float, Env("AUDIT_FLUSH_AFTER")] = Field(
        FLUSH_AFTER, gt=0, le=60, description="seconds that an event may wait in memory"
    )
    spool: Annotated[int, Env("AUDIT_SPOOL")] = Field(
        SPOOL, ge=1, description="events that may wait in memory before the application waits"
    )
    heartbeat: Annotated[float, Env("AUDIT_HEARTBEAT")] = Field(
        HEARTBEAT, gt=0, description="seconds between two events that tell how long chains are"
    )
    chain_age: Annotated[float, Env("AUDIT_CHAIN_AGE")] = Field(
        CHAIN_AGE, gt=0, description="seconds after which a chain ends and another begins"
    )
    checkpoints: Annotated[tuple[str, ...], Env("AUDIT_CHECKPOINTS")] = Field(
        (), description="URLs that get each signed checkpoint; in the environment with commas"
    )
    sinks: Annotated[tuple[str, ...], Env("AUDIT_SINKS")] = Field(
        (), description="URLs that get a copy of each event; in the environment with commas"
    )

    @field_validator("checkpoints", "sinks", mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value
