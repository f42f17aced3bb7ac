"""An aiohttp application in Signicat's place that takes nothing without a live JWT."""

import asyncio
import base64
import contextlib
import hashlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

from aiohttp import web

__all__ = ["DOWNLOAD", "BearerUpstream"]

DOWNLOAD: Final = bytes(range(256)) * 4 * 1024 * 20  # 20 MiB
_STEP: Final = 1 << 16
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _claims(request: web.Request) -> dict[str, Any] | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    parts = token.split(".")
    if scheme != "Bearer" or len(parts) != 3:
        return None
    payload = parts[1] + "=" * (-len(parts[1]) % 4)
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload))
    return claims if claims["exp"] > time.time() - 1 else None


class BearerUpstream:
    """Listens while `run` is entered; `tokens` holds every distinct token seen."""

    def __init__(self) -> None:
        self.tokens: set[str] = set()
        self.clients: set[str] = set()
        self.refused = 0
        self.next_event = asyncio.Event()
        self.port = 0

    @contextlib.asynccontextmanager
    async def run(self) -> AsyncIterator[str]:
        """Serve; yield the URL."""

        @web.middleware
        async def demand_token(request: web.Request, handler: _Handler) -> web.StreamResponse:
            return await self._answer_with_token(request, handler)

        app = web.Application(middlewares=[demand_token])
        app.router.add_route("*", "/echo", self._echo)
        app.router.add_get("/download", self._download)
        app.router.add_get("/chunked", self._chunked)
        app.router.add_get("/events", self._events)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.port = runner.addresses[0][1]
            yield f"http://127.0.0.1:{self.port}"
        finally:
            await runner.cleanup()

    async def _answer_with_token(
        self, request: web.Request, handler: _Handler
    ) -> web.StreamResponse:
        claims = _claims(request)
        if claims is None:
            self.refused += 1
            raise web.HTTPUnauthorized
        self.tokens.add(request.headers["Authorization"])
        self.clients.add(claims["client_id"])
        return await handler(request)

    async def _echo(self, request: web.Request) -> web.Response:
        digest = hashlib.sha256()
        size = 0
        async for data in request.content.iter_any():
            digest.update(data)
            size += len(data)
        seen = {
            "method": request.method,
            "path": request.raw_path,
            "size": size,
            "sha256": digest.hexdigest(),
            "length": request.headers.get("Content-Length"),
            "coding": request.headers.get("Transfer-Encoding"),
        }
        return web.json_response(seen)

    async def _download(self, _: web.Request) -> web.Response:
        return web.Response(body=DOWNLOAD, content_type="application/pdf")

    async def _chunked(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        for start in range(0, len(DOWNLOAD), _STEP):
            await response.write(DOWNLOAD[start : start + _STEP])
        return response

    async def _events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for number in range(3):
            await response.write(b"data: %d\n\n" % number)
            await self.next_event.wait()
            self.next_event.clear()
        return response
