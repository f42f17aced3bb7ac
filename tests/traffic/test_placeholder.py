"""Token calls of applications over real sockets: a token that is worth nothing (P1)."""

import contextlib
import gc
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.forward.placeholder import MAX_TOKEN_CALL_BYTES
from proxy.http1.body import RequestBody
from proxy.http1.placeholder_response import PLACEHOLDER_TOKEN
from tests.support.messages import Message, assert_problem, reply, request
from tests.support.peers import ByteServer
from tests.support.running_proxy import RunningProxy, proxied
from tests.support.token_server import TokenServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("no_leaks")

PATH = "/connect/token"  # of the token server's URL
# The form of an application that has a secret of its own; it must show up nowhere.
FORM = b"grant_type=client_credentials&client_id=app-1&client_secret=s3cret-of-the-application"
CHUNKED = "Transfer-Encoding: chunked"


def token_call(
    *lines: str, target: str = PATH, body: bytes = FORM, version: str = "HTTP/1.1"
) -> bytes:
    """Return a token call as libraries make it."""
    form = "Content-Type: application/x-www-form-urlencoded"
    return request(
        f"POST {target} {version}", form, f"Content-Length: {len(body)}", *lines, body=body
    )


def chunked_call(*chunks: bytes) -> bytes:
    """Return a token call in chunks."""
    framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return request(f"POST {PATH}", CHUNKED, body=framed + b"0\r\n\r\n")


def assert_placeholder(answer: Message) -> None:
    """See that an answer is the placeholder, and all that it must be (RFC 6749 §5.1)."""
    head = answer.head
    assert answer.status == 200
    assert head.value("Content-Type") == "application/json"
    assert (head.value("Cache-Control"), head.value("Pragma")) == ("no-store", "no-cache")
    assert (head.value("Proxy-Status") or "").startswith("signicat-proxy; ")
    assert json.loads(answer.body) == {
        "access_token": PLACEHOLDER_TOKEN,
        "token_type": "Bearer",
        "expires_in": 600,
    }


def outcomes(proxy: RunningProxy) -> list[str]:
    """Return how the requests in the log ended."""
    return [log["outcome"] for log in proxy.logs if log["event"] == "request"]


@contextlib.asynccontextmanager
async def placeholders(
    tokens: TokenServer, answer: bytes = reply(), **settings: object
) -> AsyncIterator[tuple[RunningProxy, ByteServer]]:
    """Run a proxy that gives placeholders; see in the end that nothing of a form was told."""
    async with proxied(tokens, answer, placeholder_token="true", **settings) as (proxy, upstream):
        yield proxy, upstream
        pages = [await proxy.admin(f"GET {page}") for page in ("/status", "/", "/metrics")]
        for text in (*(page.body for page in pages), json.dumps(proxy.logs).encode()):
            assert b"s3cret-of-the-application" not in text
            assert b"app-1" not in text
    assert b"s3cret" not in upstream.received


async def test_a_token_call_gets_a_placeholder(tokens: TokenServer) -> None:
    """It goes nowhere, whatever it asks for, is counted as nobody's, and is one log event."""
    async with placeholders(tokens) as (proxy, upstream):
        assert_placeholder(await proxy.ask(token_call("X-Request-ID: order-17")))
        assert_placeholder(await proxy.ask(token_call("Authorization: Basic YTpi", body=b"")))
        assert_placeholder(await proxy.ask(request(f"POST {PATH}")))
        assert_placeholder(await proxy.ask(token_call(body=b"\x00\xff" * 4096)))
        assert await proxy.metric("placeholder_tokens_total") == 4
        counted = {"client": "none", "route": "placeholder_token", "method": "POST"}
        assert await proxy.metric("requests_total", code="200", **counted) == 4
        assert await proxy.metric("request_bytes_total") == len(FORM) + 8192
        assert upstream.received == b""
        event = next(log for log in proxy.logs if log["event"] == "request")
        status = json.loads((await proxy.admin("GET /status")).body)
    assert len(tokens.issued) == 1  # the proxy's own
    assert {key: event[key] for key in ("method", "route", "client", "status", "outcome")} == {
        "method": "POST",
        "route": "placeholder_token",
        "client": "none",
        "status": 200,
        "outcome": "ok",
    }
    assert (event["request_id"], event["bytes_in"]) == ("order-17", len(FORM))
    assert "token" not in event
    # They are no refusals.
    assert (status["placeholder_tokens"], status["last_minute"]["refused"]) == (4, 0)


