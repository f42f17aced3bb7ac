"""Who gets which upstream connection, when, and what becomes of those who wait (F8, G6)."""

import asyncio

import pytest

from tests.support.connect_proxy import ConnectProxy
from tests.support.messages import assert_problem, reply, request
from tests.support.peers import ByteServer, Channel
from tests.support.ports import refusing_port
from tests.support.running_proxy import RunningProxy, proxied, running_proxy
from tests.support.token_server import TokenServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("no_leaks")

FAR_AWAY = 60  # seconds; more than a test waits for anything


async def busy_pair(
    proxy: RunningProxy, upstream: ByteServer
) -> tuple[list[Channel], list[Channel]]:
    """Return two callers whose requests run, and the upstream's ends of their connections."""
    callers, servers = [], []
    for target in ("/first", "/second"):
        callers.append(await proxy.connect())
        await callers[-1].send(request(f"GET {target}"))
        servers.append(await upstream.accepted())
        await servers[-1].read_request()
    return callers, servers


async def answer_and_rest(caller: Channel, server: Channel) -> None:
    """Answer a running request; its connection goes to whoever waits, or rests."""
    await server.send(reply())
    assert (await caller.read_answer()).status == 200


async def test_who_waited_for_the_first_token_queues_in_order(tokens: TokenServer) -> None:
    """Nobody who came later is before them at the connection for which they wait next (F8)."""
    tokens.gate.clear()
    targets = [f"/{number}" for number in range(12)]
    settings = {"connect_timeout_seconds": FAR_AWAY, "token_wait_seconds": FAR_AWAY}
    async with proxied(tokens, None, max_upstream_connections=1, **settings) as (proxy, upstream):
        callers = [await proxy.connect() for _ in targets]
        for number, caller in enumerate(callers, 1):
            await caller.send(request(f"GET {targets[number - 1]}"))
            await proxy.metric_becomes(number, "token_waiters")
        tokens.gate.set()
        server = await upstream.accepted()
        served = []
        for caller in callers:
            served.append((await server.read_request()).target)
            await server.send(reply())
            await caller.read_answer()
    assert served == targets


async def test_who_comes_as_the_token_does_queues_behind_those_who_wait(
    tokens: TokenServer,
) -> None:
    """In whichever turn of the loop they come, one in each: the first is the first (F8)."""
    tokens.gate.clear()
    targets = [f"/{number}" for number in range(100)]
    settings = {"connect_timeout_seconds": FAR_AWAY, "token_wait_seconds": FAR_AWAY}
    async with proxied(tokens, None, max_upstream_connections=1, **settings) as (proxy, upstream):
        callers = [await proxy.connect() for _ in targets]
        await eventually(lambda: bool(tokens.requests), "the token request")
        tokens.gate.set()
        for target, caller in zip(targets, callers, strict=True):
            caller.send_at_once(request(f"GET {target}"))
            await asyncio.sleep(0)
        server = await upstream.accepted()
        served = []
        for _ in targets:
            served.append((await server.read_request()).target)
            await server.send(reply())
            await callers[targets.index(served[-1])].read_answer()
    assert served == targets


async def test_the_connection_used_last_is_used_next(tokens: TokenServer) -> None:
    """So that those that are not needed grow old and end (F8)."""
    async with proxied(tokens) as (proxy, upstream):
        callers, servers = await busy_pair(proxy, upstream)
        for caller, server in zip(callers, servers, strict=True):
            await answer_and_rest(caller, server)
        for caller in callers * 2:
            await caller.send(request("GET /next"))
            assert (await servers[1].read_request()).target == "/next"
            await answer_and_rest(caller, servers[1])


