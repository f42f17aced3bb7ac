"""The request log: every request ends here, once, in metrics and access log (M, L).

What went wrong is noted for the status page too.
"""

from collections.abc import Callable
from typing import Final, Protocol

from proxy.errors import ERROR_KINDS, ErrorKind, ProxyError
from proxy.guard.identity import Peer
from proxy.guard.routing import NO_CLIENT, UNROUTED, Route
from proxy.http1.body import RequestBody
from proxy.http1.grammar import METHODS
from proxy.http1.request import Request
from proxy.http1.request_id import RequestIds, id_in, visible
from proxy.oauth.token import Token
from proxy.telemetry.access_log import AccessLog
from proxy.telemetry.counters import TLS_HANDSHAKE, Counters
from proxy.telemetry.recent_errors import RecentErrorKind, RecentErrors
from proxy.tracing.tracer import RequestTrace

__all__ = [
    "CLIENT_LEFT",
    "CLIENT_STALLED",
    "OTHER_MEANINGS",
    "RequestLog",
    "RequestRecord",
]

CLIENT_LEFT: Final = "client_left"
"""Outcome of a request whose caller went away."""
CLIENT_STALLED: Final = "client_stalled"
"""Outcome of a request whose caller stopped reading."""
_UPSTREAM_RESPONSE: Final = "upstream_response"
OTHER_MEANINGS: Final = {
    CLIENT_LEFT: "The caller went away before its response was complete.",
    CLIENT_STALLED: "The caller stopped reading its response.",
    TLS_HANDSHAKE: "No TLS connection with the caller: its certificate, or what it makes of ours.",
    _UPSTREAM_RESPONSE: "The upstream's own response, passed on.",
}
"""What the operator reads, on the status page, of codes that are in no row of table E."""

_FIRST_ERROR: Final = 400
_FIRST_SERVER_ERROR: Final = 500
_UNAUTHORIZED: Final = 401  # the authority is ours, so the caller is not to blame
_KINDS: Final[dict[str, RecentErrorKind]] = {
    **{kind.code: "refused" for kind in ERROR_KINDS if kind.is_refusal},
    CLIENT_LEFT: "left",
    CLIENT_STALLED: "left",
}
_METHOD_LABELS: Final = {method: method.decode() for method in METHODS}


class RequestRecord:
    """What is known of one exchange, filled in as it goes; times are monotonic seconds.

    `status` is 0 until a response's head has gone to the caller; `detail` is set for
    replies of our own; `outcome` is `ok`, a code of table E, `client_left` or
    `client_stalled`. `id_line` carries the request's id, up and down. `trace` is there if the
    request is sampled; a trace that begins here and is not has its id in `unsampled_trace`.
    `sender` is who the request is from, `peer` the address and `scheme` what it came by.
    """

    __slots__ = (
        "body",
        "bytes_out",
        "detail",
        "head_seconds",
        "id_line",
        "is_replayed",
        "outcome",
        "peer",
        "request",
        "route",
        "scheme",
        "sender",
        "started",
        "status",
        "token",
        "token_wait_seconds",
        "trace",
        "trace_id",
        "unsampled_trace",
    )

    def __init__(
        self,
        request: Request,
        route: Route,
        body: RequestBody,
        started: float,
        peer: Peer,
        id_line: bytes,
    ) -> None:
        self.request = request
        self.sender = peer.sender
        self.peer = peer.address
        self.scheme = peer.scheme
        self.route = route
        self.body = body
        self.started = started
        self.status = 0
        self.bytes_out = 0
        self.head_seconds: float | None = None
        self.is_replayed = False
        self.outcome = "ok"
        self.detail: str | None = None
        self.id_line = id_line
        self.token: Token | None = None
        self.token_wait_seconds = 0.0
        self.trace: RequestTrace | None = None
        self.trace_id: bytes | None = None
        self.unsampled_trace = b""

    @property
    def request_id(self) -> str:
        """The request's id, for logs and spans (O1)."""
        return id_in(self.id_line)

    def note_error(self, error: ProxyError) -> None:
        """Note what the exchange ends with, for the reply of our own and for the log (G10)."""
        self.outcome = error.kind.code
        self.detail = error.detail

    def traceparent(self) -> str | None:
        """Return where the request stands in a trace: by our span if there is one."""
        if self.trace is not None:
            return self.trace.name()
        return _text(self.request.headers.facts.get(b"traceparent"))


def _text(value: bytes | None) -> str | None:
    """Return a caller's or the upstream's identifier for the log, None where it is no valid one."""
    read = visible(value)
    return None if read is None else read.decode("ascii")


class RequestSpans(Protocol):
    """Makes spans of sampled requests."""

    def ended(
        self, record: RequestRecord, trace: RequestTrace, method: str, seconds: float
    ) -> None:
        """Take a request that is over."""

    def refused(
        self, request: Request, method: str, kind: ErrorKind, request_id: str, peer: Peer
    ) -> None:
        """Take one that the guard refused."""


