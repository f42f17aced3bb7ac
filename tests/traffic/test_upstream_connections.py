"""Whose connections end when, and what is tried again (F7, F8, F9)."""

import asyncio
import contextlib

import pytest

from tests.support.connect_proxy import ConnectProxy
from tests.support.messages import assert_problem, reply, request
from tests.support.peers import ByteServer, Channel, ClosedEarlyError
from tests.support.running_proxy import RunningProxy, proxied, running_proxy
from tests.support.token_server import TokenServer

pytestmark = pytest.mark.usefixtures("no_leaks")

SOON = 1.0  # seconds: F7


async def used_connection(proxy: RunningProxy, upstream: ByteServer) -> Channel:
    """Return the upstream's end of a connection that has served a request and rests."""
    caller = await proxy.connect()
    await caller.send(request("GET /first"))
    server = await upstream.accepted()
    await server.read_request()
    await server.send(reply(body=b"first"))
    assert (await caller.read_answer()).body == b"first"
    caller.close()
    await proxy.metric_becomes(1, "upstream_connections", state="idle")
    return server


# --- connections that turn out to be closed ---


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_resting_connection_closed_by_the_upstream_is_replaced(
    tokens: TokenServer, method: str, how: str
) -> None:
    """The caller notices nothing (F8)."""
    async with proxied(tokens) as (proxy, upstream):
        getattr(await used_connection(proxy, upstream), how)()
        await proxy.metric_becomes(0, "upstream_connections", state="idle")
        caller = await proxy.connect()
        await caller.send(request(f"{method} /second", "Content-Length: 2", body=b"hi"))
        server = await upstream.accepted()
        assert (await server.read_request()).body == b"hi"
        await server.send(reply(body=b"second"))
        assert (await caller.read_answer()).body == b"second"


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
async def test_a_request_that_may_be_repeated_moves_to_a_fresh_connection(
    tokens: TokenServer, method: str, how: str
) -> None:
    """Where a used connection dies under it before any byte of an answer came (F8)."""
    async with proxied(tokens) as (proxy, upstream):
        stale = await used_connection(proxy, upstream)
        caller = await proxy.connect()
        await caller.send(request(f"{method} /second", "Content-Length: 2", body=b"hi"))
        await stale.read_request()
        getattr(stale, how)()
        server = await upstream.accepted()
        message = await server.read_request()
        assert (message.target, message.body) == ("/second", b"hi")
        await server.send(reply(body=b"second"))
        assert (await caller.read_answer(method)).status == 200


async def test_a_request_moves_once(tokens: TokenServer) -> None:
    """A second connection that dies gives 502 (F8)."""
    async with proxied(tokens) as (proxy, upstream):
        stale = await used_connection(proxy, upstream)
        caller = await proxy.connect()
        await caller.send(request("GET /second"))
        await stale.read_request()
        stale.close()
        fresh = await upstream.accepted()
        await fresh.read_request()
        fresh.close()
        answer = await caller.read_answer()
        assert_problem(answer, 502, "upstream_closed")
        assert len(upstream.connections) == 2


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_a_request_that_may_have_been_acted_on_is_not_repeated(
    tokens: TokenServer, method: str
) -> None:
    """A POST that was sent is sent once, whatever happens to its connection (F8)."""
    async with proxied(tokens) as (proxy, upstream):
        stale = await used_connection(proxy, upstream)
        caller = await proxy.connect()
        await caller.send(request(f"{method} /second", "Content-Length: 2", body=b"hi"))
        await stale.read_request()
        stale.close()
        answer = await caller.read_answer()
        assert_problem(answer, 502, "upstream_closed")
        assert len(upstream.connections) == 1


@pytest.mark.parametrize("framing", ["Content-Length: 300000", "Transfer-Encoding: chunked"])
async def test_a_body_that_was_let_go_is_not_repeated(tokens: TokenServer, framing: str) -> None:
    """A PUT beyond MAX_REPLAY_BYTES would arrive without its beginning (F8, T10)."""
    size = 300_000
    body = bytes(size)
    if "chunked" in framing:
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (size, body)
    async with proxied(tokens) as (proxy, upstream):
        stale = await used_connection(proxy, upstream)
        caller = await proxy.connect()
        await caller.send(request("PUT /second", framing, body=body))
        assert len((await stale.read_request()).body) == size
        stale.close()
        assert_problem(await caller.read_answer(), 502, "upstream_closed")
        assert len(upstream.connections) == 1


