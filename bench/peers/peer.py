"""What a peer is: a path from a caller to the upstream that can be started and asked."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bench.client import Endpoint, wait_until_served
from bench.peers.upstream import Upstream
from bench.processes import Process, free_port, running

__all__ = [
    "DIRECT",
    "INTERPRETED",
    "LOGGED",
    "PROXY",
    "PUMP",
    "SLOW",
    "TRACED",
    "Direct",
    "Launch",
    "Peer",
    "Program",
    "Running",
    "Site",
    "served",
]

PROXY = "signicat-proxy"
INTERPRETED = "signicat-proxy-interpreted"
LOGGED = "signicat-proxy-log"
TRACED = {
    "signicat-proxy-traces-0": 0.0,
    "signicat-proxy-traces-1": 0.01,
    "signicat-proxy-traces-100": 1.0,
}
"""The proxy with traces on, and the share of requests that is sampled."""
PUMP = "pump"
DIRECT = "direct"
SLOW = (INTERPRETED, "caddy", "undici", "fastapi", "mitmproxy", PUMP)
"""Peers of which a few scenarios say all; most are far away."""


@dataclass(frozen=True, slots=True)
class Running:
    """A peer that has responded with 200; no process if there is no proxy."""

    endpoint: Endpoint
    process: Process | None


class Peer(Protocol):
    """A path from a caller to the upstream."""

    @property
    def name(self) -> str:
        """The name in tables and on the command line."""

    def started(
        self, upstream: Upstream, *, tls: bool, core: int
    ) -> AbstractContextManager[Running]:
        """Run it on a core for the block, from when it responds with 200. May raise Refused."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where a proxy listens and sends requests, and an empty folder for its files.

    `shown` is certificate and key for callers that speak TLS, None for plain HTTP. `collector` is
    the URL that takes spans.
    """

    port: int
    upstream_port: int
    token_port: int
    ca_file: Path
    tls: bool
    folder: Path
    shown: tuple[Path, Path] | None = None
    collector: str = ""

    @property
    def origin(self) -> str:
        """The upstream's origin."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.upstream_port}"

    @property
    def token_url(self) -> str:
        """The token endpoint."""
        return f"http://127.0.0.1:{self.token_port}/token"

    def write(self, name: str, text: str) -> Path:
        """Put a file into the folder."""
        path = self.folder / name
        path.write_text(text, encoding="ascii")
        return path


@dataclass(frozen=True, slots=True)
class Launch:
    """A command line and what is in its environment beside PATH."""

    command: Sequence[str | Path]
    environ: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Direct:
    """No proxy: what the load and the upstream can do, sharing their core."""

    name: str = DIRECT

    @contextmanager
    def started(self, upstream: Upstream, *, tls: bool, core: int) -> Iterator[Running]:  # noqa: ARG002 - nothing runs on the core
        """Give out the upstream itself."""
        yield Running(upstream.direct(tls=tls), None)


@dataclass(frozen=True, slots=True)
class Program:
    """A proxy that is one program; `launch` writes its configuration and says how it is run.

    The token is for one that brings none itself: then the load does.
    """

    name: str
    launch: Callable[[Site], Launch]
    token: str | None = None

    def started(
        self, upstream: Upstream, *, tls: bool, core: int
    ) -> AbstractContextManager[Running]:
        """Run it with a configuration made for this upstream."""
        return served(self.name, self.launch, upstream, tls=tls, core=core, token=self.token)


@contextmanager
def served(
    name: str,
    launch: Callable[[Site], Launch],
    upstream: Upstream,
    *,
    tls: bool,
    core: int,
    token: str | None = None,
) -> Iterator[Running]:
    """Run a program for the block, from when it responds with 200; its output goes to a file."""
    port = free_port()
    folder = upstream.folder / f"{name}-{port}"
    folder.mkdir()
    site = Site(
        port,
        upstream.port(tls=tls),
        upstream.token_port,
        upstream.ca_file,
        tls,
        folder,
        upstream.shown,
        upstream.collector,
    )
    how = launch(site)
    output = folder / "output"
    with running(how.command, core=core, output=output, environ=how.environ) as process:
        endpoint = Endpoint(port, upstream.ca_file if site.shown else None, token)
        wait_until_served(endpoint, process)
        yield Running(endpoint, process)
