"""The mock's sessions: how they are created, what moves them, and what they show (K)."""

from typing import Any

import pytest

from tests.mock.bench import JSON, Api

PATH = "/auth/rest/sessions"
CALLBACKS = {
    "success": "https://shop.test/ok?x=1",
    "abort": "https://shop.test/no",
    "error": "https://shop.test/err",
}
REDIRECT = {
    "flow": "redirect",
    "requestedAttributes": ["nin", "name"],
    "callbackUrls": CALLBACKS,
}
HEADLESS = {"flow": "HEADLESS", "allowedProviders": ["sbid"]}


class Client:
    """An application that uses one session, and its end user's browser."""

    def __init__(self, api: Api, created: dict[str, Any]) -> None:
        self._api = api
        self.created = created
        self._path = f"{PATH}/{created['id']}"
        self._page = created["authenticationUrl"].removeprefix(api.running.url)

    async def look(self) -> dict[str, Any]:
        """Return the session as it is now."""
        status, session = await self._api.call("GET", self._path)
        assert (status, session["id"]) == (200, self.created["id"])
        return dict(session)

    async def status(self) -> str:
        """Return its status."""
        return str((await self.look())["status"])

    async def cancel(self, body: bytes = b"null") -> tuple[int, Any]:
        """Cancel it, as the official SDK does."""
        return await self._api.call("POST", f"{self._path}/cancel", data=body, headers=JSON)

    async def open_page(self) -> str:
        """Return the page that the end user sees."""
        status, _, page = await self._api.ask("GET", self._page)
        assert status == 200
        return bytes(page).decode()

    async def press(self, button: str) -> tuple[int, str]:
        """Press a button of the page; return the status, and where it leads or what it shows."""
        status, headers, page = await self._api.ask("POST", f"{self._page}/{button}")
        return status, headers.get("Location") or str(page)


async def new_session(api: Api, wanted: dict[str, Any]) -> Client:
    """Create a session."""
    status, session = await api.call("POST", PATH, json=wanted)
    assert (status, session["status"]) == (200, "CREATED")
    return Client(api, session)


async def later(api: Api, seconds: float) -> None:
    """Let time pass; tokens do not live as long as sessions."""
    api.now += seconds
    api.headers = await api.token()


async def test_a_session_goes_its_way(api: Api) -> None:
    """CREATED, then WAITING_FOR_USER, then what the end user chose; URLs lead to the mock."""
    client = await new_session(api, REDIRECT)
    assert client.created["accountId"] == api.mock.account_id
    assert client.created["requestedAttributes"] == ["nin", "name"]
    assert await client.status() == "CREATED"
    assert "MOCK" in await client.open_page()
    assert await client.status() == "WAITING_FOR_USER"
    assert await client.press("success") == (302, client.created["callbackUrls"]["success"])
    done = await client.look()
    assert (done["status"], done["provider"], done["loa"]) == ("SUCCESS", "nbid", "substantial")
    assert done["subject"]["nin"]["issuingCountry"] == "NO"
    assert (await client.press("other"))[0] == 404


@pytest.mark.parametrize("flow", ["redirect", "headless", "embedded"])
@pytest.mark.parametrize("word", ["success", "abort", "error", "expired", "cancelled"])
async def test_a_magic_reference_needs_no_browser(api: Api, flow: str, word: str) -> None:
    """Each end that a session can have has a reference, which ends it at the second look."""
    magic = {"flow": flow, "externalReference": f"mock-{word}", "requestedLoa": "HIGH"}
    client = await new_session(api, REDIRECT | magic)
    outcome = word.upper()
    assert [await client.status() for _ in range(3)] == ["CREATED", outcome, outcome]
    done = await client.look()
    assert done.get("loa") == ("high" if word == "success" else None)
    assert ("error" in done) == (word == "error")


