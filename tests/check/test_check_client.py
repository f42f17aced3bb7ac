"""`signicat-proxy check` and the API clients: secret, clock, token, scope, one authorised call."""

import contextlib
import datetime as dt
import email.utils
import json
import os
import re
import ssl
import time
from pathlib import Path
from urllib.parse import quote_plus

import pytest
import trustme

from proxy.check.call import call_path
from proxy.check.copied_values import oddities
from proxy.check.response import meaning_of
from proxy.oauth.response import HINTS, FailureOutcome, hint
from proxy.settings.loader import Settings
from tests.support.checking import check, settings_for
from tests.support.client_certificates import CertificateServer, ClientFiles, server_side
from tests.support.client_keys import AssertionServer, ec_key, jwk
from tests.support.messages import Message, reply
from tests.support.peers import ByteServer
from tests.support.ports import refusing_port
from tests.support.running_proxy import CLIENT_SECRET
from tests.support.token_server import TokenServer, number_of
from tests.support.waiting import eventually, task_group, within

pytestmark = pytest.mark.usefixtures("no_leaks")

TRACE = "x-trace-id: 0123abcd"
GRANTED = {"access_token": "token-1-of-the-test", "expires_in": 600, "token_type": "Bearer"}


def granted(*lines: str, **members: object) -> bytes:
    """Return the response that grants a token."""
    return reply("200 OK", *lines, body=json.dumps(GRANTED | members).encode())


def refused(status: str, **members: object) -> bytes:
    """Return a response that refuses one, with a text that must never be shown."""
    body = {"error_description": "MARK\x1b[2J\r\n", **members}
    return reply(status, TRACE, body=json.dumps(body).encode())


async def test_all_is_well(tokens: TokenServer) -> None:
    """A token is granted, and one GET goes to the upstream with it, as the proxy would send it."""
    async with ByteServer(reply("200 OK", TRACE)) as upstream:
        results = await check(
            settings_for(upstream=f"{upstream.url}/base", token_url=tokens.token_url)
        )
    assert results.failed == []
    assert results.one("token").detail == "granted for 600 s"
    assert results.one("scope").state == "ok"
    call = results.one("call")
    assert (call.state, call.target) == ("ok", "client default, GET /base/")
    assert call.detail == "200 (x-trace-id 0123abcd): reached, and the token was not refused"
    (request,) = upstream.requests
    assert (request.method, request.target, number_of(request)) == ("GET", "/base/", 1)
    assert request.head.values("Host") == [f"127.0.0.1:{upstream.port}"]
    assert request.head.names.count("Authorization") == 1


REFUSALS = {
    "wrong secret": (
        refused("400 Bad Request", error="invalid_client"),
        "invalid_client, x-trace-id 0123abcd",
        "SIGNICAT_PROXY_CLIENT_SECRET.",
    ),
    "scope not granted": (
        refused("400 Bad Request", error="invalid_scope"),
        "invalid_scope, x-trace-id 0123abcd",
        "SIGNICAT_PROXY_SCOPE",
    ),
    "another error": (
        refused("400 Bad Request", error="unsupported_grant_type"),
        "oauth_error, status 400, error unsupported_grant_type, x-trace-id 0123abcd",
        "SIGNICAT_PROXY_CLIENT_AUTH",
    ),
    "an error that is a trick": (
        refused("400 Bad Request", error="MARK\x1b[2J"),
        "http_4xx, status 400, x-trace-id 0123abcd",
        "SIGNICAT_PROXY_TOKEN_URL",
    ),
    "no token endpoint": (
        reply("404 Not Found", body=b"<html>MARK"),
        "http_4xx, status 404",
        "SIGNICAT_PROXY_TOKEN_URL",
    ),
    "failing": (
        reply("503 Oops", "x-trace-id: MARK\t[2J", body=b"MARK"),
        "http_5xx, status 503",
        "naming the x-trace-id",
    ),
    "a login page": (reply(body=b"<html>MARK"), "unusable_answer", "SIGNICAT_PROXY_TOKEN_URL"),
    "a redirect": (reply("302 Found", "Location: /MARK"), "redirect", "SIGNICAT_PROXY_TOKEN_URL"),
}


@pytest.mark.parametrize(("response", "detail", "fix"), REFUSALS.values(), ids=REFUSALS)
async def test_a_token_that_is_not_granted(
    tokens: TokenServer, response: bytes, detail: str, fix: str
) -> None:
    """`error` and `x-trace-id` are told where they are valid, the endpoint's free text never."""
    tokens.failure = response
    results = await check(settings_for(upstream=tokens.url, token_url=tokens.token_url))
    assert results.failed == ["token"]
    result = results.one("token")
    assert result.detail.startswith(detail)
    assert fix in (result.fix or "")
    assert (results.skipped["scope"], results.skipped["call"]) == ("token failed",) * 2
    assert "MARK" not in repr(results)


