"""How one sample of each kind is taken."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from bench.client import SIZES, Endpoint, fetch_once, idle_connections
from bench.failures import Refused
from bench.load.figures import Sample
from bench.load.wrk import Request, put_under_load
from bench.peers.peer import Peer, Running
from bench.peers.signicat import Signicat, client_path
from bench.peers.token_endpoint import token_endpoint
from bench.peers.upstream import Upstream
from bench.processes import Process

__all__ = [
    "IDLE_CONNECTIONS",
    "Subject",
    "measure_beside_idle",
    "measure_clients",
    "measure_growth",
    "measure_load",
    "measure_memory",
    "measure_roll_over",
    "measure_start",
    "measure_tls_callers",
    "measure_transfer",
]

IDLE_CONNECTIONS = 1000
LEAST_ROLL_OVERS = 2


@dataclass(frozen=True, slots=True)
class Subject:
    """A peer at work, what stands behind it, and how long one run takes."""

    peer: Peer
    running: Running
    upstream: Upstream
    core: int
    seconds: int


def measure_load(subject: Subject, *, request: Request, connections: int) -> Sample:
    """Run wrk; CPU time is the peer's over the whole run, per request."""
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


def measure_beside_idle(subject: Subject, *, request: Request, connections: int) -> Sample:
    """Run wrk beside connections that have made one request each and are idle."""
    with idle_connections(subject.running.endpoint, IDLE_CONNECTIONS):
        return measure_load(subject, request=request, connections=connections)


def measure_growth(subject: Subject, *, request: Request, connections: int) -> Sample:
    """Run wrk; without the peak of memory, which thousands of connections may take."""
    sample = dict(measure_load(subject, request=request, connections=connections))
    del sample["peak"]
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
    """Start the peer once more; take its resident memory, then that with 1,000 idle connections."""
    with subject.peer.started(subject.upstream, tls=False, core=subject.core) as running:
        process = running.process
        if process is None:
            raise Refused("there is no process")
        idle = process.rss_mib()
        with idle_connections(running.endpoint, IDLE_CONNECTIONS):
            connected = process.rss_mib()
        return {"idle": idle, "connected": connected, "peak": process.peak_mib()}


def measure_start(subject: Subject) -> Sample:
    """Start the peer once more and return the milliseconds until a GET got a 200."""
    started = time.perf_counter()
    with subject.peer.started(subject.upstream, tls=False, core=subject.core):
        return {"milliseconds": (time.perf_counter() - started) * 1e3}


def measure_roll_over(
    subject: Subject, *, request: Request, connections: int, lifetime_seconds: int
) -> Sample:
    """Run wrk on a process of its own while tokens end; a request with an old one is a 401."""
    with token_endpoint(lifetime_seconds) as tokens:
        upstream = replace(
            subject.upstream,
            plain_port=subject.upstream.rolling_port,
            token_port=tokens.server_port,
        )
        with subject.peer.started(upstream, tls=False, core=subject.core) as running:
            own = replace(subject, running=running)
            measure_load(replace(own, seconds=1), request=request, connections=connections)
            before = tokens.granted
            sample = measure_load(own, request=request, connections=connections)
            renewed = tokens.granted - before
    if lifetime_seconds < subject.seconds and renewed < LEAST_ROLL_OVERS:
        raise Refused(f"{renewed} new tokens in {subject.seconds} s")
    return {**sample, "tokens": float(renewed)}


def measure_tls_callers(subject: Subject, *, request: Request, connections: int) -> Sample:
    """Run wrk over TLS on a process of its own; the upstream stays plain."""
    upstream = replace(subject.upstream, is_for_tls_callers=True)
    with subject.peer.started(upstream, tls=False, core=subject.core) as running:
        own = replace(subject, running=running)
        measure_load(replace(own, seconds=1), request=request, connections=connections)
        return measure_load(own, request=request, connections=connections)


def measure_clients(subject: Subject, *, count: int, response_bytes: int) -> Sample:
    """Run wrk on a process of its own that has so many clients, taking their paths in turn."""
    if not isinstance(subject.peer, Signicat):
        raise Refused("it has no clients")
    peer = replace(subject.peer, clients=count)
    paths = tuple(client_path(number) for number in range(count))
    request = Request(paths[0], response_bytes, others=paths[1:])
    with peer.started(subject.upstream, tls=False, core=subject.core) as running:
        for path in paths:  # until each client has its token
            fetch_once(running.endpoint, path)
        own = replace(subject, running=running)
        measure_load(replace(own, seconds=1), request=request, connections=16)
        return measure_growth(own, request=request, connections=16)


def memory(process: Process) -> Sample:
    """Return resident memory now and at its largest, in MiB."""
    return {"rss": process.rss_mib(), "peak": process.peak_mib()}
