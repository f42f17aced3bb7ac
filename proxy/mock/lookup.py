"""MOCK of Data Verification look-ups and of Digital Evidence records."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from aiohttp import web

from proxy.mock.keys import MOCK
from proxy.mock.replies import api_error, json_reply

__all__ = ["routes"]

_ORGANIZATION: Final = {
    "name": "Example AS",
    "organizationNumber": "999000111",
    "vatNumber": "NO999000111MVA",
    "registrationDate": "2015-03-02",
    "legalStatus": "active",
    "employees": 12,
    "businessAddress": {
        "street": "Storgata 1",
        "postalCode": "0001",
        "city": "Oslo",
        "country": {"alpha2": "NO", "name": "Norway"},
    },
    "organizationType": {"code": "AS", "name": "Private limited company"},
    "industries": [{"code": "62.010", "description": "Programming"}],
}
_METADATA: Final = {
    "sources": ["MockSource"],
    "lastChanged": "2026-01-10T00:00:00Z",
    "isCache": False,
}
_PERSON: Final = {
    "name": {"first": "Kari", "last": "Test"},
    "dateOfBirth": "1990-01-31",
    "identityNumber": "31019000000",
    "metadata": _METADATA,
}
_PARTS: Final[dict[str, dict[str, object]]] = {
    "authorization": {"signatories": [{"name": "Kari Test", "role": "CEO"}]},
    "ownership": {"owners": [{"name": "Kari Test", "share": 100}]},
    "roles": {"roles": [{"type": "CEO", "name": "Kari Test"}]},
    "ultimate-beneficial-owners": {"beneficialOwners": [{"name": "Kari Test"}]},
    "finance": {"currency": "NOK", "revenue": 1_000_000},
}
_COUNTRIES: Final = frozenset(("NO", "SE", "DK", "FI", "DE", "NL", "GB"))


def _country_fault(request: web.Request) -> web.Response | None:
    if request.match_info["country"] not in _COUNTRIES:
        return api_error(400, "1100", "Country not supported")
    return None


async def _organization(request: web.Request) -> web.Response:
    fault = _country_fault(request)
    if fault is not None:
        return fault
    if request.match_info["id"] != _ORGANIZATION["organizationNumber"]:
        return api_error(404, "1204", "Organization not found")
    part = request.match_info.get("part")
    if part is None:
        return json_reply({**_ORGANIZATION, "metadata": _METADATA})
    if part not in _PARTS:
        raise web.HTTPNotFound
    return json_reply({**_PARTS[part], "metadata": _METADATA})


async def _search(request: web.Request) -> web.Response:
    name = request.query.get("name", "")
    if not name:
        return api_error(400, "1200", "Query not valid", detail="MOCK: name is required")
    is_match = name.lower() in str(_ORGANIZATION["name"]).lower()
    return json_reply({"organizations": [_ORGANIZATION] if is_match else []})


async def _person(request: web.Request) -> web.Response:
    fault = _country_fault(request)
    if fault is not None:
        return fault
    number = request.query.get("identityNumber")
    if not number:
        return api_error(400, "1200", "Query not valid", detail="MOCK: identityNumber is required")
    if number != _PERSON["identityNumber"]:
        return api_error(404, "1205", "Person not found")
    return json_reply(_PERSON)


async def _create_record(request: web.Request) -> web.Response:
    mock = request.app[MOCK]
    try:
        body = json.loads(await request.read())
    except ValueError:
        body = None
    if not isinstance(body, dict) or "type" not in body:
        return api_error(400, "bad_request", "Bad request", detail="MOCK: type is required")
    created = datetime.fromtimestamp(mock.wall(), UTC)
    days = body.get("ttl") if isinstance(body.get("ttl"), int) else 30
    record: dict[str, Any] = {
        "id": str(uuid.uuid4()),
        "systemMetadata": {
            "type": body["type"],
            "auditLevel": body.get("auditLevel", "SIMPLE"),
            "createdBy": "MOCK",
            "createdDateTime": created.isoformat(),
            "expiryDate": (
                created + timedelta(days=min(max(int(days or 0), 0), 36_500))
            ).isoformat(),
        },
        "metadata": body.get("metadata", {}),
        "coreData": body.get("coreData", {}),
    }
    mock.records[record["id"]] = record
    return json_reply(record, mock.created_status)


async def _get_record(request: web.Request) -> web.Response:
    record = request.app[MOCK].records.get(request.match_info["id"])
    if record is None:
        raise web.HTTPNotFound
    return json_reply(record)


def routes() -> list[web.RouteDef]:
    """Return the routes of look-ups and records."""
    organization = "/info/lookup/countries/{country}/organizations/{id}"
    return [
        web.get("/info/lookup/organizations/search", _search),
        web.get(organization, _organization),
        web.get(organization + "/{part}", _organization),
        web.get("/info/lookup/countries/{country}/persons", _person),
        web.post("/dem/records", _create_record),
        web.get("/dem/records/{id}", _get_record),
    ]
