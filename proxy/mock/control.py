"""The mock's own endpoints: faults, secrets, tokens and a look inside, under `/__mock__`.

Under `/mock` stand a few endpoints that need a token like any product, to try
a proxy with: echo, bytes, a slow stream and events.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web

from proxy.mock.faults import Fault, FaultError
from proxy.mock.keys import MOCK
from proxy.mock.replies import api_error, html_page, json_reply

__all__ = ["routes"]

_MAX_BYTES: Final = 1 << 30
_BLOCK: Final = 64 * 1024
_LIFETIMES: Final = (0, 3600)


def _bad(detail: str) -> web.Response:
    return api_error(400, "bad_request", "Bad request", detail=f"MOCK: {detail}")


async def _body(request: web.Request) -> object:
    try:
        return json.loads(await request.read())
    except ValueError:
        return None


async def _page(_: web.Request) -> web.Response:
    return html_page(
        "for development only", "<p>See /__mock__/stats, /__mock__/requests, /__mock__/faults.</p>"
    )


async def _get_faults(request: web.Request) -> web.Response:
    return json_reply({"faults": request.app[MOCK].faults.as_json()})


async def _put_faults(request: web.Request) -> web.Response:
    """Replace the faults: one object, a list of them, or `{"faults": [...]}`."""
    body = await _body(request)
    wanted = body.get("faults", [body]) if isinstance(body, dict) else body
    if not isinstance(wanted, list):
        return _bad("'faults' must be a list of faults")
    try:
        faults = [Fault.from_json(item) for item in wanted]
    except FaultError as error:
        return _bad(str(error))
    request.app[MOCK].faults.put(faults)
    return await _get_faults(request)


async def _delete_faults(request: web.Request) -> web.Response:
    request.app[MOCK].faults.put([])
    return web.Response(status=204)


async def _put_lifetime(request: web.Request) -> web.Response:
    """Set the lifetime of tokens granted from now on: `{"seconds": 3}`."""
    body = await _body(request)
    seconds = body.get("seconds") if isinstance(body, dict) else None
    least, most = _LIFETIMES
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not is_number or not least <= seconds <= most:  # type: ignore[operator]  # is_number says so
        return _bad(f"'seconds' must be a number from {least} to {most}")
    request.app[MOCK].lifetime_seconds = seconds  # type: ignore[assignment]  # a number, see above
    return json_reply({"seconds": seconds})


async def _put_secrets(request: web.Request) -> web.Response:
    """Rotate a client's secrets: `{"secrets": ["new", "old"]}`."""
    client = request.app[MOCK].client(request.match_info["id"])
    if client is None:
        raise web.HTTPNotFound
    body = await _body(request)
    wanted = body.get("secrets") if isinstance(body, dict) else None
    if not isinstance(wanted, list) or not all(isinstance(s, str) and s for s in wanted):
        return _bad("'secrets' must be a list of texts")
    client.secrets = list(wanted)
    return json_reply({"client_id": client.client_id, "secrets": len(wanted)})


async def _revoke(request: web.Request) -> web.Response:
    return json_reply({"revoked": request.app[MOCK].revoke_all()})


async def _requests(request: web.Request) -> web.Response:
    return json_reply({"requests": list(request.app[MOCK].requests)})


async def _stats(request: web.Request) -> web.Response:
    mock = request.app[MOCK]
    return json_reply(
        {
            "token_requests": dict(mock.token_requests),
            "statuses": {str(status): amount for status, amount in mock.statuses.items()},
        }
    )


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
    text = request.query.get(name, str(default))
    return min(int(text), most) if text.isascii() and text.isdigit() else default


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


async def _stream(request: web.Request) -> web.StreamResponse:
    """Send `count` lines, one every `interval_ms`."""
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await response.prepare(request)
    async for index in _paced(request):
        await response.write(f"MOCK line {index}\n".encode())
    await response.write_eof()
    return response


async def _events(request: web.Request) -> web.StreamResponse:
    """Send `count` server-sent events, one every `interval_ms`."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    async for index in _paced(request):
        await response.write(f"id: {index}\ndata: MOCK event {index}\n\n".encode())
    await response.write_eof()
    return response


def routes() -> list[web.RouteDef]:
    """Return the routes of the mock's own endpoints."""
    return [
        web.get("/", _page),
        web.get("/__mock__/faults", _get_faults),
        web.put("/__mock__/faults", _put_faults),
        web.delete("/__mock__/faults", _delete_faults),
        web.put("/__mock__/lifetime", _put_lifetime),
        web.put("/__mock__/clients/{id}/secrets", _put_secrets),
        web.post("/__mock__/revoke", _revoke),
        web.get("/__mock__/requests", _requests),
        web.get("/__mock__/stats", _stats),
        web.route("*", "/mock/echo", _echo),
        web.get("/mock/bytes", _bytes),
        web.get("/mock/stream", _stream),
        web.get("/mock/events", _events),
    ]
