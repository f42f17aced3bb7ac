"""Typed keys of the mock's application and requests."""

from typing import Final

from aiohttp import web

from proxy.mock.state import MockSignicat

__all__ = ["MOCK", "base_url"]

MOCK: Final = web.AppKey("MOCK", MockSignicat)


def base_url(request: web.Request) -> str:
    """Return what URLs that the mock gives out begin with."""
    public = request.app[MOCK].public_url
    return public.rstrip("/") or f"{request.scheme}://{request.host}"
