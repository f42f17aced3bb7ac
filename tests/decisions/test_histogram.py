"""Into which bucket a duration goes."""

import pytest

from proxy.telemetry.histogram import BOUNDS, Histogram


@pytest.mark.parametrize("index", range(len(BOUNDS)))
def test_a_bound_belongs_to_its_bucket(index: int) -> None:
    """A bucket holds what is not longer than its bound (`le`); what is longer is in the next."""
    histogram = Histogram()
    histogram.observe(BOUNDS[index])
    histogram.observe(BOUNDS[index] * 1.0001)
    counts = [0] * (len(BOUNDS) + 1)
    counts[index] = counts[index + 1] = 1
    assert histogram.counts() == tuple(counts)


def test_what_took_no_time_and_what_took_all() -> None:
    """The first bucket and the last are open."""
    histogram = Histogram()
    for seconds in (0.0, 1e9):
        histogram.observe(seconds)
    assert (histogram.counts()[0], histogram.counts()[-1]) == (1, 1)
