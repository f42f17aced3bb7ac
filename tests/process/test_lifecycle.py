"""Start and stop, in the test's own loop (C1, C2)."""

import asyncio
import contextlib
import itertools
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.messages import assert_problem, reply, request
from tests.support.peers import Channel
from tests.support.running_proxy import RunningProxy, proxied, running_proxy
from tests.support.token_server import TokenServer
from tests.support.waiting import within

pytestmark = pytest.mark.usefixtures("no_leaks")


async def test_a_unix_socket_serves_callers(tokens: TokenServer, tmp_path: Path) -> None:
    """`unix:/path` stands beside ports; its file is gone after the stop."""
    path = tmp_path / "proxy.sock"
    listen = f"127.0.0.1:0,unix:{path}"
    async with proxied(tokens, reply(body=b"x"), listen=listen) as (proxy, _):
        over_unix = proxy.keep(await Channel.connect_unix(str(path)))
        assert (await over_unix.ask(request("GET /"))).body == b"x"
        assert (await proxy.ask(request("GET /"))).body == b"x"
    assert not path.exists()


async def test_ports_open_before_there_is_a_token(tokens: TokenServer) -> None:
    """A dead token endpoint does not stop the start: alive, not started, not ready (C1)."""
    tokens.gate.clear()
    async with proxied(tokens, reply()) as (proxy, _):
        assert (await proxy.admin("GET /livez")).status == 200
        assert (await proxy.admin("GET /startupz")).status == 503
        assert (await proxy.admin("GET /readyz")).status == 503
        tokens.gate.set()
        await proxy.ask(request("GET /"))
        assert (await proxy.admin("GET /startupz")).status == 200
        assert (await proxy.admin("GET /readyz")).status == 200


async def is_refused(proxy: RunningProxy) -> bool:
    """Say whether new connections are refused."""
    try:
        (await Channel.connect("127.0.0.1", proxy.port)).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:  # it stood in the queue of a listener that is closed now
        pass
    return False


async def until_refused(proxy: RunningProxy) -> None:
    """Wait until the listener is closed."""
    for pause in itertools.repeat(0.01):
        if await is_refused(proxy):
            return
        await asyncio.sleep(pause)


async def test_a_drain_finishes_what_is_running(tokens: TokenServer) -> None:
    """Not ready, no new connections, and the slow request gets its whole answer (C2)."""
    async with proxied(tokens) as (proxy, upstream):
        slow, resting = await proxy.connect(), await proxy.connect()
        await slow.send(request("GET /slow"))
        server = await upstream.accepted()
        await server.read_request()
        await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc")
        await slow.read_head()
        proxy.stop()
        await within(until_refused(proxy), "the listener to close")
        assert (await proxy.admin("GET /readyz")).status == 503
        assert (await proxy.admin("GET /livez")).status == 200
        assert await resting.read_to_end() == b""
        await server.send(b"def")
        assert await slow.read_to_end() == b"abcdef"


async def test_an_answer_during_the_drain_is_the_last_on_its_connection(
    tokens: TokenServer,
) -> None:
    """The caller is told by `Connection: close` (C2)."""
    async with proxied(tokens) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("GET /slow"))
        server = await upstream.accepted()
        await server.read_request()
        proxy.stop()
        await within(until_refused(proxy), "the listener to close")
        await server.send(reply(body=b"x"))
        answer = await caller.read_answer()
        assert (answer.body, answer.head.value("Connection")) == (b"x", "close")
        assert await caller.read_to_end() == b""


async def test_a_head_that_has_begun_is_heard_out_in_a_drain(tokens: TokenServer) -> None:
    """Whoever is amid a request when the end begins is answered, for the last time (C2)."""
    async with proxied(tokens, reply(body=b"x")) as (proxy, _):
        caller = await proxy.connect()
        begun, rest = request("GET /")[:20], request("GET /")[20:]
        await caller.send(begun)
        assert (await proxy.admin("GET /livez")).status == 200
        proxy.stop()
        await within(until_refused(proxy), "the listener to close")
        assert await caller.stays_silent(1.8)  # longer than it takes to close those that rest
        answer = await caller.ask(rest)
        assert (answer.body, answer.head.value("Connection")) == (b"x", "close")
        assert await caller.read_to_end() == b""


