"""How a caller's connection ends: in good order, by lingering, or by a cut (F7, G6, G9)."""

from proxy.errors import ProxyError
from proxy.forward.context import Engine
from proxy.forward.patience import CLOSING, IDLE, READER, Patience
from proxy.http1 import failures
from proxy.http1.error_response import reply_bytes
from proxy.http1.request import Request
from proxy.net.stream import FULL, NO_TURN, PEER_IS_SLOW, Connection

__all__ = ["EndingConnection"]


class EndingConnection(Connection):
    """Says the last words; `_is_lingering`: nothing that still comes is read."""

    __slots__ = ("_engine", "_is_lingering", "patience")

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._engine = engine
        self._is_lingering = False
        self.patience = Patience(engine.periods, engine.monotonic)

    def cut(self) -> None:
        """Drop the connection by a reset, so that no answer on it looks complete (F7)."""
        self._is_lingering = True
        self.reset()

    def reply(self, error: ProxyError, request: Request, request_id: str, *, close: bool) -> None:
        """Send a reply of our own to the running request."""
        is_head = request.method == b"HEAD"
        self.write(reply_bytes(error, request_id, request, is_head=is_head, close=close))

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
        self._tell(error, request, is_head=is_head, close=not keep_alive)
        if not keep_alive:
            self._linger()
        elif not self.is_clogged:
            self.patience.rest()

    def _tell(
        self, error: ProxyError, request: Request | None, *, is_head: bool, close: bool
    ) -> None:
        books = self._engine.books
        request_id = books.request_id(request)
        books.refused(request, error, request_id)
        self.write(reply_bytes(error, request_id, request, is_head=is_head, close=close))

    def _turn_away(self) -> None:
        """Answer a connection beyond the bound, which then keeps nothing, no descriptor (G11)."""
        self._tell(failures.too_many_callers(), None, is_head=False, close=True)
        self._is_lingering = True
        self.transport.close()
        self.patience.hasten()

    def _close(self) -> None:
        """Close once everything is written; the sweep ends a caller that does not take it."""
        self._expect_goodbye()
        self.transport.close()

    def _linger(self) -> None:
        """Close for writing, and for a moment throw away what still comes.

        A close with unread bytes would reset the connection and could take the
        reply with it (RFC 9112 §9.6).
        """
        self._is_lingering = True
        self._expect_goodbye()
        self.unhold(PEER_IS_SLOW | NO_TURN | FULL)
        if not self.transport.is_closing():
            self.transport.write_eof()

    def _end_late(self, awaited: int) -> None:
        """End a connection without a request, which has lasted too long."""
        is_idle = awaited == IDLE
        if is_idle and self.has_unsent and not self.transport.is_closing():
            self.patience.expect_flow(READER, self.taken())
        elif is_idle and self.patience.may_rest():
            return
        elif awaited == READER:
            self._engine.books.stalled()
            self.cut()
        elif awaited == CLOSING or self._is_lingering:
            self.abort()
        else:
            self._close()

    def _expect_goodbye(self) -> None:
        has_unsent = self.has_unsent
        self.patience.expect_goodbye(self.taken() if has_unsent else 0, has_unsent=has_unsent)
