"""The pool of upstream connections: last in, first out, bounded, with a queue (F8)."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from proxy.dial import Dialer, DialError
from proxy.upstream import UpstreamConnection
from proxy.wire import ResponseHeadParser

__all__ = ["Pool", "Waiter"]


class Waiter(Protocol):
    """Who waits for a connection."""

    def connected(self, connection: UpstreamConnection) -> None:
        """Get the connection."""

    def not_connected(self, error: DialError) -> None:
        """Learn that the upstream cannot be reached."""


class Pool:
    """Owns every upstream connection of the process.

    An exchange takes a resting connection at once or waits its turn; dialling
    happens in tasks of the pool, never of a request, so a waiter that goes
    away wastes nothing: the connection rests until somebody asks.
    """

    def __init__(
        self,
        dialer: Dialer,
        *,
        limit: int,
        idle_seconds: float,
        spawn: Callable[[Coroutine[None, None, None]], object],
        loop: asyncio.AbstractEventLoop,
        monotonic: Callable[[], float],
        log: FilteringBoundLogger,
    ) -> None:
        self.parser = ResponseHeadParser(loop)
        self.loop = loop
        self._dialer = dialer
        self._limit = limit
        self._idle_seconds = idle_seconds
        self._spawn = spawn
        self._monotonic = monotonic
        self._log = log
        self._idle: list[UpstreamConnection] = []
        self._all: set[UpstreamConnection] = set()
        self._dialing = 0
        # In order of arrival; both ends and the middle of it cost the same, however long it is.
        self._waiting: OrderedDict[Waiter, None] = OrderedDict()
        self._is_closed = False

    @property
    def is_exhausted(self) -> bool:
        """Is every connection that may exist in use (MAX_UPSTREAM_CONNECTIONS)."""
        return len(self._all) >= self._limit

    def take(self) -> UpstreamConnection | None:
        """Return the connection used last, or None: then `wait` for one."""
        while self._idle:
            connection = self._idle.pop()
            # One that the upstream has just closed is gone in a moment; nothing is sent on it.
            if not connection.transport.is_closing():
                return connection
        return None

    def wait(self, waiter: Waiter) -> None:
        """Queue `waiter`, which gets exactly one of its two calls unless it withdraws."""
        self._waiting[waiter] = None
        self._dial_for_waiters()

    def withdraw(self, waiter: Waiter) -> None:
        """Take `waiter` out of the queue."""
        self._waiting.pop(waiter, None)

    def release(self, connection: UpstreamConnection) -> None:
        """Hand a free connection to the first waiter, or let it rest."""
        connection.is_reused = True
        self._give(connection)

    def _give(self, connection: UpstreamConnection) -> None:
        if self._is_closed or connection.transport.is_closing():
            connection.abort()
        elif self._waiting:
            self._waiting.popitem(last=False)[0].connected(connection)
        else:
            connection.rests_since = self._monotonic()
            self._idle.append(connection)

    def closed(self, connection: UpstreamConnection) -> None:
        """Forget a connection that is gone; its place may serve a waiter."""
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._dial_for_waiters()

    def drop_idle(self) -> None:
        """Close all resting connections: one of them turned out to be closed by the upstream."""
        for connection in self._idle:
            connection.abort()
        self._idle.clear()

    def expire(self, now: float) -> None:
        """Close what has rested longer than UPSTREAM_IDLE_SECONDS; called by the sweep."""
        oldest = now - self._idle_seconds
        while self._idle and self._idle[0].rests_since <= oldest:
            self._idle.pop(0).abort()

    def close(self) -> None:
        """Close everything; connections still being dialled are closed when they come up."""
        self._is_closed = True
        for connection in self._all:
            connection.abort()
        self._idle.clear()

    def states(self) -> Mapping[str, int]:
        """Count connections by state, for the metric `upstream_connections`."""
        idle = len(self._idle)
        return {
            "active": len(self._all) - idle,
            "idle": idle,
            "connecting": self._dialing,
            "waiting": len(self._waiting),
        }

    def _dial_for_waiters(self) -> None:
        while (
            self._dialing < len(self._waiting)
            and len(self._all) + self._dialing < self._limit
            and not self._is_closed
        ):
            self._dialing += 1
            self._spawn(self._dial())

    async def _dial(self) -> None:
        try:
            connection = await self._dial_one()
        except DialError as error:
            self._log.warning(
                "upstream_unreachable", reason=error.reason, cause=error.cause, hint=error.detail
            )
            self._dialing -= 1
            if self._waiting:
                self._waiting.popitem(last=False)[0].not_connected(error)
            self._dial_for_waiters()
            return
        self._dialing -= 1
        self._all.add(connection)
        self._give(connection)

    async def _dial_one(self) -> UpstreamConnection:
        transport, connection = await self._dialer.dial(lambda: UpstreamConnection(self))
        if transport.is_closing():
            raise DialError("connect", "The upstream closed a new connection at once.", "closed")
        return connection
