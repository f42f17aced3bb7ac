"""What one connection brings costs nobody else: work, memory and descriptors are bounded (G11)."""

import asyncio
import contextlib
import itertools
import socket
import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.support.flooder import Flooder
from tests.support.messages import Message, assert_problem, reply, request
from tests.support.peers import ByteServer, Channel
from tests.support.proxy_process import ProxyProcess, proxy_process
from tests.support.running_proxy import environment, proxied
from tests.support.token_server import TokenServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("no_leaks")

KIB, MIB = 1 << 10, 1 << 20
ANOTHER_SECONDS = 1.0
LIVEZ_SECONDS = 0.5
LOOKS = 7
FLOODERS = 12
OWN = b"own"
GET_OWN = request("GET /own")


def large_heads() -> Iterator[bytes]:
    """Yield large heads that are refused, with names that were never seen before."""
    for start in itertools.count(0, 4200):
        lines = b"".join(b"%x_:\r\n" % number for number in range(start, start + 4200))
        yield b"GET / HTTP/1.1\r\nHost: evil.example\r\n" + lines + b"\r\n"


def odd_paths() -> Iterator[bytes]:
    """Yield heads whose paths take long to read."""
    path = "/" + "%C3%A9%2525" * 600
    while True:
        yield request(f"GET {path}/%2e%2e/x") * 8


def small_requests() -> Iterator[bytes]:
    """Yield many small requests that are refused."""
    while True:
        yield request("GET /", host="evil.example") * 4000


def small_chunks() -> Iterator[bytes]:
    """Yield a body in chunks of a byte each, behind its head."""
    yield request("POST /drain", "Transfer-Encoding: chunked")
    while True:
        yield b"1\r\na\r\n" * 10_000


def small_chunks_of_an_answer() -> Iterator[bytes]:
    """Yield an answer in chunks of a byte each."""
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    while True:
        yield b"1\r\na\r\n" * 10_000


FLOODS = [large_heads, odd_paths, small_requests, small_chunks]


async def own(message: Message) -> bytes:
    """Answer shortly."""
    del message
    return reply(body=OWN)


@contextlib.asynccontextmanager
async def process_with(
    tokens: TokenServer, upstream_url: str, directory: Path, **settings: object
) -> AsyncIterator[tuple[ProxyProcess, int, int]]:
    """Run the proxy as a process of its own; yield it with its ports."""
    environ = environment(
        upstream=upstream_url, token_url=tokens.token_url, access_log="off", **settings
    )
    async with proxy_process(environ, "run", directory=directory) as process:
        port, admin = await process.ports()
        yield process, port, admin


def delayed_seconds(pid: int | str) -> float:
    """Return how long a process could run and had no core (`/proc/PID/schedstat`)."""
    _, waited, _ = Path(f"/proc/{pid}/schedstat").read_text("ascii").split()
    return int(waited) / 1e9


async def seconds_of(process: ProxyProcess, port: int, message: bytes, status: int = 200) -> float:
    """Ask on a connection of its own; return how long it took, less what other programs took."""
    before = delayed_seconds(process.pid) + delayed_seconds("self")
    began = time.perf_counter()
    caller = await Channel.connect("127.0.0.1", port)
    assert (await caller.ask(message, 30)).status == status
    caller.close()
    took = time.perf_counter() - began
    return took - (delayed_seconds(process.pid) + delayed_seconds("self") - before)


async def look(
    process: ProxyProcess, port: int, admin: int, message: bytes = GET_OWN, status: int = 200
) -> tuple[list[float], list[float]]:
    """Return how long another caller and the probe wait for their answers, in some looks."""
    another, probe = [], []
    for _ in range(LOOKS):
        another.append(await seconds_of(process, port, message, status))
        livez = request("GET /livez", "Connection: close")
        probe.append(await seconds_of(process, admin, livez))
    return another, probe


def assert_in_time_as_a_rule(another: list[float], probe: list[float]) -> None:
    """See that another caller and the probe are answered in time, in most looks."""
    assert statistics.median(another) < ANOTHER_SECONDS, (another, probe)
    assert statistics.median(probe) < LIVEZ_SECONDS, (another, probe)


