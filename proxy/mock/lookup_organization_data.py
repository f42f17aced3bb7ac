"""MOCK of Data Verification, the data of its organisations: invented but for one entry."""

from typing import Any, Final

from proxy.mock.lookup_countries import Country
from proxy.mock.lookup_people import KARI

__all__ = ["DATASETS", "has_datasets", "organizations"]

_EXAMPLE: Final = "999000111"
# The official SDK's test looks this one up. Nothing is invented of an organisation that exists.
_SIGNICAT: Final = ("NO", "989584022", "Signicat AS")
_UNKNOWN: Final[dict[str, Any]] = {
    "names": [],
    "vatNumber": None,
    "registrationDate": None,
    "businessAddress": None,
    "addresses": [],
    "organizationType": None,
    "legalStatus": "unknown",
    "employees": None,
    "industries": [],
    "contact": None,
}


def organizations(country: Country) -> list[dict[str, Any]]:
    """Return what a register tells of each organisation of a country."""
    example = _example(country)
    alpha2, number, name = _SIGNICAT
    if country.alpha2 != alpha2:
        return [example]
    entry = {"name": name, "organizationNumber": number, "country": country.code}
    return [example, {**_UNKNOWN, **entry}]


def has_datasets(organization: dict[str, Any]) -> bool:
    """Say whether more is known of an organisation than its entry."""
    return bool(organization["organizationNumber"] == _EXAMPLE)


def _example(country: Country) -> dict[str, Any]:
    name = f"EXAMPLE {country.company_form[0].upper()}"
    address = country.address()
    code, form = country.company_form
    domain = "example.test"
    return {
        "name": name,
        "names": [
            {"name": name, "type": "registered", "start": "2015-03-02T00:00:00.000Z", "end": None}
        ],
        "organizationNumber": _EXAMPLE,
        "vatNumber": f"{country.alpha2}{_EXAMPLE}" + ("MVA" if country.alpha2 == "NO" else ""),
        "registrationDate": "2015-03-02T00:00:00.000Z",
        "country": country.code,
        "businessAddress": address,
        "addresses": [{"type": "business", **address, "startDate": None, "endDate": None}],
        "organizationType": {"name": form, "code": code, "url": f"https://registry.{domain}/types"},
        "legalStatus": "active",
        "employees": 12,
        "industries": [
            {"code": "62.010", "description": "Programming", "section": "J", "level": 4}
        ],
        "contact": {
            "phone": {
                "nationalNumber": "22000000",
                "countryCode": country.calling_code,
                "intlFormat": f"+{country.calling_code} 22 00 00 00",
            },
            "email": f"post@{domain}",
        },
    }


def _authorization(country: Country) -> dict[str, Any]:
    role = {"code": "boardLeader", "description": "Chair of the board"}
    signer = {"name": KARI.name, "dateOfBirth": KARI.born.isoformat(), "role": role}
    metadata = {"sources": [country.source], "urls": [], "lastChanged": None, "rawJson": None}
    return {
        "signature": {
            "status": "complete",
            "description": "The chair of the board alone.",
            "combinations": [{"description": None, "signers": [signer]}],
            "basis": {"people": [{**signer, "roles": [role]}]},
            "metadata": metadata,
        },
        "powerOfProcuration": {
            "status": "none",
            "description": None,
            "combinations": [],
            "basis": None,
            "metadata": metadata,
        },
    }


def _organization_number(number: str) -> dict[str, Any]:
    return {"domestic": number, "dunsNumber": None, "legalEntityIdentifier": None}


def _roles(country: Country) -> dict[str, Any]:
    form = country.company_form[0].upper()
    return {
        "persons": [
            {
                "role": role,
                "roles": [{"role": role, "startDate": "2020-05-01T00:00:00Z", "endDate": None}],
                "name": KARI.name,
                "address": country.address(),
                "dateOfBirth": KARI.born.isoformat(),
                "nationality": country.code,
                "identityNumber": None,
            }
            for role in ("ceo", "boardLeader")
        ],
        "companies": [
            {
                "role": "auditor",
                "roles": [{"role": "auditor", "startDate": None, "endDate": None}],
                "name": f"AUDITOR TEST {form}",
                "organizationNumber": _organization_number("999000222"),
            }
        ],
        "others": [],
    }


def _share(percentage: float, lowest: float, highest: float) -> dict[str, Any]:
    return {
        "percentage": percentage,
        "percentageRange": {"from": lowest, "to": highest},
        "votingRights": percentage,
        "votingRightsRange": None,
        "integratedOwnership": percentage,
        "integratedOwnershipRange": None,
        "sourceSpecific": None,
    }


def _ownership(country: Country) -> dict[str, Any]:
    form = country.company_form[0].upper()
    return {
        "companies": [
            {
                "name": f"HOLDING TEST {form}",
                "organizationNumber": _organization_number("999000333"),
                **_share(60, 50.0, 66.6),
            }
        ],
        "persons": [
            {
                "name": KARI.name,
                "dateOfBirth": KARI.born.isoformat(),
                **_share(40, 33.3, 49.9),
            }
        ],
        "otherShareholders": [],
        "sourceSpecific": None,
    }


def _beneficial_owners(country: Country) -> dict[str, Any]:
    owner = {
        "ownership": {
            "directOwnership": 40,
            "directOwnershipRange": None,
            "indirectOwnership": 0,
            "integratedOwnership": 40,
            "votingRights": 40,
            "votingPower": None,
            "votingPowerRange": None,
        },
        "name": KARI.name,
        "address": country.address(),
        "birth": KARI.birth(country),
        "gender": "female",
        "identityNumber": {
            "idNumber": KARI.number,
            "type": "nationalIdentityNumber",
            "country": country.code,
        },
        "nationality": country.code,
        "role": "shareHolder",
    }
    # Signicat's own spelling: "beneficiary".
    return {"ultimateBeneficiaryOwners": [owner]}


def _finance(country: Country) -> dict[str, Any]:
    years = ((2025, 1_000_000), (2024, 800_000))
    return {
        "creditRating": {
            "score": "AA",
            "ratingSystem": "Example",
            "description": "Good",
            "link": None,
            "year": 2025,
        },
        "numberOfPaymentRemarks": 0,
        "profitAndLoss": [
            {
                "year": year,
                "currency": country.currency,
                "turnover": turnover,
                "grossProfit": turnover * 4 // 10,
                "netProfit": turnover * 12 // 100,
                "netProfitAfterTax": turnover * 9 // 100,
            }
            for year, turnover in years
        ],
        "keyFigures": [
            {"year": year, "currency": country.currency, "netWorth": turnover // 2}
            for year, turnover in years
        ],
    }


DATASETS: Final = {
    "authorization": _authorization,
    "roles": _roles,
    "ownership": _ownership,
    "ultimate-beneficial-owners": _beneficial_owners,
    "finance": _finance,
}
"""What else can be asked of an organisation, by the end of the path."""
