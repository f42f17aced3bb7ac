"""The ports: opened last, closed first; a port in use is one line that names the setting."""

import asyncio
import contextlib
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from aiohttp import web

from proxy.settings import ListenAddress

__all__ = ["AdminPort", "CannotListenError", "TrafficPorts"]

_BACKLOG: Final = 1024
_ADMIN_IDLE_SECONDS: Final = 75.0
_ADMIN_SHUTDOWN_SECONDS: Final = 1.0


class CannotListenError(Exception):
    """An address cannot be listened on; the text is one line and names the setting."""

    def __init__(self, setting: str, address: ListenAddress, error: OSError) -> None:
        reason = os.strerror(error.errno) if error.errno else "the name cannot be resolved"
        super().__init__(f"SIGNICAT_PROXY_{setting}: cannot listen on {address}: {reason}")


def _remove_stale_socket(path: str) -> None:
    """Remove a socket file that nobody listens on, as a killed process leaves behind."""
    with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
        if not stat.S_ISSOCK(Path(path).lstat().st_mode):
            return
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(path)
            except ConnectionRefusedError:
                Path(path).unlink()


def _real_address(address: ListenAddress, sock: socket.socket) -> ListenAddress:
    if address.path is not None:
        return address
    return ListenAddress(host=address.host, port=sock.getsockname()[1], path=None)


class TrafficPorts:
    """The listeners of LISTEN."""

    def __init__(self, protocol_factory: Callable[[], asyncio.Protocol]) -> None:
        self._protocol_factory = protocol_factory
        self._servers: list[asyncio.Server] = []
        self._paths: list[str] = []
        self.addresses: list[ListenAddress] = []

    async def open(self, address: ListenAddress) -> None:
        """Listen on one more address; raise `CannotListenError`."""
        loop = asyncio.get_running_loop()
        try:
            if address.path is not None:
                _remove_stale_socket(address.path)
                server = await loop.create_unix_server(
                    self._protocol_factory, address.path, backlog=_BACKLOG
                )
                self._paths.append(address.path)
            else:
                server = await loop.create_server(
                    self._protocol_factory,
                    address.host,
                    address.port or 0,
                    backlog=_BACKLOG,
                    reuse_address=True,
                )
        except OSError as error:
            raise CannotListenError("LISTEN", address, error) from error
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
    """The listener of ADMIN_LISTEN."""

    def __init__(self, app: web.Application) -> None:
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
        site: web.BaseSite
        if address.path is not None:
            _remove_stale_socket(address.path)
            site = web.UnixSite(self._runner, address.path)
        else:
            site = web.TCPSite(self._runner, address.host, address.port, reuse_address=True)
        try:
            await site.start()
        except OSError as error:
            raise CannotListenError("ADMIN_LISTEN", address, error) from error
        if address.path is not None:
            return address
        return ListenAddress(host=address.host, port=self._runner.addresses[0][1], path=None)

    async def close(self) -> None:
        """Stop listening and end open admin connections."""
        await self._runner.cleanup()
