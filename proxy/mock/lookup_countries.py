"""MOCK of Data Verification, its countries: which there are, and which the mock has data of."""

from dataclasses import dataclass
from typing import Any, Final

from proxy.mock.endpoint import Call
from proxy.mock.errors import ApiError, not_found

__all__ = ["COUNTRIES", "Country", "asked_country", "known_country", "named_countries"]

# ISO 3166-1: a code that exists is "not implemented", any other "does not exist".
_LETTERS: Final = 2
_EXISTING: Final = (
    "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR "
    "BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ "
    "EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW "
    "GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY "
    "KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV "
    "MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY "
    "QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG "
    "TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM "
    "ZW"
)


@dataclass(frozen=True, slots=True)
class Country:
    """What the mock knows of a country, and how an organisation looks there."""

    alpha2: str
    alpha3: str
    numeric: str
    name: str
    capital: str
    languages: tuple[str, ...]
    currency: str
    population: int
    calling_code: int
    company_form: tuple[str, str]
    source: str
    subdivision: tuple[str, str]

    @property
    def code(self) -> dict[str, Any]:
        """Return the country as responses name it."""
        return {"alpha2": self.alpha2, "alpha3": self.alpha3, "numeric": self.numeric}

    def address(self, street: str = "Storgata 1", postal_code: str = "0155") -> dict[str, Any]:
        """Return an address in the capital."""
        return {
            "street": street,
            "postalCode": postal_code,
            "city": self.capital.upper(),
            "country": self.code,
        }


COUNTRIES: Final = {
    country.alpha2: country
    for country in (
        Country(
            *("NO", "NOR", "578", "Norway", "Oslo", ("no", "nb", "nn"), "NOK", 5_500_000, 47),
            *(("AS", "Aksjeselskap"), "no-brreg", ("NO-03", "Oslo")),
        ),
        Country(
            *("SE", "SWE", "752", "Sweden", "Stockholm", ("sv",), "SEK", 10_600_000, 46),
            *(("AB", "Aktiebolag"), "se-bolagsverket", ("SE-AB", "Stockholms län")),
        ),
        Country(
            *("DK", "DNK", "208", "Denmark", "Copenhagen", ("da",), "DKK", 5_900_000, 45),
            *(("ApS", "Anpartsselskab"), "mock-dk", ("DK-84", "Hovedstaden")),
        ),
        Country(
            *("FI", "FIN", "246", "Finland", "Helsinki", ("fi", "sv"), "EUR", 5_600_000, 358),
            *(("Oy", "Osakeyhtiö"), "mock-fi", ("FI-18", "Uusimaa")),
        ),
        Country(
            *("DE", "DEU", "276", "Germany", "Berlin", ("de",), "EUR", 84_000_000, 49),
            *(("UG", "Unternehmergesellschaft"), "mock-de", ("DE-BE", "Berlin")),
        ),
        Country(
            *("NL", "NLD", "528", "Netherlands", "Amsterdam", ("nl",), "EUR", 18_000_000, 31),
            *(("B.V.", "Besloten vennootschap"), "kvk", ("NL-NH", "Noord-Holland")),
        ),
        Country(
            *("GB", "GBR", "826", "United Kingdom", "London", ("en",), "GBP", 68_000_000, 44),
            *(("LTD", "Private limited company"), "mock-gb", ("GB-LND", "London, City of")),
        ),
    )
}


def _country(code: str) -> Country:
    """Return a country by its code, in any case; raise `ApiError` 400, its code as documented."""
    alpha2 = code.strip().upper()
    country = COUNTRIES.get(alpha2)
    if country is not None:
        return country
    if len(alpha2) == _LETTERS and alpha2 in _EXISTING:
        raise ApiError(400, f"no data of {alpha2}", code="1100", title="Country not implemented")
    raise ApiError(400, "not in ISO 3166-1", code="1200", title="Country does not exist")


def asked_country(call: Call) -> Country:
    """Return the country that the path names; raise `ApiError` 400."""
    return _country(call.path["country"])


def named_countries(codes: str | None) -> tuple[Country, ...]:
    """Return the countries of a list with commas, all where none is named; raise `ApiError` 400."""
    named = [code for code in (codes or "").split(",") if code.strip()]
    return tuple(dict.fromkeys(map(_country, named))) or tuple(COUNTRIES.values())


def known_country(call: Call) -> Country:
    """Return the country that the path names; raise `ApiError` 404."""
    country = COUNTRIES.get(call.path["country"].upper())
    if country is None:
        raise not_found("country")
    return country
