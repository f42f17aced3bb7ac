"""The proxy of this project as a peer: with its defaults but for the access log."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from bench.peers.peer import PROXY, Launch, Running, Site, served
from bench.peers.upstream import Upstream

__all__ = ["Signicat", "client_path"]


def client_path(number: int) -> str:
    """Return the path whose requests get the token of one of many clients."""
    return f"/clients/{number}/1k"


@dataclass(frozen=True, slots=True)
class Signicat:
    """Runs on the interpreter of `python`, from the package in the folder `source`.

    `clients`, if any, have a route each. `sampled` is the share of requests whose spans go to the
    upstream's collector, None where traces are off. `under` is what its command line begins with.
    """

    python: Path
    source: Path
    name: str = PROXY
    access_log: str = "off"
    clients: int = 0
    sampled: float | None = None
    under: tuple[str, ...] = ()

    def started(
        self, upstream: Upstream, *, tls: bool, core: int
    ) -> AbstractContextManager[Running]:
        """Run `python -m proxy run`; what it logs goes to a file."""
        return served(self.name, self.launch, upstream, tls=tls, core=core)

    def launch(self, site: Site) -> Launch:
        """Return how it is run."""
        settings = {
            "CLIENT_SECRET": "bench",
            "TOKEN_URL": site.token_url,
            "UPSTREAM_URL": site.origin,
            "CA_FILE": str(site.ca_file),
            "LISTEN": f"127.0.0.1:{site.port}",
            "ADMIN_LISTEN": "127.0.0.1:0",
            "ACCESS_LOG": self.access_log,
        }
        if site.shown is not None:
            settings["TLS_CERT_FILE"], settings["TLS_KEY_FILE"] = map(str, site.shown)
        command: list[str | Path] = [*self.under, self.python, "-P", "-m", "proxy", "run"]
        if self.clients:
            command += ["--config", site.write("clients.toml", self._tables())]
        else:
            settings["CLIENT_ID"] = "bench"
        environ = {f"SIGNICAT_PROXY_{key}": value for key, value in settings.items()}
        if self.sampled is not None:
            environ |= {
                "OTEL_EXPORTER_OTLP_ENDPOINT": site.collector,
                "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
                "OTEL_TRACES_SAMPLER_ARG": str(self.sampled),
            }
        return Launch(command, {**environ, "PYTHONPATH": str(self.source)})

    def _tables(self) -> str:
        """Return clients with a route each; what is beside them belongs to the first."""
        lines = ['[[routes]]\npath = "/"\nclient = "client-0"\n']
        for number in range(self.clients):
            lines += [
                f'[clients.client-{number}]\nclient_id = "bench-{number}"\n',
                f'[[routes]]\npath = "/clients/{number}"\nclient = "client-{number}"\n',
            ]
        return "\n".join(lines)