async def test_a_headless_session_moves_by_itself(api: Api) -> None:
    """The application shows `idpData` and asks again; the end user needs no page of the mock."""
    client = await new_session(api, HEADLESS | {"requestedAttributes": ["firstName", "lastName"]})
    assert "callbackUrls" not in client.created
    seen = [client.created]
    for _ in range(3):
        api.now += 1
        seen.append(await client.look())
    statuses = ["CREATED", "WAITING_FOR_USER", "WAITING_FOR_USER", "SUCCESS"]
    assert [session["status"] for session in seen] == statuses
    told = [session["idpData"]["sbidStatus"] for session in seen]
    assert told == ["outstandingTransaction", "userSign", "userSign", "complete"]
    assert len({session["idpData"]["qrData"] for session in seen}) == 4
    assert len({session["idpData"]["autoStartToken"] for session in seen}) == 1
    assert set(seen[-1]["subject"]) == {"id", "idpId", "firstName", "lastName"}


@pytest.mark.parametrize("word", ["success", "abort", "error", "expired", "cancelled"])
async def test_a_headless_session_can_be_told_its_end(api: Api, word: str) -> None:
    """Whoever looks for the first time when it is over sees how it was to end."""
    client = await new_session(api, HEADLESS | {"externalReference": f"mock-{word}"})
    api.now += 60
    assert (await client.status()).lower() == word
    assert (await client.cancel())[0] == 400


async def test_other_providers_tell_no_more_than_is_known(api: Api) -> None:
    """What they give in a headless session is not known; it is an object all the same."""
    client = await new_session(api, {"flow": "headless", "allowedProviders": ["mitid"]})
    assert client.created["idpData"] == {}


LIFETIMES = [(None, 1200), (0, 1200), (1, 300), (60, 300), (300, 300), (301, 301), (3600, 3600)]


@pytest.mark.parametrize("flow", ["redirect", "embedded"])
@pytest.mark.parametrize(("wanted", "seconds"), LIFETIMES)
async def test_a_session_expires(api: Api, flow: str, wanted: int | None, seconds: int) -> None:
    """After its lifetime, which is 1200 s if not given and never under 300 s."""
    client = await new_session(api, REDIRECT | {"flow": flow, "sessionLifetime": wanted})
    assert client.created["sessionLifetime"] == seconds
    await later(api, seconds - 1)
    assert await client.status() == "CREATED"
    await client.open_page()
    await later(api, 1)
    assert await client.press("success") == (302, client.created["callbackUrls"]["error"])
    assert await client.status() == "EXPIRED"
    assert (await client.cancel())[0] == 400


async def test_what_has_ended_does_not_expire(api: Api) -> None:
    """The application may be late."""
    client = await new_session(api, REDIRECT)
    await client.press("success")
    await later(api, 100_000)
    assert await client.status() == "SUCCESS"


async def test_an_embedded_session_says_when_it_ends(api: Api) -> None:
    """In UTC, in the form that Signicat's API description shows; other flows do not say it."""
    client = await new_session(api, {"flow": "EMBEDDED", "sessionLifetime": 600})
    assert client.created["expiresAt"] == "2027-01-15T08:10:00"
    assert "expiresAt" not in (await new_session(api, REDIRECT)).created


ENDS = {"success": "success", "abort": "abort", "error": "error", "cancel": "error"}


@pytest.mark.parametrize("end", ENDS)
async def test_no_button_changes_what_has_ended(api: Api, end: str) -> None:
    """The page has none left; one of an older page leads to where the session stands."""
    client = await new_session(api, REDIRECT)
    assert "<button>" in await client.open_page()
    assert (await (client.cancel() if end == "cancel" else client.press(end)))[0] in {200, 302}
    ended = await client.look()
    for button in ("success", "abort", "error"):
        assert await client.press(button) == (302, ended["callbackUrls"][ENDS[end]])
    assert await client.look() == ended
    page = await client.open_page()
    assert "<button>" not in page
    assert ended["status"] in page
    assert (await client.cancel())[0] == 400


