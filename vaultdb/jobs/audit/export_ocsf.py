"""Events in the shape of OCSF, the Open Cybersecurity Schema Framework, version 1.3.0.

The mapping is documented in docs/reference/ocsf.md. Source: https://schema.ocsf.io/1.3.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import IntEnum
from types import MappingProxyType
from typing import Any, Final

from vaultdb.audit.kinds import (
    BUDGET_EXCEEDED,
    CANARY_TOUCHED,
    DATA_DENIED,
    DATA_READ,
    DATA_READ_FINISHED,
    DATA_SEARCHED,
    DATA_WRITTEN,
    DECRYPTION_FAILED,
    SIGNED_IN,
)
from vaultdb.jobs.audit.query_entry import Entry

VERSION: Final = "1.3.0"
APPLICATION: Final = 6
"""The category Application Activity."""


class OcsfClass(IntEnum):
    """The classes that events become."""

    API_ACTIVITY = 6003
    DATASTORE_ACTIVITY = 6005


class Datastore(IntEnum):
    """`activity_id` of Datastore Activity."""

    READ = 1
    UPDATE = 2
    CONNECT = 3
    QUERY = 4
    CREATE = 6
    DELETE = 7
    OTHER = 99


OTHER: Final = 99
UNKNOWN: Final = 0
SUCCESS: Final = 1
FAILURE: Final = 2

INFORMATIONAL: Final = 1
MEDIUM: Final = 3
HIGH: Final = 4

_ACTIVITIES: Final[Mapping[str, Datastore]] = MappingProxyType({
    SIGNED_IN.name: Datastore.CONNECT,
    DATA_READ.name: Datastore.READ,
    DATA_READ_FINISHED.name: Datastore.READ,
    DECRYPTION_FAILED.name: Datastore.READ,
    DATA_SEARCHED.name: Datastore.QUERY,
    DATA_DENIED.name: Datastore.OTHER,
    BUDGET_EXCEEDED.name: Datastore.OTHER,
    CANARY_TOUCHED.name: Datastore.READ,
})  # fmt: skip
_WRITES: Final[Mapping[str, Datastore]] = MappingProxyType(
    {"insert": Datastore.CREATE, "update": Datastore.UPDATE, "delete": Datastore.DELETE}
)
_FAILURES: Final = frozenset({DECRYPTION_FAILED.name, DATA_DENIED.name, BUDGET_EXCEEDED.name})
_SEVERITIES: Final[Mapping[str, int]] = MappingProxyType({
    DATA_DENIED.name: MEDIUM,
    DECRYPTION_FAILED.name: MEDIUM,
    BUDGET_EXCEEDED.name: HIGH,
    CANARY_TOUCHED.name: HIGH,
    "audit.gap": HIGH,
})  # fmt: skip


def as_ocsf(entry: Entry, *, version: str, realm: str) -> dict[str, Any]:
    """Return an event in the shape of OCSF; what has no place there is in `unmapped`.

    Args:
        entry: the event.
        version: of vaultdb.
        realm: whose log it is.

    """
    activity = _activity(entry)
    class_ = OcsfClass.API_ACTIVITY if activity is None else OcsfClass.DATASTORE_ACTIVITY
    activity_id = OTHER if activity is None else int(activity)
    said: dict[str, Any] = {
        "activity_id": activity_id,
        "activity_name": entry.event
        if activity_id == OTHER
        else Datastore(activity_id).name.title(),
        "category_uid": APPLICATION,
        "class_uid": int(class_),
        "type_uid": class_ * 100 + activity_id,
        "severity_id": _SEVERITIES.get(entry.event, INFORMATIONAL),
        "status_id": _status(entry),
        "time": _milliseconds(entry.at),
        "message": entry.event,
        "metadata": _metadata(entry, version, realm),
        "actor": _actor(entry),
        "src_endpoint": {"name": entry.text("login") or "unknown"},
        "unmapped": _unmapped(entry),
    }
    if entry.text("reason"):
        said["status_detail"] = entry.text("reason")
    if class_ is OcsfClass.API_ACTIVITY:
        said["api"] = {"operation": entry.event, "service": {"name": "vaultdb"}}
        _put(said["api"], "request", entry.text("request") and {"uid": entry.text("request")})
    else:
        tables = entry.tables
        said["database"] = {"name": realm, "type_id": 1}
        if tables:
            said["table"] = {"name": tables[0]}
            said["type_id"] = 3
        else:
            said["type_id"] = 1
        if entry.text("statement"):
            said["query_info"] = {"uid": entry.text("statement")}
    return said


def _activity(entry: Entry) -> Datastore | None:
    if entry.event == DATA_WRITTEN.name:
        return _WRITES.get(entry.text("operation").lower(), Datastore.OTHER)
    return _ACTIVITIES.get(entry.event)


def _status(entry: Entry) -> int:
    if entry.is_malformed or (entry.is_read and entry.finished is None):
        return UNKNOWN
    return FAILURE if entry.event in _FAILURES else SUCCESS


def _metadata(entry: Entry, version: str, realm: str) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "version": VERSION,
        "uid": f"{entry.chain}:{entry.record.seq}",
        "log_name": f"vaultdb-audit/{realm}",
        "original_time": entry.at,
        "sequence": entry.record.seq,
        "product": {"name": "vaultdb", "vendor_name": "vaultdb", "version": version},
    }
    _put(metadata, "event_code", "" if entry.number is None else str(entry.number))
    _put(metadata, "correlation_uid", entry.text("request"))
    _put(metadata, "tenant_uid", entry.text("tenant"))
    return metadata


def _actor(entry: Entry) -> dict[str, Any]:
    user = {"name": entry.text("principal") or entry.text("login") or "unknown"}
    _put(user, "uid_alt", entry.text("entity"))
    return {"user": user, "app_name": entry.text("login") or "unknown"}


def _unmapped(entry: Entry) -> dict[str, Any]:
    if entry.is_malformed:
        return {"malformed": entry.record.body}
    unmapped: dict[str, Any] = {"body": entry.said}
    if entry.finished is not None:
        unmapped["finished"] = entry.finished.said
    return unmapped


def _milliseconds(at: str) -> int:
    try:
        return int(datetime.fromisoformat(at).timestamp() * 1000)
    except (ValueError, OverflowError):
        return 0


def _put(into: dict[str, Any], name: str, value: Any) -> None:
    if value:
        into[name] = value
