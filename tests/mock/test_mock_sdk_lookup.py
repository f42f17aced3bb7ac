"""Data Verification as the official .NET SDK meets it, and its documented errors (K)."""

import json
import re
from typing import Any

import pytest

from tests.mock.bench import CLIENT, Api
from tests.mock.sdk_organization_shapes import ORGANIZATION_SHAPES
from tests.mock.sdk_person_shapes import LIST_SHAPES, PERSON_SHAPES, SEARCH_SHAPES
from tests.mock.sdk_reading import Check, misread
from tests.mock.sdk_wire import ACCOUNT, sdk_asks
from tests.support.source_tree import read as read_file

LOOKUP = "/info/lookup"
EXAMPLE = "/countries/NO/organizations/999000111"
KARI = "identityNumber=31019000000"


async def read(api: Api, target: str) -> Any:
    """Ask as the SDK does; return what it deserializes."""
    message = await sdk_asks(api, "GET", LOOKUP + target)
    assert (message.status, message.head.value("X-Mock-Unknown")) == (200, None)
    return json.loads(message.body)


# The ends of the SDK's queries: nothing optional; a source, and `rawJson` false; everything.
@pytest.mark.parametrize("query", ["", "?source=no-brreg&", "?idType=x&source=x&rawJson=true"])
@pytest.mark.parametrize(("path", "shape"), ORGANIZATION_SHAPES.items())
async def test_an_organization(api: Api, path: str, shape: Check, query: str) -> None:
    """Each dataset has the members that the SDK knows, and says whence it is (K)."""
    body = await read(api, EXAMPLE + path + query)
    assert not misread(body, shape)
    metadata = body.pop("metadata")
    assert metadata["sources"] == ["x" if "=x" in query else "no-brreg"]
    raw = metadata["rawJson"]
    assert ({"mock": True} | body == json.loads(raw)) if "true" in query else raw is None


@pytest.mark.parametrize("country", ["SE", "dk", "Fi", "de", "nl", "GB"])
async def test_an_organization_in_another_country(api: Api, country: str) -> None:
    """Country codes come in any case; the example has an organisation in each country (K)."""
    for path, shape in ORGANIZATION_SHAPES.items():
        body = await read(api, f"/countries/{country}/organizations/999000111{path}")
        assert not misread(body, shape)
    body = await read(api, f"/countries/{country}/organizations/999000111")
    assert body["country"]["alpha2"] == country.upper()


async def test_the_organization_of_the_sdks_own_test(api: Api) -> None:
    """The entry that the official test asks for is there, and nothing is invented of it (K)."""
    body = await read(api, "/countries/NO/organizations/989584022")
    assert not misread(body, ORGANIZATION_SHAPES[""])
    assert body["name"].lower() == "signicat as"
    message = await sdk_asks(api, "GET", f"{LOOKUP}/countries/NO/organizations/989584022/roles")
    assert (message.status, json.loads(message.body)["code"]) == (400, "1102")


PERSONS = [
    f"?{KARI}&",
    "?givenName=Kari&surname=Test&dateOfBirth=1990-01-31&",
    "?givenName=%c3%85se&surname=Pr%c3%b8ve&source=x&rawJson=true",
]
HOME = "street=Storgata&streetNumber=1&postalCode=0155&city=OSLO&"


@pytest.mark.parametrize("query", PERSONS)
@pytest.mark.parametrize(("path", "shape"), PERSON_SHAPES.items())
async def test_a_person(api: Api, path: str, shape: Check, query: str) -> None:
    """A person is found by number and by name, and tells what the SDK knows (K)."""
    target = f"/countries/NO/persons{path}{query}"
    body = await read(api, f"{target}&{HOME}" if path.endswith("verify") else target)
    assert not misread(body, shape)
    if path == "":
        assert body["names"][0]["first"] == ("Åse" if "c3" in query else "Kari")
        assert body["death"]["isDead"] is ("c3" in query)


@pytest.mark.parametrize(
    ("query", "is_verified"),
    [
        (HOME, True),
        ("street=storgata+1&", True),
        ("postalCode=0155&", True),
        (HOME.replace("0155", "0156"), False),
        ("street=Lillegata&", False),
        ("city=BERGEN&", False),
    ],
)
async def test_an_address_is_verified(
    api: Api,
    query: str,
    is_verified: bool,  # noqa: FBT001 (a table)
) -> None:
    """Every part that is given must be the registered one (K)."""
    body = await read(api, f"/countries/NO/persons/address/verify?{KARI}&{query}")
    assert body["verified"] is is_verified


