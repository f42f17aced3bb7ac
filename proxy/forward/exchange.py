"""One request and its response: the state machine between a caller and an upstream connection.

`proxy.forward.phases` has the table of what may follow what. Here is what is done about it:

```text
request ► body? ► token? ► connection? ► sent ► response ► done
            │       │          │           │
            ▼       ▼          ▼           ▼
           408     503     502, 503    502, 504, or, once a response has begun, a cut (F7)
```
"""

from typing import Final

from proxy.forward.acquisition import Acquisition
from proxy.forward.context import Context
from proxy.forward.exchange_end import EndingExchange
from proxy.forward.interfaces import Caller, UpstreamLink
from proxy.forward.patience import (
    BODY,
    CONNECTION,
    READER,
    RESPONSE,
    TOKEN,
)
from proxy.forward.phases import (
    COLLECT,
    COLLECTED,
    COLLECTING,
    ENDED,
    HEAD,
    REFUSED,
    RELAYING,
    SENT,
    STALE,
    WAITING,
)
from proxy.forward.replay import UNAUTHORIZED, report_replay_response, report_unauthorized
from proxy.forward.upstream import UpstreamConnection
from proxy.http1 import failures
from proxy.http1.body import NO_BODY
from proxy.http1.response import ResponseHead
from proxy.http1.serializer import request_head
from proxy.net.stream import PEER_IS_SLOW
from proxy.oauth.token import Token
from proxy.telemetry.request_log import RequestRecord

__all__ = ["Exchange"]

_FIRST_ERROR: Final = 400


