"""`signicat-proxy health` ends in time, whatever it meets where the admin port should be."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest

from proxy.admin.probe import is_signicat_proxy, probe, wait_until_good
from proxy.net.addresses import ListenAddress, parse_listen_address
from tests.support.cable import Cable, why_no_cable
from tests.support.name_server import at_the_far_end, name_server
from tests.support.no_ipv6 import HAS_SECCOMP, WITHOUT_IPV6
from tests.support.peers import ByteServer, Channel
from tests.support.proxy_process import proxy_process
from tests.support.waiting import START_SECONDS, within

pytestmark = pytest.mark.usefixtures("no_leaks")

STRANGE_HEAD: Final = b"HTTP/1.1 200 OK\r\nX-A: "
LONG_BODY: Final = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 99999\r\n\r\n"
CHUNKED: Final = b"HTTP/1.1 503 Service Unavailable\r\nTransfer-Encoding: chunked\r\n\r\n"
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

DRIPS: Final = {
    "a head": (STRANGE_HEAD, b"a"),
    "a body": (LONG_BODY, b"a"),
    "chunks": (CHUNKED, b"1\r\na\r\n"),
    "100": (b"", CONTINUE),
}


@contextlib.asynccontextmanager
async def stranger(begin: bytes, piece: bytes, pause: float) -> AsyncIterator[ListenAddress]:
    """Serve whoever comes with `begin`, then with `piece` again and again."""

    async def drip(channel: Channel) -> None:
        with contextlib.suppress(ConnectionError):
            await channel.send(begin)
            while True:
                await channel.send(piece)
                await asyncio.sleep(pause)

    async def accept(server: ByteServer) -> None:
        async with asyncio.TaskGroup() as drips:
            while True:
                drips.create_task(drip(await server.accepted(3600)), name="peer")

    async with ByteServer() as server, asyncio.TaskGroup() as tasks:
        accepting = tasks.create_task(accept(server), name="peer")
        yield parse_listen_address(server.url.removeprefix("http://"))
        accepting.cancel()


@pytest.mark.parametrize(("begin", "piece"), DRIPS.values(), ids=DRIPS.keys())
async def test_a_peer_that_drips_bytes(begin: bytes, piece: bytes) -> None:
    """The time is for all of an attempt, and for all of a wait; not for each byte."""
    async with stranger(begin, piece, pause=0.05) as address:
        for attempt in (
            asyncio.to_thread(probe, address, ready=True, timeout_seconds=0.5),
            asyncio.to_thread(wait_until_good, address, ready=True, seconds=0.5),
        ):
            is_good, line = await within(attempt, "the end of the attempt")
            assert not is_good
            assert line.startswith(f"{address}/readyz: TimeoutError")


async def test_a_port_whose_owner_drips_is_not_ours() -> None:
    """So `check` says in time whose the port is."""
    async with stranger(STRANGE_HEAD, b"a", pause=0.05) as address:
        assert not await within(asyncio.to_thread(is_signicat_proxy, address), "the end of it")


@pytest.mark.parametrize(("begin", "piece"), DRIPS.values(), ids=DRIPS.keys())
async def test_a_peer_that_sends_without_end(begin: bytes, piece: bytes) -> None:
    """What is kept of it is bounded, and ends long before the time does."""
    async with stranger(begin, piece * 10_000, pause=0) as address:
        attempt = asyncio.to_thread(probe, address, ready=True, timeout_seconds=3600)
        is_good, line = await within(attempt, "the end of the attempt")
    assert not is_good
    assert line.startswith(f"{address}/readyz: ")


async def test_a_wait_lasts_no_longer_than_it_should(tmp_path: Path) -> None:
    """Nobody is there: the last attempt begins by then."""
    address = parse_listen_address(f"unix:{tmp_path}/nobody")
    began = time.monotonic()
    said = await asyncio.to_thread(wait_until_good, address, ready=False, seconds=0.5)
    assert said == (False, f"{address}/livez: No such file or directory; waited 0.5 s")
    assert time.monotonic() - began >= 0.5


@pytest.mark.skipif(not HAS_SECCOMP, reason="needs seccomp")
async def test_a_machine_without_ipv6(tmp_path: Path) -> None:
    """What is said is why there is nobody at the address that it has."""
    arguments = ("health", "--admin-listen", "localhost:1")
    async with proxy_process({}, *arguments, directory=tmp_path, prefix=WITHOUT_IPV6) as process:
        assert await process.ended(START_SECONDS) == 1
    assert process.lines == ["localhost:1/livez: Connection refused"]


@pytest.mark.skipif(bool(why_no_cable()), reason=why_no_cable() or "none")
@pytest.mark.parametrize("flags", [(), ("--wait=4",)], ids=["once", "--wait"])
async def test_a_name_server_that_is_silent(tmp_path: Path, flags: tuple[str, ...]) -> None:
    """A lookup has its time too, holds no exit, and is not begun again while it lasts."""
    with Cable() as cable:
        async with name_server(cable.bind_datagrams(53)) as names:
            names.is_silent = True
            prefix = at_the_far_end(cable, tmp_path, "timeout:30 attempts:1")
            arguments = ("health", *flags, "--admin-listen", "admin.example.test:8081")
            async with proxy_process({}, *arguments, directory=tmp_path, prefix=prefix) as process:
                assert await process.ended(START_SECONDS) == 1
            assert names.asked <= 2  # for IPv4 and for IPv6
    assert process.lines[0].startswith("admin.example.test:8081/livez: TimeoutError")