@pytest.mark.parametrize("outcome", HINTS)
def test_a_hint_asks_for_the_name_of_every_setting(outcome: FailureOutcome) -> None:
    """The log and `check` give the same advice, each with the names that its reader knows."""
    said = hint(outcome, lambda field: f"<{field}>")
    assert said is not None
    assert "SIGNICAT_PROXY" not in said
    named = re.findall("<([a-z_]+)>", said)
    assert all(f"SIGNICAT_PROXY_{field.upper()}" in HINTS[outcome] for field in named)
    assert set(named) <= set(Settings.model_fields)
    assert hint("http_5xx", str) is None


SCOPES = {
    "as asked": ("a b", "b a", "ok"),
    "more than asked": ("a", "a b", "ok"),
    "not said": ("a", None, "ok"),
    "nothing asked": ("", "a", "ok"),
    "less": ("a b", "a", "warning"),
    "none": ("a", "", "warning"),
}


@pytest.mark.parametrize(("asked", "given", "state"), SCOPES.values(), ids=SCOPES)
async def test_scope(tokens: TokenServer, asked: str, given: str | None, state: str) -> None:
    """Less than was asked for is a warning, as the proxy uses that token all the same (T8)."""
    tokens.failure = granted(**({} if given is None else {"scope": given}))
    settings = settings_for(upstream=tokens.url, token_url=tokens.token_url)
    settings = settings.model_copy(update={"scope": asked})
    results = await check(settings, with_call=False)
    result = results.one("scope")
    assert (result.state, results.failed) == (state, [])
    assert ("SIGNICAT_PROXY_SCOPE" in (result.fix or "")) is (state == "warning")


def date(seconds: float) -> str:
    """Return a `Date` header of now and so many seconds."""
    return "Date: " + email.utils.formatdate(time.time() + seconds, usegmt=True)


CLOCKS = {
    "right": (0.0, "ok", "agrees"),
    "the server is ahead": (300.0, "warning", "behind the server"),
    "the server is behind": (-300.0, "warning", "ahead of the server"),
    "no zone": ("Date: Thu, 01 Jan 1970 00:00:00", "warning", "ahead of the server"),
    "no date": ("X: y", "skipped", "no valid Date"),
    "no number": ("Date: yesterday", "skipped", "no valid Date"),
    "no such day": ("Date: Thu, 99 Jan 1970 99:00:00 GMT", "skipped", "no valid Date"),
}


@pytest.mark.parametrize(("line", "state", "detail"), CLOCKS.values(), ids=CLOCKS)
async def test_the_clock(tokens: TokenServer, line: str | float, state: str, detail: str) -> None:
    """The `Date` of the token endpoint's response is compared with this machine's clock."""
    tokens.failure = granted(line if isinstance(line, str) else date(line))
    results = await check(
        settings_for(upstream=tokens.url, token_url=tokens.token_url), with_call=False
    )
    result = results.one("clock")
    assert (result.state, detail in result.detail) == (state, True), result
    assert results.failed == []


STATUSES = {
    200: ("ok", "not refused"),
    204: ("ok", "not refused"),
    302: ("warning", "redirected"),
    400: ("ok", "only this request"),
    401: ("failed", "refuses the token"),
    403: ("warning", "may not use this path"),
    404: ("ok", "nothing at this very path"),
    429: ("warning", "too many"),
    503: ("warning", "failing"),
}


@pytest.mark.parametrize("status", STATUSES)
async def test_what_the_call_means(tokens: TokenServer, status: int) -> None:
    """Only 401 is a refused token; what else comes has reached the upstream and says so."""
    response = reply(f"{status} X", body=b"" if status == 204 else b"MARK")
    async with ByteServer(response) as upstream:
        results = await check(settings_for(upstream=upstream.url, token_url=tokens.token_url))
    state, detail = STATUSES[status]
    call = results.one("call")
    assert (call.state, detail in call.detail) == (state, True), call
    assert call.detail.startswith(f"{status}: ")
    assert results.failed == (["call"] if state == "failed" else [])
    assert "MARK" not in repr(results)


