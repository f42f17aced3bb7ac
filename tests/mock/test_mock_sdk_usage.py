"""Usage as the official .NET SDK meets it (K)."""

import json
from typing import Any

import pytest

from tests.mock.bench import Api
from tests.mock.sdk_reading import day, each, flag, may_lack, members, misread, number, one_of, text
from tests.mock.sdk_wire import ACCOUNT, ORGANIZATION, sdk_asks

TRANSACTIONS = "/usage/transactions"
YEAR = f"{TRANSACTIONS}?fromDate=2024-01-01&toDate=2024-12-31"
DEFAULTS = "&aggregateByDate=monthly&aggregateByLevel=organization"

SHAPE = members(
    {
        "data": each(
            members(
                {
                    "count": number,
                    "state": one_of("completed", "started", "loaded", "userAborted", "failed"),
                    "usageType": text,
                    "unitOfMeasure": text,
                    "invoiced": flag,
                    "productName": text,
                    "externalReference": may_lack(text),
                    "accountId": may_lack(text),
                    # The SDK spells it with an s, and so never reads it.
                    "organizationId": text,
                    "period": members({"start": day, "end": day}),
                }
            )
        ),
        "next": may_lack(text),
        "previous": may_lack(text),
    }
)


async def read(api: Api, target: str) -> dict[str, Any]:
    """Ask as the SDK does; return what it deserializes."""
    message = await sdk_asks(api, "GET", target, organization=ORGANIZATION)
    assert (message.status, message.head.value("X-Mock-Unknown")) == (200, None)
    body: dict[str, Any] = json.loads(message.body)
    assert not misread(body, SHAPE)
    assert {item["organizationId"] for item in body["data"]} <= {
        ORGANIZATION,
        "o-s-1b2c3d4e5f6a7b8c9d0e",
    }
    return body


async def test_the_pages_of_the_sdks_own_test(api: Api) -> None:
    """Three pages in a row are full; the SDK calls the next one as it is, if it is HTTPS (K)."""
    api.mock.public_url = "https://mock.test"
    target = f"{YEAR}{DEFAULTS}&limit=10"
    seen = []
    for offset in (0, 10, 20):
        page = await read(api, target)
        assert len(page["data"]) == 10
        seen += page["data"]
        target = page["next"].removeprefix("https://mock.test")
        assert target == f"{YEAR}{DEFAULTS}&limit=10&offset={offset + 10}"
    whole = await read(api, YEAR + DEFAULTS)
    assert seen == whole["data"][:30]
    assert "next" not in whole
    assert page["previous"] == f"https://mock.test{YEAR}{DEFAULTS}&limit=10&offset=10"


@pytest.mark.parametrize(
    ("parameters", "account"),
    [
        (DEFAULTS, None),
        ("", None),
        ("&aggregateByLevel=account", ACCOUNT),
        ("&aggregateByLevel=account&includeExternalReference=true", ACCOUNT),
    ],
)
async def test_the_level_decides_on_the_account(
    api: Api, parameters: str, account: str | None
) -> None:
    """Items have an account only where they are counted by account (K)."""
    page = await read(api, YEAR + parameters)
    assert {item.get("accountId") for item in page["data"]} == {account}
    has_reference = "Reference" in parameters
    assert all(("externalReference" in item) is has_reference for item in page["data"])


def counted(page: dict[str, Any]) -> int:
    """Return how many transactions a page tells of."""
    return sum(item["count"] for item in page["data"])


@pytest.mark.parametrize("name", ["aggregateByDate", "aggregateByPeriod"])
@pytest.mark.parametrize(
    ("step", "periods", "end"),
    [
        ("daily", 366, "01-01"),
        ("monthly", 12, "01-31"),
        ("quarterly", 4, "03-31"),
        ("yearly", 1, "12-31"),
    ],
)
async def test_periods(api: Api, name: str, step: str, periods: int, end: str) -> None:
    """Both spellings are known; however a year is cut, it has as many transactions (K)."""
    page = await read(api, f"{YEAR}&{name}={step}&limit=1000")
    first = page["data"][0]["period"]
    assert first == {"start": "2024-01-01", "end": f"2024-{end}"}
    assert page["data"][-1]["period"]["end"] == "2024-12-31" or "next" in page
    while "next" in page:
        following = await read(api, page["next"].removeprefix(api.running.url))
        page = {**following, "data": page["data"] + following["data"]}
    starts = {item["period"]["start"] for item in page["data"]}
    assert (len(starts), counted(page)) == (periods, 366 * 14)


@pytest.mark.parametrize("name", ["includeChildOrganisations", "includeChildOrganizations"])
async def test_child_organizations(api: Api, name: str) -> None:
    """Both spellings add another organisation."""
    alone, both = await read(api, YEAR), await read(api, f"{YEAR}&{name}=true")
    assert counted(both) == 2 * counted(alone)


@pytest.mark.parametrize(
    ("parameters", "days"),
    [
        ("fromDate=2019-12-30&toDate=2020-01-02", 2),
        ("fromDate=2027-01-14", 2),  # the mock's today is 2027-01-15
        ("fromDate=2027-01-14&toDate=9999-12-31", 2),
        ("fromDate=2028-01-01", 0),
        ("fromDate=0001-01-01&toDate=0001-12-31", 0),
    ],
)
async def test_there_is_nothing_before_2020_and_after_today(
    api: Api, parameters: str, days: int
) -> None:
    """What is asked beyond is not there; the last day is today where none is named."""
    page = await read(api, f"{TRANSACTIONS}?{parameters}&aggregateByDate=daily")
    assert counted(page) == days * 14


ERRORS = {
    "": "fromDate",
    "?fromDate=2024-02-30": "fromDate",
    "?fromDate=2024-02-01&toDate=2024-01-31": "toDate",
    "?fromDate=2024-02-01&aggregateByDate=weekly": "aggregateByDate",
    "?fromDate=2024-02-01&aggregateByLevel=person": "aggregateByLevel",
    "?fromDate=2024-02-01&limit=0": "limit",
}


@pytest.mark.parametrize(("query", "name"), ERRORS.items())
async def test_what_makes_no_sense_is_refused(api: Api, query: str, name: str) -> None:
    """The parameter is named."""
    message = await sdk_asks(api, "GET", TRANSACTIONS + query, organization=ORGANIZATION)
    error = json.loads(message.body)
    assert (message.status, error["invalidParams"][0]["name"]) == (400, name)


async def test_whose_usage_must_be_said(api: Api) -> None:
    """A header or a parameter names the organisation or the account; with neither it is 400."""
    status, error = await api.call("GET", YEAR)
    assert (status, error["invalidParams"][0]["name"]) == (400, "signicat-organizationId")
    for header in ({"signicat-accountid": ACCOUNT}, {"signicat-organizationid": "o-p-1"}):
        status, page = await api.call("GET", YEAR, headers=header)
        owner = header.get("signicat-organizationid", ORGANIZATION)
        assert (status, page["data"][0]["organizationId"]) == (200, owner)
