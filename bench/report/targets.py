"""What the proxy is meant to reach, and what it reached."""

from collections.abc import Iterator
from dataclasses import dataclass

from bench.load.figures import Results, ratio
from bench.peers.peer import DIRECT, LOGGED, PROXY

__all__ = ["Target", "targets"]

ENVOY = "envoy"
NGINX = "nginx"


@dataclass(frozen=True, slots=True)
class Target:
    """One aim: `measured` is at least the bounds, or at most; None where nothing was measured.

    The first bound is what must be reached, the second one what is hoped for.
    """

    title: str
    bounds: tuple[float, float]
    measured: float | None
    is_lower_better: bool = False

    @property
    def verdict(self) -> str:
        """Which of the two is reached."""
        if self.measured is None:
            return "not measured"
        target, moonshot = (self._is_within(self.measured, bound) for bound in self.bounds)
        return "moonshot" if moonshot else "target" if target else "no"

    def _is_within(self, measured: float, bound: float) -> bool:
        return measured <= bound if self.is_lower_better else measured >= bound


def targets(results: Results) -> list[Target]:
    """Return all aims with what was measured of them."""
    return [*_throughput(results), *_latency(results), *_process(results)]


def _of(results: Results, scenario: str, base: str, metric: str = "rate") -> float | None:
    """Return the proxy's median over that of another peer."""
    return ratio(results.median(scenario, PROXY, metric), results.median(scenario, base, metric))


def _throughput(results: Results) -> Iterator[Target]:
    for suffix, noun, bounds in (("", "plain", (1.5, 2.0)), ("-tls", "TLS", (1.3, 1.75))):
        for count in (16, 64):
            of_envoy = _of(results, f"get-1k-{count}{suffix}", ENVOY)
            yield Target(f"GET 1 KiB, {count} connections, {noun}, of Envoy", bounds, of_envoy)
    for count in (16, 64):
        of_nginx = _of(results, f"get-1k-{count}", NGINX)
        title = f"GET 1 KiB, {count} connections, plain, of nginx"
        yield Target(title, (0.45, 0.6), of_nginx)
    others: tuple[tuple[str, str, tuple[float, float]], ...] = (
        ("post-1k-16", "POST 1 KiB", (1.2, 1.9)),
        ("get-64k-16", "GET 64 KiB", (1.2, 1.9)),
        ("download", "200 MiB down", (0.8, 1.0)),
        ("upload", "200 MiB up", (0.8, 1.0)),
    )
    for suffix, noun in (("", "plain"), ("-tls", "TLS")):
        for name, title, bounds in others:
            of_envoy = _of(results, f"{name}{suffix}", ENVOY)
            yield Target(f"{title}, {noun}, of Envoy", bounds, of_envoy)


def _latency(results: Results) -> Iterator[Target]:
    for suffix, noun in (("", "plain"), ("-tls", "TLS")):
        added = ratio(
            _added(results, f"get-1k-1{suffix}", PROXY),
            _added(results, f"get-1k-1{suffix}", ENVOY),
        )
        title = f"added latency at 1 connection (p50), {noun}, of Envoy's"
        yield _lower(title, (0.9, 0.8), added)
        p99 = _of(results, f"get-1k-16{suffix}", ENVOY, "p99")
        yield _lower(f"p99 at 16 connections, {noun}, of Envoy's", (1.2, 0.8), p99)


def _added(results: Results, scenario: str, peer: str) -> float | None:
    """Return by how much the median latency is above that without a proxy, in microseconds."""
    own, bare = (results.median(scenario, name, "p50") for name in (peer, DIRECT))
    return None if own is None or bare is None else own - bare


def _process(results: Results) -> Iterator[Target]:
    logged = ratio(
        results.median("access-log", LOGGED, "rate"), results.median("access-log", PROXY, "rate")
    )
    yield Target("with the access log, of without", (0.5, 0.7), logged)
    connected = results.median("memory", PROXY, "connected")
    start = results.median("start-up", PROXY, "milliseconds")
    yield _lower("RSS idle, MiB", (45, 40), results.median("memory", PROXY, "idle"))
    yield _lower("RSS with 1,000 idle connections, MiB", (55, 45), connected)
    yield _lower("RSS at its peak, MiB", (60, 45), results.largest(PROXY, "peak"))
    yield _lower("start to first response, ms", (250, 150), start)


def _lower(title: str, bounds: tuple[float, float], measured: float | None) -> Target:
    return Target(title, bounds, measured, is_lower_better=True)
