"""The edge of the mock: what every request gets, whatever becomes of it.

Trace id, headers, counts, and the form of errors: whoever refuses a request
raises, and here it becomes a response.
"""

import secrets
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias
from urllib.parse import quote

from aiohttp import web

from proxy.mock.errors import ApiError, code_of, general_form
from proxy.mock.keys import MOCK, TRACE_ID, UNKNOWN
from proxy.mock.page import not_found_page
from proxy.mock.products import product_at
from proxy.mock.replies import API_HEADERS, json_reply

__all__ = ["Handler", "add_headers", "answer_errors", "count_responses"]

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

_AUTHORIZATION_SERVER: Final = "/auth/open/"
_MOST_NAMED: Final = 20


def _trace_id(request: web.BaseRequest) -> str:
    if TRACE_ID not in request:
        request[TRACE_ID] = secrets.token_hex(16)
    return request[TRACE_ID]


async def add_headers(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Give every response, streamed ones too, its trace id and the usual headers; say MOCK."""
    response.headers["x-trace-id"] = _trace_id(request)
    for name, value in API_HEADERS.items():
        response.headers[name] = value
    if UNKNOWN in request:
        named = request[UNKNOWN][:_MOST_NAMED]
        response.headers["X-Mock-Unknown"] = ", ".join(quote(name, safe="[].") for name in named)


@web.middleware
async def count_responses(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count every response by its status."""
    response = await handler(request)
    request.app[MOCK].statuses[response.status] += 1
    return response


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what was raised into Signicat's responses."""
    try:
        return await handler(request)
    except ApiError as error:
        return _error_reply(request, error)
    except web.HTTPException as error:
        return _foreign_error_reply(request, error)
    except ConnectionError:  # the client has left: nobody is there to read a response
        raise
    except Exception as error:  # noqa: BLE001 (the last resort: a mistake of the mock's own)
        request.app[MOCK].log(f"a mistake of the mock: {request.method}: {error!r}")
        return _error_reply(request, ApiError(500, "a mistake of the mock; see its log"))


def _error_reply(request: web.Request, error: ApiError) -> web.Response:
    product = product_at(request.path)
    code = code_of(error, product.codes if product else {})
    form = product.error_form if product else general_form
    reply = json_reply({**form(error, code), "traceId": _trace_id(request)}, error.status)
    reply.headers.update(error.headers)
    return reply


def _foreign_error_reply(request: web.Request, error: web.HTTPException) -> web.Response:
    """Return the response for what aiohttp refuses: by the product where it is one's path."""
    allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    if product_at(request.path):
        return _error_reply(request, ApiError(error.status, error.reason, headers=allow))
    if request.path.startswith(_AUTHORIZATION_SERVER):
        is_page = error.status == web.HTTPNotFound.status_code and not request.path.endswith("/")
        return not_found_page() if is_page else web.Response(status=error.status, headers=allow)
    if error.status == web.HTTPNotFound.status_code:
        return not_found_page()
    return web.Response(status=error.status, headers=allow)
