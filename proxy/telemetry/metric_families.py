"""Families of samples as the registry wants them, and those of the tokens' states (M)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from proxy.oauth.token import ClientStatus
from proxy.telemetry.histogram import Histogram

__all__ = ["PREFIX", "counters", "gauge", "histograms", "labelled_counters", "token_gauges"]

PREFIX: Final = "signicat_proxy_"


def histograms(name: str, text: str, values: Mapping[str, Histogram]) -> Metric:
    """Return one histogram per client."""
    family = HistogramMetricFamily(PREFIX + name, text, labels=("client",))
    for client, histogram in values.items():
        buckets, total = histogram.samples()
        family.add_metric((client,), buckets=buckets, sum_value=total)
    return family


def counters(name: str, text: str, label: str, values: Mapping[str, int]) -> Metric:
    """Return a counter per value of one label."""
    return labelled_counters(
        name, text, (label,), {(value,): amount for value, amount in values.items()}
    )


def labelled_counters(
    name: str, text: str, labels: Sequence[str], values: Mapping[tuple[str, ...], int]
) -> Metric:
    """Return a counter per tuple of values, one for each of `labels`."""
    family = CounterMetricFamily(PREFIX + name, text, labels=labels)
    for key, amount in values.items():
        family.add_metric(key, amount)
    return family


def gauge(name: str, text: str, value: float) -> Metric:
    """Return one number."""
    return GaugeMetricFamily(PREFIX + name, text, value)


def _gauges(name: str, text: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(PREFIX + name, text, labels=("client",))
    for client, amount in values.items():
        family.add_metric((client,), amount)
    return family


def token_gauges(statuses: Sequence[ClientStatus]) -> Iterator[Metric]:
    """Yield what is known of every client's token."""
    yield _gauges(
        "client_ready",
        "1 while requests of the client get a token; 0 while they get 503.",
        {status.client: float(status.state != "not_ready") for status in statuses},
    )
    yield _gauges(
        "token_expiry_timestamp_seconds",
        "When the current token expires, in Unix time; 0 without a token.",
        {status.client: status.token_expires_wall or 0.0 for status in statuses},
    )
    yield _gauges(
        "token_last_success_timestamp_seconds",
        "When the token endpoint last granted a token, in Unix time; 0 for never.",
        {status.client: status.last_success_wall or 0.0 for status in statuses},
    )
    yield _gauges(
        "token_consecutive_failures",
        "Failed calls of the token endpoint since the last grant.",
        {status.client: float(status.consecutive_failures) for status in statuses},
    )
    yield _gauges(
        "secret_fallback_active",
        "1 while tokens come by the last secret that worked, the configured one being unusable.",
        {status.client: float(status.is_on_last_secret) for status in statuses},
    )
    yield gauge(
        "token_waiters",
        "Requests waiting for a token.",
        sum(status.waiters for status in statuses),
    )