async def test_the_drain_ends_after_its_time(tokens: TokenServer) -> None:
    """What is not answered by DRAIN_SECONDS gets 503 `draining`: to be repeated if unsent (C2)."""
    async with proxied(tokens, drain_seconds=0.4, max_upstream_connections=2) as (proxy, upstream):
        waiting, reading = await proxy.connect(), await proxy.connect()
        await waiting.send(request("GET /waiting"))
        await (await upstream.accepted()).read_request()
        await reading.send(request("GET /reading"))
        server = await upstream.accepted()
        await server.read_request()
        await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc")
        await reading.read_head()
        queued = await proxy.connect()
        await queued.send(request("POST /queued"))
        await proxy.metric_becomes(1, "upstream_connections", state="waiting")
        proxy.stop()
        answer = await queued.read_answer()
        assert_problem(answer, 503, "draining")
        assert answer.head.value("Retry-After") == "1"
        answer = await waiting.read_answer()
        assert_problem(answer, 503, "draining")
        assert answer.head.value("Retry-After") is None
        assert b"is not known" in answer.body
        assert answer.head.value("Connection") == "close"
        assert not (await reading.read_whatever()).endswith(b"abcdef")
        await within(proxy.ended.wait(), "the end")


async def test_a_second_stop_ends_the_drain(tokens: TokenServer) -> None:
    """At once, whatever is running (C2)."""
    async with proxied(tokens, shutdown_delay_seconds=60) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("GET /"))
        await (await upstream.accepted()).read_request()
        proxy.stop()
        assert await caller.stays_silent()
        proxy.stop()
        assert b"200 OK" not in await caller.read_whatever()
        await within(proxy.ended.wait(), "the end")


async def test_the_shutdown_delay_serves_on(tokens: TokenServer) -> None:
    """Not ready at once, while callers who do not know yet are served (C2)."""
    async with proxied(tokens, reply(), shutdown_delay_seconds=60) as (proxy, _):
        proxy.stop()
        assert (await proxy.admin("GET /readyz")).status == 503
        assert (await proxy.ask(request("GET /"))).status == 200


async def test_the_shutdown_delay_is_over_by_itself(tokens: TokenServer) -> None:
    """Then nobody is let in any more, and the drain begins (C2)."""
    async with proxied(tokens, reply(), shutdown_delay_seconds=0.6) as (proxy, _):
        proxy.stop()
        await within(until_refused(proxy), "the listener to close")
        await within(proxy.ended.wait(), "the end")


async def test_the_start_up_deadline(tokens: TokenServer) -> None:
    """A Job that gets no token in time ends with 1: STARTUP_DEADLINE_SECONDS (C1)."""
    tokens.failure = reply("500 Oops")
    settings = {"startup_deadline_seconds": 1, "expected_exit_code": 1}
    async with proxied(tokens, reply(), **settings) as (proxy, _):
        await within(proxy.ended.wait(), "the end")
    assert any(event["level"] == "critical" for event in proxy.logs)


async def test_the_start_up_deadline_is_met_by_one_token(tokens: TokenServer) -> None:
    """Later failures are no reason to end."""
    seconds = 2  # this long from the start, so it is over before the wait below
    async with proxied(tokens, reply(), startup_deadline_seconds=seconds) as (proxy, _):
        await proxy.ask(request("GET /"))
        tokens.failure = reply("500 Oops")
        await proxy.admin("POST /-/refresh")
        await asyncio.sleep(seconds)
        assert (await proxy.ask(request("GET /"))).status == 200


@contextlib.contextmanager
def deaf() -> Iterator[str]:
    """Provide the URL of a port to which no connection ever comes up."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        address = server.getsockname()
        for _ in range(2):  # its queue is full, so that the system answers nobody
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)  # noqa: FBT003
            filler.connect_ex(address)
        yield f"http://127.0.0.1:{address[1]}"


@pytest.mark.parametrize("is_hurried", [True, False], ids=["hurried", "drained"])
async def test_a_stop_waits_for_no_connection_that_never_comes_up(
    tokens: TokenServer, *, is_hurried: bool
) -> None:
    """A second signal, or the end of DRAIN_SECONDS, ends what is being dialled (C2)."""
    settings = {"connect_timeout_seconds": 60, "drain_seconds": 60 if is_hurried else 0.2}
    with deaf() as url:
        async with running_proxy(
            upstream=url,
            token_url=tokens.token_url,
            **settings,  # type: ignore[arg-type]
        ) as proxy:
            caller = await proxy.connect()
            await caller.send(request("GET /"))
            await proxy.metric_becomes(1, "upstream_connections", state="connecting")
            proxy.stop()
            if is_hurried:
                proxy.stop()
            assert_problem(await caller.read_answer(), 503, "draining")
            await within(proxy.ended.wait(), "the end")
