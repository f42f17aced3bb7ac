"""The proxy with both its connections in memory: no sockets, no system calls, no event loop's turn.

What is left is what the proxy itself does for a request, which even a busy machine measures
to a tenth of a microsecond if it is repeated often enough.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, TypeVar

from bench.peers.token_endpoint import TOKEN
from proxy.clock import SYSTEM_CLOCK
from proxy.forward.caller import CallerConnection
from proxy.forward.context import Context
from proxy.forward.pool import Pool
from proxy.forward.turns import Turns
from proxy.net.dialer import Dialer, Progress
from proxy.net.name_cache import NameCache
from proxy.net.stream import StreamProtocol
from proxy.oauth.token import Token
from proxy.server.assembly import assemble
from proxy.settings.loader import load
from proxy.telemetry.logs import open_logs
from proxy.tracing.settings import TraceSettings

__all__ = ["InMemory", "MemoryTransport", "in_memory"]

DAY_SECONDS = 86400

P = TypeVar("P", bound=StreamProtocol)


class MemoryTransport(asyncio.Transport):
    """Keeps the last bytes written, and is never full or closed."""

    def __init__(self) -> None:
        super().__init__()
        self.last = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes."""
        self.last = bytes(data)

    def is_closing(self) -> bool:
        """Stay open."""
        return False

    def get_write_buffer_size(self) -> int:
        """Hold nothing back."""
        return 0

    def abort(self) -> None:
        """Fail: an exchange that is measured has no reason to end a connection."""
        raise AssertionError("a connection was aborted")

    def close(self) -> None:
        """Fail likewise."""
        self.abort()


class _MemoryDialer(Dialer):
    """Connects to nothing."""

    def __init__(self) -> None:
        super().__init__(
            "127.0.0.1", 9, names=NameCache(clock=SYSTEM_CLOCK), tls=None, connect_timeout_seconds=1
        )
        self.connected = asyncio.Event()
        self.link: StreamProtocol
        self.transport: MemoryTransport

    async def dial(
        self, protocol_factory: Callable[[], P], progress: Progress | None = None
    ) -> tuple[asyncio.Transport, P]:
        """Return a connection whose responses the measurement brings."""
        del progress
        link = protocol_factory()
        self.link, self.transport = link, MemoryTransport()
        link.connection_made(self.transport)
        self.connected.set()
        return self.transport, link


@dataclass(frozen=True, slots=True)
class InMemory:
    """One caller's connection and one to the upstream, as the proxy sees them.

    `ask` brings bytes from the caller, `respond` bytes from the upstream.
    """

    context: Context
    ask: Callable[[bytes], None]
    respond: Callable[[bytes], None]
    to_caller: MemoryTransport
    to_upstream: MemoryTransport


@asynccontextmanager
async def in_memory(
    request: bytes,
    response: bytes,
    access_log: str = "off",
    trace_settings: TraceSettings | None = None,
) -> AsyncIterator[InMemory]:
    """Assemble the proxy for the block; the first exchange has run and left a connection."""
    with Path(os.devnull).open("w", encoding="utf-8") as stream:  # noqa: ASYNC230 - never waits
        async with asyncio.TaskGroup() as tasks:
            context, dialer = _assembled(stream, tasks, access_log, trace_settings)
            to_caller = MemoryTransport()
            caller = CallerConnection(context)
            caller.connection_made(to_caller)
            caller.data_received(request)
            await dialer.connected.wait()
            await asyncio.sleep(0)  # the pool hands the connection over
            dialer.link.data_received(response)
            yield InMemory(
                context,
                caller.data_received,
                dialer.link.data_received,
                to_caller,
                dialer.transport,
            )


def _assembled(
    stream: TextIO,
    tasks: asyncio.TaskGroup,
    access_log: str,
    trace_settings: TraceSettings | None,
) -> tuple[Context, _MemoryDialer]:
    """Build the proxy as it is built to serve, but for its path to the upstream."""
    values = {
        "CLIENT_ID": "bench",
        "CLIENT_SECRET": "bench",
        "TOKEN_URL": "http://127.0.0.1:9/token",
        "UPSTREAM_URL": "http://127.0.0.1:9",
        "ACCESS_LOG": access_log,
    }
    environ = {f"SIGNICAT_PROXY_{name}": value for name, value in values.items()}
    settings = load(environ=environ, directory=Path(os.devnull)).settings
    logs = open_logs(level="warning", log_format="json", stream=stream)
    context = assemble(
        settings,
        spawn=tasks.create_task,
        clock=SYSTEM_CLOCK,
        logs=logs,
        traces=trace_settings,
    ).context
    (cache,) = context.tokens.values()
    cache.store(Token.granted(TOKEN, DAY_SECONDS, SYSTEM_CLOCK.now(), 0.5))
    dialer = _MemoryDialer()
    context.pool = Pool(
        dialer,
        limit=1,
        idle_seconds=settings.upstream_idle_seconds,
        spawn=tasks.create_task,
        loop=context.loop,
        turns=Turns(context.loop, lambda: 0.0),  # none ends while exchanges are counted
        monotonic=SYSTEM_CLOCK.monotonic,
        log=logs.log,
    )
    return context, dialer
