"""What comes before every answer: trace ids, faults, and the rules that all APIs share."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from proxy.mock.faults import Fault
from proxy.mock.keys import MOCK
from proxy.mock.replies import API_HEADERS, api_error, html_page, not_found_page
from proxy.mock.state import MockSignicat, fingerprint

__all__ = ["PERMISSIONS", "add_headers", "dress_errors", "guard_api", "note_request"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

PERMISSIONS: Final = {
    "/auth/rest": "Authentication REST API",
    "/sign": "Signature API",
    "/info/lookup": "Data Verification",
    "/dem": "Digital Evidence Management",
    "/mock": "",
}
"""The permission that each product asks for, by path; empty: a valid token is enough."""
_TOKEN_PREFIX: Final = "/auth/open/"  # noqa: S105 (a path)
_STREAMED_PREFIX: Final = "/mock/"  # these send while they go, too early to be cut afterwards
_CONTROL_PREFIX: Final = "/__mock__"
_NEED_LENGTH: Final = ("POST", "PUT")


def _is_under(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(prefix + "/")


async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """Give every answer, streamed ones too, a trace id and the usual headers; say MOCK."""
    response.headers["x-trace-id"] = secrets.token_hex(16)
    for name, value in API_HEADERS.items():
        response.headers[name] = value


@web.middleware
async def dress_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn aiohttp's own errors into Signicat's, and count every answer."""
    try:
        response = await handler(request)
    except web.HTTPMethodNotAllowed as error:
        response = web.Response(status=405, headers={"Allow": error.headers["Allow"]})
    except web.HTTPNotFound:
        product = next((p for p in PERMISSIONS if _is_under(request.path, p)), None)
        response = not_found_page() if product is None else api_error(404, "not_found", "Not found")
        if request.path.startswith(_TOKEN_PREFIX) and request.path.endswith("/"):
            response = web.Response(status=404)
    request.app[MOCK].statuses[response.status] += 1
    return response


@web.middleware
async def note_request(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Remember the request for `GET /__mock__/requests`, and let faults happen."""
    if request.path.startswith(_CONTROL_PREFIX):
        return await handler(request)
    mock = request.app[MOCK]
    headers = [
        [name, f"sha256:{fingerprint(value)}" if name.lower() == "authorization" else value]
        for name, value in request.headers.items()
    ]
    mock.requests.append({"method": request.method, "target": request.raw_path, "headers": headers})
    target = "token" if request.path.startswith(_TOKEN_PREFIX) else "api"
    return await _with_faults(mock.faults.take(target), request, handler)


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
        faulty = _faulty_answer(fault)
        if faulty is not None:
            await request.read()
            return faulty
    if not any(fault.kind == "truncate" for fault in faults):
        return await handler(request)
    is_streamed = request.path.startswith(_STREAMED_PREFIX)
    whole = web.Response(body=b"MOCK " * 200) if is_streamed else await handler(request)
    return await _truncated(request, whole)


def _faulty_answer(fault: Fault) -> web.Response | None:
    match fault.kind:
        case "status":
            reply = api_error(fault.status, "mock_fault", "MOCK fault")
            if fault.retry_after is not None:
                reply.headers["Retry-After"] = fault.retry_after
            return reply
        case "unauthorized":
            return _invalid_token()
        case "empty":
            return web.Response(status=200)
        case "html":
            return html_page("fault", "<p>An HTML page where JSON is expected.</p>")
    return None


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


def _invalid_token() -> web.Response:
    return api_error(401, "invalid_token", "Token not valid", detail="MOCK: no valid token")


def _fault_of_framing(request: web.Request) -> web.Response | None:
    """Return what a request gets that breaks Signicat's HTTP rules."""
    headers = request.headers
    is_chunked = "chunked" in headers.get("Transfer-Encoding", "").lower()
    if request.method in _NEED_LENGTH and "Content-Length" not in headers and not is_chunked:
        return html_page("length required", "<p>411</p>", 411)
    if request.method == "GET" and (is_chunked or headers.get("Content-Length", "0") != "0"):
        return html_page("bad request", "<p>A GET with a body.</p>", 400)
    return None


def _fault_of_token(
    mock: MockSignicat, request: web.Request, permission: str
) -> web.Response | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    client = mock.holder(token) if scheme.lower() == "bearer" else None
    if client is None:
        return _invalid_token()
    if permission and client.permissions is not None and permission not in client.permissions:
        return api_error(
            403, "forbidden", "Forbidden", detail=f"MOCK: the client lacks '{permission}'"
        )
    return None


@web.middleware
async def guard_api(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Enforce framing, token and permission on the product APIs."""
    product = next((path for path in PERMISSIONS if _is_under(request.path, path)), None)
    if product is None:
        return await handler(request)
    refusal = _fault_of_framing(request) or _fault_of_token(
        request.app[MOCK], request, PERMISSIONS[product]
    )
    if refusal is not None:
        await request.read()
        return refusal
    return await handler(request)
