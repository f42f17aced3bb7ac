"""One caller's connection: cuts the bytes into requests, refuses what has two readings (G5, G6)."""

import asyncio
from typing import Final

from proxy import failures
from proxy.connection import Connection
from proxy.engine import Engine
from proxy.errors import ProxyError
from proxy.exchange import Exchange
from proxy.inbox import Inbox
from proxy.replies import reply_bytes
from proxy.request import Request, RequestReader
from proxy.upload import NO_BODY, Upload

__all__ = ["CallerConnection"]

_FAREWELL_SECONDS: Final = 0.25  # with the sweep's half second, less than the second of F7
_REQUESTS_PER_TURN: Final = 16  # then others have theirs: a flood of refusals stalls nobody
_HEAD: Final = b"HEAD "
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class CallerConnection(Connection):
    """Reads requests one after the other; each is an `Exchange` until its answer is written.

    `deadline` is checked by the server's sweep: it ends a rest, a slow head, a
    lingering close, or belongs to the running exchange.
    """

    __slots__ = (
        "_engine",
        "_exchange",
        "_has_left",
        "_head_began",
        "_inbox",
        "_is_lingering",
        "_is_reading_requests",
        "_reader",
        "deadline",
    )

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._engine = engine
        self._exchange: Exchange | None = None
        self._inbox = Inbox()
        self._reader = RequestReader(engine.parser)
        self._head_began: float | None = None
        self._has_left = False
        self._is_lingering = False
        self._is_reading_requests = False
        self.deadline = 0.0

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
        self._rest()
        if len(engine.callers) > engine.limits.max_callers:
            self._refuse(failures.too_many_callers())

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel what ran for this caller (F7)."""
        del exc
        exchange, self._exchange = self._exchange, None
        self._inbox.clear()
        self._engine.caller_gone(self)
        if exchange is not None:
            exchange.caller_left()

    def eof_received(self) -> bool:
        """Let a whole request have a prompt answer; the rest is cancelled (F7).

        A caller who is gone and one who only sends no more look the same, so
        the answer may take a moment, and every byte of it prolongs that: one
        who is gone resets the connection when it comes.
        """
        exchange = self._exchange
        if exchange is None or not exchange.upload.is_ended:
            return False
        self._has_left = True
        self.deadline = self._engine.monotonic() + _FAREWELL_SECONDS
        return True

    def pause_writing(self) -> None:
        """Take less from the upstream: the caller does not keep up (F5)."""
        self.is_clogged = True
        if self._exchange is not None:
            self._exchange.clogged()

    def resume_writing(self) -> None:
        """Go on."""
        self.is_clogged = False
        if self._exchange is not None:
            self._exchange.unclogged()
        else:
            self._read_requests()

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
        self._inbox.add(data)
        if exchange is None:
            self._read_requests()
        elif not exchange.upload.is_ended:
            self._read_body(exchange)
        if self._inbox.is_full:
            self.hold()

    def _read_requests(self) -> None:
        """Start one exchange after the other; a loop, since a refusal ends one at once."""
        if self._is_reading_requests:
            return
        self._is_reading_requests = True
        begun = 0
        while begun < _REQUESTS_PER_TURN and self._exchange is None and self._inbox:
            if self._is_lingering or self.is_clogged or not self._read_one():
                break
            begun += 1
        self._is_reading_requests = False
        if begun == _REQUESTS_PER_TURN:
            self._engine.loop.call_soon(self._read_requests)
        elif self._exchange is None:
            self.unhold()
            if self._has_left and not self._is_lingering:
                self._close()

    def _read_one(self) -> bool:
        """Begin the next request; False while its head is incomplete."""
        try:
            head = self._inbox.take_head()
        except ProxyError as error:
            self._refuse(error)
            return True
        if head is not None:
            self._begin(head)
            return True
        if self._head_began is None and self._inbox:
            engine = self._engine
            self._head_began = engine.monotonic()
            self.deadline = self._head_began + engine.limits.head_timeout_seconds
        return False

    def _begin(self, head: bytes) -> None:
        try:
            request = self._reader.read(head)
        except ProxyError as error:
            self._refuse(error, is_head=head.startswith(_HEAD))
        else:
            self._start(request)

    def _start(self, request: Request) -> None:
        engine = self._engine
        self._head_began = None
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
            if self._inbox:
                self._read_body(exchange)
            elif request.expects_continue:
                self.write(_CONTINUE)
        exchange.start()

    def _read_body(self, exchange: Exchange) -> None:
        try:
            data, is_end = self._inbox.take_body()
        except ProxyError as error:
            exchange.fail(error)
            return
        if data:
            exchange.receive(data)
        if is_end:
            exchange.receive_end()

    # --- proxy.exchange.Caller ---

    def unhold(self) -> None:
        """Read on, unless more than enough is waiting already."""
        if not self._inbox.is_full:
            super().unhold()

    def cut(self) -> None:
        """Drop the connection by a reset, so that no answer on it looks complete (F7)."""
        self._is_lingering = True
        self.reset()

    def reply(self, error: ProxyError, request: Request, request_id: str, *, close: bool) -> None:
        """Send a reply of our own to the running request."""
        is_head = request.method == b"HEAD"
        self.write(reply_bytes(error, request_id, request, is_head=is_head, close=close))

    def finished(self, *, keep_alive: bool) -> None:
        """Let the next request begin, or end the connection."""
        exchange, self._exchange = self._exchange, None
        if self._is_lingering or exchange is None:
            return
        if keep_alive and not self._engine.is_draining:
            self._rest()
            if self._is_held:
                self.unhold()
            if self._inbox or self._has_left:
                self._read_requests()
        elif exchange.upload.is_ended and not self._inbox:
            self._close()
        else:
            self._linger()

    def _rest(self) -> None:
        engine = self._engine
        self.deadline = engine.monotonic() + engine.limits.caller_idle_seconds

    def _refuse(
        self, error: ProxyError, request: Request | None = None, *, is_head: bool = False
    ) -> None:
        """Answer what never becomes an exchange.

        Behind bytes that are no request, or a body that nobody wants, nothing
        can be trusted to be a request: then the connection is closed.
        """
        engine = self._engine
        may_stay = request is not None and request.keep_alive and not request.headers.length
        keep_alive = may_stay and not engine.is_draining
        request_id = engine.books.request_id(request)
        engine.books.refused(request, error, request_id)
        self.write(reply_bytes(error, request_id, request, is_head=is_head, close=not keep_alive))
        if keep_alive:
            self._rest()
        else:
            self._linger()

    def _close(self) -> None:
        """Close once everything is written; the sweep ends a caller that does not take it."""
        self.deadline = self._engine.leave_by(has_unsent=self.has_unsent)
        self.transport.close()

    def _linger(self) -> None:
        """Close for writing, and for a moment throw away what still comes.

        A close with unread bytes would reset the connection and could take the
        reply with it (RFC 9112 §9.6).
        """
        self._is_lingering = True
        self._inbox.clear()
        self.deadline = self._engine.leave_by(has_unsent=self.has_unsent)
        self.unhold()
        if not self.transport.is_closing():
            self.transport.write_eof()

    def deadline_passed(self) -> None:
        """End what lasted too long; called by the sweep."""
        exchange = self._exchange
        if exchange is not None and self._has_left:
            self.cut()
        elif exchange is not None:
            exchange.deadline_passed()
        elif self._is_lingering or self.transport.is_closing():
            self.abort()
        elif self._inbox:
            self._refuse(failures.head_late(self._engine.limits.head_timeout_seconds))
        else:
            self._close()

    def drain(self) -> None:
        """End at the next sweep if nothing is running; else the exchange's end ends it (C2)."""
        if self._exchange is None and not self._inbox and not self._is_lingering:
            self.deadline = 0.0

    def abandon(self) -> None:
        """End now: the time to drain is over (C2)."""
        exchange = self._exchange
        if exchange is not None:
            exchange.fail(failures.draining(is_sent=exchange.token is not None))
        if not self._is_lingering:
            self._close()