SEARCHES = {
    "/organizations/search?countries=NO&name=example&": 1,
    "/organizations/search?idType=x&countries=NO&id=989584022&": 1,
    "/organizations/search?countries=no%2cSE&name=example+a&limit=12": 2,
    "/organizations/search?name=EXAMPLE": 7,
    "/organizations/search?name=example&source=kvk&rawJson=true": 1,
    "/organizations/search?countries=NO&name=zzz&": 0,
    "/organizations/search?countries=NO&name=example&id=1&": 0,
    "/persons/search?countries=NO&name=kari&&": 1,
    "/persons/search?dateOfBirth=1990-01-31&postalCode=0155&countries=NO&id=31019000000&": 1,
    "/persons/search?dateOfBirth=1990-01-30&countries=NO&name=kari&": 0,
    "/persons/search?postalCode=9999&countries=NO&name=kari&": 0,
    "/organizations/screening?idType=x&countries=NO&name=sanctioned&": 2,
    "/organizations/screening?countries=NO&name=sanctioned&listType=sanction": 1,
    "/organizations/screening?countries=NO&name=sanctioned&listType=pep": 0,
    "/organizations/screening?countries=NO&id=999000111&": 0,
    "/persons/screening?dateOfBirth=1970-02-03&countries=NO&name=Ola+Politiker&listType=pep": 1,
    "/persons/screening?countries=NO&name=ole&listType=PEP%2c+adverseMedia": 1,
    "/persons/screening?dateOfBirth=1970-02-04&countries=NO&name=Ola+Politiker&": 0,
    "/persons/screening?countries=NO&id=31019000000&": 0,
}


@pytest.mark.parametrize(("target", "hits"), SEARCHES.items())
async def test_a_search(api: Api, target: str, hits: int) -> None:
    """Searches give a page with `data` and `metadata`; where nothing is found, an empty one (K)."""
    body = await read(api, target)
    assert not misread(body, SEARCH_SHAPES[target.partition("?")[0]])
    assert (len(body["data"]), body["size"], body["offset"]) == (hits, hits, 0)


async def test_how_well_a_screening_fits(api: Api) -> None:
    """The whole name is a high certainty, a part of it or an alias less (K)."""
    names = ("Ola+Politiker", "politiker", "ole")
    pages = [await read(api, f"/persons/screening?name={name}") for name in names]
    strengths = [page["data"][0]["matchStrength"] for page in pages]
    assert [strength["certainty"] for strength in strengths] == ["high", "medium", "medium"]


async def test_pages_are_turned(api: Api) -> None:
    """Links lead forth and back through all hits, with everything that was asked (K)."""
    target = "/organizations/search?name=example&limit=3"
    countries, page = [], await read(api, target)
    assert page["links"]["previous"] is None
    while True:
        countries += [hit["country"]["alpha2"] for hit in page["data"]]
        following = page["links"]["next"]
        if following is None:
            break
        _, page = await api.call("GET", following.removeprefix(api.running.url))
    assert countries == ["NO", "SE", "DK", "FI", "DE", "NL", "GB"]
    assert (page["offset"], page["limit"], page["size"]) == (6, 3, 1)
    _, page = await api.call("GET", page["links"]["previous"].removeprefix(api.running.url))
    assert page["offset"] == 3
    first = f"name=example&limit=3&signicat-accountId={ACCOUNT}"
    assert page["links"]["first"] == f"{api.running.url}{LOOKUP}/organizations/search?{first}"
    hit = page["data"][0]["links"]["self"].removeprefix(api.running.url)
    assert (await api.call("GET", hit))[1]["name"] == "EXAMPLE OY"


@pytest.mark.parametrize(("path", "shape"), LIST_SHAPES.items())
async def test_registries_and_geodata(api: Api, path: str, shape: Check) -> None:
    """What is no entity has its members too, and links to itself."""
    body = await read(api, path)
    assert not misread(body, shape)
    listed = body if isinstance(body, list) else [body]
    for link in [one["selfUrl"] for one in listed if "selfUrl" in one]:
        assert (await api.call("GET", link.removeprefix(api.running.url)))[0] == 200


