"""The pool of upstream connections: last in, first out, bounded, with a queue (F8)."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from proxy.forward.turns import Turns
from proxy.forward.upstream import UpstreamConnection
from proxy.http1.response import ResponseReader
from proxy.net.dialer import Dialer, DialError, Progress

__all__ = ["Pool", "Waiter"]


class Waiter(Protocol):
    """Who waits for a connection."""

    def connected(self, connection: UpstreamConnection) -> None:
        """Get the connection."""

    def not_connected(self, error: DialError) -> None:
        """Learn that the upstream cannot be reached."""


class Pool:
    """Owns every upstream connection of the process.

    An exchange takes an idle connection at once or waits its turn; dialling
    happens in tasks of the pool, never of a request, so a waiter that goes
    away wastes nothing: the connection stays idle until somebody asks.
    """

    def __init__(
        self,
        dialer: Dialer,
        *,
        limit: int,
        idle_seconds: float,
        spawn: Callable[[Coroutine[None, None, None]], "asyncio.Task[None]"],
        loop: asyncio.AbstractEventLoop,
        turns: Turns,
        monotonic: Callable[[], float],
        log: FilteringBoundLogger,
    ) -> None:
        self.reader = ResponseReader()
        self.loop = loop
        self.turns = turns
        self._dialer = dialer
        self._limit = limit
        self._idle_seconds = idle_seconds
        self._spawn = spawn
        self._monotonic = monotonic
        self._log = log
        self._idle: list[UpstreamConnection] = []
        self._all: set[UpstreamConnection] = set()
        self._dials: set[asyncio.Task[None]] = set()
        # In order of arrival; both ends and the middle of it cost the same, however long it is.
        self._waiting: OrderedDict[Waiter, None] = OrderedDict()
        self._is_closed = False

    @property
    def is_exhausted(self) -> bool:
        """Is every connection that may exist in use (MAX_UPSTREAM_CONNECTIONS)."""
        return len(self._all) >= self._limit

    @property
    def is_waited_for(self) -> bool:
        """Does anybody wait for a connection."""
        return bool(self._waiting)

    def take(self) -> UpstreamConnection | None:
        """Return the connection used last, or None: then `wait` for one."""
        while self._idle:
            connection = self._idle.pop()
            # One that the upstream has just closed is gone in a moment; nothing is sent on it.
            if connection.transport.is_closing():
                continue
            # Nor on one that has been idle for too long (F8), however late the sweep is.
            if connection.idle_until <= self._monotonic():
                connection.abort()
                continue
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
        """Keep a free connection, or hand it to the first waiter: after this turn (F9).

        What the upstream has sent beyond its response shows until then, and is nobody's.
        """
        connection.is_reused = True
        if self._waiting:
            self.loop.call_soon(self._hand_on, connection)
        else:
            self._give(connection)

    def _hand_on(self, connection: UpstreamConnection) -> None:
        if connection.has_unread() and not connection.transport.is_closing():
            self.loop.call_soon(self._hand_on, connection)
        else:
            self._give(connection)

    def _give(self, connection: UpstreamConnection) -> None:
        if self._is_closed or connection.transport.is_closing():
            connection.abort()
        elif self._waiting:
            self._waiting.popitem(last=False)[0].connected(connection)
        else:
            connection.is_reused = True
            idle_seconds = min(self._idle_seconds, connection.max_idle_seconds)
            connection.idle_until = self._monotonic() + idle_seconds
            self._idle.append(connection)

    def closed(self, connection: UpstreamConnection) -> None:
        """Forget a connection that is gone; its place may serve a waiter."""
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._dial_for_waiters()

    def drop_idle(self) -> None:
        """Close all idle connections: one of them turned out to be closed by the upstream."""
        for connection in self._idle:
            connection.abort()
        self._idle.clear()

    def expire(self, now: float) -> None:
        """Close what has been idle for UPSTREAM_IDLE_SECONDS, or as long as the upstream lets it.

        Called twice a second; `take` looks for itself.
        """
        over = [connection for connection in self._idle if connection.idle_until <= now]
        for connection in over:
            self._idle.remove(connection)
            connection.abort()

    def close(self) -> None:
        """Close everything, and give up what is being dialled (C2)."""
        self._is_closed = True
        for dial in self._dials:
            dial.cancel()
        for connection in self._all:
            connection.abort()
        self._idle.clear()

    def states(self) -> Mapping[str, int]:
        """Count connections by state, for the metric `upstream_connections`."""
        idle = len(self._idle)
        return {
            "active": len(self._all) - idle,
            "idle": idle,
            "connecting": len(self._dials),
            "waiting": len(self._waiting),
        }

    def _dial_for_waiters(self) -> None:
        while (
            len(self._dials) < len(self._waiting)
            and len(self._all) + len(self._dials) < self._limit
            and not self._is_closed
        ):
            self._dials.add(self._spawn(self._dial()))

    async def _dial(self) -> None:
        task = asyncio.current_task()
        try:
            connection = await self._dial_one()
        except DialError as error:
            self._log.warning(
                "upstream_unreachable", reason=error.reason, cause=error.cause, hint=error.detail
            )
            self._dials.discard(task)
            if self._waiting:
                self._waiting.popitem(last=False)[0].not_connected(error)
            self._dial_for_waiters()
            return
        self._dials.discard(task)
        self._all.add(connection)
        self._give(connection)

    async def _dial_one(self) -> UpstreamConnection:
        progress = Progress()
        transport, connection = await self._dialer.dial(lambda: UpstreamConnection(self), progress)
        if transport.is_closing():
            raise DialError("connect", "The upstream closed a new connection at once.", "closed")
        connection.tcp = progress.below_tls
        return connection
