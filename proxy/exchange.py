"""One request and its answer: the state machine between a caller and an upstream connection.

start ► token? ► connection? ► SENDING ► (answer's head) ► RELAYING ► done
          │          │            │ 401 (T10), or a closed pooled connection (F8) ► start, once
          ▼          ▼            ▼
         503      502, 503    502, 504, or, once the head is out, a cut connection (F7)
"""

from typing import Final

from proxy import failures
from proxy.acquisition import Acquisition
from proxy.books import Entry
from proxy.engine import Engine
from proxy.errors import ProxyError
from proxy.headers import MessageHeaders
from proxy.heads import interim_head, request_head, response_head
from proxy.replay import UNAUTHORIZED, is_worth_replaying, report_answer
from proxy.request import Request
from proxy.roles import Caller, UpstreamLink
from proxy.routing import Route
from proxy.token import Token
from proxy.upload import LAST_CHUNK, NO_BODY, Upload, chunk
from proxy.upstream import UpstreamConnection

__all__ = ["Exchange"]

WAITING: Final = 0  # for a token or a connection
SENDING: Final = 1  # the request goes out or has gone; no answer yet
HOLDING: Final = 2  # a 401 was kept back; the replay awaits the rest of the body
RELAYING: Final = 3  # the answer's head is out
DONE: Final = 4

_BACKLOG: Final = 64 * 1024  # body bytes taken in while there is no connection to send them on


