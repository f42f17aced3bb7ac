"""The configuration of Caddy with a fixed header."""

from pathlib import Path

from bench.peers.token_endpoint import TOKEN

__all__ = ["configuration"]

TEXT = """\
{{
  admin off
  auto_https off
  persist_config off
  log {{
    level ERROR
  }}
}}
http://127.0.0.1:{port} {{
  bind 127.0.0.1
  reverse_proxy {scheme}://127.0.0.1:{upstream} {{
    header_up Host localhost
    header_up Authorization "Bearer {token}"
    transport http {{
      keepalive 1h
      keepalive_idle_conns 128
      keepalive_idle_conns_per_host 128
      compression off
{tls}    }}
  }}
}}
"""
TLS = """\
      tls
      tls_server_name localhost
      tls_trust_pool file {ca}
"""


def configuration(*, port: int, upstream: int, tls: bool, ca_file: Path) -> str:
    """Return a proxy on this port; Go takes as many threads as it has cores, which is one."""
    return TEXT.format(
        port=port,
        upstream=upstream,
        scheme="https" if tls else "http",
        token=TOKEN,
        tls=TLS.format(ca=ca_file) if tls else "",
    )
