"""Headers that a caller sends again are read once: nothing may come of it but speed (G2 to G6, F4).

The oracle: each request of a kept-alive connection leaves upstream, and gets
as its answer, exactly what it would have alone on a connection of its own.
"""

import asyncio
import contextlib
import itertools
import random
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from tests.support.messages import Message, assert_problem, reply, request
from tests.support.peers import ByteServer, Channel
from tests.support.running_proxy import RunningProxy, proxied
from tests.support.token_server import TokenServer, bearer
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("no_leaks")

CONFIG = """
[clients.auth]
client_id = "dev-auth-1"

[clients.sign]
client_id = "dev-sign-1"

[[routes]]
path = "/auth"
client = "auth"

[[routes]]
path = "/sign"
client = "sign"
methods = ["GET", "POST"]
"""
KIB = 1024
CHUNKED = "Transfer-Encoding: chunked"
CHUNKS = b"3\r\nabc\r\n0\r\n\r\n"
KEEP = "Connection: keep-alive"
REQUESTS = {
    "get": request("GET /auth/a"),
    "another target": request("GET /auth/b?x=%2F&y=1"),
    "another route": request("GET /sign/a"),
    "no route": request("GET /other"),
    "the token path": request("GET /auth/open/connect/token"),
    "a dot segment": request("GET /auth/../sign"),
    "an encoded slash": request("GET /auth%2fa"),
    "a bare question mark": request("GET /auth?"),
    "a fragment": request("GET /auth#sign"),
    "a blank in the target": request("GET /auth a"),
    "a byte beyond ASCII": request("GET /auth/\xe9"),
    "a control character": request("GET /auth/\x01"),
    "two heads in the target": request("GET /auth HTTP/1.1\r\n\r\nGET /auth"),
    "the longest target": request("GET /auth/" + "x" * (32 * KIB - 60)),
    "too long a target": request("GET /auth/" + "x" * 33 * KIB),
    "far too long a target": request("GET /auth/" + "x" * 60 * KIB),
    "a block too long to remember": request("GET /auth", "A: " + "b" * 3 * KIB),
    "an empty line before it": b"\r\n" + request("GET /auth/a"),
    "another spelling of Host": request("GET /auth/a", "host: localhost", host=None),
    "a foreign Host": request("GET /auth/a", host="evil.example"),
    "no Host": request("GET /auth/a", host=None),
    "two Hosts": request("GET /auth/a", "Host: localhost"),
    "a web page": request("GET /auth/a", "Origin: https://evil.example"),
    "a foreign site": request("GET /auth/a", "Sec-Fetch-Site: cross-site"),
    "a browser's user": request("GET /auth/a", "Sec-Fetch-Site: none"),
    "a claim": request("GET /auth/a", "X-Forwarded-For: 10.0.0.1", "User-Agent: a"),
    "a hop before": request("GET /auth/a", "Via: 1.0 before"),
    "credentials": request("GET /auth/a", "Authorization: Bearer of-the-caller"),
    "an option": request("GET /auth/a", "Connection: x-hop", "X-Hop: 1"),
    "the last": request("GET /auth/a", "Connection: close"),
    "head": request("HEAD /auth/a"),
    "head of nothing": request("HEAD /other"),
    "options": request("OPTIONS /auth/a"),
    "options of all": request("OPTIONS *"),
    "a method in small letters": request("get /auth/a"),
    "a method of its own": request("GETS /auth/a"),
    "a method that the route refuses": request("DELETE /sign/a"),
    "trace": request("TRACE /auth/a"),
    "connect": request("CONNECT localhost:80"),
    "post without length": request("POST /sign/a"),
    "post of nothing": request("POST /sign/a", "Content-Length: 0"),
    "post": request("POST /sign/a", "Content-Length: 3", body=b"abc"),
    "post of another body": request("POST /sign/b", "Content-Length: 3", body=b"def"),
    "post that asks first": request(
        "POST /sign/a", "Content-Length: 3", "Expect: 100-continue", body=b"abc"
    ),
    "post of chunks": request("POST /sign/a", CHUNKED, body=CHUNKS),
    "post of a request": request(
        "POST /sign/a",
        f"Content-Length: {len(request('GET /auth/a'))}",
        body=request("GET /auth/a"),
    ),
    "refused post": request("POST /other", "Content-Length: 3", body=b"abc"),
    "get with length": request("GET /auth/a", "Content-Length: 0"),
    "get with a body": request("GET /auth/a", "Content-Length: 3", body=b"abc"),
    "get of chunks": request("GET /auth/a", CHUNKED, body=CHUNKS),
    "put": request("PUT /auth/a"),
    "two framings": request("POST /sign/a", "Content-Length: 3", CHUNKED, body=CHUNKS),
    "HTTP/1.0": request("GET /auth/a HTTP/1.0", host=None),
    "HTTP/1.0, kept alive": request("GET /auth/a HTTP/1.0", KEEP),
    "HTTP/1.1, kept alive": request("GET /auth/a", KEEP),
    "HTTP/1.0 without Host, kept alive": request("GET /auth/a HTTP/1.0", KEEP, host=None),
    "HTTP/1.2": request("GET /auth/a HTTP/1.2"),
    "absolute form": request("GET http://localhost/auth/a"),
    "absolute form, foreign Host": request("GET http://localhost/auth/a", host="evil.example"),
    "absolute form of a foreign host": request("GET http://evil.example/auth/a"),
    "a folded line": request("GET /auth/a", "A: b", " c"),
    "a bare LF": request("GET /auth/a").replace(b"\r\n\r\n", b"\n\r\n"),
}


