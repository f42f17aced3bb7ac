"""What callers send ahead counts in one budget, is given back, and is never read in part (G11)."""

import asyncio

import pytest

from tests.support.messages import Message, assert_problem, reply, request
from tests.support.peers import ByteServer, Channel
from tests.support.running_proxy import RunningProxy, proxied
from tests.support.token_server import TokenServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("no_leaks")

KIB, MIB = 1 << 10, 1 << 20
SIZE = 16 * MIB  # as MAX_REPLAY_BYTES: then four such bodies are the whole budget
ATTEMPTS = 5
POST = request("POST /", f"Content-Length: {SIZE}")


async def has_read_all_that_came(proxy: RunningProxy) -> None:
    """Let the proxy's loop go round a few times, so that it has read what was sent before."""
    for _ in range(4):
        assert (await proxy.admin("GET /livez")).status == 200


async def is_full(proxy: RunningProxy) -> bool:
    """Say whether some kilobytes of a body are too many."""
    caller = await proxy.connect()
    await caller.send(request("POST /", "Content-Length: 9000", body=bytes(6000)))
    await has_read_all_that_came(proxy)
    if await caller.stays_silent(0.01):
        caller.reset()
        return False
    answer = await caller.read_answer()
    assert_problem(answer, 503, "overloaded")
    assert answer.head.value("Retry-After") == "1"
    return True


async def begun(proxy: RunningProxy) -> Channel:
    """Return a caller whose body lacks a byte."""
    caller = await proxy.connect()
    await caller.send(POST + bytes(SIZE - 1))
    return caller


async def full(proxy: RunningProxy) -> list[Channel]:
    """Return four callers whose bodies lack a byte, and leave next to nothing of the budget.

    On a busy machine a body may rest for so long that its caller is sent away (G9); then all
    begin anew.
    """
    for _ in range(ATTEMPTS):
        callers = await asyncio.gather(*(begun(proxy) for _ in range(4)))
        while all([await caller.stays_silent(0.001) for caller in callers]):
            if await is_full(proxy):  # until then the last bytes are on their way
                return callers
        for caller in callers:
            caller.reset()
    raise AssertionError("each time a caller was sent away before the budget was full")


async def test_a_body_beyond_the_budget_is_refused(tokens: TokenServer) -> None:
    """Kept bodies count as well: who comes too late gets 503, and comes again later (G11, F12)."""
    async with proxied(tokens, reply(), max_replay_bytes=SIZE) as (proxy, upstream):
        for caller in await full(proxy):
            await caller.send(b"x")
            assert (await caller.read_answer()).status == 200
        assert {len(message.body) for message in upstream.requests} == {SIZE}
        assert (await proxy.ask(POST + bytes(SIZE))).status == 200


async def test_what_an_answered_request_held_is_given_back(tokens: TokenServer) -> None:
    """However many callers have sent large bodies, and rest now, the next one is served (G11)."""
    async with proxied(tokens, reply(), max_replay_bytes=SIZE) as (proxy, upstream):
        for count in range(1, 6):
            caller = await proxy.connect()
            assert (await caller.ask(POST + bytes(SIZE))).status == 200
            assert len(upstream.requests) == count