def test_a_host_that_has_no_api() -> None:
    """The hosts of sandbox accounts serve log-ins, not the APIs: a frequent mistake (404)."""
    meaning = meaning_of(404, "acme.sandbox.signicat.com")
    assert (meaning.state, meaning.fix) == (
        "warning",
        "Set SIGNICAT_PROXY_UPSTREAM_URL to https://api.signicat.com.",
    )
    assert meaning_of(404, "api.signicat.com").state == "ok"


async def hang_up(_: Message) -> None:
    """Close instead of responding."""


async def wait(_: Message) -> bytes:
    """Send nothing."""
    return b""


BROKEN = {
    "no HTTP": (b"220 mail ready\r\n\r\n", "not HTTP with one reading", "UPSTREAM_URL"),
    "hangs up": (hang_up, "closed without a response", "UPSTREAM_URL"),
    "cut": (
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nA",
        "closed within a response",
        "UPSTREAM_URL",
    ),
    "silent": (wait, "no response within 0.3 s", "READ_TIMEOUT_SECONDS"),
}


@pytest.mark.parametrize(("response", "detail", "fix"), BROKEN.values(), ids=BROKEN)
async def test_a_call_without_a_response(
    tokens: TokenServer, response: bytes, detail: str, fix: str
) -> None:
    """What is no response fails, in bounded time."""
    patience = 0.3 if "0.3 s" in detail else 60
    async with ByteServer(response) as upstream:
        results = await check(
            settings_for(
                upstream=upstream.url, token_url=tokens.token_url, read_timeout_seconds=patience
            )
        )
    assert results.failed == ["call"]
    call = results.one("call")
    assert detail in call.detail
    assert f"SIGNICAT_PROXY_{fix}" in (call.fix or "")


async def test_an_upstream_that_goes_away_meanwhile(tokens: TokenServer) -> None:
    """The call makes a connection of its own, and says why there is none."""
    upstream = ByteServer(reply())
    async with contextlib.AsyncExitStack() as stack, contextlib.AsyncExitStack() as running:
        upstream.port = stack.enter_context(refusing_port())
        await running.enter_async_context(upstream)
        settings = settings_for(upstream=upstream.url, token_url=tokens.token_url)
        tokens.gate.clear()
        async with task_group() as tasks:
            checking = tasks.create_task(check(settings), name="peer")
            await eventually(lambda: bool(tokens.requests), "the token request")
            await running.aclose()
            tokens.gate.set()
            results = await within(checking, "the results")
    assert results.failed == ["call"]
    call = results.one("call")
    assert (call.detail, "UPSTREAM_URL" in (call.fix or "")) == ("ECONNREFUSED", True)


async def test_interim_responses_are_waited_through(tokens: TokenServer) -> None:
    """A 103 is not yet the response."""
    early = b"HTTP/1.1 103 Early Hints\r\n\r\n" + reply("200 OK", body=b"x")
    async with ByteServer(early) as upstream:
        results = await check(settings_for(upstream=upstream.url, token_url=tokens.token_url))
    assert results.one("call").detail.startswith("200: ")


CLIENTS = """
allowed_paths = "/sign/documents,/auth"
[clients.auth]
client_id = "dev-auth-1"
[clients.sign]
client_id = "dev-sign-1"
client_secret_file = "{secret}"
token_url = "{token_url}"
scope = "sign-scope"
[clients.send]
client_id = "dev-send-1"
[[routes]]
path = "/auth"
client = "auth"
[[routes]]
path = "/sign"
client = "sign"
[[routes]]
path = "/send"
client = "send"
methods = ["POST"]
"""


ODDITIES = {
    "s3cret": [],
    "tå-s3cret": [],
    '"s3cret"': ["has quotes around it"],
    "'s3cret'": ["has quotes around it"],
    "“s3cret”": ["has quotes around it"],
    '"s3cret': [],
    '"': [],
    " s3cret": ["has a space at its beginning"],
    "s3cret  ": ["has a space at its end"],
    "s3 cret": ["has a space in it"],
    "s3\tcret": ["has a space in it"],
    "s3\u200bcret": ["has an invisible character in it (U+200B)"],
    "s3cret\u00a0": ["has an invisible character at its end (U+00A0)"],
    "\ufeff\u200bs3cret": ["has an invisible character at its beginning (U+FEFF, U+200B)"],
    "s3\x85cret": ["has an invisible character in it (U+0085)"],
    "s3\ufe0fcret\u3164": ["has an invisible character in it (U+FE0F, U+3164)"],
    "' s3\u2060cret'": [
        "has quotes around it",
        "has a space in it",
        "has an invisible character in it (U+2060)",
    ],
}


@pytest.mark.parametrize(("text", "expected"), ODDITIES.items())
def test_what_is_odd_about_a_text(text: str, expected: list[str]) -> None:
    """T13: quotes around it, and what is not seen, are told by their place and code alone."""
    assert list(oddities(text)) == expected


