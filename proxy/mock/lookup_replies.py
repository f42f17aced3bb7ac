"""MOCK of Data Verification, what all lookups share: sources, metadata, pages of hits."""

import json
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import urlencode

from pydantic import Field

from proxy.mock.body import Body
from proxy.mock.endpoint import Call
from proxy.mock.errors import ApiError, InvalidParam
from proxy.mock.lookup_countries import Country, named_countries

__all__ = [
    "FOR_ORGANIZATIONS",
    "FOR_PERSONS",
    "PREFIX",
    "Search",
    "Source",
    "check_source",
    "countries_searched",
    "is_named",
    "missing",
    "page_of",
    "with_metadata",
]

T = TypeVar("T")

PREFIX: Final = "/info/lookup"
FOR_ORGANIZATIONS: Final = "Data Verification for organisations"
FOR_PERSONS: Final = "Data Verification for natural persons"
_LAST_CHANGED: Final = "2026-01-10T00:00:00Z"
_LIST_LIMIT: Final = 100
_MOST_OFFSET: Final = 1_000_000_000
_NO_SOURCE: Final = "mock-unknown"
_SOURCE_DOWN: Final = "mock-unavailable"
_AT_HOME: Final = {
    "no-brreg": "NO",
    "se-bolagsverket": "SE",
    "kvk": "NL",
    "kvk-dataservice": "NL",
    "schufa": "DE",
}


class Source(Body):
    """Which register is asked, and whether its own response is wanted as well."""

    id_type: str | None = None
    source: str | None = None
    raw_json: bool = False


class Search(Source):
    """A search; `cursor` is not looked at."""

    countries: str | None = None
    id: str | None = None
    name: str | None = None
    cursor: str | None = None
    offset: Annotated[int, Field(ge=0, le=_MOST_OFFSET)] = 0
    limit: Annotated[int, Field(ge=1)] = 10


def _fits(source: str | None, country: Country) -> bool:
    return _AT_HOME.get((source or "").lower(), country.alpha2) == country.alpha2


def check_source(wanted: Source, *countries: Country) -> None:
    """Raise `ApiError` for a source that cannot serve.

    The mock takes any name, as it does not know all that there are: two of
    its own stand for one that does not exist, and one that is down.
    """
    if wanted.source == _NO_SOURCE:
        raise ApiError(400, wanted.source, code="1202", title="Source does not exist")
    if wanted.source == _SOURCE_DOWN:
        raise ApiError(503, wanted.source, code="1101", title="Sources currently unavailable")
    for country in countries:
        if not _fits(wanted.source, country):
            title = "Country not implemented by source"
            detail = f"{wanted.source} has no data of {country.alpha2}"
            raise ApiError(400, detail, code="1104", title=title)


def countries_searched(wanted: Search) -> tuple[Country, ...]:
    """Return the countries named; where none is, those of the source."""
    countries = named_countries(wanted.countries)
    if not wanted.countries:
        countries = tuple(country for country in countries if _fits(wanted.source, country))
    check_source(wanted, *countries)
    return countries


def missing(*names: str) -> ApiError:
    """Return the 400 for a query that has too little to look for."""
    invalid = tuple(InvalidParam(name, "is missing") for name in names)
    detail = f"give {' or '.join(names)}"
    title = "Invalid combination of properties"
    return ApiError(400, detail, code="1204", title=title, invalid=invalid)


def is_named(wanted: str | None, *names: str) -> bool:
    """Say whether a text is part of one of the names, in any case; nothing wanted fits all."""
    return not wanted or any(wanted.casefold() in name.casefold() for name in names)


def with_metadata(wanted: Source, source: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return a response with its metadata: what was asked, when, and the raw text if wanted."""
    return {
        **body,
        "metadata": {
            "sources": [wanted.source or source],
            "urls": [],
            "lastChanged": _LAST_CHANGED,
            "rawJson": json.dumps({"mock": True, **body}) if wanted.raw_json else None,
            "isCache": False,
        },
    }


def page_of(
    call: Call, wanted: Search, path: str, hits: Sequence[dict[str, Any]], source: str
) -> dict[str, Any]:
    """Return the part of the hits that is asked for, with links to the others."""
    limit = min(wanted.limit, _LIST_LIMIT)
    end = wanted.offset + limit
    shown = hits[wanted.offset : end]

    def link(offset: int) -> str:
        asked: Iterable[tuple[str, str]] = call.query.items()
        pairs = [(name, text) for name, text in asked if name.lower() != "offset"]
        pairs += [("offset", str(offset))] if offset else []
        return f"{call.base_url}{PREFIX}{path}?{urlencode(pairs, errors='replace')}"

    body = {
        "offset": wanted.offset,
        "limit": limit,
        "size": len(shown),
        "links": {
            "self": link(wanted.offset),
            "next": link(end) if end < len(hits) else None,
            "previous": link(max(wanted.offset - limit, 0)) if wanted.offset else None,
            "first": link(0),
        },
        "data": shown,
    }
    return with_metadata(wanted, source, body)
