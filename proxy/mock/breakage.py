"""Notes every request, and lets the faults happen that hit it."""

import asyncio
from typing import Final

from aiohttp import web

from proxy.mock.edge import Handler
from proxy.mock.errors import ApiError
from proxy.mock.faults import Fault
from proxy.mock.keys import MOCK
from proxy.mock.page import page
from proxy.mock.state import fingerprint

__all__ = ["note_and_break"]

_CREDENTIALS: Final = frozenset(("authorization", "cookie", "proxy-authorization", "x-api-key"))

_TOKEN_PREFIX: Final = "/auth/open/"  # noqa: S105 (a path)
_STREAMED_PREFIX: Final = "/mock/"  # these send while they go, too early to be cut afterwards
_CONTROL_PREFIX: Final = "/__mock__"


@web.middleware
async def note_and_break(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Remember the request for `GET /__mock__/requests`, and let faults happen."""
    if request.path.startswith(_CONTROL_PREFIX):
        return await handler(request)
    mock = request.app[MOCK]
    headers = [
        [name, f"sha256:{fingerprint(value)}" if name.lower() in _CREDENTIALS else value]
        for name, value in request.headers.items()
    ]
    mock.requests.append({"method": request.method, "target": request.raw_path, "headers": headers})
    target = "token" if request.path.startswith(_TOKEN_PREFIX) else "api"
    faults = mock.faults.take(target, request.method, request.path)
    return await _with_faults(faults, request, handler)


async def _with_faults(
    faults: list[Fault], request: web.Request, handler: Handler
) -> web.StreamResponse:
    for fault in faults:
        if fault.kind == "latency":
            await asyncio.sleep(fault.milliseconds / 1000)
    for fault in faults:
        if fault.kind == "reset":
            _reset(request)
            return web.Response(status=503)
        if fault.kind not in {"latency", "truncate"}:
            await request.read()
            return _faulty_response(fault)
    if not any(fault.kind == "truncate" for fault in faults):
        return await handler(request)
    is_streamed = request.path.startswith(_STREAMED_PREFIX)
    whole = web.Response(body=b"MOCK " * 200) if is_streamed else await handler(request)
    return await _truncated(request, whole)


def _faulty_response(fault: Fault) -> web.Response:
    """Return what a fault has in place of the real response, or raise `ApiError`."""
    if fault.kind == "empty":
        return web.Response(status=200)
    if fault.kind == "html":
        return page("fault", "An HTML page where JSON is expected.")
    if fault.kind == "unauthorized":
        raise ApiError(401, "a fault was asked for")
    after = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
    raise ApiError(fault.status, "asked for", code="mock_fault", title="MOCK fault", headers=after)


def _reset(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


async def _truncated(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """Send half of the body that was announced, then reset the connection."""
    body = response.body if isinstance(response, web.Response) else b""
    data = body if isinstance(body, bytes) else b""
    half = web.StreamResponse(status=response.status, headers=response.headers)
    half.content_length = max(len(data), 1)
    await half.prepare(request)
    await half.write(data[: len(data) // 2])
    _reset(request)
    return half
