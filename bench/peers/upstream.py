"""The upstream that all proxies share: nginx, plain and TLS; token endpoint and collector."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from bench.client import SIZES, Endpoint, wait_until_served
from bench.peers.collector import collector
from bench.peers.nginx import upstream_configuration
from bench.peers.token_endpoint import TOKEN, token_endpoint
from bench.processes import free_port, running

__all__ = ["Upstream", "started_upstream"]


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where the upstream, the token endpoint and the collector are, and whom to trust for TLS.

    The rolling port takes tokens of an endpoint that has a lifetime, until they end. With
    `is_for_tls_callers`, proxies before it speak TLS to callers, with the upstream's certificate.
    """

    plain_port: int
    tls_port: int
    rolling_port: int
    token_port: int
    ca_file: Path
    folder: Path
    is_for_tls_callers: bool = False
    collector: str = ""

    @property
    def shown(self) -> tuple[Path, Path] | None:
        """Certificate and key that proxies show to callers, None for plain HTTP."""
        if not self.is_for_tls_callers:
            return None
        return self.ca_file.with_name("certificate.pem"), self.ca_file.with_name("key.pem")

    def port(self, *, tls: bool) -> int:
        """Return the port that speaks TLS, or the other one."""
        return self.tls_port if tls else self.plain_port

    def direct(self, *, tls: bool) -> Endpoint:
        """Return the upstream itself, for load without a proxy."""
        return Endpoint(self.port(tls=tls), ca_file=self.ca_file if tls else None, token=TOKEN)


@contextmanager
def started_upstream(folder: Path, *, core: int) -> Iterator[Upstream]:
    """Run upstream, token endpoint and collector for the block, in an empty folder."""
    own = folder / "upstream"
    (own / "files").mkdir(parents=True)
    _write_certificate(own)
    for name in ("64k", "200m"):
        with (own / "files" / name).open("wb") as file:
            file.truncate(SIZES[name])
    (own / "files" / "post").touch()
    plain, tls, rolling = free_port(), free_port(), free_port()
    text = upstream_configuration(plain=plain, tls=tls, rolling=rolling)
    (own / "nginx.conf").write_text(text, encoding="ascii")
    command = ("nginx", "-p", own, "-c", own / "nginx.conf")
    with (
        token_endpoint() as tokens,
        collector() as spans,
        running(command, core=core, output=own / "output") as process,
    ):
        upstream = Upstream(
            plain, tls, rolling, tokens.server_port, own / "ca.pem", folder, collector=spans
        )
        wait_until_served(upstream.direct(tls=False), process)
        wait_until_served(upstream.direct(tls=True), process)
        yield upstream


def _write_certificate(folder: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    for pem in certificate.cert_chain_pems:
        pem.write_to_path(folder / "certificate.pem", append=True)
