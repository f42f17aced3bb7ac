"""A process whose open files are at their limit, and an event loop that takes one for its own."""

import asyncio
import contextlib
import os
import resource
import socket
from collections.abc import AsyncIterator, Callable, Iterator

__all__ = ["confused_loop", "no_open_files"]


@contextlib.contextmanager
def no_open_files() -> Iterator[Callable[[], None]]:
    """Let this process open nothing more; yields what lets it again, as the end does."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)

    def restore() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)

    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, before[1]))
    try:
        yield restore
    finally:
        restore()


class _Ending(asyncio.Protocol):
    def __init__(self) -> None:
        self.is_lost = asyncio.Event()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.is_lost.set()


@contextlib.asynccontextmanager
async def confused_loop() -> AsyncIterator[None]:
    """Have uvloop raise RuntimeError for the next socket: its number is a transport's already."""
    ours, theirs = socket.socketpair()
    loop = asyncio.get_running_loop()
    ours.settimeout(0)
    transport, protocol = await loop.create_connection(_Ending, sock=ours)
    number = transport.get_extra_info("socket").fileno()
    lower = []
    while (lowest := os.dup(theirs.fileno())) < number:
        lower.append(lowest)
    os.close(lowest)
    kept = os.dup(number)
    os.close(number)
    try:
        yield
    finally:
        os.dup2(kept, number)
        transport.abort()
        await protocol.is_lost.wait()
        for descriptor in (kept, *lower):
            os.close(descriptor)
        theirs.close()
