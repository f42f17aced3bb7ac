"""Rates and latency of the last minute, from counters alone (A)."""

import json

import pytest

from proxy.telemetry.counters import Counters
from proxy.telemetry.histogram import BOUNDS, Histogram
from proxy.telemetry.rates import Traffic, quantile
from tests.support.messages import reply, request
from tests.support.running_proxy import proxied
from tests.support.token_server import TokenServer

QUANTILES = {
    "nothing": ([], 0.5, None),
    "one": ([0.003], 0.5, 0.00375),
    "shared out in the bucket": ([0.3, 0.3, 0.3, 0.3], 0.75, 0.4375),
    "two buckets": ([0.02, 0.02, 0.02, 7.0], 0.95, 9.0),
    "beyond the last bound": ([100.0], 0.95, 60.0),
}


@pytest.mark.parametrize(("values", "share", "expected"), QUANTILES.values(), ids=QUANTILES.keys())
def test_quantiles_are_those_of_prometheus(
    values: list[float], share: float, expected: float | None
) -> None:
    """A quantile is estimated within its bucket, as `histogram_quantile` does it."""
    histogram = Histogram()
    for value in values:
        histogram.observe(value)
    counts = histogram.counts()
    assert (len(counts), sum(counts)) == (len(BOUNDS) + 1, len(values))
    found = quantile(share, counts)
    assert found == (None if expected is None else pytest.approx(expected))


class Minute:
    """Counters of one client, their traffic, and a clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.counters = Counters({"/a": "a", "/b": "a"})
        self.traffic = Traffic(self.counters, lambda: self.now)

    def count(self, amount: int, code: int = 200, route: str = "/a") -> None:
        """Count requests of 20 ms."""
        for _ in range(amount):
            self.counters.request_finished(route, "GET", code, "none", 0.02, None, 0, 0)

    def go_on(self, seconds: int) -> None:
        """Let time pass; the notes are taken as in a running proxy."""
        for _ in range(seconds // 5):
            self.now += 5
            self.traffic.note()


def test_a_young_process_tells_of_the_time_it_has_had() -> None:
    """Two requests in the first four seconds are a half per second."""
    minute = Minute()
    minute.count(1)
    minute.count(1, code=503)
    minute.now += 4
    rates = minute.traffic.rates()["a"]
    assert (rates.seconds, rates.requests, rates.errors) == (4, 2, 1)
    assert (rates.per_second, rates.error_share) == (0.5, 0.5)


def test_what_is_older_than_a_minute_does_not_count() -> None:
    """After a storm and a quiet minute the rates are those of the quiet minute."""
    minute = Minute()
    minute.count(1000, code=500)
    minute.go_on(120)
    minute.count(6)
    rates = minute.traffic.rates()["a"]
    assert (rates.seconds, rates.requests, rates.errors, rates.error_share) == (60, 6, 0, 0.0)
    assert rates.per_second == 0.1
    assert rates.p95_seconds == pytest.approx(0.02425)


def test_nothing_is_not_divided() -> None:
    """Without requests, or in no time, there are no shares and no latency."""
    rates = Minute().traffic.total()
    assert (rates.per_second, rates.error_share, rates.p50_seconds) == (0.0, None, None)


def test_the_total_is_that_of_all_clients() -> None:
    """A client's are those of all its routes; refused requests are nobody's."""
    minute = Minute()
    minute.count(2)
    minute.count(1, route="/b")
    minute.count(2, code=421, route="none")
    minute.now += 10
    rates, total = minute.traffic.rates(), minute.traffic.total()
    assert (rates["a"].requests, rates["none"].requests, total.requests) == (3, 2, 5)
    assert (rates["none"].errors, total.errors) == (0, 0)


def test_a_token_call_of_an_application_is_no_refusal() -> None:
    """It is nobody's as refusals are, and succeeds, or its caller leaves (P1)."""
    minute = Minute()
    minute.count(5, route="none")
    minute.count(3, code=0, route="none")
    minute.count(2, code=403, route="none")
    minute.count(1, code=503, route="none")
    minute.now += 10
    row = minute.traffic.rates()["none"]
    assert (row.requests, row.unsuccessful, row.errors) == (11, 3, 1)


async def test_a_running_proxy_tells_its_rates(tokens: TokenServer) -> None:
    """`/status` has them for each client and for all."""
    async with proxied(tokens, reply()) as (proxy, _):
        for _ in range(3):
            await proxy.ask(request("GET /"))
        await proxy.ask(request("GET /", host="evil.test"))
        body = json.loads((await proxy.admin("GET /status")).body)
    assert body["last_minute"]["requests"] == body["requests"] == 4
    assert body["last_minute"]["refused"] == 1
    assert body["clients"]["default"]["last_minute"]["requests"] == 3
    assert 0 < body["clients"]["default"]["last_minute"]["p50_seconds"] < 60
