"""What callers read when a request fails on its way; the guard has its own words for refusals."""

from collections.abc import Iterable

from proxy.errors import (
    BAD_REQUEST,
    BODY_TOO_LARGE,
    DRAINING,
    HEAD_TOO_LARGE,
    METHOD_NOT_ALLOWED,
    OVERLOADED,
    REQUEST_TIMEOUT,
    TOKEN_UNAVAILABLE,
    UPSTREAM_CLOSED,
    UPSTREAM_INVALID_RESPONSE,
    UPSTREAM_TIMEOUT,
    UPSTREAM_UNREACHABLE,
    ProxyError,
)
from proxy.http1.foreign_protocols import NOT_TLS, foreign_protocol
from proxy.http1.message_faults import remedy

__all__ = [
    "ambiguous_message",
    "body_late",
    "body_too_large",
    "caller_at_limit",
    "connection_late",
    "draining",
    "head_late",
    "head_too_large",
    "memory_exhausted",
    "method_not_allowed",
    "no_tls",
    "no_token",
    "pool_exhausted",
    "too_many_callers",
    "upstream_broken",
    "upstream_closed",
    "upstream_silent",
    "upstream_unreachable",
]

_RETRY_SOON = (("Retry-After", "1"),)


def ambiguous_message(fault: str) -> ProxyError:
    """Return the refusal of bytes that are no HTTP/1 request with one reading (G5, G10).

    `fault` is one of `proxy.http1.message_faults`, which names the part.
    """
    return ProxyError(BAD_REQUEST, f"The request was refused: {fault}. {remedy(fault)}")


def method_not_allowed(allowed: Iterable[bytes], detail: str) -> ProxyError:
    """Return the refusal of a method; `Allow` lists those that pass (F1, RFC 9110 §15.5.6)."""
    listed = ", ".join(sorted(method.decode() for method in allowed))
    return ProxyError(METHOD_NOT_ALLOWED, detail, (("Allow", listed),))


def head_too_large(limit: int) -> ProxyError:
    """Return the refusal of a head over `limit` bytes (G6)."""
    return ProxyError(
        HEAD_TOO_LARGE, f"Request line and headers together must not exceed {limit} bytes."
    )


def head_late(seconds: float) -> ProxyError:
    """Return the end of a head that took too long (G6)."""
    return ProxyError(
        REQUEST_TIMEOUT,
        f"The request's head was not complete within {seconds:g} seconds "
        "(SIGNICAT_PROXY_HEAD_TIMEOUT_SECONDS).",
    )


def body_late(bytes_per_second: int, seconds: float) -> ProxyError:
    """Return the end of a body that stopped coming, or comes too slowly (G9)."""
    return ProxyError(
        REQUEST_TIMEOUT,
        f"The request's body came at less than {bytes_per_second} bytes a second over "
        f"{seconds:g} seconds, or over SIGNICAT_PROXY_READ_TIMEOUT_SECONDS if that is less; "
        "send it faster.",
    )


def body_too_large(limit: int) -> ProxyError:
    """Return the refusal of a body over `limit` bytes, which is the proxy's own matter (P1)."""
    return ProxyError(
        BODY_TOO_LARGE,
        f"The body of a token request must not exceed {limit} bytes where the proxy responds to "
        "it (SIGNICAT_PROXY_PLACEHOLDER_TOKEN).",
    )


def no_tls(data: bytes) -> ProxyError:
    """Return the refusal of first bytes that are no TLS, on a port that speaks it (G10)."""
    found = foreign_protocol(data) or NOT_TLS
    return ProxyError(
        BAD_REQUEST,
        f"The request was refused: {found}. This port speaks TLS; call it with https://.",
    )


def no_token(retry_after_seconds: int) -> ProxyError:
    """Return the response while there is no usable token (T4)."""
    return ProxyError(
        TOKEN_UNAVAILABLE,
        "No access token could be had from the token endpoint; "
        "the proxy's log and GET /readyz on its admin port say why.",
        (("Retry-After", str(retry_after_seconds)),),
    )


def pool_exhausted() -> ProxyError:
    """Return the response after waiting in vain for a connection to become free."""
    return ProxyError(
        OVERLOADED,
        "All connections to the upstream are in use (SIGNICAT_PROXY_MAX_UPSTREAM_CONNECTIONS).",
        _RETRY_SOON,
    )


def too_many_callers() -> ProxyError:
    """Return the response to a connection beyond the bound (G6)."""
    return ProxyError(OVERLOADED, "Too many connections to the proxy.", _RETRY_SOON)


def caller_at_limit(limit: int) -> ProxyError:
    """Return the response where all that one caller may have at a time is running (I1)."""
    return ProxyError(
        OVERLOADED,
        f"This caller has {limit} requests running, and its max_in_flight in [callers] allows no "
        "more; send the request again when one of them has ended.",
        _RETRY_SOON,
    )


def memory_exhausted() -> ProxyError:
    """Return the response where callers have sent ahead more than the process keeps (G11)."""
    return ProxyError(
        OVERLOADED,
        "The proxy keeps no more bytes for callers that wait; send the request again a moment "
        "later. Its memory limit bounds how much it keeps.",
        _RETRY_SOON,
    )


def draining(*, is_sent: bool) -> ProxyError:
    """Return the response to a request that could not be finished within DRAIN_SECONDS (C2).

    Only one that was never sent invites to be repeated.
    """
    if not is_sent:
        return ProxyError(
            DRAINING, "The proxy is shutting down; send the request again.", _RETRY_SOON
        )
    return ProxyError(
        DRAINING,
        "The proxy is shutting down and there was no response in time; "
        "whether the upstream has acted on the request is not known.",
    )


def connection_late() -> ProxyError:
    """Return the response when no connection came up in time."""
    return upstream_unreachable(
        "No connection to the upstream within SIGNICAT_PROXY_CONNECT_TIMEOUT_SECONDS."
    )


def upstream_unreachable(detail: str) -> ProxyError:
    """Return the response when the upstream cannot be connected to (DNS, TCP, TLS)."""
    return ProxyError(UPSTREAM_UNREACHABLE, detail)


def upstream_broken(fault: str) -> ProxyError:
    """Return the response when the upstream sent what is not HTTP with one reading (F9).

    `fault` is one of `proxy.http1.message_faults`, which names the part.
    """
    return ProxyError(
        UPSTREAM_INVALID_RESPONSE,
        f"The upstream's response was not valid HTTP: {fault}. "
        "Check that SIGNICAT_PROXY_UPSTREAM_URL names Signicat, with the right scheme and port.",
    )


def upstream_closed() -> ProxyError:
    """Return the response when the upstream hung up before its response was complete."""
    return ProxyError(
        UPSTREAM_CLOSED,
        "The upstream closed the connection before its response was complete; "
        "whether it has acted on the request is not known.",
    )


def upstream_silent(seconds: float) -> ProxyError:
    """Return the response when the upstream says nothing."""
    return ProxyError(
        UPSTREAM_TIMEOUT,
        f"The upstream was silent for {seconds:g} seconds (SIGNICAT_PROXY_READ_TIMEOUT_SECONDS).",
    )
