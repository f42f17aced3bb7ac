"""Replies of our own on the traffic port, as bytes: mostly table E."""

from collections.abc import Iterable
from http import HTTPStatus

from proxy.errors import ProxyError
from proxy.http1.request import Request
from proxy.problem import problem_reply

__all__ = ["own_response", "reply_bytes"]


def reply_bytes(
    error: ProxyError, request_id: str, request: Request | None, *, is_head: bool, close: bool
) -> bytes:
    """Return the whole reply; HEAD gets the headers alone.

    `request` is None where the bytes were no request that could be read.
    """
    status, headers, body = problem_reply(error, request_id)
    return own_response(status, headers, body, request, is_head=is_head, close=close)


def own_response(
    status: int,
    headers: Iterable[tuple[str, str]],
    body: bytes,
    request: Request | None,
    *,
    is_head: bool,
    close: bool,
) -> bytes:
    """Return a whole response with `headers` and what frames it."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers]
    lines.append(f"Content-Length: {len(body)}")
    if close:
        lines.append("Connection: close")
    elif request is not None and request.is_http_10:
        lines.append("Connection: keep-alive")
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    return head if is_head else head + body
