"""How a caller's connection ends: in good order, by lingering, or by a cut (F7, G6, G9)."""

from proxy.errors import ProxyError
from proxy.forward.context import Context
from proxy.forward.exchange_end import EndingExchange
from proxy.forward.memory_budget import Ahead
from proxy.forward.patience import BODY, CLOSING, HEAD, IDLE, READER, UPLOAD, Patience
from proxy.guard.identity import Peer
from proxy.http1 import failures
from proxy.http1.error_response import reply_bytes
from proxy.http1.receive_buffer import ReceiveBuffer
from proxy.http1.request import Request
from proxy.http1.request_id import id_in
from proxy.net.stream import FULL, NO_TURN, PEER_IS_SLOW, Connection

__all__ = ["EndingConnection"]


class EndingConnection(Connection):
    """Says the last words to a caller, whatever its connection is at.

    `_is_lingering`: what still comes is thrown away, and `_discarded` counts it. `_peer` is who
    is at its other end, known from `connection_made` on.
    """

    __slots__ = (
        "_ahead",
        "_context",
        "_discarded",
        "_exchange",
        "_is_lingering",
        "_peer",
        "_receive_buffer",
        "patience",
    )

    _peer: Peer

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self._exchange: EndingExchange | None = None
        self._receive_buffer = ReceiveBuffer()
        self._ahead = Ahead(context.budget)
        self._is_lingering = False
        self._discarded = 0
        self.patience = Patience(context.periods, context.monotonic)

    def cut(self) -> None:
        """Drop the connection by a reset, so that no response on it looks complete (F7)."""
        self._is_lingering = True
        self.reset()

    def reply(self, error: ProxyError, request: Request, request_id: str, *, close: bool) -> None:
        """Send a reply of our own to the running request."""
        is_head = request.method == b"HEAD"
        self.write(reply_bytes(error, request_id, request, is_head=is_head, close=close))

    def _refuse(
        self, error: ProxyError, request: Request | None = None, *, is_head: bool = False
    ) -> None:
        """Respond to what never becomes an exchange.

        Behind bytes that are no request, or a body that nobody wants, nothing
        can be trusted to be a request: then the connection is closed.
        """
        context = self._context
        may_stay = request is not None and request.keep_alive and not request.headers.length
        keep_alive = may_stay and not context.callers.is_draining
        self._tell(error, request, is_head=is_head, close=not keep_alive)
        if not keep_alive:
            self._linger()
        elif not self.is_write_paused:
            self.patience.expect_idle()

    def _tell(
        self, error: ProxyError, request: Request | None, *, is_head: bool, close: bool
    ) -> None:
        request_log = self._context.request_log
        request_id = id_in(request_log.id_line(request))
        request_log.refused(request, error, request_id, self._peer)
        self.write(reply_bytes(error, request_id, request, is_head=is_head, close=close))

    def _turn_away(self) -> None:
        """Refuse a connection beyond the bound, which then keeps nothing, no descriptor (G11)."""
        self._tell(failures.too_many_callers(), None, is_head=False, close=True)
        self._is_lingering = True
        self.transport.close()
        self.patience.hasten()

    def _become_idle(self) -> None:
        """Wait for the next request; in a drain, end (C2)."""
        if not self._context.callers.is_draining:
            self.patience.expect_idle()
        elif self._receive_buffer:
            self._linger()
        else:
            self._close()

    def _close(self) -> None:
        """Close once everything is written; the sweep ends a caller that does not take it."""
        self._read_no_more()
        self.transport.close()

    def _read_no_more(self) -> None:
        """Take nothing that came, or comes, for a request: it may be the rest of a body (G5)."""
        self._is_lingering = True
        self._receive_buffer.clear()
        self._expect_goodbye()
        self._count_ahead()

    def _linger(self) -> None:
        """Close for writing, and for a moment throw away what still comes.

        A close with unread bytes would reset the connection and could take the
        reply with it (RFC 9112 §9.6).
        """
        self._read_no_more()
        self.resume_reading(PEER_IS_SLOW | NO_TURN | FULL)
        if not self.transport.is_closing():
            self.transport.write_eof()

    def _end_late(self, awaited: int) -> None:
        """End a connection without a request, which has lasted too long."""
        is_idle = awaited == IDLE
        is_all_taken = self._is_all_taken
        if is_idle and not is_all_taken and not self.transport.is_closing():
            if self._context.callers.ends_idle:
                self._close()
            else:
                self.patience.expect_flow(READER, self.taken())
        elif is_idle and self.patience.may_stay_idle():
            return
        elif awaited == READER and is_all_taken:
            self._become_idle()
        elif awaited == READER:
            self._context.request_log.stalled(self._peer)
            self.cut()
        elif awaited == CLOSING or self._is_lingering:
            self.abort()
        else:
            self._close()

    @property
    def _is_all_taken(self) -> bool:
        """Has the system taken all that was written."""
        return not self.is_write_paused and not self.has_unsent

    def _expect_goodbye(self) -> None:
        progress = self.taken() + self._discarded
        self.patience.expect_goodbye(progress, has_unsent=self.has_unsent)

    def _count_ahead(self) -> bool:
        """Count what this caller has sent ahead; say whether it is within the budget."""
        exchange = self._exchange
        size = self._receive_buffer.size + self._bytes_below()
        return self._ahead.count(size + (exchange.bytes_ahead if exchange else 0))

    def _bytes_below(self) -> int:
        """Return how many bytes the transport has taken and not brought yet."""
        return 0

    def _peer_left(self) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            is_begun = exchange.is_relaying
            exchange.caller_left()
            if is_begun:
                self.cut()
        if not self._is_lingering:
            self._close()

    def deadline_passed(self) -> None:
        """End what lasted too long; called by the sweep."""
        patience, exchange = self.patience, self._exchange
        awaited = patience.awaited
        is_urgent = exchange is not None and self._context.pool.is_waited_for
        if awaited >= UPLOAD and patience.has_flowed(self._progress(awaited), is_urgent=is_urgent):
            return
        if exchange is not None:
            exchange.late(awaited)
        elif awaited == HEAD:
            late = failures.head_late(self._context.limits.head_timeout_seconds)
            self._refuse(late, is_head=self._receive_buffer.begins_with_head)
        else:
            self._end_late(awaited)

    def _progress(self, awaited: int) -> int:
        """Return how many of the bytes that are waited for have flowed (G12)."""
        exchange = self._exchange
        if awaited == BODY:
            return 0 if exchange is None else exchange.body.size
        if awaited == UPLOAD:
            return 0 if exchange is None else exchange.taken_upstream()
        return self.taken() + self._discarded

    def look_for(self) -> None:
        """See whether a caller whose reading is held has left meanwhile (F7)."""
        if self.is_reading_paused and self._exchange is not None and self.is_left():
            self._peer_left()

    def drain(self) -> None:
        """End soon if nothing is running; else the exchange's end ends it (C2).

        Who has a response to take is closed as soon as it has it: nothing tells of that moment
        but the transport, which then closes by itself. While writing is paused,
        `resume_writing` is still to come: until then the caller is read, since what it sends
        to a connection that closes could take the response with it.
        """
        patience = self.patience
        if self._exchange is not None or self._receive_buffer or self._is_lingering:
            return
        if patience.awaited == READER and not self._is_all_taken:
            if not self.is_write_paused:
                self._close()
            return
        if patience.awaited == READER:
            patience.expect_idle()
        patience.end_soon()

    def abandon(self) -> None:
        """End now: the time to drain is over (C2)."""
        exchange = self._exchange
        if exchange is not None:
            exchange.fail(failures.draining(is_sent=exchange.record.token is not None))
        if not self._is_lingering:
            self._close()
