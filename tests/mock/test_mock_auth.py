"""The mock's authorization server, and the rules that all its APIs share (K)."""

import base64
import json
from typing import Any, Literal

import aiohttp
import pytest

from proxy.mock import Fault
from tests.mock.bench import BASIC, CLIENT, FORM, POST, SECRET, TOKEN_PATH, Bench
from tests.support.messages import request
from tests.support.peers import Channel


@pytest.mark.parametrize(
    "way", [{"data": POST}, {"data": FORM, "headers": {"Authorization": BASIC}}]
)
async def test_both_ways_of_client_authentication(bench: Bench, way: dict[str, Any]) -> None:
    """The form, and Basic with both halves form-encoded (RFC 6749 §2.3.1), give a token (K)."""
    status, headers, body = await bench.ask("POST", TOKEN_PATH, **way)
    assert status == 200
    assert headers["Cache-Control"] == "no-store, no-cache, max-age=0"
    assert list(body) == ["access_token", "expires_in", "token_type", "scope"]
    assert (body["expires_in"], body["token_type"]) == (600, "Bearer")
    claims = body["access_token"].split(".")[1]
    decoded = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    assert decoded["client_id"] == CLIENT
    assert decoded["exp"] - decoded["iat"] == 600
    assert decoded["scope"] == ["signicat-api"]
    assert 700 < len(body["access_token"]) < 1100


BAD = {
    "wrong secret": (POST | {"client_secret": "x"}, {}, "invalid_client"),
    "unknown client": (POST | {"client_id": "x"}, {}, "invalid_client"),
    "raw basic": (
        FORM,
        {"Authorization": aiohttp.encode_basic_auth(CLIENT, SECRET)},
        "invalid_client",
    ),
    "broken basic": (FORM, {"Authorization": "Basic %%%"}, "invalid_client"),
    "no credentials": (FORM, {}, "invalid_client"),
    "both ways": (POST, {"Authorization": BASIC}, "invalid_client"),
    "empty": ({}, {}, "invalid_request"),
    "other grant": (POST | {"grant_type": "password"}, {}, "unsupported_grant_type"),
    "other scope": (POST | {"scope": "x"}, {}, "invalid_scope"),
}


@pytest.mark.parametrize(("form", "headers", "code"), BAD.values(), ids=BAD.keys())
async def test_errors_of_the_token_endpoint(
    bench: Bench, form: dict[str, str], headers: dict[str, str], code: str
) -> None:
    """Every refusal is 400, even a wrong secret, with the members in the recorded order (K)."""
    status, got, body = await bench.ask("POST", TOKEN_PATH, data=form, headers=headers)
    assert status == 400
    assert list(body) == ["error", "error_uri", "error_description"]
    assert body["error"] == code
    assert len(got["x-trace-id"]) == 32
    assert bench.mock.token_requests == {code: 1}


async def test_a_form_that_is_not_text(bench: Bench) -> None:
    """Bytes that are no form are an invalid request."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    status, _, body = await bench.ask("POST", TOKEN_PATH, data=b"\xff", headers=headers)
    assert (status, body["error"]) == (400, "invalid_request")


async def test_discovery_and_routing(bench: Bench) -> None:
    """Discovery names the token endpoint; wrong methods and paths answer as Signicat's do."""
    _, _, document = await bench.ask("GET", "/auth/open/.well-known/openid-configuration")
    assert document["token_endpoint"] == bench.running.url + TOKEN_PATH
    assert (await bench.ask("GET", TOKEN_PATH))[0::2] == (405, b"")
    assert (await bench.ask("POST", TOKEN_PATH + "/", data=POST))[0::2] == (404, b"")
    status, headers, page = await bench.ask("GET", "/nowhere")
    assert (status, headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert b"MOCK" in page
    status, headers, body = await bench.ask("GET", "/sign/nowhere", headers=await bench.token())
    assert (status, body["code"]) == (404, "not_found")


@pytest.mark.parametrize("path", ["/", "/mock/bytes?size=3", "/mock/stream?count=1", "/nowhere"])
async def test_every_answer_says_mock(bench: Bench, path: str) -> None:
    """Nobody takes it for Signicat: each answer has X-Mock, a trace id, the usual headers (K)."""
    _, headers, _ = await bench.ask("GET", path, headers=await bench.token())
    assert headers["X-Mock"] == "signicat-proxy mock"
    assert len(headers["x-trace-id"]) == 32
    assert {"Strict-Transport-Security", "Alt-Svc", "Via"} <= set(headers)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer x"},
        {"Authorization": "Basic eDp5"},
        {"Authorization": "Bearer"},
    ],
)
async def test_a_call_needs_a_token_of_this_mock(bench: Bench, headers: dict[str, str]) -> None:
    """Without one: 401 invalid_token."""
    status, _, body = await bench.ask("GET", "/mock/bytes", headers=headers)
    assert (status, body["code"]) == (401, "invalid_token")