@pytest.mark.parametrize("begun", [b"H", b"HTTP/1.1 103 Early Hints\r\n\r\n"], ids=["byte", "103"])
async def test_a_request_whose_answer_began_is_not_repeated(
    tokens: TokenServer, begun: bytes
) -> None:
    """One byte of an answer is enough, and so is an interim one (F8)."""
    async with proxied(tokens) as (proxy, upstream):
        stale = await used_connection(proxy, upstream)
        caller = await proxy.connect()
        await caller.send(request("GET /second"))
        await stale.read_request()
        await stale.send(begun)
        stale.close()
        while (answer := await caller.read_answer()).status < 200:
            pass
        assert_problem(answer, 502, "upstream_closed")
        assert len(upstream.connections) == 1


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_fresh_connection_closed_without_an_answer_is_no_reason_to_repeat(
    tokens: TokenServer, how: str
) -> None:
    """Nothing else is retried (F8)."""
    async with proxied(tokens) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("GET /"))
        server = await upstream.accepted()
        await server.read_request()
        getattr(server, how)()
        answer = await caller.read_answer()
        assert_problem(answer, 502, "upstream_closed")
        assert len(upstream.connections) == 1


async def test_a_failed_connection_is_tried_twice(tokens: TokenServer) -> None:
    """Once more, and then the caller learns of it (F8)."""
    async with (
        ConnectProxy(behaviour="close") as egress,
        running_proxy(
            upstream="https://api.test",
            token_url=tokens.token_url,
            egress_proxy=egress.url,
            no_proxy="127.0.0.1",
        ) as proxy,
    ):
        answer = await proxy.ask(request("GET /"))
        assert_problem(answer, 502, "upstream_unreachable")
        assert [asked.target for asked in egress.requests] == ["api.test:443"] * 2


# --- bytes that nobody asked for ---

SURPLUS = reply("408 Request Timeout", "Connection: close", body=b"poison")


FIRST = {
    "length": reply(body=b"first"),
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("first", FIRST.values(), ids=FIRST.keys())
@pytest.mark.parametrize("raw", [SURPLUS, b"\r\n", b"x", reply(body=b"poison")])
async def test_bytes_behind_an_answer_are_nobodys(
    tokens: TokenServer, raw: bytes, first: bytes
) -> None:
    """The connection is closed; the next request gets its own answer over another (F9)."""
    async with proxied(tokens) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("GET /first"))
        server = await upstream.accepted()
        await server.read_request()
        await server.send(first + raw)
        assert (await caller.read_answer()).body == b"first"
        await server.read_whatever(seconds=SOON)
        await caller.send(request("GET /second"))
        fresh = await upstream.accepted()
        await fresh.read_request()
        await fresh.send(reply(body=b"second"))
        assert (await caller.read_answer()).body == b"second"


async def test_bytes_behind_a_whole_piece_of_chunks_are_nobodys(tokens: TokenServer) -> None:
    """Also where the answer ends with a piece that is decoded in one go, 16 KiB (F9, G11)."""
    body = b"x" * 0x3FF3
    raw = b"3FF3\r\n" + body + b"\r\n0\r\n\r\n"
    assert len(raw) == 16 << 10
    async with proxied(tokens) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("GET /first"))
        server = await upstream.accepted()
        await server.read_request()
        await server.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + raw + SURPLUS)
        assert (await caller.read_answer()).body == body
        await server.read_whatever(seconds=SOON)
        await caller.send(request("GET /second"))
        fresh = await upstream.accepted()
        await fresh.read_request()
        await fresh.send(reply(body=b"second"))
        assert (await caller.read_answer()).body == b"second"


@pytest.mark.parametrize("raw", [SURPLUS, b"\r\n", b"x", reply(body=b"poison")])
async def test_bytes_on_a_resting_connection_are_nobodys(tokens: TokenServer, raw: bytes) -> None:
    """Nobody has asked, so nobody is answered; the connection is closed (F9)."""
    async with proxied(tokens) as (proxy, upstream):
        resting = await used_connection(proxy, upstream)
        await resting.send(raw)
        await resting.read_whatever(seconds=SOON)
        caller = await proxy.connect()
        await caller.send(request("GET /second"))
        fresh = await upstream.accepted()
        await fresh.read_request()
        await fresh.send(reply(body=b"second"))
        assert (await caller.read_answer()).body == b"second"


