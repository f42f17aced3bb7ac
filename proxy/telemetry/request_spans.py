"""What a span says of a request: facts from closed sets, ids, numbers; no path but the route's.

Names are those of OpenTelemetry's HTTP conventions, and `signicat_proxy.*` for what they lack.
"""

from typing import Final

from proxy.clock import Clock
from proxy.errors import ErrorKind
from proxy.guard.identity import Peer
from proxy.http1.request import Request
from proxy.telemetry.counters import Counters
from proxy.telemetry.request_log import RequestRecord
from proxy.tracing.ended_span import Attributes
from proxy.tracing.tracer import RequestTrace, Tracer

__all__ = ["TracedRequests"]

_FIRST_SERVER_ERROR: Final = 500
_OTHER: Final = "OTHER"


def _method(label: str) -> tuple[str, str]:
    """Return a method as name and as attribute of a span; callers can make up any number."""
    return ("HTTP", "_OTHER") if label == _OTHER else (label, label)


class TracedRequests:
    """Makes the facts of the spans of a sampled request, once it is over.

    Those that reached a route leave their trace's id beside their durations in `counters`.
    """

    __slots__ = ("_clock", "_counters", "_tracer")

    def __init__(self, tracer: Tracer, counters: Counters, clock: Clock) -> None:
        self._tracer = tracer
        self._counters = counters
        self._clock = clock

    def ended(
        self, record: RequestRecord, trace: RequestTrace, method: str, seconds: float
    ) -> None:
        """Hand over the spans of a request that reached its route, however it ended."""
        status, outcome = record.status, record.outcome
        route = record.route.label
        name, known_method = _method(method)
        attributes: Attributes = {
            "http.request.method": known_method,
            "http.route": route,
            "url.path": route,
            "url.scheme": record.scheme,
            "http.request.body.size": record.body.size,
            "http.response.body.size": record.bytes_out,
            "signicat_proxy.client": record.route.client,
            "signicat_proxy.request_id": record.request_id,
        }
        if record.sender.log_name is not None:
            attributes["signicat_proxy.caller"] = record.sender.log_name
        if record.token_wait_seconds:
            attributes["signicat_proxy.token_wait_seconds"] = round(record.token_wait_seconds, 6)
        if status:
            attributes["http.response.status_code"] = status
        error = None if outcome == "ok" else outcome
        if error is None and status >= _FIRST_SERVER_ERROR:
            error = str(status)
        if error is not None:
            attributes["error.type"] = error
        now = self._clock.monotonic()
        trace.attempt_over(now, None if outcome == "ok" else outcome)
        self._tracer.request_ended(trace, f"{name} {route}", record.started, now, attributes, error)
        wall = self._clock.wall()
        self._counters.request_traced(route, seconds, record.head_seconds, trace.trace_id, wall)

    def refused(
        self, request: Request, method: str, kind: ErrorKind, request_id: str, peer: Peer
    ) -> None:
        """Hand over the span of a request that the guard refused; it has no route."""
        parent = request.parent
        trace, _ = self._tracer.begin(parent, request.known.tracestate)
        if trace is None:
            return
        name, known_method = _method(method)
        attributes: Attributes = {
            "http.request.method": known_method,
            "http.response.status_code": kind.status,
            "url.scheme": peer.scheme,
            "error.type": kind.code,
            "signicat_proxy.request_id": request_id,
        }
        if peer.sender.log_name is not None:
            attributes["signicat_proxy.caller"] = peer.sender.log_name
        # It is the caller's error, and none of this server's, unless the status says so.
        error = kind.code if kind.status >= _FIRST_SERVER_ERROR else None
        now = self._clock.monotonic()
        self._tracer.request_ended(trace, name, now, now, attributes, error)
