"""The ports: opened last, closed first."""

import asyncio
import socket
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, cast

from aiohttp import web

from proxy.net.addresses import ListenAddress
from proxy.net.binding import Bound, listen, resolve
from proxy.net.inherited import InheritedSocket
from proxy.net.stream import StreamProtocol
from proxy.net.unix_socket import file_id

__all__ = ["AdminPort", "TrafficPorts"]

_BACKLOG: Final = 1024
_LONGEST_BACKLOG: Final = 2**31 - 1  # what the kernel allows, as in a .socket unit by default
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
        tcp_factory: Callable[[], StreamProtocol] | None = None,
    ) -> Bound:
        """Listen on all that an entry stands for; raise `CannotListenError`.

        `tcp_factory` is for those that are no Unix sockets, if another.
        """
        looking_up = asyncio.to_thread(resolve, setting, address) if address.is_name else None
        places = address.each() if looking_up is None else await looking_up
        bound = listen(setting, address, places, _BACKLOG)
        if address.path is not None:
            self._files.append((address.path, file_id(address.path)))
        for sock in bound.sockets:
            await self._accept(sock, protocol_factory, tcp_factory, _BACKLOG)
        return bound

    async def adopt(
        self,
        sockets: Iterable[InheritedSocket],
        protocol_factory: Callable[[], StreamProtocol],
        tcp_factory: Callable[[], StreamProtocol] | None = None,
    ) -> None:
        """Accept on sockets that systemd listens on, too: their paths are not ours to take away.

        Who connects while nobody accepts waits in their queue.
        """
        for each in sockets:
            await self._accept(each.adopt(), protocol_factory, tcp_factory, _LONGEST_BACKLOG)

    async def _accept(
        self,
        sock: socket.socket,
        protocol_factory: Callable[[], StreamProtocol],
        tcp_factory: Callable[[], StreamProtocol] | None,
        backlog: int,
    ) -> None:
        """Give each connection of a listening socket a protocol.

        From Python 3.13 on `create_unix_server` takes the path away at its end, also systemd's.
        """
        is_unix = sock.family == socket.AF_UNIX
        chosen = protocol_factory if is_unix or tcp_factory is None else tcp_factory
        factory = cast("Callable[[], asyncio.Protocol]", chosen)
        create = asyncio.get_running_loop().create_server
        self._servers.append(await create(factory, sock=sock, backlog=backlog))

    def close(self) -> None:
        """Accept nothing more, and take the paths away; open connections stay.

        A path that somebody else has taken over stays too, and so does the queue of a socket
        that systemd listens on: its next owner accepts those who are in it.
        """
        for path, file in self._files:
            if file is not None and file_id(path) == file:  # compared while the socket is open
                Path(path).unlink(missing_ok=True)
        self._files.clear()
        for server in self._servers:
            server.close()
        self._servers.clear()


class TrafficPorts:
    """The listeners of LISTEN.

    `addresses` are the entries with their real ports, those of systemd's sockets one by one;
    `left_out` tells what of them this machine does not have. `tcp_factory` is for those that are
    no Unix sockets, if another.
    """

    def __init__(
        self,
        protocol_factory: Callable[[], StreamProtocol],
        tcp_factory: Callable[[], StreamProtocol] | None = None,
    ) -> None:
        self._protocol_factory = protocol_factory
        self._tcp_factory = tcp_factory
        self._listeners = _Listeners()
        self.addresses: list[ListenAddress] = []
        self.left_out: list[str] = []

    async def open(self, address: ListenAddress, inherited: Sequence[InheritedSocket] = ()) -> None:
        """Listen on one more entry, or on the sockets for it; raise `CannotListenError`."""
        factories = self._protocol_factory, self._tcp_factory
        if address.inherited is not None:
            await self._listeners.adopt(inherited, *factories)
            self.addresses += [each.address for each in inherited]
            return
        bound = await self._listeners.open("LISTEN", address, *factories)
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

    async def open(
        self, address: ListenAddress, inherited: Sequence[InheritedSocket] = ()
    ) -> list[ListenAddress]:
        """Listen, or accept on the sockets for the entry; raise `CannotListenError`.

        Returns the entry with its real port, or the addresses of the sockets.
        """
        await self._runner.setup()
        requests = cast("web.Server", self._runner.server)  # there since the line above

        def accept() -> asyncio.Protocol:
            for too_old in requests.connections[: 1 - _MAX_ADMIN_CONNECTIONS]:
                too_old.force_close()
            return requests()

        if address.inherited is not None:
            await self._listeners.adopt(inherited, accept)
            return [each.address for each in inherited]
        bound = await self._listeners.open("ADMIN_LISTEN", address, accept)
        self.left_out = bound.left_out
        return [bound.address]

    async def close(self) -> None:
        """Stop listening and end open admin connections."""
        self._listeners.close()
        await self._runner.cleanup()
