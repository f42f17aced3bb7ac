"""A real Docker Compose against podman, in a network of its own: nothing of it is on the host."""

import contextlib
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from tests.deploy.base_image import one_at_a_time
from tests.deploy.containers import BASE, IMAGE, Engine, libraries, tool, until
from tests.support.source_tree import ROOT

__all__ = ["COMPOSE_TOOLS", "PROMETHEUS", "Composition", "composition", "project"]

COMPOSE_TOOLS: Final = (
    *(
        "docker-compose",
        "curl",
        "ip",
        "iptables",
        "nsenter",
        "unshare",
        "prometheus",
        "rotel-agent",
    ),
)
"""What is needed besides the tools of the containers."""
PROMETHEUS: Final = "docker.io/prom/prometheus:v3.13.3"
"""The image that the file names; the tests have a stand-in with Debian's Prometheus."""
JAEGER: Final = "docker.io/jaegertracing/jaeger:2.21.0"
"""Likewise; its stand-in is a collector that writes every span to its log."""
_LOCAL: Final = "localhost/signicat-proxy:local"
_PROJECT: Final = (
    *("docker-compose.yml", "docker-compose.signicat.yml", "docker-compose.callers.yml"),
    "config.example.env",
    *("compose", "helm/signicat-proxy/files"),
)
_STAND_IN: Final = f"""\
FROM {BASE}
COPY prometheus /bin/prometheus
ENTRYPOINT ["/bin/prometheus"]
CMD ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]
"""
_COLLECTOR: Final = f"""\
FROM {BASE}
COPY rotel-agent libpython* /srv/
ENV NO_COLOR=1 LD_LIBRARY_PATH=/srv
ENTRYPOINT ["/srv/rotel-agent", "start", "--exporter", "blackhole", "--debug-log", "traces"]
CMD ["--debug-log-verbosity", "detailed", "--otlp-http-endpoint", "0.0.0.0:4318"]
"""


def project(folder: Path) -> Path:
    """Copy what the files read, so that nobody's own `.env` is read and none is written."""
    for name in _PROJECT:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, target)
    return folder


def _have_images(engine: Engine, scratch: Path) -> None:
    """Give the images the names that the file has for them."""
    engine.run("podman", "tag", IMAGE, _LOCAL)
    for image, program, text in (
        (PROMETHEUS, "prometheus", _STAND_IN),
        (JAEGER, "rotel-agent", _COLLECTOR),
    ):
        if not engine.has(image):
            shutil.copy(str(tool(program)), scratch)
            for name, place in libraries(str(tool(program))).items():
                if name.startswith("libpython"):  # that of the machine's own Python
                    shutil.copy(place, scratch / name)
            (scratch / "Dockerfile").write_text(text, "utf-8")
            engine.run("buildah", "bud", "--pull-never", "-t", image, str(scratch))


class Composition:
    """One project; `call` is `docker-compose`, `get` asks a published port as the host would."""

    def __init__(self, engine: Engine, folder: Path, service: int) -> None:
        self._engine = engine
        self.folder = folder
        self._inside = ("nsenter", f"--net=/proc/{service}/ns/net")

    def call(
        self, *arguments: str, environ: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run docker-compose, whatever comes of it."""
        docker = {"DOCKER_HOST": f"unix://{self._engine.folder / 'podman.sock'}"}
        return subprocess.run(
            (str(tool("docker-compose")), *arguments),
            cwd=self.folder,
            env={**self._engine.environ, **docker, **(environ or {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def run(self, *arguments: str, environ: Mapping[str, str] | None = None) -> str:
        """Run docker-compose; return what it wrote to stdout."""
        done = self.call(*arguments, environ=environ)
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def get(self, url: str, *options: str) -> str:
        """Ask a port that is published on the host's loopback; return status and body."""
        form = ("-w", "\n%{http_code}")
        answer = self._engine.run(*self._inside, "curl", "-sS", "-m5", *form, *options, url)
        body, _, status = answer.rpartition("\n")
        return f"{status} {body}"

    def query(self, port: int, path: str) -> Any:
        """Return the data that Prometheus' API has at `path`."""
        status, _, body = self.get(f"http://localhost:{port}/api/v1/{path}").partition(" ")
        assert status == "200", body
        return json.loads(body)["data"]

    def container(self, name: str) -> dict[str, Any]:
        """Return what podman knows about the container of a service."""
        facts: dict[str, Any] = self._engine.inspect("inspect", f"signicat-proxy-{name}-1")
        return facts


@contextlib.contextmanager
def _health_checks(engine: Engine) -> Iterator[None]:
    """Run the proxy's health check again and again, as a daemon with systemd would."""
    is_over = threading.Event()

    def keep_checking() -> None:
        while not is_over.wait(0.5):
            engine.attempt("podman", "healthcheck", "run", "signicat-proxy-proxy-1")

    checking = threading.Thread(target=keep_checking)
    checking.start()
    try:
        yield
    finally:
        is_over.set()
        checking.join()


@contextlib.contextmanager
def composition(engine: Engine, folder: Path) -> Iterator[Composition]:
    """Serve podman's API in a network namespace of its own; take everything down at the end.

    All of root's podmans share one folder for addresses and names, whatever their stores are:
    two compositions at once would stop each other's name server.
    """
    with one_at_a_time("compose"), _composition(engine, folder) as running:
        yield running


@contextlib.contextmanager
def _composition(engine: Engine, folder: Path) -> Iterator[Composition]:
    scratch = folder / "stand-ins"
    scratch.mkdir()
    _have_images(engine, scratch)
    socket = engine.folder / "podman.sock"
    serve = f"ip link set lo up && exec podman system service --time=0 unix://{socket}"
    with (engine.folder / "service.log").open("w") as log:
        service = subprocess.Popen(
            ("unshare", "--net", "sh", "-c", serve), env=engine.environ, stdout=log, stderr=log
        )
    try:
        until(socket.exists, "podman's service")
        running = Composition(engine, folder, service.pid)
        with _health_checks(engine):
            yield running
        running.call("--profile=*", "down", "--timeout=5", "--volumes")
    finally:
        service.terminate()
        service.wait()
        socket.unlink(missing_ok=True)
