"""Families of samples, as the registry wants them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from prometheus_client import samples
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from proxy.telemetry.histogram import Exemplar, Histogram

__all__ = [
    "counter",
    "counter_by_label",
    "counter_by_labels",
    "gauge",
    "gauge_by_label",
    "histogram_by_labels",
    "info",
]

_PREFIX: Final = "signicat_proxy_"
_Bucket = tuple[str, float] | tuple[str, float, samples.Exemplar]


def counter(name: str, text: str, value: int) -> Metric:
    """Return one count."""
    return CounterMetricFamily(_PREFIX + name, text, value)


def counter_by_label(
    name: str, text: str, label: str, samples: Iterable[tuple[str, int]]
) -> Metric:
    """Return a count for each value of one label."""
    return counter_by_labels(name, text, (label,), (((value,), count) for value, count in samples))


def counter_by_labels(
    name: str, text: str, labels: Sequence[str], samples: Iterable[tuple[Sequence[str], int]]
) -> Metric:
    """Return a count for each tuple of values, one value for each of `labels`."""
    family = CounterMetricFamily(_PREFIX + name, text, labels=labels)
    for values, count in samples:
        family.add_metric(values, count)
    return family


def gauge(name: str, text: str, value: float) -> Metric:
    """Return one number."""
    return GaugeMetricFamily(_PREFIX + name, text, value)


def gauge_by_label(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    """Return a number for each value of one label."""
    family = GaugeMetricFamily(_PREFIX + name, text, labels=(label,))
    for value, amount in values.items():
        family.add_metric((value,), amount)
    return family


def info(name: str, text: str, facts: Mapping[str, str]) -> Metric:
    """Return the number 1, with facts as labels."""
    family = GaugeMetricFamily(_PREFIX + name, text, labels=tuple(facts))
    family.add_metric(tuple(facts.values()), 1)
    return family


def _bucket(bound: str, amount: float, exemplar: Exemplar | None) -> _Bucket:
    """Return a bucket as the registry wants it; the label is named as OpenTelemetry has it."""
    if exemplar is None:
        return bound, amount
    labels = {"trace_id": exemplar.trace_id.decode("ascii")}
    return bound, amount, samples.Exemplar(labels, exemplar.seconds, exemplar.wall)


def histogram_by_labels(
    name: str, text: str, labels: Sequence[str], values: Iterable[tuple[Sequence[str], Histogram]]
) -> Metric:
    """Return a histogram for each tuple of values, one value for each of `labels`."""
    family = HistogramMetricFamily(_PREFIX + name, text, labels=labels)
    for each, histogram in values:
        counts, total = histogram.samples()
        buckets = [
            _bucket(bound, amount, exemplar)
            for (bound, amount), exemplar in zip(counts, histogram.exemplars(), strict=True)
        ]
        family.add_metric(each, buckets=buckets, sum_value=total)
    return family
