"""What the proxy asks for by itself, counted: tokens, and the addresses of names (M)."""

from collections.abc import Iterator, Sequence

from prometheus_client.core import Metric

from proxy.net.name_cache import LOOKUP_OUTCOMES
from proxy.oauth.response import OUTCOMES
from proxy.telemetry.histogram import Histogram
from proxy.telemetry.metric_families import counters, histograms, labelled_counters

__all__ = ["OutboundMetrics"]


class OutboundMetrics:
    """Owns these counters; none of them is on the request path."""

    def __init__(self, clients: Sequence[str]) -> None:
        self._token_seconds = {client: Histogram() for client in clients}
        self._token_requests: dict[tuple[str, ...], int] = {
            (client, outcome): 0
            for client in clients
            for outcome in OUTCOMES
            if outcome != "secret_unreadable"  # then the token endpoint is not called
        }
        self._secret_fallbacks = dict.fromkeys(clients, 0)
        self._name_lookups = dict.fromkeys(LOOKUP_OUTCOMES, 0)

    def token_request(self, client: str, outcome: str, seconds: float) -> None:
        """Count one call of the token endpoint."""
        key = (client, outcome)
        self._token_requests[key] = self._token_requests.get(key, 0) + 1
        self._token_seconds[client].observe(seconds)

    def secret_fallback(self, client: str) -> None:
        """Count a return to the last secret that worked (T7)."""
        self._secret_fallbacks[client] += 1

    def name_lookup(self, outcome: str) -> None:
        """Count how one need of an address ended (F13)."""
        self._name_lookups[outcome] += 1

    def families(self) -> Iterator[Metric]:
        """Yield a family for each."""
        yield labelled_counters(
            "token_requests",
            "Calls of the token endpoint, by outcome: ok or the cause of failure.",
            ("client", "outcome"),
            self._token_requests,
        )
        yield histograms(
            "token_request_duration_seconds",
            "Duration of calls of the token endpoint.",
            self._token_seconds,
        )
        yield counters(
            "secret_fallbacks",
            "Returns to the last secret that worked.",
            "client",
            self._secret_fallbacks,
        )
        yield counters(
            "name_lookups",
            "Names looked up for a connection, by outcome; stale: the last good addresses served.",
            "outcome",
            self._name_lookups,
        )
