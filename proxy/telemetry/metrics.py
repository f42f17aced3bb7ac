"""The metrics of the process (M): plain numbers on the request path, families at a scrape.

Labels come from closed sets only; nothing that a caller chooses becomes one.
"""

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from proxy import __version__
from proxy.build import build
from proxy.errors import ERROR_KINDS, ErrorKind
from proxy.oauth.token import ClientStatus
from proxy.telemetry.histogram import Histogram
from proxy.telemetry.metric_families import (
    PREFIX,
    counters,
    gauge,
    histograms,
    labelled_counters,
    token_gauges,
)
from proxy.telemetry.outbound_metrics import OutboundMetrics
from proxy.telemetry.rates import Totals, totals_of

__all__ = ["CONTENT_TYPE", "UPSTREAM_ERROR_REASONS", "Metrics"]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
UPSTREAM_ERROR_REASONS: Final = (
    "closed",
    "connect",
    "connect_timeout",
    "dns",
    "egress_proxy",
    "invalid_response",
    "timeout",
    "tls",
    "too_many_open_files",
    "truncated",
)
_REPLAY_OUTCOMES: Final = ("ok", "refused", "failed", "not_possible")
_CONNECTION_STATES: Final = ("active", "idle", "connecting", "waiting")
_SERVER_ERROR: Final = 500


def _zero() -> int:
    return 0


def _no_connections() -> Mapping[str, int]:
    return dict.fromkeys(_CONNECTION_STATES, 0)


def _no_clients() -> Iterable[ClientStatus]:
    return ()


