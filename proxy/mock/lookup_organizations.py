"""MOCK of Data Verification, organisations: by number, by name, and who is behind them."""

from typing import Any, Final

from proxy.mock.endpoint import Call, Endpoint, Result, endpoint
from proxy.mock.errors import ApiError, not_found
from proxy.mock.lookup_countries import Country, asked_country
from proxy.mock.lookup_organization_data import DATASETS, has_datasets, organizations
from proxy.mock.lookup_replies import (
    FOR_ORGANIZATIONS,
    PREFIX,
    Search,
    Source,
    check_source,
    countries_searched,
    is_named,
    missing,
    page_of,
    with_metadata,
)

__all__ = ["ENDPOINTS"]

_BY_NUMBER: Final = "/countries/{country}/organizations/{id}"
_SEARCH: Final = "/organizations/search"


def _found(call: Call, wanted: Source) -> tuple[Country, dict[str, Any]]:
    """Return the organisation that the path names, and its country."""
    country = asked_country(call)
    check_source(wanted, country)
    for organization in organizations(country):
        if organization["organizationNumber"] == call.path["id"]:
            return country, organization
    raise not_found("organization")


def _basic(call: Call, wanted: Source) -> Result:
    country, organization = _found(call, wanted)
    return with_metadata(wanted, country.source, organization)


def _dataset(name: str) -> Endpoint:
    """Return the endpoint of one dataset of an organisation."""

    def handler(call: Call, wanted: Source) -> Result:
        country, organization = _found(call, wanted)
        if not has_datasets(organization):
            raise ApiError(400, f"no {name}", code="1102", title="Dataset not implemented")
        body = with_metadata(wanted, country.source, DATASETS[name](country))
        if name == "authorization":
            body["metadata"]["accountingYear"] = None
        return body

    path = f"{_BY_NUMBER}/{name}"
    return endpoint("GET", path, handler, takes=Source, permission=FOR_ORGANIZATIONS)


def _search(call: Call, wanted: Search) -> Result:
    if not wanted.id and not wanted.name:
        raise missing("id", "name")
    countries = countries_searched(wanted)
    hits = [
        _hit(call, country, organization)
        for country in countries
        for organization in organizations(country)
        if wanted.id in {None, organization["organizationNumber"]}
        and is_named(wanted.name, organization["name"])
    ]
    return page_of(call, wanted, _SEARCH, hits, countries[0].source)


def _hit(call: Call, country: Country, organization: dict[str, Any]) -> dict[str, Any]:
    number = organization["organizationNumber"]
    path = f"{PREFIX}/countries/{country.alpha2}/organizations/{number}"
    return {
        "organizationNumber": number,
        "taxNumber": None,
        "externalId": number,
        "name": organization["name"],
        "links": {"self": call.base_url + path},
        "country": country.code,
        "address": organization["businessAddress"],
    }


ENDPOINTS: Final = (
    endpoint("GET", _SEARCH, _search, takes=Search, permission=FOR_ORGANIZATIONS),
    endpoint("GET", _BY_NUMBER, _basic, takes=Source, permission=FOR_ORGANIZATIONS),
    *(_dataset(name) for name in DATASETS),
)