async def test_it_is_off_unless_it_is_switched_on(tokens: TokenServer) -> None:
    """By default the token endpoint's path is refused, and the reply names the setting (G4)."""
    async with proxied(tokens, reply()) as (proxy, upstream):
        members = assert_problem(await proxy.ask(token_call()), 403, "path_not_allowed")
        assert "SIGNICAT_PROXY_PLACEHOLDER_TOKEN" in members["detail"]
        assert upstream.received == b""
        assert await proxy.metric("placeholder_tokens_total") == 0
        body = json.loads((await proxy.admin("GET /status")).body)
    assert body["placeholder_tokens"] is None


async def test_the_token_goes_out_in_place_of_the_placeholder(tokens: TokenServer) -> None:
    """What the application sends as its token is replaced by the proxy's own (F4)."""
    async with placeholders(tokens) as (proxy, upstream):
        caller = await proxy.connect()
        assert_placeholder(await caller.ask(token_call()))
        sent = request("GET /sign/x", f"Authorization: Bearer {PLACEHOLDER_TOKEN}")
        assert (await caller.ask(sent)).status == 200
        (seen,) = upstream.requests
    assert seen.head.value("Authorization") == f"Bearer {tokens.issued[0]}"


async def test_it_needs_no_token_of_the_proxys(tokens: TokenServer) -> None:
    """While the token endpoint is down, the application starts all the same."""
    tokens.failure = reply("503 Service Unavailable")
    async with placeholders(tokens) as (proxy, _):
        expecting = token_call("Expect: 100-continue")
        caller = await proxy.connect()
        await caller.send(expecting[: -len(FORM)])
        assert (await caller.read_head()).status == 100
        await caller.send(FORM)
        assert_placeholder(await caller.read_answer())


async def test_the_lists_of_what_is_forwarded_do_not_count(
    tokens: TokenServer, tmp_path: Path
) -> None:
    """It needs no route and no place in ALLOWED_PATHS and ALLOWED_METHODS: it goes nowhere."""
    config = tmp_path / "config.toml"
    config.write_text(
        '[clients.auth]\nclient_id = "dev-a-1"\n[[routes]]\npath = "/auth/rest"\nclient = "auth"\n'
    )
    async with placeholders(
        tokens, config_file=config, allowed_paths="/auth/rest", allowed_methods="GET"
    ) as (proxy, _):
        assert_placeholder(await proxy.ask(token_call()))
        answer = await proxy.ask(token_call(target="/auth/rest/sessions"))
        assert_problem(answer, 405, "method_not_allowed")


@pytest.mark.parametrize(
    "target",
    [
        f"{PATH}?signicat-accountId=a-1",
        f"{PATH}?",
        f"{PATH}?a=/../b%00",
        f"http://localhost{PATH}",
        f"HTTP://LOCALHOST:1{PATH}?a",
        "http://{upstream}" + PATH,
    ],
)
async def test_forms_of_the_target(tokens: TokenServer, target: str) -> None:
    """A query is no part of the path; the absolute form names the same (F3)."""
    async with placeholders(tokens) as (proxy, upstream):
        target = target.format(upstream=upstream.url.removeprefix("http://"))
        assert_placeholder(await proxy.ask(token_call(target=target)))


async def test_an_upstream_with_a_path(tokens: TokenServer) -> None:
    """Where the token endpoint lies below UPSTREAM_URL, both of its paths are answered."""
    async with placeholders(tokens, upstream=f"{tokens.url}/connect") as (proxy, _):
        for target in (PATH, "/token"):
            assert_placeholder(await proxy.ask(token_call(target=target)))
        for target in ("/token/", "/token/x", "//token", "/connect//token"):
            answer = await proxy.ask(token_call(target=target, body=b""))
            assert_problem(answer, 403, "path_not_allowed")


