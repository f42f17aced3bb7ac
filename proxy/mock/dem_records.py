"""MOCK of Digital Evidence Management: a record, as it comes in and as it is shown."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from proxy.mock.body import ANY_CASE, Body
from proxy.mock.endpoint import Call
from proxy.mock.state import Shelf

__all__ = ["RECORDS", "NewLifetime", "NewRecord", "Record", "record_as_json"]

_RELATED_TYPES: Final = frozenset(("OTHER", "GDPR", "TRANSACTION", "LOG_IN", "SIGNATURE"))
"""The types that the official SDK can read in a relation."""

Days = Annotated[int, Field(ge=1, le=36_500)]
RecordType = Annotated[
    Literal[
        "OTHER",
        "GDPR",
        "TRANSACTION",
        "LOG_IN",
        "SIGNATURE",
        "SENSITIVE",
        "CONSENT",
        "INTERNAL_AUDIT",
        "KYC",
    ],
    ANY_CASE,
]
AuditLevel = Annotated[Literal["SIMPLE", "ADVANCED", "QUALIFIED"], ANY_CASE]


class NewRecord(Body):
    """What a record is created from; `ttl` in days."""

    type: RecordType
    metadata: dict[str, Any]
    core_data: dict[str, Any]
    ttl: Days
    relations: list[str] | None = None
    audit_level: AuditLevel | None = None


class NewLifetime(Body):
    """How many days a record is kept, counted from its creation."""

    ttl: Days


@dataclass(slots=True)
class Record:
    """A record; only its lifetime can change."""

    id: str
    wanted: NewRecord
    created: datetime
    created_by: str
    days: int


RECORDS: Final[Shelf[Record]] = Shelf("record")


def record_as_json(call: Call, record: Record) -> dict[str, Any]:
    """Return a record as it is shown; relations come in as texts, and go out as objects."""
    wanted, created = record.wanted, record.created
    return {
        "id": record.id,
        "systemMetadata": {
            "type": wanted.type,
            "auditLevel": wanted.audit_level or "QUALIFIED",
            "createdBy": record.created_by,
            "createdDate": created.date().isoformat(),
            "createdDateTime": created.isoformat(),
            "expiryDate": (created + timedelta(days=record.days)).date().isoformat(),
        },
        "metadata": wanted.metadata,
        "coreData": wanted.core_data,
        "timestampData": {"timestamp": created.isoformat()},
        "relations": [_relation(call, name) for name in wanted.relations or ()],
        "_links": _links(call, record.id),
    }


def _relation(call: Call, record_id: str) -> dict[str, Any]:
    other = call.mock.shelf(RECORDS).get(record_id)
    kind = other.wanted.type if other else "OTHER"
    return {
        "relationID": record_id,
        "type": kind if kind in _RELATED_TYPES else "OTHER",
        "_links": _links(call, record_id),
    }


def _links(call: Call, record_id: str) -> dict[str, Any]:
    return {"self": {"href": f"{call.base_url}/dem/records/{record_id}", "templated": False}}