async def test_a_stale_connection_is_not_replaced_by_its_neighbour(tokens: TokenServer) -> None:
    """Where one that rested was closed its neighbours are likely to be: a fresh one it is (F8)."""
    async with proxied(tokens) as (proxy, upstream):
        (first, second), (neighbour, stale) = await busy_pair(proxy, upstream)
        await answer_and_rest(first, neighbour)
        await answer_and_rest(second, stale)
        await second.send(request("GET /again"))
        await stale.read_request()
        stale.close()
        fresh = await upstream.accepted()
        assert (await fresh.read_request()).target == "/again"
        await answer_and_rest(second, fresh)


async def test_a_request_moves_to_another_connection_once(tokens: TokenServer) -> None:
    """Where the second one dies under it too, used before or not, that is its answer (F8)."""
    async with proxied(tokens, max_upstream_connections=2) as (proxy, upstream):
        (first, second), (stale, busy) = await busy_pair(proxy, upstream)
        await answer_and_rest(first, stale)
        moving, waiting = await proxy.connect(), await proxy.connect()
        await moving.send(request("GET /moving"))
        assert (await stale.read_request()).target == "/moving"
        await waiting.send(request("GET /waiting"))
        await proxy.metric_becomes(1, "upstream_connections", state="waiting")
        stale.close()
        # The fresh connection is for who came first; the one that moves waits behind.
        assert (await (await upstream.accepted()).read_request()).target == "/waiting"
        await answer_and_rest(second, busy)
        assert (await busy.read_request()).target == "/moving"
        busy.close()
        assert_problem(await moving.read_answer(), 502, "upstream_closed")
        assert upstream.received.count(b"/moving") == 2


async def test_a_connection_that_ends_makes_room_for_who_waits(tokens: TokenServer) -> None:
    """The next one is dialled at once, not when somebody else asks (F8)."""
    settings = {"max_upstream_connections": 1, "connect_timeout_seconds": FAR_AWAY}
    async with proxied(tokens, None, **settings) as (proxy, upstream):
        first, second = await proxy.connect(), await proxy.connect()
        await first.send(request("GET /first"))
        server = await upstream.accepted()
        await server.read_request()
        await second.send(request("GET /second"))
        await proxy.metric_becomes(1, "upstream_connections", state="waiting")
        await server.send(reply("200 OK", "Connection: close"))
        assert (await first.read_answer()).status == 200
        fresh = await upstream.accepted()
        assert (await fresh.read_request()).target == "/second"
        await answer_and_rest(second, fresh)


async def test_an_unreachable_upstream_is_told_to_all_who_wait(tokens: TokenServer) -> None:
    """One after the other or at once, but never only when their time is over (F8, E)."""
    with refusing_port() as port:
        async with running_proxy(
            upstream=f"http://127.0.0.1:{port}",
            token_url=tokens.token_url,
            max_upstream_connections=1,
            connect_timeout_seconds=FAR_AWAY,
        ) as proxy:
            await proxy.metric_becomes(1, "token_requests_total", outcome="ok")
            async with asyncio.TaskGroup() as tasks:
                asked = [tasks.create_task(proxy.ask(request("GET /"))) for _ in range(4)]
            for task in asked:
                assert_problem(task.result(), 502, "upstream_unreachable")
            assert await proxy.metric("upstream_errors_total", reason="connect") == 4


async def test_connections_that_do_not_come_in_time_are_counted(tokens: TokenServer) -> None:
    """Also for a request whose own was not dialled for most of its time: none was in use (M)."""
    async with (
        ConnectProxy(behaviour="hang") as egress,
        running_proxy(
            upstream="https://api.test",
            token_url=tokens.token_url,
            egress_proxy=egress.url,
            no_proxy="127.0.0.1",
            max_upstream_connections=1,
            connect_timeout_seconds=0.6,
        ) as proxy,
    ):
        await proxy.metric_becomes(1, "token_requests_total", outcome="ok")
        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(proxy.ask(request("GET /"))) for _ in range(2)]
        for task in asked:
            assert_problem(task.result(), 502, "upstream_unreachable")
        assert await proxy.metric("upstream_errors_total", reason="connect_timeout") == 2
        assert await proxy.metric("upstream_errors_total") == 2
