"""Replies of the proxy itself: every row of table E, provoked over a socket."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from proxy.errors import ERROR_KINDS
from tests.support.callers import BILLING_KEY, bearer, config_with
from tests.support.messages import Message, assert_problem, reply, request
from tests.support.ports import refusing_port
from tests.support.running_proxy import proxied, running_proxy
from tests.support.token_server import TokenServer

pytestmark = pytest.mark.usefixtures("no_leaks")

QUERY: Final = "identityNumber=31019000000"
PROXY_STATUS: Final = re.compile(r"signicat-proxy; error=[a-z_]+")


@dataclass(frozen=True)
class Case:
    """A request that provokes one reply; `upstream` is what the upstream does meanwhile."""

    code: str
    status: int
    target: str = f"/x?{QUERY}"
    lines: tuple[str, ...] = ()
    host: str = "localhost"
    upstream: bytes | None = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    settings: Mapping[str, object] = field(default_factory=dict)
    headers: tuple[str, ...] = ()


CASES = [
    Case("bad_request", 400, host="localhost/evil"),
    Case("ambiguous_path", 400, target=f"/a/%2e%2E/b?{QUERY}"),
    Case("host_not_allowed", 421, host="evil.example"),
    Case("origin_not_allowed", 403, lines=("Origin: https://evil.example",)),
    Case("path_not_allowed", 403, settings={"allowed_paths": "/ok"}),
    Case("method_not_allowed", 405, settings={"allowed_methods": "PUT"}, headers=("Allow",)),
    Case("head_too_large", 431, lines=("A: " + "b" * 40_000,)),
    Case("upstream_unreachable", 502, settings={"upstream": "http://127.0.0.1:9"}),
    Case("upstream_invalid_response", 502, upstream=b"HTTP/1.1 99999 X\r\n\r\n"),
    Case("upstream_closed", 502, upstream=b""),
    Case("upstream_timeout", 504, upstream=None, settings={"read_timeout_seconds": 0.2}),
]
READABLE = [case for case in CASES if case.code != "head_too_large"]
PROVOKED_ELSEWHERE = {
    "caller_not_allowed",
    "caller_unknown",
    "no_route",
    "request_timeout",
    "token_unavailable",
    "overloaded",
    "draining",
    "body_too_large",  # of a POST alone: tests/traffic/test_placeholder.py
}


async def reply_to(tokens: TokenServer, case: Case, method: str) -> tuple[Message, bytes]:
    """Return the reply that `case` provokes, and what followed it on its connection."""

    async def answer(_: Message) -> bytes | None:
        if case.upstream is None:
            await asyncio.Event().wait()
        return case.upstream or None

    async with proxied(tokens, answer, **case.settings) as (proxy, _):
        lines = ("X-Request-ID: order-17", "Connection: close", *case.lines)
        caller = await proxy.connect()
        sent = request(f"{method} {case.target}", *lines, host=case.host)
        return await caller.ask(sent), await caller.read_to_end()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.code)
async def test_replies_say_what_failed(tokens: TokenServer, case: Case) -> None:
    """Each failure has its status, its code and the form of RFC 9457; the query stays out."""
    answer, rest = await reply_to(tokens, case, "GET")
    members = assert_problem(answer, case.status, case.code)
    assert QUERY.encode() not in answer.body
    assert "31019000000" not in str(answer.head)
    assert rest == b""
    for name in case.headers:
        assert answer.head.value(name)
    if case.code != "head_too_large":  # a head that is not read to its end says nothing
        assert members["request_id"] == "order-17"


@pytest.mark.parametrize("case", READABLE, ids=lambda case: case.code)
async def test_head_gets_the_headers_alone(tokens: TokenServer, case: Case) -> None:
    """A reply to HEAD has the same head and no body (E)."""
    answer, rest = await reply_to(tokens, case, "HEAD")
    assert answer.status == case.status
    assert answer.head.value("Content-Type") == "application/problem+json"
    assert PROXY_STATUS.fullmatch(answer.head.value("Proxy-Status") or "")
    assert rest == b""


async def test_head_gets_the_headers_alone_whatever_its_target(tokens: TokenServer) -> None:
    """The method is known even where the target is none (RFC 9110 §9.3.2)."""
    case = Case("bad_request", 400, target="http://user@localhost/")
    answer, rest = await reply_to(tokens, case, "HEAD")
    assert (answer.status, rest) == (400, b"")


@pytest.mark.parametrize(
    "raw",
    [
        request("HEAD /", "A: " + "b" * 33 * 1024),
        request("HEAD /", "A: " + "b" * 33 * 1024)[:-4],
        request("HEAD /", "A : b"),
        request("HEAD /", "A: \x01"),
        request("HEAD /", "A: \x01")[:-4],
        request("HEAD /#fragment"),
        b"\r\n" + request("HEAD /", "A: \x01"),
        request("HEAD /")[:-4],
    ],
)
async def test_a_bad_head_request_gets_the_headers_alone(tokens: TokenServer, raw: bytes) -> None:
    """Also where it is refused before it could be read, or comes too late (RFC 9110 §9.3.2)."""
    async with proxied(tokens, reply(), head_timeout_seconds=0.3) as (proxy, _):
        caller = await proxy.connect()
        await caller.send(raw)
        assert (await caller.read_answer("HEAD")).status in {400, 408, 431}
        assert await caller.read_to_end() == b""


def test_every_row_of_the_table_is_provoked() -> None:
    """No error is left untested over a socket."""
    provoked = {(case.code, case.status) for case in CASES}
    rows = {(kind.code, kind.status) for kind in ERROR_KINDS if kind.code not in PROVOKED_ELSEWHERE}
    assert provoked == rows


async def test_a_path_under_no_route(tokens: TokenServer, tmp_path: Path) -> None:
    """With routes, anything else gets 404 `no_route`."""
    config = tmp_path / "config.toml"
    config.write_text(
        '[clients.auth]\nclient_id = "dev-a-1"\n[[routes]]\npath = "/auth/rest"\nclient = "auth"\n'
    )
    async with proxied(tokens, reply(), config_file=config) as (proxy, _):
        assert (await proxy.ask(request("GET /auth/rest/sessions"))).status == 200
        assert_problem(await proxy.ask(request(f"GET /auth/restless?{QUERY}")), 404, "no_route")


async def test_callers_that_are_not_known_or_not_allowed(
    tokens: TokenServer, tmp_path: Path
) -> None:
    """401 says how to become known; HEAD gets it too (I1)."""
    async with proxied(tokens, reply(), config_file=config_with(tmp_path)) as (proxy, _):
        answer = await proxy.ask(request(f"GET /?{QUERY}"))
        assert_problem(answer, 401, "caller_unknown")
        assert answer.head.value("WWW-Authenticate") == 'Bearer realm="signicat-proxy"'
        answer = await proxy.ask(request("HEAD /"))
        assert (answer.status, answer.head.value("WWW-Authenticate") is None) == (401, False)
        answer = await proxy.ask(request(f"GET /?{QUERY}", bearer(BILLING_KEY)))
        assert_problem(answer, 403, "caller_not_allowed")
        assert answer.head.value("WWW-Authenticate") is None


async def test_no_token(tokens: TokenServer) -> None:
    """Without a token, callers learn when to come again."""
    tokens.failure = reply("503 Service Unavailable")
    async with proxied(tokens, reply(), token_wait_seconds=0.2) as (proxy, upstream):
        answer = await proxy.ask(request(f"GET /?{QUERY}"))
        assert_problem(answer, 503, "token_unavailable")
        assert int(answer.head.value("Retry-After") or "") >= 1
        assert upstream.received == b""


async def test_a_reply_is_no_reason_to_hang_up(tokens: TokenServer) -> None:
    """Where the request was read whole, the connection serves on."""
    async with proxied(tokens, reply(), allowed_methods="GET") as (proxy, _):
        caller = await proxy.connect()
        for _ in range(2):
            assert (await caller.ask(request("DELETE /"))).status == 405
            assert (await caller.ask(request("GET /"))).status == 200


async def test_a_refused_upload_is_not_read_as_requests(tokens: TokenServer) -> None:
    """The body of a refused request is never taken for the next request."""
    async with proxied(tokens, reply()) as (proxy, upstream):
        caller = await proxy.connect()
        smuggled = request("GET /smuggled")
        sent = request(
            "POST /", f"Content-Length: {len(smuggled)}", body=smuggled, host="evil.test"
        )
        assert (await caller.ask(sent)).status == 421
        assert await caller.read_to_end() == b""
        assert upstream.received == b""


async def test_a_port_where_nobody_listens(tokens: TokenServer) -> None:
    """A dead upstream is answered at once and is no reason to die."""
    with refusing_port() as port:
        async with running_proxy(
            upstream=f"http://127.0.0.1:{port}",
            token_url=tokens.token_url,
            connect_timeout_seconds=60,
        ) as proxy:
            for _ in range(3):
                answer = await proxy.ask(request("GET /"), seconds=3)
                assert_problem(answer, 502, "upstream_unreachable")
            assert (await proxy.admin("GET /livez")).status == 200
            assert await proxy.metric("upstream_errors_total", reason="connect") >= 3


async def test_whose_5xx_it_was_can_be_counted_from_the_first(tokens: TokenServer) -> None:
    """A 5xx of the upstream and one of the proxy are told apart, and no class is without a zero."""
    answers = iter((reply("500 Broken"), reply("503 Busy"), b"HTTP/1.1 99999 X\r\n\r\n"))

    async def fails(_: Message) -> bytes:
        return next(answers)

    async def counted() -> tuple[float, float, float]:
        return (
            await proxy.metric("upstream_responses_total", **{"class": "5xx"}),
            await proxy.metric("upstream_responses_total"),
            await proxy.metric("error_replies_total", client="default"),
        )

    async with proxied(tokens, fails) as (proxy, _):
        before = (await proxy.admin("GET /metrics")).body.decode()
        zero = 'upstream_responses_total{class="5xx",client="default",route="/"} 0.0'
        assert zero in before
        for status, count in ((500, (1, 1, 0)), (503, (2, 2, 0)), (502, (2, 2, 1))):
            assert (await proxy.ask(request("POST /", "Content-Length: 0"))).status == status
            assert await counted() == count
