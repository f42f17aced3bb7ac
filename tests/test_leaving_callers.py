"""Callers that leave, and what becomes of their requests (F7)."""

import pytest

from tests.messages import reply, request
from tests.running_proxy import proxied
from tests.token_server import TokenServer
from tests.waiting import within

pytestmark = pytest.mark.usefixtures("no_leaks")

SOON = 1.0  # seconds: F7


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("body", [False, True], ids=["get", "upload"])
@pytest.mark.parametrize("relaying", [False, True], ids=["before-answer", "inside-answer"])
async def test_a_caller_who_leaves_cancels_the_upstream_request(
    tokens: TokenServer, how: str, *, body: bool, relaying: bool
) -> None:
    """The upstream's connection is closed within a second (F7)."""
    async with proxied(tokens) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(
            request("POST /", "Content-Length: 9", body=b"abc") if body else request("GET /")
        )
        server = await upstream.accepted()
        await server.read_head()
        if relaying:
            await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
            await caller.read_head()
        getattr(caller, how)()
        await server.read_whatever(seconds=SOON + 0.5)
        await proxy.metric_becomes(0, "requests_in_flight")


async def test_a_caller_who_leaves_while_downloading_stops_the_download(
    tokens: TokenServer,
) -> None:
    """An upstream that keeps sending is stopped within a second (F7)."""
    async with proxied(tokens) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("GET /"))
        server = await upstream.accepted()
        await server.read_request()
        await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        await caller.read_head()
        caller.close()
        sent = await within(server.send_until_stuck(bytes(1 << 20), 1 << 30), "the cut", SOON)
        assert sent < 1 << 30


async def test_a_caller_who_leaves_while_queueing_leaves_the_queue(tokens: TokenServer) -> None:
    """Nobody's request is sent for a caller who has gone (F7)."""
    async with proxied(tokens, max_upstream_connections=1) as (proxy, upstream):
        first, second, third = [await proxy.connect() for _ in range(3)]
        await first.send(request("GET /first"))
        server = await upstream.accepted()
        await server.read_request()
        await second.send(request("GET /second"))
        await proxy.metric_becomes(1, "upstream_connections", state="waiting")
        second.close()
        await proxy.metric_becomes(0, "upstream_connections", state="waiting")
        await third.send(request("GET /third"))
        await server.send(reply())
        assert (await server.read_request()).target == "/third"
        await server.send(reply())
        assert (await third.read_answer()).status == 200


async def test_an_upload_cut_short_does_not_end_as_a_whole_one(tokens: TokenServer) -> None:
    """The upstream never sees the last chunk of a body that the caller did not finish."""
    async with proxied(tokens) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("POST /", "Transfer-Encoding: chunked", body=b"3\r\nabc\r\n"))
        server = await upstream.accepted()
        await server.read_head()
        caller.close()
        assert b"\r\n0\r\n" not in await server.read_whatever(seconds=SOON + 0.5)


async def test_a_caller_who_half_closes_still_gets_a_prompt_answer(tokens: TokenServer) -> None:
    """`shutdown(SHUT_WR)` after a whole request says no more than that (RFC 9112 §9.6)."""
    async with proxied(tokens, reply(body=b"hello")) as (proxy, _):
        caller = await proxy.connect()
        await caller.send(request("GET /"))
        caller.half_close()
        assert (await caller.read_answer()).body == b"hello"
        assert await caller.read_to_end() == b""
