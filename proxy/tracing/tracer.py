"""Traces as a request meets them: what goes up in `traceparent`, and what is kept for its spans.

No span is made here. A sampled request keeps its ids and the instants that the request log has
anyway; once it is over, plain facts go to `tracing.export`, in another thread. One that is not
sampled keeps nothing at all.
"""

from collections.abc import Callable, Mapping
from typing import Final

from proxy.http1.request_id import visible
from proxy.http1.trace_context import SAMPLED, TraceParent
from proxy.tracing.ended_span import Attributes, EndedSpan
from proxy.tracing.ids import RandomIds
from proxy.tracing.sampling import Sampler

__all__ = ["Attempt", "RequestTrace", "Tracer"]

_NANOSECONDS: Final = 1_000_000_000
_FIRST_ERROR: Final = 400
_ENDS: Final = [b"-00\r\n", b"-01\r\n", b"-02\r\n", b"-03\r\n"]


class Attempt:
    """One sending of a request: monotonic seconds, and what the upstream said to it.

    `ended` is None while it runs, `status` 0 while there is no response.
    """

    __slots__ = ("ended", "error", "sent", "span_id", "status", "upstream_trace_id")

    def __init__(self, span_id: bytes, sent: float) -> None:
        self.span_id = span_id
        self.sent = sent
        self.ended: float | None = None
        self.status = 0
        self.error: str | None = None
        self.upstream_trace_id: bytes | None = None


class RequestTrace:
    """What is kept of a sampled request: the ids of its spans, and its attempts.

    `tracestate` is the caller's, where it is valid.
    """

    __slots__ = ("attempts", "flags", "parent_id", "span_id", "trace_id", "tracestate")

    def __init__(
        self,
        trace_id: bytes,
        parent_id: bytes | None,
        span_id: bytes,
        flags: int,
        tracestate: bytes | None,
    ) -> None:
        self.trace_id = trace_id
        self.parent_id = parent_id
        self.span_id = span_id
        self.flags = flags
        self.tracestate = tracestate
        self.attempts: list[Attempt] = []

    def name(self) -> str:
        """Return the `traceparent` of the server span, for the log."""
        return f"00-{self.trace_id.decode()}-{self.span_id.decode()}-{self.flags:02x}"

    def responded(self, status: int, upstream_trace_id: bytes | None) -> None:
        """Note the head of the upstream's response to the running attempt."""
        attempt = self.attempts[-1]
        attempt.status = status
        attempt.upstream_trace_id = visible(upstream_trace_id)
        if status >= _FIRST_ERROR:
            attempt.error = str(status)

    def attempt_over(self, monotonic: float, error: str | None) -> None:
        """Note the end of the running attempt, if there is one; what it had failed with stays."""
        if not self.attempts:
            return
        attempt = self.attempts[-1]
        if attempt.ended is None:
            attempt.ended = monotonic
            attempt.error = attempt.error or error


def _line(trace_id: bytes, span_id: bytes, flags: int) -> bytes:
    """Return the header that goes up; `flags` are those that `http1.trace_context` lets through."""
    return b"traceparent: 00-%b-%b%b" % (trace_id, span_id, _ENDS[flags])


