"""What the official .NET SDK deserializes of organisations (signicat-net 1.15.0)."""

from typing import Final

from tests.mock.sdk_reading import (
    Check,
    each,
    flag,
    members,
    moment,
    number,
    one_of,
    or_null,
    text,
    whole,
)

__all__ = [
    "ADDRESS",
    "ADDRESS_MEMBERS",
    "BIRTH_MEMBERS",
    "COUNTRY",
    "GENDER",
    "METADATA",
    "NAME",
    "NAME_MEMBERS",
    "ORGANIZATION_SHAPES",
    "PERIOD",
    "by_year",
    "texts",
]


def texts(*names: str) -> dict[str, Check]:
    """Return members that are texts."""
    return dict.fromkeys(names, text)


COUNTRY: Final = members(texts("alpha2", "alpha3", "numeric"))
NAME_MEMBERS: Final = {
    "status": one_of("partial", "all"),
    **texts("full", "first", "last", "middle"),
}
NAME: Final = members(NAME_MEMBERS)
ADDRESS_MEMBERS: Final = {**texts("street", "postalCode", "city"), "country": COUNTRY}
ADDRESS: Final = members(ADDRESS_MEMBERS)
PERIOD: Final = {"startDate": or_null(moment), "endDate": or_null(moment)}
_RANGE: Final = members({"from": or_null(number), "to": or_null(number)})
_INNER_METADATA: Final = {
    "sources": each(text),
    "urls": each(text),
    "lastChanged": or_null(moment),
    "rawJson": text,
}
METADATA: Final = members({**_INNER_METADATA, "isCache": flag})
BIRTH_MEMBERS: Final = {
    **texts("monthOfBirth", "yearOfBirth", "dateOfBirth"),
    "country": COUNTRY,
}
GENDER: Final = one_of("unknown", "female", "male", "other")
_IDENTITY_NUMBER: Final = members(
    {
        "idNumber": text,
        "type": one_of(
            "unknown",
            "nationalIdentityNumber",
            "socialSecurityNumber",
            "taxIdentificationNumber",
            "identificationDocumentNumber",
        ),
        "country": COUNTRY,
    }
)
_ORGANIZATION_NUMBER: Final = members(texts("domestic", "dunsNumber", "legalEntityIdentifier"))

_BASIC: Final = members(
    {
        **texts("name", "organizationNumber", "vatNumber"),
        "names": each(
            members(
                {
                    "name": text,
                    "type": one_of("unknown", "tradeName", "registered"),
                    "start": or_null(moment),
                    "end": or_null(moment),
                }
            )
        ),
        "registrationDate": or_null(moment),
        "country": COUNTRY,
        "businessAddress": ADDRESS,
        "addresses": each(
            members(
                {
                    **ADDRESS_MEMBERS,
                    **PERIOD,
                    "type": one_of("unknown", "registered", "business", "postal"),
                }
            )
        ),
        "organizationType": members(texts("name", "code", "url")),
        "legalStatus": one_of(
            "unknown", "active", "inactive", "insolvent", "terminating", "terminated"
        ),
        "employees": or_null(whole),
        "industries": each(members({**texts("code", "description", "section"), "level": whole})),
        "contact": members(
            {
                "phone": members(
                    {
                        **texts("nationalNumber", "intlFormat"),
                        "countryCode": or_null(whole),
                    }
                ),
                "email": text,
            }
        ),
        "metadata": METADATA,
    }
)

_SIGNER_ROLE: Final = members(
    {
        "code": one_of(
            *("unknown", "ceo", "boardLeader", "boardMember", "procuration", "signature"),
            *("bookkeeper", "accountant"),
        ),
        "description": text,
    }
)
_SIGNER_MEMBERS: Final = {"name": NAME, "dateOfBirth": text, "role": _SIGNER_ROLE}
_SIGNATURE: Final = members(
    {
        "status": one_of("unknown", "error", "none", "incomplete", "complete"),
        "description": text,
        "combinations": each(
            members({"description": text, "signers": each(members(_SIGNER_MEMBERS))})
        ),
        "basis": members(
            {"people": each(members({**_SIGNER_MEMBERS, "roles": each(_SIGNER_ROLE)}))}
        ),
        "metadata": members(_INNER_METADATA),
    }
)
_AUTHORIZATION: Final = members(
    {
        "signature": _SIGNATURE,
        "powerOfProcuration": _SIGNATURE,
        "metadata": members({**_INNER_METADATA, "isCache": flag, "accountingYear": or_null(whole)}),
    }
)

