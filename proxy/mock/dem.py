"""MOCK of Digital Evidence Management: records, queries and reports."""

import json
import uuid
from collections import Counter
from typing import Annotated, Any, Final

from pydantic import Field

from proxy.mock.body import Body, Reader
from proxy.mock.dem_query import Query, found
from proxy.mock.dem_records import RECORDS, NewLifetime, NewRecord, Record, record_as_json
from proxy.mock.endpoint import Call, Product, Result, endpoint
from proxy.mock.pdf import pdf_reply
from proxy.mock.replies import json_reply

__all__ = ["PRODUCT"]


class Batch(NewLifetime):
    """A new lifetime for the records that a query finds."""

    query: Query


class Page(Body):
    """Which part of what was found is wanted; `sort` is known, and has no effect."""

    page: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    size: Annotated[int, Field(ge=1, le=1000)] = 20
    sort: str | None = None


_PAGE: Final = Reader(Page)


def _create(call: Call, wanted: NewRecord) -> Result:
    record = Record(str(uuid.uuid4()), wanted, call.now, call.client_id, wanted.ttl)
    call.mock.shelf(RECORDS)[record.id] = record
    return record_as_json(call, record)


def _get(call: Call) -> Result:
    return record_as_json(call, call.find(RECORDS))


def _patch(call: Call, wanted: NewLifetime) -> None:
    call.find(RECORDS).days = wanted.ttl


def _patch_many(call: Call, wanted: Batch) -> Result:
    hits = found(wanted.query, _searchable(call))
    for hit in hits:
        call.mock.shelf(RECORDS)[hit["id"]].days = wanted.ttl
    return json_reply(f"MOCK: {len(hits)} records were changed")


def _searchable(call: Call) -> list[dict[str, Any]]:
    """Return all records as a query sees them: without core data, relations as ids."""
    everything = call.mock.shelf(RECORDS).values()
    return [
        {**record_as_json(call, record), "relations": record.wanted.relations or []}
        for record in everything
    ]


def _query(call: Call, wanted: Query) -> Result:
    wanted_page = _PAGE.query(call.query).value
    hits = found(wanted, _searchable(call))
    first = wanted_page.page * wanted_page.size
    records = [
        {name: member for name, member in hit.items() if name != "coreData"}
        for hit in hits[first : first + wanted_page.size]
    ]
    return {
        "_embedded": {"records": records},
        "_links": {"self": {"href": f"{call.base_url}/dem/records/query"}},
        "page": {
            "size": wanted_page.size,
            "totalElements": len(hits),
            "totalPages": -(-len(hits) // wanted_page.size),
            "number": wanted_page.page,
        },
    }


def _info(call: Call) -> Result:
    records = call.mock.shelf(RECORDS).values()
    size = sum(len(json.dumps(record_as_json(call, record))) for record in records)
    return {
        "collectionSize": f"{size} B",
        "avgRecordSize": f"{size // len(records) if records else 0} B",
        "totalRecords": len(records),
        "totalRecordsByType": Counter(record.wanted.type for record in records),
    }


def _custom_fields(call: Call) -> Result:
    """Return the names in the metadata of all records, or of those of one type."""
    kind = call.path.get("type", "").upper()
    records = call.mock.shelf(RECORDS).values()
    names = {name for r in records if kind in {"", r.wanted.type} for name in r.wanted.metadata}
    return json_reply(sorted(names))


def _report(call: Call) -> Result:
    record = call.find(RECORDS)
    facts = record_as_json(call, record)["systemMetadata"].items()
    return pdf_reply([f"Record {record.id}", *(f"{name}: {value}" for name, value in facts)])


def _ping(_: Call) -> Result:
    return json_reply("MOCK pong")


PRODUCT: Final = Product(
    name="Digital Evidence Management",
    prefix="/dem",
    permission="Digital Evidence Management",
    endpoints=(
        endpoint("POST", "/records", _create, takes=NewRecord, status=201, creates=True),
        endpoint("PATCH", "/records", _patch_many, takes=Batch),
        endpoint("POST", "/records/query", _query, takes=Query),
        endpoint("GET", "/records/{id}", _get),
        endpoint("PATCH", "/records/{id}", _patch, takes=NewLifetime, status=204),
        endpoint("GET", "/info", _info),
        endpoint("GET", "/info/custom-fields", _custom_fields),
        endpoint("GET", "/info/custom-fields/{type}", _custom_fields),
        endpoint("GET", "/reports/{id}", _report),
        endpoint("GET", "/.ping", _ping),
    ),
)