class Exchange(EndingExchange):
    """Owns one request from its head to the last byte of its response."""

    __slots__ = (
        "_acquisition",
        "_has_retried",
        "_sent",
        "_tokens",
        "method",
    )

    def __init__(self, context: Context, caller: Caller, record: RequestRecord) -> None:
        super().__init__(context, caller, record)
        self._tokens = context.tokens[record.route.client]
        self._acquisition: Acquisition | None = None
        self._sent = record.started
        self._has_retried = False
        self.method = record.request.method

    # --- on the way up ---

    def begin(self, *, has_body_bytes: bool) -> None:
        """Start a request with a body; `has_body_bytes` says that some of it has come already."""
        self._may_continue = self.request.expects_continue and not has_body_bytes
        if not self.body.comes_first:
            self.start()
            return
        self._pass(COLLECT)
        if not has_body_bytes:  # else they are read first: mostly they are all of it
            self._expect()
        if self._may_continue:
            if self._tokens.current() is None:
                self._acquisition = Acquisition(self._context, self._tokens, self)
                self._acquisition.begin_with_token()
            else:
                self.token_ready()

    def token_ready(self) -> None:
        """Ask the caller for its body, now that there is a token to send it with (F6)."""
        self._acquisition = None
        if self.body.is_ended:  # its caller did not wait for our word
            self.start()
            return
        self._continue()
        self._expect()

    def start(self) -> None:
        """Send with token and connection at hand, else get them; what has ended starts nothing."""
        if self._phase != WAITING:
            return
        tokens = self._tokens
        # Those who waited for it come first, who have had no turn since it came (F8).
        token = None if tokens.is_being_given else tokens.current()
        connection = None if token is None else self._context.pool.take()
        if token is None or connection is None:
            self._acquisition = Acquisition(self._context, self._tokens, self)
            self._acquisition.begin(token)
        else:
            self.send(connection, token)

    def send(self, connection: UpstreamConnection, token: Token) -> None:
        """Send what there is of the request."""
        self._acquisition = None
        self.record.token = token
        self._upstream = connection
        connection.receiver = self
        self._pass(SENT)
        context = self._context
        head = self._head_with(token)
        body = self.body
        self._sent = context.monotonic()
        if body is NO_BODY:
            connection.transport.write(head)
            self.patience.expect(RESPONSE)
            return
        if not body.is_ended:
            connection.read_last_words()
        connection.write_behind(head, body.backlog())
        body.sent()
        if not connection.is_write_paused:  # else `on_upstream_paused` has been called
            self.caller.resume_reading(PEER_IS_SLOW)
        self._continue()
        self._expect()

    def _head_with(self, token: Token) -> bytes:
        """Return the head that goes up; of what is in it for this request alone, it makes a trace.

        An id that the caller gave is among its own lines.
        """
        context, record, request = self._context, self.record, self.request
        id_line = record.id_line if request.known.id_line is None else b""
        tracer = context.tracer
        if tracer is None:
            trace_line = b""
        elif record.trace is None:
            trace_line = tracer.unsampled_line(request.known.parent, record.unsampled_trace)
        else:
            trace_line = tracer.attempt_line(record.trace, context.monotonic())
        return request_head(request, context.names, token.header_line, id_line, trace_line)

    def receive_end(self) -> None:
        """Learn that the caller has sent the whole body."""
        self.body.is_ended = True
        if self._phase == COLLECTING:
            self._pass(COLLECTED)
            if self._acquisition is None:
                self.start()
            else:
                self.patience.expect(TOKEN)  # the body is there; that is not
        elif self._upstream is not None and not self.body.is_given_up:
            self._upstream.write(self.body.end_mark())
            self._expect()

    # --- on the way down: proxy.forward.interfaces.ResponseReceiver ---

    def on_response(self, head: ResponseHead) -> bool:
        """Take the head; False where the request is sent again instead."""
        context, record, status = self._context, self.record, head.status
        if record.trace is not None:
            record.trace.responded(status, head.trace_id)
        if record.is_replayed:
            report_replay_response(self._tokens, record.token, status, context.counters)
        elif status == UNAUTHORIZED and self._begin_replay():
            return False
        record.head_seconds = context.monotonic() - self._sent
        self._pass(HEAD)
        self._begin_response(head)
        if status >= _FIRST_ERROR and not self.body.is_ended:
            self._end_upload()
        return True

    def on_response_end(self) -> None:
        """End a complete response."""
        self._upstream = None
        self._end_response()
        self._finish(ENDED, keep_alive=self._keep_alive)

    def on_protocol_error(self, reason: str) -> None:
        """End a response that is not HTTP with one reading (F9); the connection is closed."""
        self._upstream = None
        self._context.counters.upstream_error("invalid_response")
        self._context.log.warning("upstream_invalid_response", cause=reason)
        self.fail(failures.upstream_broken(reason))

    def on_connection_lost(self, connection: UpstreamLink, *, began: bool) -> None:
        """Start again where a pooled connection turned out to be closed (F8), else give up."""
        self._upstream = None
        is_stale = connection.is_reused and not began and not self._has_retried
        if is_stale and self.request.is_idempotent and self.body.can_be_replayed:
            self._has_retried = True
            self._attempt_over("upstream_closed")
            self._pass(STALE)
            # If one was closed, its neighbours are likely to be: a fresh one is wanted.
            self._context.pool.drop_idle()
            self.start()
            return
        self._context.counters.upstream_error("truncated" if self._phase == RELAYING else "closed")
        self.fail(failures.upstream_closed())

    def _begin_replay(self) -> bool:
        """Decide on the one replay after a 401 (T10); True: this response is dropped."""
        context = self._context
        if not report_unauthorized(self._tokens, self.record.token, self.body, context.counters):
            return False
        self.record.is_replayed = True
        self._attempt_over(None)
        self._upstream = None
        self._pass(REFUSED)
        # After the refused connection is idle again, so that it can serve again.
        context.loop.call_soon(self.start)
        return True

    def _attempt_over(self, error: str | None) -> None:
        """End the span of an attempt after which another follows."""
        if self.record.trace is not None:
            self.record.trace.attempt_over(self._context.monotonic(), error)

    # --- ends ---

    def late(self, awaited: int) -> None:
        """End what was waited for in vain; called by the sweep."""
        if awaited in (READER, BODY):
            super().late(awaited)
        elif awaited == CONNECTION and self._acquisition is not None:
            self.fail(self._acquisition.late())
        else:
            self._context.counters.upstream_error("timeout")
            self.fail(failures.upstream_silent(self._context.limits.read_timeout_seconds))

    def _let_go(self) -> None:
        """Give back all that the exchange holds or waits for."""
        if self._acquisition is not None:
            self._acquisition.cancel()
            self._acquisition = None
        if self._upstream is not None:
            self._upstream.abort()
            self._upstream = None