async def test_a_token_dies_on_the_mocks_own_clock(bench: Bench) -> None:
    """A token works to its last moment, and no longer."""
    headers = await bench.token()
    bench.now = 599.9
    assert (await bench.ask("GET", "/mock/bytes", headers=headers))[0] == 200
    bench.now = 600.0
    assert (await bench.ask("GET", "/mock/bytes", headers=headers))[0] == 401
    await bench.token()
    assert len(bench.mock._tokens) == 1  # noqa: SLF001 (expired ones are forgotten)


async def test_a_call_needs_the_permission(bench: Bench) -> None:
    """A client without the product's permission gets 403, which no fresh token cures."""
    bench.mock.clients[0].permissions = frozenset({"Signature API"})
    headers = await bench.token()
    assert (await bench.ask("GET", "/sign/signing-sessions", headers=headers))[0] == 200
    status, _, body = await bench.ask("GET", "/auth/rest/sessions/x", headers=headers)
    assert (status, body["code"]) == (403, "forbidden")


async def test_rules_of_framing(bench: Bench) -> None:
    """POST and PUT need a length, GET must have no body, as Signicat asks (K)."""
    host, _, port = bench.running.url.removeprefix("http://").partition(":")
    bearer = f"Authorization: {(await bench.token())['Authorization']}"
    chunks = b"1\r\na\r\n0\r\n\r\n"
    asked = [
        (request("POST /mock/echo", bearer), 411),
        (request("PUT /mock/echo", bearer), 411),
        (request("POST /mock/echo", bearer, "Content-Length: 0"), 200),
        (request("POST /mock/echo", bearer, "Transfer-Encoding: chunked", body=chunks), 200),
        (request("GET /mock/bytes", bearer, "Content-Length: 1", body=b"a"), 400),
        (request("GET /mock/bytes", bearer), 200),
    ]
    for message, status in asked:
        channel = await Channel.connect(host, int(port))
        assert (await channel.ask(message)).status == status, message
        channel.close()


async def test_secrets_rotate_and_tokens_are_revoked(bench: Bench) -> None:
    """Several secrets may be valid at once; all tokens can die at once."""
    headers = await bench.token()
    path = "/__mock__/clients/dev-a%20b-1/secrets"
    assert (await bench.ask("PUT", path, json={"secrets": ["new", SECRET]}))[0] == 200
    assert (await bench.ask("POST", TOKEN_PATH, data=POST))[0] == 200
    new = POST | {"client_secret": "new"}
    assert (await bench.ask("POST", TOKEN_PATH, data=new))[0] == 200
    await bench.ask("PUT", path, json={"secrets": ["new"]})
    assert (await bench.ask("POST", TOKEN_PATH, data=POST))[0] == 400
    assert (await bench.ask("POST", "/__mock__/revoke"))[2] == {"revoked": 3}
    assert (await bench.ask("GET", "/mock/bytes", headers=headers))[0] == 401
    assert (await bench.ask("PUT", "/__mock__/clients/x/secrets", json={"secrets": []}))[0] == 404
    assert (await bench.ask("PUT", path, json={"secrets": [1]}))[0] == 400


async def test_the_lifetime_can_be_set(bench: Bench) -> None:
    """Tokens granted from then on live that long, to a fraction of a second."""
    assert (await bench.ask("PUT", "/__mock__/lifetime", json={"seconds": 1.5}))[0] == 200
    _, _, body = await bench.ask("POST", TOKEN_PATH, data=POST)
    assert body["expires_in"] == 1.5
    for bad in ("x", True, -1, 3601, None):
        assert (await bench.ask("PUT", "/__mock__/lifetime", json={"seconds": bad}))[0] == 400


async def test_a_look_inside_tells_no_token(bench: Bench) -> None:
    """Requests are remembered with a fingerprint in place of credentials; answers are counted."""
    headers = await bench.token()
    await bench.ask("GET", "/mock/bytes?a=b", headers=headers)
    _, _, body = await bench.ask("GET", "/__mock__/requests")
    assert body["requests"][-1]["target"] == "/mock/bytes?a=b"
    assert headers["Authorization"] not in json.dumps(body)
    assert "sha256:" in json.dumps(body)
    _, _, stats = await bench.ask("GET", "/__mock__/stats")
    assert stats["token_requests"] == {"ok": 1}
    assert stats["statuses"]["200"] == 3


FAULTS = {
    "status": ({"kind": "status", "status": 429, "retry_after": 7}, 429),
    "unauthorized": ({"kind": "unauthorized"}, 401),
    "empty": ({"kind": "empty"}, 200),
    "html": ({"kind": "html"}, 200),
    "latency": ({"kind": "latency", "milliseconds": 20}, 200),
}


