"""MOCK of Digital Evidence Management: records."""

import uuid
from datetime import timedelta
from typing import Any, Final

from proxy.mock.body import Body
from proxy.mock.endpoint import Call, Product, Result, endpoint
from proxy.mock.state import Shelf

__all__ = ["PRODUCT"]

_DEFAULT_DAYS: Final = 30
_MOST_DAYS: Final = 36_500

RECORDS: Final[Shelf[dict[str, Any]]] = Shelf("record")


class NewRecord(Body):
    """What a record is created from; `ttl` in days."""

    type: str
    audit_level: str | None = None
    ttl: int | None = None
    metadata: dict[str, Any] | None = None
    core_data: dict[str, Any] | None = None
    relations: list[Any] | None = None


def _create(call: Call, wanted: NewRecord) -> Result:
    days = _DEFAULT_DAYS if wanted.ttl is None else min(max(wanted.ttl, 0), _MOST_DAYS)
    record = {
        "id": str(uuid.uuid4()),
        "systemMetadata": {
            "type": wanted.type,
            "auditLevel": wanted.audit_level or "SIMPLE",
            "createdBy": "MOCK",
            "createdDateTime": call.now.isoformat(),
            "expiryDate": (call.now + timedelta(days=days)).isoformat(),
        },
        "metadata": wanted.metadata or {},
        "coreData": wanted.core_data or {},
    }
    call.mock.shelf(RECORDS)[str(record["id"])] = record
    return record


def _get(call: Call) -> Result:
    return call.find(RECORDS)


PRODUCT: Final = Product(
    name="Digital Evidence Management",
    prefix="/dem",
    permission="Digital Evidence Management",
    endpoints=(
        endpoint("POST", "/records", _create, takes=NewRecord, status=201, creates=True),
        endpoint("GET", "/records/{id}", _get),
    ),
)
