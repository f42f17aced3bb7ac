"""The official SDK's sessions, byte for byte, and what its classes read (K)."""

import json

import pytest

from tests.mock.bench import Api
from tests.mock.sdk_reading import (
    ERROR,
    each,
    flag,
    map_of,
    may_have,
    members,
    misread,
    moment,
    one_of,
    or_null,
    text,
    texts,
    whole,
)
from tests.mock.sdk_wire import sdk_asks, sdk_reads

PATH = "/auth/rest/sessions"
URLS = (
    '"callbackUrls":{"success":"https://mytest.com#success","abort":"https://mytest.com#abort",'
    '"error":"https://mytest.com#error"}'
)
REDIRECT = (
    '{"prefilledInput":null,"additionalParameters":null,' + URLS + ',"encryptionPublicKey":null,'
    '"requestedLoa":null,"tags":["0f1e2d3c4b5a69788796a5b4c3d2e1f0"],'
    '"allowedProviders":["nbid","sbid"],"language":"en","flow":"REDIRECT","themeId":null,'
    '"requestedAttributes":["firstName","lastName","nin"],'
    '"externalReference":"9f8e7d6c5b4a39281706f5e4d3c2b1a0","usageReference":null,'
    '"sessionLifetime":60,"requestDomain":null}'
)
HEADLESS = (
    '{"prefilledInput":null,"additionalParameters":{"sbid_flow":"QR",'
    '"sbid_end_user_ip":"192.168.1.1"},' + URLS + ',"encryptionPublicKey":null,'
    '"requestedLoa":null,"tags":null,"allowedProviders":["sbid"],"language":"en",'
    '"flow":"HEADLESS","themeId":null,"requestedAttributes":["firstName","lastName"],'
    '"externalReference":"9f8e7d6c5b4a39281706f5e4d3c2b1a0",'
    '"usageReference":"1a2b3c4d5e6f708192a3b4c5d6e7f809","sessionLifetime":60,'
    '"requestDomain":null}'
)
NOTHING_SET = (
    '{"prefilledInput":{"nin":null,"mobile":"\\u002B4799716935","dateOfBirth":null,'
    '"username":null,"email":"kari\\u0026ola@example.com"},"additionalParameters":null,'
    '"callbackUrls":null,"encryptionPublicKey":{"kty":"RSA","use":"enc","kid":"1",'
    '"alg":"RSAOAEP","e":"AQAB","n":"AA"},"requestedLoa":null,"tags":null,'
    '"allowedProviders":null,"language":null,"flow":"HEADLESS","themeId":null,'
    '"requestedAttributes":null,"externalReference":null,"usageReference":null,'
    '"sessionLifetime":0,"requestDomain":null}'
)
SESSION = may_have(
    {
        **texts("id", "accountId", "authenticationUrl", "statusUrl", "status", "statusDetail"),
        **texts("provider", "language", "themeId", "loa", "externalReference", "usageReference"),
        **texts("requestDomain"),
        "tags": each(text),
        "allowedProviders": each(text),
        "requestedAttributes": each(text),
        "subject": may_have(
            {
                **texts("id", "idpId", "name", "firstName", "middleName", "lastName", "email"),
                "dateOfBirth": or_null(moment),
                "nin": members(texts("value", "issuingCountry", "type")),
            }
        ),
        "callbackUrls": members(texts("success", "abort", "error")),
        "idpData": map_of(text),
        "environment": members(texts("ipAddress", "userAgent")),
        "error": members(texts("type", "title", "detail", "code")),
        "messageTransportProperties": members(
            {"messageLevelEncryption": text, "requireHsmSigning": flag}
        ),
        # Of the flow `embedded` it knows nothing, and fails.
        "flow": or_null(one_of("redirect", "headless")),
        "sessionLifetime": whole,
        "expiresAt": or_null(moment),
    }
)


async def test_a_session_of_the_sdk(api: Api) -> None:
    """Created, looked at, logged in on the page: as the SDK's own tests want it."""
    created = await sdk_reads(api, SESSION, "POST", PATH, REDIRECT)
    assert created["accountId"] == api.mock.account_id
    assert created["authenticationUrl"]
    assert created["tags"] == ["0f1e2d3c4b5a69788796a5b4c3d2e1f0"]
    assert created["sessionLifetime"] == 300
    path = f"{PATH}/{created['id']}"
    seen = await sdk_reads(api, SESSION, "GET", path)
    same = ("id", "accountId", "tags", "externalReference", "language")
    assert [seen[name] for name in same] == [created[name] for name in same]
    assert seen.get("usageReference") is None
    page = created["authenticationUrl"].removeprefix(api.running.url)
    _, headers, _ = await api.ask("POST", f"{page}/success")
    assert headers["Location"] == (
        f"https://mytest.com?sessionId={created['id']}"
        "&externalReference=9f8e7d6c5b4a39281706f5e4d3c2b1a0#success"
    )
    done = await sdk_reads(api, SESSION, "GET", path)
    assert done["status"] == "SUCCESS"
    assert set(done["subject"]) == {"id", "idpId", "firstName", "lastName", "nin"}


@pytest.mark.parametrize("body", [HEADLESS, NOTHING_SET], ids=["headless", "nothing set"])
async def test_a_headless_session_of_the_sdk(api: Api, body: str) -> None:
    """It is at once CANCELLED in the response to its cancelling, whose body is `null`."""
    created = await sdk_reads(api, SESSION, "POST", PATH, body)
    cancelled = await sdk_reads(api, SESSION, "POST", f"{PATH}/{created['id']}/cancel", "null")
    assert cancelled["status"] == "CANCELLED"
    assert cancelled["authenticationUrl"] != ""
    same = ("id", "accountId")
    assert [cancelled[name] for name in same] == [created[name] for name in same]


@pytest.mark.parametrize("provider", ["nbid", "sbid", "mitid", "ftn", "idin", "digid", "other"])
async def test_every_subject_can_be_read(api: Api, provider: str) -> None:
    """Whoever logged in, and whatever it is asked for; a session that failed, too."""
    wanted = json.loads(HEADLESS) | {"allowedProviders": [provider]}
    every = ["name", "firstName", "lastName", "dateOfBirth", "nin", "email"]
    for reference, status in (("mock-success", "SUCCESS"), ("mock-error", "ERROR")):
        wanted |= {"requestedAttributes": every, "externalReference": reference}
        created = await sdk_reads(api, SESSION, "POST", PATH, json.dumps(wanted))
        await sdk_reads(api, SESSION, "GET", f"{PATH}/{created['id']}")
        ended = await sdk_reads(api, SESSION, "GET", f"{PATH}/{created['id']}")
        assert ended["status"] == status


async def test_errors_can_be_read(api: Api) -> None:
    """All of their members have the types that the SDK's classes have."""
    for method, path, body in (("POST", PATH, b"{}"), ("GET", f"{PATH}/x", None)):
        response = await sdk_asks(api, method, path, body=body)
        assert response.status in {400, 404}
        content = json.loads(response.body)
        assert not misread(content, ERROR)
        assert content["title"]
