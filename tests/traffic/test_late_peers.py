"""Who is late is named right, and nobody is called late too early (G6, F5)."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest

from tests.support.messages import Message, assert_problem, reply, request
from tests.support.peers import Channel
from tests.support.running_proxy import RunningProxy, proxied
from tests.support.token_server import TokenServer
from tests.support.waiting import eventually, within

pytestmark = pytest.mark.usefixtures("no_leaks")

KIB = 1024
MIB = 1 << 20
REST_SECONDS = 31  # UPSTREAM_IDLE_SECONDS are 30


@contextlib.asynccontextmanager
async def sending(caller: Channel, piece: bytes, pause: float = 0.0) -> AsyncIterator[None]:
    """Send a piece again and again while the block runs."""

    async def send() -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                await caller.send(piece)
                await asyncio.sleep(pause)

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(send())
        try:
            yield
        finally:
            task.cancel()


async def test_a_fast_beginning_gives_no_credit(tokens: TokenServer) -> None:
    """A body that dribbles is cut, however much of it came at once before (G6, G9)."""
    async with proxied(tokens, reply(), read_timeout_seconds=0.6) as (proxy, upstream):
        caller = await proxy.connect()
        begun = request("POST /", f"Content-Length: {MIB}", body=bytes(256 * KIB))
        await caller.send(begun)
        async with sending(caller, b"x", pause=0.1):
            answer = await caller.read_answer(seconds=8)
        assert_problem(answer, 408, "request_timeout")
        assert upstream.requests == []


async def test_an_upstream_that_takes_no_body_is_what_is_late(tokens: TokenServer) -> None:
    """Where the upstream stops a body the answer is 504, and never blames the caller (G6, E)."""
    async with proxied(tokens, read_timeout_seconds=0.6) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("POST /", f"Content-Length: {1 << 30}"))
        await upstream.accepted()
        async with sending(caller, bytes(MIB)):
            answer = await caller.read_answer()
        assert_problem(answer, 504, "upstream_timeout")
        assert await proxy.metric("upstream_errors_total", reason="timeout") == 1


async def test_the_upstream_has_its_time_from_the_end_of_the_body_on(tokens: TokenServer) -> None:
    """READ_TIMEOUT_SECONDS of silence are counted from when the request is whole (F5)."""
    limit = 4.0
    async with proxied(tokens, read_timeout_seconds=limit) as (proxy, upstream):
        caller = await proxy.connect()
        begun = b"800\r\n" + bytes(2 * KIB) + b"\r\n"
        await caller.send(request("POST /", "Transfer-Encoding: chunked", body=begun))
        server = await upstream.accepted()
        await server.read_head()
        assert await caller.stays_silent(1.0)
        loop = asyncio.get_running_loop()
        ended = loop.time()
        await caller.send(b"0\r\n\r\n")
        assert_problem(await caller.read_answer(), 504, "upstream_timeout")
        assert loop.time() - ended >= limit


class StandStill(asyncio.Protocol):
    """Stops the whole process amid a look at the sockets, until the next sweep is due.

    So the loop has its timers before it looks again, as after a stop by a signal.
    """

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        self._meanwhile = meanwhile
        self.is_over = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        """Be the look."""
        del data
        self._meanwhile()
        time.sleep(1)
        self.is_over.set()


async def stand_still(meanwhile: Callable[[], None]) -> None:
    """Give nobody in this process a turn for a while, in which `meanwhile` happens."""
    ours, theirs = socket.socketpair()
    with theirs:
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_connection(lambda: StandStill(meanwhile), sock=ours)
        theirs.send(b"x")
        await within(protocol.is_over.wait(), "the end of it")
        transport.close()


async def test_what_came_while_the_process_stood_still_came_in_time(tokens: TokenServer) -> None:
    """What lies in the sockets is read before anybody is called late (G6, F8)."""
    async with proxied(tokens, None, max_upstream_connections=1) as (proxy, upstream):
        waiting, queued, speaking = [await proxy.connect() for _ in range(3)]
        await waiting.send(request("GET /waiting"))
        server = await upstream.accepted()
        await server.read_request()
        await queued.send(request("GET /queued"))
        await proxy.metric_becomes(1, "upstream_connections", state="waiting")
        await speaking.send(request("POST /", "Content-Length: 4", body=b"bod"))
        await proxy.metric_becomes(3, "requests_in_flight")

        def meanwhile() -> None:
            server.send_at_once(reply(body=b"in time"))
            speaking.send_at_once(b"y")
            proxy.put_forward(100)

        await stand_still(meanwhile)
        assert (await waiting.read_answer()).body == b"in time"
        for caller, body in ((queued, b""), (speaking, b"body")):
            assert (await server.read_request()).body == body
            await server.send(reply())
            assert (await caller.read_answer()).status == 200


@pytest.mark.parametrize("is_stop", [True, False])
async def test_no_request_meets_a_connection_that_has_rested_too_long(
    tokens: TokenServer, *, is_stop: bool
) -> None:
    """Whichever comes first, the request or the look at what rests (F8)."""
    async with proxied(tokens) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("GET /"))
        server = await upstream.accepted()
        await server.read_request()
        await server.send(reply())
        assert (await caller.read_answer()).status == 200

        def meanwhile() -> None:
            caller.send_at_once(request("POST /", "Content-Length: 1", body=b"x"))
            proxy.put_forward(REST_SECONDS)

        if is_stop:
            await stand_still(meanwhile)
        else:
            meanwhile()
        fresh = await upstream.accepted()
        assert (await fresh.read_request()).body == b"x"
        await fresh.send(reply())
        assert (await caller.read_answer()).status == 200
        assert b"POST" not in await server.read_whatever()


async def sized(message: Message) -> bytes:
    """Answer with as many bytes as the target says."""
    return reply(body=bytes(int(message.target[1:])))


async def asleep(proxy: RunningProxy, message: bytes) -> socket.socket:
    """Send a request and read nothing, not even into memory; there is hardly any room for it."""
    loop = asyncio.get_running_loop()
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(0)
    await loop.sock_connect(sock, ("127.0.0.1", proxy.port))
    await loop.sock_sendall(sock, message)
    return sock


async def largest_taken(proxy: RunningProxy) -> int:
    """Return the size from which on an answer that nobody reads is not taken whole."""
    for size in range(512 * KIB, 64 * MIB, 256 * KIB):
        booked = len(proxy.logs)
        caller = proxy.keep(await Channel.small("127.0.0.1", proxy.port))
        await caller.send(request(f"GET /{size}"))
        is_taken = True
        try:
            await eventually(partial(has_logged, proxy, booked), "the end of it", seconds=0.3)
        except AssertionError:
            is_taken = False
        caller.reset()
        await proxy.metric_becomes(0, "caller_connections")
        if not is_taken:
            return size
    raise AssertionError


def has_logged(proxy: RunningProxy, count: int) -> bool:
    """Say whether more than so many events are in the log."""
    return len(proxy.logs) > count


async def test_the_end_of_an_answer_is_not_hurried(tokens: TokenServer) -> None:
    """It may wait for its reader as long as any other part of the answer (G6, F7).

    The sizes are those about which the proxy has sent everything on, but the
    systems have not; the pause is longer than a connection lingers that is done.
    Some callers have read a part by then, and some nothing at all.
    """
    pause = 6.0
    async with proxied(tokens, sized) as (proxy, _):
        largest = await largest_taken(proxy)
        callers, sleepers = [], []
        for size in range(largest - 512 * KIB, largest + 128 * KIB, 32 * KIB):
            message = request(f"GET /{size}", "Connection: close")
            sleepers.append((size, await asleep(proxy, message)))
            if size % (64 * KIB) == 0:
                callers.append((size, proxy.keep(await Channel.small("127.0.0.1", proxy.port))))
                await callers[-1][1].send(message)
        await asyncio.sleep(pause)
        for size, sock in sleepers:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, MIB)  # now it is to go fast
            callers.append((size, proxy.keep(await Channel.over(sock))))
        async with asyncio.TaskGroup() as tasks:
            reading = [
                (size, tasks.create_task(caller.read_answer(seconds=30)))
                for size, caller in callers
            ]
        for size, task in reading:
            assert len(task.result().body) == size


async def test_a_caller_who_never_takes_its_last_answer_is_let_go(tokens: TokenServer) -> None:
    """Its connection ends even where nothing bounded the request that came last (G6).

    A request that waits for a token is bounded by that alone. The sizes are those
    about which the end of the answer before is still with the proxy.
    """
    tokens.expires_in = 2
    limits = {"read_timeout_seconds": 0.5, "caller_idle_seconds": 4, "token_wait_seconds": 0.3}
    async with proxied(tokens, sized, **limits) as (proxy, _):
        largest = await largest_taken(proxy)
        callers = []
        for size in range(largest - 512 * KIB, largest, 32 * KIB):
            callers.append(proxy.keep(await Channel.small("127.0.0.1", proxy.port)))
            await callers[-1].send(request(f"GET /{size}"))
        loop = asyncio.get_running_loop()
        tokens.failure = reply("500 Internal Server Error")
        end = tokens.issued_at[-1] + tokens.expires_in
        await eventually(lambda: loop.time() > end, "the token's end")
        for caller in callers:
            with contextlib.suppress(ConnectionError):  # some answers were cut meanwhile
                await caller.send(request("GET /1", "Connection: close"))
        await proxy.metric_becomes(0, "caller_connections")


# --- over a Unix socket the system takes little, and no more than that ---


async def test_who_took_all_in_the_end_rests_as_anybody(
    tokens: TokenServer, tmp_path: Path
) -> None:
    """Once late with the end of an answer, but not any more: it is served on, slowly too (G9)."""
    path = str(tmp_path / "s")
    loop = asyncio.get_running_loop()
    async with proxied(
        tokens, sized, listen=f"127.0.0.1:0,unix:{path}", read_timeout_seconds=1
    ) as (proxy, _):

        async def ask_late(size: int) -> None:
            with socket.socket(socket.AF_UNIX) as sock:
                sock.setblocking(False)  # noqa: FBT003
                await loop.sock_connect(sock, path)
                await loop.sock_sendall(sock, request(f"GET /{size}"))
                await asyncio.sleep(1.6)  # its first look has been by then
                caller = proxy.keep(await Channel.over(sock.dup()))
                assert len((await caller.read_answer()).body) == size
                assert await caller.stays_silent(1.0)
                await caller.send(request("POST /2", "Content-Length: 40000", body=bytes(1000)))
                for _ in range(39):
                    await caller.send(bytes(1000))
                    await asyncio.sleep(0.1)
                assert (await caller.read_answer()).status == 200

        async with asyncio.TaskGroup() as tasks:
            for size in range(160 * KIB, 256 * KIB, 8 * KIB):
                tasks.create_task(ask_late(size))
        ended = [event["outcome"] for event in proxy.logs if event["event"] == "request"]
        assert set(ended) == {"ok"}


async def test_a_drain_ends_when_the_last_answer_has_been_taken(
    tokens: TokenServer, tmp_path: Path
) -> None:
    """Whoever was clogged when it began is not waited for any longer (C2)."""
    path = tmp_path / "s"
    listen = f"127.0.0.1:0,unix:{path}"
    async with proxied(tokens, sized, listen=listen, drain_seconds=60) as (proxy, _):
        callers = []
        for size in range(192 * KIB, 720 * KIB, 48 * KIB):
            caller = proxy.keep(await Channel.connect_unix(str(path)))
            await caller.send(request(f"GET /{size}"))
            callers.append((caller, size))
        await eventually(
            lambda: any(event["event"] == "request" for event in proxy.logs), "the first ends"
        )
        proxy.stop()
        for caller, size in callers:
            assert len((await caller.read_answer()).body) == size
        await within(proxy.ended.wait(), "the end of the drain", 10)


async def unread(path: Path, size: int) -> socket.socket:
    """Ask for so many bytes, and read nothing."""
    loop = asyncio.get_running_loop()
    sock = socket.socket(socket.AF_UNIX)
    sock.setblocking(False)  # noqa: FBT003
    await loop.sock_connect(sock, str(path))
    await loop.sock_sendall(sock, request(f"GET /{size}"))
    return sock


def taken_unread() -> int:
    """Return how many bytes a Unix socket takes that nobody reads."""
    one, other = socket.socketpair()
    with one, other:
        one.setblocking(False)  # noqa: FBT003
        taken = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                taken += one.send(bytes(64 * KIB))
    return taken


@pytest.mark.parametrize("is_late", [False, True], ids=["just idle", "a late reader"])
async def test_a_drain_waits_for_no_caller_who_has_all(
    tokens: TokenServer, tmp_path: Path, *, is_late: bool
) -> None:
    """Whoever begins to read in a drain gets all, and then holds it no longer by staying (C2).

    The sizes are those about which the end of a response is still with the proxy. Of a late
    reader it has been there for longer than an idle connection is left alone.
    """
    path = tmp_path / "s"
    listen = f"127.0.0.1:0,unix:{path}"
    taken = taken_unread()
    # A late reader must not be one whose request still runs: its time would be over.
    sizes = range(taken - 32 * KIB, taken + (16 if is_late else 256) * KIB, 8 * KIB)
    async with proxied(tokens, sized, listen=listen, drain_seconds=60) as (proxy, upstream):
        sleepers = [(size, await unread(path, size)) for size in sizes]
        await eventually(lambda: len(upstream.requests) == len(sizes), "the requests")
        for size in (200 * KIB, 300 * KIB):  # by then the others have got all that they take
            assert len((await proxy.ask(request(f"GET /{size}"))).body) == size
        begun = await proxy.connect()
        await begun.send(request("GET /")[:20])
        idle = await proxy.connect()
        if is_late:
            proxy.put_forward(11)
            assert (await begun.read_answer()).status == 408  # by the sweep that finds them late
        proxy.stop()
        begun.reset()
        assert await idle.read_to_end() == b""  # so all have been looked at since
        callers = [(size, proxy.keep(await Channel.over(sock))) for size, sock in sleepers]
        for size, caller in callers:
            assert len((await caller.read_answer()).body) == size
        await within(proxy.ended.wait(), "the end of the drain", 10)


async def test_a_drain_reads_on_while_a_response_is_taken(
    tokens: TokenServer, tmp_path: Path
) -> None:
    """Whoever asks again amid a response gets all of it, and an end in good order (C2, F7).

    Where nobody reads what came, a close is a reset, which takes the rest of it with it over TCP.
    """
    path = tmp_path / "s"
    taken = taken_unread()
    # Of these, more than the proxy keeps writing behind is with it when their exchange ends.
    sizes = range(taken + 96 * KIB, taken + 224 * KIB, 16 * KIB)
    listen = f"127.0.0.1:0,unix:{path}"
    async with proxied(tokens, sized, listen=listen, drain_seconds=60) as (proxy, _):

        def ended() -> set[int]:
            return {each["bytes_out"] for each in proxy.logs if each["event"] == "request"}

        sleepers = {size: await unread(path, size) for size in sizes}
        idle = await proxy.connect()
        await eventually(lambda: bool(ended()), "the first to end")
        proxy.stop()
        late = ended()
        assert await idle.read_to_end() == b""  # so all have been looked at since
        loop = asyncio.get_running_loop()
        for size, sock in sleepers.items():
            if size in late:
                await loop.sock_sendall(sock, request("GET /1"))
            caller = proxy.keep(await Channel.over(sock))
            assert len((await caller.read_answer()).body) == size
            assert await caller.read_to_end() == b""
            caller.close()
        await within(proxy.ended.wait(), "the end of the drain", 10)


async def test_an_upstream_that_is_silent_amid_its_answer_is_what_is_late(
    tokens: TokenServer,
) -> None:
    """Whether or not its caller has sent all of the body by then (F5, E)."""
    async with proxied(tokens, read_timeout_seconds=0.6) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("POST /", "Transfer-Encoding: chunked", body=b"3\r\nabc\r\n"))
        server = await upstream.accepted()
        await server.read_head()
        await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
        await caller.read_head()
        await caller.read_whatever()
        await eventually(lambda: proxy.logs[-1]["event"] == "request", "the log")
        assert proxy.logs[-1]["outcome"] == "upstream_timeout"
        assert await proxy.metric("upstream_errors_total", reason="timeout") == 1


async def test_a_caller_that_stops_behind_a_slow_upstream_is_what_is_late(
    tokens: TokenServer,
) -> None:
    """Once the upstream has taken all there was, it is owed more, and owes nothing (G6, G9)."""
    limit = 64 * MIB
    async with proxied(tokens, read_timeout_seconds=2) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("POST /", f"Content-Length: {limit}"))
        server = await upstream.accepted()
        await server.read_head()
        sent = await caller.send_until_stuck(bytes(MIB), limit, seconds=0.3)
        assert sent < limit
        await server.read(sent)
        assert_problem(await caller.read_answer(), 408, "request_timeout")
        assert await proxy.metric("upstream_errors_total") == 0


async def is_cut(sock: socket.socket) -> bool:
    """Read all there is; say whether it ends in a reset."""
    loop = asyncio.get_running_loop()
    try:
        while await loop.sock_recv(sock, MIB):
            pass
    except ConnectionResetError:
        return True
    return False


async def test_who_is_cut_with_an_answer_on_its_way_is_called_stalled(
    tokens: TokenServer,
) -> None:
    """Also who has its answer but for an end that the proxy waits to write, and could rest (G9)."""
    limits = {"read_timeout_seconds": 0.5, "caller_idle_seconds": 3}
    async with proxied(tokens, sized, **limits) as (proxy, _):
        largest = await largest_taken(proxy)
        since = len(proxy.logs)
        with contextlib.ExitStack() as stack:
            callers = []
            for size in range(largest - 512 * KIB, largest + 256 * KIB, 16 * KIB):
                callers.append(await asleep(proxy, request(f"GET /{size}")))
                stack.callback(callers[-1].close)

            def ended() -> list[str]:
                events = [event for event in proxy.logs[since:] if event["event"] == "request"]
                return [event["outcome"] for event in events]

            await eventually(lambda: len(ended()) >= len(callers), "all requests to end")
            await proxy.metric_becomes(0, "caller_connections")
            cut = [await is_cut(caller) for caller in callers].count(True)
            assert cut == ended().count("client_stalled")


async def lacking_a_byte(message: Message) -> bytes:
    """Answer as `sized`, but where the target ends with a slash with a byte less than declared."""
    if not message.target.endswith("/"):
        return await sized(message)
    size = int(message.target.strip("/"))
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (size + 1) + bytes(size)


async def test_an_upstream_that_stops_before_a_slow_caller_is_what_is_late(
    tokens: TokenServer,
) -> None:
    """Once the caller has taken all there was, it is owed more, and owes nothing (G9, E).

    The sizes are those about which the proxy has got everything, and waits for its caller.
    """
    # All callers together must be able to take all bytes in that time, on a busy machine too.
    async with proxied(tokens, lacking_a_byte, read_timeout_seconds=6) as (proxy, _):
        largest = await largest_taken(proxy)
        sizes = range(largest - 512 * KIB, largest + 128 * KIB, 64 * KIB)
        since = len(proxy.logs)

        async def take(size: int) -> None:
            caller = proxy.keep(await Channel.small("127.0.0.1", proxy.port))
            await caller.send(request(f"GET /{size}/"))
            await caller.read_head()
            await caller.read(size)
            await caller.read_whatever()

        async with asyncio.TaskGroup() as tasks:
            for size in sizes:
                tasks.create_task(take(size))
        await proxy.metric_becomes(0, "requests_in_flight")
        ended = [event for event in proxy.logs[since:] if event["event"] == "request"]
        assert [event["outcome"] for event in ended] == ["upstream_timeout"] * len(sizes)


async def test_who_waits_for_a_token_is_not_late(tokens: TokenServer) -> None:
    """TOKEN_WAIT_SECONDS bounds that alone, and no time that was set before (T4, G6)."""
    tokens.gate.clear()
    async with proxied(tokens, reply(), token_wait_seconds=30) as (proxy, _):
        whole, cut = await proxy.connect(), await proxy.connect()
        await whole.send(request("GET /"))
        await cut.send(request("GET /")[:-2])
        await proxy.metric_becomes(1, "token_waiters")
        await cut.send(b"\r\n")
        await proxy.metric_becomes(2, "token_waiters")
        proxy.put_forward(100)
        assert await whole.stays_silent(1.2)  # the sweep looks twice a second
        tokens.gate.set()
        for caller in (whole, cut):
            assert (await caller.read_answer()).status == 200