class Tracer:
    """Decides, names, and hands over; `emit` gets each span once it is over.

    `upstream` are attributes of every client span: where requests go. `token_endpoints` are
    name and attributes of a token request's span, by client.
    """

    __slots__ = ("_emit", "_ids", "_sampler", "_token_endpoints", "_upstream", "_wall")

    def __init__(
        self,
        sampler: Sampler,
        emit: Callable[[EndedSpan], None],
        wall: Callable[[], float],
        *,
        upstream: Mapping[str, str | int],
        token_endpoints: Mapping[str, tuple[str, Mapping[str, str | int]]],
    ) -> None:
        self._sampler = sampler
        self._emit = emit
        self._wall = wall
        self._ids = RandomIds()
        self._upstream = upstream
        self._token_endpoints = token_endpoints

    # --- on the way up ---

    def begin(
        self, parent: TraceParent | None, tracestate: bytes | None = None
    ) -> tuple[RequestTrace | None, bytes]:
        """Return what is to be kept of a request, None if it is not sampled; and its trace's id."""
        ids, sampler = self._ids, self._sampler
        if parent is None:
            trace_id = ids.trace_id()
            if not sampler.is_sampled(None, trace_id):
                return None, trace_id
            return RequestTrace(trace_id, None, ids.span_id(), SAMPLED, None), trace_id
        trace_id = parent.trace_id
        if not sampler.is_sampled(parent, trace_id):
            return None, trace_id
        flags = parent.flags | SAMPLED
        trace = RequestTrace(trace_id, parent.span_id, ids.span_id(), flags, tracestate)
        return trace, trace_id

    def attempt_line(self, trace: RequestTrace, sent: float) -> bytes:
        """Begin the client span of one more attempt; return the `traceparent` that names it."""
        span_id = self._ids.span_id()
        trace.attempts.append(Attempt(span_id, sent))
        return _line(trace.trace_id, span_id, trace.flags)

    def unsampled_line(self, parent: TraceParent | None, trace_id: bytes) -> bytes:
        """Return the `traceparent` of a request that is not sampled; `trace_id` is of `begin`."""
        flags = 0 if parent is None else parent.flags & ~SAMPLED
        return _line(trace_id, self._ids.span_id(), flags)

    # --- once it is over ---

    def request_ended(
        self,
        trace: RequestTrace,
        name: str,
        started: float,
        monotonic: float,
        attributes: Attributes,
        error: str | None,
    ) -> None:
        """Hand over the server span, and the client spans below it; `monotonic` is now.

        All begin and end by one pair of readings of the clocks, so that none lies outside of
        the span above it.
        """
        wall = self._wall()
        method = attributes["http.request.method"]
        for index, attempt in enumerate(trace.attempts):
            self._attempt_ended(trace, index, attempt, str(method), wall, monotonic)
        self._emit(
            EndedSpan(
                name,
                trace.trace_id,
                trace.span_id,
                trace.parent_id,
                int((wall - (monotonic - started)) * _NANOSECONDS),
                int(wall * _NANOSECONDS),
                attributes,
                error,
                is_server=True,
                tracestate=trace.tracestate,
            )
        )

    def _attempt_ended(
        self,
        trace: RequestTrace,
        index: int,
        attempt: Attempt,
        method: str,
        wall: float,
        monotonic: float,
    ) -> None:
        attributes: Attributes = {"http.request.method": method, **self._upstream}
        if attempt.status:
            attributes["http.response.status_code"] = attempt.status
        if index:
            attributes["http.request.resend_count"] = index
        if attempt.upstream_trace_id is not None:
            attributes["signicat_proxy.upstream_trace_id"] = attempt.upstream_trace_id.decode()
        if attempt.error is not None:
            attributes["error.type"] = attempt.error
        ended = monotonic if attempt.ended is None else attempt.ended
        self._emit(
            EndedSpan(
                method,
                trace.trace_id,
                attempt.span_id,
                trace.span_id,
                int((wall - (monotonic - attempt.sent)) * _NANOSECONDS),
                int((wall - (monotonic - ended)) * _NANOSECONDS),
                attributes,
                attempt.error,
                tracestate=trace.tracestate,
            )
        )

    def token_request(self, client: str, outcome: str, seconds: float) -> bytes | None:
        """Hand over the span of a token request, which is a trace of its own: it serves many.

        Returns the trace's id, None where it is not sampled.
        """
        trace, _ = self.begin(None)
        if trace is None:
            return None
        name, endpoint = self._token_endpoints[client]
        error = None if outcome == "ok" else outcome
        attributes: Attributes = {"http.request.method": "POST", **endpoint}
        attributes["signicat_proxy.client"] = client
        if error is not None:
            attributes["error.type"] = error
        wall = self._wall()
        self._emit(
            EndedSpan(
                name,
                trace.trace_id,
                trace.span_id,
                None,
                int((wall - seconds) * _NANOSECONDS),
                int(wall * _NANOSECONDS),
                attributes,
                error,
            )
        )
        return trace.trace_id
