"""The mock's products: look-ups, and streams to try a proxy with (K)."""

from collections.abc import AsyncIterator

import pytest

from tests.mock.bench import JSON, Api

SESSION = {
    "flow": "redirect",
    "requestedAttributes": ["nin", "name"],
    "callbackUrls": {
        "success": "https://shop.test/ok?x=1",
        "abort": "https://shop.test/no",
        "error": "https://shop.test/err",
    },
}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/__mock__/faults", b"{"),
    ],
)
async def test_bad_bodies_are_refused(api: Api, path: str, body: bytes) -> None:
    """What makes no sense is 400."""
    method = "PUT" if path.startswith("/__mock__") else "POST"
    assert (await api.call(method, path, data=body, headers=JSON))[0] == 400


ORGANIZATION = "/info/lookup/countries/NO/organizations/999000111"
LOOKUPS = {
    ORGANIZATION: (200, None),
    f"{ORGANIZATION}/roles": (200, None),
    f"{ORGANIZATION}/nothing": (404, "not_found"),
    "/info/lookup/countries/NO/organizations/1": (404, "not_found"),
    "/info/lookup/countries/FR/organizations/1": (400, "1100"),
    "/info/lookup/organizations/search?name=example": (200, None),
    "/info/lookup/organizations/search": (400, "1204"),
    "/info/lookup/countries/NO/persons?identityNumber=31019000000": (200, None),
    "/info/lookup/countries/NO/persons?identityNumber=1": (404, "not_found"),
    "/info/lookup/countries/NO/persons": (400, "1204"),
    "/info/lookup/countries/XX/persons": (400, "1200"),
}


@pytest.mark.parametrize("path", LOOKUPS)
async def test_look_ups(api: Api, path: str) -> None:
    """Known entities are found, unknown ones are 404, faults have Signicat's codes."""
    status, body = await api.call("GET", path)
    assert (status, body.get("code")) == LOOKUPS[path]


async def test_a_search_finds_and_misses(api: Api) -> None:
    """A search by name gives a page of hits, an empty one where there is none."""
    for name, numbers in {"zzz": [], "example as": ["999000111"]}.items():
        _, body = await api.call("GET", f"/info/lookup/organizations/search?name={name}")
        assert [hit["organizationNumber"] for hit in body["data"]] == numbers


async def test_streams(api: Api) -> None:
    """Echo, bytes, lines and events come as they were asked for."""
    assert await api.call("POST", "/mock/echo", data=b"abc") == (200, b"abc")

    async def pieces() -> AsyncIterator[bytes]:
        yield b"ab"
        yield b"c"

    assert await api.call("POST", "/mock/echo", data=pieces()) == (200, b"abc")
    assert await api.call("GET", "/mock/bytes?size=70000") == (200, b"x" * 70_000)
    lines = (await api.call("GET", "/mock/stream?count=2&interval_ms=1"))[1]
    assert lines == b"MOCK line 0\nMOCK line 1\n"
    events = (await api.call("GET", "/mock/events?count=2&interval_ms=1"))[1]
    assert events.count(b"data: MOCK event") == 2
    assert len((await api.call("GET", "/mock/bytes?size=x"))[1]) == 1024


async def test_created_status_and_public_url(api: Api) -> None:
    """What Signicat does not publish can be set; so can the address that URLs show."""
    api.mock.created_status, api.mock.public_url = 201, "http://mock.test/"
    status, session = await api.call("POST", "/auth/rest/sessions", json=SESSION)
    assert status == 201
    assert session["authenticationUrl"].startswith("http://mock.test/mock-login/")
