"""The ports: opened last, closed first."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final, cast

from aiohttp import web

from proxy.net.addresses import ListenAddress
from proxy.net.binding import Bound, listen, resolve
from proxy.net.stream import StreamProtocol
from proxy.net.unix_socket import file_id

__all__ = ["AdminPort", "TrafficPorts"]

_BACKLOG: Final = 1024
_ADMIN_IDLE_SECONDS: Final = 75.0
_ADMIN_SHUTDOWN_SECONDS: Final = 1.0
_MAX_ADMIN_CONNECTIONS: Final = 32  # half of the files that are spared for other than callers


class _Listeners:
    """What is listened on, until it is closed."""

    def __init__(self) -> None:
        self._servers: list[asyncio.Server] = []
        self._files: list[tuple[str, tuple[int, int] | None]] = []

    async def open(
        self,
        setting: str,
        address: ListenAddress,
        protocol_factory: Callable[[], StreamProtocol],
    ) -> Bound:
        """Listen on all that an entry stands for; raise `CannotListenError`."""
        looking_up = asyncio.to_thread(resolve, setting, address) if address.is_name else None
        places = address.each() if looking_up is None else await looking_up
        bound = listen(setting, address, places, _BACKLOG)
        if address.path is not None:
            self._files.append((address.path, file_id(address.path)))
        for sock in bound.sockets:
            self._servers.append(await _accept(protocol_factory, sock))
        return bound

    def close(self) -> None:
        """Accept nothing more, and take the paths away; open connections stay.

        A path that somebody else has taken over stays too.
        """
        for path, file in self._files:
            if file is not None and file_id(path) == file:  # compared while the socket is open
                Path(path).unlink(missing_ok=True)
        self._files.clear()
        for server in self._servers:
            server.close()
        self._servers.clear()


async def _accept(
    protocol_factory: Callable[[], StreamProtocol], sock: socket.socket
) -> asyncio.Server:
    """Give each connection of a listening socket a protocol."""
    loop = asyncio.get_running_loop()
    factory = cast("Callable[[], asyncio.Protocol]", protocol_factory)
    if sock.family == socket.AF_UNIX:
        return await loop.create_unix_server(factory, sock=sock, backlog=_BACKLOG)
    return await loop.create_server(factory, sock=sock, backlog=_BACKLOG)


class TrafficPorts:
    """The listeners of LISTEN.

    `addresses` are the entries with their real ports; `left_out` tells what of them this
    machine does not have. `tcp_factory` is for those that are no Unix sockets, if another.
    """

    def __init__(
        self,
        protocol_factory: Callable[[], StreamProtocol],
        tcp_factory: Callable[[], StreamProtocol] | None = None,
    ) -> None:
        self._protocol_factory = protocol_factory
        self._tcp_factory = tcp_factory or protocol_factory
        self._listeners = _Listeners()
        self.addresses: list[ListenAddress] = []
        self.left_out: list[str] = []

    async def open(self, address: ListenAddress) -> None:
        """Listen on one more entry; raise `CannotListenError`."""
        factory = self._tcp_factory if address.path is None else self._protocol_factory
        bound = await self._listeners.open("LISTEN", address, factory)
        self.addresses.append(bound.address)
        self.left_out += bound.left_out

    def close(self) -> None:
        """Accept nothing more; open connections stay."""
        self._listeners.close()


class AdminPort:
    """The listeners of ADMIN_LISTEN; of too many connections the oldest has to go.

    `left_out` tells what of the entry this machine does not have.

    aiohttp bounds neither their number nor the time that one may take for its
    first request, and every open file is one less for the callers (G6).
    """

    def __init__(self, app: web.Application) -> None:
        self._listeners = _Listeners()
        self.left_out: tuple[str, ...] = ()
        self._runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            keepalive_timeout=_ADMIN_IDLE_SECONDS,
            shutdown_timeout=_ADMIN_SHUTDOWN_SECONDS,
        )

    async def open(self, address: ListenAddress) -> ListenAddress:
        """Listen; return the entry with its real port; raise `CannotListenError`."""
        await self._runner.setup()
        requests = cast("web.Server", self._runner.server)  # there since the line above

        def accept() -> asyncio.Protocol:
            for too_old in requests.connections[: 1 - _MAX_ADMIN_CONNECTIONS]:
                too_old.force_close()
            return requests()

        bound = await self._listeners.open("ADMIN_LISTEN", address, accept)
        self.left_out = bound.left_out
        return bound.address

    async def close(self) -> None:
        """Stop listening and end open admin connections."""
        self._listeners.close()
        await self._runner.cleanup()
