"""MOCK of Data Verification: look-ups of organisations and persons."""

from typing import Any, Final

from proxy.mock.body import Body
from proxy.mock.endpoint import Call, Product, Result, endpoint
from proxy.mock.errors import ApiError, InvalidParam, not_found

__all__ = ["PRODUCT"]

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


class Source(Body):
    """The register that is asked."""

    source: str | None = None


class Search(Source):
    """A search for organisations."""

    name: str = ""
    countries: str | None = None
    limit: str | None = None


class PersonQuery(Source):
    """A look-up of a person."""

    identity_number: str = ""


def _check_country(call: Call) -> None:
    if call.path["country"] not in _COUNTRIES:
        raise ApiError(400, call.path["country"], code="1100", title="Country not supported")


def _required(name: str, value: str) -> None:
    if not value:
        missing = (InvalidParam(name, "is required"),)
        title = "Query not valid"
        raise ApiError(400, f"{name} is required", code="1200", title=title, invalid=missing)


def _found_organization(call: Call) -> dict[str, Any]:
    _check_country(call)
    if call.path["id"] != _ORGANIZATION["organizationNumber"]:
        raise ApiError(404, code="1204", title="Organization not found")
    return _ORGANIZATION


def _organization(call: Call, _: Source) -> Result:
    return {**_found_organization(call), "metadata": _METADATA}


def _organization_part(call: Call, _: Source) -> Result:
    _found_organization(call)
    part = _PARTS.get(call.path["part"])
    if part is None:
        raise not_found("part of an organization")
    return {**part, "metadata": _METADATA}


def _search(_: Call, wanted: Search) -> Result:
    _required("name", wanted.name)
    is_match = wanted.name.lower() in str(_ORGANIZATION["name"]).lower()
    return {"organizations": [_ORGANIZATION] if is_match else []}


def _person(call: Call, wanted: PersonQuery) -> Result:
    _check_country(call)
    _required("identityNumber", wanted.identity_number)
    if wanted.identity_number != _PERSON["identityNumber"]:
        raise ApiError(404, code="1205", title="Person not found")
    return _PERSON


_BY_NUMBER: Final = "/countries/{country}/organizations/{id}"

PRODUCT: Final = Product(
    name="Data Verification",
    prefix="/info/lookup",
    permission="Data Verification",
    endpoints=(
        endpoint("GET", "/organizations/search", _search, takes=Search),
        endpoint("GET", _BY_NUMBER, _organization, takes=Source),
        endpoint("GET", _BY_NUMBER + "/{part}", _organization_part, takes=Source),
        endpoint("GET", "/countries/{country}/persons", _person, takes=PersonQuery),
    ),
)