@pytest.mark.parametrize(
    "raw",
    [
        reply("200 OK", "Connection: close"),
        reply("200 OK", "connection: x, CLOSE"),
        reply().replace(b"HTTP/1.1", b"HTTP/1.0"),
    ],
    ids=["close", "in a list", "HTTP/1.0"],
)
async def test_an_announced_close_is_believed(tokens: TokenServer, raw: bytes) -> None:
    """A connection that the upstream will close carries no further request (RFC 9112 §9.6)."""
    async with proxied(tokens) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("GET /first"))
        server = await upstream.accepted()
        await server.read_request()
        await server.send(raw)
        assert (await caller.read_answer()).status == 200
        await server.read_whatever(seconds=SOON)
        assert server.received.count(b"HTTP/1.1") == 1


async def test_an_old_upstream_may_keep_the_connection(tokens: TokenServer) -> None:
    """HTTP/1.0 with keep-alive and a length serves on (RFC 9112 §9.3)."""
    raw = reply("200 OK", "Connection: Keep-Alive", body=b"x").replace(b"HTTP/1.1", b"HTTP/1.0")
    async with proxied(tokens, raw) as (proxy, upstream):
        caller = await proxy.connect()
        for _ in range(2):
            assert (await caller.ask(request("GET /"))).body == b"x"
        assert len(upstream.connections) == 1


async def test_bytes_behind_an_answer_to_head_are_nobodys(tokens: TokenServer) -> None:
    """An upstream that sends a body to HEAD does not answer the next caller with it (F9)."""
    async with proxied(tokens) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("HEAD /first"))
        server = await upstream.accepted()
        await server.read_request()
        await server.send(reply(body=reply(body=b"poison")))
        assert (await caller.read_answer("HEAD")).status == 200
        await caller.send(request("GET /second"))
        fresh = await upstream.accepted()
        await fresh.read_request()
        await fresh.send(reply(body=b"second"))
        assert (await caller.read_answer()).body == b"second"


async def test_a_caller_gets_no_answer_to_what_was_not_asked(tokens: TokenServer) -> None:
    """A truncated upload answered early cannot leave its rest to the next request."""
    async with proxied(tokens) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("POST /", "Content-Length: 100000", body=b"x"))
        server = await upstream.accepted()
        await server.read_head()
        await server.send(reply("400 Bad Request"))
        assert (await caller.read_answer()).status == 400
        with pytest.raises((ClosedEarlyError, ConnectionError)):
            await caller.ask(request("GET /smuggled"))
        assert b"/smuggled" not in upstream.received


async def test_interim_answers_count_for_their_own_request(tokens: TokenServer) -> None:
    """A connection may bring more of them in its life than one answer may (F6, F9)."""
    answer = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + reply()
    async with proxied(tokens, answer) as (proxy, upstream):
        caller = await proxy.connect()
        for _ in range(40):
            assert (await caller.ask(request("GET /"))).status == 103
            assert (await caller.read_answer()).status == 200
        assert len(upstream.connections) == 1


@pytest.mark.parametrize(
    ("line", "late"),
    [
        ("Content-Length: 38", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("Transfer-Encoding: chunked", b"0\r\n\r\n"),
    ],
)
async def test_a_body_that_cannot_be_is_nobodys_answer(
    tokens: TokenServer, line: str, late: bytes
) -> None:
    """No request follows a 204 that declares one: it may still come (F9)."""
    async with proxied(tokens) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("DELETE /"))
        server = await upstream.accepted()
        await server.read_request()
        await server.send(b"HTTP/1.1 204 No Content\r\n" + line.encode() + b"\r\n\r\n")
        answer = await caller.read_answer()
        assert (answer.status, answer.head.value(line.partition(":")[0])) == (204, None)
        await caller.send(request("GET /next"))
        other = await upstream.accepted()
        assert (await other.read_request()).target == "/next"
        with contextlib.suppress(ConnectionError):
            await server.send(late)
        await other.send(reply(body=b"next"))
        assert (await caller.read_answer()).body == b"next"


async def test_an_empty_204_with_a_length_ends_no_connection(tokens: TokenServer) -> None:
    """There is no body to come, so the next request takes the same connection (F8)."""
    answer = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"
    async with proxied(tokens, answer) as (proxy, upstream):
        caller = await proxy.connect()
        for _ in range(2):
            assert (await caller.ask(request("GET /"))).status == 204
        assert len(upstream.connections) == 1


# --- what the upstream says of its connections ---


@pytest.mark.parametrize("line", ["Keep-Alive: timeout=2", "keep-alive: max=5, Timeout=2"])
async def test_a_promised_rest_bounds_the_rest(tokens: TokenServer, line: str) -> None:
    """The connection is closed a second before its time is over, so that nothing meets it (F8)."""
    async with proxied(tokens) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("GET /"))
        server = await upstream.accepted()
        await server.read_request()
        await server.send(reply("200 OK", line))
        await caller.read_answer()
        await server.read_whatever(seconds=2)
        await proxy.metric_becomes(0, "upstream_connections", state="idle")


