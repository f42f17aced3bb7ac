"""One caller's connection: cuts the bytes into requests, refuses what has two readings (G5, G6)."""

import asyncio
from typing import Final

from proxy.errors import ProxyError
from proxy.forward.context import Engine
from proxy.forward.ending import EndingConnection
from proxy.forward.exchange import Exchange
from proxy.forward.memory_budget import Ahead
from proxy.forward.patience import BODY, HEAD, READER, TOKEN, UPLOAD
from proxy.http1 import failures
from proxy.http1.body import NO_BODY, Upload
from proxy.http1.receive_buffer import Inbox
from proxy.http1.request import Request, RequestReader
from proxy.net.stream import FULL, NO_TURN, PEER_IS_SLOW

__all__ = ["CallerConnection"]

_SMALL: Final = 2 * 1024  # bytes that are read at once, whoever else wants a turn: one request


class CallerConnection(EndingConnection):
    """Reads requests one after the other; each is an `Exchange` until its answer is written.

    `patience` is checked by the server's sweep.
    """

    __slots__ = (
        "_ahead",
        "_exchange",
        "_inbox",
        "_is_last",
        "_is_reading_on",
        "_reader",
    )

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._exchange: Exchange | None = None
        self._inbox = Inbox()
        self._reader = RequestReader(engine.parser)
        self._ahead = Ahead(engine.budget)
        self._is_last = False  # no further request is read on this connection
        self._is_reading_on = False

    @property
    def is_running(self) -> bool:
        """Is a request running."""
        return self._exchange is not None

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the connection in; refuse it where there are too many."""
        super().connection_made(transport)
        engine = self._engine
        engine.callers.add(self)
        self.patience.rest()
        if len(engine.callers) > engine.limits.max_callers:
            self._turn_away()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel what ran for this caller (F7)."""
        del exc
        exchange, self._exchange = self._exchange, None
        self._inbox.clear()
        self._is_lingering = True
        self._engine.caller_gone(self)
        if exchange is not None:
            exchange.caller_left()
        self._count_ahead()

    def eof_received(self) -> bool:
        """Take who sends no more for one who leaves, whatever the request is at (F7).

        All that came before it has been read: nothing is read behind bytes that wait.
        """
        self._peer_left()
        return False

    def _peer_left(self) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            is_begun = exchange.is_relaying
            exchange.caller_left()
            if is_begun:
                self.cut()
        if not self._is_lingering:
            self._close()

    def pause_writing(self) -> None:
        """Take less from the upstream: the caller does not keep up (F5)."""
        self.is_clogged = True
        if not self._is_lingering:
            self.patience.expect_flow(READER, self.taken())
        if self._exchange is not None:
            self._exchange.clogged()

    def resume_writing(self) -> None:
        """Go on."""
        self.is_clogged = False
        if self._exchange is not None:
            self._exchange.unclogged()
        elif not self._is_lingering and not self.transport.is_closing():
            self.patience.rest()
            self._read_on()

    def data_received(self, data: bytes) -> None:
        """Read what the caller sends."""
        if self._is_lingering:
            return
        exchange = self._exchange
        if exchange is None and not self._inbox and not self.is_clogged:
            request = self._reader.read_known(data)
            if request is not None:
                self._start(request)
                return
        if self._is_last and (exchange is None or exchange.upload.is_ended):
            return
        self._inbox.add(data)
        self._read_on()

    def _read_on(self) -> None:
        """Read what has come, as far as this turn of the loop allows (G11)."""
        if self._is_reading_on:  # a refusal, or an exchange that ends at once, comes back here
            return
        self._is_reading_on = True
        turns, inbox = self._engine.turns, self._inbox
        free = 2 if inbox.size <= _SMALL else 0  # a head and its body
        while inbox and not self._is_lingering:
            if free:
                free -= 1
            elif not turns.has_time():
                self.hold(NO_TURN)
                turns.later(self._take_turn)
                break
            if not self._read_one():
                break
        self._is_reading_on = False
        self._keep_in_bounds()

    def _take_turn(self) -> None:
        self.unhold(NO_TURN)
        self._read_on()

    def _read_one(self) -> bool:
        """Take one head, or one piece of a body; False where nothing more can be taken now."""
        exchange = self._exchange
        if exchange is not None:
            return not exchange.upload.is_ended and self._read_body(exchange)
        if self.is_clogged:
            return False
        try:
            head = self._inbox.take_head()
        except ProxyError as error:
            self._refuse(error, is_head=self._inbox.begins_with_head)
            return False
        if head is not None:
            self._begin(head)
            return True
        if not self._inbox:
            if self.patience.awaited == HEAD:
                self.patience.rest()
        elif self.patience.awaited != HEAD:
            self.patience.expect(HEAD)
        return False

    def _begin(self, head: bytes) -> None:
        try:
            request = self._reader.read(head)
        except ProxyError as error:
            self._refuse(error, is_head=head.startswith(b"HEAD "))
        else:
            self._start(request)

    def _start(self, request: Request) -> None:
        engine = self._engine
        started = engine.monotonic()
        try:
            route = engine.admit(request)
        except ProxyError as error:
            self._refuse(error, request, is_head=request.method == b"HEAD")
            return
        length = request.headers.length
        upload = Upload(length, engine.limits.max_replay_bytes) if length else NO_BODY
        exchange = self._exchange = Exchange(engine, self, request, route, upload, started)
        if length:
            self._inbox.begin_body(length, engine.loop)
            exchange.begin(has_body_bytes=bool(self._inbox))
        else:
            exchange.start()

    def _read_body(self, exchange: Exchange) -> bool:
        try:
            data, is_end = self._inbox.take_body()
        except ProxyError as error:
            exchange.fail(error)
            return False
        if data:
            exchange.receive(data)
        if is_end:
            exchange.receive_end()
        elif self.patience.awaited < TOKEN:
            exchange.await_rest()
        return bool(self._inbox)

    def _keep_in_bounds(self) -> None:
        """Read no further ahead than is good for this caller, and for the process (F5, G11)."""
        is_over = self._is_lingering
        if self._inbox.is_full and not is_over:
            self.hold(FULL)
        else:
            self.unhold(FULL)
        if not self._count_ahead() and not is_over and not self._reasons & NO_TURN:
            self._give_up_ahead()

    def _count_ahead(self) -> bool:
        """Count what this caller has sent ahead; say whether it is within the budget."""
        exchange = self._exchange
        return self._ahead.count(self._inbox.size + (exchange.bytes_ahead if exchange else 0))

    def _give_up_ahead(self) -> None:
        """Keep nothing of what is too much: the next requests, or the one that brought it."""
        inbox, exchange = self._inbox, self._exchange
        if exchange is None:
            self._refuse(failures.memory_exhausted(), is_head=inbox.begins_with_head)
        elif exchange.upload.is_ended and inbox:
            self._is_last = True
            inbox.clear()
            self.unhold(FULL)
        elif exchange.token is None:
            exchange.fail(failures.memory_exhausted())
        self._count_ahead()

    def finished(self, *, keep_alive: bool) -> None:
        """Let the next request begin, or end the connection."""
        exchange, self._exchange = self._exchange, None
        if self._ahead.bytes:
            self._count_ahead()
        if self._is_lingering or exchange is None:
            return
        if keep_alive and not self._is_last and not self._engine.is_draining:
            if not self.is_clogged:
                self.patience.rest()
            self.unhold(PEER_IS_SLOW)
            if self._inbox:
                self._read_on()
        elif exchange.upload.is_ended and not self._inbox and not self._is_last:
            self._close()
        else:
            self._linger()

    def _linger(self) -> None:
        self._inbox.clear()
        super()._linger()
        self._count_ahead()

    def deadline_passed(self) -> None:
        """End what lasted too long; called by the sweep."""
        patience, exchange = self.patience, self._exchange
        awaited = patience.awaited
        is_urgent = exchange is not None and self._engine.pool.is_waited_for
        if awaited >= UPLOAD and patience.has_flowed(self._progress(awaited), is_urgent=is_urgent):
            return
        if exchange is not None:
            exchange.late(awaited)
        elif awaited == HEAD:
            late = failures.head_late(self._engine.limits.head_timeout_seconds)
            self._refuse(late, is_head=self._inbox.begins_with_head)
        else:
            self._end_late(awaited)

    def _progress(self, awaited: int) -> int:
        """Return how many of the bytes that are waited for have flowed (G12)."""
        exchange = self._exchange
        if awaited == BODY:
            return 0 if exchange is None else exchange.upload.size
        if awaited == UPLOAD:
            return 0 if exchange is None else exchange.taken_upstream()
        return self.taken() if awaited == READER or self.has_unsent else 0

    def look_for(self) -> None:
        """See whether a caller whose reading is held has left meanwhile (F7)."""
        if self.is_held and self._exchange is not None and self.is_left():
            self._peer_left()

    def drain(self) -> None:
        """End at the next sweep if nothing is running; else the exchange's end ends it (C2)."""
        if self._exchange is None and not self._inbox and not self._is_lingering:
            self.patience.hasten()

    def abandon(self) -> None:
        """End now: the time to drain is over (C2)."""
        exchange = self._exchange
        if exchange is not None:
            exchange.fail(failures.draining(is_sent=exchange.token is not None))
        if not self._is_lingering:
            self._close()
