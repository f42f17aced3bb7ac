"""Answers that come while the body of their request still clogs the way up (F5, F6)."""

import asyncio
import contextlib
import socket

import pytest

from tests.support.messages import reply, request
from tests.support.peers import ByteServer, Channel
from tests.support.running_proxy import RunningProxy, running_proxy
from tests.support.token_server import TokenServer
from tests.support.waiting import within

pytestmark = pytest.mark.usefixtures("no_leaks")

KIB = 1024
MIB = 1 << 20
ENOUGH = 3


class EagerUpstream:
    """Answers a head as soon as `gate` lets it, and reads the body only then."""

    def __init__(self, server: ByteServer, tasks: asyncio.TaskGroup) -> None:
        self.gate = asyncio.Event()
        self._server = server
        self._tasks = tasks
        self.task = tasks.create_task(self._accept(), name="peer")

    async def _accept(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            while True:
                channel = await self._server.accepted(seconds=3600)
                tasks.create_task(self._serve(channel), name="peer")

    async def _serve(self, channel: Channel) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                head = await channel.read_head(seconds=3600)
                await self.gate.wait()
                await channel.send(reply(body=head.start))
                await channel.read(int(head.value("Content-Length") or 0))


def narrow_listener() -> socket.socket:
    """Return a listening socket whose connections have hardly any room for what is not read."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    return sock


async def has_read_all_it_can(proxy: RunningProxy) -> None:
    """Let the proxy's loop go round a few times, so that it has read what it will read."""
    for _ in range(4):
        assert (await proxy.admin("GET /livez")).status == 200


async def test_the_next_request_is_read_behind_a_body_that_clogs(tokens: TokenServer) -> None:
    """Whose request was answered before the upstream took its last bytes may ask again (F5).

    The sizes are those about which the last bytes of the body, and no earlier
    ones, are more than the upstream's connection takes; at larger ones the answer
    comes before the end of the body, and says that the connection will be closed.
    """
    cut = 0
    async with (
        ByteServer(listener=narrow_listener()) as server,
        running_proxy(upstream=server.url, token_url=tokens.token_url) as proxy,
        asyncio.TaskGroup() as tasks,
    ):
        upstream = EagerUpstream(server, tasks)
        for size in range(256 * KIB, 32 * MIB, 48 * KIB):
            upstream.gate.clear()
            caller = await proxy.connect()
            post = request("POST /", f"Content-Length: {size}", body=bytes(size))
            sending = tasks.create_task(caller.send(post))
            await has_read_all_it_can(proxy)
            upstream.gate.set()
            answer = await caller.read_answer()
            if answer.head.value("Connection") is None:
                assert (await caller.ask(request("GET /next"))).body == b"GET /next HTTP/1.1"
            else:
                cut += 1
            with contextlib.suppress(ConnectionError):
                await within(sending, "the body to be taken")
            caller.reset()
            if cut == ENOUGH:
                break
        upstream.task.cancel()
    assert cut == ENOUGH
