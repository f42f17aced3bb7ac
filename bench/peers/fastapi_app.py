"""A proxy as one writes it with FastAPI and httpx; runs in an environment of its own."""

import os
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, Request
from starlette.background import BackgroundTask
from starlette.responses import StreamingResponse

__all__ = ["app"]

HOP_BY_HOP = {"connection", "host", "keep-alive", "te", "transfer-encoding", "upgrade"}
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class Token:
    """The token of one client, fetched when there is none that still works."""

    def __init__(self) -> None:
        self._line = ""
        self._expires = 0.0

    async def line(self, client: httpx.AsyncClient) -> str:
        """Return the value for `Authorization`."""
        if time.monotonic() >= self._expires:
            form = {"grant_type": "client_credentials", "scope": "signicat-api"}
            response = await client.post(
                os.environ["TOKEN_URL"], data=form, auth=("bench", "bench")
            )
            grant = response.raise_for_status().json()
            self._line = f"Bearer {grant['access_token']}"
            self._expires = time.monotonic() + grant["expires_in"] * 0.9
        return self._line


token = Token()


@asynccontextmanager
async def lifespan(application: FastAPI) -> AsyncIterator[None]:
    """Keep one client for the life of the process."""
    context = ssl.create_default_context(cafile=os.environ["CA_FILE"])
    limits = httpx.Limits(max_connections=128, max_keepalive_connections=128)
    async with httpx.AsyncClient(verify=context, limits=limits, timeout=60) as client:
        application.state.client = client
        yield


async def forward(request: Request) -> StreamingResponse:
    """Pass one request on, bodies as they come."""
    client: httpx.AsyncClient = request.app.state.client
    headers = [(name, value) for name, value in request.headers.items() if name not in HOP_BY_HOP]
    headers.append(("authorization", await token.line(client)))
    has_body = "content-length" in request.headers or "transfer-encoding" in request.headers
    query = f"?{request.url.query}" if request.url.query else ""
    sent = client.build_request(
        request.method,
        f"{os.environ['UPSTREAM']}{request.url.path}{query}",
        headers=headers,
        content=request.stream() if has_body else None,
    )
    response = await client.send(sent, stream=True)
    kept = {name: value for name, value in response.headers.items() if name not in HOP_BY_HOP}
    return StreamingResponse(
        response.aiter_raw(), response.status_code, kept, background=BackgroundTask(response.aclose)
    )


app = FastAPI(lifespan=lifespan, openapi_url=None)
app.add_api_route("/{path:path}", forward, methods=METHODS)
