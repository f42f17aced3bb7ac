"""Back-pressure: both directions slow down to what the receiver takes, and go on with it (F5).

In between stand queues and rows of requests; `test_bodies_that_clog.py` has bodies that end
while they are held back, `test_slow_peers.py` and `test_late_peers.py` the deadlines.
"""

import asyncio

import pytest

from tests.support.messages import Message, assert_problem, reply, request
from tests.support.peers import Channel
from tests.support.running_proxy import proxied
from tests.support.token_server import TokenServer

pytestmark = pytest.mark.usefixtures("no_leaks")

MIB = 1 << 20
LIMIT = 96 * MIB
BOUND = 32 * MIB  # buffers of the kernel, on both hops, and ours


async def _read_all(channel: Channel, size: int) -> int:
    total = 0
    while total < size:
        step = min(size - total, MIB)
        await channel.read(step)
        channel.received.clear()
        total += step
    return total


async def test_a_slow_upstream_slows_the_caller(tokens: TokenServer) -> None:
    """An upload that nobody takes is not read into memory, and goes on when it is taken (F5)."""
    async with proxied(tokens) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("POST /", f"Content-Length: {LIMIT}"))
        server = await upstream.accepted()
        await server.read_head()
        sent = await caller.send_until_stuck(bytes(MIB), LIMIT)
        assert sent < BOUND
        assert await _read_all(server, sent) == sent
        caller.reset()


async def test_a_slow_caller_slows_the_upstream(tokens: TokenServer) -> None:
    """A download that nobody takes is not read into memory, and goes on when it is taken (F5)."""
    async with proxied(tokens) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("GET /"))
        server = await upstream.accepted()
        await server.read_request()
        await server.send(f"HTTP/1.1 200 OK\r\nContent-Length: {LIMIT}\r\n\r\n".encode())
        await caller.read_head()
        sent = await server.send_until_stuck(bytes(MIB), LIMIT)
        assert sent < BOUND
        assert await _read_all(caller, sent) == sent
        server.reset()


async def echo_target(message: Message) -> bytes:
    """Answer with the request's target."""
    return reply(body=message.target.encode())


async def test_reading_goes_on_behind_a_long_row_of_refusals(tokens: TokenServer) -> None:
    """Whoever reads every refusal gets the answers to all that it sent behind them (G6)."""
    refused, count = request("GET /", host="evil.example"), 4000
    async with proxied(tokens, echo_target, access_log="off") as (proxy, _):
        caller = await proxy.connect()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(caller.send(refused * count + request("GET /last")))
            for _ in range(count):
                assert (await caller.read_answer()).status == 421
            assert (await caller.read_answer()).body == b"/last"


async def test_a_body_is_not_read_far_ahead_of_its_connection(tokens: TokenServer) -> None:
    """Who queues for a connection is held after a moment; then the body goes up whole (F5)."""
    piece = bytes(range(256)) * (MIB // 256)
    # Who queues must not be sent away before all is as full as it gets.
    settings = {"max_upstream_connections": 1, "connect_timeout_seconds": 60}
    async with proxied(tokens, None, **settings) as (proxy, upstream):
        first, second = await proxy.connect(), await proxy.connect()
        await first.send(request("GET /first"))
        server = await upstream.accepted()
        await server.read_request()
        await second.send(request("POST /second", f"Content-Length: {1 << 30}"))
        await proxy.metric_becomes(1, "upstream_connections", state="waiting")
        # What is not held goes on to the limit; the systems' own buffers take some of it.
        sent = await second.send_until_stuck(piece, 64 * MIB)
        assert sent < 32 * MIB
        await server.send(reply())
        assert (await first.read_answer()).status == 200
        assert (await server.read_head()).start == b"POST /second HTTP/1.1"
        for _ in range(sent // MIB):
            assert await server.read(MIB) == piece


async def test_a_caller_who_reads_late_gets_every_answer(tokens: TokenServer) -> None:
    """A connection that was held for one answer is read again for the next one (F5, F8)."""
    body, count = bytes(200_000), 60
    async with proxied(tokens, reply(body=body)) as (proxy, upstream):
        caller = proxy.keep(await Channel.small("127.0.0.1", proxy.port))
        await caller.send(request("GET /") * count)
        for _ in range(count):
            assert len((await caller.read_answer()).body) == len(body)
        assert len(upstream.connections) == 1


async def test_who_was_held_may_send_the_rest_of_a_refused_body(tokens: TokenServer) -> None:
    """It is thrown away, so that who sends all before it reads gets its refusal (F5, G6)."""
    size = 32 * MIB
    settings = {"max_upstream_connections": 1, "connect_timeout_seconds": 20}
    async with proxied(tokens, None, **settings) as (proxy, upstream):
        first, second = await proxy.connect(), await proxy.connect()
        await first.send(request("GET /first"))
        server = await upstream.accepted()
        await server.read_request()
        await second.send(request("POST /second", f"Content-Length: {size}"))
        sent = await second.send_until_stuck(bytes(MIB), size)
        assert sent < size
        proxy.put_forward(20)
        await second.send(bytes(size - sent))
        assert_problem(await second.read_answer(), 503, "overloaded")
        await server.send(reply())
        assert (await first.read_answer()).status == 200
