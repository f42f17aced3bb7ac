"""The ports: opened last, closed first; a port in use is one line that names the setting."""

import asyncio
import errno
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final, cast

from aiohttp import web

from proxy.net.addresses import ListenAddress
from proxy.net.stream import StreamProtocol

__all__ = ["AdminPort", "CannotListenError", "TrafficPorts", "check_address", "why_not_listening"]

_BACKLOG: Final = 1024
_ADMIN_IDLE_SECONDS: Final = 75.0
_ADMIN_SHUTDOWN_SECONDS: Final = 1.0
_MAX_ADMIN_CONNECTIONS: Final = 32  # half of the files that are spared for other than callers


def why_not_listening(error: OSError) -> str:
    """Return why an address cannot be listened on, as the system says it."""
    if isinstance(error, socket.gaierror) or error.errno is None:
        return "the name cannot be resolved"
    return os.strerror(error.errno)


class CannotListenError(Exception):
    """An address cannot be listened on; the text is one line and names the setting.

    `setting` is its name without the prefix. `is_taken`: somebody else listens there.
    """

    def __init__(self, setting: str, address: ListenAddress, error: OSError) -> None:
        self.setting = setting
        self.address = address
        self.reason = why_not_listening(error)
        self.is_taken = error.errno == errno.EADDRINUSE
        super().__init__(f"SIGNICAT_PROXY_{setting}: cannot listen on {address}: {self.reason}")


def _is_leftover(path: str) -> bool:
    """Say whether a file is a socket that nobody listens on, as a killed process leaves behind.

    Raises `OSError` where somebody does: the event loop would take it away from them.
    """
    try:
        if not stat.S_ISSOCK(Path(path).lstat().st_mode):
            return False
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(path)
    except FileNotFoundError:
        return False
    except ConnectionRefusedError:
        return True
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _remove_leftover(path: str) -> None:
    if _is_leftover(path):
        Path(path).unlink(missing_ok=True)


def _check_socket_path(path: str) -> None:
    """Raise the `OSError` that listening on this path would bring."""
    if _is_leftover(path):
        return
    if Path(path).exists():
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    folder = Path(path).parent
    folder.stat()
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def check_address(setting: str, address: ListenAddress) -> None:
    """Raise the `CannotListenError` that listening would bring; nobody can connect meanwhile."""
    try:
        if address.path is not None:
            _check_socket_path(address.path)
            return
        for family, kind, protocol, _, place in socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(place)
    except OSError as error:
        raise CannotListenError(setting, address, error) from error


def _real_address(address: ListenAddress, sock: socket.socket) -> ListenAddress:
    if address.path is not None:
        return address
    return ListenAddress(host=address.host, port=sock.getsockname()[1], path=None)


async def _listen(
    protocol_factory: Callable[[], StreamProtocol], setting: str, address: ListenAddress
) -> asyncio.Server:
    """Listen on one address; raise `CannotListenError`."""
    loop = asyncio.get_running_loop()
    factory = cast("Callable[[], asyncio.Protocol]", protocol_factory)
    try:
        if address.path is not None:
            _remove_leftover(address.path)
            return await loop.create_unix_server(factory, address.path, backlog=_BACKLOG)
        return await loop.create_server(
            factory, address.host, address.port or 0, backlog=_BACKLOG, reuse_address=True
        )
    except OSError as error:
        raise CannotListenError(setting, address, error) from error


class TrafficPorts:
    """The listeners of LISTEN."""

    def __init__(self, protocol_factory: Callable[[], StreamProtocol]) -> None:
        self._protocol_factory = protocol_factory
        self._servers: list[asyncio.Server] = []
        self._paths: list[str] = []
        self.addresses: list[ListenAddress] = []

    async def open(self, address: ListenAddress) -> None:
        """Listen on one more address; raise `CannotListenError`."""
        server = await _listen(self._protocol_factory, "LISTEN", address)
        if address.path is not None:
            self._paths.append(address.path)
        self._servers.append(server)
        self.addresses.append(_real_address(address, server.sockets[0]))

    def close(self) -> None:
        """Accept nothing more; open connections stay."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        for path in self._paths:
            Path(path).unlink(missing_ok=True)
        self._paths.clear()


class AdminPort:
    """The listener of ADMIN_LISTEN; of too many connections the oldest has to go.

    aiohttp bounds neither their number nor the time that one may take for its
    first request, and every open file is one less for the callers (G6).
    """

    def __init__(self, app: web.Application) -> None:
        self._server: asyncio.Server | None = None
        self._runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            keepalive_timeout=_ADMIN_IDLE_SECONDS,
            shutdown_timeout=_ADMIN_SHUTDOWN_SECONDS,
        )

    async def open(self, address: ListenAddress) -> ListenAddress:
        """Listen; return the real address; raise `CannotListenError`."""
        await self._runner.setup()
        requests = cast("web.Server", self._runner.server)  # there since the line above

        def accept() -> asyncio.Protocol:
            for too_old in requests.connections[: 1 - _MAX_ADMIN_CONNECTIONS]:
                too_old.force_close()
            return requests()

        self._server = await _listen(accept, "ADMIN_LISTEN", address)
        return _real_address(address, self._server.sockets[0])

    async def close(self) -> None:
        """Stop listening and end open admin connections."""
        if self._server is not None:
            self._server.close()
        await self._runner.cleanup()
