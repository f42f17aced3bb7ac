"""Errors as callers read them: RFC 9457 problem details with an RFC 9209 `Proxy-Status`."""

import json
from typing import Final

from proxy.errors import ProxyError

__all__ = ["problem_reply"]

_HEADERS: Final = (
    ("Content-Type", "application/problem+json"),
    ("Cache-Control", "no-store"),
    # A tab that shows a refusal would ask for /favicon.ico by itself, same-origin, and so get
    # a request through to the upstream that a foreign page has caused.
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("X-Content-Type-Options", "nosniff"),
)


def problem_reply(error: ProxyError, request_id: str) -> tuple[int, list[tuple[str, str]], bytes]:
    """Return status, headers and body of the reply (table E).

    The body's `type` is `urn:signicat-proxy:error:<code>`. `Proxy-Status` says
    that the response is ours and not Signicat's. The caller of this function
    adds `Content-Length`.
    """
    kind = error.kind
    body = {
        "type": f"urn:signicat-proxy:error:{kind.code}",
        "title": kind.title,
        "status": kind.status,
        "detail": error.detail,
        "code": kind.code,
        "request_id": request_id,
    }
    headers = [
        *_HEADERS,
        ("Proxy-Status", f"signicat-proxy; error={kind.proxy_error}"),
        ("X-Request-ID", request_id),
        *error.headers,
    ]
    return kind.status, headers, json.dumps(body).encode("ascii")