_ROLE: Final = one_of(
    *("unknown", "ceo", "boardLeader", "boardMember", "procuration", "signature", "bookkeeper"),
    *("accountant", "partner", "alternateMember", "auditor", "representative", "foreign"),
    *("legalEntity", "shareholder", "owner", "legalRepresentative", "taxRepresentative"),
    *("publicEntity", "houseManager", "ceoSubstitute", "viceBoardLeader", "deputyBoardMember"),
)
_ROLE_MEMBERS: Final = {"role": _ROLE, "roles": each(members({"role": _ROLE, **PERIOD}))}
_ROLES: Final = members(
    {
        "persons": each(
            members(
                {
                    **_ROLE_MEMBERS,
                    "name": NAME,
                    "address": ADDRESS,
                    "dateOfBirth": text,
                    "nationality": COUNTRY,
                    "identityNumber": _IDENTITY_NUMBER,
                }
            )
        ),
        "companies": each(
            members({**_ROLE_MEMBERS, "name": text, "organizationNumber": _ORGANIZATION_NUMBER})
        ),
        "others": each(members({**_ROLE_MEMBERS, **texts("name", "id")})),
        "metadata": METADATA,
    }
)

# The last three are not the SDK's: Signicat's release notes name them.
_SHARE_MEMBERS: Final = {
    "percentage": or_null(number),
    "percentageRange": _RANGE,
    "votingRights": or_null(number),
    "votingRightsRange": _RANGE,
    "integratedOwnership": or_null(number),
    "integratedOwnershipRange": _RANGE,
    "sourceSpecific": members({}),
}
_OWNERSHIP: Final = members(
    {
        "companies": each(
            members({**_SHARE_MEMBERS, "name": text, "organizationNumber": _ORGANIZATION_NUMBER})
        ),
        "persons": each(members({**_SHARE_MEMBERS, "name": NAME, "dateOfBirth": text})),
        "otherShareholders": each(members({**_SHARE_MEMBERS, **texts("name", "id")})),
        "sourceSpecific": members({}),
        "metadata": METADATA,
    }
)

_BENEFICIAL_OWNERS: Final = members(
    {
        "ultimateBeneficiaryOwners": each(
            members(
                {
                    "ownership": members(
                        {
                            "directOwnership": or_null(number),
                            "directOwnershipRange": _RANGE,
                            "indirectOwnership": or_null(number),
                            "integratedOwnership": or_null(number),
                            "votingRights": or_null(number),
                            "votingPower": or_null(number),
                            "votingPowerRange": _RANGE,
                        }
                    ),
                    "name": NAME,
                    "address": ADDRESS,
                    "birth": members(BIRTH_MEMBERS),
                    "gender": GENDER,
                    "identityNumber": _IDENTITY_NUMBER,
                    "nationality": COUNTRY,
                    "role": one_of("unknown", "boardMember", "shareHolder", "other"),
                }
            )
        ),
        "metadata": METADATA,
    }
)


def by_year(*names: str) -> Check:
    """Return a list of yearly amounts in a currency."""
    amounts = dict.fromkeys(names, or_null(whole))
    return each(members({"year": or_null(whole), "currency": text, **amounts}))


_FINANCE: Final = members(
    {
        "creditRating": members(
            {
                **texts("score", "ratingSystem", "description", "link"),
                "year": or_null(whole),
            }
        ),
        "numberOfPaymentRemarks": or_null(whole),
        "profitAndLoss": by_year("turnover", "grossProfit", "netProfit", "netProfitAfterTax"),
        "keyFigures": by_year("netWorth"),
        "metadata": METADATA,
    }
)

ORGANIZATION_SHAPES: Final = {
    "": _BASIC,
    "/authorization": _AUTHORIZATION,
    "/roles": _ROLES,
    "/ownership": _OWNERSHIP,
    "/ultimate-beneficial-owners": _BENEFICIAL_OWNERS,
    "/finance": _FINANCE,
}
"""Shapes by the end of the path."""
