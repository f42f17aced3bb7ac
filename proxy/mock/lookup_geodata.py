"""MOCK of Data Verification, what is no entity: registration authorities, and countries."""

from typing import Any, Final

from proxy.mock.body import Body
from proxy.mock.endpoint import Call, Result, endpoint
from proxy.mock.errors import not_found
from proxy.mock.lookup_countries import COUNTRIES, Country, known_country
from proxy.mock.lookup_replies import PREFIX

__all__ = ["ENDPOINTS"]

_REGISTRY: Final = "/businessregistry"
_COUNTRIES: Final = "/geodata/countries"


class Language(Body):
    """The language of names; the mock has English alone."""

    lang: str | None = None


def _authority(country: Country) -> dict[str, Any]:
    return {
        # The form of GLEIF's codes; real ones do not begin with 999.
        "authorityCode": f"RA999{country.numeric}",
        "countryCode": country.alpha2,
        "country": country.name,
        "localizedName": f"Test Registry ({country.languages[0]})",
        "internationalName": f"Test Registry of {country.name}",
        "jurisdiction": country.name,
    }


def _authorities(call: Call) -> Result:
    found = [_authority(country) for country in COUNTRIES.values()]
    base = f"{call.base_url}{PREFIX}{_REGISTRY}"
    return [{**one, "selfUrl": f"{base}/{one['authorityCode']}"} for one in found]


def _one_authority(call: Call) -> Result:
    for country in COUNTRIES.values():
        authority = _authority(country)
        if authority["authorityCode"] == call.path["code"].upper():
            return {
                **authority,
                "responsibleOrgLocalizedName": authority["localizedName"],
                "responsibleOrgInternationalName": authority["internationalName"],
                "website": "https://registry.example.test",
            }
    raise not_found("registration authority")


def _url(call: Call, country: Country) -> str:
    return f"{call.base_url}{PREFIX}{_COUNTRIES}/{country.alpha2}"


def _list(call: Call, _: Language) -> Result:
    return [
        {
            "selfUrl": _url(call, country),
            "countryCode": country.alpha2,
            "countryName": country.name,
            "isoAlpha3": country.alpha3,
            "isoNumeric": country.numeric,
        }
        for country in COUNTRIES.values()
    ]


def _country(call: Call, _: Language) -> Result:
    """Return a country: all of it is text, also what is a number."""
    country = known_country(call)
    url = _url(call, country)
    return {
        "selfUrl": url,
        "subdivisionsUrl": f"{url}/subdivisions",
        "continent": "EU",
        "capital": country.capital,
        "languages": list(country.languages),
        "population": str(country.population),
        "countryCode": country.alpha2,
        "isoAlpha3": country.alpha3,
        "countryName": country.name,
        "continentName": "Europe",
        "currencyCode": country.currency,
        "isoNumeric": country.numeric,
    }


def _subdivisions(call: Call, _: Language) -> Result:
    code, name = known_country(call).subdivision
    return [{"name": name, "isoCode": code}]


ENDPOINTS: Final = (
    endpoint("GET", _REGISTRY, _authorities),
    endpoint("GET", _REGISTRY + "/{code}", _one_authority),
    endpoint("GET", _COUNTRIES, _list, takes=Language),
    endpoint("GET", _COUNTRIES + "/{country}", _country, takes=Language),
    endpoint("GET", _COUNTRIES + "/{country}/subdivisions", _subdivisions, takes=Language),
)
