"""One caller's connection: cuts the bytes into requests, refuses what has two readings (G5, G6)."""

import asyncio
from typing import Final

from proxy.errors import ProxyError
from proxy.forward.context import Context
from proxy.forward.ending import EndingConnection
from proxy.forward.exchange import Exchange
from proxy.forward.exchange_end import EndingExchange
from proxy.forward.patience import BODY, HEAD, READER
from proxy.forward.placeholder import PlaceholderExchange
from proxy.guard.token_calls import TOKEN_CALL
from proxy.http1 import failures
from proxy.http1.body import NO_BODY, RequestBody
from proxy.http1.request import Request, RequestReader
from proxy.net.peer import peer_facts
from proxy.net.stream import FULL, NO_TURN, PEER_IS_SLOW
from proxy.telemetry.request_log import RequestRecord

__all__ = ["CallerConnection"]

_SMALL: Final = 2 * 1024  # bytes that are read at once, whoever else wants a turn: one request


class CallerConnection(EndingConnection):
    """Reads requests one after the other; each is an `Exchange` until its response is written.

    `patience` is checked by the server's sweep.
    """

    __slots__ = (
        "_is_last",
        "_is_reading_on",
        "_reader",
    )

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._reader = RequestReader(context.parser, context.admission.methods)
        self._is_last = False  # no further request is read on this connection
        self._is_reading_on = False

    @property
    def is_running(self) -> bool:
        """Is a request running."""
        return self._exchange is not None

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the connection in, and see whose it is; refuse it where there are too many."""
        super().connection_made(transport)
        context = self._context
        self._identify()
        self._expect_beginning()
        if not context.callers.add(self):
            self._turn_away()

    def _expect_beginning(self) -> None:
        """Wait for what comes first; set before the connection counts: a drain may hasten it."""
        self.patience.expect_idle()

    def _identify(self) -> None:
        """Learn whose connection this is, as far as it tells by itself (I1)."""
        facts = peer_facts(self.transport)
        self._peer = self._context.admission.callers.peer(
            facts.address, facts.uid, facts.names, self.scheme.decode()
        )

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel what ran for this caller (F7)."""
        del exc
        exchange, self._exchange = self._exchange, None
        self._receive_buffer.clear()
        self._is_lingering = True
        self._context.callers.remove(self)
        if exchange is not None:
            exchange.caller_left()
        self._count_ahead()

    def eof_received(self) -> bool:
        """Take who sends no more for one who leaves, whatever the request is at (F7).

        All that came before it has been read: nothing is read behind bytes that wait.
        """
        self._peer_left()
        return False

    def pause_writing(self) -> None:
        """Take less from the upstream: the caller does not keep up (F5)."""
        self.is_write_paused = True
        exchange, taken = self._exchange, self.taken()
        if not self._is_lingering:
            burst = (
                0 if exchange is None else max(0, exchange.record.bytes_out - self._written + taken)
            )
            self.patience.expect_flow(READER, taken, burst)
        if exchange is not None:
            exchange.on_caller_paused()

    def resume_writing(self) -> None:
        """Go on."""
        self.is_write_paused = False
        if self._exchange is not None:
            self._exchange.on_caller_resumed()
        elif not self._is_lingering and not self.transport.is_closing():
            self._become_idle()
            self._read_on()

    def data_received(self, data: bytes) -> None:
        """Read what the caller sends."""
        if self._is_lingering:
            self._discarded += len(data)
            return
        exchange = self._exchange
        if exchange is None and not self._receive_buffer and not self.is_write_paused:
            request = self._reader.read_known(data)
            if request is not None:
                self._start(request)
                return
        if self._is_last:
            return
        self._receive_buffer.add(data)
        self._read_on()

    def _read_on(self, *, in_turn: bool = False) -> None:
        """Read what has come, as far as this turn of the loop allows (G11)."""
        if self._is_reading_on:  # a refusal, or an exchange that ends at once, comes back here
            return
        self._is_reading_on = True
        turns, received = self._context.turns, self._receive_buffer
        # A head and its body if they are small; one piece of anything in a turn of its own.
        free = 2 if received.size <= _SMALL else int(in_turn)
        while received and not self._is_lingering:
            if free:
                free -= 1
            elif not turns.has_time():
                if not self._reasons & NO_TURN:
                    self.pause_reading(NO_TURN)
                    turns.later(self._take_turn, again=in_turn)
                break
            if not self._read_one():
                break
        self._is_reading_on = False
        self._keep_in_bounds()

    def _take_turn(self) -> None:
        self.resume_reading(NO_TURN)
        self._read_on(in_turn=True)

    def _read_one(self) -> bool:
        """Take one head, or one piece of a body; False where nothing more can be taken now."""
        exchange = self._exchange
        if exchange is not None:
            return not exchange.body.is_ended and self._read_body(exchange)
        if self.is_write_paused:
            return False
        try:
            head = self._receive_buffer.take_head()
        except ProxyError as error:
            self._refuse(error, is_head=self._receive_buffer.begins_with_head)
            return False
        if head is not None:
            self._begin(head)
            return True
        if not self._receive_buffer:
            if self.patience.awaited == HEAD:
                self._become_idle()
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
        context = self._context
        started = context.monotonic()
        try:
            route = context.admission.admit(request, self._peer)
        except ProxyError as error:
            self._refuse(error, request, is_head=request.method == b"HEAD")
            return
        length = request.headers.length
        body = RequestBody(length, context.limits.max_replay_bytes) if length else NO_BODY
        id_line = context.request_log.id_line(request)
        record = RequestRecord(request, route, body, started, self._peer, id_line)
        if context.tracer is not None:
            parent = request.parent
            record.trace, record.unsampled_trace = context.tracer.begin(
                parent, request.known.tracestate
            )
        exchange: EndingExchange
        if route is TOKEN_CALL:
            exchange = PlaceholderExchange(context, self, record)
        else:
            exchange = Exchange(context, self, record)
        self._exchange = exchange
        if length:
            self._receive_buffer.begin_body(length)
            exchange.begin(has_body_bytes=bool(self._receive_buffer))
        else:
            exchange.start()

    def _read_body(self, exchange: EndingExchange) -> bool:
        try:
            data, is_end = self._receive_buffer.take_body()
        except ProxyError as error:
            exchange.fail(error)
            return False
        if data:
            exchange.receive(data)
        if is_end:
            exchange.receive_end()
        elif self.patience.awaited != BODY:
            exchange.await_body()
        return bool(self._receive_buffer)

    def _keep_in_bounds(self) -> None:
        """Read no further ahead than is good for this caller, and for the process (F5, G11)."""
        is_over = self._is_lingering
        if self._receive_buffer.is_full and not is_over:
            self.pause_reading(FULL)
        else:
            self.resume_reading(FULL)
        if not self._count_ahead() and not is_over:
            self._give_up_ahead()

    def _give_up_ahead(self) -> None:
        """Keep nothing of what is too much: the next requests, or the one that brought it."""
        receive_buffer = self._receive_buffer
        if self._exchange is None and self._reasons & NO_TURN:
            self._read_one()  # the first of them may have come before there was too much
        exchange = self._exchange
        if self._is_lingering or (exchange is None and not receive_buffer):
            self._count_ahead()
            return
        if exchange is None:
            self._refuse(failures.memory_exhausted(), is_head=receive_buffer.begins_with_head)
        elif exchange.body.is_ended and receive_buffer:
            self._is_last = True
            receive_buffer.clear()
            self.resume_reading(FULL)
        elif exchange.record.token is None:
            exchange.fail(failures.memory_exhausted())
        self._count_ahead()

    def finished(self, *, keep_alive: bool) -> None:
        """Let the next request begin, or end the connection."""
        exchange, self._exchange = self._exchange, None
        if self._ahead.bytes:
            self._count_ahead()
        if self._is_lingering or exchange is None:
            return
        if keep_alive and not self._is_last and not self._context.callers.is_draining:
            if not self.is_write_paused:
                self.patience.expect_idle()
            self.resume_reading(PEER_IS_SLOW)
            if self._receive_buffer:
                self._read_on()
        elif exchange.body.is_ended and not self._receive_buffer and not self._is_last:
            self._close()
        else:
            self._linger()