async def test_nothing_is_sent_when_the_promised_rest_is_over(tokens: TokenServer) -> None:
    """Not even before the next sweep, which looks twice a second, has closed it (F8)."""
    async with proxied(tokens, reply("200 OK", "Keep-Alive: timeout=20")) as (proxy, upstream):
        caller = await proxy.connect()
        for count in range(1, 4):
            assert (await caller.ask(request("POST /"))).status == 200
            assert len(upstream.connections) == count
            proxy.put_forward(19)


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ("Keep-Alive: timeout=0", 2),
        ("Keep-Alive: timeout=1", 2),
        ("Keep-Alive: timeout=60\r\nKeep-Alive: timeout=1", 2),
        ("Keep-Alive: timeout=60", 1),
        ("Keep-Alive: max=1000", 1),
        ("Keep-Alive: timeout=x", 1),
        ("Keep-Alive: mytimeout=1", 1),
    ],
)
async def test_a_rest_of_no_time_is_none(tokens: TokenServer, line: str, count: int) -> None:
    """A connection without one serves once; longer ones, and other words, change nothing (F8)."""
    async with proxied(tokens, reply("200 OK", line)) as (proxy, upstream):
        caller = await proxy.connect()
        for _ in range(2):
            assert (await caller.ask(request("POST /"))).head.value("Keep-Alive") is None
        assert len(upstream.connections) == count


async def test_a_surplus_answer_does_not_meet_who_waits(tokens: TokenServer) -> None:
    """A connection is handed on after the turn, and not while bytes wait on it (F9)."""
    async with proxied(tokens, max_upstream_connections=1) as (proxy, upstream):
        for number in range(50):
            first, second = await proxy.connect(), await proxy.connect()
            await first.send(request("GET /first"))
            if not upstream.connections or number == 0:
                server = await upstream.accepted()
            await server.read_request()
            await second.send(request("GET /second"))
            await proxy.metric_becomes(1, "upstream_connections", state="waiting")
            server.send_at_once(reply(body=b"first"))
            server.send_at_once(reply(body=b"evil"))
            assert (await first.read_answer()).body == b"first"
            server = await upstream.accepted()
            assert (await server.read_request()).target == "/second"
            await server.send(reply(body=b"second"))
            assert (await second.read_answer()).body == b"second"
            for caller in (first, second):
                caller.close()


async def test_a_surplus_answer_that_comes_a_moment_later_meets_nobody(
    tokens: TokenServer,
) -> None:
    """Between the end of an answer and the next request too what has come is looked at (F9)."""
    async with proxied(tokens, max_upstream_connections=1) as (proxy, upstream):
        first, second = await proxy.connect(), await proxy.connect()
        await first.send(request("GET /first"))
        server = await upstream.accepted()
        await server.read_request()
        await second.send(request("GET /second"))
        await proxy.metric_becomes(1, "upstream_connections", state="waiting")
        server.send_at_once(reply(body=b"first"))
        await asyncio.sleep(0)  # the answer is read meanwhile, and the connection not handed on yet
        server.send_at_once(reply(body=b"evil"))
        assert (await first.read_answer()).body == b"first"
        server = await upstream.accepted()
        assert (await server.read_request()).target == "/second"
        await server.send(reply(body=b"second"))
        assert (await second.read_answer()).body == b"second"


async def test_a_connection_that_nobody_has_used_is_replaced_too(tokens: TokenServer) -> None:
    """It was dialled for a caller that left; when it is found closed, nobody notices (F8)."""
    async with proxied(tokens, max_upstream_connections=1) as (proxy, upstream):
        first, second = await proxy.connect(), await proxy.connect()
        await first.send(request("GET /first"))
        server = await upstream.accepted()
        await server.read_request()
        await second.send(request("GET /second"))
        await proxy.metric_becomes(1, "upstream_connections", state="waiting")
        server.reset()
        second.reset()
        unused = await upstream.accepted()
        await proxy.metric_becomes(1, "upstream_connections", state="idle")
        third = await proxy.connect()
        await third.send(request("GET /third"))
        await unused.read_request()
        unused.close()
        server = await upstream.accepted()
        assert (await server.read_request()).target == "/third"
        await server.send(reply())
        assert (await third.read_answer()).status == 200
