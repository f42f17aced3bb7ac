"""Who sends or takes a byte at a time costs nobody else; who is merely slow is served (G9, G12)."""

import asyncio
import contextlib
import itertools
import socket

import pytest

from tests.support.messages import assert_problem, reply, request
from tests.support.peers import ByteServer, Channel, ClosedEarlyError
from tests.support.running_proxy import RunningProxy, proxied, running_proxy
from tests.support.token_server import TokenServer
from tests.support.waiting import eventually, within

pytestmark = pytest.mark.usefixtures("no_leaks")

KIB, MIB = 1 << 10, 1 << 20
LARGE = 64 * MIB


async def dribble(channel: Channel, piece: bytes, pause: float) -> None:
    """Send a piece again and again until nobody takes it."""
    with contextlib.suppress(ConnectionError):
        for _ in itertools.count():
            await channel.send(piece)
            await asyncio.sleep(pause)


def outcomes(proxy: RunningProxy) -> list[str]:
    """Return how the requests so far ended."""
    return [event["outcome"] for event in proxy.logs if event["event"] == "request"]


async def test_slow_senders_of_small_bodies_hold_nothing(tokens: TokenServer) -> None:
    """150 callers that have sent 2 bytes of 1,000 leave every connection to the others (F12)."""
    async with proxied(tokens, reply()) as (proxy, upstream):
        slow = [await proxy.connect() for _ in range(150)]
        for caller in slow:
            await caller.send(request("POST /slow", "Content-Length: 1000", body=b"ab"))
        await proxy.metric_becomes(150, "requests_in_flight")
        assert (await proxy.ask(request("GET /"))).status == 200
        assert [message.target for message in upstream.requests] == ["/"]
        for caller in slow:
            await caller.send(bytes(998))
            assert (await caller.read_answer()).status == 200
        assert len(upstream.requests) == 151


@pytest.mark.parametrize("framing", [f"Content-Length: {LARGE}", "Transfer-Encoding: chunked"])
async def test_slow_senders_of_large_bodies_are_cut(tokens: TokenServer, framing: str) -> None:
    """They hold their connections for one look, and then everybody else is served (G9)."""
    piece = b"1\r\nx\r\n" if "chunked" in framing else b"x"
    async with proxied(tokens, reply(), max_upstream_connections=10, read_timeout_seconds=0.6) as (
        proxy,
        _,
    ):
        slow = [await proxy.connect() for _ in range(15)]
        for caller in slow:
            await caller.send(request("POST /slow", framing))
        async with asyncio.TaskGroup() as tasks:
            dribbling = [tasks.create_task(dribble(caller, piece, 0.1)) for caller in slow]
            assert (await proxy.ask(request("GET /"))).status == 200
            answers = [await caller.read_answer() for caller in slow]
            for task in dribbling:
                task.cancel()
        for answer in answers:
            assert "240 bytes" in assert_problem(answer, 408, "request_timeout")["detail"]


async def test_slow_readers_are_cut(tokens: TokenServer) -> None:
    """120 callers that take a byte a second of their answers leave the others theirs (G9)."""
    answer = f"HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n".encode()
    async with proxied(tokens, max_upstream_connections=5, read_timeout_seconds=0.6) as (
        proxy,
        upstream,
    ):
        slow = [proxy.keep(await Channel.small("127.0.0.1", proxy.port)) for _ in range(5)]
        async with asyncio.TaskGroup() as tasks:
            for caller in slow:
                await caller.send(request("GET /slow"))
                server = await upstream.accepted()
                await server.read_request()
                await server.send(answer)
                tasks.create_task(server.send_until_stuck(bytes(MIB), LARGE, seconds=30))
            other = await proxy.connect()
            await other.send(request("GET /other"))
            server = await upstream.accepted()
            assert (await server.read_request()).target == "/other"
            await server.send(reply())
            assert (await other.read_answer()).status == 200
        for caller in slow:
            with pytest.raises(ClosedEarlyError):
                await caller.read_to_end()
        await eventually(lambda: outcomes(proxy).count("client_stalled") == 5, "the log")


def of_fixed_size() -> socket.socket:
    """Return a socket that tells of what was read from it soon.

    A system lets a receive buffer grow, and says nothing before a part of it is free again.
    """
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 128 * KIB)
    return sock


async def test_a_slow_but_steady_reader_gets_all(tokens: TokenServer) -> None:
    """What counts is what it takes, not when the buffers are empty (G12)."""
    size = 12 * MIB
    async with proxied(tokens, reply(body=bytes(size)), read_timeout_seconds=0.6) as (proxy, _):
        loop = asyncio.get_running_loop()
        with of_fixed_size() as reader:
            reader.setblocking(False)  # noqa: FBT003
            await loop.sock_connect(reader, ("127.0.0.1", proxy.port))
            await loop.sock_sendall(reader, request("GET /", "Connection: close"))
            taken = 0
            for _ in range(40):
                taken += len(await loop.sock_recv(reader, 16 * KIB))
                await asyncio.sleep(0.1)
            assert await proxy.metric("requests_in_flight") == 1
            while part := await loop.sock_recv(reader, MIB):
                taken += len(part)
        assert taken > size
        await eventually(lambda: outcomes(proxy) == ["ok"], "the log")


