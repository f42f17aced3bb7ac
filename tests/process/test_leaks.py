"""After each fault, many times over, nothing is left: objects, tasks, connections, waiters."""

import asyncio
import contextlib
import gc
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.support.messages import reply, request
from tests.support.peers import ByteServer, Channel, ClosedEarlyError
from tests.support.ports import refusing_port
from tests.support.running_proxy import RunningProxy, running_proxy
from tests.support.token_server import TokenServer
from tests.support.waiting import eventually, task_group

pytestmark = pytest.mark.usefixtures("no_leaks")

ROUNDS = 25
LOOKS = 5
CALLERS = 4
OK = b"HTTP/1.1 200 OK\r\n"
LONG = OK + b"Content-Length: 1000000\r\n\r\n"
Play = Callable[[Channel], Awaitable[None]]


def closing(*pieces: bytes) -> Play:
    """Return an upstream that sends the pieces and closes."""

    async def play(server: Channel) -> None:
        await server.read_request()
        for piece in pieces:
            await server.send(piece)
        server.close()

    return play


def resetting(*pieces: bytes) -> Play:
    """Return an upstream that sends the pieces and resets the connection."""

    async def play(server: Channel) -> None:
        await server.read_request()
        for piece in pieces:
            await server.send(piece)
        server.reset()

    return play


def staying(*pieces: bytes) -> Play:
    """Return an upstream that sends the pieces and says nothing more."""

    async def play(server: Channel) -> None:
        await server.read_request()
        for piece in pieces:
            await server.send_until_stuck(piece, 1, seconds=0.1)
        await server.read_whatever()

    return play


async def without_reading(server: Channel) -> None:
    """Reset before the request was read."""
    server.reset()


async def once_more(server: Channel) -> None:
    """Answer once, and close at the moment that the connection is used again."""
    await server.read_request()
    await server.send(reply())
    await server.read_head()
    server.reset()


