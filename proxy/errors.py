"""The errors that callers see, as one closed table (E in docs/promises.md).

`ProxyError` carries one row of the table to the edge, where it becomes an
`application/problem+json` reply (RFC 9457) with a `Proxy-Status` (RFC 9209).
Exceptions of libraries are renamed to it where they are caught, so that none
of their text ever reaches a caller.
"""

from dataclasses import dataclass

__all__ = [
    "AMBIGUOUS_PATH",
    "BAD_REQUEST",
    "DRAINING",
    "ERROR_KINDS",
    "HEAD_TOO_LARGE",
    "HOST_NOT_ALLOWED",
    "METHOD_NOT_ALLOWED",
    "NO_ROUTE",
    "ORIGIN_NOT_ALLOWED",
    "OVERLOADED",
    "PATH_NOT_ALLOWED",
    "REQUEST_TIMEOUT",
    "TOKEN_UNAVAILABLE",
    "UPSTREAM_CLOSED",
    "UPSTREAM_INVALID_RESPONSE",
    "UPSTREAM_TIMEOUT",
    "UPSTREAM_UNREACHABLE",
    "ErrorKind",
    "ProxyError",
]


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """One row of table E.

    `code` is stable and machine-readable; `proxy_error` is the RFC 9209 error
    type; `is_refusal` says that the caller, not the way to Signicat, is at
    fault, and so which metric counts it (`rejected_total` or
    `upstream_errors_total`).
    """

    code: str
    status: int
    title: str
    proxy_error: str
    is_refusal: bool = True


BAD_REQUEST = ErrorKind("bad_request", 400, "Bad request", "http_request_error")
AMBIGUOUS_PATH = ErrorKind("ambiguous_path", 400, "Ambiguous path", "http_request_error")
ORIGIN_NOT_ALLOWED = ErrorKind(
    "origin_not_allowed", 403, "Origin not allowed", "http_request_denied"
)
PATH_NOT_ALLOWED = ErrorKind("path_not_allowed", 403, "Path not allowed", "http_request_denied")
NO_ROUTE = ErrorKind("no_route", 404, "No route", "destination_not_found")
METHOD_NOT_ALLOWED = ErrorKind(
    "method_not_allowed", 405, "Method not allowed", "http_request_denied"
)
REQUEST_TIMEOUT = ErrorKind("request_timeout", 408, "Request timeout", "http_request_error")
HOST_NOT_ALLOWED = ErrorKind("host_not_allowed", 421, "Host not allowed", "http_request_denied")
HEAD_TOO_LARGE = ErrorKind("head_too_large", 431, "Request head too large", "http_request_error")
UPSTREAM_UNREACHABLE = ErrorKind(
    "upstream_unreachable", 502, "Upstream unreachable", "destination_unavailable", is_refusal=False
)
UPSTREAM_INVALID_RESPONSE = ErrorKind(
    "upstream_invalid_response",
    502,
    "Invalid response from the upstream",
    "http_protocol_error",
    is_refusal=False,
)
UPSTREAM_CLOSED = ErrorKind(
    "upstream_closed",
    502,
    "Upstream closed the connection",
    "connection_terminated",
    is_refusal=False,
)
TOKEN_UNAVAILABLE = ErrorKind(
    "token_unavailable", 503, "No access token", "proxy_internal_response", is_refusal=False
)
OVERLOADED = ErrorKind("overloaded", 503, "Overloaded", "connection_limit_reached")
DRAINING = ErrorKind("draining", 503, "Shutting down", "proxy_internal_response")
UPSTREAM_TIMEOUT = ErrorKind(
    "upstream_timeout", 504, "Upstream timeout", "connection_read_timeout", is_refusal=False
)

ERROR_KINDS = (
    BAD_REQUEST,
    AMBIGUOUS_PATH,
    ORIGIN_NOT_ALLOWED,
    PATH_NOT_ALLOWED,
    NO_ROUTE,
    METHOD_NOT_ALLOWED,
    REQUEST_TIMEOUT,
    HOST_NOT_ALLOWED,
    HEAD_TOO_LARGE,
    UPSTREAM_UNREACHABLE,
    UPSTREAM_INVALID_RESPONSE,
    UPSTREAM_CLOSED,
    TOKEN_UNAVAILABLE,
    OVERLOADED,
    DRAINING,
    UPSTREAM_TIMEOUT,
)


class ProxyError(Exception):
    """A request ends with a reply of our own.

    `detail` tells the caller what to do and names the setting where one helps;
    it never holds a secret, a token, a query or the text of another exception.
    `headers` are added to the reply (`Allow`, `Retry-After`).
    """

    def __init__(
        self, kind: ErrorKind, detail: str, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(kind.code)
        self.kind = kind
        self.detail = detail
        self.headers = headers
