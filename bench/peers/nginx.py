"""The configurations of nginx: as the upstream, and as a proxy with a fixed header."""

from pathlib import Path

from bench.client import SIZES
from bench.peers.token_endpoint import SALT, TOKEN

__all__ = ["proxy_configuration", "upstream_configuration"]

# One process is all that one core can use; without a master there is one to account for.
MAIN = """\
daemon off;
master_process off;
pid nginx.pid;
error_log stderr crit;
events {{ worker_connections 16000; }}
http {{
  access_log off;
  server_tokens off;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  client_max_body_size 0;
  client_header_buffer_size 4k;
  client_body_temp_path temporary;
  proxy_temp_path temporary;
  fastcgi_temp_path temporary;
  uwsgi_temp_path temporary;
  scgi_temp_path temporary;
{http}
}}
"""

# `mirror` makes nginx read the whole body, into memory, before it responds to a POST;
# a bare `return` would respond before the body has come. One cipher suite, so that all proxies
# do the same work whatever their own preference is. The second server takes tokens that
# say when they end, and none from then on.
UPSTREAM = """\
  sendfile on;
  output_buffers 4 64k;
  open_file_cache max=16 inactive=1h;
  open_file_cache_valid 1h;
  default_type application/octet-stream;
  ssl_certificate certificate.pem;
  ssl_certificate_key key.pem;
  ssl_protocols TLSv1.3;
  ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
  ssl_session_timeout 1h;
  server {{
    listen 127.0.0.1:{plain} backlog=4096;
    listen 127.0.0.1:{tls} ssl backlog=4096;
    root files;
    if ($http_authorization != "Bearer {token}") {{ return 401; }}
    location = /1k {{ return 200 "{body}"; }}
    location /clients/ {{ return 200 "{body}"; }}
    location = /64k {{ }}
    location = /200m {{ }}
    location = /post {{
      client_body_buffer_size 256m;
      mirror /mirrored;
      error_page 405 =200 @taken;
    }}
    location = /mirrored {{ internal; return 204; }}
    location @taken {{ return 200 "taken"; }}
  }}
  map $http_authorization $rolling {{
    "~^Bearer bench-(?<until>[0-9]+)-(?<digest>[A-Za-z0-9_-]{{22}})token" "$digest,$until";
  }}
  server {{
    listen 127.0.0.1:{rolling} backlog=4096;
    secure_link $rolling;
    secure_link_md5 "$secure_link_expires {salt}";
    if ($secure_link != "1") {{ return 401; }}
    location = /1k {{ return 200 "{body}"; }}
  }}
"""

# What a proxy adds where callers speak TLS: the same version and suite as towards the upstream.
CERTIFICATE = """;
    ssl_certificate {};
    ssl_certificate_key {};
    ssl_protocols TLSv1.3;
    ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256"""

# Streams both ways like the other proxies: by default nginx keeps uploads, and what of a
# download does not fit its buffers, in files.
PROXY = """\
  upstream origin {{
    server 127.0.0.1:{upstream};
    keepalive 128;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
  }}
  server {{
    listen 127.0.0.1:{port}{listens};
    location / {{
      proxy_pass {scheme}://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host localhost;
      proxy_set_header Authorization "Bearer {token}";
      proxy_request_buffering off;
      proxy_max_temp_file_size 0;
      proxy_buffers 16 16k;
      proxy_ssl_verify on;
      proxy_ssl_trusted_certificate {ca};
      proxy_ssl_name localhost;
      proxy_ssl_server_name on;
      proxy_ssl_protocols TLSv1.3;
    }}
  }}
"""


def upstream_configuration(*, plain: int, tls: int, rolling: int) -> str:
    """Return the upstream: bodies from memory, POST, and 401 to any other token."""
    body = "x" * SIZES["1k"]
    http = UPSTREAM.format(plain=plain, tls=tls, rolling=rolling, token=TOKEN, salt=SALT, body=body)
    return MAIN.format(http=http)


def proxy_configuration(
    *,
    port: int,
    upstream: int,
    tls: bool,
    ca_file: Path,
    shown: tuple[Path, Path] | None = None,
) -> str:
    """Return a proxy on this port that adds the token as a fixed header."""
    http = PROXY.format(
        port=port,
        upstream=upstream,
        scheme="https" if tls else "http",
        token=TOKEN,
        ca=ca_file,
        listens=" backlog=4096"
        if shown is None
        else f" ssl backlog=4096{CERTIFICATE.format(*shown)}",
    )
    return MAIN.format(http=http)