async def test_odd_secrets_and_ids_are_warned_about() -> None:
    """T13: they are used as they are, and the settings to look at are named."""
    async with ByteServer(granted()) as server:
        settings = settings_for(
            token_url=f"{server.url}/token",
            upstream=server.url,
            client_id='"dev-tester-1"',
            client_secret="of-the\u200btest",
        )
        results = await check(settings)
    result = results.one("secret")
    assert results.failed == []
    assert (result.state, result.detail) == (
        "warning",
        "the secret has an invisible character in it (U+200B), the client id has quotes around it",
    )
    for name in ("SIGNICAT_PROXY_CLIENT_SECRET", "SIGNICAT_PROXY_CLIENT_ID"):
        assert name in (result.fix or "")


async def test_every_client_is_checked(tokens: TokenServer, tmp_path: Path) -> None:
    """Each client of a file has its results; a fix names its own settings where it has such."""
    secret, config = tmp_path / "secret", tmp_path / "p.toml"
    secret.write_text(" of-sign\n")
    async with TokenServer() as other, ByteServer(reply("200 OK")) as upstream:
        other.failure = refused("400 Bad Request", error="invalid_client")
        config.write_text(CLIENTS.format(secret=secret, token_url=other.token_url))
        results = await check(
            settings_for(config_file=config, upstream=upstream.url, token_url=tokens.token_url)
        )
    assert [result.target for result in results.of("token")] == [
        "client auth",
        "client sign",
        "client send",
    ]
    assert [result.state for result in results.of("token")] == ["ok", "failed", "ok"]
    fix = results.of("token")[1].fix or ""
    assert "clients.sign.client_id and clients.sign.client_secret_file" in fix
    spaced = results.of("secret")[1]
    assert (spaced.state, "clients.sign.client_secret_file" in (spaced.fix or "")) == (
        "warning",
        True,
    )
    assert [message.target for message in upstream.requests] == ["/auth"]
    assert "allow no GET" in results.of("call")[2].detail
    assert len(results.of("clock")) == 2


def test_the_path_of_the_call(tmp_path: Path) -> None:
    """It is one that callers may GET with this client's token, or there is no call."""
    config = tmp_path / "p.toml"
    config.write_text(CLIENTS.format(secret=os.devnull, token_url="https://idp.test/t"))
    text = config.read_text().replace(f'client_secret_file = "{os.devnull}"\n', "")
    config.write_text(text)
    settings = settings_for(config_file=config)
    paths = {client.name: call_path(settings, client) for client in settings.clients}
    assert paths == {"auth": "/auth", "sign": "/sign/documents", "send": None}
    (client,) = settings_for().clients
    assert call_path(settings_for(), client) == "/"
    assert call_path(settings_for(allowed_methods="POST"), client) is None


async def test_a_secret_file_that_has_gone(tokens: TokenServer, tmp_path: Path) -> None:
    """The file is read as the proxy reads it, and its setting named; the network is looked at."""
    secret = tmp_path / "secret"
    secret.write_text("of-the-test")
    settings = settings_for(
        upstream=tokens.url, token_url=tokens.token_url, client_secret_file=secret
    )
    secret.unlink()
    results = await check(settings)
    assert results.failed == ["secret"]
    result = results.one("secret")
    assert result.detail == f"{secret}: No such file or directory"
    assert "SIGNICAT_PROXY_CLIENT_SECRET_FILE" in (result.fix or "")
    assert results.skipped["token"] == "secret failed"
    assert results.one("tcp").state == "ok"


@pytest.mark.parametrize(("length", "state"), [(15, "warning"), (16, "ok")])
async def test_a_short_secret_is_warned_about(length: int, state: str) -> None:
    """It may be a part of one, and hides other words of a log; its letters are not shown (G7)."""
    async with ByteServer(granted()) as server:
        settings = settings_for(
            token_url=f"{server.url}/token", upstream=server.url, client_secret="q" * length
        )
        results = await check(settings)
    result = results.one("secret")
    assert (result.state, results.failed) == (state, [])
    assert "qq" not in f"{result.detail}{result.fix}"


PREVIOUS = "s3cret-of-before-the-test"


