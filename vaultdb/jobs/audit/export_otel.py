"""Events as OpenTelemetry log records, through the logger provider that the user configured."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from importlib import import_module
from types import MappingProxyType
from typing import Any, Final, Self

from vaultdb.audit.chain import Record
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.audit.query_entry import Entry
from vaultdb.jobs.audit.sinks.address import SinkAddress

SCOPE: Final = "vaultdb.audit"
INFO: Final = 9
"""Severity number of the OpenTelemetry log data model."""
WARN: Final = 13
ERROR: Final = 17

_SEVERITIES: Final[Mapping[str, int]] = MappingProxyType({
    "data.denied": WARN,
    "data.decryption-failed": WARN,
    "malformed": WARN,
    "budget.exceeded": ERROR,
    "canary.touched": ERROR,
    "audit.gap": ERROR,
})  # fmt: skip
_ATTRIBUTES: Final = ("principal", "purpose", "tenant", "request", "login", "entity", "statement")


class OtelSink:
    """A sink that sends records to OpenTelemetry, and does not keep checkpoints.

    Args:
        realm: whose log it is.
        provider: the logger provider; None for the global one.

    """

    def __init__(self, realm: str = "", provider: Any = None) -> None:
        self._emit = _Emitter(realm, provider)

    @classmethod
    def of(cls, address: SinkAddress) -> Self:
        """Make the sink of `otel://realm`, for the global logger provider."""
        return cls(address.url.netloc)

    def checkpoint(self, note: str) -> None:
        """Do nothing: a log collector is no place to keep evidence."""

    def records(self, records: Sequence[Record]) -> None:
        """Send records, one log record each."""
        for record in records:
            self._emit(Entry(record))

    def close(self) -> None:
        """Send what the provider still holds."""
        self._emit.flush()


def emit_entries(entries: Iterable[Entry], realm: str, provider: Any = None) -> int:
    """Send entries as log records, and return how many.

    Args:
        entries: of the log.
        realm: whose log it is.
        provider: the logger provider; None for the global one.

    Raises:
        ConfigurationError: OpenTelemetry is not installed, or nothing is configured to take logs.

    """
    emit, count = _Emitter(realm, provider), 0
    for entry in entries:
        emit(entry)
        count += 1
    emit.flush()
    return count


class _Emitter:
    def __init__(self, realm: str, provider: Any) -> None:
        logs = _module()
        self._severity = logs.SeverityNumber
        self._record = logs.LogRecord
        self._provider = provider or logs.get_logger_provider()
        self._logger = self._provider.get_logger(SCOPE)
        self._realm = realm
        if isinstance(self._logger, logs.NoOpLogger) or not hasattr(self._provider, "force_flush"):
            raise ConfigurationError(
                "opentelemetry has no logger provider, so nothing would arrive: set one with"
                " opentelemetry._logs.set_logger_provider, or run the command under"
                " opentelemetry-instrument"
            )

    def __call__(self, entry: Entry) -> None:
        severity = self._severity(_SEVERITIES.get(entry.event, INFO))
        self._logger.emit(
            self._record(
                timestamp=_nanoseconds(entry.at),
                observed_timestamp=_nanoseconds(entry.at),
                severity_number=severity,
                severity_text=severity.name,
                body=entry.record.body,
                attributes=attributes_of(entry, self._realm),
            )
        )

    def flush(self) -> None:
        self._provider.force_flush()


def attributes_of(entry: Entry, realm: str) -> dict[str, Any]:
    """Return the attributes of an entry's log record: texts and numbers."""
    found: dict[str, Any] = {
        "event.name": f"vaultdb.{entry.event}",
        "vaultdb.chain": str(entry.chain),
        "vaultdb.seq": entry.record.seq,
        "vaultdb.realm": realm,
        "vaultdb.mac": entry.record.mac.hex(),
        "vaultdb.number": entry.number,
        "vaultdb.tables": entry.tables,
        "vaultdb.columns": entry.columns,
        "vaultdb.rows": entry.rows,
        "vaultdb.keys": entry.keys,
        **{f"vaultdb.{name}": entry.text(name) for name in _ATTRIBUTES},
    }
    if entry.finished is not None:
        found["vaultdb.finished"] = json.dumps(entry.finished.said, sort_keys=True)
    return {name: value for name, value in found.items() if value not in (None, "", [])}


def _nanoseconds(at: str) -> int:
    try:
        return int(datetime.fromisoformat(at).timestamp() * 1_000_000) * 1_000
    except (ValueError, OverflowError):
        return 0


def _module() -> Any:
    try:
        return import_module("opentelemetry._logs")
    except ImportError:
        raise ConfigurationError(
            "log records need opentelemetry; install vaultdb[monitoring]"
        ) from None
