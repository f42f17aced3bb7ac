"""The configuration of HAProxy with a fixed header."""

from pathlib import Path

from bench.peers.token_endpoint import TOKEN

__all__ = ["configuration"]

TEXT = """\
global
  nbthread 1
  maxconn 3000
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  http-reuse always
frontend callers
  bind 127.0.0.1:{port} backlog 4096
  default_backend origin
backend origin
  http-request set-header Authorization "Bearer {token}"
  http-request set-header Host localhost
  server origin 127.0.0.1:{upstream} pool-max-conn 128{tls}
"""
TLS = (
    " ssl verify required ca-file {ca} verifyhost localhost sni str(localhost) ssl-min-ver TLSv1.3"
)


def configuration(*, port: int, upstream: int, tls: bool, ca_file: Path) -> str:
    """Return a proxy on this port, in one thread."""
    return TEXT.format(
        port=port, upstream=upstream, token=TOKEN, tls=TLS.format(ca=ca_file) if tls else ""
    )