async def test_a_slow_but_steady_upstream_gets_all(tokens: TokenServer) -> None:
    """The other way round too: an upload is not late while its bytes are taken (G12)."""
    size = 24 * MIB  # more than it takes, and what the systems hold
    listener = of_fixed_size()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    async with (
        ByteServer(listener=listener) as upstream,
        running_proxy(
            upstream=upstream.url, token_url=tokens.token_url, read_timeout_seconds=0.6
        ) as proxy,
    ):
        caller = await proxy.connect()
        await caller.send(request("POST /", f"Content-Length: {size}"))
        server = await upstream.accepted()
        await server.read_head()
        taken = 0
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(caller.send(bytes(size)))
            for _ in range(30):
                taken += len(await server.read(128 * KIB))
                await asyncio.sleep(0.1)
            assert await proxy.metric("requests_in_flight") == 1
            while taken < size:
                taken += len(await server.read(min(size - taken, MIB)))
                server.received.clear()
        await server.send(reply())
        assert (await caller.read_answer()).status == 200


async def test_an_upstream_that_takes_nothing_is_the_one_that_is_late(tokens: TokenServer) -> None:
    """Its caller, who would send more, gets 504 and not 408 (G9)."""
    async with proxied(tokens, read_timeout_seconds=0.6) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("POST /", f"Content-Length: {LARGE}"))
        server = await upstream.accepted()
        await server.read_head()
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(caller.send_until_stuck(bytes(MIB), LARGE, seconds=30))
            assert_problem(await caller.read_answer(), 504, "upstream_timeout")
            sending.cancel()
        assert await proxy.metric("upstream_errors_total", reason="timeout") == 1


async def test_a_caller_that_takes_no_reply_is_called_stalled(tokens: TokenServer) -> None:
    """Not late with a head, and the log says so (G9)."""
    async with proxied(tokens, reply(), read_timeout_seconds=0.6) as (proxy, _):
        caller = proxy.keep(await Channel.small("127.0.0.1", proxy.port))
        await caller.send_until_stuck(request("GET /", host="evil.example") * 4000, 64 * MIB)
        await eventually(lambda: "client_stalled" in outcomes(proxy), "the end of patience")
        with pytest.raises(ClosedEarlyError):
            await caller.read_to_end()
        assert b"408" not in caller.received


async def test_the_rest_of_an_answer_is_late_as_any_part_of_it(tokens: TokenServer) -> None:
    """A caller that takes nothing of a last answer is reset, and one that takes it gets all."""
    size = 8 * MIB
    async with proxied(tokens, reply(body=bytes(size)), read_timeout_seconds=0.6) as (proxy, _):
        callers = [proxy.keep(await Channel.small("127.0.0.1", proxy.port)) for _ in range(2)]
        for caller in callers:
            await caller.send(request("GET /", "Connection: close"))
        steady, stuck = callers
        assert len(await within(steady.read_to_end(), "all of it")) > size
        await proxy.metric_becomes(0, "caller_connections")
        with pytest.raises(ClosedEarlyError):
            await stuck.read_to_end()


async def test_a_reader_in_the_way_of_others_has_no_time_to_digest(tokens: TokenServer) -> None:
    """A burst gives it three times as long, unless somebody waits for what it holds (G9)."""
    answer = f"HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n".encode()
    async with proxied(
        tokens, read_timeout_seconds=3, connect_timeout_seconds=8, max_upstream_connections=1
    ) as (proxy, upstream):
        stuck, other = await proxy.connect(), await proxy.connect()
        await stuck.send(request("GET /stuck"))
        server = await upstream.accepted()
        await server.read_request()
        await server.send(answer)
        assert await server.send_until_stuck(bytes(MIB), LARGE, seconds=0.3) < LARGE
        await other.send(request("GET /other"))
        fresh = await upstream.accepted()
        assert (await fresh.read_request()).target == "/other"
        await fresh.send(reply())
        assert (await other.read_answer()).status == 200
        await eventually(lambda: outcomes(proxy) == ["client_stalled", "ok"], "the log")


async def test_a_reader_that_took_a_burst_may_digest_it(tokens: TokenServer) -> None:
    """While nobody waits for what it holds, three times as long as others have (G9, G12)."""
    period, size = 10.0, 12 * MIB
    settings = {"read_timeout_seconds": period, "upstream_idle_seconds": 0.2}
    async with proxied(tokens, reply(body=bytes(size)), **settings) as (proxy, _):
        caller = await proxy.connect()
        await caller.send(request("GET /"))
        await caller.read_head()
        for _ in range(13):
            proxy.put_forward(0.2 * period)
            await asyncio.sleep(0.15)  # the sweep looks ten times a second, so it sees each step
        assert len(await caller.read(size)) == size