async def test_the_examples_of_the_page_are_there(api: Api) -> None:
    """Every path that docs/mock.md tells of Data Verification finds something."""
    section = read_file("docs/mock.md").split("### Data Verification\n")[1].split("\n### ")[0]
    targets = re.findall(r"`(/info/lookup/[^`]+)`", section)
    assert len(targets) == 7
    for target in targets:
        status, body = await api.call("GET", target)
        assert status == 200, target
        assert body, target
        assert "data" not in body or body["data"], target


ERRORS = {
    "/countries/NO/organizations/1": (404, "not_found"),
    "/countries/FR/organizations/999000111": (400, "1100"),
    "/countries/XX/organizations/999000111": (400, "1200"),
    "/countries/N/organizations/999000111": (400, "1200"),
    f"{EXAMPLE}?source=mock-unknown": (400, "1202"),
    f"{EXAMPLE}?source=mock-unavailable": (503, "1101"),
    f"{EXAMPLE}?source=kvk": (400, "1104"),
    f"{EXAMPLE}?rawJson=perhaps": (400, "1206"),
    f"{EXAMPLE}/nothing": (404, "not_found"),
    "/organizations/search?countries=NO": (400, "1204"),
    "/organizations/search?name=&id=": (400, "1204"),
    "/organizations/search?name=a&countries=NO,XX": (400, "1200"),
    "/organizations/search?name=a&countries=NO&source=kvk": (400, "1104"),
    "/organizations/search?name=a&limit=0": (400, "1206"),
    "/organizations/search?name=a&offset=-1": (400, "1206"),
    "/organizations/screening?name=a&listType=x": (400, "1206"),
    "/organizations/screening": (400, "1204"),
    "/persons/screening?countries=NO": (400, "1204"),
    "/persons/screening?name=a&dateOfBirth=yesterday": (400, "1207"),
    "/persons/search?countries=NO": (400, "1204"),
    "/persons/search?name=a&dateOfBirth=31.01.1990": (400, "1207"),
    "/countries/NO/persons": (400, "1204"),
    "/countries/NO/persons?givenName=Kari": (400, "1204"),
    "/countries/NO/persons?identityNumber=1": (404, "not_found"),
    f"/countries/NO/persons?{KARI}&surname=Other": (404, "not_found"),
    f"/countries/NO/persons?{KARI}&dateOfBirth=1990-13-31": (400, "1207"),
    f"/countries/NO/persons/address/verify?{KARI}": (400, "1204"),
    f"/countries/XX/persons?{KARI}": (400, "1200"),
    "/businessregistry/RA000000": (404, "not_found"),
    "/geodata/countries/XX": (404, "not_found"),
}


@pytest.mark.parametrize(("target", "refused"), ERRORS.items())
async def test_errors_have_the_documented_codes(
    api: Api, target: str, refused: tuple[int, str]
) -> None:
    """Every refusal has the status and code that the documentation has for it (K)."""
    status, error = await api.call("GET", LOOKUP + target)
    assert (status, error["code"]) == refused
    assert error["traceId"]
    assert bool(error["invalidParams"]) is (refused[1] in {"1204", "1206", "1207"})


ORGANIZATIONS = "Data Verification for organisations"
NATURAL_PERSONS = "Data Verification for natural persons"


async def test_two_permissions(api: Api) -> None:
    """Organisations and persons need one each; countries need a token alone (K)."""
    message = await sdk_asks(api, "GET", LOOKUP + EXAMPLE, is_signed_in=False)
    assert (message.status, json.loads(message.body)["code"]) == (401, "0001")
    targets = (EXAMPLE, f"{EXAMPLE}/roles", f"/countries/NO/persons?{KARI}", "/geodata/countries")
    client = api.mock.client(CLIENT)
    assert client
    for permission, statuses in {
        ORGANIZATIONS: [200, 200, 403, 200],
        NATURAL_PERSONS: [403, 403, 200, 200],
    }.items():
        client.permissions = frozenset({permission})
        answers = [await api.call("GET", LOOKUP + target) for target in targets]
        assert [status for status, _ in answers] == statuses
        assert {error["code"] for status, error in answers if status == 403} == {"0002"}
