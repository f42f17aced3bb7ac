"""What is measured, and how one sample of it is taken."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from bench.client import Endpoint, download, rest_connections, upload
from bench.faults import Refused
from bench.figures import Sample
from bench.nginx import SIZES
from bench.peers import DIRECT, LOGGED, PROXY, Peer, Running
from bench.processes import Process
from bench.upstream import Upstream
from bench.wrk import Request, put_under_load

__all__ = ["RESTING", "SCENARIOS", "Scenario", "Subject"]

RESTING = 1000
GET_1K = Request("/1k", SIZES["1k"])
GET_64K = Request("/64k", SIZES["64k"])
POST_1K = Request("/post", 0, body_bytes=SIZES["1k"])


@dataclass(frozen=True, slots=True)
class Subject:
    """A peer at work, what stands behind it, and how long one run takes."""

    peer: Peer
    running: Running
    upstream: Upstream
    core: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Scenario:
    """One line of work; `kind` names the table that shows it, `main` its first metric."""

    name: str
    title: str
    kind: str
    main: str
    measure: Callable[[Subject], Sample]
    tls: bool = False
    is_repeated: bool = True
    only: tuple[str, ...] = ()
    without: tuple[str, ...] = (LOGGED,)

    def concerns(self, peer: str) -> bool:
        """Whether the peer takes part."""
        return peer in self.only if self.only else peer not in self.without


def measure_load(subject: Subject, *, request: Request, connections: int) -> Sample:
    """Run wrk; CPU time is the peer's over the whole run, per request that was answered."""
    process = subject.running.process
    before = process.cpu_seconds() if process else 0.0
    load = put_under_load(
        subject.running.endpoint,
        request,
        connections=connections,
        seconds=subject.seconds,
        folder=subject.upstream.folder,
    )
    sample = {"rate": load.requests / load.seconds, "p50": load.p50, "p99": load.p99}
    if process:
        used = process.cpu_seconds() - before
        sample |= {"cpu": used / load.requests * 1e6, "busy": used / load.seconds}
        sample |= memory(process)
    return sample


def measure_transfer(subject: Subject, *, transfer: Callable[[Endpoint], float]) -> Sample:
    """Move 200 MiB once; the rate is in MiB/s, the peer's CPU time in milliseconds."""
    process = subject.running.process
    before = process.cpu_seconds() if process else 0.0
    seconds = transfer(subject.running.endpoint)
    sample = {"rate": SIZES["200m"] / 2**20 / seconds}
    if process:
        used = process.cpu_seconds() - before
        sample |= {"cpu": used * 1e3, "busy": used / seconds}
        sample |= memory(process)
    return sample


def measure_memory(subject: Subject) -> Sample:
    """Take the resident memory before any load, then with 1,000 resting connections."""
    process = subject.running.process
    if process is None:
        raise Refused("there is no process")
    idle = process.rss_mib()
    connections = rest_connections(subject.running.endpoint, RESTING)
    resting = process.rss_mib()
    for connection in connections:
        connection.close()
    return {"idle": idle, "resting": resting, "peak": process.peak_mib()}


def measure_start(subject: Subject) -> Sample:
    """Start the peer once more and return the milliseconds until a GET was answered with 200."""
    started = time.perf_counter()
    with subject.peer.started(subject.upstream, tls=False, core=subject.core):
        return {"milliseconds": (time.perf_counter() - started) * 1e3}


def memory(process: Process) -> Sample:
    """Return resident memory now and at its largest, in MiB."""
    return {"rss": process.rss_mib(), "peak": process.peak_mib()}


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


# Memory first, while the processes are fresh.
SCENARIOS = (
    Scenario(
        "memory",
        "Memory",
        "memory",
        "resting",
        measure_memory,
        is_repeated=False,
        without=(DIRECT, LOGGED),
    ),
    Scenario(
        "start-up", "Start-up", "start", "milliseconds", measure_start, without=(DIRECT, LOGGED)
    ),
    *of_mode(tls=False),
    Scenario(
        "access-log",
        "GET 1 KiB, 16 connections",
        "log",
        "rate",
        partial(measure_load, request=GET_1K, connections=16),
        only=(PROXY, LOGGED),
    ),
    *of_mode(tls=True),
)
