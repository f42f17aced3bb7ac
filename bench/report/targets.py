"""What is wanted of the proxy, and what it reached."""

from collections.abc import Iterator
from dataclasses import dataclass

from bench.load.figures import Results, ratio
from bench.peers.peer import DIRECT, LOGGED, PROXY

__all__ = ["Target", "targets"]

ENVOY = "envoy"
NGINX = "nginx"
NAMES = {ENVOY: "Envoy", NGINX: "nginx"}


@dataclass(frozen=True, slots=True)
class Target:
    """One aim: `measured` is at least what is wanted, or at most; None for nothing measured."""

    title: str
    wanted: float
    measured: float | None
    is_lower_better: bool = False

    @property
    def verdict(self) -> str:
        """Whether it is reached."""
        if self.measured is None:
            return "no figure"
        if self.is_lower_better:
            return "yes" if self.measured <= self.wanted else "no"
        return "yes" if self.measured >= self.wanted else "no"


def targets(results: Results) -> list[Target]:
    """Return all aims with what was measured of them."""
    return [*_throughput(results), *_latency(results), *_process(results)]


def _of(results: Results, scenario: str, base: str, metric: str = "rate") -> float | None:
    """Return the proxy's median over that of another peer."""
    return ratio(results.median(scenario, PROXY, metric), results.median(scenario, base, metric))


def _throughput(results: Results) -> Iterator[Target]:
    aims: tuple[tuple[str, str, str, float], ...] = (
        ("get-1k-16", "GET 1 KiB, 16 connections, plain", ENVOY, 2.4),
        ("get-1k-64", "GET 1 KiB, 64 connections, plain", ENVOY, 2.2),
        ("get-1k-16-tls", "GET 1 KiB, 16 connections, TLS", ENVOY, 2.0),
        ("get-1k-64-tls", "GET 1 KiB, 64 connections, TLS", ENVOY, 2.0),
        ("get-1k-16", "GET 1 KiB, 16 connections, plain", NGINX, 0.85),
        ("get-1k-64", "GET 1 KiB, 64 connections, plain", NGINX, 0.75),
        ("post-1k-16", "POST 1 KiB, plain", ENVOY, 2.3),
        ("post-1k-16-tls", "POST 1 KiB, TLS", ENVOY, 1.9),
        ("get-64k-16", "GET 64 KiB, plain", ENVOY, 1.5),
        ("get-64k-16-tls", "GET 64 KiB, TLS", ENVOY, 1.5),
        ("download", "200 MiB down, plain", ENVOY, 1.0),
        ("download-tls", "200 MiB down, TLS", ENVOY, 1.0),
        ("upload", "200 MiB up, plain", ENVOY, 1.1),
        ("upload-tls", "200 MiB up, TLS", ENVOY, 1.0),
    )
    for scenario, title, base, wanted in aims:
        yield Target(f"{title}, of {NAMES[base]}", wanted, _of(results, scenario, base))


def _latency(results: Results) -> Iterator[Target]:
    for suffix, noun, wanted in (("", "plain", 0.55), ("-tls", "TLS", 0.65)):
        added = ratio(
            _added(results, f"get-1k-1{suffix}", PROXY),
            _added(results, f"get-1k-1{suffix}", ENVOY),
        )
        title = f"added latency at 1 connection (p50), {noun}, of Envoy's"
        yield _lower(title, wanted, added)
        for count in (16, 64):
            p99 = _of(results, f"get-1k-{count}{suffix}", ENVOY, "p99")
            yield _lower(f"p99 at {count} connections, {noun}, of Envoy's", 1.0, p99)


def _added(results: Results, scenario: str, peer: str) -> float | None:
    """Return by how much the median latency is above that without a proxy, in microseconds."""
    own, bare = (results.median(scenario, name, "p50") for name in (peer, DIRECT))
    return None if own is None or bare is None else own - bare


def _process(results: Results) -> Iterator[Target]:
    logged = ratio(
        results.median("access-log", LOGGED, "rate"), results.median("access-log", PROXY, "rate")
    )
    yield Target("with the access log, of without", 0.7, logged)
    connected = results.median("memory", PROXY, "connected")
    start = results.median("start-up", PROXY, "milliseconds")
    yield _lower("RSS idle, MiB", 50, results.median("memory", PROXY, "idle"))
    yield _lower("RSS with 1,000 idle connections, MiB", 53, connected)
    yield _lower("RSS at its peak, MiB", 60, results.largest(PROXY, "peak"))
    yield _lower("start to first response, ms", 250, start)


def _lower(title: str, wanted: float, measured: float | None) -> Target:
    return Target(title, wanted, measured, is_lower_better=True)
