"""What a process leaves behind: no open connection, and no file of its memory (C2, G7)."""

import asyncio
import contextlib
import resource
import sys
from pathlib import Path

import pytest

from tests.support.messages import assert_problem, reply, request
from tests.support.peers import ByteServer, Channel, ClosedEarlyError
from tests.support.proxy_process import proxy_process
from tests.support.running_proxy import RunningProxy, environment, proxied, running_proxy
from tests.support.token_server import TokenServer
from tests.support.waiting import within

pytestmark = pytest.mark.usefixtures("no_leaks")

LIMITED = """
import os, resource, sys
_, most = resource.getrlimit(resource.RLIMIT_CORE)
resource.setrlimit(resource.RLIMIT_CORE, (most, most))
os.execv(sys.argv[1], sys.argv[1:])
"""


def limits_of(pid: int) -> str:
    """Return what the system says of a process's limits."""
    return Path(f"/proc/{pid}/limits").read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.skipif(resource.getrlimit(resource.RLIMIT_CORE)[1] == 0, reason="no core files here")
async def test_a_running_proxy_leaves_no_core_file(tokens: TokenServer, tmp_path: Path) -> None:
    """However large the system would let one be, and for good (G7)."""
    async with ByteServer(reply()) as upstream:
        environ = environment(upstream=upstream.url, token_url=tokens.token_url)
        prefix = (sys.executable, "-c", LIMITED)
        async with proxy_process(environ, "run", directory=tmp_path, prefix=prefix) as process:
            await process.ports()
            limits = limits_of(process.pid)
    (line,) = (line for line in limits.splitlines() if line.startswith("Max core file size"))
    assert line.split()[4:6] == ["0", "0"]


async def test_a_caller_who_does_not_leave_is_reset(tokens: TokenServer) -> None:
    """At the end of the drain: also who has its last answer but keeps its side open (C2)."""
    async with proxied(tokens, reply(), drain_seconds=0.2) as (proxy, _):
        caller = await proxy.connect()
        await caller.send(b"no request at all\r\n\r\n")
        assert_problem(await caller.read_answer(), 400, "bad_request")
        assert await caller.read_to_end() == b""
        proxy.stop()
        await within(proxy.ended.wait(), "the end of the proxy")

        async def go_on() -> None:
            while True:
                await caller.send(b"x")
                await asyncio.sleep(0.01)

        with pytest.raises(ConnectionError):
            await within(go_on(), "the reset")


async def admin_port_is_closed(proxy: RunningProxy) -> None:
    """Wait until nobody listens for operators any more."""
    with contextlib.suppress(ConnectionError):
        while True:
            (await Channel.connect("127.0.0.1", proxy.admin_port)).close()
            await asyncio.sleep(0.01)


async def test_a_connection_that_comes_up_too_late_is_closed(tokens: TokenServer) -> None:
    """What was being dialled when the proxy ended is nobody's, and does not stay open (C2)."""
    async with (
        ByteServer() as egress,
        running_proxy(
            upstream="http://api.test",
            unsafe_plain_http=True,
            token_url=tokens.token_url,
            egress_proxy=egress.url,
            no_proxy="127.0.0.1",
            connect_timeout_seconds=60,
        ) as proxy,
    ):
        caller = await proxy.connect()
        await caller.send(request("GET /"))
        tunnel = await egress.accepted()
        assert (await tunnel.read_head()).start == b"CONNECT api.test:80 HTTP/1.1"
        caller.close()
        await proxy.metric_becomes(0, "requests_in_flight")
        proxy.stop()
        await within(admin_port_is_closed(proxy), "the end of the admin port")
        with contextlib.suppress(ConnectionError):
            await tunnel.send(b"HTTP/1.1 200 OK\r\n\r\n")
        with contextlib.suppress(ClosedEarlyError):
            assert await tunnel.read_to_end() == b""
        await within(proxy.ended.wait(), "the end of the proxy")