class Metrics(Collector):
    """Owns every counter; `clients` are the names of the configured clients.

    The series of an unrouted request carry the client `none`.
    """

    def __init__(self, clients: Sequence[str]) -> None:
        self._requests: dict[tuple[str, str, int], int] = {}
        labels = (*clients, "none")
        self._request_seconds = {client: Histogram() for client in labels}
        self._upstream_seconds = {client: Histogram() for client in clients}
        self._request_bytes = 0
        self._response_bytes = 0
        self._rejected = {kind.code: 0 for kind in ERROR_KINDS if kind.is_refusal}
        self._error_replies: dict[tuple[str, ...], int] = {
            (client, kind.code): 0
            for client in labels
            for kind in ERROR_KINDS
            if kind.status >= _SERVER_ERROR
        }
        self._upstream_errors = dict.fromkeys(UPSTREAM_ERROR_REASONS, 0)
        self._replays = dict.fromkeys(_REPLAY_OUTCOMES, 0)
        self._outbound = OutboundMetrics(clients)
        self._read_in_flight: Callable[[], int] = _zero
        self._read_callers: Callable[[], int] = _zero
        self._max_callers = self._max_upstream_connections = 0
        self._read_connections: Callable[[], Mapping[str, int]] = _no_connections
        self._read_clients: Callable[[], Iterable[ClientStatus]] = _no_clients
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._registry.register(self)

    def bind(
        self,
        *,
        in_flight: Callable[[], int],
        callers: Callable[[], int],
        connections: Callable[[], Mapping[str, int]],
        clients: Callable[[], Iterable[ClientStatus]],
        max_callers: int,
        max_upstream_connections: int,
    ) -> None:
        """Say where the gauges are read at a scrape, and what bounds them."""
        self._read_in_flight = in_flight
        self._read_callers = callers
        self._max_callers = max_callers
        self._max_upstream_connections = max_upstream_connections
        self._read_connections = connections
        self._read_clients = clients

    # --- counting ---

    def request_finished(
        self,
        client: str,
        method: str,
        code: int,
        seconds: float,
        head_seconds: float | None,
        bytes_in: int,
        bytes_out: int,
    ) -> None:
        """Count one request; `code` is 0 where the caller left before any response.

        `head_seconds` is from sending it to the head of the upstream's response,
        None if there was none.
        """
        key = (client, method, code)
        try:
            self._requests[key] += 1
        except KeyError:
            self._requests[key] = 1
        self._request_seconds[client].observe(seconds)
        if head_seconds is not None:
            self._upstream_seconds[client].observe(head_seconds)
        self._request_bytes += bytes_in
        self._response_bytes += bytes_out

    def error_reply(self, client: str, kind: ErrorKind) -> None:
        """Count a reply of our own: as a refusal, as a 5xx, or as both."""
        if kind.is_refusal:
            self._rejected[kind.code] += 1
        if kind.status >= _SERVER_ERROR:
            self._error_replies[client, kind.code] += 1

    def upstream_error(self, reason: str) -> None:
        """Count a failure on the way to the upstream, one of `UPSTREAM_ERROR_REASONS`."""
        self._upstream_errors[reason] += 1

    def replay(self, outcome: str) -> None:
        """Count what became of a 401 (T10)."""
        self._replays[outcome] += 1

    def token_request(self, client: str, outcome: str, seconds: float) -> None:
        """Count one call of the token endpoint."""
        self._outbound.token_request(client, outcome, seconds)

    def secret_fallback(self, client: str) -> None:
        """Count a return to the last secret that worked (T7)."""
        self._outbound.secret_fallback(client)

    def name_lookup(self, outcome: str) -> None:
        """Count how one need of an address ended (F13)."""
        self._outbound.name_lookup(outcome)

    # --- telling ---

    def totals(self) -> Mapping[str, Totals]:
        """Return what has been counted so far of each client's requests, for people."""
        return totals_of(self._requests, self._request_seconds)

    def in_flight(self) -> int:
        """Return how many requests run now, for people."""
        return self._read_in_flight()

    def connections(self) -> Mapping[str, int]:
        """Return the number of connections to the upstream by state, for people."""
        return self._read_connections()

    def render(self) -> bytes:
        """Return the text exposition (`CONTENT_TYPE`)."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Yield every family; called by the registry at a scrape."""
        yield from self._request_families()
        yield from self._failure_families()
        yield from self._outbound.families()
        yield from token_gauges(tuple(self._read_clients()))
        info = GaugeMetricFamily(
            PREFIX + "build_info", "Version of the proxy.", labels=("version", "python", "build")
        )
        info.add_metric((__version__, platform.python_version(), build()), 1)
        yield info

    def _request_families(self) -> Iterator[Metric]:
        yield labelled_counters(
            "requests",
            "Requests ended, by status code; 0: the caller left before an answer.",
            ("client", "method", "code"),
            {
                (client, method, str(code)): amount
                for (client, method, code), amount in self._requests.items()
            },
        )
        yield histograms(
            "request_duration_seconds",
            "Time from a request's head to the end of its answer.",
            self._request_seconds,
        )
        yield histograms(
            "upstream_duration_seconds",
            "Time from sending a request to the head of the upstream's answer.",
            self._upstream_seconds,
        )
        yield gauge("requests_in_flight", "Requests running now.", self._read_in_flight())
        yield gauge("caller_connections", "Connections of callers open now.", self._read_callers())
        yield gauge(
            "caller_connections_limit",
            "How many connections of callers may be open; beyond it they are refused.",
            self._max_callers,
        )
        yield CounterMetricFamily(
            PREFIX + "request_bytes", "Body bytes received from callers.", self._request_bytes
        )
        yield CounterMetricFamily(
            PREFIX + "response_bytes", "Body bytes relayed to callers.", self._response_bytes
        )

    def _failure_families(self) -> Iterator[Metric]:
        yield counters(
            "rejected", "Requests that the proxy refused, by error code.", "reason", self._rejected
        )
        yield labelled_counters(
            "error_replies",
            "Replies of the proxy's own with a status of 500 or more, by error code.",
            ("client", "reason"),
            self._error_replies,
        )
        yield counters(
            "upstream_errors",
            "Failures on the way to the upstream, by reason.",
            "reason",
            self._upstream_errors,
        )
        connections = GaugeMetricFamily(
            PREFIX + "upstream_connections",
            "Connections to the upstream, and requests waiting for one, by state.",
            labels=("state",),
        )
        for state, amount in self._read_connections().items():
            connections.add_metric((state,), amount)
        yield connections
        yield gauge(
            "upstream_connections_limit",
            "How many connections to the upstream may be open; beyond it requests wait.",
            self._max_upstream_connections,
        )
        yield counters(
            "replays", "What became of upstream 401 answers, by outcome.", "outcome", self._replays
        )