class Exchange(Entry):
    """Owns one request from its head to the last byte of its answer; it is its own entry."""

    __slots__ = (
        "_acquisition",
        "_engine",
        "_has_retried",
        "_head",
        "_is_chunked",
        "_keep_alive",
        "_phase",
        "_sent",
        "_tokens",
        "_upstream",
        "caller",
        "method",
    )

    _head: bytes  # from when it is known until it is sent, as the caller gets it
    _is_chunked: bool
    _keep_alive: bool

    def __init__(
        self,
        engine: Engine,
        caller: Caller,
        request: Request,
        route: Route,
        upload: Upload,
        started: float,
    ) -> None:
        super().__init__(request, route, upload, started)
        self._engine = engine
        self._tokens = engine.tokens[route.client]
        self._upstream: UpstreamConnection | None = None
        self._acquisition: Acquisition | None = None
        self._phase = WAITING
        self._sent = started
        self._has_retried = False
        self.caller = caller
        self.method = request.method

    def start(self) -> None:
        """Send with token and connection at hand, else get them; what has ended starts nothing."""
        if self._phase != WAITING:
            return
        token = self._tokens.current()
        connection = None if token is None else self._engine.pool.take()
        if token is None or connection is None:
            self._acquisition = Acquisition(self._engine, self._tokens, self)
            self._acquisition.begin(token)
        else:
            self.send(connection, token)

    def send(self, connection: UpstreamConnection, token: Token) -> None:
        """Send what there is of the request."""
        self._acquisition = None
        self.token = token
        self._upstream = connection
        connection.receiver = self
        self._phase = SENDING
        engine = self._engine
        head = request_head(self.request, engine.names, token.header_line)
        upload = self.upload
        if upload is NO_BODY:
            connection.transport.write(head)
        else:
            connection.write(head + upload.backlog())
            upload.sent()
            self.caller.unhold()
        self._sent = now = engine.monotonic()
        self.caller.deadline = now + engine.limits.read_timeout_seconds

    def receive(self, data: bytes) -> None:
        """Take body bytes from the caller, without framing."""
        upload = self.upload
        upload.add(data)
        if self._upstream is not None:
            self._upstream.write(upload.frame(data))
            upload.sent()
        elif self._phase == WAITING and upload.size > _BACKLOG:
            self.caller.hold()
        if self._phase != WAITING and upload.has_progressed():
            self.touch()

    def receive_end(self) -> None:
        """Learn that the caller has sent the whole body."""
        self.upload.is_ended = True
        if self._upstream is not None:
            self._upstream.write(self.upload.end_mark())
            self.touch()
        elif self._phase == HOLDING:
            self._phase = WAITING
            self.start()

    # --- on the way down: proxy.upstream.ResponseReceiver ---

    def touch(self) -> None:
        """Note progress: the deadline moves on."""
        self.caller.deadline = self._engine.monotonic() + self._engine.limits.read_timeout_seconds

    def interim(self, lines: list[bytes], headers: MessageHeaders) -> None:
        """Pass a 1xx on to callers that can know it."""
        if not self.request.is_http_10:
            self.caller.write(interim_head(lines, headers))

    def answer(self, status: int, lines: list[bytes], headers: MessageHeaders) -> bool:
        """Take the head; False where the request is sent again instead."""
        engine = self._engine
        request = self.request
        if self.is_replayed:
            report_answer(self._tokens, self.token, status, engine.metrics)
        elif status == UNAUTHORIZED and self._begin_replay():
            return False
        self.head_seconds = engine.monotonic() - self._sent
        self._phase = RELAYING
        self.status = status
        self.trace_id = headers.facts.get(b"x-trace-id")
        # An answer that ends with the connection is chunked, so that its end shows (F7).
        self._is_chunked = headers.length < 0 and not request.is_http_10
        self._keep_alive = keep = self._may_stay() and (headers.length >= 0 or self._is_chunked)
        self._head = response_head(lines, headers, request, engine.names, close=not keep)
        return True

    def _may_stay(self) -> bool:
        """Say whether the caller's connection may outlive the exchange."""
        return self.request.keep_alive and self.upload.is_ended and not self._engine.is_draining

    def relay(self, data: bytes) -> None:
        """Pass body bytes on, in framing of our own and behind the head."""
        if data:
            self.bytes_out += len(data)
            if self._is_chunked:
                data = chunk(data)
        head, self._head = self._head, b""
        self.caller.write_behind(head, data)

    def answered(self) -> None:
        """End a complete answer."""
        self._upstream = None
        if self._is_chunked:
            self.caller.write(LAST_CHUNK)
        self._finish(keep_alive=self._keep_alive)

    def broken(self, reason: str) -> None:
        """End an answer that is not HTTP with one reading (F9); the connection is closed."""
        self._upstream = None
        self._engine.metrics.upstream_error("invalid_response")
        self._engine.log.warning("upstream_invalid_response", cause=reason)
        self.fail(failures.upstream_broken(reason))

    def lost(self, connection: UpstreamLink, *, began: bool) -> None:
        """Start again where a resting connection turned out to be closed (F8), else give up."""
        self._upstream = None
        is_stale = connection.is_reused and not began and not self._has_retried
        if is_stale and self.request.is_idempotent and self.upload.is_whole:
            self._has_retried = True
            self._phase = WAITING
            # If one was closed, its neighbours are likely to be: a fresh one is wanted.
            self._engine.pool.drop_idle()
            self.start()
            return
        self._engine.metrics.upstream_error("truncated" if self._phase == RELAYING else "closed")
        self.fail(failures.upstream_closed())

    def pause(self) -> None:
        """Pass the upstream's back-pressure on (F5)."""
        self.caller.hold()

    def resume(self) -> None:
        """Let the caller go on."""
        self.touch()
        self.caller.unhold()

    def clogged(self) -> None:
        """Pass the caller's back-pressure on to the upstream (F5)."""
        if self._upstream is not None:
            self._upstream.hold()

    def unclogged(self) -> None:
        """Let the upstream go on."""
        self.touch()
        if self._upstream is not None:
            self._upstream.unhold()

    def _begin_replay(self) -> bool:
        """Decide on the one replay after a 401 (T10); True: this answer is dropped."""
        engine = self._engine
        if not is_worth_replaying(self._tokens, self.token, self.upload, engine.metrics):
            return False
        self.is_replayed = True
        self._upstream = None
        if self.upload.is_ended:
            self._phase = WAITING
            # After the refused connection has come to rest, so that it can serve again.
            engine.loop.call_soon(self.start)
        else:
            self._phase = HOLDING
        return True

    def fail(self, error: ProxyError) -> None:
        """End with a reply of our own, or by a cut where an answer has begun."""
        if self._phase == DONE:
            return
        if self._phase == RELAYING:
            self._cut(error.kind.code)
            return
        if self.is_replayed:
            self._engine.metrics.replay("failed")
        self._let_go()
        self.outcome = error.kind.code
        self.status = error.kind.status
        self._engine.metrics.error_reply(self.route.client, error.kind)
        self.request_id = request_id = self._engine.books.request_id(self.request)
        keep_alive = self._may_stay()
        self.caller.reply(error, self.request, request_id, close=not keep_alive)
        self._finish(keep_alive=keep_alive)

    def _cut(self, outcome: str) -> None:
        """End an answer that has begun: it must not look complete (F7)."""
        self.outcome = outcome
        self._let_go()
        self.caller.cut()
        self._finish(keep_alive=False)

    def caller_left(self) -> None:
        """Cancel everything: nobody waits for the answer any more (F7)."""
        if self._phase == DONE:
            return
        self._let_go()
        self.outcome = "client_left"
        self._finish(keep_alive=False)

    def deadline_passed(self) -> None:
        """Decide who was late; called by the sweep."""
        seconds = self._engine.limits.read_timeout_seconds
        upstream = self._upstream
        if self._acquisition is not None:
            self.fail(self._acquisition.late())
        elif self._phase == RELAYING and self.caller.is_clogged:
            self._cut("client_stalled")
        elif not self.upload.is_ended and (upstream is None or not upstream.is_clogged):
            self.fail(failures.body_late(seconds))
        else:
            self._engine.metrics.upstream_error("timeout")
            self.fail(failures.upstream_silent(seconds))

    def _let_go(self) -> None:
        """Give back all that the exchange holds or waits for."""
        if self._acquisition is not None:
            self._acquisition.cancel()
            self._acquisition = None
        if self._upstream is not None:
            self._upstream.abort()
            self._upstream = None

    def _finish(self, *, keep_alive: bool) -> None:
        self._phase = DONE
        self._engine.books.exchange_over(self)
        self.caller.finished(keep_alive=keep_alive)