@pytest.mark.parametrize(
    "start",
    [
        *(f"{method} {PATH}" for method in ("GET", "PUT", "OPTIONS", "post", "DELETE")),
        *(f"POST {PATH}{end}" for end in ("/", "/x", ".", ";a", "%20", "%2F", "%3F")),
        "POST /Connect/Token",
        "POST /connect//token",
        "POST /connect/tok%65n",
        "POST /connect%2Ftoken",
        "POST /connect\\token",
        "POST /auth/open/connect/token",
    ],
)
async def test_neighbours_stay_refused(tokens: TokenServer, start: str) -> None:
    """Every other spelling, path and method is refused as without the setting (G4)."""
    async with placeholders(tokens) as (proxy, upstream):
        assert_problem(await proxy.ask(request(start)), 403, "path_not_allowed")
        assert upstream.received == b""
        assert await proxy.metric("placeholder_tokens_total") == 0


async def test_head_gets_the_headers_of_the_refusal(tokens: TokenServer) -> None:
    """A HEAD is no token call either."""
    async with placeholders(tokens) as (proxy, _):
        caller = await proxy.connect()
        assert (await caller.ask(request(f"HEAD {PATH}", "Connection: close"))).status == 403
        assert await caller.read_to_end() == b""


@pytest.mark.parametrize(
    ("lines", "host", "status", "code"),
    [
        ((), "evil.test", 421, "host_not_allowed"),
        (("Origin: https://evil.test",), "localhost", 403, "origin_not_allowed"),
        (("Sec-Fetch-Site: cross-site",), "localhost", 403, "origin_not_allowed"),
        (("Sec-Fetch-Site: same-site",), "localhost", 403, "origin_not_allowed"),
    ],
)
async def test_the_guard_comes_first(
    tokens: TokenServer, lines: tuple[str, ...], host: str, status: int, code: str
) -> None:
    """Who may not ask gets no placeholder either (G2, G3)."""
    async with placeholders(tokens) as (proxy, _):
        answer = await proxy.ask(request(f"POST {PATH}", *lines, host=host))
        assert_problem(answer, status, code)
        assert await proxy.metric("placeholder_tokens_total") == 0


# --- bodies ---


@pytest.mark.parametrize(
    "call",
    [
        chunked_call(FORM),
        chunked_call(*(FORM[i : i + 1] for i in range(len(FORM)))),
        chunked_call(b"a" * MAX_TOKEN_CALL_BYTES),
        chunked_call(),
    ],
)
async def test_a_body_in_chunks(tokens: TokenServer, call: bytes) -> None:
    """Its length need not be known; the connection serves on."""
    async with placeholders(tokens) as (proxy, upstream):
        caller = await proxy.connect()
        assert_placeholder(await caller.ask(call))
        assert (await caller.ask(request("GET /"))).status == 200
        assert len(upstream.requests) == 1


async def test_a_body_that_comes_byte_by_byte(tokens: TokenServer) -> None:
    """The response waits for its end, and for nothing after it."""
    async with placeholders(tokens) as (proxy, _):
        caller = await proxy.connect()
        call = token_call()
        for position in range(len(call) - 1):
            await caller.send(call[position : position + 1])
        assert await caller.stays_silent(0.05)
        await caller.send(call[-1:])
        assert_placeholder(await caller.read_answer())


