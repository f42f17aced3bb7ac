"""What the official .NET SDK deserializes of persons, searches and lists (signicat-net 1.15.0)."""

from typing import Final

from tests.mock.sdk_organization_shapes import (
    ADDRESS,
    ADDRESS_MEMBERS,
    BIRTH_MEMBERS,
    COUNTRY,
    GENDER,
    METADATA,
    NAME,
    NAME_MEMBERS,
    PERIOD,
    by_year,
    texts,
)
from tests.mock.sdk_reading import Check, each, flag, members, moment, one_of, or_null, text, whole

__all__ = ["LIST_SHAPES", "PERSON_SHAPES", "SEARCH_SHAPES"]

_BELONGS: Final = each(members({"isActive": flag, "country": COUNTRY, **PERIOD}))
_HOMES: Final = each(
    members(
        {
            **ADDRESS_MEMBERS,
            **PERIOD,
            "isActive": flag,
            "isConfidential": flag,
            "addressLines": each(text),
        }
    )
)
_PERSON: Final = members(
    {
        "names": each(members({**NAME_MEMBERS, **PERIOD, "isActive": flag})),
        "birth": members({**BIRTH_MEMBERS, "location": text}),
        "death": members({"isDead": flag, **texts("monthOfDeath", "yearOfDeath", "dateOfDeath")}),
        "nationalities": _BELONGS,
        "citizenships": _BELONGS,
        "permanentAddresses": _HOMES,
        "postalAddresses": _HOMES,
        "foreignAddresses": _HOMES,
        "metadata": METADATA,
    }
)
_PERSON_ADDRESS: Final = members(
    {"permanent": ADDRESS, "postal": ADDRESS, "foreign": ADDRESS, "metadata": METADATA}
)
_VERIFICATION: Final = members({"verified": flag, "description": text, "metadata": METADATA})
_PERSON_FINANCE: Final = members(
    {
        "creditScore": members({**texts("score", "scoringSystem", "link"), "year": or_null(whole)}),
        "numberOfPaymentRemarks": or_null(whole),
        "incomeAndWealth": by_year("grossIncome", "netIncome", "wealth"),
        "metadata": METADATA,
    }
)

PERSON_SHAPES: Final = {
    "": _PERSON,
    "/address": _PERSON_ADDRESS,
    "/address/verify": _VERIFICATION,
    "/finance": _PERSON_FINANCE,
}
"""Shapes by the end of the path."""


def _page(item: Check) -> Check:
    return members(
        {
            "offset": whole,
            "limit": whole,
            "size": whole,
            "links": members(texts("self", "next", "previous", "first")),
            "data": each(item),
            "metadata": METADATA,
        }
    )


_SCREENED: Final = members(
    {
        "entityType": one_of("unknown", "organization", "person"),
        "listType": one_of("unknown", "pep", "sanction", "adverseMedia"),
        "matchStrength": members(
            {"score": or_null(whole), "certainty": one_of("unknown", "high", "medium", "low")}
        ),
        "sourceName": text,
        "name": NAME,
        "gender": GENDER,
        "aliases": each(NAME),
        "associates": each(members(texts("name", "association", "comments"))),
        "datesOfBirth": each(members({**BIRTH_MEMBERS, "isApproximate": flag})),
        "addresses": each(ADDRESS),
        "comments": each(members(texts("name", "value"))),
        "functions": each(members({**PERIOD, **texts("name", "function")})),
        "media": each(members({**texts("title", "excerpt", "url"), "date": or_null(moment)})),
    }
)
SEARCH_SHAPES: Final = {
    "/organizations/search": _page(
        members(
            {
                **texts("organizationNumber", "taxNumber", "externalId", "name"),
                "links": members(texts("self")),
                "country": COUNTRY,
                "address": ADDRESS,
            }
        )
    ),
    "/persons/search": _page(members({"id": text, "name": NAME, "country": COUNTRY})),
    "/organizations/screening": _page(_SCREENED),
    "/persons/screening": _page(_SCREENED),
}

_AUTHORITY: Final = texts(
    *("authorityCode", "countryCode", "country", "localizedName", "internationalName"),
    "jurisdiction",
)
LIST_SHAPES: Final = {
    "/businessregistry": each(members({**_AUTHORITY, **texts("selfUrl")})),
    "/businessregistry/RA999578": members(
        {
            **_AUTHORITY,
            **texts("responsibleOrgLocalizedName", "responsibleOrgInternationalName", "website"),
        }
    ),
    "/geodata/countries": each(
        members(texts("selfUrl", "countryCode", "countryName", "isoAlpha3", "isoNumeric"))
    ),
    "/geodata/countries/NO": members(
        {
            **texts("selfUrl", "subdivisionsUrl", "continent", "capital", "population"),
            **texts("countryCode", "isoAlpha3", "countryName", "continentName", "currencyCode"),
            "isoNumeric": text,
            "languages": each(text),
        }
    ),
    "/geodata/countries/NO/subdivisions": each(members(texts("name", "isoCode"))),
}
