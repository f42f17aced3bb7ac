"""Which requests are token calls of applications that fetch tokens themselves (P1)."""

from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import SplitResult, urlsplit

from proxy.guard.routing import NO_CLIENT, Route
from proxy.hosts import one_spelling
from proxy.http1.grammar import DEFAULT_PORTS

__all__ = ["TOKEN_CALL", "TOKEN_CALL_METHOD", "token_call_paths"]

TOKEN_CALL: Final = Route(path=b"", client=NO_CLIENT, label="placeholder_token")
"""Where token calls go in place of a route: nowhere."""
TOKEN_CALL_METHOD: Final = b"POST"


def _origin(parts: SplitResult) -> tuple[str, str, int | None]:
    host = one_spelling(parts.hostname or "")
    return parts.scheme, host, parts.port or DEFAULT_PORTS.get(parts.scheme)


def _paths(url: str, upstream: SplitResult) -> Iterator[str]:
    parts = urlsplit(url)
    yield parts.path or "/"
    base = upstream.path.rstrip("/")
    if base and _origin(parts) == _origin(upstream) and f"{parts.path}/".startswith(f"{base}/"):
        yield parts.path[len(base) :] or "/"


def token_call_paths(token_urls: Iterable[str], upstream_url: str) -> frozenset[bytes]:
    """Return the paths of the token endpoints, as callers of the proxy know them.

    An application has the proxy's address in place of a host, or in place of
    `upstream_url`: so it is the path as the setting spells it, and, where the
    endpoint lies below that URL, what follows. `Policy.check_path` refuses every
    one of them.
    """
    upstream = urlsplit(upstream_url)
    return frozenset(path.encode() for url in token_urls for path in _paths(url, upstream))