async def test_what_callers_who_left_had_sent_is_given_back(tokens: TokenServer) -> None:
    """However many have left amid their heads, the next body is taken (G11, F7)."""
    begun = b"GET / HTTP/1.1\r\nA: " + b"a" * (30 * KIB)
    async with proxied(tokens, reply(), max_replay_bytes=SIZE) as (proxy, _):
        for _ in range(4 * SIZE // len(begun) + 100):
            caller = await Channel.connect("127.0.0.1", proxy.port)
            await caller.send(begun)
            caller.close()
        await proxy.metric_becomes(0, "caller_connections")
        assert (await proxy.ask(POST + bytes(SIZE))).status == 200


async def test_what_is_kept_of_requests_that_are_out_counts(tokens: TokenServer) -> None:
    """A body that may have to be replayed takes its place until it is answered (G11, T10)."""
    go_on = asyncio.Event()

    async def later(message: Message) -> bytes:
        del message
        await go_on.wait()
        return reply()

    async with proxied(tokens, later, max_replay_bytes=SIZE) as (proxy, upstream):
        callers = [await proxy.connect() for _ in range(4)]
        for caller in callers:
            await caller.send(request("GET /"))
        await eventually(lambda: len(upstream.requests) == 4, "four connections")
        go_on.set()
        for caller in callers:
            assert (await caller.read_answer()).status == 200
        go_on.clear()
        for caller in callers:
            await caller.send(POST + bytes(SIZE))
        await eventually(lambda: len(upstream.requests) == 8, "all four to be out")
        assert await is_full(proxy)
        go_on.set()
        for caller in callers:
            assert (await caller.read_answer()).status == 200
        assert (await proxy.ask(POST + bytes(SIZE))).status == 200


async def test_what_is_thrown_away_does_not_count(tokens: TokenServer) -> None:
    """The rest of a refused upload takes nobody's place, however long it is (F11, G11)."""
    async with proxied(tokens, max_replay_bytes=SIZE) as (proxy, upstream):
        refused, other = await proxy.connect(), await proxy.connect()
        await refused.send(request("POST /", "Transfer-Encoding: chunked", body=b"3\r\nabc\r\n"))
        server = await upstream.accepted()
        await server.read_head()
        await server.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 6\r\n\r\nabc")
        await refused.read_head()
        for _ in range(5):
            await refused.send(b"%x\r\n%b\r\n" % (SIZE, bytes(SIZE)))
        await has_read_all_that_came(proxy)
        await other.send(POST + bytes(SIZE))
        second = await upstream.accepted()
        await second.read_request()
        await second.send(reply())
        assert (await other.read_answer()).status == 200
        await server.send(b"def")
        assert await refused.read(6) == b"abcdef"


async def given_up(proxy: RunningProxy, upstream: ByteServer) -> tuple[Channel, Channel]:
    """Return a caller whose second request was thrown away amid its head, and its upstream."""
    pipelining = proxy.keep(await Channel.small("127.0.0.1", proxy.port))
    await pipelining.send(request("GET /first"))
    server = await upstream.accepted()
    await server.read_request()
    callers = await full(proxy)
    much = f"A: {'b' * 6 * KIB}"
    await pipelining.send(request("POST /second", "Content-Length: 100", much)[:-2])
    await has_read_all_that_came(proxy)
    for caller in callers:
        caller.reset()
    await proxy.metric_becomes(1, "requests_in_flight")
    return pipelining, server


async def test_nothing_is_read_behind_what_was_given_up(tokens: TokenServer) -> None:
    """A request that was thrown away for want of room is the last: its rest is none (G5, G11)."""
    async with proxied(tokens, max_replay_bytes=SIZE) as (proxy, upstream):
        pipelining, server = await given_up(proxy, upstream)
        await pipelining.send(request("GET /smuggled"))
        await has_read_all_that_came(proxy)
        await server.send(reply(body=b"first"))
        assert (await pipelining.read_answer()).body == b"first"
        assert await pipelining.read_to_end() == b""
        assert b"/s" not in upstream.received


async def test_who_sends_on_behind_what_was_given_up_gets_its_answer(tokens: TokenServer) -> None:
    """Whole and in good order, although nothing of what it sends is wanted any more (F6, G11)."""
    body = bytes(512 * KIB)
    async with proxied(tokens, max_replay_bytes=SIZE) as (proxy, upstream):
        pipelining, server = await given_up(proxy, upstream)
        await server.send(reply(body=body))
        await eventually(lambda: proxy.logs[-1].get("outcome") == "ok", "the answer to be written")
        await pipelining.send(request("GET /more"))
        await has_read_all_that_came(proxy)
        assert (await pipelining.read_answer()).body == body
        assert await pipelining.read_to_end() == b""
