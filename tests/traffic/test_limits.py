"""Limits of time, size and number (G6, F8)."""

import asyncio
import contextlib
import tracemalloc

import pytest

from tests.support.messages import Message, assert_problem, reply, request
from tests.support.peers import Channel, ClosedEarlyError
from tests.support.running_proxy import proxied
from tests.support.token_server import TokenServer
from tests.support.waiting import eventually, within

pytestmark = pytest.mark.usefixtures("no_leaks")

KIB = 1024


@pytest.mark.parametrize("line", ["A: " + "b" * 31 * KIB, "A: b\r\n" * (5 * KIB) + "C: d"])
async def test_a_large_head_is_let_through(tokens: TokenServer, line: str) -> None:
    """Up to 32 KiB, in one line or in many (G6)."""
    async with proxied(tokens, reply()) as (proxy, _):
        assert (await proxy.ask(request("GET /", *line.split("\r\n")))).status == 200


@pytest.mark.parametrize(
    "raw",
    [
        request("GET /", "A: " + "b" * 33 * KIB),
        request("GET /", *["A: b"] * (6 * KIB)),
        request("GET /" + "x" * 33 * KIB),
        request("GET /", "A: " + "b" * 33 * KIB)[:-2],
    ],
    ids=["line", "lines", "target", "unfinished"],
)
async def test_a_larger_head_is_refused(tokens: TokenServer, raw: bytes) -> None:
    """Over 32 KiB there is 431, and the connection is closed (G6)."""
    async with proxied(tokens, reply()) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(raw)
        answer = await caller.read_answer()
        assert_problem(answer, 431, "head_too_large")
        assert await caller.read_to_end() == b""
        assert upstream.received == b""


async def test_a_large_head_of_an_answer_is_let_through(tokens: TokenServer) -> None:
    """Up to 60 KiB: cookies and policies of a real site take some."""
    lines = [f"Set-Cookie: {number}={'x' * 1000}" for number in range(58)]
    async with proxied(tokens, reply("200 OK", *lines)) as (proxy, _):
        assert len((await proxy.ask(request("GET /"))).head.values("Set-Cookie")) == 58


async def test_a_slow_head_is_refused(tokens: TokenServer) -> None:
    """The time counts from the first byte, however steadily others follow (G6)."""
    async with proxied(tokens, reply(), head_timeout_seconds=0.6) as (proxy, upstream):
        caller = await proxy.connect()

        async def dribble() -> None:
            for byte in request("GET /", "A: " + "b" * 1000):
                await caller.send(bytes((byte,)))
                await asyncio.sleep(0.05)

        async with asyncio.TaskGroup() as tasks:
            dribbling = tasks.create_task(dribble())
            answer = await caller.read_answer(seconds=3)
            dribbling.cancel()
        assert_problem(answer, 408, "request_timeout")
        assert await caller.read_to_end() == b""
        assert upstream.received == b""


async def test_a_body_that_stops_coming_is_cut(tokens: TokenServer) -> None:
    """The caller gets 408, the upstream sees no end of the body (G6)."""
    async with proxied(tokens, read_timeout_seconds=0.4) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("POST /", "Transfer-Encoding: chunked", body=b"3\r\nabc\r\n"))
        server = await upstream.accepted()
        answer = await caller.read_answer(seconds=3)
        assert_problem(answer, 408, "request_timeout")
        assert b"\r\n0\r\n" not in await server.read_whatever()


async def dribbled(caller: Channel, piece: bytes, pause: float) -> Message:
    """Send a piece again and again until there is an answer."""

    async def dribble() -> None:
        with contextlib.suppress(ConnectionError):
            for _ in range(1_000_000):
                await caller.send(piece)
                await asyncio.sleep(pause)

    async with asyncio.TaskGroup() as tasks:
        dribbling = tasks.create_task(dribble())
        answer = await caller.read_answer(seconds=5)
        dribbling.cancel()
    return answer


@pytest.mark.parametrize("framing", ["Content-Length: 1000000", "Transfer-Encoding: chunked"])
async def test_a_body_that_dribbles_is_cut(tokens: TokenServer, framing: str) -> None:
    """Less than 240 bytes a second is no progress, however steadily they come (G9)."""
    async with proxied(tokens, read_timeout_seconds=0.6) as (proxy, _):
        caller = await proxy.connect()
        await caller.send(request("POST /", framing))
        piece = b"1\r\nx\r\n" if "chunked" in framing else b"x"
        assert_problem(await dribbled(caller, piece, 0.05), 408, "request_timeout")


async def test_a_slow_but_steady_body_gets_through(tokens: TokenServer) -> None:
    """It may take far longer than READ_TIMEOUT_SECONDS as long as it gets on."""
    async with proxied(tokens, reply(), read_timeout_seconds=0.6) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("POST /", "Content-Length: 20000"))
        for _ in range(20):
            await caller.send(b"x" * 1000)
            await asyncio.sleep(0.06)
        assert (await caller.read_answer()).status == 200
        assert len(upstream.requests[0].body) == 20_000


