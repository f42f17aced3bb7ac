"""From a declared endpoint to a route of aiohttp: read, call, make the response."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias
from urllib.parse import quote

from aiohttp import web

from proxy.mock.body import Body, Read, Reader, RefusedError
from proxy.mock.endpoint import Call, Endpoint, Product, Result
from proxy.mock.errors import ApiError
from proxy.mock.keys import CALLER, MOCK, UNKNOWN, base_url
from proxy.mock.replies import json_reply

__all__ = ["BESIDE_THE_BODY", "product_routes", "routes_of"]

_Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

_EVERYWHERE: Final = frozenset(("signicat-accountid", "signicat-organizationid"))
"""Parameters that every product takes, in any case."""
BESIDE_THE_BODY: Final = {"/dem/records/query": frozenset(("page", "size", "sort"))}
"""Parameters that a handler reads from the query of a request with a body, by path."""
_MOST_NAMED: Final = 20
_LONGEST_NAME: Final = 80
_MOST_OCTETS_NAMED: Final = 1000  # clients and proxies bound a header, and a log is for people


def product_routes(product: Product) -> Iterator[web.RouteDef]:
    """Yield the routes of a product and of its pages."""
    for endpoint in product.endpoints:
        yield _route(endpoint, product.prefix + endpoint.path, is_strict=True)
    yield from routes_of(product.pages)


def routes_of(endpoints: tuple[Endpoint, ...]) -> Iterator[web.RouteDef]:
    """Yield the routes of endpoints that are no product's: any media type will do."""
    for endpoint in endpoints:
        yield _route(endpoint, endpoint.path, is_strict=False)


def _route(endpoint: Endpoint, path: str, *, is_strict: bool) -> web.RouteDef:
    handler = _handler(endpoint, path, is_strict=is_strict)
    # `web.get` answers HEAD as well.
    return (
        web.get(path, handler)
        if endpoint.method == "GET"
        else web.route(endpoint.method, path, handler)
    )


def _handler(endpoint: Endpoint, path: str, *, is_strict: bool) -> _Handler:
    reader = None if endpoint.takes is None else Reader[Any](endpoint.takes)

    async def handle(request: web.Request) -> web.Response:
        call = _call(request, await request.read())
        others = _unread(endpoint, path, call.query) if is_strict else ()
        if reader is None:
            _name_unknown(request, path, others)
            return _response(endpoint, call, endpoint.handler(call))
        if endpoint.takes_body and is_strict and call.data:
            _check_media_type(request)
        try:
            read = _read(endpoint, reader, call)
        except RefusedError as error:
            _name_unknown(request, path, (*error.unknown, *others))
            raise
        _name_unknown(request, path, (*read.unknown, *others))
        return _response(endpoint, call, endpoint.handler(call, read.value))

    return handle


def _read(endpoint: Endpoint, reader: Reader[Any], call: Call) -> Read[Any]:
    return reader.json(call.data) if endpoint.takes_body else reader.query(_own(call.query))


def _unread(endpoint: Endpoint, path: str, query: Mapping[str, str]) -> tuple[str, ...]:
    """Return the parameters that nobody reads, where the query is not what the endpoint takes."""
    if endpoint.takes is not None and not endpoint.takes_body:
        return ()
    known = BESIDE_THE_BODY.get(path, frozenset())
    return tuple(name for name, text in _own(query).items() if text and name.lower() not in known)


def _name_unknown(request: web.Request, path: str, unknown: tuple[str, ...]) -> None:
    """Name the members and parameters that nobody knows, to the caller and in the log."""
    if not unknown:
        return
    request[UNKNOWN] = named = _fitting(unknown)
    names = ", ".join(map(repr, named))
    more = len(unknown) - len(named)
    others = f" and {more} more" if more else ""
    request.app[MOCK].log(f"{request.method} {path}: unknown members: {names}{others}")


def _call(request: web.Request, data: bytes) -> Call:
    return Call(
        mock=request.app[MOCK],
        base_url=base_url(request),
        client_id=request.get(CALLER, ""),
        path=request.match_info,
        query=request.query,
        headers=request.headers,
        media_type=request.content_type,
        data=data,
    )


def _check_media_type(request: web.Request) -> None:
    """Refuse a body that is said to be something else than JSON; one that says nothing passes."""
    kind = request.content_type
    if "Content-Type" in request.headers and kind != "application/json" and kind[-5:] != "+json":
        raise ApiError(415, f"the body must be application/json, not {kind}")


def _own(query: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in query.items() if name.lower() not in _EVERYWHERE}


def _fitting(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the first of some names, 20 at most, cut to 80 letters, if a header has room."""
    fitting: list[str] = []
    left = _MOST_OCTETS_NAMED
    for name in names[:_MOST_NAMED]:
        short = name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
        short = short.encode("utf-8", "replace").decode()  # no header can have half a letter
        # In the header a letter may be twelve octets, and a comma and a blank come between.
        left -= len(quote(short, safe="[].")) + 2
        if left < 0:
            break
        fitting.append(short)
    return tuple(fitting)


def _response(endpoint: Endpoint, call: Call, result: Result) -> web.Response:
    if isinstance(result, web.Response):
        return result
    status = (endpoint.creates and call.mock.created_status) or endpoint.status
    if result is None:
        return web.Response(status=status)
    return json_reply(result.given() if isinstance(result, Body) else result, status)
