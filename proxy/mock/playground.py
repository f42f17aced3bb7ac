"""Endpoints to try a proxy with, under `/mock`: they need a token, as any product does.

They send while they go, so they are handlers of aiohttp, and no declared endpoints.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web

from proxy.mock.endpoint import Product

__all__ = ["PRODUCT", "routes"]

_MAX_BYTES: Final = 1 << 30
_BLOCK: Final = 64 * 1024
_MOST_DIGITS: Final = 12

PRODUCT: Final = Product(name="Playground", prefix="/mock", permission="")


async def _echo(request: web.Request) -> web.StreamResponse:
    """Send the body back as it comes."""
    kind = request.headers.get("Content-Type", "application/octet-stream")
    response = web.StreamResponse(headers={"Content-Type": kind})
    if request.content_length is not None:
        response.content_length = request.content_length
    await response.prepare(request)
    async for data in request.content.iter_any():
        await response.write(data)
    await response.write_eof()
    return response


def _number(request: web.Request, name: str, default: int, most: int) -> int:
    text = request.query.get(name, "")
    is_number = text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS
    return min(int(text), most) if is_number else default


async def _bytes(request: web.Request) -> web.StreamResponse:
    """Send `size` bytes."""
    left = _number(request, "size", 1024, _MAX_BYTES)
    response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
    response.content_length = left
    await response.prepare(request)
    block = b"x" * _BLOCK
    while left > 0:
        await response.write(block[:left])
        left -= _BLOCK
    await response.write_eof()
    return response


async def _paced(request: web.Request) -> AsyncIterator[int]:
    interval = _number(request, "interval_ms", 100, 60_000) / 1000
    for index in range(_number(request, "count", 5, 100_000)):
        if index:
            await asyncio.sleep(interval)
        yield index


async def _sent_slowly(request: web.Request, kind: str, part: str) -> web.StreamResponse:
    """Send `part` `count` times, one every `interval_ms`; it may name its `index`."""
    response = web.StreamResponse(headers={"Content-Type": kind})
    await response.prepare(request)
    async for index in _paced(request):
        await response.write(part.format(index=index).encode())
    await response.write_eof()
    return response


async def _stream(request: web.Request) -> web.StreamResponse:
    """Send lines."""
    return await _sent_slowly(request, "text/plain", "MOCK line {index}\n")


async def _events(request: web.Request) -> web.StreamResponse:
    """Send server-sent events."""
    part = "id: {index}\ndata: MOCK event {index}\n\n"
    return await _sent_slowly(request, "text/event-stream", part)


def routes() -> list[web.RouteDef]:
    """Return the routes."""
    return [
        web.route("*", "/mock/echo", _echo),
        web.get("/mock/bytes", _bytes),
        web.get("/mock/stream", _stream),
        web.get("/mock/events", _events),
    ]