class RequestLog:
    """Writes what is known at the end of a request to metrics, access log and recent errors."""

    __slots__ = ("_access_log", "_counters", "_ids", "_monotonic", "_recent", "_spans")

    def __init__(
        self,
        counters: Counters,
        access_log: AccessLog,
        recent: RecentErrors,
        monotonic: Callable[[], float],
        spans: RequestSpans | None = None,
    ) -> None:
        self._counters = counters
        self._access_log = access_log
        self._recent = recent
        self._monotonic = monotonic
        self._ids = RequestIds()
        self._spans = spans

    def id_line(self, request: Request | None) -> bytes:
        """Return the line of the caller's X-Request-ID where it is valid, else of our own (O1)."""
        given = None if request is None else request.known.id_line
        return self._ids.new_line() if given is None else given

    def record(self, record: RequestRecord) -> None:
        """Record an exchange that reached its route, however it ended."""
        request = record.request
        seconds = self._monotonic() - record.started
        route, caller = record.route.label, record.sender.name
        status = record.status
        bytes_in = record.body.size
        method = _METHOD_LABELS.get(request.method, "OTHER")
        self._counters.request_finished(
            route, method, status, caller, seconds, record.head_seconds, bytes_in, record.bytes_out
        )
        if status >= _FIRST_ERROR or record.outcome != "ok":
            self._note_recent(record, method)
        if record.trace is not None and self._spans is not None:
            self._spans.ended(record, record.trace, method, seconds)
        log = self._access_log
        if log.is_enabled_for(status, record.outcome):
            token = record.token
            log.write(
                {
                    "method": method,
                    "route": route,
                    "client": record.route.client,
                    "caller": record.sender.log_name,
                    "peer": record.peer,
                    "status": record.status,
                    "outcome": record.outcome,
                    "detail": record.detail,
                    "duration_seconds": seconds,
                    "upstream_seconds": record.head_seconds,
                    "bytes_in": bytes_in,
                    "bytes_out": record.bytes_out,
                    "request_id": record.request_id,
                    "traceparent": record.traceparent(),
                    "upstream_trace_id": _text(record.trace_id),
                    "token": None if token is None else token.fingerprint,
                    "replayed": record.is_replayed or None,
                }
            )

    def _note_recent(self, record: RequestRecord, method: str) -> None:
        """Note what an operator looks for; most 4xx responses are the application's own matter."""
        status, code = record.status, record.outcome
        if code == "ok":
            if status < _FIRST_SERVER_ERROR and status != _UNAUTHORIZED:
                return
            code = _UPSTREAM_RESPONSE
        route = record.route
        kind = _KINDS.get(code, "failed")
        self._recent.add(
            kind,
            code,
            route.client,
            route.label,
            method,
            status or None,
            record.request_id,
            record.detail,
            record.sender.log_name,
        )

    def refused(
        self, request: Request | None, error: ProxyError, request_id: str, peer: Peer
    ) -> None:
        """Record a request that the guard refused at once, or bytes that were none (G10)."""
        kind = error.kind
        sender = peer.own if request is None else peer.sender
        caller = sender.log_name
        self._counters.error_reply(UNROUTED, kind)
        method = "OTHER" if request is None else _METHOD_LABELS.get(request.method, "OTHER")
        self._counters.request_finished(UNROUTED, method, kind.status, sender.name, 0.0, None, 0, 0)
        if self._spans is not None and request is not None:
            self._spans.refused(request, method, kind, request_id, peer)
        self._recent.add(
            "refused", kind.code, None, None, method, kind.status, request_id, error.detail, caller
        )
        if self._access_log.is_enabled_for(kind.status, kind.code):
            facts = {} if request is None else request.headers.facts
            self._access_log.write(
                {
                    "method": method,
                    "client": NO_CLIENT,
                    "caller": caller,
                    "peer": peer.address,
                    "status": kind.status,
                    "outcome": kind.code,
                    "detail": error.detail,
                    "request_id": request_id,
                    "traceparent": _text(facts.get(b"traceparent")),
                }
            )

    def stalled(self, peer: Peer) -> None:
        """Record a caller that reads none of its responses, and whose connection is cut (G9)."""
        caller = peer.sender.log_name
        self._recent.add("left", CLIENT_STALLED, caller=caller)
        if self._access_log.is_enabled_for(0, CLIENT_STALLED):
            self._access_log.write(
                {
                    "method": "OTHER",
                    "client": NO_CLIENT,
                    "caller": caller,
                    "peer": peer.address,
                    "outcome": CLIENT_STALLED,
                }
            )

    def handshake_failed(self, detail: str, peer: Peer) -> None:
        """Record a caller with which TLS did not come to stand (I3)."""
        self._counters.handshake_failed()
        self._recent.add("refused", TLS_HANDSHAKE, detail=detail)
        if self._access_log.is_enabled_for(0, TLS_HANDSHAKE):
            self._access_log.write(
                {
                    "method": "OTHER",
                    "client": NO_CLIENT,
                    "peer": peer.address,
                    "outcome": TLS_HANDSHAKE,
                    "detail": detail,
                }
            )
