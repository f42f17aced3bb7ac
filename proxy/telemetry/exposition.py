"""What a scrape shows (M): the name and the help text of every metric.

Built last, when everything that it reads exists; nothing on the request path knows it.
"""

import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from proxy import __version__
from proxy.build import build
from proxy.guard.identity import CallerStatus
from proxy.oauth.token import ClientStatus
from proxy.telemetry.counters import Counters, FileCounters, OutboundCounters
from proxy.telemetry.families import (
    counter_by_label,
    counter_by_labels,
    gauge,
    gauge_by_label,
    histogram_by_labels,
    info,
)
from proxy.telemetry.request_families import request_families
from proxy.telemetry.scrape_format import OPENMETRICS, PLAIN
from proxy.tracing.outcomes import SpanCounters

__all__ = ["Exposition", "Gauges"]


@dataclass(frozen=True, slots=True)
class Gauges:
    """Where a scrape reads what is so at the moment, and the limits of it.

    `callers` counts their open connections; `connections` are those to the
    upstream, by state; `known_callers` are those of [callers].
    """

    in_flight: Callable[[], int]
    callers: Callable[[], int]
    connections: Callable[[], Mapping[str, int]]
    clients: Callable[[], Sequence[ClientStatus]]
    known_callers: Callable[[], Sequence[CallerStatus]]
    max_callers: int
    max_upstream_connections: int


class Exposition(Collector):
    """Owns the registry; every family is made anew at each scrape."""

    def __init__(
        self,
        counters: Counters,
        outbound: OutboundCounters,
        files: FileCounters,
        spans: SpanCounters,
        gauges: Gauges,
    ) -> None:
        self._counters = counters
        self._outbound = outbound
        self._files = files
        self._spans = spans
        self._gauges = gauges
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._registry.register(self)

    def render(self, content_type: str = PLAIN) -> bytes:
        """Return the exposition in one of the two formats; exemplars are in `OPENMETRICS` alone."""
        if content_type == OPENMETRICS:
            # No name of ours needs escaping; to look at each letter takes half as long again.
            body: bytes = openmetrics.generate_latest(  # type: ignore[no-untyped-call]  # it has no annotations
                self._registry, escaping=openmetrics.ALLOWUTF8
            )
            return body
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Yield every family; called by the registry at a scrape."""
        yield from request_families(self._counters)
        yield from _load_families(self._gauges)
        yield from _caller_families(self._gauges.known_callers())
        yield from _outbound_families(self._outbound)
        yield from _file_families(self._files)
        yield counter_by_label(
            "spans",
            "Spans of traces, by what became of them.",
            "outcome",
            self._spans.spans.items(),
        )
        yield from _token_families(self._gauges.clients())
        yield info(
            "build_info",
            "Version of the proxy.",
            {"version": __version__, "python": platform.python_version(), "build": build()},
        )


def _load_families(gauges: Gauges) -> Iterator[Metric]:
    yield gauge("requests_in_flight", "Requests running now.", gauges.in_flight())
    yield gauge("caller_connections", "Connections of callers open now.", gauges.callers())
    yield gauge(
        "caller_connections_limit",
        "How many connections of callers may be open; above it they are refused.",
        gauges.max_callers,
    )
    yield gauge_by_label(
        "upstream_connections",
        "Connections to the upstream, and requests waiting for one, by state.",
        "state",
        gauges.connections(),
    )
    yield gauge(
        "upstream_connections_limit",
        "How many connections to the upstream may be open; above it requests wait.",
        gauges.max_upstream_connections,
    )


def _caller_families(callers: Sequence[CallerStatus]) -> Iterator[Metric]:
    yield gauge_by_label(
        "known_caller_requests_in_flight",
        "Requests running now, by the caller's name in [callers].",
        "caller",
        {caller.name: float(caller.in_flight) for caller in callers},
    )
    yield gauge_by_label(
        "known_caller_requests_limit",
        "How many requests a caller may have running; above it they are refused.",
        "caller",
        {c.name: float(c.max_in_flight) for c in callers if c.max_in_flight is not None},
    )


def _outbound_families(outbound: OutboundCounters) -> Iterator[Metric]:
    yield counter_by_labels(
        "token_requests",
        "Calls of the token endpoint, by outcome: ok or the cause of failure.",
        ("client", "outcome"),
        outbound.token_requests.items(),
    )
    yield histogram_by_labels(
        "token_request_duration_seconds",
        "Duration of calls of the token endpoint.",
        ("client",),
        (((client,), seconds) for client, seconds in outbound.token_seconds.items()),
    )
    yield counter_by_label(
        "secret_fallbacks",
        "Returns to the last secret that worked, or to the previous one.",
        "client",
        outbound.secret_fallbacks.items(),
    )
    yield counter_by_label(
        "name_lookups",
        "Names looked up for a connection, by outcome; stale: the last good addresses served.",
        "outcome",
        outbound.name_lookups.items(),
    )


def _file_families(files: FileCounters) -> Iterator[Metric]:
    yield counter_by_label(
        "file_reload_failures",
        "Changed files that cannot be used, so that the content before stays in force.",
        "file",
        files.reload_failures.items(),
    )
    yield gauge_by_label(
        "certificate_expiry_timestamp_seconds",
        "When the certificate in a file ends, in Unix time; of several authorities, the last one.",
        "file",
        files.certificate_ends,
    )


def _token_families(statuses: Sequence[ClientStatus]) -> Iterator[Metric]:
    yield gauge_by_label(
        "client_ready",
        "1 while requests of the client get a token; 0 while they get 503.",
        "client",
        {status.client: float(status.state != "not_ready") for status in statuses},
    )
    yield gauge_by_label(
        "token_expiry_timestamp_seconds",
        "When the current token expires, in Unix time; 0 without a token.",
        "client",
        {status.client: status.token_expires_wall or 0.0 for status in statuses},
    )
    yield gauge_by_label(
        "token_last_success_timestamp_seconds",
        "When the token endpoint last granted a token, in Unix time; 0 for never.",
        "client",
        {status.client: status.last_success_wall or 0.0 for status in statuses},
    )
    yield gauge_by_label(
        "token_consecutive_failures",
        "Failed calls of the token endpoint since the last grant.",
        "client",
        {status.client: float(status.consecutive_failures) for status in statuses},
    )
    yield gauge_by_label(
        "secret_fallback_active",
        "1 while the last secret that worked, or the previous one, is in use.",
        "client",
        {status.client: float(status.is_on_last_secret) for status in statuses},
    )
    yield gauge(
        "token_waiters",
        "Requests waiting for a token.",
        sum(status.waiters for status in statuses),
    )