async def test_a_steady_body_does_not_prolong_the_queue(tokens: TokenServer) -> None:
    """Who waits for a connection has CONNECT_TIMEOUT_SECONDS, whatever else it sends (G6)."""
    settings = {"max_upstream_connections": 1, "connect_timeout_seconds": 8}
    async with proxied(tokens, None, **settings) as (proxy, upstream):
        first, second = await proxy.connect(), await proxy.connect()
        await first.send(request("GET /first"))
        server = await upstream.accepted()
        await server.read_request()
        await second.send(request("POST /second", "Content-Length: 1000000"))

        async def upload() -> None:
            while True:
                await second.send(bytes(2 * KIB))
                proxy.put_forward(2)
                await asyncio.sleep(0.2)

        async with asyncio.TaskGroup() as tasks:
            uploading = tasks.create_task(upload())
            answer = await second.read_answer(seconds=5)
            uploading.cancel()
        assert_problem(answer, 503, "overloaded")
        await server.send(reply())
        assert (await first.read_answer()).status == 200


async def test_an_upstream_that_says_nothing(tokens: TokenServer) -> None:
    """READ_TIMEOUT_SECONDS of silence before the head give 504 and end its connection."""
    async with proxied(tokens, read_timeout_seconds=0.4) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("GET /"))
        server = await upstream.accepted()
        answer = await caller.read_answer(seconds=3)
        assert_problem(answer, 504, "upstream_timeout")
        await server.read_whatever()
        assert await proxy.metric("upstream_errors_total", reason="timeout") == 1


async def test_an_upstream_that_falls_silent(tokens: TokenServer) -> None:
    """READ_TIMEOUT_SECONDS of silence inside an answer cut it (F7)."""
    async with proxied(tokens, read_timeout_seconds=0.4) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("GET /"))
        server = await upstream.accepted()
        await server.read_request()
        await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        with pytest.raises(ClosedEarlyError):
            await caller.read_answer(seconds=3)
        await server.read_whatever()
        assert await proxy.metric("upstream_errors_total", reason="timeout") == 1
        assert proxy.logs[-1]["outcome"] == "upstream_timeout"


async def test_an_upstream_that_is_slow_but_speaks(tokens: TokenServer) -> None:
    """The time counts from the last byte: an answer may take far longer."""
    async with proxied(tokens, read_timeout_seconds=60) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("GET /"))
        server = await upstream.accepted()
        await server.read_request()
        await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n")
        await caller.read_head()
        for _ in range(3):
            proxy.put_forward(40)
            await asyncio.sleep(0.6)  # the sweep looks twice a second
            await server.send(b"x")
            assert await caller.read(1) == b"x"


async def test_a_caller_that_stops_reading(tokens: TokenServer) -> None:
    """It holds an upstream connection for 10 seconds, or READ_TIMEOUT_SECONDS if less (G9)."""
    async with proxied(tokens, read_timeout_seconds=0.5) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("GET /"))
        server = await upstream.accepted()
        await server.read_request()
        await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        await server.send_until_stuck(bytes(1 << 20), 1 << 30, seconds=0.3)
        await server.read_whatever()
        await proxy.metric_becomes(0, "requests_in_flight")
        assert await proxy.metric("upstream_errors_total") == 0
        assert proxy.logs[-1]["outcome"] == "client_stalled"


async def test_a_caller_that_never_reads_its_answers(tokens: TokenServer) -> None:
    """Pipelined requests are not answered into memory: the proxy stops reading them (F5)."""
    async with proxied(tokens, reply(body=bytes(1 << 20))) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send_until_stuck(request("GET /") * 1000, 1 << 24)
        assert len(upstream.requests) < 40
        for _ in range(len(upstream.requests) + 5):
            assert len((await caller.read_answer()).body) == 1 << 20
            caller.received.clear()


async def test_a_flood_of_refused_requests_is_not_read_into_memory(tokens: TokenServer) -> None:
    """Who sends one after the other and never reads a reply is not read any further (G6)."""
    async with proxied(tokens, reply(), access_log="off") as (proxy, _):
        flooder = await proxy.connect()
        await flooder.send_until_stuck(request("GET /", host="evil.example") * 5000, 1 << 20)
        more = bytes(1 << 20)
        tracemalloc.start()
        try:
            await flooder.send_until_stuck(more, 1 << 26, seconds=2)
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert held < 4 << 20
        assert (await proxy.ask(request("GET /"))).status == 200