@pytest.mark.parametrize("body", [b"null", b"", b"{}"])
async def test_a_session_can_be_cancelled(api: Api, body: bytes) -> None:
    """Whatever the body; without URLs the browser then gets a page."""
    client = await new_session(api, HEADLESS)
    status, session = await client.cancel(body)
    assert (status, session["status"]) == (200, "CANCELLED")
    assert session["idpData"]["sbidStatus"] == "failed"
    status, page = await client.press("abort")
    assert (status, "CANCELLED" in page) == (200, True)
    assert (await api.call("GET", f"{PATH}/x"))[0] == 404


CALLBACK_URLS = {
    "https://shop.test": "https://shop.test?sessionId={}",
    "https://shop.test/ok": "https://shop.test/ok?sessionId={}",
    "https://shop.test/ok?": "https://shop.test/ok?sessionId={}",
    "https://shop.test/ok?a=b": "https://shop.test/ok?a=b&sessionId={}",
    "https://shop.test/ok?a=%2F%zz&": "https://shop.test/ok?a=%2F%zz&sessionId={}",
    "https://shop.test#success": "https://shop.test?sessionId={}#success",
    "https://shop.test/?a=b#c?d": "https://shop.test/?a=b&sessionId={}#c?d",
    "HTTPS://Shop.Test:443/": "HTTPS://Shop.Test:443/?sessionId={}",
    "http://[::1]:8443/ok": "http://[::1]:8443/ok?sessionId={}",
    "https://kari:s3cr3t@shop.test/": "https://kari:s3cr3t@shop.test/?sessionId={}",
    "app.shop:/done": "app.shop:/done?sessionId={}",
    "shop://done#x": "shop://done?sessionId={}#x",
}


@pytest.mark.parametrize("url", CALLBACK_URLS)
async def test_callback_urls_stay_as_they_are(api: Api, url: str) -> None:
    """But for the `sessionId` in their query; the browser is led to that very text."""
    client = await new_session(api, REDIRECT | {"callbackUrls": dict.fromkeys(CALLBACKS, url)})
    expected = CALLBACK_URLS[url].format(client.created["id"])
    assert client.created["callbackUrls"] == dict.fromkeys(CALLBACKS, expected)
    assert await client.press("abort") == (302, expected)


async def test_the_browser_takes_the_reference_along(api: Api) -> None:
    """The application's own, into the query of the URL that it is led to."""
    client = await new_session(api, REDIRECT | {"externalReference": "a&b 1"})
    url = client.created["callbackUrls"]["error"]
    assert await client.press("error") == (302, f"{url}&externalReference=a%26b%201")


NATIONAL_ID = {
    "nbid": "NO",
    "sbid": "SE",
    "mitid": "DK",
    "ftn": "FI",
    "digid": "NL",
    "idin": None,
    "some-new-one": None,
}


@pytest.mark.parametrize("provider", NATIONAL_ID)
async def test_the_subject_fits_the_provider(api: Api, provider: str) -> None:
    """A provider tells what it knows, and of that what was asked for."""
    attributes = ["nin", "lastName", "somethingElse"]
    wanted = {"allowedProviders": [provider], "requestedAttributes": attributes}
    client = await new_session(api, REDIRECT | wanted)
    await client.press("success")
    done = await client.look()
    assert done["provider"] == provider
    country = done["subject"].get("nin", {}).get("issuingCountry")
    assert country == NATIONAL_ID[provider]
    assert set(done["subject"]) <= {"id", "idpId", "nin", "lastName"}


async def test_nobody_is_told_what_was_not_asked_for(api: Api) -> None:
    """Two ids are always there; they are the same at each login."""
    subjects = []
    for _ in range(2):
        client = await new_session(api, REDIRECT | {"requestedAttributes": None})
        await client.press("success")
        subjects.append((await client.look())["subject"])
    assert set(subjects[0]) == {"id", "idpId"}
    assert subjects[0] == subjects[1]


async def test_attributes_come_back_in_their_order(api: Api) -> None:
    """Each of them once, in the session and in its subject."""
    attributes = ["nin", "lastName", "nin", "firstName", "lastName"]
    client = await new_session(api, REDIRECT | {"requestedAttributes": attributes})
    assert client.created["requestedAttributes"] == ["nin", "lastName", "firstName"]
    await client.press("success?provider=nbid")
    assert list((await client.look())["subject"])[2:] == ["nin", "lastName", "firstName"]


