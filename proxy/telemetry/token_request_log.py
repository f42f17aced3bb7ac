"""Token requests on record: counted, traced, and noted for the status page if they failed."""

from collections.abc import Callable

from proxy.telemetry.counters import OutboundCounters
from proxy.telemetry.recent_errors import RecentErrors
from proxy.tracing.tracer import Tracer

__all__ = ["TokenRequestLog"]


class TokenRequestLog:
    """Counts token requests, and notes those that failed."""

    __slots__ = ("_counters", "_recent", "_tracer", "_wall")

    def __init__(
        self,
        counters: OutboundCounters,
        recent: RecentErrors,
        tracer: Tracer | None,
        wall: Callable[[], float],
    ) -> None:
        self._counters = counters
        self._recent = recent
        self._tracer = tracer
        self._wall = wall

    def token_request(self, client: str, outcome: str, seconds: float) -> None:
        """Record one call of the token endpoint."""
        self._counters.token_request(client, outcome, seconds)
        if self._tracer is not None:
            trace_id = self._tracer.token_request(client, outcome, seconds)
            if trace_id is not None:
                self._counters.token_request_traced(client, seconds, trace_id, self._wall())
        if outcome != "ok":
            self._recent.add("token", outcome, client)

    def secret_fallback(self, client: str) -> None:
        """Record a return to the last secret that worked (T7)."""
        self._counters.secret_fallback(client)
