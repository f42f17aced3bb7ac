"""What is measured: the list of scenarios."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from bench.client import SIZES, Endpoint, download, upload
from bench.load.figures import Sample
from bench.load.samples import (
    IDLE_CONNECTIONS,
    Subject,
    measure_beside_idle,
    measure_clients,
    measure_growth,
    measure_load,
    measure_memory,
    measure_roll_over,
    measure_start,
    measure_tls_callers,
    measure_transfer,
)
from bench.load.wrk import Request
from bench.peers.peer import DIRECT, LOGGED, PROXY, SLOW, TRACED

__all__ = ["SCENARIOS", "Scenario"]

GET_1K = Request("/1k", SIZES["1k"])
GET_64K = Request("/64k", SIZES["64k"])
POST_1K = Request("/post", 0, body_bytes=SIZES["1k"])

CONNECTIONS = (1, 16, 256, 1000, 4000)
HEADERS = (5, 20, 60)
CLIENTS = (1, 100)
MANY = 1000
MANY_SECONDS = 5
SHORT_LIFE_SECONDS = 5
"""The proxy renews after 60 to 70 % of the lifetime: every 3 s."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One line of work; `kind` names the table that shows it, `main` its first metric.

    `base` is the scenario that its figures are compared with. Slow peers take
    part only where `with_slow` says so. `effort` and `least_seconds` tell how
    long a sample takes.
    """

    name: str
    title: str
    kind: str
    main: str
    measure: Callable[[Subject], Sample]
    tls: bool = False
    has_warm_up: bool = True
    only: tuple[str, ...] = ()
    without: tuple[str, ...] = (LOGGED, *TRACED)
    with_slow: bool = False
    base: str = ""
    effort: str = "load"
    least_seconds: int = 0

    def concerns(self, peer: str) -> bool:
        """Whether the peer takes part."""
        if self.only:
            return peer in self.only
        return peer not in self.without and (self.with_slow or peer not in SLOW)


def under_load(name: str, title: str, request: Request, connections: int, *, tls: bool) -> Scenario:
    """Return a scenario for wrk."""
    noun = "connection" if connections == 1 else "connections"
    return Scenario(
        f"{name}-{connections}{'-tls' if tls else ''}",
        f"{title}, {connections} {noun}{', TLS' if tls else ''}",
        "load",
        "rate",
        partial(measure_load, request=request, connections=connections),
        tls=tls,
        with_slow=name == "get-1k" and connections == 16,
    )


def transferring(name: str, transfer: Callable[[Endpoint], float], *, tls: bool) -> Scenario:
    """Return a scenario for 200 MiB in one direction."""
    return Scenario(
        f"{name}{'-tls' if tls else ''}",
        f"200 MiB {name}{', TLS' if tls else ''}",
        "transfer",
        "rate",
        partial(measure_transfer, transfer=transfer),
        tls=tls,
        effort="transfer",
    )


def of_mode(*, tls: bool) -> tuple[Scenario, ...]:
    """Return what is measured with a plain upstream and with a TLS upstream alike."""
    return (
        *(under_load("get-1k", "GET 1 KiB", GET_1K, count, tls=tls) for count in (1, 16, 64)),
        under_load("post-1k", "POST 1 KiB", POST_1K, 16, tls=tls),
        under_load("get-64k", "GET 64 KiB", GET_64K, 16, tls=tls),
        transferring("download", download, tls=tls),
        transferring("upload", upload, tls=tls),
    )


def by_tls(name: str, title: str, request: Request) -> Scenario:
    """Return a scenario with callers that speak TLS, on connections that they keep."""
    return Scenario(
        f"tls-callers-{name}",
        f"{title}, 16 connections, TLS from callers",
        "load",
        "rate",
        partial(measure_tls_callers, request=request, connections=16),
        has_warm_up=False,
        only=(PROXY, "envoy", "nginx"),
        effort="roll",
    )


def rolling_over(name: str, title: str, lifetime_seconds: int) -> Scenario:
    """Return a scenario with tokens that the upstream refuses after their end."""
    return Scenario(
        f"roll-over-{name}",
        f"GET 1 KiB, 16 connections, {title}",
        "roll",
        "rate",
        partial(
            measure_roll_over, request=GET_1K, connections=16, lifetime_seconds=lifetime_seconds
        ),
        has_warm_up=False,
        only=(PROXY, "envoy"),
        base="roll-over-none",
        effort="roll",
        least_seconds=7,
    )


def growing(name: str, title: str, base: str, request: Request) -> Scenario:
    """Return a scenario of the proxy alone, whose cost should be that of the base."""
    return Scenario(
        f"growth-{name}",
        title,
        "growth",
        "cpu",
        partial(measure_growth, request=request, connections=16),
        only=(PROXY,),
        base=f"growth-{base}",
        effort="growth",
    )


def connecting(count: int) -> Scenario:
    """Return a scenario with so many busy connections.

    Many of them run longer, so that opening them is a small part; other proxies
    show what the kernel's part is.
    """
    return Scenario(
        f"growth-connections-{count}",
        f"{count:,} connection{'s' if count > 1 else ''}",
        "growth",
        "cpu",
        partial(measure_growth, request=GET_1K, connections=count),
        only=(PROXY, "envoy", "nginx"),
        base="growth-connections-16",
        effort="growth",
        least_seconds=MANY_SECONDS if count >= MANY else 0,
    )


def of_growth() -> tuple[Scenario, ...]:
    """Return what may grow: connections, headers, clients with their routes."""
    headers = {
        count: (Request("/1k", SIZES["1k"], headers=count), f"{count} request headers")
        for count in HEADERS
    }
    return (
        *(connecting(count) for count in CONNECTIONS),
        *(
            growing(f"headers-{count}", f"{title}, the same in each", "headers-5", request)
            for count, (request, title) in headers.items()
        ),
        *(
            growing(
                f"new-headers-{count}",
                f"{title}, one new in each",
                "new-headers-5",
                Request("/1k", SIZES["1k"], headers=count, has_new_header=True),
            )
            for count, (_, title) in headers.items()
        ),
        *(
            Scenario(
                f"growth-clients-{count}",
                f"{count} client{'s, a route each' if count > 1 else ''}",
                "growth",
                "cpu",
                partial(measure_clients, count=count, response_bytes=SIZES["1k"]),
                has_warm_up=False,
                only=(PROXY,),
                base="growth-clients-1",
                effort="clients",
            )
            for count in CLIENTS
        ),
    )


def of_process() -> tuple[Scenario, ...]:
    """Return what is asked of fresh processes."""
    without = (DIRECT, LOGGED, *TRACED)
    return (
        Scenario(
            "memory",
            "Memory",
            "memory",
            "connected",
            measure_memory,
            has_warm_up=False,
            without=without,
            with_slow=True,
            effort="memory",
        ),
        Scenario(
            "start-up",
            "Start-up",
            "start",
            "milliseconds",
            measure_start,
            has_warm_up=False,
            without=without,
            with_slow=True,
            effort="start",
        ),
    )


# Growth last of the plain ones, since 4,000 connections leave their mark on a process.
SCENARIOS = (
    *of_process(),
    *of_mode(tls=False),
    Scenario(
        "idle-connections",
        f"GET 1 KiB, 16 connections, {IDLE_CONNECTIONS:,} idle ones",
        "load",
        "rate",
        partial(measure_beside_idle, request=GET_1K, connections=16),
        effort="idle",
    ),
    Scenario(
        "access-log",
        "GET 1 KiB, 16 connections",
        "log",
        "rate",
        partial(measure_load, request=GET_1K, connections=16),
        only=(PROXY, LOGGED),
        effort="log",
    ),
    Scenario(
        "traces",
        "GET 1 KiB, 16 connections",
        "traces",
        "rate",
        partial(measure_load, request=GET_1K, connections=16),
        only=(PROXY, *TRACED),
    ),
    by_tls("get-1k", "GET 1 KiB", GET_1K),
    by_tls("get-64k", "GET 64 KiB", GET_64K),
    rolling_over("none", "one token", 86400),
    rolling_over("3s", "a new token every 3 s", SHORT_LIFE_SECONDS),
    *of_growth(),
    *of_mode(tls=True),
)