@pytest.mark.parametrize(("fault", "status"), FAULTS.values(), ids=FAULTS.keys())
async def test_a_fault_happens_as_often_as_told(
    bench: Bench, fault: dict[str, Any], status: int
) -> None:
    """`times` counts it down; afterwards everything works (K)."""
    headers = await bench.token()
    await bench.ask("PUT", "/__mock__/faults", json={**fault, "target": "api", "times": 1})
    got = await bench.ask("GET", "/mock/bytes?size=4", headers=headers)
    assert got[0] == status
    assert (got[2] == b"xxxx") is (fault["kind"] == "latency")
    if fault["kind"] == "status":
        assert got[1]["Retry-After"] == "7"
    assert (await bench.ask("GET", "/mock/bytes?size=4", headers=headers))[2] == b"xxxx"
    assert (await bench.ask("GET", "/__mock__/faults"))[2] == {"faults": []}


@pytest.mark.parametrize("kind", ["reset", "truncate"])
async def test_a_fault_can_break_the_connection(
    bench: Bench, kind: Literal["reset", "truncate"]
) -> None:
    """A reset comes before any answer, a truncation inside its body."""
    bench.mock.faults.put([Fault(kind, target="token", times=1)])
    with pytest.raises(aiohttp.ClientError):
        await bench.ask("POST", TOKEN_PATH, data=POST)
    assert (await bench.ask("POST", TOKEN_PATH, data=POST))[0] == 200


async def test_a_stream_can_be_truncated(bench: Bench) -> None:
    """The helpers that stream break off as well."""
    headers = await bench.token()
    bench.mock.faults.put([Fault("truncate", target="api", times=1)])
    with pytest.raises(aiohttp.ClientError):
        await bench.ask("GET", "/mock/bytes?size=9", headers=headers)
    assert (await bench.ask("GET", "/mock/bytes?size=9", headers=headers))[2] == b"x" * 9


async def test_a_fault_hits_its_target_alone(bench: Bench) -> None:
    """A fault of the token endpoint leaves the APIs alone; clearing ends it."""
    headers = await bench.token()
    wanted = {"faults": [{"kind": "status", "target": "token"}]}
    assert (await bench.ask("PUT", "/__mock__/faults", json=wanted))[0] == 200
    assert (await bench.ask("GET", "/mock/bytes", headers=headers))[0] == 200
    assert (await bench.ask("POST", TOKEN_PATH, data=POST))[0] == 503
    assert (await bench.ask("DELETE", "/__mock__/faults"))[0] == 204
    assert (await bench.ask("POST", TOKEN_PATH, data=POST))[0] == 200


BAD_FAULTS = [
    ("x", "must be a list"),
    ([1], "a fault must be an object"),
    ({"kind": "x"}, "'kind'"),
    ({}, "'kind'"),
    ({"kind": "html", "target": "x"}, "'target'"),
    ({"kind": "html", "probability": 2}, "'probability'"),
    ({"kind": "html", "times": 0}, "'times'"),
    ({"kind": "status", "status": 200}, "'status'"),
    ({"kind": "latency", "milliseconds": True}, "'milliseconds'"),
    ({"kind": "html", "oops": 1}, "'oops'"),
]


@pytest.mark.parametrize(("fault", "member"), BAD_FAULTS)
async def test_a_fault_that_makes_no_sense_is_refused(
    bench: Bench, fault: object, member: str
) -> None:
    """The answer names the member, and the faults in force stay."""
    bench.mock.faults.put([Fault("html", target="token")])
    status, _, body = await bench.ask("PUT", "/__mock__/faults", json=fault)
    assert status == 400
    assert member in body["detail"]
    assert len(bench.mock.faults.as_json()) == 1


async def test_a_probability_throws_dice(bench: Bench) -> None:
    """A fault with a probability hits some requests and spares others."""
    bench.mock.faults.put([Fault("status", probability=0.5)])
    statuses = {(await bench.ask("GET", "/"))[0] for _ in range(60)}
    assert statuses == {200, 503}


@pytest.mark.parametrize("value", ["Basic \u00f8", "Basic =", "Basic ////", "Basic", "Basic  "])
async def test_basic_that_is_no_base64_is_a_wrong_secret(bench: Bench, value: str) -> None:
    """And no mistake of the mock's (RFC 6749 §5.2)."""
    status, _, body = await bench.ask(
        "POST", TOKEN_PATH, data=FORM, headers={"Authorization": value}
    )
    assert (status, body["error"]) == (400, "invalid_client")


async def test_what_cannot_be_read_is_not_logged(
    bench: Bench, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """A malformed header may hold credentials: they are in no line."""
    caller = await Channel.connect("127.0.0.1", bench.running.port)
    await caller.send(b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic TUFSSw==\x01\r\n\r\n")
    assert b" 400 " in await caller.read_whatever()
    caller.close()
    told = (caplog.text, *bench.lines, *capfd.readouterr())
    assert not [text for text in told if "TUFSSw" in text]
