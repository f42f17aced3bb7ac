"""Callers that leave, and what becomes of their requests (F7)."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from proxy.net.stream import Connection
from tests.support.messages import Message, reply, request
from tests.support.peers import Channel, ClosedEarlyError
from tests.support.running_proxy import RunningProxy, proxied
from tests.support.token_server import TokenServer
from tests.support.waiting import eventually, within

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
        framing = "Transfer-Encoding: chunked"
        await caller.send(
            request("POST /", framing, body=b"3\r\nabc\r\n") if body else request("GET /")
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


async def test_a_caller_who_half_closes_sees_that_the_rest_is_missing(
    tokens: TokenServer,
) -> None:
    """It is taken for one who left; what it has of an answer is not all (F7)."""
    async with proxied(tokens, read_timeout_seconds=1) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("GET / HTTP/1.0"))
        server = await upstream.accepted()
        await server.read_request()
        await server.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        await caller.read_head()
        caller.half_close()
        with pytest.raises(ClosedEarlyError):
            await caller.read_to_end()


async def test_an_abort_with_bytes_unsent_is_a_reset() -> None:
    """What was cut off does not end in good order; what is written whole does (F7)."""
    accepted: asyncio.Queue[Connection] = asyncio.Queue()

    class Accepting(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            connection = Connection()
            connection.connection_made(transport)
            accepted.put_nowait(connection)

    loop = asyncio.get_running_loop()
    async with await loop.create_server(Accepting, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        whole = await Channel.connect("127.0.0.1", port)
        connection = await accepted.get()
        connection.write(b"all")
        connection.abort()
        assert await whole.read_to_end() == b"all"
        whole.close()
        cut = await Channel.connect("127.0.0.1", port)
        connection = await accepted.get()
        connection.write(bytes(1 << 25))
        assert connection.has_unsent
        connection.abort()
        with pytest.raises(ClosedEarlyError):
            await cut.read_to_end()
        cut.close()


async def unread(proxy: RunningProxy, size: int) -> Channel | None:
    """Ask by HTTP/1.0 for `size` bytes; return the caller if the proxy needs no more reading."""
    caller = proxy.keep(await Channel.small("127.0.0.1", proxy.port))
    booked = len(proxy.logs)
    await caller.send(request(f"GET /{size} HTTP/1.0"))
    with contextlib.suppress(AssertionError):
        await eventually(lambda: len(proxy.logs) > booked, "the end of the exchange", seconds=0.4)
        return caller
    caller.reset()
    await eventually(lambda: len(proxy.logs) > booked, "the end of the caller")
    return None


async def test_the_end_of_an_answer_is_not_lost_unseen(tokens: TokenServer) -> None:
    """Who takes the last bytes too late sees a broken connection, and never a whole answer (F7).

    HTTP/1.0 has no other sign of a body's end. The sizes are those about which
    the proxy has sent everything on, but its own system not yet.
    """

    async def chunked(message: Message) -> bytes:
        size = int(message.target[1:])
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        return head + b"%x\r\n%b\r\n0\r\n\r\n" % (size, bytes(size))

    step, small = 1 << 20, 40 << 10
    async with proxied(tokens, chunked, read_timeout_seconds=1) as (proxy, _):
        size = small
        while (caller := await unread(proxy, size + step)) is not None:
            caller.reset()
            size += step
        callers = {}
        while (caller := await unread(proxy, size)) is not None:
            callers[size] = caller
            size += small
        await proxy.metric_becomes(0, "caller_connections")
        for size, caller in [*callers.items()][-4:]:
            with contextlib.suppress(ClosedEarlyError):
                body = (await caller.read_to_end()).partition(b"\r\n\r\n")[2]
                assert len(body) == size


# --- whatever a request is at when its caller leaves ---


@pytest.mark.parametrize("how", ["close", "reset", "half_close"])
async def test_who_leaves_at_once_leaves_nothing_running(tokens: TokenServer, how: str) -> None:
    """Right behind its request, before there is a connection to send it on (F7)."""
    async with proxied(tokens) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("GET /"))
        getattr(caller, how)()
        await proxy.metric_becomes(0, "requests_in_flight")
        await proxy.metric_becomes(0, "upstream_connections", state="active")
        for server in upstream.connections:
            assert await server.stays_silent(SOON) or server.received
        if how == "half_close":
            assert await caller.read_to_end() == b""


@pytest.mark.parametrize("how", ["close", "reset", "half_close"])
@pytest.mark.parametrize("body", [b"", b"abc"], ids=["no-body", "body"])
async def test_nothing_is_sent_for_who_left_before_the_first_token(
    tokens: TokenServer, how: str, body: bytes
) -> None:
    """The request that waited for it is gone with its caller (F7)."""
    tokens.gate.clear()
    async with proxied(tokens, reply()) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("POST /left", f"Content-Length: {len(body)}", body=body))
        await proxy.metric_becomes(1, "requests_in_flight")
        getattr(caller, how)()
        await proxy.metric_becomes(0, "requests_in_flight")
        tokens.gate.set()
        assert (await proxy.ask(request("GET /next"))).status == 200
        assert [message.target for message in upstream.requests] == ["/next"]


async def connected(proxy: RunningProxy, path: Path | None) -> Channel:
    """Return a caller over TCP, or over a Unix socket."""
    if path is None:
        return await proxy.connect()
    return proxy.keep(await Channel.connect_unix(str(path)))


@pytest.mark.parametrize("is_unix", [False, True], ids=["tcp", "unix"])
@pytest.mark.parametrize("how", ["close", "half_close"])
@pytest.mark.parametrize("state", ["collecting", "uploading", "held", "waiting", "relaying"])
async def test_who_leaves_is_noticed_whatever_the_state(
    tokens: TokenServer, tmp_path: Path, state: str, how: str, *, is_unix: bool
) -> None:
    """By FIN alone or not, over TCP or not: the upstream request ends within a second (F7)."""
    path = tmp_path / "s" if is_unix else None
    listen = "127.0.0.1:0" if path is None else f"127.0.0.1:0,unix:{path}"
    async with proxied(tokens, listen=listen) as (proxy, upstream):
        caller = await connected(proxy, path)
        size = {"collecting": 1000, "uploading": 1 << 20, "held": 1 << 28}.get(state, 0)
        await caller.send(request("POST /", f"Content-Length: {size}", body=b"abc"[:size]))
        if state == "collecting":
            await proxy.metric_becomes(1, "requests_in_flight")
        else:
            server = await upstream.accepted()
            await server.read_head()
        if state == "held":
            await caller.send_until_stuck(bytes(1 << 20), size, seconds=0.3)
        if state == "relaying":
            await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
            await caller.read_head()
        if state == "held" and how == "half_close":
            caller.shut_down()
        else:
            getattr(caller, how)()
        for server in upstream.connections:
            await server.read_whatever(seconds=SOON + 1)
        await proxy.metric_becomes(0, "requests_in_flight")
        ended = [event for event in proxy.logs if event["event"] == "request"]
        assert [event["outcome"] for event in ended] == ["client_left"]


@pytest.mark.parametrize("how", ["close", "half_close", "reset"])
async def test_who_leaves_is_noticed_although_nothing_is_read(
    tokens: TokenServer, how: str
) -> None:
    """Behind more of a body than is taken in for who queues: its end shows in no byte (F7)."""
    size, begun = 1 << 20, bytes(100 << 10)
    async with proxied(tokens, max_upstream_connections=1, connect_timeout_seconds=60) as (
        proxy,
        upstream,
    ):
        first, leaving = await proxy.connect(), await proxy.connect()
        await first.send(request("GET /first"))
        server = await upstream.accepted()
        await server.read_request()
        await leaving.send(request("POST /", f"Content-Length: {size}", body=begun))
        await proxy.metric_becomes(1, "upstream_connections", state="waiting")
        await proxy.metric("requests_in_flight")
        await leaving.send(b"and what nobody reads")
        getattr(leaving, how)()
        left = proxy.metric_becomes(0, "upstream_connections", state="waiting")
        await within(left, "the end", SOON + 1)
        await server.send(reply())
        assert (await first.read_answer()).status == 200
        assert b"POST" not in upstream.received


async def test_who_breaks_off_is_noticed_although_nothing_is_read(tokens: TokenServer) -> None:
    """Behind a body that the upstream does not take: a reset comes through at once (F7)."""
    async with proxied(tokens) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("POST /", f"Content-Length: {1 << 28}"))
        server = await upstream.accepted()
        await server.read_head()
        sent = await caller.send_until_stuck(bytes(1 << 20), 1 << 28, seconds=0.3)
        assert sent < 1 << 28
        caller.reset()
        await within(proxy.metric_becomes(0, "requests_in_flight"), "the end", SOON + 1)
        await proxy.metric_becomes(0, "upstream_connections", state="active")
        await eventually(lambda: proxy.logs[-1]["event"] == "request", "the log")
        assert proxy.logs[-1]["outcome"] == "client_left"
