"""Typed keys of the mock's application and requests."""

from typing import Final

from aiohttp import web

from proxy.mock.state import MockSignicat

__all__ = ["CALLER", "MOCK", "TRACE_ID", "UNKNOWN", "base_url"]

MOCK: Final = web.AppKey("MOCK", MockSignicat)
TRACE_ID: Final = web.RequestKey("TRACE_ID", str)
"""The id of a request in Signicat's tracing, set at the edge."""
CALLER: Final = web.RequestKey("CALLER", str)
"""The client whose token a request came with, set by the guard."""
UNKNOWN: Final = web.RequestKey("UNKNOWN", tuple[str, ...])
"""Members of a request that the mock does not know."""


def base_url(request: web.Request) -> str:
    """Return what URLs that the mock gives out begin with."""
    public = request.app[MOCK].public_url
    return public.rstrip("/") or f"{request.scheme}://{request.host}"