async def test_a_flood_of_refused_requests_stalls_nobody(tokens: TokenServer) -> None:
    """While one caller's refusals are written and read, others have their turns (G6)."""
    async with proxied(tokens, reply(), access_log="off") as (proxy, _):
        flooder, other = await proxy.connect(), await proxy.connect()
        # The dial looks the name up in a thread, which a busy machine may let wait.
        assert (await other.ask(request("GET /"))).status == 200
        flood = request("GET /", host="evil.example") * 100_000
        async with asyncio.TaskGroup() as tasks:
            pouring = tasks.create_task(flooder.send(flood))
            reading = tasks.create_task(flooder.read_whatever())
            await eventually(lambda: bool(flooder.received), "the first refusals")
            before = flooder.received.count(b"421 ")
            assert (await other.ask(request("GET /"))).status == 200
            assert flooder.received.count(b"421 ") - before < 3000
            pouring.cancel()
            reading.cancel()


async def test_requests_queue_for_a_connection(tokens: TokenServer) -> None:
    """Beyond MAX_UPSTREAM_CONNECTIONS they wait their turn, in order."""
    async with proxied(tokens, max_upstream_connections=2) as (proxy, upstream):
        callers = [await proxy.connect() for _ in range(6)]
        for number, caller in enumerate(callers):
            await caller.send(request(f"GET /{number}"))
            await proxy.metric_becomes(number + 1, "requests_in_flight")
        # Which of two that are dialled at once is there first is nobody's to say.
        served = [await upstream.accepted() for _ in range(2)]
        targets = {(await server.read_request()).target: server for server in served}
        assert sorted(targets) == ["/0", "/1"]
        for number in range(6):
            server = targets[f"/{number}"]
            await server.send(reply())
            if number < 4:
                targets[(await server.read_request()).target] = server
                assert f"/{number + 2}" in targets
        for caller in callers:
            assert (await caller.read_answer()).status == 200
        assert len(upstream.connections) == 2


async def test_a_long_queue_is_cut(tokens: TokenServer) -> None:
    """After CONNECT_TIMEOUT_SECONDS in the queue there is 503 `overloaded` with Retry-After."""
    settings = {"max_upstream_connections": 1, "connect_timeout_seconds": 8}
    async with proxied(tokens, None, **settings) as (proxy, upstream):
        first, second = await proxy.connect(), await proxy.connect()
        await first.send(request("GET /first"))
        server = await upstream.accepted()
        await server.read_request()
        await second.send(request("GET /second"))
        await proxy.metric_becomes(1, "upstream_connections", state="waiting")
        proxy.put_forward(8)
        answer = await second.read_answer(seconds=3)
        assert_problem(answer, 503, "overloaded")
        for name in ("rejected_total", "error_replies_total"):
            assert await proxy.metric(name, reason="overloaded") == 1
        assert await proxy.metric("upstream_connections_limit") == 1
        assert await proxy.metric("caller_connections") == len(proxy.callers)
        assert int(answer.head.value("Retry-After") or "") >= 1
        await server.send(reply())
        assert (await first.read_answer()).status == 200
        assert await server.stays_silent()


async def test_many_callers_at_once(tokens: TokenServer) -> None:
    """Five hundred callers over a hundred connections all get their own answer."""

    async def echo(message: Message) -> bytes:
        return reply(body=message.target.encode())

    async with proxied(tokens, echo) as (proxy, upstream):

        async def call(number: int) -> None:
            caller = await proxy.connect()
            for turn in range(4):
                target = f"/{number}/{turn}"
                assert (await caller.ask(request(f"GET {target}"))).body == target.encode()

        async with asyncio.TaskGroup() as tasks:
            for number in range(500):
                tasks.create_task(call(number))
        assert len(upstream.connections) <= 100
        await within(proxy.metric_becomes(0, "requests_in_flight"), "the last request")


async def test_resting_connections_to_the_admin_port_are_bounded(tokens: TokenServer) -> None:
    """However many are opened and say nothing, or half of a head, probes are answered (G6)."""
    async with proxied(tokens, reply()) as (proxy, _):
        resting = []
        for number in range(300):
            resting.append(proxy.keep(await Channel.connect("127.0.0.1", proxy.admin_port)))
            if number % 2:
                await resting[-1].send(b"GET /livez HT")
        assert (await proxy.admin("GET /livez")).status == 200
        for oldest in resting[:200]:
            await oldest.read_whatever()
        assert (await proxy.ask(request("GET /"))).status == 200


async def test_a_connection_to_the_admin_port_outlives_a_few_others(tokens: TokenServer) -> None:
    """A scrape in its middle is not what has to go."""
    async with proxied(tokens, reply()) as (proxy, _):
        scrape = proxy.keep(await Channel.connect("127.0.0.1", proxy.admin_port))
        await scrape.send(b"GET /metrics HTTP/1.1\r\n")
        for _ in range(20):
            proxy.keep(await Channel.connect("127.0.0.1", proxy.admin_port))
        await scrape.send(b"Host: localhost\r\n\r\n")
        assert (await scrape.read_answer()).status == 200
