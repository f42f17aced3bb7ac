"""MOCK of Data Verification, persons: by number or by name, their address and finance."""

from datetime import date
from typing import Any, Final

from proxy.mock.endpoint import Call, Result, endpoint
from proxy.mock.errors import invalid_param, not_found
from proxy.mock.lookup_countries import Country, asked_country
from proxy.mock.lookup_people import PEOPLE, Person
from proxy.mock.lookup_replies import (
    FOR_PERSONS,
    Search,
    Source,
    check_source,
    countries_searched,
    is_named,
    missing,
    page_of,
    with_metadata,
)

__all__ = ["ENDPOINTS", "PersonSearch", "checked_birthday"]

_BY_COUNTRY: Final = "/countries/{country}/persons"
_SEARCH: Final = "/persons/search"


class PersonQuery(Source):
    """Whom to look up: by number, or by name and what else is known."""

    identity_number: str | None = None
    given_name: str | None = None
    surname: str | None = None
    date_of_birth: str | None = None
    case_ref: str | None = None
    street: str | None = None
    street_number: str | None = None
    postal_code: str | None = None
    city: str | None = None


class PersonSearch(Search):
    """A search for persons."""

    date_of_birth: str | None = None
    postal_code: str | None = None


def checked_birthday(text: str | None) -> date | None:
    """Return a date of birth; raise `ApiError` 400 with the code that it has of its own."""
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        error = invalid_param("dateOfBirth", "must be YYYY-MM-DD")
        error.code, error.title = "1207", "Invalid date of birth"
        raise error from None


def _found(call: Call, wanted: PersonQuery) -> tuple[Country, Person]:
    """Return the person that the query names, and the country."""
    country = asked_country(call)
    check_source(wanted, country)
    born = checked_birthday(wanted.date_of_birth)
    if not wanted.identity_number and not (wanted.given_name and wanted.surname):
        raise missing("identityNumber", "givenName and surname")
    for person in PEOPLE:
        if (
            wanted.identity_number in {None, person.number}
            and _is_same(wanted.given_name, person.first)
            and _is_same(wanted.surname, person.last)
            and born in {None, person.born}
        ):
            return country, person
    raise not_found("person")


def _is_same(wanted: str | None, known: str) -> bool:
    return not wanted or wanted.casefold() == known.casefold()


def _basic(call: Call, wanted: PersonQuery) -> Result:
    country, person = _found(call, wanted)
    always = {"startDate": None, "endDate": None}
    belongs = [{"isActive": True, "country": country.code, **always}]
    address = country.address()
    home = {**address, "isActive": True, "isConfidential": False, **always}
    body = {
        "names": [{**person.name, "isActive": True, **always}],
        "birth": {**person.birth(country), "location": country.capital.upper()},
        "death": person.death,
        "nationalities": belongs,
        "citizenships": belongs,
        "permanentAddresses": [{**home, "addressLines": [address["street"]]}],
        "postalAddresses": [],
        "foreignAddresses": [],
    }
    return with_metadata(wanted, country.source, body)


def _address(call: Call, wanted: PersonQuery) -> Result:
    country, _ = _found(call, wanted)
    body = {"permanent": country.address(), "postal": None, "foreign": None}
    return with_metadata(wanted, country.source, body)


def _verify_address(call: Call, wanted: PersonQuery) -> Result:
    country, _ = _found(call, wanted)
    known = country.address()
    street = f"{wanted.street or ''} {wanted.street_number or ''}".strip()
    if not street and not wanted.postal_code and not wanted.city:
        raise missing("street", "postalCode", "city")
    is_verified = (
        _is_same(street, known["street"])
        and _is_same(wanted.postal_code, known["postalCode"])
        and _is_same(wanted.city, known["city"])
    )
    description = "The address is the registered one." if is_verified else "Another is registered."
    body = {"verified": is_verified, "description": f"MOCK: {description}"}
    return with_metadata(wanted, country.source, body)


def _finance(call: Call, wanted: PersonQuery) -> Result:
    country, _ = _found(call, wanted)
    income: dict[str, Any] = {"year": 2025, "currency": country.currency}
    body = {
        "creditScore": {"score": "70", "scoringSystem": "Example", "link": None, "year": 2025},
        "numberOfPaymentRemarks": 0,
        "incomeAndWealth": [
            {**income, "grossIncome": 500_000, "netIncome": 380_000, "wealth": 100_000}
        ],
    }
    return with_metadata(wanted, country.source, body)


def _search(call: Call, wanted: PersonSearch) -> Result:
    if not wanted.id and not wanted.name:
        raise missing("id", "name")
    born = checked_birthday(wanted.date_of_birth)
    countries = countries_searched(wanted)
    hits = [
        {"id": person.number, "name": person.name, "country": country.code}
        for country in countries
        for person in PEOPLE
        if wanted.id in {None, person.number}
        and is_named(wanted.name, person.name["full"])
        and born in {None, person.born}
        and wanted.postal_code in {None, country.address()["postalCode"]}
    ]
    return page_of(call, wanted, _SEARCH, hits, countries[0].source)


ENDPOINTS: Final = (
    endpoint("GET", _SEARCH, _search, takes=PersonSearch, permission=FOR_PERSONS),
    *(
        endpoint("GET", _BY_COUNTRY + path, handler, takes=PersonQuery, permission=FOR_PERSONS)
        for path, handler in (
            ("", _basic),
            ("/address", _address),
            ("/address/verify", _verify_address),
            ("/finance", _finance),
        )
    ),
)