@pytest.mark.parametrize("is_known", [True, False])
async def test_a_start_in_the_middle_of_a_rotation(
    tokens: TokenServer, tmp_path: Path, *, is_known: bool
) -> None:
    """T7: where the previous secret serves the proxy works, and the check says what to correct."""
    previous = tmp_path / "previous"
    previous.write_text(PREVIOUS)
    tokens.failure_of_refused = refused("400 Bad Request", error="invalid_client")
    tokens.refused_secret = quote_plus(CLIENT_SECRET).encode() if is_known else b"client_secret"
    settings = settings_for(
        upstream=tokens.url,
        token_url=tokens.token_url,
        client_auth="client_secret_post",
        previous_secret_file=previous,
    )
    results = await check(settings, with_call=False)
    result = results.one("token")
    assert len(tokens.requests) == 2
    assert PREVIOUS not in repr(results)
    if is_known:
        setting = "SIGNICAT_PROXY_PREVIOUS_SECRET_FILE"
        said = f"granted for 600 s for the secret in {setting}; the configured one: invalid_client"
        assert (results.failed, result.state, result.detail) == ([], "warning", said)
        assert (result.fix or "").startswith("Check SIGNICAT_PROXY_CLIENT_SECRET.")
        assert results.one("scope").state == "ok"
    else:
        assert (results.failed, result.detail[:14]) == (["token"], "invalid_client")


async def test_a_previous_secret_that_is_missing(tokens: TokenServer) -> None:
    """T7: a reserve that is none is a warning, while all is well without it."""
    settings = settings_for(
        upstream=tokens.url, token_url=tokens.token_url, previous_secret_file="/nonexistent"
    )
    results = await check(settings, with_call=False)
    (warning,) = [r for r in results.of("settings") if r.state == "warning"]
    assert results.failed == []
    assert warning.target == "SIGNICAT_PROXY_PREVIOUS_SECRET_FILE"


@pytest.mark.parametrize(("ahead_seconds", "is_granted"), [(0, True), (300, False)])
async def test_a_client_with_a_key(
    tmp_path: Path, ahead_seconds: float, *, is_granted: bool
) -> None:
    """T12: the key is named by algorithm and id; a clock that is off is said to be the cause."""
    path = tmp_path / "key"
    path.write_text(json.dumps(jwk(ec_key(), kid="k1")))
    async with AssertionServer("dev-tester-1", {"k1": ec_key()}) as tokens:
        tokens.ahead_seconds = ahead_seconds
        settings = settings_for(
            upstream=tokens.url,
            token_url=tokens.token_url,
            client_secret="",
            client_auth="private_key_jwt",
            client_key_file=path,
        )
        results = await check(settings, with_call=False)
        assertion = tokens.assertions[0]
    secret, token = results.one("secret"), results.one("token")
    assert (secret.state, secret.detail) == ("ok", f"ES256, kid k1, read from {path}")
    assert assertion not in repr(results)
    if is_granted:
        assert token.state == "ok"
        return
    assert results.failed == ["token"]
    assert token.detail.startswith("invalid_client, this machine's clock is ")
    assert "s behind the server's, and an assertion is valid for a minute" in token.detail
    assert "SIGNICAT_PROXY_CLIENT_KEY_FILE" in (token.fix or "")
    assert results.one("clock").state == "warning"


@pytest.mark.parametrize(("days", "state"), [(400, "ok"), (5, "warning")])
async def test_a_client_with_a_certificate(tmp_path: Path, days: int, state: str) -> None:
    """T12: TLS, token and the days left are checked with what the token endpoint wants to see."""
    ca, files = trustme.CA(), ClientFiles(tmp_path)
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    end = dt.datetime.now(dt.UTC) + dt.timedelta(days=days, hours=1)
    serial = files.rotate(not_after=end)
    tls = server_side(ca, files.ca)
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.maximum_version = ssl.TLSVersion.TLSv1_2  # whose handshake says so if there is none
    async with (
        CertificateServer("dev-tester-1", tls) as tokens,
        ByteServer(reply()) as upstream,
    ):
        settings = settings_for(
            upstream=upstream.url,
            token_url=tokens.token_url,
            ca_file=tmp_path / "ca.pem",
            **files.settings,
        )
        results = await check(settings, with_call=False)
    assert results.failed == []
    day = f"{end:%Y-%m-%d}"
    secret = results.one("secret")
    assert secret.detail == f"a certificate valid until {day}, read from {files.cert}"
    assert [result.state for result in results.of("tls")] == ["skipped", "ok"]
    assert (results.one("token").state, tokens.serials) == ("ok", [serial])
    (ending,) = [r for r in results.of("certificate") if r.target == "CLIENT_CERT_FILE"]
    assert (ending.state, ending.detail) == (state, f"valid until {day}")
    if state == "warning":
        assert "SIGNICAT_PROXY_CLIENT_CERT_FILE" in (ending.fix or "")