@pytest.mark.parametrize("flood", FLOODS, ids=lambda flood: flood.__name__)
async def test_a_flood_of_a_caller_stalls_nobody(
    tokens: TokenServer, tmp_path: Path, flood: Callable[[], Iterator[bytes]]
) -> None:
    """Another caller's request takes under a second, and the probe under half of one (G11)."""
    async with (
        ByteServer(own) as upstream,
        process_with(tokens, upstream.url, tmp_path) as (process, port, admin),
    ):
        assert_in_time_as_a_rule(*await look(process, port, admin))
        with Flooder(flood(), port=port) as flooder:
            await eventually(lambda: flooder.sent > MIB, "the flood")
            assert_in_time_as_a_rule(*await look(process, port, admin))
            sent = flooder.sent
            await eventually(lambda: flooder.sent > sent, "the flood to go on")


async def test_a_flood_of_the_upstream_stalls_nobody(tokens: TokenServer, tmp_path: Path) -> None:
    """Nor does an answer in the smallest of chunks (G11)."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with process_with(tokens, url, tmp_path) as (process, port, admin):
            refused = request("GET /", host="evil.example")
            with (
                Flooder(small_chunks_of_an_answer(), listener=listener) as flooder,
                Flooder(iter([request("GET /flood")]), port=port),
            ):
                await eventually(lambda: flooder.sent > MIB, "the flood")
                another, probe = await look(process, port, admin, refused, 421)
                assert max(another) < ANOTHER_SECONDS, another
                assert max(probe) < LIVEZ_SECONDS, probe


async def test_chunks_that_wait_for_a_turn_are_all_relayed(tokens: TokenServer) -> None:
    """Both ways, whole and in order, although each turn takes but a part of them (F5, G11)."""
    body = bytes(range(256)) * 1200
    raw = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + raw
    async with proxied(tokens, answer) as (proxy, upstream):
        caller = await proxy.connect()
        for _ in range(2):
            await caller.send(request("POST /", "Transfer-Encoding: chunked") + raw)
            assert (await caller.read_answer(seconds=30)).body == body
        assert [message.body for message in upstream.requests] == [body, body]


async def test_chunks_that_wait_for_a_turn_are_relayed_before_the_end(
    tokens: TokenServer,
) -> None:
    """An upstream that hangs up right behind its answer ends nothing of it (F7, G11)."""
    body = bytes(range(256)) * 600
    raw = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with proxied(tokens, head + raw) as (proxy, _):
        assert (await proxy.ask(request("GET /"), 30)).body == body


async def test_all_that_came_before_the_end_of_a_caller_is_answered(tokens: TokenServer) -> None:
    """Forty refused requests and a FIN: forty replies, however many a turn takes (F6, F7)."""
    for count in (40, 4000):
        async with proxied(tokens, reply(), access_log="off") as (proxy, _):
            caller = await proxy.connect()
            await caller.send(request("GET /", host="evil.example") * count)
            caller.half_close()
            assert (await caller.read_to_end(30)).count(b"HTTP/1.1 421 ") == count


async def test_refusals_that_were_not_read_go_on_when_they_are(tokens: TokenServer) -> None:
    """Reading is taken up again: every one of the pipelined requests is answered (G6)."""
    count = 20_000
    async with proxied(tokens, reply(), access_log="off") as (proxy, _):
        caller = await proxy.connect()
        await caller.send_until_stuck(request("GET /", host="evil.example") * count, 1)
        for _ in range(count):
            assert (await caller.read_answer(seconds=30)).status == 421
            caller.received.clear()


def open_files(process: ProxyProcess) -> int:
    """Return how many descriptors a process has."""
    return len(list(Path(f"/proc/{process.pid}/fd").iterdir()))


async def test_connections_beyond_the_bound_keep_no_descriptor(
    tokens: TokenServer, tmp_path: Path
) -> None:
    """With 400 files and 900 idle connections those inside are served, and so is the probe."""
    async with ByteServer(own) as upstream:
        few_files = ("sh", "-c", 'ulimit -n 400; exec "$@"', "sh")
        environ = environment(upstream=upstream.url, token_url=tokens.token_url, access_log="off")
        async with proxy_process(environ, "run", directory=tmp_path, prefix=few_files) as process:
            port, admin = await process.ports()
            inside = await Channel.connect("127.0.0.1", port)
            idle = [await Channel.connect("127.0.0.1", port) for _ in range(900)]
            for outside in idle[-10:]:
                assert b"503 Service Unavailable" in await outside.read_whatever()
            for _ in range(LOOKS):
                assert (await inside.ask(request("GET /own"))).body == OWN
                livez = request("GET /livez", "Connection: close")
                assert await seconds_of(process, admin, livez) < 5
            assert open_files(process) < 400 - 100
            for caller in (inside, *idle):
                caller.reset()


def resident_bytes(process: ProxyProcess) -> int:
    """Return how much memory a process has."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) * KIB