async def test_the_end_user_chooses_a_provider(api: Api) -> None:
    """The page has a button for each that is allowed, or for all; and shows what is wanted."""
    wanted = {
        "allowedProviders": ["sbid", "a<b"],
        "externalReference": "order-17",
        "language": "SV",
    }
    client = await new_session(api, REDIRECT | wanted)
    page = await client.open_page()
    for text in ("sbid, a&lt;b", "nin, name", "order-17", "sv", "success?provider=a%3Cb"):
        assert text in page
    assert "success?provider=nbid" not in page
    assert (await client.press("success?provider=nbid"))[0] == 400
    assert (await client.press("success?provider=sbid"))[0] == 302
    assert (await client.look())["provider"] == "sbid"
    none_named: tuple[list[str] | None, ...] = (None, [])
    for providers in none_named:
        every = await new_session(api, REDIRECT | {"allowedProviders": providers})
        assert "success?provider=mitid" in await every.open_page()
        assert (await every.press("success?provider=mitid"))[0] == 302
        assert (await every.look())["provider"] == "mitid"


async def test_what_was_sent_comes_back(api: Api) -> None:
    """What was null or left out does not; a language that is none is English."""
    sent = {
        "tags": ["a" * 100, ""],
        "themeId": "theme",
        "externalReference": "order-17",
        "usageReference": None,
        "requestDomain": "login.shop.test",
        "language": "da",
        "prefilledInput": {"userName": "kari", "username": None, "mobile": "+4700000000"},
        "additionalParameters": {"sbid_flow": "QR", "sbid_end_user_ip": None},
        "encryptionPublicKey": {"kty": "RSA", "alg": "RSAOAEP", "e": "AQAB", "n": "AA"},
    }
    status, headers, created = await api.exchange("POST", PATH, json=REDIRECT | sent)
    assert (status, "X-Mock-Unknown" in headers) == (200, False)
    back = {name: created.get(name) for name in ("tags", "themeId", "requestDomain", "language")}
    assert back == {name: sent[name] for name in back}
    assert "usageReference" not in created
    assert "prefilledInput" not in created
    assert None not in created.values()
    _, other = await api.call("POST", PATH, json=REDIRECT | {"language": "klingon"})
    assert other["language"] == "en"


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({}, ["flow"]),
        ({"flow": None}, ["flow"]),
        ({"flow": "popup"}, ["flow"]),
        (
            {"flow": "redirect"},
            ["callbackUrls.success", "callbackUrls.abort", "callbackUrls.error"],
        ),
        ({"flow": "redirect", "callbackUrls": CALLBACKS | {"abort": None}}, ["callbackUrls.abort"]),
        ({"flow": "headless", "callbackUrls": 1}, ["callbackUrls"]),
        (REDIRECT | {"sessionLifetime": -1}, ["sessionLifetime"]),
        (REDIRECT | {"tags": ["a" * 101]}, ["tags[0]"]),
        (REDIRECT | {"allowedProviders": ["nbid", "a" * 31]}, ["allowedProviders[1]"]),
        (REDIRECT | {"requestedLoa": "3"}, ["requestedLoa"]),
        (REDIRECT | {"requestedAttributes": [None]}, ["requestedAttributes[0]"]),
    ],
)
async def test_a_bad_session_is_refused(api: Api, wanted: dict[str, Any], names: list[str]) -> None:
    """What Signicat could not use is 400, with the members that are wrong."""
    status, error = await api.call("POST", PATH, json=wanted)
    assert (status, error["code"]) == (400, "bad_request")
    assert [parameter["name"] for parameter in error["invalidParams"]] == names


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"x"])
async def test_what_is_no_object_is_refused(api: Api, body: bytes) -> None:
    """Whatever was to be a session."""
    assert (await api.call("POST", PATH, data=body, headers=JSON))[0] == 400
