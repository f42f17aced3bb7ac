"""What a scrape shows of requests (M), by route where they have reached one."""

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import Metric

from proxy.telemetry.counters import Counters, RouteCounters
from proxy.telemetry.families import (
    counter,
    counter_by_label,
    counter_by_labels,
    histogram_by_labels,
)

__all__ = ["request_families"]

_ROUTE: Final = ("client", "route")
_Counted = tuple[tuple[str, str], RouteCounters]


def request_families(counters: Counters) -> Iterator[Metric]:
    """Yield what was counted of requests, and of what went wrong with them."""
    yield from _requests(counters)
    yield from _durations(counters)
    yield from _bytes(counters)
    yield from _failures(counters)
    yield counter(
        "placeholder_tokens",
        "Token calls of applications that got a token worth nothing.",
        counters.placeholder_tokens,
    )


def _by_route(counters: Counters) -> list[_Counted]:
    """Return what is counted of each route, by the labels `client` and `route`."""
    return [((counted.client, route), counted) for route, counted in counters.routes.items()]


def _forwarded(counters: Counters) -> list[_Counted]:
    """Return the same of those whose requests go to the upstream."""
    return [each for each in _by_route(counters) if each[1].is_forwarded]


def _requests(counters: Counters) -> Iterator[Metric]:
    yield counter_by_labels(
        "requests",
        "Requests ended, by status code; 0: the caller left before a response.",
        (*_ROUTE, "method", "code", "caller"),
        (
            ((*labels, method, str(code), caller), count)
            for labels, counted in _by_route(counters)
            for (method, code, caller), count in counted.requests.items()
        ),
    )
    yield counter_by_labels(
        "upstream_responses",
        "Responses of the upstream to requests that have ended, by class of status.",
        (*_ROUTE, "class"),
        (
            ((*labels, name), count)
            for labels, counted in _forwarded(counters)
            for name, count in counted.upstream_responses().items()
        ),
    )


def _durations(counters: Counters) -> Iterator[Metric]:
    yield histogram_by_labels(
        "request_duration_seconds",
        "Time from a request's head to the end of its response.",
        _ROUTE,
        ((labels, counted.request_seconds) for labels, counted in _by_route(counters)),
    )
    yield histogram_by_labels(
        "upstream_duration_seconds",
        "Time from sending a request to the head of the upstream's response.",
        _ROUTE,
        ((labels, counted.upstream_seconds) for labels, counted in _forwarded(counters)),
    )


def _bytes(counters: Counters) -> Iterator[Metric]:
    routes = _by_route(counters)
    yield counter_by_labels(
        "request_bytes",
        "Body bytes received from callers.",
        _ROUTE,
        ((labels, counted.request_bytes) for labels, counted in routes),
    )
    yield counter_by_labels(
        "response_bytes",
        "Body bytes relayed to callers.",
        _ROUTE,
        ((labels, counted.response_bytes) for labels, counted in routes),
    )


def _failures(counters: Counters) -> Iterator[Metric]:
    yield counter_by_label(
        "rejected",
        "Requests that the proxy refused, by error code.",
        "reason",
        counters.rejected().items(),
    )
    yield counter_by_labels(
        "error_replies",
        "Responses of the proxy itself with a status of 500 or more, by error code.",
        (*_ROUTE, "reason"),
        (
            ((*labels, code), count)
            for labels, counted in _by_route(counters)
            for code, count in counted.error_replies().items()
        ),
    )
    yield counter_by_label(
        "upstream_errors",
        "Failures on the outbound path to the upstream, by reason.",
        "reason",
        counters.upstream_errors.items(),
    )
    yield counter_by_label(
        "replays",
        "What became of 401 responses of the upstream, by outcome.",
        "outcome",
        counters.replays.items(),
    )
