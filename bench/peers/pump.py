"""A byte pump on uvloop: what moving a request through Python costs without any HTTP.

It knows no token, so the load brings it, and no back-pressure: it is there for small messages.
"""

import asyncio
import os
import ssl
from typing import cast

import uvloop

__all__ = ["main"]


class _Side(asyncio.Protocol):
    """One of two connections; what comes on it goes to the other."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self.other: asyncio.Transport | None = None
        self.early = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Pass bytes on, or keep them until there is another side."""
        if self.other is None:
            self.early += data
        else:
            self.other.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Close the other side too."""
        del exc
        if self.other is not None:
            self.other.close()


class _Pump:
    """Gives each caller a connection of its own to the upstream."""

    def __init__(self, tasks: asyncio.TaskGroup, port: int, tls: ssl.SSLContext | None) -> None:
        self._tasks = tasks
        self._port = port
        self._tls = tls

    def caller(self) -> _Side:
        """Return the protocol of a new caller."""
        side = _Side()
        self._tasks.create_task(self._join(side))
        return side

    async def _join(self, caller: _Side) -> None:
        name = "localhost" if self._tls else None
        transport, upstream = await asyncio.get_running_loop().create_connection(
            _Side, "127.0.0.1", self._port, ssl=self._tls, server_hostname=name
        )
        upstream.other, caller.other = caller.transport, transport
        transport.write(caller.early)


async def main() -> None:
    """Serve until the process is ended."""
    ca_file = os.environ.get("CA_FILE")
    tls = ssl.create_default_context(cafile=ca_file) if ca_file else None
    async with asyncio.TaskGroup() as tasks:
        pump = _Pump(tasks, int(os.environ["UPSTREAM_PORT"]), tls)
        server = await asyncio.get_running_loop().create_server(
            pump.caller, "127.0.0.1", int(os.environ["PORT"]), backlog=4096
        )
        await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
