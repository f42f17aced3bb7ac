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
    "BODY_TOO_LARGE",
    "CALLER_NOT_ALLOWED",
    "CALLER_UNKNOWN",
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

    `code` is stable and machine-readable, `title` is for the caller, and
    `proxy_error` is the RFC 9209 error type. `meaning` is for the operator, on
    the status page: one sentence on what happened or what to do.

    `is_refusal`: the proxy itself turned the request away, for what it is or
    because there was no room or time for it; else it failed on its path.
    `rejected_total` counts refusals, `error_replies_total` what has a status of
    500 or more, so `overloaded` and `draining` are in both. What happened on
    the path is counted by its cause, in `upstream_errors_total`.
    """

    code: str
    status: int
    title: str
    proxy_error: str
    meaning: str
    is_refusal: bool = True


BAD_REQUEST = ErrorKind(
    "bad_request",
    400,
    "Bad request",
    "http_request_error",
    "Not HTTP/1.1 with only one reading: look at the application's HTTP library.",
)
AMBIGUOUS_PATH = ErrorKind(
    "ambiguous_path",
    400,
    "Ambiguous path",
    "http_request_error",
    "Dot segments or encoded slashes: the application must resolve its paths.",
)
CALLER_UNKNOWN = ErrorKind(
    "caller_unknown",
    401,
    "Caller unknown",
    "http_request_denied",
    "No key, certificate or Unix user of [callers]: give the application one.",
)
CALLER_NOT_ALLOWED = ErrorKind(
    "caller_not_allowed",
    403,
    "Caller not allowed",
    "http_request_denied",
    "The route's client is not among the caller's clients in [callers].",
)
ORIGIN_NOT_ALLOWED = ErrorKind(
    "origin_not_allowed",
    403,
    "Origin not allowed",
    "http_request_denied",
    "Sent by a web page: SIGNICAT_PROXY_ALLOWED_ORIGINS can allow one.",
)
PATH_NOT_ALLOWED = ErrorKind(
    "path_not_allowed",
    403,
    "Path not allowed",
    "http_request_denied",
    "The token endpoint, or outside SIGNICAT_PROXY_ALLOWED_PATHS.",
)
NO_ROUTE = ErrorKind(
    "no_route",
    404,
    "No route",
    "destination_not_found",
    "The path is under none of the configured routes.",
)
METHOD_NOT_ALLOWED = ErrorKind(
    "method_not_allowed",
    405,
    "Method not allowed",
    "http_request_denied",
    "Not among SIGNICAT_PROXY_ALLOWED_METHODS or the route's methods.",
)
REQUEST_TIMEOUT = ErrorKind(
    "request_timeout",
    408,
    "Request timeout",
    "http_request_error",
    "The caller took too long to send its request.",
)
BODY_TOO_LARGE = ErrorKind(
    "body_too_large",
    413,
    "Request body too large",
    "http_request_error",
    "A token request with more than the proxy reads of one: is it one?",
)
HOST_NOT_ALLOWED = ErrorKind(
    "host_not_allowed",
    421,
    "Host not allowed",
    "http_request_denied",
    "Called by a name that is not in SIGNICAT_PROXY_ALLOWED_HOSTS.",
)
HEAD_TOO_LARGE = ErrorKind(
    "head_too_large",
    431,
    "Request head too large",
    "http_request_error",
    "Request line and headers are too long: mostly cookies.",
)
UPSTREAM_UNREACHABLE = ErrorKind(
    "upstream_unreachable",
    502,
    "Upstream unreachable",
    "destination_unavailable",
    "No connection to the upstream: the log says why.",
    is_refusal=False,
)
UPSTREAM_INVALID_RESPONSE = ErrorKind(
    "upstream_invalid_response",
    502,
    "Invalid response from the upstream",
    "http_protocol_error",
    "Not HTTP: does SIGNICAT_PROXY_UPSTREAM_URL name Signicat?",
    is_refusal=False,
)
UPSTREAM_CLOSED = ErrorKind(
    "upstream_closed",
    502,
    "Upstream closed the connection",
    "connection_terminated",
    "The upstream hung up; whether it has acted is not known.",
    is_refusal=False,
)
TOKEN_UNAVAILABLE = ErrorKind(
    "token_unavailable",
    503,
    "No access token",
    "proxy_internal_response",
    "There was no usable token: see the client above.",
    is_refusal=False,
)
OVERLOADED = ErrorKind(
    "overloaded",
    503,
    "Overloaded",
    "connection_limit_reached",
    "All SIGNICAT_PROXY_MAX_UPSTREAM_CONNECTIONS in use, or too many from one caller or all.",
)
DRAINING = ErrorKind(
    "draining",
    503,
    "Shutting down",
    "proxy_internal_response",
    "Not finished when the proxy shut down.",
)
UPSTREAM_TIMEOUT = ErrorKind(
    "upstream_timeout",
    504,
    "Upstream timeout",
    "connection_read_timeout",
    "The upstream was silent for SIGNICAT_PROXY_READ_TIMEOUT_SECONDS.",
    is_refusal=False,
)

ERROR_KINDS = tuple(row for row in globals().values() if isinstance(row, ErrorKind))
"""The table: every row above, in its order."""


class ProxyError(Exception):
    """A request ends with a reply of our own.

    `detail` tells the caller what to do and names the setting where one helps;
    it never holds a secret, a token, a query or the text of another exception.
    `headers` are added to the reply (`Allow`, `Retry-After`, `WWW-Authenticate`).
    """

    def __init__(
        self, kind: ErrorKind, detail: str, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(kind.code)
        self.kind = kind
        self.detail = detail
        self.headers = headers
