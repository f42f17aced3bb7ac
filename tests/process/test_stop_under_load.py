"""Stops and restarts while callers are busy: what was accepted is answered (C2)."""

import asyncio
import contextlib
import json
import signal
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from tests.support.messages import Message, reply, request
from tests.support.peers import ByteServer, Channel, ClosedEarlyError
from tests.support.ports import port_for_later
from tests.support.proxy_process import ProxyProcess, proxy_process
from tests.support.running_proxy import environment
from tests.support.token_server import TokenServer
from tests.support.waiting import eventually, within

pytestmark = pytest.mark.usefixtures("no_leaks")

IN_FLIGHT = 50
NEWCOMERS = 8


def answered_by(process: ProxyProcess) -> Counter[str]:
    """Count the outcomes of the requests in a process's access log."""
    events = [json.loads(line) for line in process.lines if line.startswith("{")]
    return Counter(event["outcome"] for event in events if event["event"] == "request")


class Newcomers:
    """Callers that come with a new connection for each request until nobody listens."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.answered = 0
        self.lost: list[str] = []

    async def keep_coming(self) -> None:
        """Ask again and again; end when the connection is refused."""
        while True:
            try:
                caller = await Channel.connect("127.0.0.1", self._port)
            except (ConnectionRefusedError, ConnectionResetError):
                return
            try:
                await caller.send(request("GET /new"))
                answer = await caller.read_answer()
                assert answer.status == 200
                self.answered += 1
            except (ClosedEarlyError, ConnectionError) as error:
                # A connection that the kernel had taken, but not the proxy, is reset by
                # the end of the listener; nothing of an answer may have been on it.
                if caller.received:
                    self.lost.append(str(error))
            finally:
                caller.reset()


async def test_a_stop_loses_no_request_that_was_accepted(
    tokens: TokenServer, tmp_path: Path
) -> None:
    """Fifty are running and new ones arrive when SIGTERM comes; each gets its whole answer."""
    go_on = asyncio.Event()

    async def answer(message: Message) -> bytes:
        if message.target == "/slow":
            await go_on.wait()
        return reply(body=message.target.encode() * 100)

    async with ByteServer(answer) as upstream:
        environ = environment(
            upstream=upstream.url, token_url=tokens.token_url, shutdown_delay_seconds=0.3
        )
        async with proxy_process(environ, "run", directory=tmp_path) as process:
            port, _ = await process.ports()
            slow = [await Channel.connect("127.0.0.1", port) for _ in range(IN_FLIGHT)]
            for caller in slow:
                await caller.send(request("GET /slow"))
            newcomers = Newcomers(port)
            async with asyncio.TaskGroup() as tasks:
                for _ in range(NEWCOMERS):
                    tasks.create_task(newcomers.keep_coming(), name="peer")
                await eventually(lambda: len(upstream.requests) > IN_FLIGHT + 50, "the load")
                process.send(signal.SIGTERM)
                await process.event("draining")
            go_on.set()
            answers = [await caller.read_answer() for caller in slow]
            assert await process.ended() == 0
            for caller in slow:
                caller.reset()
    assert {(one.status, len(one.body)) for one in answers} == {(200, 500)}
    assert newcomers.lost == []
    assert answered_by(process) == {"ok": newcomers.answered + IN_FLIGHT}


async def test_a_stuck_request_does_not_hold_the_stop(tokens: TokenServer, tmp_path: Path) -> None:
    """Neither an upstream that never answers nor a caller that never reads (C2)."""
    big = reply(body=b"x" * 30_000_000)

    async def answer(message: Message) -> bytes:
        if message.target == "/stuck":
            await asyncio.Event().wait()
        return big

    async with ByteServer(answer) as upstream:
        # What would end them otherwise comes later than the end is waited for.
        settings = {"drain_seconds": 1, "read_timeout_seconds": 3600}
        environ = environment(upstream=upstream.url, token_url=tokens.token_url, **settings)
        async with proxy_process(environ, "run", directory=tmp_path) as process:
            port, _ = await process.ports()
            callers = []
            for target in ("/stuck", "/big"):
                caller = await Channel.connect("127.0.0.1", port)
                await caller.send(request(f"GET {target}"))
                callers.append(caller)
            await eventually(lambda: len(upstream.requests) == 2, "both requests")
            process.send(signal.SIGTERM)
            assert await process.ended() == 0
            for caller in callers:
                caller.reset()


async def test_hangups_under_load_fail_no_request(tokens: TokenServer, tmp_path: Path) -> None:
    """SIGHUP renews in the background; requests go out with the old token meanwhile (C2, T7)."""
    async with ByteServer(reply(body=b"x")) as upstream:
        environ = environment(upstream=upstream.url, token_url=tokens.token_url)
        async with proxy_process(environ, "run", directory=tmp_path) as process:
            port, _ = await process.ports()
            caller = await Channel.connect("127.0.0.1", port)
            for number in range(400):
                if number % 50 == 0:
                    process.send(signal.SIGHUP)
                assert (await caller.ask(request("GET /"))).status == 200
            await eventually(lambda: len(tokens.issued) > 1, "a renewal")
            caller.reset()


class Balancer:
    """Sends each request to an instance that says it is ready, as a Service in Kubernetes does."""

    def __init__(self) -> None:
        self.instances: dict[str, tuple[int, int]] = {}
        self.ready: list[int] = []
        self.ends: Counter[str] = Counter()

    async def _is_ready(self, admin: int) -> bool:
        with contextlib.suppress(ConnectionError):
            probe = await Channel.connect("127.0.0.1", admin)
            with contextlib.closing(probe):  # also where the stop cuts it, or the test ends
                answer = await probe.ask(request("GET /readyz", "Connection: close"))
            return answer.status == 200
        return False

    def has_answered(self, wanted: int) -> bool:
        """Say whether that many were answered."""
        return self.ends["200"] >= wanted

    async def watch(self) -> None:
        """Keep the list of those that are ready."""
        while True:
            instances = list(self.instances.values())
            self.ready = [port for port, admin in instances if await self._is_ready(admin)]
            await asyncio.sleep(0.05)  # the period of the probes

    async def keep_asking(self) -> None:
        """Ask over a new connection each time."""
        turn = 0
        while True:
            turn += 1
            caller = await Channel.connect("127.0.0.1", self.ready[turn % len(self.ready)])
            try:
                self.ends[str((await caller.ask(request("GET /"))).status)] += 1
            except ClosedEarlyError:
                self.ends["lost"] += 1
            finally:
                caller.reset()
            await asyncio.sleep(0)


async def test_restarts_behind_two_instances_lose_nothing(
    tokens: TokenServer, tmp_path: Path
) -> None:
    """Each is replaced in turn while callers are busy; they see nothing but answers (C2)."""
    async with ByteServer(reply(body=b"x")) as upstream, contextlib.AsyncExitStack() as stack:
        # Long enough for a look at the probes, also of a machine that stands still meanwhile.
        environ = environment(
            upstream=upstream.url, token_url=tokens.token_url, shutdown_delay_seconds=3
        )
        balancer = Balancer()

        async def start(name: str) -> ProxyProcess:
            running = proxy_process(environ, "run", directory=tmp_path)
            process = await stack.enter_async_context(running)
            balancer.instances[name] = await process.ports()
            return process

        first, second = await start("first"), await start("second")
        async with asyncio.TaskGroup() as tasks:
            load = [tasks.create_task(balancer.watch(), name="peer")]
            await eventually(lambda: len(balancer.ready) == 2, "both to be ready")
            load += [tasks.create_task(balancer.keep_asking(), name="peer") for _ in range(4)]
            for name, old in (("first", first), ("second", second)):
                wanted = balancer.ends["200"] + 100
                await eventually(partial(balancer.has_answered, wanted), "the load")
                old.send(signal.SIGTERM)
                assert await old.ended() == 0
                await start(name)
                await eventually(lambda: len(balancer.ready) == 2, "the new one to be ready")
            for task in load:
                task.cancel()
        assert set(balancer.ends) == {"200"}


async def test_a_killed_process_leaves_its_port_free(tokens: TokenServer, tmp_path: Path) -> None:
    """The next one starts on the same port at once."""
    async with ByteServer(reply(body=b"x")) as upstream:
        port = port_for_later()
        environ = environment(
            upstream=upstream.url, token_url=tokens.token_url, listen=f"127.0.0.1:{port}"
        )
        async with proxy_process(environ, "run", directory=tmp_path) as process:
            await process.ports()
            caller = await Channel.connect("127.0.0.1", port)
            await caller.ask(request("GET /"))
            process.send(signal.SIGKILL)
            assert await process.ended() == -signal.SIGKILL
        async with proxy_process(environ, "run", directory=tmp_path) as process:
            assert (await process.ports())[0] == port
            caller.reset()
            again = await Channel.connect("127.0.0.1", port)
            answer = await within(again.ask(request("GET /")), "an answer")
            assert answer.status == 200
            again.reset()
