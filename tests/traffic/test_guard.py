"""The guard of the traffic port over real sockets: what it refuses never goes up (G2 to G4)."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.guard_cases import ALLOWED_ORIGIN, FOREIGN, WELCOME
from tests.support.messages import assert_problem, reply, request
from tests.support.peers import ByteServer, Channel
from tests.support.running_proxy import RunningProxy, proxied, running_proxy
from tests.support.token_server import TokenServer

pytestmark = pytest.mark.usefixtures("no_leaks")

STARTS = ["GET /", "POST /sign/documents", "OPTIONS /", "HEAD /x?y", "PURGE /"]
ELSEWHERE = [
    "evil.test",
    "localhost.evil.test",
    "api.signicat.com.evil.test",
    "0.0.0.0",
    "localhost.",
]
TOKEN_PATHS = [
    "/auth/open/connect/token",
    "/auth/open/connect/token/",
    "/auth/open/connect/token?grant_type=x",
    "/AUTH/Open/CONNECT/Token",
    "/auth/open/connect/TOKEN;v=1?x",
    "//auth///open/connect/token",
    "/auth/open/connect/%74oken",
    "/auth/open/connect/%2574oken",
    "/auth%2fopen%2Fconnect%2ftoken",
    "/auth;a/open;b/connect;c/token",
    "http://localhost/auth/open/connect/token",
    "HTTP://LOCALHOST:80//auth/open/connect/token",
]


async def assert_refused(
    proxy: RunningProxy, caller: Channel, message: bytes, status: int, code: str
) -> None:
    """See that a request is answered so, and counted once."""
    counted = await proxy.metric("rejected_total", reason=code)
    answer = await caller.ask(message)
    if message.startswith(b"HEAD "):
        assert answer.status == status
    else:
        assert_problem(answer, status, code)
    assert await proxy.metric("rejected_total", reason=code) == counted + 1


@pytest.mark.parametrize("start", STARTS)
async def test_strangers_are_refused_and_counted(tokens: TokenServer, start: str) -> None:
    """A foreign Host or a foreign page gets table E, whatever it asks; no byte goes up (G2, G3)."""
    async with proxied(tokens, reply(), allowed_origins=ALLOWED_ORIGIN) as (proxy, upstream):
        caller = await proxy.connect()
        for lines, status, code in FOREIGN:
            await assert_refused(proxy, caller, request(start, *lines, host=None), status, code)
        assert upstream.connections == []
        assert await proxy.metric("rejected_total") == len(FOREIGN)


@pytest.mark.parametrize("lines", WELCOME)
async def test_others_are_let_through(tokens: TokenServer, lines: list[str]) -> None:
    """Known names, typed addresses, own pages and allowed origins, with no CORS header added."""
    async with proxied(tokens, reply(), allowed_origins=ALLOWED_ORIGIN) as (proxy, upstream):
        answer = await proxy.ask(request("POST /", *lines, host=None))
        assert answer.status == 200
        assert not [name for name in answer.head.names if name.lower().startswith("access-")]
        assert len(upstream.requests) == 1
        assert await proxy.metric("rejected_total") == 0


async def test_a_request_like_the_one_before_is_judged_anew(tokens: TokenServer) -> None:
    """Headers that are read once for many requests let no other path or origin by."""
    async with proxied(tokens, reply()) as (proxy, upstream):
        caller = await proxy.connect()
        for _ in range(3):
            assert (await caller.ask(request("GET /ok"))).status == 200
        for target in TOKEN_PATHS[:-2]:
            await assert_refused(proxy, caller, request(f"GET {target}"), 403, "path_not_allowed")
        await assert_refused(proxy, caller, request("GET /a/%2e%2e"), 400, "ambiguous_path")
        foreign = request("GET /ok", "Origin: http://evil.test")
        for _ in range(3):
            await assert_refused(proxy, caller, foreign, 403, "origin_not_allowed")
        assert (await caller.ask(request("GET /ok"))).status == 200
        assert [message.target for message in upstream.requests] == ["/ok"] * 4


@pytest.mark.parametrize("host", ELSEWHERE)
async def test_an_absolute_target_names_nobody_else(tokens: TokenServer, host: str) -> None:
    """The authority of the target counts, and no good Host beside it saves it (F3)."""
    async with proxied(tokens, reply()) as (proxy, upstream):
        caller = await proxy.connect()
        for target in (f"http://{host}/", f"http://{host}:8080/x", f"https://{host}"):
            message = request(f"GET {target}")
            await assert_refused(proxy, caller, message, 421, "host_not_allowed")
        assert upstream.connections == []


@pytest.mark.parametrize(
    ("path_of_upstream", "token_path", "targets"),
    [
        ("", "/connect/token", [*TOKEN_PATHS, "/connect/token", "/Connect//Token;x"]),
        ("/base", "/connect/token", ["/connect/token", "/auth/open/connect/token"]),
        ("/connect", "/connect/token", ["/token", "/TOKEN/", "/%74oken", "//token;x"]),
        ("/auth/open/", "/connect/token", ["/connect/token", "//Connect/token?x"]),
    ],
)
async def test_the_token_endpoint_is_out_of_reach(
    tokens: TokenServer, path_of_upstream: str, token_path: str, targets: list[str]
) -> None:
    """By no spelling, behind no path of the upstream, on whatever host it is (G4)."""
    assert tokens.token_url.endswith(token_path)
    async with (
        ByteServer(reply()) as upstream,
        running_proxy(
            upstream=upstream.url + path_of_upstream, token_url=tokens.token_url
        ) as proxy,
    ):
        caller = await proxy.connect()
        for target in targets:
            for method in ("POST", "GET"):
                message = request(f"{method} {target}")
                await assert_refused(proxy, caller, message, 403, "path_not_allowed")
        assert upstream.connections == []
        assert (await caller.ask(request("GET /sign"))).status == 200


async def test_allow_lists_hold_together(tokens: TokenServer) -> None:
    """A request must be on both lists; prefixes end on segment boundaries (G4)."""
    lists = {"allowed_paths": "/sign,/auth/rest", "allowed_methods": "GET,POST"}
    async with proxied(tokens, reply(), **lists) as (proxy, upstream):
        caller = await proxy.connect()
        for start, status, code in (
            ("DELETE /sign/1", 405, "method_not_allowed"),
            ("get /sign/1", 405, "method_not_allowed"),
            ("HEAD /sign", 405, "method_not_allowed"),
            ("GET /", 403, "path_not_allowed"),
            ("GET /signature", 403, "path_not_allowed"),
            ("GET //sign", 403, "path_not_allowed"),
            ("GET /SIGN", 403, "path_not_allowed"),
            ("GET /auth", 403, "path_not_allowed"),
            ("GET /auth/rest%2f..%2fopen", 400, "ambiguous_path"),
            ("GET /sign%2F1", 400, "ambiguous_path"),
            ("GET /sign/..;/auth", 400, "ambiguous_path"),
        ):
            await assert_refused(proxy, caller, request(start), status, code)
        assert upstream.connections == []
        for start in ("GET /sign", "POST /sign/", "GET /auth/rest/sessions?x=/../y"):
            assert (await caller.ask(request(start))).status == 200


@contextlib.asynccontextmanager
async def over_unix(tokens: TokenServer, path: Path) -> AsyncIterator[tuple[Channel, ByteServer]]:
    """Run a proxy on a Unix socket; yield a connection to it, and its upstream."""
    async with proxied(tokens, reply(), listen=f"unix:{path}") as (proxy, upstream):
        yield proxy.keep(await Channel.connect_unix(str(path))), upstream


async def test_a_unix_socket_has_the_same_guard(tokens: TokenServer, tmp_path: Path) -> None:
    """A file's path is no Host; `localhost` is what curl sends there (G2)."""
    async with over_unix(tokens, tmp_path / "proxy.sock") as (caller, upstream):
        for lines, status, code in FOREIGN:
            if lines != ["Host: localhost", "Origin: http://good.test"]:
                answer = await caller.ask(request("GET /", *lines, host=None))
                assert_problem(answer, status, code)
        for host, status in ((str(tmp_path), 400), ("%2frun%2fproxy.sock", 400), ("unix", 421)):
            assert (await caller.ask(request("GET /", host=host))).status == status
        assert upstream.connections == []
        assert (await caller.ask(request("GET /", host="localhost"))).status == 200