@dataclass(frozen=True)
class Outcome:
    """What came of one request: on both sides, but for what differs every time."""

    sent: tuple[Message, ...]
    status: int
    names: tuple[str, ...]
    body: bytes
    closes: bool


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Provide a file with two clients, and a route that refuses methods."""
    path = tmp_path / "config.toml"
    path.write_text(CONFIG)
    return path


async def echo(message: Message) -> bytes:
    """Answer with what was asked."""
    return reply("200 OK", body=b"" if message.method == "HEAD" else message.target.encode())


def without_id(message: Message) -> Message:
    """Return a request without its id, which is another each time (O1)."""
    headers = tuple(pair for pair in message.head.headers if pair[0] != b"X-Request-ID")
    assert len(headers) == len(message.head.headers) - 1
    return replace(message, head=replace(message.head, headers=headers))


async def outcome(caller: Channel, raw: bytes, upstream: ByteServer, since: int) -> Outcome:
    """Read the answer to `raw`; what was sent upstream counts from request `since`."""
    answer = await caller.read_answer(raw.lstrip().partition(b" ")[0].decode())
    is_ours = answer.head.value("Proxy-Status") is not None
    is_kept = b" HTTP/1.0\r\n" not in raw or answer.head.value("Connection") == "keep-alive"
    return Outcome(
        sent=tuple(map(without_id, upstream.requests[since : since + (not is_ours)])),
        status=answer.status,
        names=tuple(answer.head.names),
        body=answer.body.partition(b'"code":')[2].partition(b",")[0] if is_ours else answer.body,
        closes=not is_kept or answer.head.value("Connection") == "close",
    )


async def alone(proxy: RunningProxy, upstream: ByteServer) -> dict[str, Outcome]:
    """Return what comes of each request on a connection of its own."""
    outcomes = {}
    for name, raw in REQUESTS.items():
        since = len(upstream.requests)
        caller = await proxy.connect()
        await caller.send(raw)
        outcomes[name] = await outcome(caller, raw, upstream, since)
        assert len(upstream.requests) == since + len(outcomes[name].sent), name
        caller.close()
    return outcomes


async def test_each_request_is_what_it_would_be_alone(tokens: TokenServer, config: Path) -> None:
    """Every pair, and back to the first: whichever of them was remembered, or refused."""
    async with proxied(tokens, echo, config_file=config, access_log="off") as (proxy, upstream):
        expected = await alone(proxy, upstream)
        lasting = [name for name in REQUESTS if not expected[name].closes]
        assert 30 < len(lasting) < len(REQUESTS) - 10
        for first, second in itertools.product(lasting, REQUESTS):
            caller = await proxy.connect()
            for name in (first, second, first):
                since = len(upstream.requests)
                await caller.send(REQUESTS[name])
                found = await outcome(caller, REQUESTS[name], upstream, since)
                assert found == expected[name], (first, second, name)
                assert len(upstream.requests) == since + len(found.sent)
                if found.closes:
                    break
            caller.close()


async def test_pipelined_requests_are_what_they_would_be_alone(
    tokens: TokenServer, config: Path
) -> None:
    """Up to five in one segment or in two cut anywhere; none after one that ends the connection."""
    chance = random.Random(3)
    async with proxied(tokens, echo, config_file=config, access_log="off") as (proxy, upstream):
        expected = await alone(proxy, upstream)
        lasting = [name for name in REQUESTS if not expected[name].closes]
        for _ in range(300):
            names = [*chance.choices(lasting, k=chance.choice([1, 2, 3, 4]))]
            names.append(chance.choice(list(REQUESTS)))
            raw = b"".join(REQUESTS[name] for name in names)
            cut = chance.choice([len(raw), len(REQUESTS[names[0]]), chance.randrange(len(raw))])
            caller = await proxy.connect()
            since = len(upstream.requests)
            await caller.send(raw[:cut])
            await caller.send(raw[cut:])
            for name in names:
                found = await outcome(caller, REQUESTS[name], upstream, since)
                assert found == expected[name], (names, name)
                since += len(found.sent)
            assert len(upstream.requests) == since
            caller.close()


async def test_a_known_head_may_be_no_larger_than_others(tokens: TokenServer) -> None:
    """32 KiB count for headers that were sent before too: 431, and nothing is sent (G6)."""
    async with proxied(tokens, reply()) as (proxy, upstream):
        caller = await proxy.connect()
        for target in ("/", "/" + "x" * (32 * KIB - 60)):
            assert (await caller.ask(request(f"GET {target}"))).status == 200
        answer = await caller.ask(request("GET /" + "x" * 40 * KIB))
        assert_problem(answer, 431, "head_too_large")
        assert await caller.read_to_end() == b""
        assert len(upstream.requests) == 2


async def test_an_empty_line_leaves_no_time_behind(tokens: TokenServer) -> None:
    """A slow head has HEAD_TIMEOUT_SECONDS, whatever came before it (G6)."""
    async with proxied(tokens, reply(), head_timeout_seconds=0.5) as (proxy, _):
        caller = await proxy.connect()
        assert (await caller.ask(request("GET /"))).status == 200
        await caller.send(b"\r\n")
        assert await caller.stays_silent(0.05)
        assert (await caller.ask(request("GET /"))).status == 200
        await caller.send(b"GET / HT")
        assert_problem(await caller.read_answer(seconds=5), 408, "request_timeout")


async def test_known_headers_go_out_with_the_token_of_the_moment(tokens: TokenServer) -> None:
    """What is kept of them holds no token."""
    async with proxied(tokens, reply()) as (proxy, upstream):
        caller = await proxy.connect()
        for number in (1, 2, 3):
            await proxy.metric_becomes(number, "token_requests_total", outcome="ok")
            for _ in range(2):
                assert (await caller.ask(request("GET /"))).status == 200
            sent = {message.head.value("Authorization") for message in upstream.requests[-2:]}
            assert sent == {bearer(number)}
            proxy.control.reload()


async def test_known_headers_are_answered_for_the_last_time_in_a_drain(
    tokens: TokenServer,
) -> None:
    """Who asks again meanwhile is told that the connection ends (C2)."""
    async with proxied(tokens, reply(), shutdown_delay_seconds=30) as (proxy, _):
        caller = await proxy.connect()
        assert (await caller.ask(request("GET /"))).head.value("Connection") is None
        proxy.stop()
        await eventually(lambda: is_draining(proxy), "the drain to begin")
        assert (await caller.ask(request("GET /"))).head.value("Connection") == "close"
        assert await caller.read_to_end() == b""


async def test_known_headers_of_a_caller_who_half_closes(tokens: TokenServer) -> None:
    """The last request is cancelled, as one with other headers is (F7)."""
    async with proxied(tokens) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("GET /"))
        server = await upstream.accepted()
        await server.read_request()
        await server.send(reply(body=b"hello"))
        assert (await caller.read_answer()).body == b"hello"
        await caller.send(request("GET /"))
        await server.read_request()
        caller.half_close()
        assert await server.read_whatever(seconds=1.5)
        assert await caller.read_to_end() == b""


async def test_known_headers_wait_for_a_caller_who_does_not_read(tokens: TokenServer) -> None:
    """Each in a segment of its own: not answered into memory, and in order at last (F5)."""

    async def large(message: Message) -> bytes:
        return reply(body=message.target.encode() * (256 * KIB))

    async with proxied(tokens, large) as (proxy, upstream):
        caller = await proxy.connect()
        targets = [f"/{number:03}" for number in range(100)]
        for target in targets:
            await caller.send(request(f"GET {target}"))
            await asyncio.sleep(0)
        for target in targets:
            assert (await caller.read_answer()).body[:4] == target.encode()
            caller.received.clear()
        assert [message.target for message in upstream.requests] == targets


async def test_known_headers_behind_a_part_of_a_head_belong_to_it(tokens: TokenServer) -> None:
    """Segments of the network are not messages: a value may look like a whole known head (G5)."""
    async with proxied(tokens, reply()) as (proxy, upstream):
        caller = await proxy.connect()
        known = request("GET /")
        assert (await caller.ask(known)).status == 200
        await caller.send(b"GET /x HTTP/1.1\r\nA: ")
        assert await caller.stays_silent(0.1)
        assert (await caller.ask(known)).status == 200
        assert (await caller.ask(request("GET /last"))).status == 200
        assert [message.target for message in upstream.requests] == ["/", "/x", "/last"]
        assert upstream.requests[1].head.value("A") == "GET / HTTP/1.1"


async def test_known_headers_that_are_refused_in_a_drain(tokens: TokenServer) -> None:
    """A refusal is the last word on its connection then, as an answer is (C2)."""
    async with proxied(tokens, reply(), shutdown_delay_seconds=30) as (proxy, _):
        caller = await proxy.connect()
        refused = request("GET /", host="evil.example")
        assert (await caller.ask(refused)).head.value("Connection") is None
        proxy.stop()
        await eventually(lambda: is_draining(proxy), "the drain to begin")
        assert (await caller.ask(refused)).head.value("Connection") == "close"
        assert await caller.read_to_end() == b""


def is_draining(proxy: RunningProxy) -> bool:
    """Say whether the drain has begun; the lines of requests may be written after that event."""
    return any(log["event"] == "draining" for log in proxy.logs)


def has_come(upstream: ByteServer, count: int) -> bool:
    """Say whether so many requests have come."""
    return len(upstream.requests) >= count


async def test_known_headers_are_not_answered_into_memory(tokens: TokenServer) -> None:
    """One after the other, by a caller who takes none of the small answers (F5)."""
    most = 2000
    async with proxied(tokens, reply(body=bytes(40 * KIB))) as (proxy, upstream):
        caller = proxy.keep(await Channel.small("127.0.0.1", proxy.port))
        count = 0
        with contextlib.suppress(AssertionError):
            while count < most:
                await caller.send(request("GET /"))
                count += 1
                await eventually(partial(has_come, upstream, count), "the request", seconds=0.5)
        assert count < most
        assert len(upstream.requests) < count
        for _ in range(count):
            assert len((await caller.read_answer()).body) == 40 * KIB
            caller.received.clear()