UPSTREAMS: dict[str, Play] = {
    "reset before the request is read": without_reading,
    "closed without an answer": closing(),
    "reset before the head": resetting(),
    "closed inside the head": closing(b"HTTP/1.1 200 OK\r\nConte"),
    "reset inside the head": resetting(b"HTTP/1.1 2"),
    "closed inside the body": closing(LONG + b"abc"),
    "reset inside the body": resetting(LONG + b"abc"),
    "closed inside a chunk": closing(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab"),
    "stalled before the head": staying(),
    "stalled inside the head": staying(b"HTTP/1.1 200"),
    "stalled inside the body": staying(LONG + b"abc"),
    "surplus bytes": staying(reply(body=b"x") + b"surplus"),
    "an answer too many": staying(reply(body=b"x") + reply(body=b"y")),
    "an answer that nobody asked for": staying(reply(body=b"x"), reply("408 Request Timeout")),
    "101": staying(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"),
    "1xx flood": staying(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 5_000),
    "endless head": staying(OK + b"A: b\r\n" * 100_000),
    "two framings": staying(OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
    "garbage": staying(b"\x00\x01\x02garbage\r\n\r\n"),
    "401 always": staying(reply("401 Unauthorized"), reply("401 Unauthorized")),
    "closed at the moment of reuse": once_more,
    "endless trailers": staying(
        OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: y\r\n" * 90_000
    ),
}


@contextlib.asynccontextmanager
async def played(play: Play) -> AsyncIterator[ByteServer]:
    """Run an upstream that does the same on every connection."""
    async with ByteServer() as server, task_group() as tasks:

        async def one(channel: Channel) -> None:
            with contextlib.suppress(ConnectionError, AssertionError):
                await play(channel)

        async def accept() -> None:
            while True:
                tasks.create_task(one(await server.accepted(3600)), name="peer")

        accepting = tasks.create_task(accept(), name="peer")
        try:
            yield server
        finally:
            accepting.cancel()
            for channel in server.connections:
                channel.reset()


def ours() -> Counter[str]:
    """Count the living objects of the proxy by type."""
    gc.collect()
    kinds = (type(thing) for thing in gc.get_objects())
    return Counter(
        f"{kind.__module__}.{kind.__qualname__}"
        for kind in kinds
        if str(kind.__module__).startswith("proxy.") or kind is asyncio.Task
    )


async def try_once(proxy: RunningProxy, raw: bytes) -> None:
    """Send a request and take whatever comes."""
    caller = await proxy.connect()
    with contextlib.suppress(ConnectionError):
        await caller.send(raw)
        with contextlib.suppress(ClosedEarlyError, AssertionError):
            await caller.read_answer(seconds=3)
    caller.reset()
    proxy.callers.remove(caller)


async def storm(proxy: RunningProxy, raw: bytes, rounds: int) -> None:
    """Let some callers meet the fault again and again, all at once."""

    async def repeat() -> None:
        for _ in range(rounds):
            await try_once(proxy, raw)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(CALLERS):
            tasks.create_task(repeat(), name="peer")


async def assert_at_rest(proxy: RunningProxy) -> None:
    """See that nothing runs, waits or is being dialled."""
    await proxy.metric_becomes(0, "requests_in_flight")
    await proxy.metric_becomes(0, "token_waiters")
    for state in ("active", "waiting", "connecting"):
        await proxy.metric_becomes(0, "upstream_connections", state=state)


async def assert_nothing_grows(proxy: RunningProxy, raw: bytes, rounds: int = ROUNDS) -> None:
    """See that many more of the same fault leave no more behind than the first ones did."""
    await storm(proxy, raw, 2)
    await assert_at_rest(proxy)
    before = ours()
    await storm(proxy, raw, rounds)
    await assert_at_rest(proxy)
    grown: dict[str, int] = {}

    def is_flat() -> bool:
        # A few resting connections more or less are no leak; one each round is.
        after = ours()
        grown.clear()
        grown.update(
            {name: n - before[name] for name, n in after.items() if n - before[name] > CALLERS}
        )
        return not grown

    try:
        await eventually(is_flat, "objects to go", 5)
    except AssertionError:
        assert grown == {}


@pytest.mark.parametrize("play", UPSTREAMS.values(), ids=UPSTREAMS.keys())
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_upstream_faults_leave_nothing(tokens: TokenServer, play: Play, method: str) -> None:
    """Pool and counters are sound after each (F7, F8, F9)."""
    body = b"x" * 1000 if method == "POST" else b""
    raw = request(f"{method} /", *([f"Content-Length: {len(body)}"] if body else []), body=body)
    async with (
        played(play) as upstream,
        running_proxy(
            upstream=upstream.url,
            token_url=tokens.token_url,
            read_timeout_seconds=0.1,
            max_upstream_connections=3,
        ) as proxy,
    ):
        rounds = 3 if play.__qualname__.startswith("staying") else ROUNDS
        await assert_nothing_grows(proxy, raw, rounds)


async def test_a_refusing_upstream_leaves_nothing(tokens: TokenServer) -> None:
    """Nobody listens there."""
    with refusing_port() as port:
        url = f"http://127.0.0.1:{port}"
        async with running_proxy(upstream=url, token_url=tokens.token_url) as proxy:
            await assert_nothing_grows(proxy, request("GET /"))


TOKEN_FAILURES = {
    "500": reply("500 Oops"),
    "wrong secret": reply("400 Bad Request", body=b'{"error":"invalid_client"}'),
    "HTML": reply("200 OK", "Content-Type: text/html", body=b"<html></html>"),
    "empty": reply(),
    "huge": reply(body=b" " * 2_000_000),
    "redirect": reply("302 Found", "Location: http://127.0.0.1:1/"),
    "wrong types": reply(body=b'{"access_token": 5, "expires_in": "x", "token_type": []}'),
    "control characters": reply(body=b'{"access_token": "a\\nb", "token_type": "Bearer"}'),
    "no HTTP": b"SSH-2.0-x\r\n\r\n",
    "cut": b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\nConnection: close\r\n\r\n{",
}


@pytest.mark.parametrize("failure", TOKEN_FAILURES.values(), ids=TOKEN_FAILURES.keys())
async def test_token_faults_leave_nothing(tokens: TokenServer, failure: bytes) -> None:
    """Each waiter gets its 503; none stays."""
    tokens.failure = failure
    async with running_proxy(
        upstream="http://127.0.0.1:1", token_url=tokens.token_url, token_wait_seconds=0.2
    ) as proxy:
        await assert_nothing_grows(proxy, request("GET /"), 5)


LEAVING = {
    "inside the head": request("GET /")[:20],
    "inside the body": request("POST /", "Content-Length: 1000", body=b"x" * 10),
    "inside a chunk": request("POST /", "Transfer-Encoding: chunked", body=b"5\r\nab"),
    "while waiting": request("GET /"),
    "with more waiting": request("GET /") * 20,
}


@pytest.mark.parametrize("raw", LEAVING.values(), ids=LEAVING.keys())
async def test_callers_that_leave_leave_nothing(tokens: TokenServer, raw: bytes) -> None:
    """Whatever they were in the middle of (F7)."""

    async def leave(proxy: RunningProxy, rounds: int) -> None:
        for _ in range(rounds):
            caller = await proxy.connect()
            await caller.send(raw)
            caller.reset()
            proxy.callers.remove(caller)

    async with (
        played(staying()) as upstream,
        running_proxy(upstream=upstream.url, token_url=tokens.token_url) as proxy,
    ):
        await leave(proxy, 5)
        await assert_at_rest(proxy)
        before = ours()
        await leave(proxy, 100)
        await assert_at_rest(proxy)

        def is_flat() -> bool:
            after = ours()
            return all(n - before[name] <= CALLERS for name, n in after.items() if "proxy." in name)

        await eventually(is_flat, "objects to go", 5)


async def test_a_thousand_resting_callers_disturb_nobody(tokens: TokenServer) -> None:
    """They cost a few KiB each, and end when the proxy stops (G6)."""
    async with ByteServer(reply(body=b"x")) as upstream:
        async with running_proxy(upstream=upstream.url, token_url=tokens.token_url) as proxy:
            for number in range(1000):
                caller = await proxy.connect()
                if number % 3 == 0:
                    await caller.send(b"GET / HT")
                elif number % 3 == 1:
                    await caller.ask(request("GET /"))
            took = []
            for _ in range(LOOKS):
                began = time.perf_counter()
                assert (await proxy.ask(request("GET /"))).body == b"x"
                took.append(time.perf_counter() - began)
            assert statistics.median(took) < 1, took
            proxy.stop()
        assert proxy.exit_code == 0