@pytest.mark.parametrize("is_waiting", [False, True])
async def test_a_body_that_says_it_is_too_long(tokens: TokenServer, *, is_waiting: bool) -> None:
    """It is refused at its head, before a byte of it is asked for or read (F6)."""
    expect = ("Expect: 100-continue",) if is_waiting else ()
    async with placeholders(tokens) as (proxy, upstream):
        caller = await proxy.connect()
        length = f"Content-Length: {MAX_TOKEN_CALL_BYTES + 1}"
        answer = await caller.ask(request(f"POST {PATH}", length, *expect))
        members = assert_problem(answer, 413, "body_too_large")
        assert str(MAX_TOKEN_CALL_BYTES) in members["detail"]
        await caller.send(b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert await caller.read_to_end() == b""
        assert upstream.received == b""
        assert await proxy.metric("rejected_total", reason="body_too_large") == 1
        assert await proxy.metric("placeholder_tokens_total") == 0


async def test_a_chunked_body_that_turns_out_too_long(tokens: TokenServer) -> None:
    """It is refused once it is, and what follows is not read as a request (G5)."""
    async with placeholders(tokens) as (proxy, upstream):
        caller = await proxy.connect()
        half = b"a" * (MAX_TOKEN_CALL_BYTES // 2)
        answer = await caller.ask(chunked_call(half, half, b"b") + request("GET /smuggled"))
        assert_problem(answer, 413, "body_too_large")
        assert await caller.read_to_end() == b""
        assert upstream.received == b""


async def test_an_endless_body_is_not_kept(tokens: TokenServer) -> None:
    """Who goes on sending after the refusal is cut off; nothing of it stays."""
    async with placeholders(tokens) as (proxy, _):
        caller = await proxy.connect()
        await caller.send(request(f"POST {PATH}", CHUNKED))
        sent = await caller.send_until_stuck(b"4000\r\n" + b"a" * 0x4000 + b"\r\n", 1 << 21)
        assert sent > MAX_TOKEN_CALL_BYTES
        await proxy.metric_becomes(1, "rejected_total", reason="body_too_large")
        await proxy.metric_becomes(0, "requests_in_flight")


async def test_chunks_with_two_readings(tokens: TokenServer) -> None:
    """A bad chunk size is 400, as everywhere (G5)."""
    async with placeholders(tokens) as (proxy, _):
        caller = await proxy.connect()
        answer = await caller.ask(request(f"POST {PATH}", CHUNKED, body=b"+1\r\na\r\n0\r\n\r\n"))
        assert_problem(answer, 400, "bad_request")
        assert await caller.read_to_end() == b""


@pytest.mark.parametrize("there", [-len(FORM), -1])
async def test_a_body_that_stops_coming(tokens: TokenServer, there: int) -> None:
    """Who owes all of it, or the rest, for too long gets 408 (G9)."""
    async with placeholders(tokens, read_timeout_seconds=0.3) as (proxy, _):
        caller = await proxy.connect()
        call = token_call()
        await caller.send(call[:20])  # so that the proxy waits for the rest of a head
        assert await caller.stays_silent(0.05)
        answer = await caller.ask(call[20:there], seconds=5)
        assert_problem(answer, 408, "request_timeout")
        assert await caller.read_to_end() == b""
        assert await proxy.metric("upstream_errors_total") == 0


async def test_nothing_of_a_body_is_kept(tokens: TokenServer) -> None:
    """While its end is missing, what has come of it is gone."""

    def waiting() -> list[RequestBody]:
        bodies = [each for each in gc.get_objects() if isinstance(each, RequestBody)]
        return [body for body in bodies if body.size == len(FORM) - 1]

    async with placeholders(tokens) as (proxy, _):
        caller = await proxy.connect()
        await caller.send(token_call()[:-1])
        await eventually(lambda: len(waiting()) == 1, "the body, but for its end")
        assert [(body.kept_bytes, body.is_whole) for body in waiting()] == [(0, False)]
        await caller.send(token_call()[-1:])
        assert_placeholder(await caller.read_answer())


# --- connections ---


async def test_pipelined_token_calls(tokens: TokenServer) -> None:
    """Responses come in the order of the requests, whoever they are from (F6)."""
    async with placeholders(tokens, reply(body=b"hello")) as (proxy, _):
        caller = await proxy.connect()
        other = request("GET /sign")
        await caller.send(token_call() + other + token_call() * 2 + other + chunked_call(FORM))
        for is_token_call in (True, False, True, True, False, True):
            answer = await caller.read_answer()
            if is_token_call:
                assert_placeholder(answer)
            else:
                assert answer.body == b"hello"


async def test_a_kept_connection_with_the_same_head(tokens: TokenServer) -> None:
    """What is known of a header block says nothing of the target: no verdict crosses."""
    async with placeholders(tokens) as (proxy, upstream):
        caller = await proxy.connect()
        for _ in range(3):
            assert_placeholder(await caller.ask(request(f"POST {PATH}")))
            assert (await caller.ask(request("POST /sign"))).status == 200
            assert (await caller.ask(request(f"POST {PATH}/"))).status == 403
        assert len(upstream.requests) == 3


@pytest.mark.parametrize(
    ("version", "lines", "said"),
    [
        ("HTTP/1.1", (), None),
        ("HTTP/1.1", ("Connection: close",), "close"),
        ("HTTP/1.0", (), "close"),
        ("HTTP/1.0", ("Connection: keep-alive",), "keep-alive"),
    ],
)
async def test_who_may_stay(
    tokens: TokenServer, version: str, lines: tuple[str, ...], said: str | None
) -> None:
    """The connection stays open where the caller says so, in either version."""
    async with placeholders(tokens) as (proxy, _):
        caller = await proxy.connect()
        answer = await caller.ask(token_call(*lines, version=version))
        assert_placeholder(answer)
        assert answer.head.value("Connection") == said
        if said != "close":
            assert_placeholder(await caller.ask(token_call(*lines, version=version)))
        else:
            assert await caller.read_to_end() == b""


async def test_a_caller_that_leaves(tokens: TokenServer) -> None:
    """Its call ends with it, and is no placeholder given (F7)."""
    async with placeholders(tokens) as (proxy, _):
        for leave in ("reset", "half_close"):
            caller = await proxy.connect()
            await caller.send(token_call()[:-1])
            await proxy.metric_becomes(1, "requests_in_flight")
            getattr(caller, leave)()
            await proxy.metric_becomes(0, "requests_in_flight")
        assert await proxy.metric("requests_total", client="none", code="0") == 2
        assert await proxy.metric("placeholder_tokens_total") == 0
        await eventually(lambda: outcomes(proxy) == ["client_left"] * 2, "both in the log")


async def test_a_token_call_in_a_drain(tokens: TokenServer) -> None:
    """One that runs may end; it is the last on its connection (C2)."""
    async with proxied(tokens, reply(), placeholder_token="true", drain_seconds=30) as (proxy, _):
        caller = await proxy.connect()
        await caller.send(token_call()[:-1])
        await proxy.metric_becomes(1, "requests_in_flight")
        proxy.stop()
        await eventually(lambda: "draining" in str(proxy.logs), "the drain")
        await caller.send(token_call()[-1:])
        answer = await caller.read_answer()
        assert_placeholder(answer)
        assert answer.head.value("Connection") == "close"
        assert await caller.read_to_end() == b""
        await proxy.ended.wait()


async def test_a_token_call_that_outlives_the_drain(tokens: TokenServer) -> None:
    """It gets 503 and the invitation to come again: nothing has been done (C2)."""
    async with proxied(tokens, reply(), placeholder_token="true", drain_seconds=0.2) as (proxy, _):
        caller = await proxy.connect()
        await caller.send(token_call()[:-1])
        await proxy.metric_becomes(1, "requests_in_flight")
        proxy.stop()
        answer = await caller.read_answer()
        assert_problem(answer, 503, "draining")
        assert answer.head.value("Retry-After")
        await proxy.ended.wait()


async def test_the_log_says_where(tokens: TokenServer) -> None:
    """The operator reads at the start which paths are answered."""
    async with placeholders(tokens) as (proxy, _):
        (event,) = [log for log in proxy.logs if log["event"] == "placeholder_tokens_on"]
        page = await proxy.admin("GET /")
        await proxy.ask(token_call())
        later = await proxy.admin("GET /")
    assert event["paths"] == [PATH]
    assert b"PLACEHOLDER_TOKEN is on: 0 placeholder tokens since" in page.body
    assert b"PLACEHOLDER_TOKEN is on: 1 placeholder token since" in later.body
