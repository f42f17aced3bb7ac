"""The proxies that are compared. Another one needs a class with a name and `started`."""

import json
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench import envoy, nginx
from bench.client import Endpoint, wait_until_served
from bench.processes import Process, free_port, running
from bench.upstream import Upstream

__all__ = ["DIRECT", "LOGGED", "PROXY", "Direct", "Envoy", "Nginx", "Peer", "Running", "Signicat"]

ROOT = Path(__file__).parent.parent
PROXY = "signicat-proxy"
LOGGED = "signicat-proxy-log"
DIRECT = "direct"


@dataclass(frozen=True, slots=True)
class Running:
    """A peer that answers with 200; no process if there is no proxy."""

    endpoint: Endpoint
    process: Process | None


class Peer(Protocol):
    """A way from a caller to the upstream."""

    @property
    def name(self) -> str:
        """The name in tables and on the command line."""

    def started(
        self, upstream: Upstream, *, tls: bool, core: int
    ) -> AbstractContextManager[Running]:
        """Run it on a core for the block, from when it answered with 200. May raise Refused."""


@dataclass(frozen=True, slots=True)
class Direct:
    """No proxy: what the load and the upstream can do, sharing their core."""

    name: str = DIRECT

    @contextmanager
    def started(self, upstream: Upstream, *, tls: bool, core: int) -> Iterator[Running]:  # noqa: ARG002 - nothing runs on the core
        """Give out the upstream itself."""
        yield Running(upstream.direct(tls=tls), None)


@dataclass(frozen=True, slots=True)
class Signicat:
    """The proxy of this project, with its defaults but for the access log."""

    name: str = PROXY
    access_log: str = "off"

    @contextmanager
    def started(self, upstream: Upstream, *, tls: bool, core: int) -> Iterator[Running]:
        """Run `python -m proxy run`; what it logs goes to a file."""
        port, folder = free_port(), _folder(upstream, self.name, tls=tls)
        scheme = "https" if tls else "http"
        settings = {
            "CLIENT_ID": "bench",
            "CLIENT_SECRET": "bench",
            "TOKEN_URL": f"http://127.0.0.1:{upstream.token_port}/token",
            "UPSTREAM_URL": f"{scheme}://127.0.0.1:{upstream.port(tls=tls)}",
            "CA_FILE": str(upstream.ca_file),
            "LISTEN": f"127.0.0.1:{port}",
            "ADMIN_LISTEN": f"127.0.0.1:{free_port()}",
            "ACCESS_LOG": self.access_log,
        }
        environ = {f"SIGNICAT_PROXY_{key}": value for key, value in settings.items()}
        environ["PYTHONPATH"] = str(ROOT)
        command = (sys.executable, "-m", "proxy", "run")
        with running(command, core=core, output=folder / "output", environ=environ) as process:
            yield _ready(port, process)


@dataclass(frozen=True, slots=True)
class Envoy:
    """Envoy with `credential_injector` and OAuth 2.0, one worker."""

    program: Path
    name: str = "envoy"

    @contextmanager
    def started(self, upstream: Upstream, *, tls: bool, core: int) -> Iterator[Running]:
        """Run Envoy from a configuration made for this upstream."""
        port, folder = free_port(), _folder(upstream, self.name, tls=tls)
        bootstrap = envoy.configuration(
            port=port,
            upstream_port=upstream.port(tls=tls),
            token_port=upstream.token_port,
            ca_file=upstream.ca_file if tls else None,
        )
        path = folder / "envoy.json"
        path.write_text(json.dumps(bootstrap), encoding="ascii")
        options = ("--concurrency", "1", "--disable-hot-restart", "--log-level", "error")
        command = (self.program, "-c", path, *options)
        with running(command, core=core, output=folder / "output") as process:
            yield _ready(port, process)


@dataclass(frozen=True, slots=True)
class Nginx:
    """nginx adding the token as a fixed header: what a proxy without token logic can do."""

    name: str = "nginx"

    @contextmanager
    def started(self, upstream: Upstream, *, tls: bool, core: int) -> Iterator[Running]:
        """Run nginx from a configuration made for this upstream."""
        port, folder = free_port(), _folder(upstream, self.name, tls=tls)
        path = folder / "nginx.conf"
        text = nginx.proxy_configuration(
            port=port, upstream=upstream.port(tls=tls), tls=tls, ca_file=upstream.ca_file
        )
        path.write_text(text, encoding="ascii")
        command = ("nginx", "-p", folder, "-c", path)
        with running(command, core=core, output=folder / "output") as process:
            yield _ready(port, process)


def _folder(upstream: Upstream, name: str, *, tls: bool) -> Path:
    folder = upstream.folder / f"{name}-{'tls' if tls else 'plain'}"
    folder.mkdir(exist_ok=True)
    return folder


def _ready(port: int, process: Process) -> Running:
    endpoint = Endpoint(port)
    wait_until_served(endpoint, process)
    return Running(endpoint, process)