async def test_what_callers_send_ahead_is_bounded_for_all_together(
    tokens: TokenServer, tmp_path: Path
) -> None:
    """Behind running requests 800 callers pipeline what they may; none of those is lost (G11)."""
    count, ahead = 800, request("GET /ahead") * 5000
    go_on = asyncio.Event()

    async def later(message: Message) -> bytes:
        await go_on.wait()
        return await own(message)

    async with (
        ByteServer(later) as upstream,
        process_with(tokens, upstream.url, tmp_path, connect_timeout_seconds=60) as running,
    ):
        process, port, _ = running
        assert len(ahead) > 150 * KIB
        before = resident_bytes(process)
        callers = [await Channel.connect("127.0.0.1", port) for _ in range(count)]
        for caller in callers:
            await caller.send(request("GET /first"))
            await caller.send_until_stuck(ahead, 1, seconds=0.2)
        assert resident_bytes(process) - before < 120 * MIB
        go_on.set()
        for caller in callers:
            answer = await caller.read_answer(seconds=60)
            assert answer.body == OWN, answer
            caller.reset()


async def test_bodies_beyond_the_budget_are_refused(tokens: TokenServer) -> None:
    """Kept bodies count as well: who is too many gets 503, and later there is room again (G11)."""
    size, count = 16 * MIB, 5
    async with proxied(tokens, reply(), max_replay_bytes=size) as (proxy, upstream):
        callers = [await proxy.connect() for _ in range(count)]
        for caller in callers:
            await caller.send(request("POST /", f"Content-Length: {size}", body=bytes(size - 1)))
        for caller in callers:
            with contextlib.suppress(ConnectionError):  # one that was refused need not listen on
                await caller.send(b"x")
        answers = [await caller.read_answer() for caller in callers]
        refused = [answer for answer in answers if answer.status != 200]
        assert 1 <= len(refused) < count
        for answer in refused:
            assert_problem(answer, 503, "overloaded")
            assert answer.head.value("Retry-After") == "1"
        assert len(upstream.requests) == count - len(refused)
        assert (await proxy.ask(request("POST /", "Content-Length: 1", body=b"x"))).status == 200


async def test_many_floods_stall_no_request_of_some_size(
    tokens: TokenServer, tmp_path: Path
) -> None:
    """Who brings a few kilobytes, cookies say, waits for a turn as they do, and gets it (G11)."""
    large = request("GET /own", f"Cookie: {'c' * 4 * KIB}")
    async with (
        ByteServer(own) as upstream,
        process_with(tokens, upstream.url, tmp_path) as (process, port, _),
    ):
        with contextlib.ExitStack() as stack:
            floods = [
                stack.enter_context(Flooder(small_requests(), port=port)) for _ in range(FLOODERS)
            ]
            await eventually(lambda: all(flood.sent > MIB for flood in floods), "the floods")
            took = [await seconds_of(process, port, large) for _ in range(LOOKS)]
            assert statistics.median(took) < ANOTHER_SECONDS, took
