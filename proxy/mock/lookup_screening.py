"""MOCK of Data Verification, screening: lists of persons and organisations to be careful with."""

from typing import Any, Final

from proxy.mock.endpoint import Call, Result, endpoint
from proxy.mock.errors import invalid_param
from proxy.mock.lookup_people import full_name
from proxy.mock.lookup_persons import PersonSearch, checked_birthday
from proxy.mock.lookup_replies import (
    FOR_ORGANIZATIONS,
    FOR_PERSONS,
    Search,
    countries_searched,
    is_named,
    missing,
    page_of,
)

__all__ = ["ENDPOINTS"]

_LISTS: Final = {name.lower(): name for name in ("pep", "sanction", "adverseMedia")}
_SOURCE: Final = "trapets"
_ORGANIZATIONS: Final = "/organizations/screening"
_PERSONS: Final = "/persons/screening"

_NOTHING: Final[dict[str, Any]] = {
    "sourceName": "mock",
    "gender": "unknown",
    "aliases": [],
    "associates": [],
    "datesOfBirth": [],
    "addresses": [],
    "comments": [{"name": "note", "value": "invented"}],
    "functions": [],
    "media": [],
}
_POLITICIAN: Final = {
    **_NOTHING,
    "entityType": "person",
    "listType": "pep",
    "name": full_name("Ola", "Politiker"),
    "gender": "male",
    "aliases": [full_name("Ole", "Politiker")],
    "associates": [{"name": "Kari Politiker", "association": "spouse", "comments": None}],
    "datesOfBirth": [
        {
            "monthOfBirth": "02",
            "yearOfBirth": "1970",
            "dateOfBirth": "1970-02-03",
            "country": None,
            "isApproximate": False,
        }
    ],
    "functions": [{"startDate": None, "endDate": None, "name": "Member", "function": "Parliament"}],
}
_SANCTIONED: Final = {
    **_NOTHING,
    "entityType": "organization",
    "listType": "sanction",
    "name": {"status": "partial", "full": "SANCTIONED TEST LTD", "first": None, "last": None}
    | {"middle": None},
}
_IN_THE_NEWS: Final = {
    **_SANCTIONED,
    "listType": "adverseMedia",
    "media": [
        {
            "title": "An invented article",
            "excerpt": "Nothing of this is true.",
            "url": "https://news.example.test/1",
            "date": "2025-06-01T00:00:00Z",
        }
    ],
}


class Screening(Search):
    """A screening of organisations; several lists are separated by commas."""

    list_type: str | None = None


class PersonScreening(PersonSearch):
    """A screening of persons."""

    list_type: str | None = None


def _lists(text: str | None) -> frozenset[str]:
    """Return the lists that are asked for, all where none is named; raise `ApiError` 400."""
    named = [name.strip().lower() for name in (text or "").split(",") if name.strip()]
    unknown = sorted(set(named) - set(_LISTS))
    if unknown:
        raise invalid_param("listType", f"must be one of {', '.join(_LISTS.values())}")
    return frozenset(_LISTS[name] for name in named or _LISTS)


def _hits(wanted: Search, lists: frozenset[str], *listed: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the entries that have the name, and how well it fits."""
    if not wanted.name:
        return []
    hits = []
    for entry in listed:
        names = [name["full"] for name in (entry["name"], *entry["aliases"])]
        if entry["listType"] in lists and is_named(wanted.name, *names):
            is_exact = wanted.name.casefold() == names[0].casefold()
            score, certainty = (97, "high") if is_exact else (61, "medium")
            hits.append({**entry, "matchStrength": {"score": score, "certainty": certainty}})
    return hits


def _organizations(call: Call, wanted: Screening) -> Result:
    if not wanted.id and not wanted.name:
        raise missing("id", "name")
    countries_searched(wanted)
    hits = _hits(wanted, _lists(wanted.list_type), _SANCTIONED, _IN_THE_NEWS)
    return page_of(call, wanted, _ORGANIZATIONS, hits, _SOURCE)


def _persons(call: Call, wanted: PersonScreening) -> Result:
    if not wanted.id and not wanted.name:
        raise missing("id", "name")
    countries_searched(wanted)
    born = checked_birthday(wanted.date_of_birth)
    hits = [
        hit
        for hit in _hits(wanted, _lists(wanted.list_type), _POLITICIAN)
        if born is None or born.isoformat() == hit["datesOfBirth"][0]["dateOfBirth"]
    ]
    return page_of(call, wanted, _PERSONS, hits, _SOURCE)


ENDPOINTS: Final = (
    endpoint("GET", _ORGANIZATIONS, _organizations, takes=Screening, permission=FOR_ORGANIZATIONS),
    endpoint("GET", _PERSONS, _persons, takes=PersonScreening, permission=FOR_PERSONS),
)
